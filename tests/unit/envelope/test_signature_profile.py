"""Downgrades and tricks that the sender itself signed: only the profile can refuse them, and it says what it refused.

python-xmlsec signs each with the sender's key, so that value and digests hold; where it declines to sign such a thing,
the change is made afterwards, and the form is refused before any value is looked at.
"""

import re
from dataclasses import replace

import pytest

from broker.envelope import xml
from broker.envelope.names import cid
from broker.envelope.signature import WITH_SHA1, SignaturePolicy, sign_document, verify_document, verify_envelope
from broker.envelope.xmldsig import ACTOR_NEXT_MSH, C14N, EXC_C14N, OBJECT, RSA_SHA1, SHA1, SHA256, XPATH
from broker.errors import NotTrusted
from tests.oracles.xmldsig_engines import MAX_BYTES, OTHER, OURS, XPATH_TEXT, PythonXmlsec, Shape, unsigned
from tests.unit.envelope.signed import (
    DOCUMENT,
    NEXT,
    PARTS,
    SECOND,
    SHAPE,
    SIGNED_DOCUMENT,
    WEAK,
    Case,
    change,
    found,
    signed_by_sender,
    trace,
    verify,
)

ENVELOPED_TRANSFORM = '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
C14N_TRANSFORM = f'<ds:Transform Algorithm="{C14N}"/>'
XPATH_TRANSFORM = f'<ds:Transform Algorithm="{XPATH}">.*?</ds:Transform>'
PART = f'URI="{cid(SECOND)}">'

METHOD = "a signature method that the agreement does not allow"
DIGEST = "a digest method that the agreement does not allow"
TRANSFORMS = "a list of transforms"
OTHER_XPATH = "an XPath that is not the one of ebMS"
FORM = "not of our profile"

# The template is changed, then signed.
SIGNED = (
    Case("sha1 for one part", f'({PART}<ds:DigestMethod Algorithm=)"{SHA256}"', rf'\1"{SHA1}"', DIGEST),
    Case("rsa-sha512", "rsa-sha256", "rsa-sha512", METHOD),
    Case("no canonicalization of the envelope", re.escape(C14N_TRANSFORM), "", TRANSFORMS),
    Case("canonicalization twice", re.escape(C14N_TRANSFORM), C14N_TRANSFORM * 2, TRANSFORMS),
    Case("canonicalization before the XPath", f"({XPATH_TRANSFORM})({re.escape(C14N_TRANSFORM)})", r"\2\1", TRANSFORMS),
    Case("XPath first", f"({re.escape(ENVELOPED_TRANSFORM)})({XPATH_TRANSFORM})", r"\2\1", TRANSFORMS),
    Case("two XPaths", f"({XPATH_TRANSFORM})", r"\1\1", TRANSFORMS),
)

# Signed by the sender with this expression.
EXPRESSIONS = {
    "leaves out more": XPATH_TEXT.removesuffix(")") + ' | ancestor-or-self::node()[local-name()="To"])',
    "leaves out everything": "false()",
    "leaves out nothing": "true()",
    "only one of the two": f'not(ancestor-or-self::node()[@SOAP:actor="{ACTOR_NEXT_MSH}"])',
    "another attribute": XPATH_TEXT.replace("SOAP:actor", "SOAP:mustUnderstand"),
    "another actor": XPATH_TEXT.replace(ACTOR_NEXT_MSH, "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"),
    "a blank inside an actor": XPATH_TEXT.replace("actor/next", "actor/ next"),
    "other steps": XPATH_TEXT.replace("ancestor-or-self::node()", "ancestor-or-self::*"),
    "without not": XPATH_TEXT.removeprefix("not"),
    "costly": "count(//node()) > count(//*)",
}

