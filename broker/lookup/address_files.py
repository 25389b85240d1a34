"""The address records of a folder, one party a TOML file, read anew while running. It decides which version counts.

A file that can't be read, and one whose new version no longer fits the others (a HER-id twice, a parent that is
missing), keeps its last good version. Whatever is wrong is named in `problems` until it is mended.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from broker import telemetry
from broker.errors import Misconfigured, Unaddressable
from broker.lookup.agreement_files import AgreementFiles
from broker.lookup.folder import Folder, Load, keep_looking
from broker.lookup.profile_files import shipped_profiles
from broker.routing.choose import NO_REGISTRY
from broker.routing.party import Directory, Party
from broker.routing.records import assemble, read_party
from broker.sealing.paths import Anchors


class AddressFiles:
    """The port Addresses over a folder of files."""

    def __init__(
        self, folder: Path, anchors: Anchors | None = None, *, agreements: AgreementFiles | None = None
    ) -> None:
        """Read the folder, and lay the imported agreements over it.

        Never raises: a broker whose records can't be read yet takes messages and parks them.
        """
        self._path, self._anchors, self._agreements = folder, anchors or Anchors(), agreements
        profiles = shipped_profiles()

        def read(text: str, source: str, load: Load) -> Party:
            return read_party(text, source=source, load_pem=load, profiles=profiles)

        self._folder = Folder(folder, read)
        self._good: dict[str, Party] = {}  # by file name: the version that fitted the others
        self._directory: Directory | None = None
        self.problems: tuple[Misconfigured, ...] = ()
        self.look()

    def current(self) -> Directory:
        """Return the last good directory. Raises Unaddressable (MB-2004) while the folder could not be read yet."""
        if self._directory is None:
            raise Unaddressable(
                "the folder of address records can't be read", error_id=NO_REGISTRY, hint="run: broker addresses check"
            )
        return self._directory

    def look(self) -> bool:
        """Read what has changed and say whether anything has. Never raises; what is wrong stands in `problems`."""
        before = (self._directory, [str(problem) for problem in self.problems])
        try:
            found = self._folder.look()
        except OSError as error:
            why = f"the folder can't be read ({error.strerror})"
            self.problems = (Misconfigured(why, where=str(self._path), hint="name it in the setting addresses"),)
        else:
            # A file without any good version is a party that we do not know of: the directory says so.
            unread = found.problems.keys() - found.values.keys()
            directory, faults = self._fit(found.values, complete=not unread)
            if self._agreements is not None:
                directory, more = self._agreements.laid_over(directory)
                faults = (*faults, *more)
            self.problems = (*found.problems.values(), *faults)
            if directory != self._directory:
                self._directory = directory
        changed = before != (self._directory, [str(problem) for problem in self.problems])
        if changed:
            self._tell()
        return changed

    async def watch(self, interval: timedelta, changed: Callable[[], None] = lambda: None) -> None:
        """Look every `interval` until cancelled, and call `changed` after each change."""
        await keep_looking(self.look, interval=interval, changed=changed)

    def _fit(self, versions: Mapping[str, Party], *, complete: bool) -> tuple[Directory, tuple[Misconfigured, ...]]:
        chosen, faults = dict(versions), list[Misconfigured]()
        while True:
            # What has held a HER-id so far goes before a newcomer that claims it too.
            order = sorted(chosen, key=lambda name: (chosen[name] != self._good.get(name), name))
            directory, found = assemble([chosen[name] for name in order], complete=complete, anchors=self._anchors)
            faults += [fault for fault in found if str(fault) not in {str(each) for each in faults}]
            at_fault = {fault.where for fault in found}
            back = {
                name: self._good[name]
                for name, party in chosen.items()
                if party.source in at_fault and self._good.get(name, party) != party
            }
            if not back:
                self._good = {name: party for name, party in chosen.items() if party.source not in at_fault}
                return directory, tuple(faults)
            chosen |= back

    def _tell(self) -> None:
        if self._directory is not None:
            telemetry.records_reloaded("addresses", count=len(self._directory.parties))
        for problem in self.problems:
            telemetry.record_bad(problem.where, why=problem.why)
