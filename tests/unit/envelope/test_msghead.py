"""The head of a document: what is read of it, and what makes it unreadable."""

import re

import pytest

from broker.envelope.msghead import HeadFault, HeadRefused, her_id, read_documents, read_head
from broker.envelope.names import BASE64, DIALOG_10, DIALOG_11
from broker.envelope.xml import parse
from broker.message import DocumentHead, Owed, Part, PartyRef
from tests.judging import reference, sample

QUESTION, PDF, LATIN1 = "ekontakt-sporsmal.xml", "helsefaglig-1.1-pdf.xml", "dialog-1.0-svar-latin1.xml"


def read(data: bytes) -> DocumentHead:
    return read_head(parse(data, max_bytes=1_000_000))


def changed(old: str, new: str, name: str = QUESTION) -> bytes:
    text, found = re.subn(old, new, sample(name).decode(), flags=re.S)
    assert found
    return text.encode()


def refused(data: bytes) -> list[tuple[HeadFault, str, str]]:
    with pytest.raises(HeadRefused) as caught:
        read(data)
    return [(problem.fault, problem.path, problem.apprec) for problem in caught.value.problems]


def test_a_head_is_read_whole() -> None:
    assert read(sample(LATIN1)) == DocumentHead(
        msg_id="7b0f2a52-52a5-4a60-8c5e-0d9d9f7f0a02",
        type="DIALOG_SVAR",
        gen_date="2026-11-20T08:15:00+01:00",
        sender=PartyRef(her=8000201, organisation_her=8000200),
        receiver=PartyRef(her=8000101, organisation_her=8000100),
        ack=Owed.ALWAYS,
        ref_to_parent="7b0f2a52-52a5-4a60-8c5e-0d9d9f7f0a01",
        ref_to_conversation="7b0f2a52-52a5-4a60-8c5e-0d9d9f7f0a01",
        parts=(Part(namespace=DIALOG_10, name="Dialogmelding", msg_type="XML", mime_type="", size=0),),
        content="Notat",
        code="99",
    )


def test_a_health_professional_may_be_the_party() -> None:
    assert read(sample(PDF)).sender == PartyRef(her=8000202, organisation_her=8000200, person=True)


def test_a_unit_goes_before_the_professional_beside_it() -> None:
    beside = (
        '<HealthcareProfessional><Ident><Id>8000103</Id><TypeId V="HER" S="2.16.578.1.12.4.1.1.8116"/></Ident>'
        "</HealthcareProfessional></Organisation></Receiver>"
    )
    head = read(changed(r"</Organisation>\s*</Receiver>", beside))
    assert head.receiver == PartyRef(her=8000101, organisation_her=8000100)


def test_level_one_alone_is_the_party_until_a_rule_says_otherwise() -> None:
    head = read(changed(r"<Organisation><OrganisationName>Innbyggerportalen</.*?</Organisation>", ""))
    assert head.sender == PartyRef(her=8000300, organisation_her=8000300)


def test_blanks_in_tokens_are_collapsed() -> None:
    head = read(changed('V="HER"', 'V=" HER\n"'))
    assert head.sender.her == 8000301
    assert read(changed('V="J"', 'V=" J "')).ack is Owed.ALWAYS


def test_the_shape_of_each_document_is_told_without_decoding_it() -> None:
    first, second = read_documents(parse(sample(PDF), max_bytes=1_000_000))
    assert (first.namespace, first.name, first.size) == (DIALOG_11, "Dialogmelding", 0)
    assert (second.namespace, second.msg_type, second.mime_type) == (BASE64, "A", "application/pdf")
    assert second.size == 125


@pytest.mark.parametrize(("encoded", "size"), [("", 0), ("QQ==", 1), ("QUI=", 2), ("QUJD", 3), ("Q U\nJ D QQ= =", 4)])
def test_the_size_of_an_attachment_is_that_of_its_bytes(encoded: str, size: int) -> None:
    data = changed("(<Base64Container[^>]*>).*(</Base64Container>)", rf"\g<1>{encoded}\g<2>", PDF)
    assert read(data).parts[1].size == size


def test_a_copy_receiver_is_read_where_it_has_a_her_id() -> None:
    copy = (
        '</Receiver><OtherReceiver><RoleReceiver V="COP"/><Organisation><Ident><Id>8000210</Id>'
        '<TypeId V="HER"/></Ident></Organisation></OtherReceiver><OtherReceiver><RoleReceiver V="COP"/></OtherReceiver>'
    )
    assert read(changed("</Receiver>", copy)).other_receivers == (PartyRef(her=8000210, organisation_her=8000210),)


