"""What the commands on agreements work with: the folder and the records of a broker, at one time. It decides nothing of
what an agreement means; that is `routing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from broker import telemetry
from broker.cli import exits
from broker.cli.ask import Unreachable, ask
from broker.config import Settings, load, passphrase
from broker.errors import BrokerError, Misconfigured, OwnKeyUnusable
from broker.lookup.address_files import AddressFiles
from broker.lookup.agreement_files import AgreementFiles, retire, take
from broker.lookup.clock import SystemClock
from broker.lookup.key_files import KeyFiles
from broker.lookup.process_files import ProcessFiles
from broker.message import Text
from broker.routing.agreement_file import Taken
from broker.routing.agreement_words import Difference, differences
from broker.routing.agreements import Version, current, differing, versions_by_pair
from broker.routing.cpa import MAX_BYTES, Cpa, read_cpa
from broker.routing.cpa_terms import Agreed, Remark, agreed
from broker.routing.party import Agreement, Directory
from broker.routing.process import Processes


class Refusal(BrokerError):
    """Not possible as things stand."""

    exit_code = exits.REFUSED


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The files of a broker, read once."""

    settings: Settings
    processes: Processes
    records: Directory  # without the agreements over them
    taken: tuple[Taken, ...]
    versions: tuple[Version, ...]
    problems: tuple[Misconfigured, ...]
    now: datetime

    @classmethod
    def of(cls, config: Path) -> "Desk":
        """Read everything. Raises Misconfigured, or Unaddressable where the records can't be read."""
        telemetry.configure("critical")  # what is wrong is printed
        settings = load(config)
        processes = ProcessFiles(settings.processes)
        clock = SystemClock()
        files = AgreementFiles(settings.agreements, hosted=settings.hosted, processes=processes.current, clock=clock)
        records = AddressFiles(settings.addresses).current()
        _, problems = files.laid_over(records)
        return cls(
            settings=settings,
            processes=processes.current(),
            records=records,
            taken=files.taken(),
            versions=files.versions(records),
            problems=problems,
            now=clock.now(),
        )

    def read(self, file: Path) -> tuple[bytes, Cpa]:
        """Return the bytes of a CPA and what it says. Raises Misconfigured."""
        try:
            with file.open("rb") as open_file:
                content = open_file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Misconfigured(f"can't be read ({error.strerror})", where=str(file), hint="name a CPA file") from None
        return content, read_cpa(content, source=file.name)

    def agreed(self, cpa: Cpa, services: Mapping[str, str]) -> Agreed:
        """Return what a CPA means here. Raises Misconfigured."""
        return agreed(
            cpa,
            hosted=self.settings.hosted,
            processes=self.processes,
            kind_of=self.records.kind_of,
            services=services,
        )

    # --- of one agreement ---

    def used(self, found: Agreed) -> Version | None:
        """Return the imported agreement that counts between the same two now."""
        pair = (found.agreement.ours, found.agreement.theirs)
        return current([each for each in self.versions if each.pair == pair], self.now)

    def is_used(self, content: bytes, services: Mapping[str, str], used: Version | None) -> bool:
        """Say whether these very bytes are in use, read the same way."""
        digest = sha256(content).hexdigest()
        return used is not None and used.taken.sha256 == digest and used.taken.services == services

    def changes(self, found: Agreed, used: Version | None) -> Sequence[Difference]:
        """Return what would change from the imported agreement in use; a table of the record is a conflict instead."""
        return differences(used.agreed, found) if used is not None else ()

    def conflicts(self, found: Agreed) -> tuple[Text, ...]:
        """Return how the records contradict it."""
        return differing(self.records, found, self.processes)

    def table(self, found: Agreed) -> tuple[int, str] | None:
        """Return `with` and the file of the [[agreement]] table that stands in a record for the same two."""
        ours, theirs = found.agreement.ours, found.agreement.theirs
        for her, other in ((theirs, ours), (ours, theirs)):
            party = self.records.party(her)
            if party is not None and party.agreement_with(other) is not None:
                return other, party.source
        return None

    def waiting(self, found: Agreed) -> dict[str, Any] | None:
        """Return what is open to the partner, by how it would be touched; None where nobody could be asked."""
        try:
            told = ask(self.settings, "agreement", ours=found.agreement.ours, theirs=found.agreement.theirs)
        except Unreachable:
            return None
        sorted_: dict[str, Any] = {"unsealed": [], "sealed": [], "acknowledged": [], "more": told["more"]}
        for each in told["open"]:
            there = each["transport"] == "acknowledged"
            sorted_["acknowledged" if there else "sealed" if each["cpaId"] else "unsealed"].append(each)
        return sorted_

    def own_remarks(self, found: Agreed) -> tuple[Remark, ...]:
        """Return whether the agreement names the certificates that we have."""
        try:
            keys = KeyFiles(self.settings.keys, self.settings.hosted, passphrase=passphrase(self.settings))
            signing = {keys.signing(found.agreement.ours, self.now).certificate}
        except (OwnKeyUnusable, Misconfigured):
            return ()  # `broker check` says so; or they are not for who asks
        opening = {pair.certificate for pair in keys.opening(found.agreement.ours)}
        told = list[Remark]()
        for nb, en, named, held in (
            ("signerer", "sign", found.our_signing, signing),
            ("dekrypterer", "decrypt", found.our_encryption, opening),
        ):
            if named and not held & set(named):
                text = Text(
                    nb=f"avtalen nevner et annet sertifikat for oss enn det vi {nb} med",
                    en=f"the agreement names another certificate for us than the one we {en} with",
                )
                told.append(Remark(slug="own-certificate", text=text))
        return tuple(told)

    def require_not_over(self, cpa: Cpa) -> None:
        """Raise Refusal where an agreement has ended."""
        if cpa.ends <= self.now:
            raise Refusal(f"the agreement ended on {cpa.ends:%Y-%m-%d}", hint="ask the partner for a new one")

    def take(self, content: bytes, found: Agreed, services: Mapping[str, str]) -> Taken:
        """Take it into use, keeping what a table of the records said so far. Raises Misconfigured."""
        table = self.records.agreement(found.agreement.ours, found.agreement.theirs)
        replaced: list[Agreement] = [table] if table is not None and table.cpa_id != found.agreement.cpa_id else []
        return take(self.settings.agreements, content, found.cpa, services=services, replaced=replaced, at=self.now)

    # --- of those that are there ---

    def state(self, version: Version) -> str:
        """Return where a version stands: used, conflict, next, replaced, ended, retired."""
        if version.retired(self.now):
            return "retired"
        if version.taken.cpa.ends <= self.now:
            return "ended"
        if version.begins > self.now:
            return "next"
        if not self.in_use(version):
            return "replaced"
        return "conflict" if self.conflicts(version.agreed) else "used"

    def in_use(self, version: Version) -> bool:
        """Say whether a version is the one that counts for its pair."""
        return current([each for each in self.versions if each.pair == version.pair], self.now) is version

    def listed(self) -> list[tuple[Taken, Version | None, str]]:
        """Return all versions with their state, the last taken first of each pair; those that can't be kept last."""
        known = [each for held in versions_by_pair(self.versions).values() for each in held]
        sources = {each.taken.source for each in known}
        rest = [each for each in self.taken if each.source not in sources]
        return [
            *((each.taken, each, self.state(each)) for each in known),
            *((each, None, "refused") for each in rest),
        ]

    def named(self, what: str) -> list[Version]:
        """Return the versions of a CPAId, the last taken first; or those in use with a HER-id."""
        found = [each for held in versions_by_pair(self.versions).values() for each in held]
        by_id = [each for each in found if each.taken.cpa.cpa_id == what]
        return by_id or [each for each in found if what in map(str, each.pair) and self.in_use(each)]

    def record_of(self, what: str) -> str | None:
        """Return the record whose table has that CPAId, or an agreement with that HER-id."""
        for party in self.records.parties.values():
            for each in party.agreements:
                if what in (each.cpa_id, str(each.theirs), str(each.ours)):
                    return party.source
        return None

    def either(self, what: str) -> Agreed | None:
        """Return what a file, or the CPAId of an imported agreement, means here. Raises Misconfigured."""
        path = Path(what)
        if path.is_file():
            cpa = self.read(path)[1]
            same = [each.taken.services for each in self.versions if her_pair(each.taken.cpa) == her_pair(cpa)]
            return self.agreed(cpa, same[0] if same else {})
        found = self.named(what)
        return found[0].agreed if found else None

    def retire(self, cpa_id: str) -> list[tuple[Taken, datetime]]:
        """End every version of a CPAId that is not ended; return them, and until when they are still taken."""
        lasting = {each.taken.source: each.agreed.agreement.persist_duration for each in self.versions}
        ended = [each for each in self.taken if each.cpa.cpa_id == cpa_id and each.retired_at is None]
        for each in ended:
            retire(self.settings.agreements, each, at=self.now)
        return [(each, self.now + lasting.get(each.source, timedelta())) for each in ended]


def her_pair(cpa: Cpa) -> frozenset[str]:
    """Return all names of both parties."""
    return frozenset(one.value for party in cpa.parties for one in party.ids)
