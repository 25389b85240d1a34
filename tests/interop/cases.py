"""What happens in a row, and what must then be true on both sides: a case returns if it was, else it raises Wrong."""

from collections.abc import Awaitable, Callable

from tests.interop.peers.base import SECOND, States
from tests.interop.peers.engines import ENGINES
from tests.interop.world import Stage, Wrong, eventually

Case = Callable[[Stage], Awaitable[None]]
MB = 1024 * 1024
_ACKNOWLEDGED, _REJECTED, _ABANDONED, _UNCONFIRMED = "Acknowledged", "Rejected", "Abandoned", "Unconfirmed"


def equal(what: str, found: object, wanted: object) -> None:
    """Raise Wrong where two things differ."""
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def copies(stage: Stage, *, id: str | None = None) -> list[str]:
    """Return the digests of the copies that the peer has had."""
    return [entry["sha256"] for entry in stage.told("copy") if id in (None, entry["id"])]


async def same_bytes(stage: Stage, at_least: int) -> None:
    """A resend is the same envelope. Our own outcome may be known before the peer's ledger is read."""
    await stage.theirs("copy", count=at_least)
    found = copies(stage)
    equal("different copies", len(set(found)), 1)


# --- from us to the peer ---


async def there_and_back(stage: Stage) -> None:
    """The document, its Acknowledgment, the AppRec, its Acknowledgment; and the peer has the bytes that were posted."""
    await stage.post()
    # Under best effort nothing acknowledges it: the AppRec alone completes it.
    await stage.ours(transport=_ACKNOWLEDGED if stage.terms.ack else _UNCONFIRMED, outcome="completed")
    opened = await stage.theirs("processed", kind="document")
    equal("the MsgId that came", opened["msg_id"], stage.msg_id)
    equal("the document that came", opened["sha256"], stage.sha256)
    told = await stage.theirs("in")
    equal("SyncReply", told["wrapping"]["sync"], stage.terms.sync)
    equal("signed", told["wrapping"]["signed"], stage.terms.signed)
    equal("AckRequested", told["wrapping"]["ack"], _wish(stage))
    profile = stage.profile()
    root, payload = told["wrapping"]["encodings"]
    equal("encoding of the envelope", root, profile.get("root_encoding", "8bit"))
    if stage.terms.encrypted:
        equal("encoding of the ciphertext", payload, profile.get("payload_encoding", "base64"))
    if stage.terms.ack:
        await stage.theirs("state", state=_states(stage).delivered, action="Apprec")
    await same_bytes(stage, 1)


def large(size: int) -> Case:
    """Return the case of a document of that size in bytes, which the peer opens."""

    async def case(stage: Stage) -> None:
        await stage.post(size=size * 3 // 4)
        await stage.ours(transport=_ACKNOWLEDGED, within=60)
        opened = await stage.theirs("processed", kind="document", within=60)
        equal("the document that came", opened["sha256"], stage.sha256)

    return case


async def acknowledgment_lost(stage: Stage) -> None:
    """The first Acknowledgment never comes: the next copy fetches it, and the document is there once."""
    await stage.post()
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 2)
    equal("messages at the peer", len(stage.told("in")), 1)


async def quick_duplicate(stage: Stage) -> None:
    """A copy comes while the Acknowledgment waits: whatever it is answered, the Acknowledgment counts when it comes."""
    await stage.post()
    await stage.tried(2)
    await stage.order("go")
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 2)
    equal("messages at the peer", len(stage.told("in")), 1)


async def hours_later(stage: Stage) -> None:
    """The Acknowledgment comes after we gave up: it proves arrival all the same."""
    await stage.post()
    await stage.ours(transport=_ABANDONED)
    await stage.order("go")
    await stage.ours(transport=_ACKNOWLEDGED)
    equal("messages at the peer", len(stage.told("in")), 1)


