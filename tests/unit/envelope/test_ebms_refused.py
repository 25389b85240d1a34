"""What an envelope of ebMS 2.0 may not say: each change of a valid one is refused with its code and its place."""

from dataclasses import dataclass, replace

import pytest

from broker.envelope import xml
from broker.envelope.ebms import AckRequested, Envelope, Kind, StatusRequest
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse_header
from broker.errors import Inconsistent, MimeProblem, MustUnderstand, NotSupported, OtherXml, Refused, ValueNotRecognized
from tests.unit.envelope.envelopes import ACTOR, ALL, MESSAGE, USER, changed, read, signal

END = "</SOAP:Header>"
BODY = "<SOAP:Body>"
NEXT_MSH = ' SOAP:actor="urn:oasis:names:tc:ebxml-msg:actor:nextMSH"'
NEXT = ' SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"'
MUST = 'SOAP:mustUnderstand="1"'


@dataclass(frozen=True)
class Case:
    """A piece of a valid envelope, what is put for it, and the refusal that follows."""

    error: type[Refused]
    location: str
    before: str
    after: str
    kind: Kind = Kind.USER_MESSAGE

    def __str__(self) -> str:
        return f"{self.error.__name__} {self.location or '/'} {self.after[:30] or self.before[:30]}"


def security(attributes: str) -> str:
    return f'<w:Security xmlns:w="urn:w" {attributes}/>{END}'


HEADER = "//Header/MessageHeader"
DATA = f"{HEADER}/MessageData"
VERSION = '<eb:MessageHeader eb:version="2.0"'
PARTY = '<eb:From><eb:PartyId eb:type="HER">8000101</eb:PartyId>'
CPA = "<eb:CPAId>fjordvik:dalbygda:1</eb:CPAId>"
PART = "cid:p-1@fjordvik.example"
TIMES = (
    "",
    "now",
    "2026-11-22",
    "2026-13-22T01:00:00Z",
    "2026-11-22T25:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "2026-11-22T01:00:00+99:00",
    "-2026-11-22T01:00:00Z",
    "2026-11-22T01:00:00 Z",
    "２026-11-22T01:00:00Z",
)

