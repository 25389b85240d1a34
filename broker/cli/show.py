"""How journeys and queues look in a terminal. Colours are for terminals alone, and NO_COLOR is kept: rich does both."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.cli.words import Language, say
from broker.diagnosis.standing import STOP_POINTS
from broker.lifecycle import StopPoint

Json = Mapping[str, Any]
_ALIKE = 3  # rows in a run that differ in their time alone: of more, the middle ones are counted
_WIDE = 140  # columns: below, a queue shows what one needs to go on and no more


class Show:
    """One console in one language."""

    def __init__(self, console: Console, language: Language) -> None:
        self._console, self._language = console, language

    def journeys(self, found: Sequence[Json]) -> None:
        """Print each message with its stop-points, the sentence, its events and attempts."""
        for number, message in enumerate(found):
            if number:
                self._console.rule()
            self._journey(message)

    def traces(self, found: Sequence[Json]) -> None:
        """Print each message with its stop-points and the sentence alone."""
        for number, message in enumerate(found):
            if number:
                self._console.rule()
            self._way(message)

    def queue(self, waiting: Sequence[Json]) -> None:
        """Print what is not finished, one line each, and the sentence of what waits for a person."""
        if not waiting:
            self._console.print(self._say("nothing"))
            return
        columns = ("message", "to", "stop", "error", "ball", "next", "type", "since")
        shown = columns if self._console.width >= _WIDE else columns[:6]
        table = self._table(*shown)
        if shown is not columns:
            table.padding = 0  # six columns, and each of them whole
        for each in waiting:
            wide = f" {escape(str(each['receiverName']))}" if shown is columns else ""
            cells = (
                escape(str(each["messageId"])),
                f"{each['receiverHerId']}{wide}",
                str(each["stopPoint"]),
                str(each["errorId"] or ""),
                self._say(f"ball.{each['ball']}"),
                _time(each["nextAttemptAt"])[0 if wide else -8 :],
                escape(str(each["type"])),
                _time(each["receivedAt"]),
            )
            table.add_row(*cells[: len(shown)], style="bold red" if each["ball"] == "person" else "")
        self._console.print(table)
        told = {
            (each["receiverHerId"], each["errorId"]): each
            for each in reversed(waiting)
            if each["ball"] == "person" and each["act"]
        }
        for each in told.values():
            self._console.print(f"[bold]{each['errorId'] or ''}[/] {escape(self._text(each['sentence']))}")
            self._console.print(f"  {self._say('act')}: {escape(self._text(each['act']))}")

    def _way(self, message: Json) -> None:
        way = self._say(message["direction"])
        self._console.print(
            f"[bold]{self._say('message')} {message['id']}[/]  {way}  {escape(str(message['type']))}"
            f"  {escape(str(message['process']))}/{escape(str(message['function']))}"
        )
        self._console.print(f"MsgId {escape(str(message['msgId']))}   {message['size']} B")
        self._console.print(f"sha256 {message['sha256']}")
        sender = f"{message['senderHerId']} {escape(str(message['senderName']))}"
        self._console.print(f"{self._say('from')} {sender}   {_time(message['receivedAt'])}")
        for receiver in message["receivers"]:
            self._receiver(message, receiver)

    def _journey(self, message: Json) -> None:
        self._way(message)
        if said := message.get("revocation"):
            each = ", ".join(f"{one['source'].upper()} {_time(one['fetchedAt'])}" for one in said)
            self._console.print(f"\n{self._say('revocation')}: {each}")
        self._rows(
            "events",
            ("at", "event", "stop", "error"),
            [
                (
                    _time(event["at"]),
                    " ".join(
                        str(each) for each in (event["type"], *event["codes"], event["why"], _actor(event)) if each
                    ),
                    event["stopPoint"] or "",
                    event["errorId"] or "",
                )
                for event in message["events"]
            ],
        )
        self._rows(
            "attempts",
            ("at", "endpoint", "http", "result", "error"),
            [
                (
                    _time(attempt["startedAt"]),
                    attempt["endpoint"],
                    str(attempt["httpStatus"] or ""),
                    attempt["result"],
                    attempt["errorId"] or "",
                )
                for attempt in message["attempts"]
            ],
        )

    def _receiver(self, message: Json, receiver: Json) -> None:
        self._console.print(
            f"\n[bold]{self._say('to')} {receiver['receiverHerId']} {escape(str(receiver['receiverName']))}[/]"
        )
        states = (
            ("transport", receiver.get("transportDeliveryState")),
            ("receipt", receiver.get("receiptState") or receiver.get("appRecStatus")),
            ("outcome", receiver.get("outcome") or receiver.get("state")),
            ("codes", " ".join(f"{code['errorCode']} {code['text']}" for code in receiver.get("codes", ()))),
        )
        told = "   ".join(f"{self._say(key)} {escape(str(state))}" for key, state in states if state)
        self._console.print(f"  {told}")
        reached = StopPoint(receiver["stopPoint"])
        times = _passed(message, receiver)
        for point in StopPoint:
            if point.value[0] == reached.value[0]:
                mark, style = ("●", "green") if point <= reached else ("○", "dim")
                label = self._text({"nb": STOP_POINTS[point].nb, "en": STOP_POINTS[point].en})
                self._console.print(f"  {mark} {point} {label}  {times.get(point, '')}".rstrip(), style=style)
        self._console.print(f"  {escape(self._text(receiver['sentence']))}", style="bold")
        if receiver["act"]:
            self._console.print(f"  {self._say('act')}: {escape(self._text(receiver['act']))}")
        if receiver.get("alike"):
            self._console.print(f"  {receiver['alike']} {self._say('alike')}: broker problem {receiver['problem']}")

    def _rows(self, title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
        """Print rows that begin with a time. Of many that differ in it alone, the first and the last stand there."""
        if not rows:
            return
        table = self._table(*columns)
        for _, run in groupby(rows, key=lambda row: row[1:]):
            alike = list(run)
            if len(alike) > _ALIKE:
                more = self._say("more").format(count=len(alike) - 2)
                alike = [alike[0], ("", f"  {more}", *[""] * (len(columns) - 2)), alike[-1]]
            for row in alike:
                table.add_row(*map(escape, row))
        self._console.print(f"\n[bold]{self._say(title)}[/]")
        self._console.print(table)

    def _table(self, *columns: str) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            # An id must stay whole: it is what one copies.
            table.add_column(self._say(column), no_wrap=column in ("message", "at", "stop", "error", "number", "ball"))
        return table

    def _text(self, text: Json) -> str:
        return str(text[self._language])

    def _say(self, key: str) -> str:
        return say(key, self._language)


def is_problem(receiver: Json) -> bool:
    """Say whether a delivery waits for a person."""
    return receiver.get("ball") == "person" and receiver.get("outcome", "open") == "open"


def _actor(event: Json) -> str:
    """Return who of our own people did it, where one did."""
    return f"({event['actor']})" if event["actor"] else ""


def _passed(message: Json, receiver: Json) -> Mapping[str, str]:
    """Return when each stop-point was first passed on the way to this receiver, where an event says so."""
    times: dict[str, str] = {point: _time(message["receivedAt"]) for point in (StopPoint.K1, StopPoint.M1)}
    for event in message["events"]:
        # What is not said of one receiver is said of all.
        mine = event["deliveryId"] in (None, receiver.get("deliveryId")) and event["stopPoint"]
        if mine:
            times.setdefault(event["stopPoint"], _time(event["at"]))
    # A partner that acknowledges in the HTTP answer leaves no event of its own for K5: its try is what handed it over.
    for attempt in message["attempts"]:
        if attempt["deliveryId"] == receiver.get("deliveryId") and attempt["result"] != "failed":
            times.setdefault(StopPoint.K5, _time(attempt["startedAt"]))
    return times


def _time(text: str | None) -> str:
    """Return an instant in this machine's own time, to the second."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else ""
