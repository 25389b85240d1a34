"""What the demo shows: a live table on a terminal, plain lines elsewhere, and the table at the end."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from broker.demo.cases import UNITS, Case
from broker.demo.questions import Way
from broker.demo.verdict import Asked, Told
from broker.message import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One line of the table at the end."""

    case: Case
    told: Told
    asked: Asked
    complaints: tuple[str, ...]


_HEADINGS = (
    Text(nb="Melding", en="Message"),
    Text(nb="Vei", en="Way"),
    Text(nb="Forsøk", en="Attempts"),
    Text(nb="Transportkvittering", en="Acknowledgment"),
    Text(nb="Applikasjonskvittering", en="AppRec"),
    Text(nb="Tid", en="Time"),
    Text(nb="Som den skal", en="As it should"),
)
_STANDS = Text(nb="Hvor den står", en="Where it stands")
_REFUSED = Text(nb="avvist i døra", en="refused at the door")
_NOT_POSTED = Text(nb="ikke sendt fra EPJ ennå", en="not posted yet")
_YES, _NO = Text(nb="ja", en="yes"), Text(nb="NEI", en="NO")
_TITLE = Text(
    nb="Tatt fra simulatorenes egne journaler, holdt opp mot svarene fra meglerne på begge sider",
    en="Taken from the simulators' own ledgers, and held against the answers of the brokers on both sides",
)


class Screen:
    """The demo's voice. Norwegian where the environment asks for it (LANG=nb_NO...), else English."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._norwegian = os.environ.get("LC_ALL", os.environ.get("LANG", "")).lower().startswith(("nb", "no", "nn"))
        self._live: Live | None = None
        self._last: dict[str, str] = {}

    def word(self, text: Text) -> str:
        """Return the text in the reader's language."""
        return text.nb if self._norwegian else text.en

    def say(self, nb: str, en: str) -> None:
        """Say one sentence, above the live table where there is one."""
        self.console.print(nb if self._norwegian else en, markup=False)

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, cases: Sequence[Case], ways: dict[str, Way | None]) -> None:
        """Show where each case stands now. Without a terminal, only what has changed."""
        if self._live is not None:
            self._live.update(self._standing(cases, ways))
            return
        for case in cases:
            stands = self._stands(case, ways)
            if self._last.get(case.name) != stands:
                self._last[case.name] = stands
                self.console.print(f"  {case.name}: {stands}", markup=False)

    def end(self, ended: Sequence[Ended]) -> None:
        """Show the table at the end, and every complaint below it."""
        table = Table(title=self.word(_TITLE), title_justify="left", show_lines=False)
        for heading in _HEADINGS:
            table.add_column(self.word(heading), overflow="fold")
        for one in ended:
            table.add_row(*(escape(cell) for cell in self._cells(one)))
        self.console.print(table)
        for one in ended:
            for complaint in one.complaints:
                self.console.print(f"{one.case.name}: {complaint}", markup=False, style="bold red")

    def _standing(self, cases: Sequence[Case], ways: dict[str, Way | None]) -> Table:
        table = Table()
        for heading in (*_HEADINGS[:2], _STANDS):
            table.add_column(self.word(heading), overflow="fold")
        for case in cases:
            table.add_row(escape(self.word(case.title)), _route(case), escape(self._stands(case, ways)))
        return table

    def _stands(self, case: Case, ways: dict[str, Way | None]) -> str:
        if case.name not in ways:
            return self.word(_NOT_POSTED)
        way = ways[case.name]
        return self.word(_REFUSED) if way is None else f"{way.stop_point}  {self.word(way.sentence)}"

    def _cells(self, one: Ended) -> tuple[str, ...]:
        way = one.asked.way
        return (
            self.word(one.case.title),
            _route(one.case),
            str(len(one.asked.attempts)) if way else "–",
            way.transport if way else "–",
            " ".join((way.apprec or "–", *way.codes)) if way else self.word(_REFUSED),
            _seconds(one.told.took),
            self.word(_NO if one.complaints else _YES),
        )


def _route(case: Case) -> str:
    return f"{UNITS[case.sender].organisation_name} → {UNITS[case.receiver].organisation_name}"


def _seconds(took: timedelta | None) -> str:
    return "–" if took is None else f"{took.total_seconds():.1f} s"