# The original is changed: the form alone is enough.
FORMS = (
    Case("rsa-md5", "2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#rsa-md5", METHOD),
    Case("hmac", "2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1", METHOD),
    Case("no signature method", '<ds:SignatureMethod Algorithm="[^"]*"/>', "<ds:SignatureMethod/>", METHOD),
    Case(
        "output length",
        '(#rsa-sha256")/>',
        r"\1><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>",
        FORM,
    ),
    Case(
        "md5 digest",
        f'({PART}<ds:DigestMethod Algorithm=)"{SHA256}"',
        r'\1"http://www.w3.org/2001/04/xmldsig-more#md5"',
        DIGEST,
    ),
    Case(
        "unknown canonicalization",
        f'CanonicalizationMethod Algorithm="{C14N}"',
        'CanonicalizationMethod Algorithm="urn:none"',
        FORM,
    ),
    Case(
        "C14N 1.1",
        f'CanonicalizationMethod Algorithm="{C14N}"',
        'CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"',
        FORM,
    ),
    Case("no transforms", "<ds:Transforms>.*</ds:Transforms>", "", "value does not hold|transforms"),
    Case("a part by way of C14N", PART, rf"{PART}<ds:Transforms>{C14N_TRANSFORM}</ds:Transforms>", "transforms a part"),
    Case(
        "a part by way of XSLT",
        PART,
        rf'{PART}<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><x/></ds:Transform></ds:Transforms>',
        FORM,
    ),
    Case("text in a transform", re.escape(C14N_TRANSFORM), f'<ds:Transform Algorithm="{C14N}">x</ds:Transform>', FORM),
    Case("XPath Filter 2.0", XPATH, "http://www.w3.org/2002/06/xmldsig-filter2", FORM),
    Case("an element in the XPath", "(<ds:XPath[^>]*>)", r"\1<x/>", FORM),
    Case("an attribute of the XPath", "<ds:XPath", r'<ds:XPath Filter="union"', FORM),
    Case("something else among the transforms", re.escape(C14N_TRANSFORM), C14N_TRANSFORM + "<x/>", FORM),
)


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_a_form_outside_the_profile_is_refused_though_the_sender_signed_it(case: Case) -> None:
    with pytest.raises(NotTrusted, match=case.why):
        verify(signed_by_sender(case.where, case.by))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_another_xpath_is_refused_and_not_evaluated(name: str) -> None:
    data = PythonXmlsec().sign(replace(SHAPE, xpath=EXPRESSIONS[name]), OURS)
    with pytest.raises(NotTrusted, match=OTHER_XPATH):
        verify(data)


def test_an_xpath_whose_prefix_means_something_else_is_refused() -> None:
    declared = '<ds:XPath xmlns:SOAP="[^"]*"'
    verify(signed_by_sender(declared, '<ds:XPath xmlns:SOAP="http://schemas.xmlsoap.org/soap/envelope/"'))
    with pytest.raises(NotTrusted, match=OTHER_XPATH):
        verify(signed_by_sender(declared, '<ds:XPath xmlns:SOAP="urn:other"'))


def test_the_reference_to_the_envelope_may_be_called_an_object() -> None:
    typed = signed_by_sender('<ds:Reference URI="">', f'<ds:Reference URI="" Type="{OBJECT}">')
    assert f'Type="{OBJECT}"'.encode() in typed
    assert verify(typed).certificate == OURS.certificate
    with pytest.raises(NotTrusted, match="Type that is not of our profile"):
        verify(signed_by_sender('<ds:Reference URI="">', f'<ds:Reference URI="" Type="{OBJECT}s">'))


def test_exclusive_c14n_with_a_prefix_list_is_refused() -> None:
    where = f'(<ds:CanonicalizationMethod Algorithm="{re.escape(EXC_C14N)}")/>'
    prefixes = f'<e:InclusiveNamespaces xmlns:e="{EXC_C14N}" PrefixList="eb"/>'
    with pytest.raises(NotTrusted, match=FORM):
        verify(signed_by_sender(where, rf"\1>{prefixes}</ds:CanonicalizationMethod>", c14n=EXC_C14N))


@pytest.mark.parametrize("case", FORMS, ids=str)
def test_a_form_that_is_not_of_the_profile_is_refused(case: Case) -> None:
    with pytest.raises(NotTrusted, match=case.why):
        verify(change(case.where, case.by))


# --- what a record may open ------------------------------------------------------------------------------------------


def test_sha1_is_taken_only_by_record_and_is_told() -> None:
    for weak, why in ((replace(SHAPE, method=RSA_SHA1), METHOD), (replace(SHAPE, digest=SHA1), DIGEST)):
        data = PythonXmlsec().sign(weak, OURS)
        assert verify(data, policy=WITH_SHA1).uses_sha1
        with pytest.raises(NotTrusted, match=why):
            verify(data)


def test_a_policy_cannot_open_what_is_not_here() -> None:
    md5 = "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"
    with pytest.raises(NotTrusted, match=METHOD):
        verify(change("rsa-sha256", "rsa-md5"), policy=SignaturePolicy(signature_methods=frozenset({md5})))


def test_canonicalizations_can_be_narrowed() -> None:
    data = PythonXmlsec().sign(replace(SHAPE, c14n=EXC_C14N), OURS)
    verify(data)
    with pytest.raises(NotTrusted, match="canonicalization"):
        verify(data, policy=SignaturePolicy(canonicalizations=frozenset({C14N})))


def test_a_signature_without_xpath_needs_leave_and_covers_what_others_leave_out() -> None:
    data = PythonXmlsec().sign(replace(SHAPE, xpath=None), OURS)
    with pytest.raises(NotTrusted, match=TRANSFORMS):
        verify(data)
    policy = SignaturePolicy(without_xpath=True)
    assert verify(data, policy=policy).references[0].xpath is None
    with pytest.raises(NotTrusted, match="digest differs"):
        verify(change("</SOAP:Header>", trace(NEXT, "x") + r"\g<0>", data), policy=policy)


