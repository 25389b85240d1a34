"""The messages of the Java harness: which options there are in each direction, and what a row of them means.

OURS is what the broker can be told to write. JAVA is what engines made of Santuario, Bouncy Castle and Angus Mail are
known to write, or may. Every option here is one that must be read; what is refused on purpose stands in java_refusals.
"""

import gzip
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from broker.envelope import ebms_build, xml
from broker.envelope.ebms import (
    AckRequested,
    Description,
    Envelope,
    Header,
    her_party,
    system_description,
)
from broker.envelope.mime import Part
from broker.envelope.signature import STRICT, SignaturePolicy
from broker.envelope.xmldsig import (
    ACTOR_NEXT,
    ACTOR_NEXT_MSH,
    CANONICALIZATIONS,
    ENVELOPED,
    RSA_SHA1,
    RSA_SHA256,
    SHA1,
    SHA256,
    XPATH,
)
from broker.sealing.certificates import Use
from broker.sealing.cms import Cipher, KeyTransport
from tests.certificates import key_pair
from tests.interop.crossing import Options, Row

MAX_BYTES = 50_000_000
AT = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)
OUR_HER, THEIR_HER = 8000101, 8000202
OUR_SIGN, OUR_SEAL = key_pair("Fjordvik kommune", Use.SIGN), key_pair("Fjordvik kommune", Use.ENCRYPT)
THEIR_SIGN, THEIR_SEAL = key_pair("Dalbygda kommune", Use.SIGN), key_pair("Dalbygda kommune", Use.ENCRYPT)
OTHER_SIGN, OTHER_SEAL = key_pair("Storefjell kommune", Use.SIGN), key_pair("Storefjell kommune", Use.ENCRYPT)

SERVICE_NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:service:nextMSH"
_SIZES = (0, 1, 10_000, 1_000_000)
_DESCRIPTIONS = (
    (),
    (Description(text="Melding frå Åse Ærlig på Ødegård: <a> & \"b\" 'c' ]]>", lang="nn"),),
    (
        system_description(msh="DigiHelse", msh_version="1.0", system="Fagsystem Ø", system_version="2026.4"),
        Description(text="second", lang="en"),
    ),
)

# Values are names of what to do, or what the broker's own functions take.
OURS: Options = {
    "sync reply": (False, True),
    "entry left out": (False, True),
    "descriptions": _DESCRIPTIONS,
    "TimeToLive": (None, AT + timedelta(hours=96), AT + timedelta(milliseconds=1234)),
    "roles": ((None, None), ("Kommune", None), ("Pleie- og omsorgstjeneste", "Fastlege, spesialist på allmenn")),
    "Service": (("Dialog", "string"), ("urn:fjordvik:dialog", None)),
    "AckRequested": (None, AckRequested(signed=True), AckRequested(signed=False)),
    "DuplicateElimination": (False, True),
    "RefToMessageId": (None, "m-0@dalbygda.example"),
    "parts": (1, 2, 3),
    "cipher": (Cipher.AES256_CBC, Cipher.AES256_GCM),
    "key transport": (KeyTransport.RSA_V15, KeyTransport.OAEP_SHA256),
    "size": _SIZES,
    "gzip": (False, True),
    "encoding": ("base64", "binary", "8bit"),
    "content": ("traps", "every byte", "nothing", "lines of XML"),
    "Content-Type": (
        "application/xml",
        'text/xml; charset="ISO-8859-1"',
        'application/vnd.fjordvik.notat+xml; version=1.1; name="a; b = c.xml"',
        "image/jpeg",
        "application/octet-stream; x=" + "y" * 200,
    ),
    "Content-ID": ("uuid", "at a host", "odd"),
}

