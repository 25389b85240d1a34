"""Forgeries against the real stories: `make forgery` prints, for each, the layer that refused it.

Each is a valid message, Acknowledgment, MessageError or AppRec with one change, given to the broker that it is meant
for. It must be refused by the layer that is named, with a reason written down, no word of receipt, and nothing in the
store moved; and the unchanged original must be accepted by the same harness. SABOTAGE=name plants one of SABOTAGES;
the harness must then be red.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from broker import inbound, telemetry
from broker.envelope import ebms_parse, signature
from broker.envelope.names import ds, eb
from broker.errors import NotTrusted
from broker.lifecycle import Outcome, Receipt, Transport
from broker.message import Answer as HttpAnswer
from broker.message import EventKind
from broker.ports import TransportReply
from broker.receipts import acknowledgment, signals
from broker.routing import choose
from broker.routing.party import Directory
from broker.store.reads import SqliteReads
from tests.scenario import scenes
from tests.scenario.forge import Draft, take
from tests.scenario.forged_messages import CASES as MESSAGES
from tests.scenario.forged_receipts import ACKNOWLEDGMENTS, ANSWERS, MESSAGE_ERRORS, RECEIPTS
from tests.scenario.forged_receipts import Answer as ForgedAnswer
from tests.scenario.forged_signatures import CASES as SIGNATURES
from tests.scenario.pair import Caught, Pair, dialogue, pair
from tests.scenario.scenes import Case, Scene, message_error
from tests.scenario.witness import Witness, differences, dump, events_after, watching

FLOOR_CASES = 130
FLOOR_VERIFIED = 60
FLOOR_CONTROLS = 10
REASONS = (EventKind.SECURITY, EventKind.INBOUND_REJECTED, EventKind.RECEIPT_UNMATCHED, EventKind.RECEIPT_CONTRADICTS)


@dataclass
class Report:
    """What was executed, and what went wrong."""

    rows: list[tuple[str, str, bool]] = field(default_factory=list)  # case, layer, whether a signature was looked at
    controls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def verified(self) -> int:
        return sum(looked for _, _, looked in self.rows)


PARTS = ("messages", "acknowledgments", "message-errors", "receipts", "answers")


async def run(folder: Path, parts: Sequence[str] = PARTS) -> Report:
    """Execute every case and every control of these parts."""
    report = Report()
    with watching() as seen:
        for name in parts:
            if name in _PLAN:
                scene, cases = _PLAN[name]
                async with scene(folder / name) as ready:
                    await _scene(ready, cases, report, seen)
            else:
                await _answers(folder / name, report, seen)
    return report


_PLAN: Mapping[str, tuple[Callable[[Path], AbstractAsyncContextManager[Scene]], Sequence[Case]]] = {
    "messages": (scenes.messages, (*MESSAGES, *SIGNATURES)),
    "acknowledgments": (scenes.acknowledgments, ACKNOWLEDGMENTS),
    "message-errors": (scenes.message_errors, MESSAGE_ERRORS),
    "receipts": (scenes.receipts, RECEIPTS),
}


async def _scene(scene: Scene, cases: Sequence[Case], report: Report, seen: Witness) -> None:
    for case in cases:
        if not case.after_control:
            await _case(scene, case, report, seen)
    await _control(scene, report)
    for case in cases:
        if case.after_control:
            await _case(scene, case, report, seen)
    await _replay(scene, report)


async def _case(scene: Scene, case: Case, report: Report, seen: Witness) -> None:
    """Send one forgery, and look at all that it must not have done."""
    try:
        made = case.forge(scene)
    except Exception as fault:
        report.faults.append(f"BROKEN {case.name}: {type(fault).__name__}: {fault}")
        return
    sent = made.entity() if isinstance(made, Draft) else made
    addresses = scene.target.addresses
    records, before = addresses.directory, dump(scene.store_folder)
    offset = await _last_event(scene)
    addresses.directory = case.records(records) if case.records else records
    seen.reset()
    try:
        answer = await inbound.receive(sent.content_type, sent.body, scene.target.doors)
    finally:
        addresses.directory = records
    events = await events_after(scene.target.store, offset)
    layer = seen.layer(events)
    report.rows.append((case.name, layer, seen.verifications > 0))
    reasons = [stored.event.why or ",".join(stored.event.codes) for stored in events if stored.event.kind in REASONS]
    if seen.verifications:
        silent = not [reason for reason in reasons if reason]
    else:
        silent = not [*reasons, *seen.logged]
    moved = differences(before, dump(scene.store_folder))
    wrong = [f"{table} {how}" for table, how in moved.items() if how == "changed" or table not in case.adds]
    if wrong:
        report.faults.append(f"ACCEPTED {case.name}: {', '.join(wrong)}")
    if _acknowledges(answer) and not case.acknowledged:
        report.faults.append(f"ACKNOWLEDGED {case.name}")
    if silent:
        report.faults.append(f"SILENT {case.name}: no reason was written down")
    if layer != case.layer:
        report.faults.append(f"LAYER {case.name}: refused by {layer}, was to be refused by {case.layer}")


def _acknowledges(answer: HttpAnswer) -> bool:
    return b"<eb:Action>Acknowledgment<" in answer.body


async def _last_event(scene: Scene) -> int:
    events = await events_after(scene.target.store, 0)
    return events[-1].offset if events else 0


# --- controls: the unchanged original, by the same way ---


async def _control(scene: Scene, report: Report) -> None:
    entity = scene.original.entity()
    answer = await inbound.receive(entity.content_type, entity.body, scene.target.doors)
    report.controls.append(f"{scene.name}: the original is accepted")
    if not await _CONTROLS[scene.name](scene, answer):
        report.faults.append(f"CONTROL {scene.name}: the unchanged original was not accepted")


async def _message_came(scene: Scene, answer: HttpAnswer) -> bool:
    inbox = await scene.target.inbox()
    return _acknowledges(answer) and [message.msg_id for message, _ in inbox] == [scenes.MSG_ID]


async def _was_acknowledged(scene: Scene, answer: HttpAnswer) -> bool:
    one, two = [(await scene.target.delivery(scene.taken[name])).state.transport for name in ("one", "two")]
    return (answer.status, one, two) == (204, Transport.ACKNOWLEDGED, Transport.SENT)


async def _was_refused(scene: Scene, answer: HttpAnswer) -> bool:
    one, two = [(await scene.target.delivery(scene.taken[name])).state.transport for name in ("one", "two")]
    return (answer.status, one, two) == (204, Transport.REFUSED, Transport.SENT)


async def _was_receipted(scene: Scene, answer: HttpAnswer) -> bool:
    one = (await scene.target.delivery(scene.taken["one"])).state
    third = (await scene.target.delivery(scene.taken["third"])).state
    return _acknowledges(answer) and (one.receipt, one.outcome, third.receipt, third.outcome) == (
        Receipt.OK,
        Outcome.COMPLETED,
        Receipt.AWAITED,
        Outcome.OPEN,
    )


_CONTROLS = {
    "message": _message_came,
    "Acknowledgment": _was_acknowledged,
    "MessageError": _was_refused,
    "AppRec": _was_receipted,
}


async def _replay(scene: Scene, report: Report) -> None:
    """The original once more, after all the forgeries: nothing moves, and nothing new comes into the inbox."""
    before, entity = dump(scene.store_folder), scene.original.entity()
    await inbound.receive(entity.content_type, entity.body, scene.target.doors)
    report.controls.append(f"{scene.name}: the original again moves nothing")
    if moved := differences(before, dump(scene.store_folder)):
        report.faults.append(f"CONTROL {scene.name}: a replay of the original moved {', '.join(moved)}")
    if scene.name == "message" and len(await scene.target.inbox()) != 1:
        report.faults.append("CONTROL message: a forgery stands in the inbox")


# --- forged answers to our own POST ---


async def _answers(folder: Path, report: Report, seen: Witness) -> None:
    async with pair(folder, third=True) as brokers:
        scene = await _with_other_answers(folder, brokers)
        for number, case in enumerate(ANSWERS):
            await _answer(scene, case, number, report, seen)


async def _with_other_answers(folder: Path, brokers: Pair) -> Scene:
    """Another message's true Acknowledgment, and a true MessageError, for a forger to use."""
    kept: list[TransportReply] = []

    def keep(reply: TransportReply) -> TransportReply:
        kept.append(reply)
        return reply

    brokers.wire.plan = [keep]
    await brokers.left.post(dialogue(scenes.OTHER_MSG_ID))
    await brokers.run()
    other = take(Caught("", kept[0].content_type, kept[0].body))
    return Scene(
        name="answer", brokers=brokers, folder=folder, target=brokers.left, original=other, seen={"other": other}
    )


