"""The matrix: which engine is tried with what. A row is a line of this table; what must hold stands in cases.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.interop import cases
from tests.interop.cases import Case
from tests.interop.peers.site import Plan
from tests.interop.world import Ours, Place

CORE, NAV, NHN, HERMES, NHS = "ebms-core", "nav", "nhn", "hermes", "nhs"
SIGNING = (CORE, NAV, NHN, HERMES)
ALL = (*SIGNING, NHS)
FLOOR = 240  # rows
TURNS = ("quiet", "large", "peer", "broker")
# What each engine needs of a record to be understood at all: how it signs, and what it encrypts with.
SWITCHES = {NAV: frozenset({"3des-in"}), HERMES: frozenset({"sha1-in"})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. Rows of a `turn` run side by side: "quiet", "large", and those whose "peer" or "broker" dies."""

    name: str
    case: Case
    place: Place
    turn: str = "quiet"

    @property
    def mode(self) -> str:
        place = self.place
        words = ["signed" if place.signed else "unsigned", "sync" if place.sync else "async"]
        return " ".join(words if place.ack else [*words, "best effort"])


def rows() -> list[Row]:
    """Return all rows."""
    return [*_through(), *_out(), *_refused_by_them(), *_in(), *_refused_by_us(), *_asked(), *_kills()]


def _row(
    name: str,
    case: Case,
    engine: str,
    *,
    sync: bool | None = None,
    signed: bool | None = None,
    ack: bool = True,
    turn: str = "quiet",
    plan: Plan | None = None,
    ours: Ours | None = None,
    **theirs: Any,
) -> Row:
    given = ours or Ours()
    allowed = given.switches or SWITCHES.get(engine, frozenset())
    fixed = Ours(
        cpa=given.cpa,
        retries=given.retries,
        interval=given.interval,
        persist=given.persist,
        switches=allowed - {"none"},
        payloads=given.payloads,
    )
    place = Place(
        engine=engine,
        sync=engine == NHS if sync is None else sync,
        signed=engine != NHS if signed is None else signed,
        ack=ack,
        plan=plan or Plan(receipts=False),
        ours=fixed,
        theirs=theirs,
    )
    return Row(name=name, case=case, place=place, turn=turn)


def _through() -> list[Row]:
    """All the way and back, in every mode that the engine has."""
    found = []
    for way, case, plan in (
        ("out, receipted", cases.there_and_back, Plan()),
        ("in, receipted", cases.in_and_receipted, Plan()),
    ):
        found += [_row(way, case, engine, plan=plan) for engine in SIGNING]
        found += [_row(way, case, engine, plan=plan, sync=True) for engine in SIGNING]
        found += [_row(way, case, engine, plan=plan, signed=False) for engine in (CORE, HERMES)]
        found += [_row(way, case, engine, plan=plan, signed=False, sync=True) for engine in (CORE, HERMES, NHS)]
        found += [_row(f"{way}, TLS", case, one, plan=plan, tls=True) for one in (CORE, NHS)]
        found.append(_row(way, case, CORE, plan=plan, ack=False))
        found.append(_row(way, case, CORE, plan=plan, ack=False, signed=False))
    return found


