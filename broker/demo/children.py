"""The processes that the demo starts: each in a group of its own, with a log of its own, and none left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_TAIL = 2000  # bytes of a log that are worth showing


class Died(Exception):
    """A process ended that should have lived. Names it, and the end of its log."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        super().__init__(f"{name} ended with exit code {code}; the end of {log}:\n{_tail(log)}")


class Child:
    """One process. Its own session keeps a Ctrl-C of the terminal from it: the demo stops it, in order."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self._process, self.log = name, process, log

    @classmethod
    async def start(cls, name: str, module: str, arguments: Sequence[str], *, log: Path, folder: Path) -> "Child":
        """Start `python -m module arguments` in `folder`, its output appended to `log`.

        It inherits the environment, but for the settings of whatever broker that may be meant for.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if not name.upper().startswith("BROKER_")},
                start_new_session=True,
            )
        finally:
            os.close(output)
        return cls(name, process, log)

    def alive(self) -> None:
        """Raise Died where the process has ended."""
        if self._process.returncode is not None:
            raise Died(self.name, self._process.returncode, self.log)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it ends by itself. Returns the exit code."""
        return await self._process.wait()

    async def stop(self, *, within: float = 15.0) -> int:
        """Ask it to end (SIGTERM), and end its whole group after `within` seconds. Returns the exit code."""
        self._signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.ended(), within)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        # The process leads its group, so the group's number is its own. It may have ended a moment ago.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


async def stop_all(children: Sequence[Child]) -> None:
    """Stop all of them, side by side."""
    await asyncio.gather(*(child.stop() for child in children))


def _tail(log: Path) -> str:
    return log.read_bytes()[-_TAIL:].decode("utf-8", "replace")
