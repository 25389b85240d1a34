"""An EPJ, or a citizens' portal, as a process of its own. It knows the HTTP API, and nothing else of the broker.

    python -m broker.demo.simulator --config epj.json

It posts what is laid in its outbox folder, empties its inbox into the ledger, answers with application receipts by
rule, follows the feed and confirms outcomes. No answer means unknown: it asks or posts again, and trusts that nothing
doubles. Killed and started again, it goes on from its ledger. SIGTERM stops it.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp

from broker.demo.ledger import Confirmed, Heard, Judged, Ledger, Posted, Received, Trouble, read_ledger
from broker.lookup.clock import SystemClock

RECEIPT_REQUESTED: Final = "inbox.receipt_requested"
_PAGE = 100
_ANSWER_WITHIN = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the simulator says to one document."""

    status: str = "Ok"  # appRecStatus
    codes: tuple[str, ...] = ()  # list 8221
    details: str = ""  # free text with each code: body data, as an EPJ might write it
    withhold: bool = False  # no verdict until the feed says that the receipt is asked for
    reply: str | None = None  # a file in the drafts folder that is posted when the verdict is given


AT_ONCE: Final = Rule()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a simulator is told when it starts: its config file, as a value."""

    name: str
    api: str  # scheme://host:port of the broker's EPJ door
    token: str = field(repr=False)
    folder: Path  # holds ledger.jsonl, outbox/ and drafts/
    poll: float  # seconds between looks at outbox, inbox and feed
    rules: dict[str, Rule]  # by MsgId of the document received

    @property
    def ledger(self) -> Path:
        """Return the ledger's file."""
        return self.folder / "ledger.jsonl"

    @property
    def outbox(self) -> Path:
        """Return the folder whose *.xml are posted, in the order of their names."""
        return self.folder / "outbox"

    @property
    def drafts(self) -> Path:
        """Return the folder of replies that wait for what they answer."""
        return self.folder / "drafts"


def read_orders(path: Path) -> Orders:
    """Return the orders in a config file (JSON)."""
    given = json.loads(path.read_text("utf-8"))
    rules = {
        msg_id: Rule(**(rule | {"codes": tuple(rule.get("codes", ()))})) for msg_id, rule in given["rules"].items()
    }
    return Orders(**(given | {"folder": Path(given["folder"]), "rules": rules}))


class NoAnswer(Exception):
    """The broker did not answer, or said that it cannot now. What became of the request is unknown."""


