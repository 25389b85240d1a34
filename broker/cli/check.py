"""`broker addresses check`: the records as the broker would read them, and what is to be said of them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker import telemetry
from broker.cli.words import Language, say
from broker.config import Settings
from broker.errors import Misconfigured, Unaddressable
from broker.lookup.address_files import AddressFiles
from broker.lookup.agreement_files import AgreementFiles
from broker.lookup.anchors import read_anchors
from broker.lookup.clock import SystemClock
from broker.lookup.process_files import ProcessFiles
from broker.lookup.shipped import shipped
from broker.routing.choose import CERTIFICATE_NOT_TRUSTED
from broker.routing.findings import Finding, assumed_ours, findings
from broker.routing.party import Directory, Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All records of a folder at one time."""

    directory: Directory
    problems: tuple[Misconfigured, ...]  # files that can't be read, or do not fit the others
    findings: tuple[Finding, ...]
    at: datetime

    @classmethod
    def of_folder(cls, folder: Path) -> "Checked":
        """Check a folder by itself, with the processes that come with the broker."""
        telemetry.configure("critical")  # what is wrong is printed here; log lines would only be in the way
        return cls._of(AddressFiles(folder), ProcessFiles(shipped("processes")), None)

    @classmethod
    def of_settings(cls, settings: Settings) -> "Checked":
        """Check the folder of a broker, knowing who is hosted. Raises Misconfigured for process files and roots."""
        telemetry.configure("critical")
        files, processes = address_files(settings)
        return cls._of(files, processes, frozenset(settings.hosted))

    @classmethod
    def _of(cls, files: AddressFiles, processes: ProcessFiles, ours: frozenset[int] | None) -> "Checked":
        at, alone = SystemClock().now(), ours is None
        names = processes.current().by_name
        try:
            directory = files.current()
        except Unaddressable:
            directory, ours = Directory(parties={}, complete=False), frozenset()
        found = findings(
            directory, ours=assumed_ours(directory) if ours is None else ours, processes=names.keys(), at=at
        )
        if alone:  # the roots stand in the settings: without them a path can't be judged
            found = tuple(each for each in found if each.error_id != CERTIFICATE_NOT_TRUSTED)
        return cls(directory=directory, problems=files.problems, findings=found, at=at)

    @property
    def bad(self) -> bool:
        """Say whether anything would stop a message."""
        return bool(self.problems) or any(finding.problem for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            "records": [
                {
                    "herId": party.her_id,
                    "name": party.name,
                    "kind": party.kind,
                    "active": party.active,
                    "parent": party.parent,
                    "source": party.source,
                    "agreements": [agreement.ours for agreement in party.agreements],
                    "trust": self.directory.trust(party.her_id),
                    "switches": sorted(party.switches),
                    "signingDaysLeft": self.days_left(party, signing=True),
                    "encryptionDaysLeft": self.days_left(party, signing=False),
                }
                for _, party in sorted(self.directory.parties.items())
            ],
            "files": [{"where": problem.where, "why": problem.why, "hint": problem.hint} for problem in self.problems],
            "findings": [
                {
                    "herId": finding.her_id,
                    "problem": finding.problem,
                    "errorId": finding.error_id,
                    "text": {"nb": finding.text.nb, "en": finding.text.en},
                }
                for finding in self.findings
            ],
        }

    def days_left(self, party: Party, *, signing: bool) -> int | None:
        """Return whole days until the last of the party's certificates ends, its parent's where it has none."""
        her = party.her_id
        held = self.directory.signing(her) if signing else self.directory.encryption(her)
        return max(((each.not_valid_after_utc - self.at).days for each in held), default=None)


def address_files(settings: Settings) -> tuple[AddressFiles, ProcessFiles]:
    """Return the records of a broker, its agreements over them. Raises Misconfigured for process files and roots."""
    processes = ProcessFiles(settings.processes)
    agreements = AgreementFiles(
        settings.agreements, hosted=settings.hosted, processes=processes.current, clock=SystemClock()
    )
    anchors = read_anchors(settings.trust.roots, settings.trust.intermediates)
    return AddressFiles(settings.addresses, anchors, agreements=agreements), processes


def show_checked(checked: Checked, console: Console, language: Language) -> None:
    """Print the records, then what is wrong, then what is worth knowing."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("HER-id", "name", "kind", "agreements", "left"):
        table.add_column(column if column == "HER-id" else say(column, language))
    for her, party in sorted(checked.directory.parties.items()):
        left = [checked.days_left(party, signing=True), checked.days_left(party, signing=False)]
        table.add_row(
            str(her),
            escape(party.name),
            party.kind,
            str(len(party.agreements)),
            " / ".join("-" if days is None else str(days) for days in left),
            style="" if party.active else "dim",
        )
    console.print(table)
    for problem in checked.problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        console.print(f"[bold red]{say('problem', language)}[/]  {escape(problem.why + hint)}")
    for finding in sorted(checked.findings, key=lambda each: not each.problem):
        word = f"[bold red]{say('problem', language)}[/]" if finding.problem else say("note", language)
        text = finding.text.nb if language == "nb" else finding.text.en
        party_name = (
            checked.directory.parties[finding.her_id].name if finding.her_id in checked.directory.parties else ""
        )
        error = f"  {finding.error_id}" if finding.error_id else ""
        console.print(f"{word}  {finding.her_id} {escape(party_name)}: {escape(text)}{error}")
    if not checked.problems and not checked.findings:
        console.print(say("none", language))
