"""What an EPJ sees and says through the API: its messages, its inbox, its feed, and nothing of anybody else's."""

import base64
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from broker import handover, intake
from broker.diagnosis.receipt_codes import RECEIPT_ACTS
from broker.errors import Conflict, Unknown
from broker.handover import Answered
from broker.intake import Checked, Who
from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint, Transport
from broker.message import (
    Attempt,
    Ball,
    Changes,
    Code,
    Delivery,
    Direction,
    EventKind,
    InboxItem,
    Kind,
    Message,
    NewBody,
    NewEvent,
    Owed,
    PartyRef,
    Verdict,
)
from broker.receipts.apprec import GivenError
from broker.validation.documents import DocumentRefused, Judged
from tests.unit.web.rig import CLIENT, OTHER_TOKEN, XML, Rig, story
from tests.unit.web.test_posting import FAULT
from tests.unit.web.values import NOW, OURS, THEIRS, delivery, envelope, item, message, state

DOCUMENT = "<?xml version='1.0' encoding='ISO-8859-1'?><æ/>".encode("latin-1")
APPREC = b"""<?xml version="1.0" encoding="UTF-8"?>
<AppRec xmlns="http://www.kith.no/xmlstds/apprec/2004-11-21"><MsgType V="APPREC" DN="Applikasjonskvittering"/>
<MIGversion>1.0 2004-11-21</MIGversion><GenDate>2026-11-21T11:30:00</GenDate><Id>apprec-1</Id>
<Status V="2" DN="Avvist"/><Error V="E35" S="2.16.578.1.12.4.1.1.8221" DN="Pasienten er ikke kjent" OT="fritekst"/>
<OriginalMsgId><MsgType V="DIALOG_HELSEFAGLIG"/><IssueDate>2026-11-21T11:00:00</IssueDate><Id>5d6e0f2a-msg</Id>
</OriginalMsgId></AppRec>"""


async def _sent(doors: Rig, *deliveries: Delivery, **changes: object) -> Message:
    """Put a message of ours into the store, with what has become of it."""
    kept = NewBody(id="body-1", content=DOCUMENT)
    posted = message(body=kept.id, sha256=sha256(DOCUMENT).digest(), size=len(DOCUMENT), **changes)
    new = tuple(delivery(id=one.id, receiver_her=one.receiver_her, transport_due=NOW) for one in deliveries)
    told = _told(EventKind.ACCEPTED, message_id=posted.id, msg_id=posted.msg_id)
    await doors.store.accept(Changes(events=(told,), bodies=(kept,), messages=(posted,), deliveries=new))
    sealed = tuple(
        envelope(eb_id=f"eb-{number}", delivery_id=one.id, body="body-2") for number, one in enumerate(deliveries)
    )
    if deliveries:
        became = tuple(replace(one, version=1, envelope=of.eb_id) for one, of in zip(deliveries, sealed, strict=True))
        await doors.store.record(
            Changes(
                events=(_told(EventKind.SENT, message_id=posted.id),),
                bodies=(NewBody(id="body-2", content=b"sealed"),),
                envelopes=sealed,
                advanced=became,
            )
        )
    return posted


async def _came(doors: Rig, **changes: object) -> tuple[Message, InboxItem]:
    """Put a document from a partner into the inbox."""
    number = str(changes.pop("number", "9"))
    kept = NewBody(id=f"body-in-{number}", content=DOCUMENT)
    received = message(
        id=f"0192f0c0-0000-7000-8000-00000000000{number}",
        direction=Direction.IN,
        sender_her=THEIRS,
        msg_id=f"in-{number}",
        body=kept.id,
        sha256=sha256(DOCUMENT).digest(),
        size=len(DOCUMENT),
        client=None,
        **changes,
    )
    waiting = item(id=f"item-{number}", message_id=received.id)
    told = _told(EventKind.INBOX_DOCUMENT, message_id=received.id, msg_id=received.msg_id, item_id=waiting.id)
    await doors.store.receive(Changes(events=(told,), bodies=(kept,), messages=(received,), new_items=(waiting,)))
    return received, waiting


async def _receipt(doors: Rig) -> None:
    """Put a negative AppRec from the partner into the store."""
    receipt = message(
        id="receipt-1",
        direction=Direction.IN,
        kind=Kind.APPREC,
        sender_her=THEIRS,
        msg_id="apprec-1",
        type="APPREC",
        body="body-r",
        sha256=sha256(APPREC).digest(),
        size=len(APPREC),
        owed=Owed.NEVER,
        client=None,
        original_msg_id="5d6e0f2a-msg",
    )
    await doors.store.receive(
        Changes(
            events=(_told(EventKind.RECEIPT_REJECTED),),
            bodies=(NewBody(id="body-r", content=APPREC),),
            messages=(receipt,),
        )
    )


