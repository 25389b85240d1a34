"""What our broker answers to the public samples of the field, each sent by the party that it names, in plaintext."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.envelope import ebms, ebms_build, ebms_parse, mime, xml
from broker.envelope.ebms import Kind
from broker.envelope.signature import sign_envelope
from broker.message import EventKind
from broker.sealing.certificates import Use
from tests.certificates import key_pair
from tests.interop.engine import engine

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = key_pair("interop partner", Use.SIGN)

# The sender and receiver that a sample names, what we answer, and what is written down beside.
TAKEN, REJECTED = EventKind.INBOX_DOCUMENT, EventKind.INBOUND_REJECTED
UNMATCHED, UNREADABLE = EventKind.RECEIPT_UNMATCHED, EventKind.SECURITY
TABLE = {
    "apprec/ks-1.0-example-avvist.xml": (258521, 91126, Kind.ACKNOWLEDGMENT, UNMATCHED),
    "apprec/ks-1.0-example-ok-feil-i-delmelding.xml": (258521, 91126, Kind.MESSAGE_ERROR, UNREADABLE),
    "apprec/ks-1.0-example-ok.xml": (258521, 91126, Kind.ACKNOWLEDGMENT, UNMATCHED),
    "apprec/ks-1.1-all-data.xml": (8143060, 555111, Kind.ACKNOWLEDGMENT, UNMATCHED),
    "apprec/ks-1.1-example-avvist.xml": (258521, 89583, Kind.ACKNOWLEDGMENT, UNMATCHED),
    "apprec/ks-1.1-example-ok.xml": (369767, 89583, Kind.ACKNOWLEDGMENT, UNMATCHED),
    "dialogue/helsenorge-ekontakt.xml": (8141333, 8093244, Kind.ACKNOWLEDGMENT, REJECTED),
    "dialogue/helsenorge-reseptfornyelse.xml": (8141333, 8093244, Kind.ACKNOWLEDGMENT, REJECTED),
    "dialogue/ks-1.0-dialog-foresporsel-samsvar-test.xml": (8094866, 8143060, Kind.ACKNOWLEDGMENT, TAKEN),
    "dialogue/ks-1.0-dialog-notat-webmed-test.xml": (8143025, 8143060, Kind.ACKNOWLEDGMENT, TAKEN),
    "dialogue/ks-1.1-helsefaglig-dialog-samsvar-test-message.xml": (8094866, 8143060, Kind.ACKNOWLEDGMENT, TAKEN),
}


def folder_of_samples() -> Path:
    reference = os.environ.get("DIGIHELSE_REFERENCE")
    if not reference:
        pytest.skip("the public samples are not at hand: DIGIHELSE_REFERENCE is unset")
    return Path(reference) / "examples"


def test_every_public_document_and_receipt_stands_in_the_table() -> None:
    folder = folder_of_samples()
    there = {str(path.relative_to(folder)) for kind in ("apprec", "dialogue") for path in (folder / kind).glob("*.xml")}
    assert there == TABLE.keys()
    print(f"samples answered: {len(TABLE)} (at least 11)")


def entity_of(document: bytes, *, sender: int, receiver: int) -> mime.Entity:
    header = ebms.Header(
        from_=ebms.her_party(sender),
        to=ebms.her_party(receiver),
        cpa_id="interop:sync",
        conversation_id="sample",
        service="HelsefagligDialog",
        service_type="string",
        action="Foresporsel",
        message_id="sample@interop.test",
        timestamp=NOW,
        duplicate_elimination=True,
    )
    envelope = ebms.Envelope(
        header=header, sync_reply=True, ack_requested=ebms.AckRequested(signed=True), manifest=("document@interop",)
    )
    signed = sign_envelope(ebms_build.build(envelope), {"document@interop": document}, KEY)
    part = mime.plaintext("document@interop", document)
    return mime.build(signed, (part,), boundary="0123456789abcdef", root_id="root@interop")


@pytest.mark.parametrize("name", TABLE)
async def test_our_answer_to_a_public_sample(name: str, tmp_path: Path) -> None:
    document = (folder_of_samples() / name).read_bytes()
    sender, receiver, says, kind = TABLE[name]
    entity = entity_of(document, sender=sender, receiver=receiver)
    async with engine(
        tmp_path, hosted=receiver, partner=sender, cpa_id="interop:sync", signer=KEY.certificate, at=NOW
    ) as ours:
        status, said = await ours.given(entity.content_type, entity.body)
        assert status == 200
        assert ebms_parse.parse(xml.parse(said, max_bytes=10**6)).kind is says
        told = await ours.events([TAKEN, REJECTED, UNMATCHED, UNREADABLE])
        assert [event.kind for event in told] == [kind]