async def _answer(scene: Scene, case: ForgedAnswer, number: int, report: Report, seen: Witness) -> None:
    """Let left send, forge what it gets back, and see that only a copy was counted; then let the true answer come."""
    brokers, wire = scene.brokers, scene.brokers.wire
    begun = len(wire.log)

    def forged(reply: TransportReply) -> TransportReply:
        sent = take(Caught("", outgoing.content_type, wire.log[begun][1]))
        scene.seen["error"] = message_error(sent, number)
        made = case.forge(take(Caught("", reply.content_type, reply.body)), scene)
        entity = made.entity() if isinstance(made, Draft) else made
        seen.reset()
        return TransportReply(status=200, content_type=entity.content_type, body=entity.body)

    taken = await brokers.left.post(dialogue(f"33333333-0000-4000-8000-{number:012d}"))
    wire.plan = ["catch"]
    await brokers.run()
    outgoing = wire.caught.pop()
    wire.plan = [forged]
    brokers.clock.time += _INTERVAL
    offset = await _last_event(scene)
    await brokers.run()
    events = await events_after(brokers.left.store, offset)
    layer = seen.layer(events)
    report.rows.append((case.name, layer, seen.verifications > 0))
    state = (await brokers.left.delivery(taken)).state
    if (state.transport, state.outcome) != (Transport.SENT, Outcome.OPEN):
        report.faults.append(f"ACCEPTED {case.name}: the delivery is {state.transport}, {state.outcome}")
    if not [stored for stored in events if stored.event.kind is EventKind.SECURITY and stored.event.why]:
        report.faults.append(f"SILENT {case.name}: no reason was written down")
    if layer != case.layer:
        report.faults.append(f"LAYER {case.name}: refused by {layer}, was to be refused by {case.layer}")
    brokers.clock.time += _INTERVAL
    await brokers.run()
    report.controls.append(f"{case.name}: the true answer is accepted")
    if (await brokers.left.delivery(taken)).state.transport is not Transport.ACKNOWLEDGED:
        report.faults.append(f"CONTROL {case.name}: the true answer was not accepted")