def _told(kind: EventKind, **about: object) -> NewEvent:
    values: dict[str, object] = {"kind": kind, "at": NOW, "her": OURS, "feed": True}
    return NewEvent(**(values | about))  # type: ignore[arg-type]  # builder


# --- who calls ---


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic dG9rZW46"},
        {"Authorization": "token-of-fjordvik"},
    ],
    ids=["none", "empty", "wrong", "basic", "bare"],
)
async def test_without_a_valid_token_nothing_of_the_api_is_seen(headers: dict[str, str], doors: Rig) -> None:
    for method, path in (("GET", "/api/v1/inbox"), ("POST", "/api/v1/messages"), ("GET", "/api/v1/no-such-path")):
        reply = await doors.ask(method, path, token=None, headers=headers)
        assert (reply.status, reply.json()["errorId"]) == (401, "MB-1011")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_health_needs_no_token_and_tells_nothing_of_messages(doors: Rig) -> None:
    assert (await doors.ask("GET", "/healthz", token=None)).json() == {"status": "alive"}
    assert (await doors.ask("GET", "/healthz", token=None, door="partner")).status == 200
    ready = await doors.ask("GET", "/readyz", token=None)
    assert (ready.status, ready.json()["checks"]) == (200, {"store": "ok", "addresses": "ok"})
    doors.records.known = False
    assert (await doors.ask("GET", "/readyz", token=None)).status == 200  # proven less than a second ago
    doors.clock.time += timedelta(seconds=2)
    unready = await doors.ask("GET", "/readyz", token=None)
    assert (unready.status, unready.json()["checks"]["addresses"]) == (503, "MB-2004")
    metrics = await doors.ask("GET", "/metrics", token=None)
    assert b'broker_http_requests_total{door="epj",route="/readyz",status="503"}' in metrics.body
    assert (await doors.ask("GET", "/metrics", token=None, door="partner")).status == 404


# --- out ---


async def test_a_message_shows_where_it_stands_at_each_receiver(doors: Rig) -> None:
    done = delivery(
        id="d-1",
        state=state(Transport.ACKNOWLEDGED, Receipt.REJECTED, Outcome.REJECTED, StopPoint.K7),
        ball=Ball.EPJ,
        receipt_message="receipt-1",
        codes=(Code(code="E35", oid="2.16.578.1.12.4.1.1.8221", text="Pasienten er ikke kjent"),),
        late=True,
    )
    waiting = delivery(
        id="d-2",
        receiver_her=8000202,
        state=state(Transport.SENT, stop_point=StopPoint.K5),
        ball=Ball.PARTNER,
        transport_due=NOW + timedelta(minutes=5),
        cause="MB-3206",
    )
    await _receipt(doors)
    posted = await _sent(doors, done, waiting)
    by_id = (await doors.ask("GET", f"/api/v1/messages/{posted.id}")).json()
    assert by_id == (await doors.ask("GET", f"/api/v1/messages/{posted.msg_id}")).json()
    first, second = by_id.pop("receivers")
    assert first == {
        "receiverHerId": THEIRS,
        "deliveryId": "d-1",
        "transportDeliveryState": "Acknowledged",
        "appRecStatus": "Rejected",
        "receiptState": "rejected",
        "outcome": "rejected",
        "stopPoint": "K7",
        "sentence": first["sentence"],
        "errorId": "MB-3401",
        "cause": {"nb": "mottakeren avviste meldingen", "en": "the receiver rejected the message"},
        "act": {"nb": RECEIPT_ACTS["E35"].nb, "en": RECEIPT_ACTS["E35"].en},
        "nextAttemptAt": None,
        "ball": "epj",
        "late": True,
        "codes": [{"errorCode": "E35", "oid": "2.16.578.1.12.4.1.1.8221", "text": "Pasienten er ikke kjent"}],
        "appRecId": "receipt-1",
        "closedBecause": None,
    }
    assert "Dalbygda legesenter" in first["sentence"]["nb"]
    assert (second["transportDeliveryState"], second["appRecStatus"]) == ("Unconfirmed", None)
    assert (second["errorId"], second["nextAttemptAt"]) == ("MB-3206", "2026-11-21T12:05:00.000Z")
    assert by_id["stopPoint"] == "K5"
    assert by_id["sentence"] == second["sentence"]  # the slowest receiver's
    assert (by_id["direction"], by_id["senderHerId"], by_id["sha256"]) == ("out", OURS, posted.sha256.hex())