async def second_acknowledgment(stage: Stage) -> None:
    """Another Acknowledgment of the same message, with another id and time, changes nothing."""
    await stage.post()
    second = await stage.theirs("told", count=2)
    first = stage.told("told")[0]
    equal("answers to them", (first["status"], second["status"]), (204, 204))
    if first["sha256"] == second["sha256"]:
        raise Wrong("the second Acknowledgment is the first")
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 1)


async def down_for_a_while(stage: Stage) -> None:
    """Nobody listens at first: no copy is spent on that, and it arrives."""
    await stage.post()
    await stage.tried(2)
    await stage.order("open")
    await stage.ours(transport=_ACKNOWLEDGED)
    equal("results of the first tries", (await stage.attempts())[:2], ["failed", "failed"])
    await same_bytes(stage, 1)


async def down_for_good(stage: Stage) -> None:
    """Nobody ever listens: given up when PersistDuration ends, and a person is told."""
    await stage.post()
    await stage.ours(transport=_ABANDONED)
    equal("results", set(await stage.attempts()), {"failed"})
    equal("copies", copies(stage), [])


async def never_acknowledged(stage: Stage) -> None:
    """It is taken, and nothing comes: all Retries are spent, each with the same bytes."""
    await stage.post()
    await stage.ours(transport=_ABANDONED)
    equal("results", await stage.attempts(), ["sent"] * (stage.place.ours.retries + 1))
    await same_bytes(stage, stage.place.ours.retries + 1)


async def refused_by_status(stage: Stage) -> None:
    """A 4xx or 3xx means never: it is not sent again, and a person has the ball."""
    await stage.post()
    await stage.ours(transport=_REJECTED)
    equal("results", await stage.attempts(), ["refused"])
    equal("copies", len(copies(stage)), 1)


async def server_errors(stage: Stage) -> None:
    """5xx means again, with the same bytes; then it is taken."""
    await stage.post()
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 1 + len(stage.terms.plan.answers))
    busy = all(status == 503 for status in stage.terms.plan.answers)
    first = (await stage.attempts())[: len(stage.terms.plan.answers)]
    equal("results of the first", set(first), {"failed" if busy else "sent"})


async def refused_hours_later(stage: Stage) -> None:
    """The signed MessageError comes after we gave up: the partner has said no, and that is shown."""
    await stage.post()
    await stage.ours(transport=_ABANDONED)
    await stage.order("go")
    await stage.ours(transport=_REJECTED)
    equal("documents opened there", stage.told("processed"), [])


def refused_by_them(transport: str, *, copies_at_least: int = 1) -> Case:
    """Return the case of a message that the peer will not take, and what that is to us."""

    async def case(stage: Stage) -> None:
        await stage.post()
        await stage.ours(transport=transport)
        await same_bytes(stage, copies_at_least)
        for entry in stage.told("in"):
            equal("state at the peer", entry["state"], _states(stage).refused)
        equal("documents opened there", stage.told("processed"), [])

    return case


async def proves_nothing(stage: Stage) -> None:
    """An Acknowledgment that is not signed by them, or not about this: it is sent on, and given up in the end."""
    await stage.post()
    await stage.ours(transport=_ABANDONED)
    await same_bytes(stage, stage.place.ours.retries + 1)


async def peer_killed(stage: Stage) -> None:
    """The peer is killed after it has written the message down and before it has answered."""
    await stage.post()
    await stage.theirs("in")
    await stage.dead_and_back()
    await stage.ours(transport=_ACKNOWLEDGED)
    equal("messages at the peer", len(stage.told("in")), 1)


async def broker_killed_before_acknowledgment(stage: Stage) -> None:
    """We are killed after the peer has the message and before its Acknowledgment."""
    await stage.post()
    await stage.theirs("in")
    await stage.dead_and_back()
    await stage.order("go")
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 1)
    equal("messages at the peer", len(stage.told("in")), 1)