# The signature of a message, and of an Acknowledgment, which has no parts.
SIGNATURES: Options = {
    "SOAP prefix": ("SOAP", "soap", "SOAP-ENV"),
    "ds prefix": ("ds", "", "dsig"),
    "XPath": ("actor", "service", "no blanks", "over lines", "none"),
    "C14N of SignedInfo": tuple(CANONICALIZATIONS),
    "C14N of the envelope": tuple(CANONICALIZATIONS),
    "algorithms": ((RSA_SHA256, SHA256), (RSA_SHA1, SHA1), (RSA_SHA256, SHA1)),
    "KeyInfo": ("value x509", "x509 value", "x509", "value", "none", "name x509-full", "two certificates"),
    "line ends": ("&#13;", "&#xD;", "LF", "none"),
    "indented": (False, True),
    "comment": (False, True),
    "left out": ("nothing", "SyncReply", "SyncReply and another's"),
}
JAVA: Options = {
    **SIGNATURES,
    "descriptions": _DESCRIPTIONS,
    "parts": (1, 2, 3),
    "cipher": (*Cipher, "aes256-gcm with attributes"),
    "key transport": ("v1.5", "SHA-1/SHA-1", "SHA-256/SHA-256", "SHA-256/SHA-1"),
    "form": ("der", "ber", "stream"),
    "recipients": ("ours", "ours and another", "another and ours"),
    "size": _SIZES,
    "gzip": (False, True),
    "encoding": ("base64", "binary", "8bit"),
    "encoding of the envelope": ("", "8bit", "binary", "base64", "quoted-printable"),
    "encoding of the rest": ("base64", "binary", "8bit", "quoted-printable", "7bit"),
    "boundary": ("its own", "=-", "every sign", "a blank"),
    "Content-ID": ("uuid", "at a host", "odd"),
    "spelling": ("Content-ID: <{}>", "Content-Id: <{}>", "content-id: <{}>", "Content-ID: {}"),
    "folded": (False, True),
    "start": (False, True),
    "type": (False, True),
}
# How documents are signed that their authors signed: enveloped, anywhere between the root's tags.
DOCUMENTS: Options = {
    "ds prefix": ("ds", ""),
    "C14N of SignedInfo": tuple(CANONICALIZATIONS),
    "C14N of the document": (None, *CANONICALIZATIONS),
    "algorithms": ((RSA_SHA256, SHA256), (RSA_SHA1, SHA1)),
    "KeyInfo": ("value x509", "x509", "name x509-full"),
    "line ends": ("&#13;", "&#xD;", "none"),
}

BOUNDARIES = {"=-": "-=Part_1.8f0c2d=-", "every sign": "0'()+_,-./:=?9", "a blank": "two words"}
_XPATHS = {
    "actor": ACTOR_NEXT_MSH,
    "service": SERVICE_NEXT_MSH,
    "no blanks": ACTOR_NEXT_MSH,
    "over lines": ACTOR_NEXT_MSH,
}


def header(n: int, *, to_us: bool, **values: Any) -> Header:
    """Return the header of message number `n`."""
    ours, theirs = her_party(OUR_HER), her_party(THEIR_HER)
    usual: dict[str, Any] = {
        "from_": theirs if to_us else ours,
        "to": ours if to_us else theirs,
        "cpa_id": "fjordvik:dalbygda:1",
        "conversation_id": f"c-{n}",
        "service": "Dialog",
        "service_type": "string",
        "action": "Melding",
        "message_id": f"m-{n}@{'dalbygda' if to_us else 'fjordvik'}.example",
        "timestamp": AT + timedelta(seconds=n),
    }
    return Header(**{**usual, **values})


def our_envelope(row: Row, n: int, manifest: tuple[str, ...]) -> Envelope:
    """Return the values of an envelope of ours."""
    return Envelope(
        header=header(
            n,
            to_us=False,
            from_role=row["roles"][0],
            to_role=row["roles"][1],
            service=row["Service"][0],
            service_type=row["Service"][1],
            time_to_live=row["TimeToLive"],
            duplicate_elimination=row["DuplicateElimination"],
            ref_to_message_id=row["RefToMessageId"],
            descriptions=row["descriptions"],
        ),
        sync_reply=row["sync reply"],
        ack_requested=row["AckRequested"],
        manifest=manifest,
    )


def their_envelope(row: Row, n: int, manifest: tuple[str, ...]) -> Envelope:
    """Return the values of an envelope of the other engine."""
    return Envelope(
        header=header(n, to_us=True, from_role="Fastlege", to_role="Kommune", descriptions=row["descriptions"]),
        sync_reply=row["left out"] != "nothing",
        ack_requested=AckRequested(signed=True),
        manifest=manifest,
    )


def with_entry(envelope: bytes, actor: str, soap: str = "SOAP") -> bytes:
    """Return the envelope with a header entry of someone else, which the XPath of ebMS leaves out."""
    entry = f'<t:Trace xmlns:t="urn:trace" {soap}:actor="{actor}">way<t:Point/></t:Trace>'
    return _put(envelope, f"</{soap}:Header>".encode(), entry.encode())