class Simulator:
    """One EPJ. Its three jobs run side by side until `stop` is called."""

    def __init__(self, orders: Orders, ledger: Ledger, session: aiohttp.ClientSession, clock: SystemClock) -> None:
        self._orders, self._ledger, self._session, self._clock = orders, ledger, session, clock
        self._stopping = asyncio.Event()
        self._posted: set[str] = set()
        self._unjudged: dict[str, Received] = {}  # stored here, verdict not yet given
        self._received: set[str] = set()
        self._requested: set[str] = set()
        self._offset = self._confirmed = 0

    def remember(self) -> None:
        """Take up where an earlier run stopped."""
        for entry in read_ledger(self._orders.ledger):
            match entry:
                case Posted():
                    self._posted.add(entry.case)
                case Received():
                    self._received.add(entry.item)
                    if entry.owed:
                        self._unjudged[entry.item] = entry
                case Judged():
                    self._unjudged.pop(entry.item, None)
                case Heard():
                    self._note(entry)
                case Confirmed():
                    self._confirmed = entry.through
                case Trouble():
                    pass

    def stop(self) -> None:
        """Finish what is in hand, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Do the three jobs until stopped."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._again(self._empty_outbox), name="outbox")
            jobs.create_task(self._again(self._empty_inbox), name="inbox")
            jobs.create_task(self._again(self._follow_feed), name="feed")

    async def _again(self, job: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            # Without an answer nothing is lost: the ledger says what is done, and the next round asks for the rest.
            with suppress(NoAnswer):
                await job()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._orders.poll)

    # --- out ---

    async def _empty_outbox(self) -> None:
        for path in sorted(self._orders.outbox.glob("*.xml")):
            if path.stem not in self._posted:
                await self._post(path.stem, path.read_bytes())

    async def _post(self, case: str, content: bytes) -> None:
        status, answer = await self._ask("POST", "/api/v1/messages", content=content)
        self._ledger.write(
            Posted(
                at=self._now(),
                case=case,
                sha256=sha256(content).hexdigest(),
                size=len(content),
                status=status,
                id=answer.get("id"),
                msg_id=answer.get("msgId"),
                told_sha256=answer.get("sha256"),
                replayed=bool(answer.get("replayed")),
                error_id=answer.get("errorId"),
                accepted=answer.get("accepted"),
                faults=tuple(fault["rule"] for fault in answer.get("faults", ())),
            )
        )
        self._posted.add(case)

    # --- in ---

    async def _empty_inbox(self) -> None:
        _, answer = await self._ask("GET", f"/api/v1/inbox?unread=true&limit={_PAGE}")
        for item in answer.get("items", ()):
            await self._take(item)
        for received in list(self._unjudged.values()):
            rule = self._orders.rules.get(received.msg_id, AT_ONCE)
            if not rule.withhold or received.item in self._requested:
                await self._judge(received, rule)

    async def _take(self, item: dict[str, Any]) -> None:
        """Store one document here, then say so. In the other order, a crash between the two would lose it."""
        if item["id"] not in self._received:
            content = await self._fetch(item["id"])
            if content is None:
                return
            received = Received(
                at=self._now(),
                item=item["id"],
                msg_id=item["msgId"],
                sender_her=item["senderHerId"],
                receiver_her=item["receiverHerId"],
                sha256=sha256(content).hexdigest(),
                size=len(content),
                owed=item["appRecOwed"],
            )
            self._ledger.write(received)
            self._received.add(received.item)
            if received.owed:
                self._unjudged[received.item] = received
        await self._expect(204, "POST", f"/api/v1/inbox/{item['id']}/stored")

    async def _judge(self, received: Received, rule: Rule) -> None:
        verdict = {
            "appRecStatus": rule.status,
            "appRecErrorList": [{"errorCode": code, "details": rule.details} for code in rule.codes],
        }
        answer = await self._expect(202, "POST", f"/api/v1/inbox/{received.item}/apprec", json_body=verdict)
        # A refused verdict is in the ledger as trouble; asking again would only repeat it.
        del self._unjudged[received.item]
        if answer is None:
            return
        if rule.reply is not None:
            _move(self._orders.drafts / rule.reply, self._orders.outbox / rule.reply)
        self._ledger.write(
            Judged(
                at=self._now(),
                item=received.item,
                msg_id=received.msg_id,
                status=rule.status,
                codes=rule.codes,
                replayed=bool(answer.get("replayed")),
            )
        )

    # --- the feed ---

    async def _follow_feed(self) -> None:
        while True:
            _, answer = await self._ask("GET", f"/api/v1/events?after={self._offset}&limit={_PAGE}")
            events = answer.get("events", ())
            for event in events:
                heard = Heard(
                    at=self._now(),
                    offset=event["offset"],
                    type=event["type"],
                    msg_id=event.get("msgId"),
                    item=event.get("itemId"),
                    error_id=event.get("errorId"),
                    codes=tuple(event.get("codes") or ()),
                )
                self._ledger.write(heard)
                self._note(heard)
            if len(events) < _PAGE:
                break
        if self._offset > self._confirmed:
            await self._confirm(self._offset)

    def _note(self, heard: Heard) -> None:
        self._offset = max(self._offset, heard.offset)
        if heard.type == RECEIPT_REQUESTED and heard.item is not None:
            self._requested.add(heard.item)

    async def _confirm(self, through: int) -> None:
        answer = await self._expect(200, "POST", "/api/v1/events/confirm", json_body={"through": through})
        if answer is not None:
            self._confirmed = through
            self._ledger.write(Confirmed(at=self._now(), through=through, count=answer["confirmed"]))

    # --- HTTP ---

    async def _expect(
        self, status: int, method: str, path: str, *, json_body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Return the answer where it has the status it should have; else write the trouble down and return None."""
        content = None if json_body is None else json.dumps(json_body).encode()
        got, answer = await self._ask(method, path, content=content, content_type="application/json")
        if got == status:
            return answer
        self._ledger.write(
            Trouble(at=self._now(), where=f"{method} {path}", status=got, error_id=answer.get("errorId"))
        )
        return None

    async def _ask(
        self, method: str, path: str, *, content: bytes | None = None, content_type: str = "application/xml"
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON of an answer. Raises NoAnswer for none, and for 5xx."""
        headers = {} if content is None else {"Content-Type": content_type}
        try:
            async with self._session.request(method, path, data=content, headers=headers) as answer:
                body = await answer.read()
                if answer.status >= 500:
                    raise NoAnswer(answer.status)
                return answer.status, json.loads(body) if body else {}
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise NoAnswer from error

    async def _fetch(self, item: str) -> bytes | None:
        """Return the document of an inbox item, whole; None, with the trouble written down, where it is not given."""
        path = f"/api/v1/inbox/{item}/document"
        try:
            async with self._session.get(path) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer from error
        if answer.status >= 500:
            raise NoAnswer(answer.status)
        if answer.status == 200:
            return content
        self._ledger.write(Trouble(at=self._now(), where=f"GET {path}", status=answer.status))
        return None

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds")


def _move(draft: Path, to: Path) -> None:
    """Lay a reply in the outbox. After a crash it may lie there already."""
    if draft.exists():
        draft.rename(to)


async def simulate(orders: Orders) -> None:
    """Run one simulator until SIGTERM or SIGINT."""
    headers = {"Authorization": f"Bearer {orders.token}"}
    for folder in (orders.outbox, orders.drafts):
        folder.mkdir(parents=True, exist_ok=True)
    with Ledger(orders.ledger) as ledger:
        async with aiohttp.ClientSession(orders.api, headers=headers, timeout=_ANSWER_WITHIN) as session:
            simulator = Simulator(orders, ledger, session, SystemClock())
            simulator.remember()
            loop = asyncio.get_running_loop()
            for stop_signal in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(stop_signal, simulator.stop)
            await simulator.run()


def main() -> int:
    """Run the simulator that `--config FILE` describes."""
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.stderr.write("usage: python -m broker.demo.simulator --config FILE\n")
        return 2
    asyncio.run(simulate(read_orders(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
