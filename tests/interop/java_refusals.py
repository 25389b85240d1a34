"""What Java writes and we refuse on purpose: the Java library that wrote it takes it, and our reason stands here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from broker.envelope import ebms_build, mime, xml
from broker.envelope.mime import Parts
from broker.envelope.signature import Verified, verify_envelope
from broker.envelope.xmldsig import ACTOR_NEXT, C14N, ENVELOPED, EXC_C14N, XPATH
from broker.errors import CannotOpen, MalformedXml, MimeProblem, NotTrusted, Refused
from broker.sealing import cms
from broker.sealing.cms import Cipher, Opened
from broker.sealing.keys import KeyPair
from tests.certificates import NOT_AFTER, NOT_BEFORE, rsa_key
from tests.interop.crossing import Row
from tests.interop.java_engine import JavaEngine
from tests.interop.java_messages import (
    JAVA,
    MAX_BYTES,
    OTHER_SIGN,
    OUR_SEAL,
    THEIR_SIGN,
    signing,
    their_envelope,
)

C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
RSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
RSA_PSS = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
CAMELLIA, AES_CCM = "1.2.392.200011.61.1.1.1.4", "2.16.840.1.101.3.4.1.47"
PARTS = {"p-1@dalbygda.example": b"<a xmlns='urn:a'/>", "p-2@dalbygda.example": b"<b />"}
ROW: Row = {name: values[0] for name, values in JAVA.items()}

# What a certificate of today looks like, but for its key: no authority issues 1024 bits any more.
WEAK = KeyPair(
    private_key=rsa_key("weak", 1024),
    certificate=x509.CertificateBuilder(
        issuer_name=THEIR_SIGN.certificate.subject,
        subject_name=THEIR_SIGN.certificate.subject,
        public_key=rsa_key("weak", 1024).public_key(),
        serial_number=7,
        not_valid_before=NOT_BEFORE,
        not_valid_after=NOT_AFTER,
    ).sign(rsa_key("weak", 1024), hashes.SHA256()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing that is refused: `offer` has Java write it, checks that Java takes it, and gives our reader's turn."""

    name: str
    why: str
    offer: Callable[[JavaEngine], Callable[[], object]]
    error: type[Refused]
    says: str

    def run(self, java: JavaEngine) -> tuple[str, str]:
        """Return what we said, and why we refuse it. Raises AssertionError where we take it, or say something else."""
        ours = self.offer(java)
        try:
            ours()
        except self.error as refused:
            said = refused.why
        else:
            raise AssertionError("we take it")
        assert self.says in said, f"refused, but with: {said}"
        return f"{self.error.__name__}: {said}", self.why


def _signature(
    *,
    signed: Sequence[str] = tuple(PARTS),
    key: KeyPair = THEIR_SIGN,
    certificate: x509.Certificate | None = None,
    header: bytes = b"",
    **options: str | Sequence[str],
) -> Callable[[JavaEngine], Callable[[], Verified]]:
    """Offer an envelope signed as `options` say (underscore for hyphen), over the parts in `signed` only."""

    def offer(java: JavaEngine) -> Callable[[], Verified]:
        unsigned = ebms_build.build(their_envelope(ROW, 1, tuple(PARTS)))
        unsigned = unsigned.replace(b"</SOAP:Header>", header + b"</SOAP:Header>")
        replaced = {name.replace("_", "-"): value for name, value in options.items()}
        fields = [(name, value) for name, value in signing(ROW) if name not in replaced]
        for name, value in replaced.items():
            fields += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        parts = {name: PARTS[name] for name in signed}
        data = java.sign(unsigned, parts, key, [certificate or key.certificate], fields)
        assert len(java.verify(data, parts, key.certificate)) >= 1 + len(parts)
        return lambda: verify_envelope(xml.parse(data, max_bytes=MAX_BYTES), PARTS, trusted=[key.certificate])

    return offer