def test_a_key_under_2048_bits_is_refused() -> None:
    document = xml.parse(PythonXmlsec().sign(SHAPE, WEAK), max_bytes=MAX_BYTES)
    weaker = SignaturePolicy(min_key_bits=1024)
    assert verify_envelope(document, PARTS, trusted=[WEAK.certificate], policy=weaker).certificate == WEAK.certificate
    with pytest.raises(NotTrusted, match="too weak"):
        verify_envelope(document, PARTS, trusted=[WEAK.certificate])


# --- the document's own signature -------------------------------------------------------------------------------------

BROKEN = (
    Case("changed", "DIALOG_HELSEFAGLIG", "DIALOG_X", "digest differs"),
    Case("two signatures", "(<ds:Signature .*</ds:Signature>)", r"\1\1", "more than one"),
    Case("a reference more", "(<ds:Reference .*</ds:Reference>)", r"\1\1", "exactly once"),
    Case("a reference to a part", '<ds:Reference URI=""', '<ds:Reference URI="cid:x"', "exactly once"),
    Case("no certificate", "<ds:KeyInfo>.*</ds:KeyInfo>", "", "not the sender's"),
    Case("a certificate that is none", "<ds:X509Certificate>.{8}", "<ds:X509Certificate>AAAAAAAA", "cannot be read"),
    Case("no transforms", "<ds:Transforms>.*</ds:Transforms>", "", TRANSFORMS),
    Case("not enveloped", re.escape(ENVELOPED_TRANSFORM), "", TRANSFORMS),
)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_broken_document_signature_is_refused(case: Case) -> None:
    document = xml.parse(change(case.where, case.by, SIGNED_DOCUMENT), max_bytes=MAX_BYTES)
    with pytest.raises(NotTrusted, match=case.why):
        verify_document(document, trusted=None)


@pytest.mark.parametrize(
    ("shape", "why"), [(replace(DOCUMENT, xpath=XPATH_TEXT), TRANSFORMS), (replace(DOCUMENT, digest=SHA1), DIGEST)]
)
def test_a_document_signature_outside_the_profile_is_refused(shape: Shape, why: str) -> None:
    document = xml.parse(PythonXmlsec().sign(shape, OURS), max_bytes=MAX_BYTES)
    with pytest.raises(NotTrusted, match=why):
        verify_document(document, trusted=[OURS.certificate])


def test_a_document_without_signature_is_none() -> None:
    assert verify_document(xml.parse(unsigned(DOCUMENT), max_bytes=MAX_BYTES), trusted=[OURS.certificate]) is None


def test_a_signed_document_is_left_alone() -> None:
    assert sign_document(SIGNED_DOCUMENT, OTHER) == SIGNED_DOCUMENT


def test_an_inner_signature_is_content() -> None:
    inner = unsigned(DOCUMENT).replace(b"<y/>", found("<ds:Signature .*</ds:Signature>").encode())
    signed = sign_document(inner, OURS)
    assert signed != inner
    assert verify_document(xml.parse(signed, max_bytes=MAX_BYTES), trusted=[OURS.certificate]) is not None
    changed = xml.parse(signed.replace(b"payload-0", b"payload-9"), max_bytes=MAX_BYTES)
    with pytest.raises(NotTrusted, match="digest differs"):
        verify_document(changed, trusted=[OURS.certificate])


@pytest.mark.parametrize("document", [b"<a></a>", b"<a>x</a >\n", b"<a>x</a><!-- </b> --> <!-- > -->\n"])
def test_any_document_with_an_end_tag_can_be_signed(document: bytes) -> None:
    signed = xml.parse(sign_document(document, OURS), max_bytes=MAX_BYTES)
    assert verify_document(signed, trusted=[OURS.certificate]) is not None


@pytest.mark.parametrize("document", [b"<a/>", b'<a b="&lt;/a>"/>', b"<a/><!-- </a> -->"])
def test_a_document_without_an_end_tag_cannot(document: bytes) -> None:
    with pytest.raises(ValueError, match="without content"):
        sign_document(document, OURS)


def test_without_a_list_of_the_trusted_the_holder_of_the_certificate_is_named() -> None:
    document = xml.parse(sign_document(unsigned(DOCUMENT), OTHER), max_bytes=MAX_BYTES)
    verified = verify_document(document, trusted=None)
    assert verified is not None
    assert verified.certificate == OTHER.certificate
    with pytest.raises(NotTrusted, match="not the sender's"):
        verify_document(document, trusted=[OURS.certificate])


def test_an_envelope_that_binds_soap_to_a_prefix_and_to_the_default_namespace_is_read() -> None:
    both = replace(SHAPE, more='xmlns="http://schemas.xmlsoap.org/soap/envelope/"')
    assert verify(PythonXmlsec().sign(both, OURS)).certificate == OURS.certificate
