"""How status, problems, ages, partners, events and the catalogue look in a terminal, at 80 columns and at 200."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from broker.cli.grid import grid
from broker.cli.words import Language, say, span
from broker.diagnosis.causes import Cause
from broker.diagnosis.standing import STOP_POINTS
from broker.lifecycle import StopPoint

Json = Mapping[str, Any]

_WIDE: Final = 110  # columns from which a cause has a column of its own
# An id must stay whole: it is what one copies.
_WHOLE: Final = {"problem.of", "message", "at", "since", "number", "count", "oldest", "next", "error", "took", "http"}
_NUMBERS: Final = {"count", "open", "troubled", "took", "number"}


class Overview:
    """One console in one language, at one moment."""

    def __init__(self, console: Console, language: Language, now: datetime) -> None:
        self._console, self._language, self._now = console, language, now

    def status(self, told: Json) -> None:
        """Print the one screen."""
        runs = self._say("running" if told["running"] else "not.running")
        self._line(f"[bold]DigiHelse {told['version']}[/]   {runs}   {_time(told['at'])}")
        person = told["needPerson"]
        style = "bold red" if person else "green"
        self._line(
            f"{self._say('open')} [bold]{told['open']}[/]   {self._say('oldest')} {self._age(told['oldestAt'])}"
            f"   {self._say('next')} {self._until(told['nextAttemptAt'])}   [{style}]{self._say('person')} {person}[/]"
        )
        self._pairs("ball.at", [(f"ball.{ball}", str(count)) for ball, count in told["balls"].items()])
        self._pairs("last.hour", [(name, str(count)) for name, count in told["lastHour"].items()])
        self._pairs("last", [(name, self._ago(at)) for name, at in told["last"].items()])
        for each in told["uncollected"]:
            words = self._say(f"uncollected.{each['stopPoint']}")
            self._line(
                f"{each['count']} {words} {escape(_who(each))}, {self._say('oldest')} {self._age(each['oldestAt'])}"
            )
        free, total = told["disk"]["free"], told["disk"]["total"]
        self._line(f"{self._say('disk')}: {_bytes(free, self._language)} {self._say('free')} ({100 * free // total} %)")
        if told["closedLanes"]:
            self._line(f"{self._say('closed.lanes')}: {'; '.join(escape(_who(each)) for each in told['closedLanes'])}")
        self.problems(told["problems"])
        more = told["problemCount"] - len(told["problems"])
        if more > 0:
            self._line(f"{more} {self._say('more')}: broker problems")

    def problems(self, found: Sequence[Json]) -> None:
        """Print the problems, one row each, and what a person must do about those that wait for one."""
        if not found:
            self._line(self._say("calm"))
            return
        wide = self._console.width >= _WIDE
        columns = ("partner", "cause") if wide else ("cause",)
        rows = [
            (
                each["id"],
                *((_who(each), self._text(each["cause"])) if wide else (f"{_who(each)}\n{self._text(each['cause'])}",)),
                str(each["count"]),
                self._age(each["oldestAt"]),
                self._until(each["nextAttemptAt"]),
                self._say(f"ball.{each['ball']}"),
            )
            for each in found
        ]
        marked = [each["ball"] == "person" for each in found]
        self._table(("problem.of", *columns, "count", "oldest", "next", "ball"), rows, marked)
        acts = {each["errorId"]: each["act"] for each in found if each["ball"] == "person" and each["act"]}
        for error_id, act in acts.items():
            self._line(f"[bold]{error_id}[/] {self._say('act')}: {escape(self._text(act))}")

    def problem(self, told: Json) -> None:
        """Print one problem, and the messages that stand in it."""
        point = StopPoint(told["stopPoint"])
        label = STOP_POINTS[point]
        where = label.nb if self._language == "nb" else label.en
        self._line(f"[bold]{self._say('problem.of')} {told['id']}[/]   {told['count']} {self._say('messages')}")
        self._line(f"{point} {where}   {escape(_who(told))}")
        self._line(f"{self._say('cause')}: {told['errorId'] or '-'} {escape(self._text(told['cause']))}")
        self._line(
            f"{self._say('oldest')} {self._age(told['oldestAt'])}   {self._say('next')}"
            f" {self._until(told['nextAttemptAt'])}   {self._say('ball')}: {self._say('ball.' + told['ball'])}"
        )
        if told["act"]:
            self._line(f"{self._say('act')}: {escape(self._text(told['act']))}")
        if not told["messages"]:
            return
        self._line(f"\n{escape(self._text(told['messages'][0]['sentence']))}")
        rows = [
            (each["messageId"], str(each["type"]), _time(each["receivedAt"]), self._until(each["nextAttemptAt"]))
            for each in told["messages"]
        ]
        self._table(("message", "type", "since", "next"), rows)

    def attempts(self, found: Sequence[Json]) -> None:
        """Print every try of each message, with how long it took."""
        for message in found:
            self._line(f"[bold]{self._say('message')} {message['id']}[/]   MsgId {escape(str(message['msgId']))}")
            if not message["attempts"]:
                self._line(self._say("no.attempts"))
                continue
            rows = [
                (
                    str(each["number"]),
                    _time(each["startedAt"]),
                    _took(each),
                    str(each["httpStatus"] or ""),
                    each["result"],
                    each["errorId"] or "",
                    each["endpoint"],
                )
                for each in message["attempts"]
            ]
            self._table(("number", "at", "took", "http", "result", "error", "endpoint"), rows)

    def shape(self, rows: Sequence[Json]) -> None:
        """Print how old what is open is, by counterpart, with the sums first."""
        if not rows:
            self._line(self._say("nothing"))
            return
        ages = [each["within"] for each in rows[0]["ages"]]
        heads = [span(within, self._language) if within else self._say("age.above") for within in ages]
        heads = [head.removesuffix("0m").removesuffix("0t").removesuffix("0h") or head for head in heads]
        sums = [sum(row["ages"][place]["count"] for row in rows) for place in range(len(ages))]
        cells = [(self._say("total").upper(), str(sum(sums)), *map(str, sums))]
        cells += [(_who(row), str(row["total"]), *(str(each["count"]) for each in row["ages"])) for row in rows]
        numbers = range(1, len(heads) + 2)
        self._print((self._say("partner"), self._say("total"), *heads), cells, right=numbers, whole=numbers)

    def partners(self, rows: Sequence[Json]) -> None:
        """Print every counterpart that we have sent to or heard from."""
        if not rows:
            self._line(self._say("none"))
            return
        lanes = {"open": self._say("open.lane"), "closed": self._say("closed"), "held": self._say("held"), None: "?"}
        cells = [
            (
                _who(row),
                str(row["open"]),
                str(row["troubled"]),
                self._age(row["oldestAt"]),
                self._ago(row["lastAcknowledgedAt"]),
                self._ago(row["lastHeardAt"]),
                lanes[row["lane"]],
            )
            for row in rows
        ]
        marked = [row["lane"] in ("closed", "held") for row in rows]
        self._table(("partner", "open", "troubled", "oldest", "last.acknowledged", "heard", "lane"), cells, marked)
        for row in rows:
            for each in row.get("exceptions", ()):
                used = f"{each['uses']} {self._say('uses')}"
                self._line(f"{escape(_who(row))}: {escape(self._text(each['text']))}, {used}")

    def event(self, told: Json) -> None:
        """Print one event as one line, whole whatever the width."""
        parts = (
            _time(told["at"]),
            str(told["offset"]),
            told["type"],
            told["messageId"],
            f"{self._say('to')} {told['counterpartHerId']}" if told["counterpartHerId"] else None,
            told["stopPoint"],
            told["errorId"],
            *told["codes"],
            told["why"],
            f"({told['actor']})" if told["actor"] else None,
        )
        self._console.print(escape("  ".join(str(part) for part in parts if part)), soft_wrap=True)

    def explain(self, causes: Sequence[Cause]) -> None:
        """Print one entry of the catalogue whole, or many as a table."""
        if len(causes) == 1:
            (one,) = causes
            self._line(f"[bold]{one.id}[/] {escape(self._text({'nb': one.name.nb, 'en': one.name.en}))}")
            self._line(f"{self._say('ball')}: {self._say(f'ball.{one.ball}')}")
            self._line(f"{self._say('act')}: {escape(self._text({'nb': one.act.nb, 'en': one.act.en}))}")
            return
        rows = [
            (each.id, each.name.nb if self._language == "nb" else each.name.en, self._say(f"ball.{each.ball}"))
            for each in causes
        ]
        self._table(("error", "cause", "ball"), rows)

    def _pairs(self, title: str, pairs: Sequence[tuple[str, str]]) -> None:
        line = f"{self._say(title)}:"
        for place, (name, value) in enumerate(pairs):
            pair = f"{self._say(name)} {value}"
            if len(line) + 3 + len(pair) > self._console.width:
                self._line(line)
                line = " "
            line += f"   {pair}" if place else f" {pair}"
        self._line(line)

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> None:
        """Print rows under the words of `columns`; those that are marked need a person."""
        whole = [place for place, column in enumerate(columns) if column in _WHOLE]
        right = [place for place, column in enumerate(columns) if column in _NUMBERS]
        self._print([self._say(column) for column in columns], rows, right=right, whole=whole, marked=marked)

    def _print(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Collection[int],
        whole: Collection[int],
        marked: Sequence[bool] = (),
    ) -> None:
        lines = grid(heads, rows, width=self._console.width, right=right, whole=whole)
        self._console.print(next(lines), style="bold", markup=False, soft_wrap=True)
        for line, mark in zip_longest(lines, marked, fillvalue=False):
            self._console.print(line, style="bold red" if mark else "", markup=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        self._console.print(text)

    def _age(self, at: str | None) -> str:
        """Return how long ago, or a dash."""
        return span((self._now - datetime.fromisoformat(at)).total_seconds(), self._language) if at else "-"

    def _ago(self, at: str | None) -> str:
        return self._age(at) if at else self._say("never")

    def _until(self, at: str | None) -> str:
        if not at:
            return "-"
        left = (datetime.fromisoformat(at) - self._now).total_seconds()
        return self._say("now") if left <= 0 else span(left, self._language)

    def _text(self, text: Json) -> str:
        return str(text[self._language])

    def _say(self, key: str) -> str:
        return say(key, self._language)


def _who(of: Json) -> str:
    return f"{of['herId']} {of['name']}"


def _took(attempt: Json) -> str:
    span = datetime.fromisoformat(attempt["endedAt"]) - datetime.fromisoformat(attempt["startedAt"])
    return f"{span.total_seconds():.1f}s"


def _time(text: str) -> str:
    """Return an instant in this machine's own time, to the second."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def _bytes(count: int, language: Language) -> str:
    told = f"{count / 1e9:.1f} GB"
    return told.replace(".", ",") if language == "nb" else told