def test_a_signature_counts_only_as_a_child_of_the_root() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    assert read(changed("</MsgHead>", f"{signature}</MsgHead>")).signed
    assert not read(changed("</RefDoc>", f"{signature}</RefDoc>")).signed


def test_what_stands_elsewhere_is_not_taken_for_the_head() -> None:
    hidden = '<Document><MsgInfo><MsgId>annen</MsgId><Ack V="N"/></MsgInfo></Document></MsgHead>'
    head = read(changed("</MsgHead>", hidden))
    assert (head.msg_id, head.ack) == ("7b0f2a52-52a5-4a60-8c5e-0d9d9f7f0a05", Owed.ALWAYS)


INFO = "/MsgHead/MsgInfo"


@pytest.mark.parametrize(
    ("old", "new", "fault", "path", "apprec"),
    [
        ("msghead/2006-05-24", "annet", HeadFault.ROOT, "/*", "T02"),
        ("<MsgInfo>.*</MsgInfo>", "", HeadFault.MISSING, f"{INFO}", "T02"),
        ("<MsgId>.*</MsgId>", "", HeadFault.MISSING, f"{INFO}/MsgId", "E10"),
        ("<MsgId>.*</MsgId>", "<MsgId> </MsgId>", HeadFault.MISSING, f"{INFO}/MsgId", "E10"),
        ("<MsgId>", "<MsgId>a\nb", HeadFault.MSG_ID, f"{INFO}/MsgId", "E10"),
        ("<MsgId>", "<MsgId>&#x85;", HeadFault.MSG_ID, f"{INFO}/MsgId", "E10"),
        ("<MsgId>", f"<MsgId>{'a' * 100}", HeadFault.MSG_ID, f"{INFO}/MsgId", "E10"),
        ("(<MsgId>.*</MsgId>)", r"\1\1", HeadFault.REPEATED, f"{INFO}/MsgId[2]", "T02"),
        ("<Type V=[^>]*/>", "<Type/>", HeadFault.MISSING, f"{INFO}/Type/@V", "T02"),
        ("<Type V=[^>]*/>", "", HeadFault.MISSING, f"{INFO}/Type", "T02"),
        ("<Receiver>.*</Receiver>", "", HeadFault.MISSING, f"{INFO}/Receiver", "E21"),
        ("<Receiver>.*</Receiver>", "<Receiver/>", HeadFault.MISSING, f"{INFO}/Receiver/Organisation", "E21"),
        ("8000101<", "0<", HeadFault.HER_FORM, f"{INFO}/Receiver/Organisation/Organisation/Ident/Id", "E21"),
        ("8000101<", "2147483648<", HeadFault.HER_FORM, f"{INFO}/Receiver/Organisation/Organisation/Ident/Id", "E21"),
        ("8000301<", "-1<", HeadFault.HER_FORM, f"{INFO}/Sender/Organisation/Organisation/Ident/Id", "T02"),
    ],
)
def test_a_head_that_cannot_be_read_says_why(old: str, new: str, fault: HeadFault, path: str, apprec: str) -> None:
    assert (fault, path, apprec) in refused(changed(old, new))


def test_every_problem_of_a_head_is_told() -> None:
    broken = changed("<MsgId>.*</MsgId>", "").replace(b">8000301<", b">x<").replace(b">8000101<", b">y<")
    assert [fault for fault, _, _ in refused(broken)] == [HeadFault.HER_FORM, HeadFault.HER_FORM, HeadFault.MISSING]


def test_a_her_id_is_a_positive_int32() -> None:
    assert (her_id(" 8000101\n"), her_id("2147483647")) == (8000101, 2147483647)
    for wrong in (None, "", "0", "01", "+1", "-1", "1.0", "2147483648", "99999999999", "٣"):
        assert her_id(wrong) is None


def test_the_public_samples_are_read() -> None:
    folder = reference() / "examples" / "dialogue"
    read_all = {file.name: read(file.read_bytes()) for file in folder.glob("*.xml")}
    assert len(read_all) >= 5
    assert read_all["ks-1.0-dialog-notat-webmed-test.xml"].sender.person