def written_their_way(envelope: Envelope, row: Row) -> bytes:
    """Return an unsigned envelope as another engine writes it: prefix, indentation, comments, entries of others."""
    data = ebms_build.build(envelope)
    if row["indented"]:
        root = xml.parse(data, max_bytes=MAX_BYTES).root
        etree.indent(root)
        data = etree.tostring(root, encoding="utf-8")
    soap = row["SOAP prefix"]
    data = data.replace(b"SOAP:", f"{soap}:".encode()).replace(b"xmlns:SOAP=", f"xmlns:{soap}=".encode())
    if row["left out"] == "SyncReply and another's":
        data = with_entry(data, _XPATHS.get(row["XPath"], ACTOR_NEXT_MSH), soap)
    return _put(data, b"<eb:CPAId>", b"<!-- written by hand -->") if row["comment"] else data


def _put(data: bytes, place: bytes, what: bytes) -> bytes:
    assert data.count(place) == 1
    return data.replace(place, what + place)


def xpath(row: Row) -> str:
    """Return the XPath of ebMS 2.0 (4.1.3) in one of its spellings."""
    actors = [
        f'ancestor-or-self::node()[@{row["SOAP prefix"]}:actor="{one}"]' for one in (_XPATHS[row["XPath"]], ACTOR_NEXT)
    ]
    text = f"not({' | '.join(actors)})"
    return {"no blanks": text.replace(" | ", "|"), "over lines": text.replace(" | ", "\n   |\n   ")}.get(
        row["XPath"], text
    )


def signing(row: Row) -> list[tuple[str, bytes | str]]:
    """Return how Santuario is to sign an envelope."""
    method = row["C14N of the envelope"]
    transforms = [ENVELOPED, method] if row["XPath"] == "none" else [ENVELOPED, XPATH, method]
    options = [("transform", one) for one in transforms]
    if row["XPath"] != "none":
        options += [("xpath", xpath(row)), ("soap-prefix", row["SOAP prefix"])]
    return [*options, *_signing(row)]


def signing_document(row: Row) -> list[tuple[str, bytes | str]]:
    """Return how Santuario is to sign a document."""
    method = row["C14N of the document"]
    return [("transform", ENVELOPED), *([("transform", method)] if method else []), *_signing(row)]


def _signing(row: Row) -> list[tuple[str, bytes | str]]:
    method, digest = row["algorithms"]
    return [
        ("ds-prefix", row["ds prefix"]),
        ("signed-info-c14n", row["C14N of SignedInfo"]),
        ("signature-method", method),
        ("digest-method", digest),
        ("key-info", "x509" if row["KeyInfo"] == "two certificates" else row["KeyInfo"]),
        ("line-ends", row["line ends"]),
    ]


def policy(row: Row) -> SignaturePolicy:
    """Return what the agreement must allow for a signature of that row, and no more."""
    method, digest = row["algorithms"]
    return SignaturePolicy(
        signature_methods=frozenset({RSA_SHA256, method}),
        digest_methods=frozenset({SHA256, digest}),
        without_xpath=row.get("XPath") == "none",
    )


def by_the_strict_policy(row: Row) -> bool:
    """Return whether a signature of that row needs no leave of an agreement."""
    return policy(row) == STRICT


def name_of_part(row: Row, n: int, number: int) -> str:
    """Return a Content-ID without <>, of one of the forms in the field."""
    forms = {
        "uuid": f"6f1c2f6e-0000-4000-8000-{n:06}{number:06}",
        "at a host": f"payload-{n}.{number}@fjordvik.example",
        "odd": f"a%41b+c/{n}_{number}=?~#!@[127.0.0.1]",
    }
    return forms[row["Content-ID"]]


def document(row: Row, chance: random.Random) -> tuple[bytes, bytes]:
    """Return what is to be sealed, and what it is when opened and unpacked."""
    plain = chance.randbytes(row["size"])
    return (gzip.compress(plain, mtime=0), plain) if row["gzip"] else (plain, plain)