CASES = (
    # modules and versions that we lack
    Case(NotSupported, "//Header/MessageOrder", END, "<eb:MessageOrder/>" + END),
    Case(NotSupported, "//Header/AckRequested", ACTOR, NEXT_MSH),
    Case(NotSupported, "//Header/Acknowledgment", ACTOR, NEXT_MSH, Kind.ACKNOWLEDGMENT),
    Case(NotSupported, f"{HEADER}/@version", VERSION, '<eb:MessageHeader eb:version="3.0"'),
    Case(OtherXml, f"{HEADER}/@version", VERSION, "<eb:MessageHeader"),
    # SOAP
    Case(MustUnderstand, "//Header/Security", END, security(MUST)),
    Case(MustUnderstand, "//Header/Security", END, security(MUST + NEXT)),
    Case(OtherXml, "//Header/Security/@mustUnderstand", END, security('SOAP:mustUnderstand="yes"')),
    Case(OtherXml, "", "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"),
    Case(OtherXml, "", "</SOAP:Envelope>", "<SOAP:Body/></SOAP:Envelope>"),
    Case(OtherXml, "", "<SOAP:Header>", "<SOAP:Header/><SOAP:Header>"),
    # elements in the wrong place, twice, or not there
    Case(OtherXml, "//Header/Via", END, "<eb:Via/>" + END),
    Case(OtherXml, "//Header/Manifest", END, '<eb:Manifest eb:version="2.0"/>' + END),
    Case(OtherXml, "//Body/MessageHeader", BODY, f"{BODY}<eb:MessageHeader/>"),
    Case(OtherXml, f"{HEADER}/From/Name", "<eb:From>", "<eb:From><eb:Name/>"),
    Case(OtherXml, f"{HEADER}/MessageData/Sequence", "<eb:MessageData>", "<eb:MessageData><eb:Sequence/>"),
    Case(OtherXml, f"{HEADER}/Quality", "<eb:MessageData>", "<eb:Quality/><eb:MessageData>"),
    Case(Inconsistent, HEADER, END, "<eb:MessageHeader/>" + END),
    Case(Inconsistent, "//Header/SyncReply", END, "<eb:SyncReply/><eb:SyncReply/>" + END),
    Case(Inconsistent, "//Header/AckRequested", END, "<eb:AckRequested/>" + END),
    Case(Inconsistent, "//Body/Manifest", BODY, f"{BODY}<eb:Manifest/>"),
    Case(Inconsistent, f"{HEADER}/CPAId", CPA, CPA + CPA),
    Case(Inconsistent, f"{DATA}/MessageId", "<eb:MessageId>", "<eb:MessageId>x</eb:MessageId><eb:MessageId>"),
    Case(Inconsistent, f"{HEADER}/From", PARTY, f"{PARTY}</eb:From>{PARTY}"),
    Case(OtherXml, f"{HEADER}/CPAId", CPA, ""),
    Case(OtherXml, f"{HEADER}/CPAId", CPA, "<eb:CPAId> </eb:CPAId>"),
    Case(OtherXml, f"{HEADER}/CPAId", "fjordvik:dalbygda:1", "fjordvik<x/>"),
    Case(OtherXml, f"{HEADER}/From/PartyId", PARTY, "<eb:From>"),
    # for someone on the way
    Case(Inconsistent, HEADER, "<eb:MessageHeader", "<eb:MessageHeader" + NEXT),
    Case(Inconsistent, HEADER, "<eb:MessageHeader", "<eb:MessageHeader" + NEXT_MSH),
    Case(Inconsistent, "//Header/AckRequested/@actor", ACTOR, ' SOAP:actor="urn:x"'),
    Case(Inconsistent, "//Header/AckRequested/@actor", ACTOR, NEXT),
    # values
    Case(OtherXml, f"{DATA}/MessageId", "m-1@fjordvik.example", "m" * 257),
    Case(Inconsistent, f"{HEADER}/From/PartyId", PARTY, "<eb:From><eb:PartyId>8000101</eb:PartyId>"),
    Case(Inconsistent, f"{HEADER}/Service", ' eb:type="string"', ""),
    *(
        Case(OtherXml, f"{DATA}/Timestamp", "<eb:Timestamp>2026-11-22T01:00:00Z", f"<eb:Timestamp>{one}")
        for one in TIMES
    ),
    Case(OtherXml, f"{DATA}/TimeToLive", "2026-11-22T02:00:00Z", "later"),
    Case(OtherXml, "//Header/AckRequested/@signed", ' eb:signed="true"', ""),
    Case(OtherXml, "//Header/AckRequested/@signed", 'eb:signed="true"', 'eb:signed="maybe"'),
    # the Manifest
    Case(MimeProblem, "//Body/Manifest/Reference", PART, "http://fjordvik.example/p-1"),
    Case(MimeProblem, "//Body/Manifest/Reference", PART, "cid:"),
    Case(OtherXml, "//Body/Manifest/Reference", f' xlink:href="{PART}"', ""),
    Case(OtherXml, "//Body/Manifest", BODY, f'{BODY}<eb:Manifest eb:version="2.0"/>', Kind.STATUS_REQUEST),
    # signals
    Case(ValueNotRecognized, f"{HEADER}/Action", "<eb:Action>Ping", "<eb:Action>Pang", Kind.PING),
    Case(ValueNotRecognized, f"{HEADER}/Action", "<eb:Action>Ping", "<eb:Action>UserMessage", Kind.PING),
    Case(Inconsistent, "//Header/Acknowledgment", "<eb:Action>Ping", "<eb:Action>Acknowledgment", Kind.PING),
    Case(Inconsistent, "//Header/ErrorList", "<eb:Action>Ping", "<eb:Action>MessageError", Kind.PING),
    Case(Inconsistent, "//Body/StatusRequest", "<eb:Action>Ping", "<eb:Action>StatusRequest", Kind.PING),
    Case(Inconsistent, "//Body/StatusResponse", "<eb:Action>Ping", "<eb:Action>StatusResponse", Kind.PING),
    Case(Inconsistent, "//Body/StatusRequest", "<eb:Action>StatusRequest", "<eb:Action>Ping", Kind.STATUS_REQUEST),
    Case(
        Inconsistent,
        "//Header/Acknowledgment/RefToMessageId",
        "<eb:RefToMessageId>m-1@x</eb:RefToMessageId>",
        "<eb:RefToMessageId>m-1@x</eb:RefToMessageId>" * 2,
        Kind.ACKNOWLEDGMENT,
    ),
    Case(
        OtherXml,
        "//Header/Acknowledgment/Reference/DigestValue",
        "<ds:DigestValue>d3",
        "<ds:DigestValue>*",
        Kind.ACKNOWLEDGMENT,
    ),
    Case(OtherXml, "//Header/ErrorList/Error", 'eb:errorCode="Unknown" ', "", Kind.MESSAGE_ERROR),
    Case(OtherXml, "//Header/ErrorList/Error", 'eb:severity="Warning"', 'eb:severity="Fatal"', Kind.MESSAGE_ERROR),
    Case(OtherXml, "//Header/ErrorList", END, f'<eb:ErrorList eb:version="2.0"/>{END}'),
    Case(OtherXml, "//Body/StatusResponse", 'messageStatus="Received"', 'messageStatus="Lost"', Kind.STATUS_RESPONSE),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_change_is_refused_with_its_code_and_place(case: Case) -> None:
    with pytest.raises(Refused) as refusal:
        read(changed(case.before, case.after, ALL[case.kind]))
    assert (type(refusal.value), refusal.value.location) == (case.error, case.location)
    assert refusal.value.why


@pytest.mark.parametrize(
    ("location", "envelope"),
    [
        ("//Body/StatusRequest", replace(USER, status_request=StatusRequest(ref_to_message_id="x"))),
        ("//Header/AckRequested", replace(ALL[Kind.ACKNOWLEDGMENT], ack_requested=AckRequested(signed=True))),
        ("//Header/AckRequested", replace(ALL[Kind.MESSAGE_ERROR], ack_requested=AckRequested(signed=True))),
        ("//Header/Acknowledgment", Envelope(header=signal(Kind.ACKNOWLEDGMENT))),
    ],
)
def test_elements_that_do_not_go_together_are_inconsistent(location: str, envelope: Envelope) -> None:
    with pytest.raises(Inconsistent) as refusal:
        read(build(envelope))
    assert refusal.value.location == location


@pytest.mark.parametrize("data", [b"<Envelope/>", b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>'])
def test_what_is_no_envelope_is_other_xml(data: bytes) -> None:
    with pytest.raises(OtherXml):
        read(data)


def test_a_refusal_can_be_answered_by_the_header_alone() -> None:
    data = changed(END, "<eb:MessageOrder/>" + END)
    assert parse_header(xml.parse(data, max_bytes=1_000_000)) == MESSAGE
