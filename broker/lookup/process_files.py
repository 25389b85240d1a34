"""The process files of a folder, read anew while running. The last set that holds together is the one in use."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from broker import telemetry
from broker.errors import Misconfigured
from broker.lookup.folder import Folder, keep_looking
from broker.routing.process import Process, Processes
from broker.routing.process_files import processes, read_process


class ProcessFiles:
    """All processes of a folder; `current` is what the stories ask."""

    def __init__(self, folder: Path) -> None:
        """Read the folder. Raises Misconfigured for any file: a process too few would refuse documents for good."""
        self._path = folder
        self._folder: Folder[Process] = Folder(folder, lambda text, source, load: read_process(text, source))
        self._shown: list[str] = []
        try:
            found = self._folder.look()
        except OSError as error:
            why = f"the folder can't be read ({error.strerror})"
            raise Misconfigured(why, where=str(folder), hint="name it in the setting processes") from None
        for problem in found.problems.values():
            raise problem
        if not found.values:
            raise Misconfigured("there is no process file", where=str(folder), hint="put one .toml a process there")
        self._processes = processes(found.values.values())
        self.problems: tuple[Misconfigured, ...] = ()

    def current(self) -> Processes:
        """Return the processes in use."""
        return self._processes

    def look(self) -> bool:
        """Read what has changed and say whether anything has. Never raises; what is wrong stands in `problems`."""
        before = (self._processes, [str(problem) for problem in self.problems])
        try:
            found = self._folder.look()
            self.problems = tuple(found.problems.values())
            read = processes(found.values.values())
            if read != self._processes:
                self._processes = read
        except Misconfigured as clash:  # between the files
            self.problems = (*self.problems, clash)
        except OSError as error:
            why = f"the folder can't be read ({error.strerror})"
            self.problems = (Misconfigured(why, where=str(self._path), hint="name it in the setting processes"),)
        changed = before != (self._processes, [str(problem) for problem in self.problems])
        if changed:
            telemetry.records_reloaded("processes", count=len(self._processes.by_name))
            for problem in self.problems:
                telemetry.record_bad(problem.where, why=problem.why)
        return changed

    async def watch(self, interval: timedelta, changed: Callable[[], None] = lambda: None) -> None:
        """Look every `interval` until cancelled, and call `changed` after each change."""
        await keep_looking(self.look, interval=interval, changed=changed)