def content(kind: str, chance: random.Random, boundary: str) -> bytes:
    """Return the body of a part that is not sealed."""
    if kind == "traps":  # ends of line of every kind, and what looks like a delimiter and is none
        near = [f"--{boundary[:-1]}", f"-{boundary}", "--", f"--{boundary[:-1]}~--"]
        pieces = [
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"\r\n\r\n",
            b" ",
            b"Content-ID: <x>\r\n",
            *(one.encode() for one in near),
        ]
        body = b"".join(chance.choices(pieces, k=40))
        while f"--{boundary}".encode() in body:  # taking one out may join the halves of another
            body = body.replace(f"--{boundary}".encode(), b"")
        return body
    if kind == "every byte":
        return bytes(range(256)) * 8
    if kind == "nothing":
        return b""
    # What a text encoding can carry: lines that end in CR LF (RFC 2045, 6.7 and 6.8), longer than 76 characters too.
    return "".join(f"<linje nr='{i}'>{'=' * i} på Ødegård \t </linje>\r\n" for i in range(100)).encode()


def our_parts(row: Row, n: int, chance: random.Random, boundary: str) -> list[Part]:
    """Return the parts of a message of ours after the sealed one."""
    return [
        Part(
            content_id=name_of_part(row, n, number),
            content_type=row["Content-Type"],
            body=content(row["content"], chance, boundary),
            transfer_encoding=row["encoding"],
        )
        for number in range(1, row["parts"])
    ]


def plain_parts(row: Row, n: int, chance: random.Random) -> dict[str, bytes]:
    """Return the parts of another engine's message after the sealed one: what its transfer encoding can carry."""
    how = row["encoding of the rest"]
    boundary = BOUNDARIES.get(row["boundary"], "----=_Part_0_1.2")
    body = content("traps", chance, boundary)
    if how == "quoted-printable":
        body = content("lines of XML", chance, boundary)
    elif how == "7bit":
        body = b"<note>\r\n only ASCII, in lines \r\n</note>\r\n"
    return {name_of_part(row, n, number): body for number in range(1, row["parts"])}


def mail(row: Row, root: bytes, sealed: Mapping[str, bytes], rest: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Return header lines and body of every part, for Angus Mail to write."""
    long = f"; name=notat-{'x' * 60}.xml; charset=UTF-8" if row["folded"] else ""
    kind = "authEnveloped-data" if "gcm" in row["cipher"] else "enveloped-data"
    parts = [(_lines(row, "root@dalbygda.example", f"text/xml{long}", row["encoding of the envelope"]), root)]
    for name, body in sealed.items():
        content_type = f"application/pkcs7-mime; smime-type={kind}{long}"
        parts.append((_lines(row, name, content_type, row["encoding"]), body))
    for name, body in rest.items():
        parts.append((_lines(row, name, f"application/xml{long}", row["encoding of the rest"]), body))
    return parts


def _lines(row: Row, name: str, content_type: str, encoding: str) -> str:
    lines = [f"Content-Type: {content_type}", row["spelling"].format(name), "Content-Description: notat"]
    return "\n".join([*lines, f"Content-Transfer-Encoding: {encoding}"] if encoding else lines)


def multipart(row: Row) -> list[tuple[str, bytes | str]]:
    """Return how Angus Mail is to write the multipart."""
    options: list[tuple[str, bytes | str]] = []
    if row["boundary"] in BOUNDARIES:
        options.append(("boundary", BOUNDARIES[row["boundary"]]))
    if row["type"]:
        options.append(("type", "text/xml"))
    if row["start"]:
        options.append(("start", "<root@dalbygda.example>"))
    return options


def a_document(n: int, size: int) -> bytes:
    """Return an unsigned document with blanks, comments, entities and letters that canonicalization must get right."""
    text = "Åse Ærlig på Ødegård &lt;&amp;&#13;&#9;<![CDATA[<x>&]]>" + "y" * size
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?keep this?>\n<!-- outside -->\n'
        '<MsgHead xmlns="http://www.kith.no/xmlstds/msghead/2006-05-24" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xmlns:unused="urn:u" b="2" a=\'1 "q"\'>\n\t<MsgInfo><Type V="DIALOG_{n}"/><Name>{text}</Name></MsgInfo>\r\n'
        '<d:X xmlns:d="urn:d" xmlns=""><y xsi:nil="true"/></d:X></MsgHead>\n<!-- after -->\n'
    ).encode()
