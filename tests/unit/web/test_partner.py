"""What a partner is answered at /ebms: what the story has committed, and 503 for every fault of ours."""

import pytest

from broker import inbound
from broker.errors import StoreBroken, StoreBusy
from broker.message import Answer
from tests.unit.web.rig import Rig, story

MULTIPART = 'multipart/related; boundary="b"; type="text/xml"'


async def test_an_answer_with_a_body_carries_the_soap_action_in_quotes(
    doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = story(Answer(status=200, content_type="text/xml; charset=UTF-8", body=b"<ack/>"))
    monkeypatch.setattr(inbound, "receive", receive)
    body = bytes(range(256))
    reply = await doors.ask("POST", "/ebms", door="partner", token=None, data=body, headers={"Content-Type": MULTIPART})
    assert (reply.status, reply.body) == (200, b"<ack/>")
    assert reply.headers["SOAPAction"] == '"ebXML"'
    assert reply.headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert receive.calls == [(MULTIPART, body, doors.doors)]  # type: ignore[attr-defined]  # see story()


@pytest.mark.parametrize("action", ['"ebXML"', "ebXML", "urn:nhs:names/x", ""])
async def test_nothing_to_say_is_204_whatever_the_soap_action(
    action: str, doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "receive", story(Answer(status=204, content_type="", body=b"")))
    headers = {"Content-Type": "text/xml", "SOAPAction": action, "charset": "UTF-8"}
    reply = await doors.ask("POST", "/ebms", door="partner", token=None, data=b"<e/>", headers=headers)
    assert (reply.status, reply.body) == (204, b"")
    assert "SOAPAction" not in reply.headers
    assert "Content-Type" not in reply.headers


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=503, content_type="", body=b""),
        StoreBusy("the disk is full", error_id="MB-9101"),
        StoreBroken("fsync failed"),
        RuntimeError("Canary"),
    ],
    ids=["answer", "busy", "broken", "unexpected"],
)
async def test_every_fault_of_ours_is_503_so_that_the_partner_sends_again(
    fault: object, doors: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "receive", story(fault))
    headers = {"Content-Type": "text/xml"}
    reply = await doors.ask("POST", "/ebms", door="partner", token=None, data=b"<e/>", headers=headers)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "10")
    assert b"Canary" not in reply.body


async def test_a_type_that_is_no_ebms_is_415(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = story(None)
    monkeypatch.setattr(inbound, "receive", receive)
    headers = {"Content-Type": "application/json"}
    reply = await doors.ask("POST", "/ebms", door="partner", token=None, data=b"{}", headers=headers)
    assert reply.status == 415
    assert receive.calls == []  # type: ignore[attr-defined]  # see story()


async def test_the_partners_door_has_no_api(doors: Rig) -> None:
    assert (await doors.ask("GET", "/api/v1/inbox", door="partner")).status == 404
    assert (await doors.ask("POST", "/ebms")).status == 404