@pytest.mark.parametrize("below", ["", "/events", "/attempts", "/document", "/apprec"])
async def test_another_clients_message_is_not_there(below: str, doors: Rig) -> None:
    posted = await _sent(doors, delivery(transport_due=NOW))
    for id in (posted.id, posted.msg_id):
        assert (await doors.ask("GET", f"/api/v1/messages/{id}{below}")).status == 200
        reply = await doors.ask("GET", f"/api/v1/messages/{id}{below}", token=OTHER_TOKEN)
        assert (reply.status, reply.json()["errorId"]) == (404, "MB-1008")
    # Ids that operators may search by are not the API's.
    for id in (posted.conversation_id, delivery().id, "eb-0", posted.id[:12], "no-such"):
        assert (await doors.ask("GET", f"/api/v1/messages/{id}{below}")).status == 404


async def test_a_msg_id_in_braces_is_found(doors: Rig) -> None:
    await _sent(doors, delivery(transport_due=NOW), msg_id="{5D6E0F2A-0000}")
    reply = await doors.ask("GET", "/api/v1/messages/%7B5D6E0F2A-0000%7D")
    assert reply.json()["msgId"] == "{5D6E0F2A-0000}"


async def test_the_document_comes_back_byte_for_byte(doors: Rig) -> None:
    posted = await _sent(doors)
    reply = await doors.ask("GET", f"/api/v1/messages/{posted.id}/document")
    assert reply.body == DOCUMENT
    assert reply.headers["Content-Type"] == "application/xml"
    digest = base64.b64encode(sha256(DOCUMENT).digest()).decode()
    assert reply.headers["Content-Digest"] == f"sha-256=:{digest}:"
    await doors.store.erase(bodies=[("body-1", _told(EventKind.ERASED))], now=NOW)
    assert (await doors.ask("GET", f"/api/v1/messages/{posted.id}/document")).status == 410


async def test_history_and_attempts_are_told(doors: Rig) -> None:
    one = delivery(state=state(Transport.SENT, stop_point=StopPoint.K5), ball=Ball.PARTNER, transport_due=NOW)
    posted = await _sent(doors, one)
    tried = Attempt(
        delivery_id=one.id,
        eb_id="eb-0",
        number=1,
        started_at=NOW,
        ended_at=NOW,
        endpoint="https://partner.example/ebms",
        http_status=503,
        result="failed",
        error_id="MB-3211",
    )
    await doors.store.record(Changes(events=(_told(EventKind.FAILED, message_id=posted.id),), attempts=(tried,)))
    events = (await doors.ask("GET", f"/api/v1/messages/{posted.id}/events")).json()["events"]
    assert [event["type"] for event in events] == ["message.accepted", "message.sent", "message.attempt_failed"]
    (attempt,) = (await doors.ask("GET", f"/api/v1/messages/{posted.id}/attempts")).json()["attempts"]
    assert (attempt["number"], attempt["httpStatus"], attempt["errorId"]) == (1, 503, "MB-3211")


async def test_the_apprec_that_decided_is_given_as_it_came_with_its_errors(doors: Rig) -> None:
    await _receipt(doors)
    rejected = state(Transport.ACKNOWLEDGED, Receipt.REJECTED, Outcome.REJECTED, StopPoint.K7)
    posted = await _sent(doors, delivery(state=rejected, ball=Ball.EPJ, receipt_message="receipt-1"))
    (given,) = (await doors.ask("GET", f"/api/v1/messages/{posted.id}/apprec")).json()["appRecs"]
    assert (given["receiverHerId"], given["status"]) == (THEIRS, "Rejected")
    assert base64.b64decode(given["document"]) == APPREC
    assert given["errors"] == [
        {
            "errorCode": "E35",
            "oid": "2.16.578.1.12.4.1.1.8221",
            "text": "Pasienten er ikke kjent",
            "details": "fritekst",
        }
    ]