_INTERVAL = timedelta(minutes=5)


# --- planted faults ---


def _first_descendant(parent: Any, name: str) -> Any:
    return next((element for element in parent.iter(name) if element is not parent), None)


class _Anywhere(ebms_parse._Children):
    """Takes the first of a name found anywhere below, and refuses nothing unknown."""

    def __init__(self, parent: Any, *, known: Any = None) -> None:
        super().__init__(parent)

    def only(self, name: str) -> Any:
        return _first_descendant(self._parent, eb(name))


def _everyone(directory: Directory, her: int, now: Any) -> Any:
    return tuple(one for party in directory.parties.values() for one in party.signing)


def _without_signature(received: Any, verified: Any, sent: Any) -> None:
    _CHECK(received, verified, replace(sent, ack_signed=sent.ack_signed and verified is not None))


def _any_digests(received: Any, verified: Any, sent: Any) -> None:
    told = tuple(received.acknowledgment.references)
    _CHECK(received, verified, replace(sent, digests=acknowledgment.digests(told)))


async def _anyones_receipt(self: SqliteReads, *, sender_her: int, msg_id: str, receiver_her: int) -> Any:
    found = await self.outbound(sender_her, msg_id)
    return await self.work(found.deliveries[0].id) if found else None


_CHECK = acknowledgment.check_acknowledgment


