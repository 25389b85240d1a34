"""What the demo shows: a live table on a terminal, plain lines elsewhere, and the table at the end."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from broker.cli.words import language
from broker.demo.cases import DALBYGDA, FJORDVIK, PORTAL, Case
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


_WIDE = 132  # where there is no terminal whose width could be asked for
_MESSAGE, _WAY = Text(nb="Melding", en="Message"), Text(nb="Vei", en="Way")
_STANDS = Text(nb="Hvor den står", en="Where it stands")
_RESULTS = (
    Text(nb="Forsøk", en="Tries"),
    Text(nb="Ack", en="Ack"),
    Text(nb="AppRec", en="AppRec"),
    Text(nb="Tid", en="Time"),
    Text(nb="Rett", en="Right"),
)
_NAMES = {FJORDVIK: "Fjordvik", DALBYGDA: "Dalbygda", PORTAL: "Portalen"}
_REFUSED = Text(nb="avvist i døra", en="refused at the door")
_NOT_POSTED = Text(nb="ikke sendt fra EPJ ennå", en="not posted yet")
_YES, _NO = Text(nb="ja", en="yes"), Text(nb="NEI", en="NO")
_TITLE = Text(
    nb="Tatt fra simulatorenes egne journaler, holdt opp mot svarene fra meglerne på begge sider",
    en="Taken from the simulators' own ledgers, and held against the answers of the brokers on both sides",
)


class Screen:
    """The demo's voice: bokmål on a Norwegian system, else English, as all of the command line."""

    def __init__(self, console: Console | None = None, environment: Mapping[str, str] = os.environ) -> None:
        self.console = console or Console(highlight=False)
        if console is None and not self.console.is_terminal and "COLUMNS" not in environment:
            self.console = Console(highlight=False, width=_WIDE)
        self._norwegian = language(environment) == "nb"
        self._live: Live | None = None
        self._last: dict[str, object] = {}

    def word(self, text: Text) -> str:
        """Return the text in the reader's language."""
        return text.nb if self._norwegian else text.en

    def say(self, nb: str, en: str) -> None:
        """Say one sentence, above the live table where there is one."""
        self.console.print(nb if self._norwegian else en, markup=False, soft_wrap=True)

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
            way = ways.get(case.name)
            mark = (way.stop_point, way.error_id, way.outcome) if way else case.name in ways
            if self._last.get(case.name, False) != mark:
                self._last[case.name] = mark
                self.console.print(f"  {case.name}: {self._stands(case, ways)}", markup=False, soft_wrap=True)

    def end(self, ended: Sequence[Ended]) -> None:
        """Show the table at the end, and every complaint below it."""
        table = self._table(*_RESULTS)
        table.title, table.title_justify = self.word(_TITLE), "left"
        for one in ended:
            table.add_row(*(escape(cell) for cell in self._cells(one)))
        self.console.print(table)
        for one in ended:
            for complaint in one.complaints:
                self.console.print(f"{one.case.name}: {complaint}", markup=False, style="bold red")

    def _table(self, *headings: Text) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column(self.word(_MESSAGE), overflow="fold")
        table.add_column(self.word(_WAY), no_wrap=True)
        for heading in headings:
            table.add_column(self.word(heading))
        return table

    def _standing(self, cases: Sequence[Case], ways: dict[str, Way | None]) -> Table:
        table = self._table(_STANDS)
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
            _acknowledged(way),
            " ".join((way.apprec or "–", *way.codes)) if way else self.word(_REFUSED),
            _seconds(one.told.took),
            self.word(_NO if one.complaints else _YES),
        )


def _route(case: Case) -> str:
    return f"{_NAMES[case.sender]} → {_NAMES[case.receiver]}"


def _acknowledged(way: Way | None) -> str:
    if way is None:
        return "–"
    return "ok" if way.transport == "Acknowledged" else way.transport


def _seconds(took: timedelta | None) -> str:
    return "–" if took is None else f"{took.total_seconds():.1f} s"
