"""HTTP/1.1 and MIME as peers speak it: so raw that header names, chunks and boundaries are an engine's own."""

import asyncio
import base64
import quopri
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_LIMIT = 2**20  # bytes of a head
_SEND_WITHIN = 60.0  # seconds for one POST and its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request or an answer, its body without chunks. `start` is the first line; names of headers are lower case."""

    start: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def method(self) -> str:
        return self.start.partition(" ")[0]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """What is written: headers in order, and the body in chunks as they stand (None: one Content-Length)."""

    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    chunks: Sequence[bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME part, decoded; names of headers are lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def content_id(self) -> str:
        return self.headers.get("content-id", "").strip().strip("<>")


class Broken(Exception):
    """What came is no HTTP, or no MIME, that this engine reads."""


async def read_message(reader: asyncio.StreamReader, *, answer: bool = False) -> Message | None:
    """Return the next message of a connection, None where it ends instead. Raises Broken."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise Broken("the head is cut off") from None
        return None
    start, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int((await reader.readline()).split(b";")[0], 16):
                chunks.append(await reader.readexactly(size))
                await reader.readline()
            await reader.readline()
            body = b"".join(chunks)
        elif "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read() if answer and " 204 " not in f"{start} " else b""
    except (asyncio.IncompleteReadError, ValueError):
        raise Broken("the body is cut off") from None
    return Message(start=start, headers=headers, body=body)


def written(start: str, out: Out) -> bytes:
    """Return the bytes of a request or an answer."""
    lines = [start, *(f"{name}: {value}" for name, value in out.headers)]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if out.chunks is None:
        return head + out.body
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in out.chunks if chunk) + b"0\r\n\r\n"


async def post(url: str, out: Out) -> Message:
    """POST and return the answer. Raises OSError (not reached, cut), TimeoutError, Broken."""
    address = urlsplit(url)
    assert address.hostname is not None
    async with asyncio.timeout(_SEND_WITHIN):
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=_LIMIT)
        try:
            writer.write(written(f"POST {address.path} HTTP/1.1", out))
            await writer.drain()
            answer = await read_message(reader, answer=True)
        finally:
            writer.transport.abort()
    if answer is None:
        raise ConnectionResetError("no answer")
    return answer


# --- MIME ---


def read_parts(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of an entity in order; of one that is no multipart, itself. Raises Broken."""
    if not content_type.lower().startswith("multipart/"):
        return [Part(headers={"content-type": content_type}, body=body)]
    boundary = parameter(content_type, "boundary")
    if not boundary:
        raise Broken("no boundary")
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    _, *pieces = (b"\r\n" + body).split(delimiter)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise Broken("the last boundary is missing")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> Part:
    head, gap, content = piece.partition(b"\r\n\r\n")
    if not gap:
        raise Broken("a part without a head")
    lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding == "base64":
        content = base64.b64decode(content)
    elif encoding == "quoted-printable":
        content = quopri.decodestring(content)
    return Part(headers=headers, body=content)


def parameter(content_type: str, name: str) -> str:
    """Return a parameter of a Content-Type, "" where it has none."""
    for piece in content_type.split(";")[1:]:
        key, _, value = piece.strip().partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """How an engine writes a multipart/related: what it says in the head, and what of each part."""

    boundary: str = "{id}"  # {id} is a new id
    content_type: str = 'multipart/related; boundary="{boundary}"; type="text/xml"; start="<{root}>"'
    root_headers: Sequence[tuple[str, str]] = (
        ("Content-Type", "text/xml; charset=UTF-8"),
        ("Content-ID", "<{root}>"),
        ("Content-Transfer-Encoding", "8bit"),
    )
    part_headers: Sequence[tuple[str, str]] = (
        ("Content-Type", "{type}"),
        ("Content-ID", "<{cid}>"),
        ("Content-Transfer-Encoding", "base64"),
    )
    xml_part_headers: Sequence[tuple[str, str]] | None = None  # of what is no ciphertext, where they differ
    first: str = ""  # before the first boundary
    chunked: bool = False


def related(how: Related, *, new_id: str, root_id: str, root: bytes, parts: Sequence[tuple[str, str, bytes]]) -> Out:
    """Return an entity of a root and parts (Content-ID, Content-Type, bytes), with Content-Type as its first header."""
    boundary = how.boundary.format(id=new_id)
    line = f"--{boundary}\r\n".encode()
    pieces: list[bytes] = [how.first.encode()]
    pieces += [line, _head(how.root_headers, root=root_id), root, b"\r\n"]
    for cid, kind, body in parts:
        plain = how.xml_part_headers is not None and kind.endswith("xml")
        wanted = how.xml_part_headers if plain and how.xml_part_headers is not None else how.part_headers
        headers = [(name, value.format(cid=cid, type=kind)) for name, value in wanted]
        base64ed = ("Content-Transfer-Encoding", "base64") in headers
        pieces += [
            line,
            _head(headers),
            base64.encodebytes(body).replace(b"\n", b"\r\n") if base64ed else body,
            b"\r\n",
        ]
    pieces.append(f"--{boundary}--\r\n".encode())
    kind = how.content_type.format(boundary=boundary, root=root_id)
    whole = None if how.chunked else b"".join(pieces)
    return Out(
        headers=[("Content-Type", kind)],
        body=whole or b"",
        chunks=[piece for piece in pieces if piece] if how.chunked else None,
    )


def _head(headers: Sequence[tuple[str, str]], *, root: str = "") -> bytes:
    return ("".join(f"{name}: {value.format(root=root)}\r\n" for name, value in headers) + "\r\n").encode("latin-1")