def _ciphertext(**options: str) -> Callable[[JavaEngine], Callable[[], Opened]]:
    """Offer a ciphertext for us: AES-256 in CBC under v1.5 where `options` do not say something else."""
    usual = {"cipher": Cipher.AES256_CBC.oid, "transport": "v1.5", "form": "der", "recipient": "issuer-and-serial"}

    def offer(java: JavaEngine) -> Callable[[], Opened]:
        data = java.seal(b"content", [OUR_SEAL.certificate], [*{**usual, **options}.items()])
        if options.get("recipient") != "password":
            assert java.open(data, OUR_SEAL).content == b"content"
        return lambda: cms.open_(data, [OUR_SEAL], random=bytes)

    return offer


def _entity(
    root: str, part: str, *more: tuple[str, bytes], **options: str
) -> Callable[[JavaEngine], Callable[[], Parts]]:
    """Offer a multipart of a root and a part with these header lines."""

    def offer(java: JavaEngine) -> Callable[[], Parts]:
        parts = [(root, b"<Envelope/>"), (part, b"<a/>"), *more]
        content_type, body = java.write_mail(parts, [*options.items()])
        assert [found for _, found in java.read_mail(content_type, body)] == [one for _, one in parts]
        return lambda: mime.read(content_type, body)

    return offer


_ROOT, _PART = "Content-Type: text/xml\nContent-ID: <r>", "Content-Type: application/xml\nContent-ID: <p>"
_SYNC = f'<eb:AckRequested eb:version="2.0" SOAP:actor="{ACTOR_NEXT}" eb:signed="false"/>'.encode()
_EVERY_NODE = f'not(ancestor-or-self::node()[@SOAP:actor="{ACTOR_NEXT}"])'