async def acknowledged_while_dead(stage: Stage) -> None:
    """The Acknowledgment comes while we are dead, and is dropped: our next copy fetches it."""

    async def meanwhile() -> None:
        await stage.order("go")
        await stage.theirs("told", status=0)

    await stage.post()
    await stage.theirs("in")
    await stage.dead_and_back(meanwhile)
    await stage.ours(transport=_ACKNOWLEDGED)
    await same_bytes(stage, 2)
    equal("messages at the peer", len(stage.told("in")), 1)


# --- from the peer to us ---


async def in_and_receipted(stage: Stage) -> None:
    """The peer's document is acknowledged, in our EPJ once with its bytes, and receipted to the peer."""
    await stage.send()
    await _came_once(stage)
    answer = await stage.theirs("processed", kind="apprec")
    equal("the AppRec", (answer["msg_id"], answer["status"]), (stage.msg_id, "1"))
    for told in stage.told("signal", kind="Acknowledgment"):
        profile = stage.profile()
        equal("RefToMessageId in MessageData", told["ref"], profile.get("ref_in_acknowledgment", True))
        equal("the actor of our Acknowledgment", told["actor"], profile.get("actor", True))
        equal("eb:type of its Service", told["service_type"], profile.get("signal_service_type", ""))
        equal("a Role on it", bool(told["role"]), profile.get("roles_on_signals", False))


def taken_as(twist: str, *, size: int = 0) -> Case:
    """Return the case of a document that is sent in another way, and taken all the same."""

    async def case(stage: Stage) -> None:
        await stage.send(twist=twist, size=size)
        await _came_once(stage)

    return case


async def busy_at_first(stage: Stage) -> None:
    """Our store cannot take it twice: 503, and nothing kept; the peer tries again, and is acknowledged."""
    stage.busy(2)
    await stage.send()
    await _came_once(stage)
    tries = [entry["status"] for entry in stage.told("try", id=stage.eb_id)]
    equal("our first answers", tries[:2], [503, 503])


async def same_again(stage: Stage) -> None:
    """The same bytes again, after all is done, get the same answer again; our EPJ has the document once."""
    await stage.send()
    await _came_once(stage)
    statuses = await stage.order("repeat", id=stage.eb_id, times=1)
    equal("the answer to the second", statuses, [200 if stage.terms.sync else 204])
    if stage.terms.ack and not stage.terms.sync:
        second = await stage.theirs("signal", count=2, kind="Acknowledgment", about=stage.eb_id)
        first = stage.told("signal", kind="Acknowledgment", about=stage.eb_id)[0]
        equal("the second Acknowledgment", second["sha256"], first["sha256"])
    equal("documents at our EPJ", len(stage.at_epj(stage.msg_id)), 1)


async def many_at_once(stage: Stage) -> None:
    """Five copies at one time are one message."""
    await stage.send()
    statuses = await stage.order("repeat", id=stage.eb_id, times=4)
    if not set(statuses) <= {200, 204, 503}:
        raise Wrong(f"copies were answered with {statuses}")
    await _came_once(stage)


def not_taken(twist: str, code: str, *, told: bool = True) -> Case:
    """Return the case of a message that we refuse with that code; `told`: by a signed MessageError that counts."""

    async def case(stage: Stage) -> None:
        await stage.send(twist=twist)
        if told:
            error = await stage.theirs("signal", kind="MessageError", about=stage.eb_id)
            equal("codes", error["codes"], [code])
        state = _states(stage).failed if told and _stops(stage) else _states(stage).expired
        await stage.theirs("state", state=state, within=40)
        equal("documents at our EPJ", stage.at_epj(), [])
        equal("answers of our EPJ", stage.told("in"), [])

    return case


async def fault(stage: Stage) -> None:
    """What we cannot understand and must is answered with a SOAP Fault and 400: never again."""
    await stage.send(twist="must-understand")
    await stage.theirs("try", status=400)
    equal("documents at our EPJ", stage.at_epj(), [])


