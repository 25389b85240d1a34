"""The agreements that were taken into use, as files of a folder: read anew while running, written by the command line.

Each version is two files: the CPA as it came, and a note beside it (`routing.agreement_file`). The CPA is written
first, so a note never names a file that is not there. Nothing is ever removed: what is over is still needed to judge
what was sent under it.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from broker.errors import Misconfigured
from broker.lookup.files import PUBLIC, replace_file
from broker.lookup.folder import Folder
from broker.ports import Clock
from broker.routing.agreement_file import Taken, read_taken, write_taken
from broker.routing.agreements import Version, laid_over, understood
from broker.routing.cpa import Cpa
from broker.routing.party import Agreement, Directory
from broker.routing.process import Processes


class AgreementFiles:
    """The folder, with memory. It belongs to whoever reads the address records, and is looked at with them."""

    def __init__(
        self, folder: Path, *, hosted: Collection[int], processes: Callable[[], Processes], clock: Clock
    ) -> None:
        """A folder that is not there is one without agreements, until one was read."""
        self._path, self._hosted, self._processes, self._clock = folder, frozenset(hosted), processes, clock
        self._folder: Folder[Taken] = Folder(folder, read_taken)
        self._known: dict[str, tuple[Taken, Processes, object, Version]] = {}
        self._taken: Mapping[str, Taken] = {}
        self._kinds: Mapping[int, object] = {}
        self._read = False

    def laid_over(self, directory: Directory) -> tuple[Directory, tuple[Misconfigured, ...]]:
        """Look, and return the records with the agreements that count now over them, and what is wrong."""
        problems = self._look()
        versions, faults = self._understood(directory)
        laid, more = laid_over(directory, versions, processes=self._processes(), at=self._clock.now())
        return laid, (*problems, *faults, *more)

    def versions(self, directory: Directory) -> tuple[Version, ...]:
        """Return all versions as they were when last looked at."""
        return tuple(self._understood(directory)[0])

    def taken(self) -> tuple[Taken, ...]:
        """Return all versions as they stand in the files, those too that can't be kept now."""
        return tuple(self._taken.values())

    def _look(self) -> list[Misconfigured]:
        try:
            found = self._folder.look()
        except FileNotFoundError:
            if not self._read:
                return []
            why = "the folder of agreements has gone"
            return [Misconfigured(why, where=str(self._path), hint="put it back; what was read counts on")]
        except OSError as error:
            why = f"the folder of agreements can't be read ({error.strerror})"
            return [Misconfigured(why, where=str(self._path), hint="name it in the setting agreements")]
        self._taken, self._read = found.values, True
        return list(found.problems.values())

    def _understood(self, directory: Directory) -> tuple[list[Version], list[Misconfigured]]:
        processes = self._processes()
        versions, faults = list[Version](), list[Misconfigured]()
        kinds = {her: party.kind for her, party in directory.parties.items()}
        if kinds != self._kinds:
            self._kinds = kinds
        for name, taken in self._taken.items():
            known = self._known.get(name)
            if known is None or known[0] is not taken or known[1] is not processes or known[2] is not self._kinds:
                try:
                    version = understood(taken, directory, hosted=self._hosted, processes=processes)
                except Misconfigured as fault:
                    faults.append(fault)
                    continue
                self._known[name] = known = (taken, processes, self._kinds, version)
            versions.append(known[3])
        return versions, faults


def take(
    folder: Path, content: bytes, cpa: Cpa, *, services: Mapping[str, str], replaced: Sequence[Agreement], at: datetime
) -> Taken:
    """Put a CPA into the folder as taken into use at that time. Raises Misconfigured where the disk does not let it."""
    digest = sha256(content).hexdigest()
    slug = re.sub(r"[^A-Za-z0-9]+", "-", cpa.cpa_id).strip("-")[:60] or "cpa"
    name = f"{slug}-{digest[:8]}-{at:%Y%m%dT%H%M%S}"
    taken = Taken(
        cpa=cpa,
        file=f"{name}.xml",
        sha256=digest,
        taken_at=at,
        services=services,
        replaced=tuple(replaced),
        source=f"{folder.name}/{name}.toml",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / taken.file, content, mode=PUBLIC)
        replace_file(folder / f"{name}.toml", write_taken(taken).encode(), mode=PUBLIC)
    except OSError as error:
        raise _not_written(folder, error) from None
    return taken


def retire(folder: Path, taken: Taken, *, at: datetime) -> Taken:
    """Write down that a version is in use no longer. Raises Misconfigured where the disk does not let it."""
    ended = replace(taken, retired_at=at)
    try:
        replace_file(folder / Path(taken.source).name, write_taken(ended).encode(), mode=PUBLIC)
    except OSError as error:
        raise _not_written(folder, error) from None
    return ended


def _not_written(folder: Path, error: OSError) -> Misconfigured:
    hint = "run as who may write there; the setting agreements names it"
    return Misconfigured(f"can't be written to ({error.strerror})", where=str(folder), hint=hint)