REFUSALS = (
    Refusal(
        name="exclusive C14N with a list of prefixes",
        why="it changes what is digested, and no engine of the sector writes one",
        offer=_signature(transform=[ENVELOPED, XPATH, EXC_C14N], inclusive_prefixes="eb"),
        error=NotTrusted,
        says="a ds:Transform that is not of our profile",
    ),
    Refusal(
        name="C14N 1.1 of SignedInfo",
        why="ebMS 2.0 (4.1.3) names C14N 1.0; no engine of the sector writes another",
        offer=_signature(signed_info_c14n=C14N_11),
        error=NotTrusted,
        says="a canonicalization that is not of our profile",
    ),
    Refusal(
        name="C14N 1.1 of the envelope",
        why="as above",
        offer=_signature(transform=[ENVELOPED, XPATH, C14N_11]),
        error=NotTrusted,
        says="a list of transforms",
    ),
    Refusal(
        name="an XPath that leaves out something else",
        why="the XPath is compared and never evaluated: an expression that we do not know may hide anything",
        offer=_signature(xpath=_EVERY_NODE),
        error=NotTrusted,
        says="an XPath that is not the one of ebMS",
    ),
    Refusal(
        name="two XPath transforms",
        why="as above",
        offer=_signature(transform=[ENVELOPED, XPATH, XPATH, C14N]),
        error=NotTrusted,
        says="a list of transforms",
    ),
    Refusal(
        name="a part that is transformed before its digest",
        why="the octets of the part are what is read on, so they must be what is digested",
        offer=_signature(part_transform=C14N),
        error=NotTrusted,
        says="the signature transforms a part before its digest",
    ),
    Refusal(
        name="a part that the signature leaves out",
        why="nothing unsigned is read; ebms-core takes it",
        offer=_signature(signed=["p-1@dalbygda.example"]),
        error=NotTrusted,
        says="the signature does not cover exactly the parts",
    ),
    Refusal(
        name="a ds:Object that is signed too",
        why="a signature that carries content of its own is none of ebMS",
        offer=_signature(object=""),
        error=NotTrusted,
        says="a ds:Signature that is not of our profile",
    ),
    Refusal(
        name="rsa-sha512",
        why="the agreement names rsa-sha256",
        offer=_signature(signature_method=RSA_SHA512),
        error=NotTrusted,
        says="a signature method that the agreement does not allow",
    ),
    Refusal(
        name="RSASSA-PSS",
        why="the agreement names rsa-sha256",
        offer=_signature(signature_method=RSA_PSS),
        error=NotTrusted,
        says="a signature method that the agreement does not allow",
    ),
    Refusal(
        name="a certificate of another in KeyInfo",
        why="KeyInfo may narrow down whose key it was, and must then be right",
        offer=_signature(certificate=OTHER_SIGN.certificate),
        error=NotTrusted,
        says="signed with a certificate that is not the sender's",
    ),
    Refusal(
        name="an RSA key of 1024 bits",
        why="too short since 2013 (SP 800-131A)",
        offer=_signature(key=WEAK),
        error=NotTrusted,
        says="its key is too weak",
    ),
    Refusal(
        name="an ebMS header that the XPath leaves out",
        why="it would be read and is not signed",
        offer=_signature(header=_SYNC),
        error=NotTrusted,
        says="an element of ebMS, SOAP or XMLDSig is left out",
    ),
    Refusal(
        name="a processing instruction in the envelope",
        why="SOAP 1.1 (3) forbids it",
        offer=_signature(header=b"<?do this?>"),
        error=MalformedXml,
        says="a processing instruction after the prolog",
    ),
    Refusal(
        name="CMS: recipient by subjectKeyIdentifier",
        why="the sector names recipients by issuer and serial number, and so do all known engines",
        offer=_ciphertext(recipient="subject-key-identifier"),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="CMS: recipient by password",
        why="what is sealed is sealed for a certificate",
        offer=_ciphertext(recipient="password"),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="CMS: 3DES without leave of the record",
        why="disallowed since 2023 (SP 800-131A); a party's record lets it in",
        offer=_ciphertext(cipher=Cipher.TRIPLE_DES_CBC.oid),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="CMS: Camellia",
        why="not on the list of algorithms",
        offer=_ciphertext(cipher=CAMELLIA),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="CMS: AES-CCM",
        why="not on the list of algorithms",
        offer=_ciphertext(cipher=AES_CCM, authenticated=""),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="CMS: OAEP with SHA-512",
        why="not on the list of algorithms",
        offer=_ciphertext(transport="SHA-512/SHA-512"),
        error=CannotOpen,
        says=cms.CANNOT_OPEN,
    ),
    Refusal(
        name="MIME: uuencode",
        why="never standardised; no engine of the sector writes it",
        offer=_entity(_ROOT, f"{_PART}\nContent-Transfer-Encoding: x-uuencode"),
        error=MimeProblem,
        says="an unknown Content-Transfer-Encoding",
    ),
    Refusal(
        name="MIME: text before the first boundary",
        why="some readers take it for a part; no signature covers it",
        offer=_entity(_ROOT, _PART, preamble="This is a message in MIME format"),
        error=MimeProblem,
        says="the body does not begin with its boundary",
    ),
    Refusal(
        name="MIME: a payload without Content-ID",
        why="no Manifest and no signature can name it (ebMS 2.0, 3.2.1)",
        offer=_entity(_ROOT, "Content-Type: application/xml"),
        error=MimeProblem,
        says="a payload has no Content-ID",
    ),
    Refusal(
        name="MIME: one Content-ID for two parts",
        why="the signature would cover one, and another reader read the other",
        offer=_entity(_ROOT, _PART, (_PART, b"<b/>")),
        error=MimeProblem,
        says="two parts have the same Content-ID",
    ),
    Refusal(
        name="MIME: a message as a part",
        why="ebMS 2.0 (2.1.4) has payloads, and none of them is a container",
        offer=_entity(_ROOT, "Content-Type: message/rfc822\nContent-ID: <p>"),
        error=MimeProblem,
        says="a part is itself a multipart or a message",
    ),
    Refusal(
        name="MIME: a parameter in the encoding of RFC 2231",
        why="two readers seldom agree on what it says",
        offer=_entity(_ROOT, "Content-Type: application/xml; name*=UTF-8''n%C3%B8tt.xml\nContent-ID: <p>"),
        error=MimeProblem,
        says="a Content-Type is not well-formed",
    ),
    Refusal(
        name="MIME: a root that is application/soap+xml",
        why="ebMS 2.0 (2.1.3) is SOAP 1.1: text/xml",
        offer=_entity("Content-Type: application/soap+xml\nContent-ID: <r>", _PART),
        error=MimeProblem,
        says="the root is not text/xml",
    ),
)