async def errors_that_do_not_stop_it(stage: Stage) -> None:
    """The peer hears a MessageError each time and goes on; we say the same each time, and take nothing."""
    await stage.send(twist="payload-changed")
    copies = stage.terms.retries + 1
    await stage.theirs("try", count=copies)
    await stage.theirs("signal", count=copies, kind="MessageError", about=stage.eb_id)
    errors = stage.told("signal", kind="MessageError", about=stage.eb_id)
    equal("codes", {code for error in errors for code in error["codes"]}, {"SecurityFailure"})
    equal("what the peer made of them", stage.told("state"), [])
    equal("documents at our EPJ", stage.at_epj(), [])


async def ping(stage: Stage) -> None:
    """A Ping gets its Pong."""
    await stage.order("ask", kind="Ping", ref="")
    await stage.theirs("told-back", kind="Pong")


async def status(stage: Stage) -> None:
    """A StatusRequest about what came is answered; about what never came, NotRecognized."""
    await stage.send()
    await _came_once(stage)
    await stage.order("ask", kind="StatusRequest", ref=stage.eb_id)
    known = await stage.theirs("told-back", kind="StatusResponse")
    if known["status"] not in {"Received", "Processed"}:
        raise Wrong(f"the status is {known['status']}")
    await stage.order("ask", kind="StatusRequest", ref="never-sent")
    await stage.theirs("told-back", kind="StatusResponse", status="NotRecognized")


async def we_ping(stage: Stage) -> None:
    """Our Ping is answered as the agreement says: at once, or later."""
    told = await stage.command("ping", str(stage.her))
    equal("what came", told["answer"], "pong" if stage.terms.sync else "later")
    await stage.theirs("asked", kind="Ping")


async def we_ask(stage: Stage) -> None:
    """The peer is asked whether it has a message of ours, which it has."""
    await stage.post()
    await stage.ours(transport=_ACKNOWLEDGED)
    told = await stage.command("message-status", stage.id, "--reason", "the ward asks")
    equal("the status", told["status"], "Received" if stage.terms.sync else None)
    await stage.theirs("asked", kind="StatusRequest")


async def two_payloads(stage: Stage) -> None:
    """What comes beside the document is handed over with it."""
    await stage.send(twist="two")
    await _came_once(stage)
    item = stage.at_epj(stage.msg_id)[0]["item"]
    equal("what came beside it", await stage.payloads(item), [SECOND])


async def peer_killed_before_our_acknowledgment(stage: Stage) -> None:
    """The peer is killed while it takes our Acknowledgment: it sends again, is acknowledged again, and we have one."""
    await stage.send()
    await stage.received(stage.msg_id)
    await stage.theirs("holding")
    await stage.dead_and_back()
    await _came_once(stage)


def broker_killed(moment: str) -> Case:
    """Return the case of our broker killed just before, or just after, it has written what came."""

    async def case(stage: Stage) -> None:
        reached = stage.hold(moment)
        await stage.send()
        await eventually(reached.exists, f"our broker stands {moment} its commit")
        stage.let_go()
        await stage.dead_and_back()
        await _came_once(stage)

    return case


async def sent_while_dead(stage: Stage) -> None:
    """The peer sends while we are dead: it is not reached, tries again, and is taken once."""

    async def meanwhile() -> None:
        await stage.send()
        await stage.theirs("try", status=0)

    await stage.dead_and_back(meanwhile)
    await _came_once(stage)


# --- helps ---


async def _came_once(stage: Stage) -> None:
    got = await stage.received(stage.msg_id)
    sent = await stage.theirs("out", action="Notat")
    if stage.terms.ack:
        await stage.theirs("state", state=_states(stage).delivered, id=stage.eb_id, within=40)
    equal("the document at our EPJ", got["sha256"], sent["sha256"])
    equal("documents at our EPJ", len(stage.at_epj(stage.msg_id)), 1)


def _wish(stage: Stage) -> str | None:
    return ("true" if stage.terms.signed else "false") if stage.terms.ack else None


def _states(stage: Stage) -> States:
    return ENGINES[stage.place.engine].states


def _stops(stage: Stage) -> bool:
    return ENGINES[stage.place.engine].error_stops
