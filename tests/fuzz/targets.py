"""The readers, each as a function that raises only where there is a bug: a foreign error, or a value that cannot be.

An input is bytes. For MIME, what stands before the first line feed is the entity's Content-Type.
"""

import re
from collections.abc import Callable, Mapping
from random import Random

from broker.envelope import ebms_build, ebms_parse, mime, xml
from broker.envelope.msghead import HeadRefused, read_head
from broker.envelope.signature import verify_envelope
from broker.envelope.xml import Xml
from broker.errors import (
    CannotOpen,
    Inconsistent,
    MalformedXml,
    MimeProblem,
    MustUnderstand,
    NotSupported,
    NotTrusted,
    OtherXml,
    ValueNotRecognized,
)
from broker.receipts import apprec
from broker.sealing import cms
from tests.fuzz.fixed_key import fixed_key

MAX_BYTES = 1_000_000
GCM_CONTENT = b"<a>what stands in every ciphertext of the corpus</a>"


class Bug(AssertionError):
    """A reader took what it must refuse, or gave what cannot be."""


def read_mime(data: bytes) -> None:
    """Only MimeProblem; ids are unique, and what was read is found in what was sent."""
    content_type, _, body = data.partition(b"\n")
    said = content_type.decode("latin-1")
    try:
        entity = mime.read(said, body)
    except MimeProblem:
        return
    parts = (entity.root, *entity.parts)
    if len(parts) > mime.Limits().parts or sum(len(part.body) for part in parts) > len(body):
        raise Bug("more was read than was sent")
    ids = [part.content_id for part in parts if part.content_id]
    if len(set(ids)) != len(ids) or any(not part.content_id for part in entity.parts):
        raise Bug("an id is missing, or stands twice")
    if entity.root.media_type != "text/xml":
        raise Bug("a root that is not text/xml")
    for part in parts:
        if part.transfer_encoding in ("binary", "8bit", "7bit") and part.body not in body:
            raise Bug("a part that was not sent so")


def read_envelope(data: bytes) -> None:
    """Only what `parse` and `parse_header` promise; what was read is written and read again to the same value."""
    try:
        document = xml.parse(data, max_bytes=MAX_BYTES)
    except MalformedXml:
        return
    _refuse_signature(document)
    try:
        ebms_parse.parse_header(document)
    except (OtherXml, Inconsistent, NotSupported):
        head_reads = False
    else:
        head_reads = True
    try:
        envelope = ebms_parse.parse(document)
    except (OtherXml, Inconsistent, NotSupported, MustUnderstand, ValueNotRecognized, MimeProblem):
        return
    if not head_reads:
        raise Bug("an envelope without a header that reads")
    again = ebms_parse.parse(xml.parse(ebms_build.build(envelope), max_bytes=10 * MAX_BYTES))
    if again.header.message_id != envelope.header.message_id or again.manifest != envelope.manifest:
        raise Bug("what was read is not what is written")


def _refuse_signature(document: Xml) -> None:
    """Nothing here is signed by the key that we trust: only NotTrusted."""
    try:
        verify_envelope(document, {}, trusted=[fixed_key().certificate])
    except NotTrusted:
        return
    raise Bug("a signature that nobody made")


def open_cms(data: bytes) -> None:
    """Only CannotOpen, with its one sentence and no cause; an authenticated content is the one that was sealed."""
    if not isinstance(cms.looks_like_cms(data), bool):
        raise Bug("neither yes nor no")
    try:
        opened = cms.open_(data, [fixed_key()], random=Random(1).randbytes, allow_3des=True)
    except CannotOpen as refused:
        if str(refused) != cms.CANNOT_OPEN or refused.__cause__ or refused.__context__ or refused.hint:
            raise Bug("a refusal that tells its cause") from None
        return
    if opened.cipher.authenticated and opened.content != GCM_CONTENT:
        raise Bug("an authenticated content that nobody sealed")


_SHOWN = re.compile(r"[0-9A-Za-z._-]{0,10}")


def read_apprec(data: bytes) -> None:
    """Only MalformedXml, OtherXml and Inconsistent; what may be shown looks like a code."""
    try:
        found = apprec.parse(xml.parse(data, max_bytes=MAX_BYTES))
    except (MalformedXml, OtherXml, Inconsistent):
        return
    if not found.id or not found.original_id:
        raise Bug("a receipt without its ids")
    if not all(_SHOWN.fullmatch(code.code) for code in apprec.codes(found, {})):
        raise Bug("free text is shown as a code")
    for party in (found.sender, found.receiver):
        if party is not None and not 0 < party.her < 2**31:
            raise Bug("a HER-id that cannot be")


def read_msghead(data: bytes) -> None:
    """Only MalformedXml and HeadRefused; ids hold nothing that could break a line."""
    try:
        head = read_head(xml.parse(data, max_bytes=MAX_BYTES))
    except (MalformedXml, HeadRefused):
        return
    if not head.msg_id or (not head.msg_id.isprintable() and re.search(r"[\x00-\x1f\x7f-\x9f]", head.msg_id)):
        raise Bug("a MsgId with control characters")
    for party in (head.sender, head.receiver, *head.other_receivers):
        if not 0 < party.her < 2**31:
            raise Bug("a HER-id that cannot be")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "mime": read_mime,
    "envelope": read_envelope,
    "cms": open_cms,
    "apprec": read_apprec,
    "msghead": read_msghead,
}