def _out() -> list[Row]:
    """From us: what goes wrong on the way, and is mended or given up."""
    late = Plan(hold="answers", receipts=False)
    found = [
        _row("acknowledgment lost", cases.acknowledgment_lost, one, plan=Plan(lose_acks=1, receipts=False))
        for one in SIGNING
    ]
    cut = Plan(answers=(0,), receipts=False)
    found += [_row("answer lost", cases.acknowledgment_lost, one, plan=cut, sync=True) for one in (*SIGNING, NHS)]
    found += [_row("copy while it waits", cases.quick_duplicate, one, plan=late) for one in SIGNING]
    short = Ours(retries=1, interval=0.7)
    found += [_row("acknowledged hours later", cases.hours_later, one, plan=late, ours=short) for one in (NAV, NHN)]
    twice = Plan(ack_twice=True, receipts=False)
    found += [_row("second acknowledgment differs", cases.second_acknowledgment, one, plan=twice) for one in SIGNING]
    found += [
        _row("acknowledged after three hours", cases.there_and_back, one, plan=Plan(ack_hours=3)) for one in (NAV, NHN)
    ]
    closed = Plan(closed=True, receipts=False)
    found += [_row("down for a while", cases.down_for_a_while, one, plan=closed) for one in ALL]
    found += [_row("down for good", cases.down_for_good, one, plan=closed, ours=Ours(persist=3.0)) for one in ALL]
    mute = Plan(mute=True, receipts=False)
    two = Ours(retries=2, interval=0.8)
    found += [_row("never acknowledged", cases.never_acknowledged, one, plan=mute, ours=two) for one in ALL]
    for status, one in zip((400, 403, 404, 410, 401), ALL, strict=True):
        plan = Plan(answers=(status,), receipts=False)
        found.append(_row(f"refused with {status}", cases.refused_by_status, one, plan=plan))
    found.append(_row("redirected", cases.refused_by_status, CORE, plan=Plan(answers=(301,), receipts=False)))
    for answers, one in zip(((500, 500), (502, 500), (500, 504), (500, 500), (500, 500)), ALL, strict=True):
        plan = Plan(answers=answers, receipts=False)
        found.append(_row("500, then well", cases.server_errors, one, plan=plan))
    busy = Plan(answers=(503, 503), receipts=False)
    found += [_row("503, then well", cases.server_errors, one, plan=busy) for one in (CORE, NAV, NHS)]
    slow: dict[str, Any] = {"interval": 20.0, "live": 120.0, "turn": "large"}
    patient = Ours(interval=20.0, persist=120.0)
    found.append(_row("25 MB out", cases.large(25 * cases.MB), CORE, ours=patient, turn="large"))
    found.append(_row("25 MB out", cases.large(25 * cases.MB), HERMES, sync=True, ours=patient, turn="large"))
    found.append(_row("25 MB in", cases.taken_as("", size=25 * cases.MB * 3 // 4), CORE, **slow))
    found.append(_row("25 MB in", cases.taken_as("", size=25 * cases.MB * 3 // 4), NAV, sync=True, **slow))
    return found


def _refused_by_them() -> list[Row]:
    """From us: what the peer does not take, or what it says that is not to be believed."""
    two = Ours(retries=2, interval=0.8)
    found = []
    # An unsigned MessageError proves nothing on plain HTTP: we go on, as if nothing had come.
    distrust = Plan(distrusts=True, receipts=False)
    unsigned, signed = cases.refused_by_them("Abandoned", copies_at_least=3), cases.refused_by_them("Rejected")
    found.append(_row("our certificate unknown", unsigned, CORE, plan=distrust, ours=two))
    found.append(_row("our certificate unknown", unsigned, CORE, plan=distrust, ours=two, sync=True))
    for one in (NAV, NHN, HERMES):
        found.append(_row("our certificate unknown", signed, one, plan=distrust))
        found.append(_row("our certificate unknown", signed, one, plan=distrust, sync=True))
    # Over TLS the HTTP answer is theirs for certain, signed or not; a POST of its own is not.
    found.append(_row("our certificate unknown, TLS", signed, CORE, plan=distrust, sync=True, tls=True))
    found.append(_row("our certificate unknown, TLS", unsigned, CORE, plan=distrust, ours=two, tls=True))
    found.append(_row("another agreement, TLS", signed, NHS, ours=Ours(cpa="interop:another"), tls=True))
    late = Plan(distrusts=True, hold="answers", receipts=False)
    short = Ours(retries=1, interval=0.7)
    found.append(_row("refused hours later", cases.refused_hours_later, NAV, plan=late, ours=short))
    hours = Plan(distrusts=True, ack_hours=3, receipts=False)
    found.append(_row("refused after three hours", signed, NAV, plan=hours))
    other = {"cpa": "interop:another"}
    found.append(_row("another agreement", unsigned, CORE, ours=Ours(cpa=other["cpa"], retries=2, interval=0.8)))
    found.append(
        _row("another agreement", unsigned, CORE, ours=Ours(cpa=other["cpa"], retries=2, interval=0.8), sync=True)
    )
    found.append(_row("another agreement", unsigned, NHS, ours=Ours(cpa=other["cpa"], retries=2, interval=0.8)))
    for one in (NAV, NHN, HERMES):
        found.append(_row("another agreement", signed, one, ours=Ours(cpa=other["cpa"])))
    for wrong, one in (
        ("unsigned", CORE), ("other-key", CORE), ("digests", CORE), ("other-message", CORE),
        ("unsigned", HERMES), ("digests", HERMES), ("digests", NHN), ("other-key", NHN), ("other-key", NAV),
        ("other-message", NAV),
    ):  # fmt: skip
        plan = Plan(ack=wrong, receipts=False)
        found.append(_row(f"acknowledgment {wrong}", cases.proves_nothing, one, plan=plan, ours=two))
        if one != NAV:
            found.append(_row(f"acknowledgment {wrong}", cases.proves_nothing, one, plan=plan, ours=two, sync=True))
    return found


def _in() -> list[Row]:
    """To us: what we take, however it comes."""
    found = [_row("same bytes later", cases.same_again, one) for one in ALL]
    found.append(_row("same bytes later", cases.same_again, CORE, sync=True))
    found.append(_row("same bytes later", cases.same_again, CORE, signed=False))
    found += [_row("503 of ours, then well", cases.busy_at_first, one) for one in ALL]
    found.append(_row("503 of ours, then well", cases.busy_at_first, CORE, sync=True))
    found += [_row("five at once", cases.many_at_once, one) for one in (CORE, HERMES)]
    found.append(_row("five at once", cases.many_at_once, CORE, sync=True))
    found += [_row("gzip in", cases.taken_as("gzip"), one) for one in SIGNING]
    found += [_row("indefinite-length BER in", cases.taken_as("ber"), one) for one in (CORE, NAV)]
    loose = Ours(switches=frozenset({"signature-without-xpath-in"}))
    found.append(_row("signature without XPath", cases.taken_as("no-xpath"), NHN, ours=loose))
    two = Ours(payloads=2)
    found += [_row("two payloads in", cases.two_payloads, one, ours=two) for one in (CORE, NHN)]
    plain = Ours(switches=frozenset({"plaintext-in"}))
    found.append(_row("plaintext under a label", cases.taken_as("plaintext"), NHN, ours=plain))
    return found


def _refused_by_us() -> list[Row]:
    """To us: what we refuse, and what the peer makes of that."""
    found = []
    brief: dict[str, Any] = {"retries": 2, "interval": 3.0}

    def refused(name: str, twist: str, code: str, *engines: str, told: bool = True, **how: Any) -> None:
        for one in engines:
            given = {**brief, **how}
            found.append(_row(name, cases.not_taken(twist, code, told=told), one, **given))

    security = "SecurityFailure"
    refused("payload changed", "payload-changed", security, CORE, NHN, HERMES)
    refused("payload changed", "payload-changed", security, CORE, sync=True)
    refused("header changed", "header-changed", security, CORE, HERMES)
    refused("signed by another", "other-key", security, CORE, NHN, HERMES)
    refused("not signed", "unsigned", security, CORE, NHN)
    refused("payload not signed", "uncovered", security, CORE, NHN)
    refused("plaintext", "plaintext", security, CORE, NHN)
    refused("XML Encryption", "xenc", security, CORE)
    refused("3DES not allowed", "3des", security, CORE)
    refused("SHA-1 not allowed", "", security, HERMES, ours=Ours(switches=frozenset({"none"})))
    refused("no XPath, not allowed", "no-xpath", security, NHN)
    refused("ciphertext, unsigned", "ciphertext", security, CORE, signed=False, sync=True)
    refused("TimeToLive past", "expired", "TimeToLiveExpired", CORE, NHN, HERMES)
    refused("TimeToLive past", "expired", "TimeToLiveExpired", CORE, sync=True)
    refused("no AckRequested", "no-ack-requested", "Inconsistent", CORE)
    refused("another agreement in", "wrong-cpa", "Inconsistent", CORE, HERMES, sync=True)
    refused("two payloads, not agreed", "two", "Inconsistent", CORE)
    refused("MessageOrder", "order", "NotSupported", CORE, HERMES, sync=True)
    found += [_row("unknown header", cases.fault, one) for one in (CORE, NAV)]
    deaf: dict[str, Any] = {"retries": 3, "interval": 0.6}
    found.append(_row("errors do not stop it", cases.errors_that_do_not_stop_it, NAV, **deaf))
    found.append(_row("errors do not stop it", cases.errors_that_do_not_stop_it, NAV, sync=True, **deaf))
    return found


def _asked() -> list[Row]:
    found = [_row("ping", cases.ping, one) for one in ALL]
    found += [_row("ping", cases.ping, one, sync=True) for one in SIGNING]
    found += [_row("status", cases.status, one) for one in ALL]
    found.append(_row("status", cases.status, CORE, sync=True))
    for one, sync in ((CORE, False), (NHN, False), (NAV, True), (NHS, True)):  # each is a start of Python
        found.append(_row("we ping", cases.we_ping, one, sync=sync))
    for one, sync in ((CORE, False), (HERMES, False), (NAV, True), (NHS, True)):
        found.append(_row("we ask for a status", cases.we_ask, one, sync=sync))
    return found


def _kills() -> list[Row]:
    """Kill -9 on either side, between receiving and acknowledging."""
    found = []
    held, deaf = Plan(hold="messages", receipts=False), Plan(hold="signals", receipts=False)
    for one in ALL:
        found.append(_row("peer killed, has not answered", cases.peer_killed, one, turn="peer", plan=held))
    for one in SIGNING:  # an NHS handler forgets what it has not transmitted
        case = cases.peer_killed_before_our_acknowledgment
        found.append(_row("peer killed, hears our answer", case, one, turn="peer", plan=deaf))
    for one in ALL:
        case = cases.broker_killed_before_acknowledgment
        found.append(_row("broker killed, not acknowledged", case, one, turn="broker", plan=held))
    for one in SIGNING:
        case = cases.acknowledged_while_dead
        found.append(_row("acknowledged while we are dead", case, one, turn="broker", plan=held))
    for one in ALL:
        found.append(_row("sent while we are dead", cases.sent_while_dead, one, turn="broker", retries=20))
    for moment in ("before", "after"):
        for one in ALL:
            name, killed = f"broker killed {moment} its commit", cases.broker_killed(moment)
            found.append(_row(name, killed, one, turn="broker", retries=20))
            if one in (CORE, NAV):
                found.append(_row(name, killed, one, turn="broker", sync=True, retries=20))
    return found


def chosen(all_: Sequence[Row], *, engine: str = "", case: str = "") -> list[Row]:
    """Return the rows of an engine, and those whose name has a word in it."""
    return [row for row in all_ if engine in ("", row.place.engine) and case in row.name]
