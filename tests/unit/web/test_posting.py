"""What an EPJ is told when it posts a document, in every case."""

import pytest

from broker import intake
from broker.errors import Conflict, Denied, StoreBroken, StoreBusy
from broker.intake import Taken
from broker.message import Fault, Text
from broker.validation.documents import DocumentRefused
from tests.unit.web.rig import CLIENT, XML, Rig, story
from tests.unit.web.values import THEIRS, delivery, message

FAULT = Fault(
    rule="xsd.missing-element",
    line=12,
    path="MsgHead/MsgInfo",
    reason=Text(nb="MsgId mangler", en="MsgId is missing"),
    hint=Text(nb="Legg til MsgId", en="Add MsgId"),
)
POST = "/api/v1/messages"


async def test_a_taken_document_is_answered_with_its_id_and_the_digest_of_its_bytes(
    doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = story(Taken(message=message(), deliveries=(delivery(),), replayed=False))
    monkeypatch.setattr(intake, "accept", accept)
    raw = "<?xml version='1.0' encoding='ISO-8859-1'?><æ/>".encode("latin-1")
    reply = await doors.ask("POST", POST, data=raw, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})
    assert reply.status == 202
    assert reply.json() == {
        "id": message().id,
        "msgId": message().msg_id,
        "sha256": "00" * 32,
        "receivedAt": "2026-11-21T10:00:00.000Z",
        "receivers": [{"receiverHerId": THEIRS, "deliveryId": delivery().id}],
        "replayed": False,
    }
    assert reply.headers["Location"] == f"{POST}/{message().id}"
    assert "Idempotency-Replayed" not in reply.headers
    assert reply.headers["Cache-Control"] == "no-store"
    assert len(reply.headers["X-Request-Id"]) == 36
    assert accept.calls == [(raw, CLIENT, doors.doors, None)]  # type: ignore[attr-defined]  # see story()


async def test_the_same_post_again_is_marked_replayed(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "accept", story(Taken(message=message(), deliveries=(), replayed=True)))
    reply = await doors.ask("POST", POST, data=b"<x/>", headers=XML)
    assert (reply.status, reply.headers["Idempotency-Replayed"]) == (202, "true")


async def test_a_refused_document_is_told_every_fault_in_the_callers_language(
    doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "accept", story(DocumentRefused((FAULT, FAULT))))
    reply = await doors.ask("POST", POST, data=b"<x/>", headers=XML)
    said = reply.json()
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert said.pop("requestId") == reply.headers["X-Request-Id"]
    assert said == {
        "type": "/problems/document-refused",
        "title": "Dokumentet følger ikke standarden eller prosessen",
        "status": 422,
        "detail": "2 feil. Ingenting er tatt imot.",
        "instance": f"urn:uuid:{reply.headers['X-Request-Id']}",
        "errorId": "MB-1002",
        "accepted": False,
        "retryable": False,
        "act": "Rett alle feilene i listen og send dokumentet på nytt; samme MsgId kan brukes.",
        "faults": [
            {
                "line": 12,
                "path": "MsgHead/MsgInfo",
                "rule": "xsd.missing-element",
                "reason": "MsgId mangler",
                "hint": "Legg til MsgId",
            }
        ]
        * 2,
    }
    english = await doors.ask("POST", POST, data=b"<x/>", headers=XML | {"Accept-Language": "en-GB, nb;q=0.5"})
    assert english.headers["Content-Language"] == "en"
    assert english.json()["faults"][0]["hint"] == "Add MsgId"


@pytest.mark.parametrize(
    ("error", "status", "error_id", "accepted", "retryable"),
    [
        (Denied(8000999), 403, "MB-1201", False, False),
        (Conflict("another document was taken under this MsgId"), 409, "MB-1104", False, False),
        (StoreBusy("the disk is full", error_id="MB-9101"), 503, "MB-9101", False, True),
        # Whether these came before or after the commit nobody can tell; the same post again settles it.
        (StoreBroken("fsync failed"), 503, "MB-9102", None, True),
        (RuntimeError("Kari Canary 01019112345"), 503, "MB-9102", None, True),
        (TimeoutError(), 503, "MB-9102", None, True),
    ],
)
async def test_each_error_has_its_answer(
    error: Exception,
    status: int,
    error_id: str,
    accepted: bool | None,
    retryable: bool,
    doors: Rig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "accept", story(error))
    reply = await doors.ask("POST", POST, data=b"<x>Canary</x>", headers=XML)
    said = reply.json()
    assert reply.status == said["status"] == status
    assert (said["errorId"], said["accepted"], said["retryable"]) == (error_id, accepted, retryable)
    assert ("Retry-After" in reply.headers) == retryable
    assert b"Canary" not in reply.body
    if status == 403:
        assert "8000999" in said["detail"]


async def test_a_document_that_is_no_xml_or_of_an_unknown_type_has_its_own_id(
    doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for apprec, error_id in (("T01", "MB-1001"), ("T10", "MB-1003"), ("E21", "MB-2001"), ("T02", "MB-1002")):
        fault = Fault(rule="r", line=None, path="", reason=FAULT.reason, hint=FAULT.hint, apprec=apprec)
        monkeypatch.setattr(intake, "accept", story(DocumentRefused((fault,))))
        assert (await doors.ask("POST", POST, data=b"<x/>", headers=XML)).json()["errorId"] == error_id