async def test_the_dry_run_says_what_a_post_would_be_told(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    who = Who(
        sender=PartyRef(her=OURS, organisation_her=None),
        receivers=(PartyRef(her=THEIRS, organisation_her=None),),
        msg_id="m",
    )
    checked = Checked(judged=Judged(kind=Kind.APPREC), who=who, unreachable=None)
    monkeypatch.setattr(intake, "validate", story(checked))
    reply = await doors.ask("POST", "/api/v1/messages/validate", data=b"<x/>", headers=XML)
    assert reply.status == 200
    assert reply.json() == {
        "ok": True,
        "type": "APPREC",
        "process": None,
        "function": None,
        "receivers": [{"receiverHerId": THEIRS}],
    }
    monkeypatch.setattr(intake, "validate", story(DocumentRefused((FAULT,))))
    assert (await doors.ask("POST", "/api/v1/messages/validate", data=b"<x/>", headers=XML)).status == 422


# --- in ---


async def test_the_inbox_lists_what_came_page_by_page(doors: Rig) -> None:
    for number in "123":
        await _came(doors, number=number)
    first = (await doors.ask("GET", "/api/v1/inbox?limit=2")).json()["items"]
    assert [one["id"] for one in first] == ["item-1", "item-2"]
    rest = (await doors.ask("GET", f"/api/v1/inbox?after=item-2&her={OURS}")).json()["items"]
    assert rest == [
        {
            "id": "item-3",
            "receiverHerId": OURS,
            "senderHerId": THEIRS,
            "msgId": "in-3",
            "type": "DIALOG_HELSEFAGLIG",
            "process": "DIALOG_HELSEFAGLIG",
            "function": "Foresporsel",
            "conversationId": "c-1",
            "refToParent": None,
            "receivedAt": "2026-11-21T11:55:00.000Z",
            "size": len(DOCUMENT),
            "sha256": sha256(DOCUMENT).hexdigest(),
            "state": "waiting",
            "appRecOwed": True,
            "payloads": [],
        }
    ]
    assert (await doors.ask("GET", "/api/v1/inbox", token=OTHER_TOKEN)).json() == {"items": []}


async def test_what_is_stored_is_no_longer_unread_and_can_still_be_listed(doors: Rig) -> None:
    _, waiting = await _came(doors)
    moved = replace(waiting, stage=ItemStage.STORED)
    await doors.store.record(Changes(events=(_told(EventKind.STORED),), items=(moved,)))
    assert (await doors.ask("GET", "/api/v1/inbox")).json()["items"] == []
    (listed,) = (await doors.ask("GET", "/api/v1/inbox?unread=false")).json()["items"]
    assert (listed["state"], listed["appRecOwed"]) == ("stored", True)


async def test_a_received_document_is_fetched_and_shown(doors: Rig) -> None:
    received, waiting = await _came(doors, owed=Owed.NEVER)
    assert (await doors.ask("GET", f"/api/v1/inbox/{waiting.id}")).json()["appRecOwed"] is False
    assert (await doors.ask("GET", f"/api/v1/inbox/{waiting.id}/document")).body == DOCUMENT
    shown = (await doors.ask("GET", f"/api/v1/messages/{received.id}")).json()
    assert (shown["direction"], shown["stopPoint"], shown["receivers"][0]["itemId"]) == ("in", "M6", waiting.id)
    for path in ("", "/document"):
        assert (await doors.ask("GET", f"/api/v1/inbox/{waiting.id}{path}", token=OTHER_TOKEN)).status == 404
    assert (await doors.ask("GET", f"/api/v1/messages/{received.id}", token=OTHER_TOKEN)).status == 404


async def test_stored_is_204_and_another_clients_item_is_404(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = story(item())
    monkeypatch.setattr(handover, "stored", stored)
    reply = await doors.ask("POST", "/api/v1/inbox/item-9/stored")
    assert (reply.status, reply.body) == (204, b"")
    assert stored.calls == [("item-9", CLIENT, doors.doors)]  # type: ignore[attr-defined]  # see story()
    monkeypatch.setattr(handover, "stored", story(Unknown("no such inbox item")))
    assert (await doors.ask("POST", "/api/v1/inbox/item-9/stored")).status == 404


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"appRecStatus": "Ok"}, Verdict.OK),
        ({"appRecStatus": "1", "appRecErrorList": []}, Verdict.OK),
        ({"appRecStatus": 2, "appRecErrorList": [{"errorCode": "E31", "details": "æ"}]}, Verdict.REJECTED),
        ({"appRecStatus": "OkErrorInMessagePart", "appRecErrorList": [{"errorCode": "E31"}]}, Verdict.PARTIAL),
    ],
)
async def test_a_verdict_reaches_the_story(
    said: dict[str, object], verdict: Verdict, doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = story(Answered(item=item(), apprec_message="a-1", replayed=False))
    monkeypatch.setattr(handover, "verdict", told)
    reply = await doors.ask("POST", "/api/v1/inbox/item-9/apprec", json=said)
    assert reply.status == 202
    assert reply.json() == {"itemId": item().id, "appRecMessageId": "a-1", "replayed": False}
    ((item_id, given, errors, client, _),) = told.calls  # type: ignore[attr-defined]  # see story()
    assert (item_id, given, client) == ("item-9", verdict, CLIENT)
    if verdict is Verdict.REJECTED:
        assert errors == (GivenError(code="E31", details="æ"),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"[" * 60_000,
        b"{}",
        b'{"appRecStatus": "Maybe"}',
        b'{"appRecStatus": true}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": {"errorCode": "E31"}}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": ["E31"]}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": 31}]}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": "E31 Canary"}]}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": "E31", "details": "a\\u0000b"}]}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": "E31", "details": "\\ud800"}]}',
        b'{"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": "E31", "details": ["Canary"]}]}',
    ],
)
async def test_a_verdict_that_cannot_be_read_is_400_before_any_story(
    body: bytes, doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = story(None)
    monkeypatch.setattr(handover, "verdict", told)
    json_type = {"Content-Type": "application/json"}
    reply = await doors.ask("POST", "/api/v1/inbox/item-9/apprec", data=body, headers=json_type)
    assert (reply.status, reply.json()["errorId"]) == (400, "MB-1007")
    assert b"Canary" not in reply.body
    assert told.calls == []  # type: ignore[attr-defined]  # see story()


async def test_a_verdict_that_does_not_hold_has_words_of_its_own(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    path, said = "/api/v1/inbox/item-9/apprec", {"appRecStatus": "Rejected"}
    monkeypatch.setattr(handover, "verdict", story(Conflict("another verdict was given")))
    other = await doors.ask("POST", path, json=said)
    assert (other.status, other.json()["errorId"]) == (409, "MB-1105")
    assert "kvittering" in other.json()["title"]
    monkeypatch.setattr(handover, "verdict", story(DocumentRefused((FAULT,))))
    refused = await doors.ask("POST", path, json=said)
    assert (refused.status, refused.json()["errorId"]) == (422, "MB-1106")
    assert len(refused.json()["faults"]) == 1


# --- the feed ---


async def test_the_feed_gives_each_clients_own_events_from_an_offset_on(doors: Rig) -> None:
    await _came(doors)
    told = NewEvent(kind=EventKind.OVERDUE, at=NOW, her=8000301, feed=True)
    await doors.store.record(
        Changes(events=(told, _told(EventKind.RECEIPT_REJECTED, codes=("E35",), error_id="MB-3401")))
    )
    page = (await doors.ask("GET", "/api/v1/events?limit=1")).json()
    (first,) = page["events"]
    assert (first["type"], first["itemId"], first["herId"]) == ("inbox.document", "item-9", OURS)
    assert page["next"] == first["offset"]
    rest = (await doors.ask("GET", f"/api/v1/events?after={page['next']}")).json()
    (second,) = rest["events"]
    assert (second["type"], second["codes"], second["errorId"]) == ("message.apprec_rejected", ["E35"], "MB-3401")
    end = (await doors.ask("GET", f"/api/v1/events?after={rest['next']}")).json()
    assert end == {"events": [], "next": rest["next"]}
    others = (await doors.ask("GET", "/api/v1/events", token=OTHER_TOKEN)).json()["events"]
    assert [event["type"] for event in others] == ["message.overdue"]


async def test_outcomes_are_confirmed_up_to_an_offset(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = story(3)
    monkeypatch.setattr(intake, "confirm", confirm)
    reply = await doors.ask("POST", "/api/v1/events/confirm", json={"through": 41})
    assert (reply.status, reply.json()) == (200, {"confirmed": 3})
    assert confirm.calls == [(CLIENT, 41, doors.doors)]  # type: ignore[attr-defined]  # see story()
    for wrong in ({"through": -1}, {"through": "41"}, {"through": True}, {"through": 2**63}, {"through": 1.5}, {}):
        reply = await doors.ask("POST", "/api/v1/events/confirm", json=wrong)
        assert reply.status == 400
        assert "through" in reply.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "events?after=-1",
        "events?after=x",
        "events?after=99999999999999999999",
        "events?limit=0",
        "events?limit=1001",
        "events?limit=",
        "inbox?unread=maybe",
        "inbox?her=x",
        "inbox?her=0",
        "inbox?her=9999999999",
    ],
)
async def test_a_wrong_parameter_is_400_and_is_named_without_its_value(query: str, doors: Rig) -> None:
    reply = await doors.ask("GET", f"/api/v1/{query}")
    name = query.partition("?")[2].partition("=")[0]
    assert reply.status == 400
    assert reply.json()["detail"].startswith(f"{name} må være")


async def test_another_her_id_in_the_inbox_is_403_and_named(doors: Rig) -> None:
    reply = await doors.ask("GET", "/api/v1/inbox?her=8000301")
    assert (reply.status, reply.json()["errorId"]) == (403, "MB-1201")
    assert "8000301" in reply.json()["detail"]