def _first_signature(root: Any) -> Any:
    found = _first_descendant(root, ds("Signature"))
    if found is None:
        raise NotTrusted("no signature")
    return found


def _descendants() -> list[Any]:
    """The signature, and every element that is read, is the first of its name found anywhere below."""
    return [
        mock.patch.object(signature, "_envelope_signature", _first_signature),
        mock.patch.object(signature, "_refuse_unsigned_content", return_value=None),
        mock.patch.object(ebms_parse, "required_child", _first_descendant),
        mock.patch.object(ebms_parse, "only_child", _first_descendant),
        mock.patch.object(ebms_parse, "_Children", _Anywhere),
        mock.patch.object(ebms_parse, "_refuse_headers", return_value=None),
    ]


SABOTAGES: dict[str, Callable[[], list[Any]]] = {
    "descendant-search": _descendants,
    "skip-digests": lambda: [mock.patch.object(signature, "_check_digest", return_value=None)],
    "skip-sender-check": lambda: [mock.patch.object(inbound, "require_sender", return_value=None)],
    "believe-any-certificate": lambda: [mock.patch.object(choose, "signers", _everyone)],
    "accept-unsigned-ack": lambda: [mock.patch.object(signals, "check_acknowledgment", _without_signature)],
    "accept-any-digests": lambda: [mock.patch.object(signals, "check_acknowledgment", _any_digests)],
    "believe-any-receipt": lambda: [mock.patch.object(SqliteReads, "work_by_receipt", _anyones_receipt)],
    "skip-duplicate-check": lambda: [mock.patch.object(inbound, "_same", return_value=True)],
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    patches = SABOTAGES[name]() if name else []
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


# --- the printed report ---


def show(report: Report) -> str:
    """Return the report as text."""
    width = max(len(name) for name, _, _ in report.rows)
    lines = [
        f"{name:{width}}  {layer}{'' if looked else ' (before any signature)'}" for name, layer, looked in report.rows
    ]
    lines += [f"control: {control}" for control in report.controls]
    lines.append(f"refused by: {by_layer(report)}")
    lines.append(
        f"executed: {len(report.rows)} forgeries (at least {FLOOR_CASES}), {report.verified()} of them at signature "
        f"verification (at least {FLOOR_VERIFIED}), {len(report.controls)} controls (at least {FLOOR_CONTROLS})"
    )
    return "\n".join([*lines, *report.faults])


def by_layer(report: Report) -> str:
    """Return how many each layer refused."""
    layers = sorted({layer for _, layer, _ in report.rows})
    return ", ".join(f"{layer} {sum(one == layer for _, one, _ in report.rows)}" for layer in layers)


def green(report: Report) -> bool:
    """Say whether nothing went wrong and enough was tried."""
    enough = (
        len(report.rows) >= FLOOR_CASES
        and report.verified() >= FLOOR_VERIFIED
        and len(report.controls) >= FLOOR_CONTROLS
    )
    return enough and not report.faults


def main() -> int:
    """Print the report; return 0 when every forgery was refused as it should, and enough were tried."""
    name = os.environ.get("SABOTAGE", "")
    if name and name not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    with tempfile.TemporaryDirectory() as folder, sabotage(name):
        report = asyncio.run(run(Path(folder)))
    print(show(report))
    print("green: no forgery was believed" if green(report) else "red")
    return 0 if green(report) else 1


if __name__ == "__main__":
    telemetry.configure("critical")  # what is refused is shown in the report
    sys.exit(main())
