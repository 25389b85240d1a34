"""What ebMS 2.0 asks of an envelope: docs/conformance/ebms names each test. What is refused: test_ebms_refused.

What we write is looked at as bytes, by lxml alone; what a peer may write is put into an envelope that we read.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lxml import etree

from broker import errors
from broker.diagnosis import CAUSES, causes
from broker.envelope import mime, xml
from broker.envelope.ebms import (
    ACTOR_TO_PARTY_MSH,
    ERROR_CONTEXT,
    EbError,
    Envelope,
    ErrorList,
    Kind,
    MessageStatus,
    PartyId,
    Severity,
    StatusResponse,
    her_party,
)
from broker.envelope.ebms_build import build
from broker.envelope.names import DS, EB, SOAP, XLINK, XML, ds, eb, soap
from broker.envelope.signature import sign_envelope, verify_envelope
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH, C14N, EBMS_XPATH, ENVELOPED, RSA_SHA256, XPATH
from broker.errors import Inconsistent, MustUnderstand, NotSupported, NotTrusted, OtherXml, Refused
from broker.receipts.message_error import build_message_error, check_message_error
from tests.oracles.xmldsig_engines import OURS
from tests.unit.envelope.envelopes import ACTOR, ALL, AT, MESSAGE, USER, changed, read, signal
from tests.unit.receipts.test_acknowledgment import SENT

HEADERS = ("MessageHeader", "SyncReply", "AckRequested", "Acknowledgment", "ErrorList")
BODIES = ("Manifest", "StatusRequest", "StatusResponse")
NEXT_MSH = f' SOAP:actor="{ACTOR_NEXT_MSH}"'
ERROR, WARNING = (
    ErrorList(errors=(EbError(code="Inconsistent", severity=severity, location="//x", description="Why."),))
    for severity in (Severity.ERROR, Severity.WARNING)
)


def written(envelope: Envelope) -> etree._Element:
    """Return what we write, parsed by a parser of its own."""
    return etree.fromstring(build(envelope))  # noqa: TID251 - our own bytes, without our own reader


def names(element: etree._Element) -> list[str]:
    return [etree.QName(child).localname for child in element]


def attributes(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


# --- 2: packaging and SOAP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_an_envelope_is_one_header_and_one_body_of_soap_1_1(kind: Kind) -> None:
    root = written(ALL[kind])
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
    assert [child.tag for child in root] == [soap("Header"), soap("Body")]


def test_the_encoding_of_the_envelope_is_the_charset_of_its_part() -> None:
    for envelope in (build(USER), sign_envelope(build(USER), {}, OURS)):
        assert envelope.startswith(b"<SOAP:Envelope ")  # no declaration: XML 1.0 in UTF-8
        entity = mime.build(envelope, (mime.ciphertext("p@x", b"0"),), boundary="b" * 32, root_id="r@fjordvik.example")
        root = mime.read(entity.content_type, entity.body).root
        assert root.content_type == "text/xml; charset=UTF-8"
        assert root.body.decode("utf-8").encode("utf-8") == envelope


def test_another_namespace_of_ebms_is_not_ours() -> None:
    older = build(USER).replace(EB.encode(), b"http://www.ebxml.org/namespaces/messageHeader")
    with pytest.raises(Refused) as refusal:
        read(older)
    assert isinstance(refusal.value, MustUnderstand)  # its header entries are of no namespace that we know


@pytest.mark.parametrize("kind", Kind)
def test_attributes_of_ebms_are_qualified(kind: Kind) -> None:
    found = [name for element in written(ALL[kind]).iter(f"{{{EB}}}*") for name in element.attrib]
    assert found
    assert {etree.QName(name).namespace for name in found} <= {EB, SOAP, XLINK, XML}


def test_no_schema_location_is_written() -> None:
    for envelope in ALL.values():
        assert b"schemaLocation" not in sign_envelope(build(envelope), {}, OURS)


@pytest.mark.parametrize("kind", Kind)
def test_every_element_stands_where_the_standard_puts_it(kind: Kind) -> None:
    root = written(replace(ALL[kind], sync_reply=True))
    header, body = root
    assert names(header).count("MessageHeader") == 1
    assert set(names(header)) <= set(HEADERS)
    assert set(names(body)) <= set(BODIES)
    for element in root.iter(*(eb(name) for name in HEADERS)):
        assert element.getparent() is header
    for element in root.iter(*(eb(name) for name in BODIES)):
        assert element.getparent() is body


@pytest.mark.parametrize("kind", Kind)
def test_every_element_has_its_version_and_must_be_understood(kind: Kind) -> None:
    header, body = written(replace(ALL[kind], sync_reply=True))
    for element in header:
        assert (element.get(eb("version")), element.get(soap("mustUnderstand"))) == ("2.0", "1")
    for element in body:
        assert element.get(eb("version")) == "2.0"


WHOLE = {
    "MessageHeader": USER,
    "AckRequested": USER,
    "Manifest": USER,
    "Acknowledgment": ALL[Kind.ACKNOWLEDGMENT],
    "ErrorList": ALL[Kind.MESSAGE_ERROR],
    "StatusRequest": ALL[Kind.STATUS_REQUEST],
    "StatusResponse": ALL[Kind.STATUS_RESPONSE],
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_element_without_its_version_is_refused(name: str) -> None:
    with pytest.raises(OtherXml) as refusal:
        read(changed(f'<eb:{name} eb:version="2.0"', f"<eb:{name}", WHOLE[name]))
    assert refusal.value.location.endswith(f"/{name}/@version")


ADDED = {
    "xsi:schemaLocation": (
        "<SOAP:Envelope ",
        '<SOAP:Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:a x.xsd" ',
        USER,
    ),
    "eb:id of the header": ("<eb:MessageHeader ", '<eb:MessageHeader eb:id="h" ', USER),
    "eb:id of AckRequested": ("<eb:AckRequested ", '<eb:AckRequested eb:id="h" ', USER),
    "eb:id of SyncReply": ("<eb:SyncReply ", '<eb:SyncReply eb:id="h" ', ALL[Kind.PING]),
    "eb:id of Acknowledgment": ("<eb:Acknowledgment ", '<eb:Acknowledgment eb:id="h" ', ALL[Kind.ACKNOWLEDGMENT]),
    "eb:id of ErrorList": ("<eb:ErrorList ", '<eb:ErrorList eb:id="h" ', ALL[Kind.MESSAGE_ERROR]),
    "eb:id of Manifest": ("<eb:Manifest ", '<eb:Manifest eb:id="h" ', USER),
    "eb:id of StatusRequest": ("<eb:StatusRequest ", '<eb:StatusRequest eb:id="h" ', ALL[Kind.STATUS_REQUEST]),
    "an attribute of others": ("<eb:Manifest ", '<eb:Manifest xmlns:w="urn:w" w:more="1" ', USER),
    "xlink:role": ('href="cid:p-1@fjordvik.example"', 'href="cid:p-1@fjordvik.example" xlink:role="urn:payload"', USER),
    "eb:Schema": (
        'href="cid:p-1@fjordvik.example"/>',
        'href="cid:p-1@fjordvik.example"><eb:Schema eb:location="http://127.0.0.1:1/x"/></eb:Reference>',
        USER,
    ),
    "eb:Description": (
        'href="cid:p-1@fjordvik.example"/>',
        'href="cid:p-1@fjordvik.example"><eb:Description xml:lang="nb">Brev</eb:Description></eb:Reference>',
        USER,
    ),
    **{
        f"an element of others in {name}": (f"</eb:{name}>", f'<w:More xmlns:w="urn:w"/></eb:{name}>', ALL[kind])
        for name, kind in (
            ("MessageHeader", Kind.USER_MESSAGE),
            ("Manifest", Kind.USER_MESSAGE),
            ("ErrorList", Kind.MESSAGE_ERROR),
            ("StatusRequest", Kind.STATUS_REQUEST),
            ("StatusResponse", Kind.STATUS_RESPONSE),
        )
    },
    "an element of others in SyncReply": (
        'SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"/>',
        'SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"><w:More xmlns:w="urn:w"/></eb:SyncReply>',
        ALL[Kind.PING],
    ),
    "an element of others in AckRequested": (
        f'{ACTOR[:-1]}" eb:signed="true"/>',
        f'{ACTOR[:-1]}" eb:signed="true"><w:More xmlns:w="urn:w"/></eb:AckRequested>',
        USER,
    ),
}


@pytest.mark.parametrize("name", ADDED)
def test_what_a_peer_may_add_is_read_over(name: str) -> None:
    before, after, envelope = ADDED[name]
    assert read(changed(before, after, envelope)) == read(build(envelope))


@pytest.mark.parametrize("actor", [ACTOR_NEXT_MSH, ACTOR_NEXT])
def test_an_unknown_entry_for_the_next_msh_must_be_understood_by_us(actor: str) -> None:
    entry = f'<w:Trace xmlns:w="urn:w" SOAP:mustUnderstand="1" SOAP:actor="{actor}"/>'
    with pytest.raises(MustUnderstand):
        read(changed("</SOAP:Header>", entry + "</SOAP:Header>"))
    read(changed("</SOAP:Header>", entry.replace('"1"', '"0"') + "</SOAP:Header>"))


def test_an_unknown_entry_for_the_receiving_party_must_be_understood_by_us() -> None:
    entry = f'<w:Trace xmlns:w="urn:w" SOAP:mustUnderstand="1" SOAP:actor="{ACTOR_TO_PARTY_MSH}"/>'
    with pytest.raises(MustUnderstand):
        read(changed("</SOAP:Header>", entry + "</SOAP:Header>"))


def test_what_is_asked_of_the_receiving_party_has_its_actor() -> None:
    header, _ = written(USER)
    wish = header.find(eb("AckRequested"))
    assert wish is not None
    assert attributes(wish) == {
        eb("version"): "2.0",
        soap("mustUnderstand"): "1",
        soap("actor"): "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH",
        eb("signed"): "true",
    }


def test_what_is_asked_of_the_next_node_has_its_actor() -> None:
    header, _ = written(replace(USER, sync_reply=True))
    wish = header.find(eb("SyncReply"))
    assert wish is not None
    assert attributes(wish) == {
        eb("version"): "2.0",
        soap("mustUnderstand"): "1",
        soap("actor"): "http://schemas.xmlsoap.org/soap/actor/next",
    }


# --- 3.1: MessageHeader -----------------------------------------------------------------------------------------------

HEADER = (
    "From",
    "To",
    "CPAId",
    "ConversationId",
    "Service",
    "Action",
    "MessageData",
    "DuplicateElimination",
    "Description",
)


def test_the_header_stands_in_the_order_of_the_schema() -> None:
    (header, *_), _ = written(USER)
    assert names(header) == [*HEADER]
    assert names(header[0]) == ["PartyId", "Role"]
    assert names(header[6]) == ["MessageId", "Timestamp", "RefToMessageId", "TimeToLive"]


def test_the_message_header_is_for_no_one_on_the_way() -> None:
    for envelope in ALL.values():
        (header, *_), _ = written(envelope)
        assert header.get(soap("actor")) is None


def test_a_message_without_its_header_is_refused() -> None:
    text = build(USER).decode()
    header = text[text.index("<eb:MessageHeader") : text.index("</eb:MessageHeader>") + len("</eb:MessageHeader>")]
    with pytest.raises(OtherXml) as refusal:
        read(text.replace(header, "").encode())
    assert refusal.value.location == "//Header/MessageHeader"


@pytest.mark.parametrize("name", [*HEADER[:7], "MessageId", "Timestamp"])
def test_a_header_lacks_none_of_its_elements(name: str) -> None:
    text, count = re.subn(f"<eb:{name}[ >].*?</eb:{name}>", "", build(USER).decode(), count=1)
    assert count == 1
    with pytest.raises(OtherXml) as refusal:
        read(text.encode())
    assert refusal.value.location.startswith("//Header/MessageHeader")
    assert refusal.value.location.endswith(f"/{name}")


LEFT_OUT = {
    "Role": ("<eb:Role>Kommune</eb:Role>", USER),
    "RefToMessageId": ("<eb:RefToMessageId>m-0@fjordvik.example</eb:RefToMessageId>", USER),
    "TimeToLive": ("<eb:TimeToLive>2026-11-22T02:00:00Z</eb:TimeToLive>", USER),
    "From of an Acknowledgment": (
        '<eb:From><eb:PartyId eb:type="HER">8000202</eb:PartyId></eb:From>',
        ALL[Kind.ACKNOWLEDGMENT],
    ),
    "actor of an Acknowledgment": (ACTOR, ALL[Kind.ACKNOWLEDGMENT]),
    "location of an Error": (' eb:location="//x"', Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ERROR)),
    "Description of an Error": (
        '<eb:Description xml:lang="en">Why.</eb:Description>',
        Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ERROR),
    ),
    "codeContext of an Error": (
        f' eb:codeContext="{ERROR_CONTEXT}"',
        Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ERROR),
    ),
    "Timestamp of a StatusResponse": (
        "<eb:Timestamp>2026-11-22T01:00:00Z</eb:Timestamp></eb:StatusResponse>",
        ALL[Kind.STATUS_RESPONSE],
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_may_be_left_out_is_not_missed(name: str) -> None:
    piece, envelope = LEFT_OUT[name]
    end = "</eb:StatusResponse>" if piece.endswith("</eb:StatusResponse>") else ""
    without = read(changed(piece, end, envelope))
    assert without.kind == envelope.kind
    # An actor or a codeContext that is absent means what we write; the others are then not known.
    means_the_same = name.startswith(("actor", "codeContext"))
    assert (without == read(build(envelope))) is means_the_same


def test_several_names_of_a_party_are_read() -> None:
    several = (*her_party(8000101), PartyId(value="urn:oid:2.16.578.1.12.4.1.4.101"), PartyId(value="1", type="ENH"))
    again = read(build(replace(USER, header=replace(MESSAGE, from_=several))))
    assert again.header.from_ == several
    assert again.header.from_her is None


def test_a_header_may_have_several_descriptions() -> None:
    more = '<eb:Description xml:lang="nb">Hei</eb:Description></eb:MessageHeader>'
    found = read(changed("</eb:MessageHeader>", more)).header.descriptions
    assert [one.lang for one in found] == ["NO", "nb"]
    assert found[1].text == "Hei"


# --- 3.2: Manifest ----------------------------------------------------------------------------------------------------


def test_the_manifest_has_a_reference_to_each_part_in_order() -> None:
    _, body = written(USER)
    (manifest,) = body
    assert names(manifest) == ["Reference", "Reference"]
    assert [one.get(f"{{{XLINK}}}type") for one in manifest] == ["simple", "simple"]
    assert [one.get(f"{{{XLINK}}}href") for one in manifest] == ["cid:p-1@fjordvik.example", "cid:p%202@x"]


def test_what_has_no_payload_has_no_manifest() -> None:
    for kind in (Kind.ACKNOWLEDGMENT, Kind.MESSAGE_ERROR, Kind.PING, Kind.PONG):
        _, body = written(ALL[kind])
        assert len(body) == 0
    for kind in (Kind.STATUS_REQUEST, Kind.STATUS_RESPONSE):
        _, body = written(ALL[kind])
        assert body.find(eb("Manifest")) is None


# --- 4.1: Signature ---------------------------------------------------------------------------------------------------


def test_the_signature_stands_last_in_the_header_and_has_the_form_of_the_standard() -> None:
    root = etree.fromstring(sign_envelope(build(USER), {"p-1@fjordvik.example": b"1", "p 2@x": b"2"}, OURS))  # noqa: TID251 - as above
    signature = root[0][-1]
    assert signature.tag == ds("Signature")
    assert len(list(root.iter(ds("Signature")))) == 1
    assert names(signature) == ["SignedInfo", "SignatureValue", "KeyInfo"]
    canonicalization, method, *references = signature[0]
    assert (canonicalization.get("Algorithm"), method.get("Algorithm")) == (C14N, RSA_SHA256)
    assert [one.get("URI") for one in references] == ["", "cid:p-1@fjordvik.example", "cid:p%202@x"]
    transforms = references[0].findall(f"{ds('Transforms')}/{ds('Transform')}")
    assert [one.get("Algorithm") for one in transforms] == [ENVELOPED, XPATH, C14N]
    assert transforms[1][0].text == EBMS_XPATH
    assert (
        EBMS_XPATH == 'not(ancestor-or-self::node()[@SOAP:actor="urn:oasis:names:tc:ebxml-msg:actor:nextMSH"]'
        ' | ancestor-or-self::node()[@SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"])'
    )
    assert all(one.find(ds("Transforms")) is None for one in references[1:])
    assert signature.nsmap["ds"] == DS


def test_dsa_with_sha1_is_refused() -> None:
    signed = sign_envelope(build(USER), {}, OURS)
    assert signed.count(RSA_SHA256.encode()) == 1
    dsa = signed.replace(RSA_SHA256.encode(), b"http://www.w3.org/2000/09/xmldsig#dsa-sha1")
    with pytest.raises(NotTrusted, match="a signature method"):
        verify_envelope(xml.parse(dsa, max_bytes=100_000), {}, trusted=[OURS.certificate])


@pytest.mark.parametrize("kind", Kind)
def test_any_message_can_be_signed_and_verified(kind: Kind) -> None:
    signed = sign_envelope(build(ALL[kind]), {}, OURS)
    document = xml.parse(signed, max_bytes=100_000)
    assert verify_envelope(document, {}, trusted=[OURS.certificate]).certificate == OURS.certificate
    assert read(signed).kind == kind


# --- 4.2: errors ------------------------------------------------------------------------------------------------------


def test_an_error_list_says_all_that_the_standard_asks_for() -> None:
    header, _ = written(Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ERROR))
    (_, errors_) = header
    assert attributes(errors_) == {eb("version"): "2.0", soap("mustUnderstand"): "1", eb("highestSeverity"): "Error"}
    (error,) = errors_
    assert attributes(error) == {
        eb("codeContext"): "urn:oasis:names:tc:ebxml-msg:service:errors",
        eb("errorCode"): "Inconsistent",
        eb("severity"): "Error",
        eb("location"): "//x",
    }
    (description,) = error
    assert (description.get(f"{{{XML}}}lang"), description.text) == ("en", "Why.")
    for kind in [kind for kind in Kind if kind is not Kind.MESSAGE_ERROR]:
        assert b"ErrorList" not in build(ALL[kind])


@pytest.mark.parametrize(
    ("severities", "highest"),
    [("W", "Warning"), ("WW", "Warning"), ("WE", "Error"), ("EW", "Error"), ("E", "Error")],
)
def test_the_highest_severity_is_that_of_the_worst(severities: str, highest: str) -> None:
    known = {"W": Severity.WARNING, "E": Severity.ERROR}
    errors_ = tuple(EbError(code="OtherXml", severity=known[one]) for one in severities)
    header, _ = written(Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ErrorList(errors=errors_)))
    assert header[1].get(eb("highestSeverity")) == highest
    assert [one.get(eb("severity")) for one in header[1]] == [known[one] for one in severities]


def test_two_errors_of_one_id_are_two_errors() -> None:
    text = build(ALL[Kind.MESSAGE_ERROR]).decode()
    assert text.count("<eb:Error ") == 2
    found = read(text.replace("<eb:Error ", '<eb:Error eb:id="ERROR_ID" ').encode()).error_list
    assert found == ALL[Kind.MESSAGE_ERROR].error_list


def test_a_code_of_another_list_is_read() -> None:
    own = EbError(code="E-77", severity=Severity.ERROR, context="urn:partner:errors")
    envelope = Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ErrorList(errors=(own,)))
    assert read(build(envelope)).error_list == ErrorList(errors=(own,))
    assert causes.message_error_id("E-77") == causes.MESSAGE_ERROR


CODES = (
    "ValueNotRecognized",
    "NotSupported",
    "Inconsistent",
    "OtherXml",
    "DeliveryFailure",
    "TimeToLiveExpired",
    "SecurityFailure",
    "MimeProblem",
    "Unknown",
)


def test_every_code_of_the_standard_is_read_and_has_a_sentence() -> None:
    told = set()
    for code in CODES:
        for severity in Severity:
            errors_ = ErrorList(errors=(EbError(code=code, severity=severity),))
            swapped = signal(Kind.MESSAGE_ERROR, ref_to_message_id=SENT.eb_id)
            header = replace(swapped, from_=MESSAGE.to, to=MESSAGE.from_)
            verdict = check_message_error(read(build(Envelope(header=header, error_list=errors_))), SENT)
            assert verdict.codes == (code,)
            assert verdict.refused is (severity is Severity.ERROR)
        told.add(causes.message_error_id(code))
    assert len(told) == len(CODES)  # no two of them are told as one
    assert causes.MESSAGE_ERROR not in told
    assert all(CAUSES[one].name.en and CAUSES[one].act.nb for one in told)


def _refusals(kind: type[Refused]) -> Iterator[type[Refused]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _refusals(each)


def test_every_refusal_has_a_code_of_the_standard_that_says_something() -> None:
    # A DocumentRefused is told to the EPJ that posted it, and never in ebMS.
    found = {one.__name__: one.code for one in _refusals(Refused) if one.__module__ == errors.__name__}
    assert len(found) >= 10
    assert set(found.values()) <= set(CODES)
    assert [name for name, code in found.items() if code == "Unknown"] == ["Refused"]


@pytest.mark.parametrize("errors_", [WARNING, ERROR], ids=["Warning", "Error"])
def test_warnings_may_come_with_a_business_message(errors_: ErrorList) -> None:
    found = read(build(replace(USER, error_list=errors_)))
    assert (found.kind, found.error_list) == (Kind.USER_MESSAGE, errors_)
    assert found.manifest == USER.manifest


def test_an_error_goes_alone() -> None:
    for refused in (errors.Inconsistent("x"), errors.NotTrusted("x"), errors.MimeProblem("x", location="cid:x")):
        header, body = written(build_message_error(MESSAGE, refused, message_id="e@x", timestamp=AT))
        assert names(header) == ["MessageHeader", "ErrorList"]
        assert len(body) == 0


# --- 6: reliable messaging --------------------------------------------------------------------------------------------


def test_an_acknowledgment_says_all_that_the_standard_asks_for() -> None:
    header, _ = written(ALL[Kind.ACKNOWLEDGMENT])
    (_, element) = header
    assert attributes(element) == {
        eb("version"): "2.0",
        soap("mustUnderstand"): "1",
        soap("actor"): "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH",
    }
    assert names(element) == ["Timestamp", "RefToMessageId", "From", "Reference", "Reference"]
    assert [one.tag for one in list(element)[3:]] == [ds("Reference")] * 2
    assert names(element[2]) == ["PartyId"]


@pytest.mark.parametrize("name", ["Timestamp", "RefToMessageId"])
def test_an_acknowledgment_lacks_none_of_its_elements(name: str) -> None:
    text = build(ALL[Kind.ACKNOWLEDGMENT]).decode()
    start = text.index("<eb:Acknowledgment ")
    inside, count = re.subn(f"<eb:{name}>[^<]*</eb:{name}>", "", text[start:], count=1)
    assert count == 1
    with pytest.raises(OtherXml) as refusal:
        read((text[:start] + inside).encode())
    assert refusal.value.location == f"//Header/Acknowledgment/{name}"


def test_a_wish_to_the_next_handler_is_not_supported_whatever_stands_beside_it() -> None:
    text = build(USER).decode()
    wish = text[text.index("<eb:AckRequested") : text.index("/>", text.index("<eb:AckRequested")) + 2]
    both = text.replace(wish, wish + wish.replace(ACTOR, NEXT_MSH))
    for several in (both, both.replace(wish, "", 1)):
        with pytest.raises(NotSupported) as refusal:
            read(several.encode())
        assert refusal.value.location == "//Header/AckRequested"
    with pytest.raises(Inconsistent):
        read(text.replace(wish, wish + wish).encode())


# --- 7 and 8: status and ping -----------------------------------------------------------------------------------------


def test_a_status_request_and_its_answer_have_the_form_of_the_standard() -> None:
    for kind, inside in (
        (Kind.STATUS_REQUEST, ["RefToMessageId"]),
        (Kind.STATUS_RESPONSE, ["RefToMessageId", "Timestamp"]),
    ):
        header, body = written(ALL[kind])
        assert names(header) == ["MessageHeader"]
        assert header[0].findtext(eb("Service")) == "urn:oasis:names:tc:ebxml-msg:service"
        assert header[0].findtext(eb("Action")) == kind.value
        assert names(body) == [kind.value]
        assert names(body[0]) == inside
    assert body[0].get(eb("messageStatus")) == "Received"


@pytest.mark.parametrize("kind", [Kind.STATUS_REQUEST, Kind.STATUS_RESPONSE])
def test_a_status_names_its_message(kind: Kind) -> None:
    with pytest.raises(OtherXml) as refusal:
        read(changed("<eb:RefToMessageId>m-1@x</eb:RefToMessageId>", "", ALL[kind]))
    assert refusal.value.location == f"//Body/{kind}/RefToMessageId"


@pytest.mark.parametrize("status", ["UnAuthorized", "NotRecognized", "Received", "Processed", "Forwarded"])
def test_every_status_of_the_standard_is_read_and_written(status: str) -> None:
    for came in (AT, None):
        answer = StatusResponse(ref_to_message_id="m-1@x", status=MessageStatus(status), timestamp=came)
        envelope = Envelope(header=signal(Kind.STATUS_RESPONSE), status_response=answer)
        _, body = written(envelope)
        assert body[0].get(eb("messageStatus")) == status
        assert names(body[0]) == ["RefToMessageId", *(["Timestamp"] if came else [])]
        assert read(build(envelope)).status_response == answer


@pytest.mark.parametrize("kind", [Kind.PING, Kind.PONG])
def test_a_ping_and_a_pong_are_a_header_and_no_more(kind: Kind) -> None:
    header, body = written(replace(ALL[kind], sync_reply=False))
    assert names(header) == ["MessageHeader"]
    assert len(body) == 0
    for name in ("From", "To", "CPAId", "ConversationId", "MessageData"):
        assert header[0].find(eb(name)) is not None
    assert header[0].findtext(eb("Service")) == "urn:oasis:names:tc:ebxml-msg:service"
    assert header[0].findtext(eb("Action")) == kind.value
