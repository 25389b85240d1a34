"""Whether the ledgers balance after a run: nothing lost, nothing receipted that was not, nothing under two ids."""

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

from broker.lifecycle import Outcome
from broker.message import Ball
from tests.scenario.epjs import Epj, Ledger
from tests.scenario.world import LEFT, RIGHT, World

OK, PARTIAL, REJECTED = "message.apprec_ok", "message.apprec_partial", "message.apprec_rejected"
COMPLETED, LAPSED, CLOSED = "message.completed", "message.lapsed", "message.closed"
REFUSED, GAVE_UP, OVERDUE = "message.transport_rejected", "message.gave_up", "message.overdue"
SAYS_DUPLICATE = "message.apprec_says_duplicate"
ACKED = "message.transport_acked"

VERDICTS = {OK: "Ok", PARTIAL: "OkErrorInMessagePart", REJECTED: "Rejected"}
ENDS = frozenset({*VERDICTS, COMPLETED})  # an outcome: once, and once only
# Somebody has the ball, and was told; or a person ended the duty, and a verdict may come all the same.
HELD = frozenset({REFUSED, GAVE_UP, OVERDUE, LAPSED, SAYS_DUPLICATE, CLOSED})


async def complaints(world: World) -> list[str]:
    """Return all that is not as it should be."""
    found = [
        complaint
        for name, other in ((LEFT, RIGHT), (RIGHT, LEFT))
        for complaint in (
            *_ends(world, world.epjs[name], world.epjs[other]),
            *_receipted(world, world.epjs[name].ledger, world.epjs[other].ledger),
        )
    ]
    for name in (LEFT, RIGHT):
        found += [complaint async for complaint in _same_feed(world, name)]
        found += [complaint async for complaint in _states(world, name)]
    found += [f"{eb_id} went out with {len(kept)} contents" for eb_id, kept in world.envelopes.items() if len(kept) > 1]
    found += [complaint async for complaint in _same_answers(world)]
    return found


def _ends(world: World, sender: Epj, receiver: Epj) -> Iterator[str]:
    """Every 202 ends once, and every document lies in the receiver's EPJ once, with the bytes that were posted."""
    journey, ledger = world.journey, sender.ledger
    for msg_id, content in ledger.to_post.items():
        if len(ledger.taken.get(msg_id, ())) != 1:
            yield f"{msg_id} was taken under {len(ledger.taken.get(msg_id, ()))} ids"
        told = ledger.about(msg_id)
        outcomes = [kind for kind in told if kind in ENDS]
        held = [kind for kind in told if kind in HELD]
        if len(outcomes) > 1:
            yield f"{msg_id} ended {len(outcomes)} times: {outcomes}"
        if told.count(CLOSED) > 1:
            yield f"{msg_id} was closed {told.count(CLOSED)} times"
        last = outcomes[-1:] or held[-1:]
        if not last:
            yield f"{msg_id} was taken, and never ended: {told}"
        elif last[0] not in journey.ends:
            yield f"{msg_id} ended with {last[0]}"
        arrived = [one for one in receiver.ledger.arrived if one.msg_id == msg_id]
        if len({one.item for one in arrived}) > 1:
            yield f"{msg_id} came to the EPJ under {len(arrived)} ids"
        if journey.arrives is not None and bool(arrived) is not journey.arrives:
            yield f"{msg_id} {'reached' if arrived else 'never reached'} the EPJ"
        if any(one.digest != sha256(content).digest() for one in arrived):
            yield f"{msg_id} came over with other bytes"
        if journey.arrives and (ACKED in told or COMPLETED in told) and not arrived:
            yield f"{msg_id} was said to have arrived, and had not"
    for one in receiver.ledger.arrived:
        if one.msg_id not in ledger.to_post:
            yield f"{one.msg_id} came from nobody"


def _receipted(world: World, ledger: Ledger, other: Ledger) -> Iterator[str]:
    """Whatever is told as a receipt was given by the right EPJ, for that document; or by its broker, where it must."""
    for told in ledger.told:
        if told.kind not in VERDICTS or told.msg_id is None:
            continue
        if world.journey.arrives is False:  # the broker's own word, as the journey has it
            continue
        items = [one.item for one in other.arrived if one.msg_id == told.msg_id]
        # "Stored" is a verdict where the party's record says so.
        given = [other.judged[item] for item in items if item in other.judged]
        given_by_storing = [item for item in items if item in other.said_stored and not given]
        if not given and not given_by_storing:
            yield f"{told.msg_id} was told as {told.kind}, and nobody said so"
        if any((VERDICTS[told.kind], tuple(sorted(told.codes))) != (verdict, codes) for verdict, codes in given):
            yield f"{told.msg_id} was told as {told.kind} {told.codes}, and {given} was said"


async def _same_feed(world: World, name: str) -> AsyncIterator[str]:
    """The feed read as it came is the feed read whole: no event skipped, none changed its place."""
    side, ledger = world.sides[name], world.epjs[name].ledger
    whole = await side.store.feed({side.her}, after=0, limit=10_000)
    if [(one.offset, one.event.kind) for one in whole] != [(told.offset, told.kind) for told in ledger.told]:
        yield f"{name}'s EPJ read another feed than stands there"
    if any(later.offset <= told.offset for told, later in zip(ledger.told, ledger.told[1:], strict=False)):
        yield f"{name}'s feed does not rise"


async def _states(world: World, name: str) -> AsyncIterator[str]:
    """What is open waits for somebody who was told; nothing is due for ever; outcomes are confirmed."""
    side = world.sides[name]
    for work in await side.store.queue(limit=1000):
        delivery = work.delivery
        if delivery.state.outcome is Outcome.OPEN and delivery.ball is Ball.US:
            yield f"{name} has the ball for {work.message.msg_id} and does nothing: {delivery.state}"
    left = await side.store.unconfirmed({side.her}, through=1_000_000)
    if left:
        yield f"{name}: {len(left)} outcomes were told and never confirmed"


async def _same_answers(world: World) -> AsyncIterator[str]:
    """An envelope that was acknowledged is known for ever: sent again, it gets the same acknowledgment."""
    for eb_id in list(world.acknowledgments):
        await world.again(eb_id)
    for name in (LEFT, RIGHT):
        while await world.work(name):
            continue
    for eb_id, answers in world.acknowledgments.items():
        if len(answers) > 1:
            yield f"{eb_id} was acknowledged in {len(answers)} ways"
