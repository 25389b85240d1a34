"""The MIME entity that carries an envelope and its payloads: the one place where bytes become parts and back.

It knows no carrier: HTTP today, mail later. Reading is strict and repairs nothing, since a part that two readers cut
differently is a part that the signature does not protect (RFC 2046 section 5.1, RFC 2387; ebMS 2.0 section 2.1).
"""

import binascii
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker.envelope.xml import MB
from broker.errors import MimeProblem

CIPHERTEXT_TYPE: Final = 'application/pkcs7-mime; smime-type="enveloped-data"'
AUTHENTICATED_CIPHERTEXT_TYPE: Final = 'application/pkcs7-mime; smime-type="authEnveloped-data"'  # RFC 5083 section 4
_ROOT_TYPE: Final = "text/xml; charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read before it is refused. `body` and `headers` (of one part) in bytes; see design, decision 17."""

    body: int = 52 * MB
    headers: int = 8 * 1024
    parts: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One body part. `body` is decoded: what is digested, and what the Manifest's cid: points at.

    `content_id` is without <>; only a root may have none (""). `content_type` is the header as it was written.
    """

    content_id: str
    content_type: str
    body: bytes
    transfer_encoding: str = "binary"

    @property
    def media_type(self) -> str:
        """Type and subtype in lower case, without parameters."""
        return self.content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An entity taken apart: the envelope, and the payloads in their order."""

    root: Part
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity to send: its Content-Type, its Content-ID (without <>; for text/xml alone), its body."""

    content_type: str
    content_id: str
    body: bytes


# --- build ----------------------------------------------------------------------------------------------------------


def ciphertext(content_id: str, cms: bytes, *, authenticated: bool = False, encoding: str = "base64") -> Part:
    """Return the part for a sealed document. base64, where nothing else is known to be taken: a peer (NAV) refuses
    the rest under this type.
    """
    kind = AUTHENTICATED_CIPHERTEXT_TYPE if authenticated else CIPHERTEXT_TYPE
    return Part(content_id=content_id, content_type=kind, body=cms, transfer_encoding=encoding)


def plaintext(content_id: str, document: bytes, *, encoding: str = "base64") -> Part:
    """Return the part for a document that goes as it is, where an agreement has no encryption."""
    return Part(content_id=content_id, content_type="application/xml", body=document, transfer_encoding=encoding)


def build(root: bytes, parts: Sequence[Part], *, boundary: str, root_id: str, root_encoding: str = "8bit") -> Entity:
    """Return the entity that carries the envelope `root` and its payloads, root first.

    Without payloads it is the envelope alone, as text/xml, and nothing is encoded. `boundary` is random (128 bits,
    letters and digits); `root_id` becomes the root's Content-ID. Same arguments, same bytes.

    Raises ValueError for what would make another entity than was meant: a line break in a header value, a boundary
    that occurs in a part, a Content-ID used twice, a transfer encoding that we do not write.
    """
    envelope = Part(content_id=root_id, content_type=_ROOT_TYPE, body=root, transfer_encoding=root_encoding)
    if not parts:
        return Entity(content_type=_ROOT_TYPE, content_id=_id(root_id), body=root)
    if not _BOUNDARY.fullmatch(boundary) or boundary != boundary.strip():
        raise ValueError("a boundary is 1 to 70 characters of RFC 2046 section 5.1.1")
    everything = (envelope, *parts)
    if len({part.content_id for part in everything}) != len(everything):
        raise ValueError("two parts have the same Content-ID")
    delimiter = b"--" + boundary.encode()
    pieces: list[bytes] = []
    for part in everything:
        pieces += (delimiter, b"\r\n", _headers(part), b"\r\n", _encode(part), b"\r\n")
    if any(delimiter in piece for piece in pieces if piece is not delimiter):
        raise ValueError("the boundary occurs in a part")
    pieces += (delimiter, b"--\r\n")
    return Entity(
        content_type=f'multipart/related; boundary="{boundary}"; type="text/xml"; start="<{root_id}>"',
        content_id=root_id,
        body=b"".join(pieces),
    )


def _headers(part: Part) -> bytes:
    return (
        f"Content-Type: {_value(part.content_type)}\r\n"
        f"Content-ID: <{_id(part.content_id)}>\r\n"
        f"Content-Transfer-Encoding: {part.transfer_encoding}\r\n"
    ).encode("ascii")


def _value(text: str) -> str:
    """Return `text` if it can stand in a header as it is."""
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("a header value is printable ASCII and not empty")
    return text


_ID = re.compile(r"[!#-;=?-~]+")  # visible ASCII without <> and quotes; peers write bare UUIDs, no @


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError('a Content-ID is visible ASCII, without <> and "')
    return text


def _encode(part: Part) -> bytes:
    if part.transfer_encoding == "base64":
        text = binascii.b2a_base64(part.body, newline=False)
        # RFC 2045 section 6.8: each line ends with CRLF, the last one too.
        return b"\r\n".join([*(text[at : at + 76] for at in range(0, len(text), 76)), b""])
    if part.transfer_encoding in ("binary", "8bit"):
        return part.body
    raise ValueError("we write base64, binary and 8bit")


# --- read -----------------------------------------------------------------------------------------------------------


def read(
    content_type: str, body: bytes, *, transfer_encoding: str = "", content_id: str = "", limits: Limits = Limits()
) -> Parts:
    """Return the parts of an entity: a multipart/related, or a text/xml that is the envelope alone.

    `content_type`, `transfer_encoding` and `content_id` are the entity's own headers, as the carrier gave them. The
    transfer encoding counts for text/xml alone: on a multipart it says nothing of the parts (RFC 2045 section 6.4),
    and a peer (NAV) writes one there.

    Raises MimeProblem for whatever is not exactly such an entity; `location` names the part where it is known.
    """
    if len(body) > limits.body:
        raise MimeProblem(f"the body is larger than {limits.body} bytes")
    if len(content_type) > limits.headers:
        raise MimeProblem(f"the Content-Type is longer than {limits.headers} characters")
    media_type, parameters = _content_type(content_type)
    if media_type == "text/xml":
        decoded = _decode(body, transfer_encoding or "binary")
        root = Part(
            content_id=_content_id(content_id),
            content_type=content_type,
            body=decoded,
            transfer_encoding=transfer_encoding.strip().lower(),
        )
        return Parts(root=root, parts=())
    if media_type != "multipart/related":
        raise MimeProblem("the body is neither multipart/related nor text/xml")
    if _content_type(parameters.get("type", "text/xml"))[0] != "text/xml":
        raise MimeProblem("the root's type is not text/xml")
    parts = _parts(body, parameters.get("boundary", ""), limits)
    root = _root(parts, parameters.get("start"))
    payloads = tuple(part for part in parts if part is not root)
    if any(not part.content_id for part in payloads):
        raise MimeProblem("a payload has no Content-ID")
    return Parts(root=root, parts=payloads)


def _root(parts: Sequence[Part], start: str | None) -> Part:
    """Return the part that `start` names, else the first (RFC 2387 section 3.2)."""
    if start is None:
        root = parts[0]
    else:
        named = [part for part in parts if part.content_id == _content_id(start)]
        if not named:
            raise MimeProblem("start names no part")
        root = named[0]
    if root.media_type != "text/xml":
        raise MimeProblem("the root is not text/xml")
    return root


def _parts(body: bytes, boundary: str, limits: Limits) -> list[Part]:
    parts = []
    for entity in _split(body, boundary, limits):
        parts.append(_part(entity, limits))
    ids = [part.content_id for part in parts if part.content_id]
    if len(set(ids)) != len(ids):
        raise MimeProblem("two parts have the same Content-ID")
    return parts


_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{1,70}")  # RFC 2046 section 5.1.1
_AFTER_DELIMITER = re.compile(rb"(--)?[ \t]*(\r\n|\Z)")


def _split(body: bytes, boundary: str, limits: Limits) -> list[bytes]:
    """Return what stands between the delimiters, without the CRLF that belongs to each.

    Every occurrence of the boundary must be a delimiter line of its own: one that another reader could take for a
    delimiter and we not (after a bare LF, inside a line, with more letters behind it) is refused.
    """
    if not _BOUNDARY.fullmatch(boundary) or boundary.endswith(" "):
        raise MimeProblem("boundary is missing or not well-formed")
    delimiter = b"--" + boundary.encode("ascii")
    entities: list[bytes] = []
    at = body.find(delimiter)
    if not 0 <= at <= limits.headers or body[:at].strip(b"\r\n") or (at > 0 and not body.endswith(b"\r\n", 0, at)):
        raise MimeProblem("the body does not begin with its boundary")
    while True:
        line = _AFTER_DELIMITER.match(body, at + len(delimiter))
        if line is None:
            raise MimeProblem("the boundary occurs where no part begins or ends")
        if line[1]:
            break
        begin = line.end()
        at = body.find(delimiter, begin)
        if at < 0:
            raise MimeProblem("the body is cut off: no closing boundary")
        if at < begin + 2 or not body.endswith(b"\r\n", begin, at):
            raise MimeProblem("the boundary occurs where no part begins or ends")
        if len(entities) == limits.parts:
            raise MimeProblem(f"more than {limits.parts} parts")
        entities.append(body[begin : at - 2])
    if len(body) - line.end() > limits.headers or body[line.end() :].strip(b" \t\r\n"):
        raise MimeProblem("something stands behind the closing boundary")
    if not entities:
        raise MimeProblem("no part in the body")
    return entities


def _part(entity: bytes, limits: Limits) -> Part:
    headers, body = _part_headers(entity, limits)
    content_type = headers.get("content-type")
    if content_type is None:
        raise MimeProblem("a part has no Content-Type")
    media_type, _ = _content_type(content_type)
    if media_type.startswith(("multipart/", "message/")):
        raise MimeProblem("a part is itself a multipart or a message")
    content_id = _content_id(headers.get("content-id", ""))
    encoding = headers.get("content-transfer-encoding", "7bit").lower()
    try:
        decoded = _decode(body, encoding)
    except MimeProblem as problem:
        raise MimeProblem(problem.why, location=f"cid:{content_id}" if content_id else "") from None
    return Part(content_id=content_id, content_type=content_type, body=decoded, transfer_encoding=encoding)


_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)")
_FOLD = re.compile(r"\r\n(?=[ \t])")
_BREAK = re.compile(r"[\r\n\0]")
_OURS = frozenset({"content-type", "content-id", "content-transfer-encoding"})


def _part_headers(entity: bytes, limits: Limits) -> tuple[Mapping[str, str], bytes]:
    """Return the header fields by lower-case name, unfolded, and the body behind the blank line."""
    if entity.startswith(b"\r\n"):
        return {}, entity[2:]
    end = entity.find(b"\r\n\r\n", 0, limits.headers + 4)
    if end < 0:
        raise MimeProblem(f"a part has no blank line after its headers, or more than {limits.headers} bytes of them")
    # Latin-1 cannot fail. The three headers that we read are held to ASCII below; the others are not looked at.
    text = entity[:end].decode("latin-1")
    headers: dict[str, str] = {}
    # A line that begins with a blank continues the one before (RFC 5322 section 2.2.3): Java's mail library folds so.
    for line in _FOLD.sub("", text).split("\r\n"):
        field = _HEADER.fullmatch(line)
        if field is None or _BREAK.search(line):
            raise MimeProblem("a part has a malformed header line")
        name, value = field[1].lower(), field[2].strip(" \t")
        if name in headers:
            raise MimeProblem(f"a part has two {name} headers" if name in _OURS else "a part has a header twice")
        headers[name] = value
    return headers, entity[end + 4 :]


_PARAMETER = re.compile(r';[ \t]*(?:([!#$%&\'+\-.^_`|~0-9A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*)?')
_ESCAPED = re.compile(r"\\(.)")
_MEDIA_TYPE = re.compile(r"[ \t]*([!#$&\-^_.+0-9A-Za-z]+/[!#$&\-^_.+0-9A-Za-z]+)[ \t]*")


def _content_type(value: str) -> tuple[str, Mapping[str, str]]:
    """Return media type (lower case) and parameters (names in lower case) of a Content-Type.

    Values without quotes are taken whatever they hold, as peers write start and boundary so. Comments and the split
    and encoded parameters of RFC 2231 are refused: two readers seldom agree on them.
    """
    kind = _MEDIA_TYPE.match(value)
    if kind is None or not value.isascii() or not value.replace("\t", " ").isprintable():
        raise MimeProblem("a Content-Type is not well-formed")
    parameters: dict[str, str] = {}
    at = kind.end()
    while at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None:
            raise MimeProblem("a Content-Type is not well-formed")
        at = parameter.end()
        if parameter[1] is None:
            continue  # a semicolon with nothing behind it
        name = parameter[1].lower()
        if name in parameters:
            raise MimeProblem("a Content-Type has a parameter twice")
        parameters[name] = _ESCAPED.sub(r"\1", parameter[2]) if parameter[3] is None else parameter[3]
    return kind[1].lower(), parameters


def _content_id(value: str) -> str:
    """Return a Content-ID without its <>, which some peers leave out. Empty stays empty."""
    value = value.strip()
    if value.startswith("<") and value.endswith(">"):
        value = value[1:-1].strip()
    if value and not _ID.fullmatch(value):
        raise MimeProblem("a Content-ID is not well-formed")
    return value


_NOT_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r\n)")
_PADDED_END = re.compile(rb"=[ \t]+\r\n")
PIECE = 64 * 1024  # bytes decoded at a time: other threads wait meanwhile


def _decode(body: bytes, encoding: str) -> bytes:
    """Return the body as it was before its transfer encoding (RFC 2045 section 6)."""
    match encoding.strip().lower():
        case "binary" | "8bit" | "7bit":
            return body
        case "base64":
            try:
                return b"".join(_base64_pieces(body))
            except binascii.Error:
                raise MimeProblem("a part is not the base64 that it says it is") from None
        case "quoted-printable":
            return b"".join(map(_unquote, _quoted_pieces(body)))
        case _:
            raise MimeProblem("a part has an unknown Content-Transfer-Encoding")


def _base64_pieces(body: bytes) -> Iterator[bytes]:
    """Yield what `body` holds, a piece at a time. Raises binascii.Error."""
    held, padded = b"", False
    for at in range(0, len(body), PIECE):
        held += body[at : at + PIECE].translate(None, b"\r\n \t")
        whole = len(held) - len(held) % 4
        if padded and held:
            raise binascii.Error("something stands behind the padding")
        yield binascii.a2b_base64(held[:whole], strict_mode=True)
        padded, held = padded or held.endswith(b"=", 0, whole), held[whole:]
    if held:
        raise binascii.Error("cut off")


def _quoted_pieces(body: bytes) -> Iterator[bytes]:
    """Yield `body` in pieces that end in no `=`, and neither inside what belongs to one."""
    at = 0
    while at < len(body):
        end = at + PIECE
        last = body.rfind(b"=", at, end)
        if last > at and end < len(body) and (end - last < 3 or not body[last + 1 : end].strip(b" \t\r")):
            end = last
        yield body[at:end]
        at = end


def _unquote(piece: bytes) -> bytes:
    if _NOT_QUOTED.search(piece):
        raise MimeProblem("a part is not the quoted-printable that it says it is")
    return binascii.a2b_qp(_PADDED_END.sub(b"=\r\n", piece))


# --- compression ----------------------------------------------------------------------------------------------------


def looks_like_gzip(data: bytes) -> bool:
    """Return whether `data` begins as gzip does (RFC 1952 section 2.3.1). No header of the sector says it."""
    return data.startswith(b"\x1f\x8b")


def gunzip(data: bytes, *, max_bytes: int = 35 * MB, max_ratio: int = 100) -> bytes:
    """Return what `data` was before it was compressed, if it is one whole gzip member and no bomb.

    No more than `max_bytes`, nor `max_ratio` times the size of `data`, is ever unpacked (design, decision 17).
    Raises MimeProblem.
    """
    limit = min(max_bytes, max_ratio * len(data))
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise MimeProblem("the content is not the gzip that it looks like") from None
    if len(content) > limit:
        raise MimeProblem(f"the content unpacks to more than {max_bytes} bytes, or {max_ratio} times its size")
    if not unpacker.eof or unpacker.unused_data:
        raise MimeProblem("the gzip content is cut off, or something follows it")
    return content
