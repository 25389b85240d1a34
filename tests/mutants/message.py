"""A message on the wire, taken apart into pieces that can be changed one by one, and put together byte for byte.

It is the harness's own small reader: what the broker's reader makes of the result is what is put to the test.
"""

import base64
import binascii
import re
from dataclasses import dataclass, replace

_BOUNDARY = re.compile(r'boundary="([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What the carrier hands over: the Content-Type of the whole, and its bytes."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One body part: its header lines, and its body as it is encoded."""

    lines: tuple[str, ...] = ()
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, or nothing."""
        found = (line.partition(":")[2].strip() for line in self.lines if line.lower().startswith(name.lower() + ":"))
        return next(found, "")

    def having(self, name: str, value: str) -> "Piece":
        """Return the piece with that header, in place of the one of that name."""
        kept = [line for line in self.lines if not line.lower().startswith(name.lower() + ":")]
        return replace(self, lines=(*kept, f"{name}: {value}"))

    @property
    def content_id(self) -> str:
        """The Content-ID without <>."""
        return self.header("Content-ID").strip("<>")

    @property
    def decoded(self) -> bytes:
        """The bytes that a signature covers."""
        if self.header("Content-Transfer-Encoding").lower() == "base64":
            return base64.b64decode(self.body)
        return self.body

    def carrying(self, data: bytes, encoding: str = "") -> "Piece":
        """Return the piece with other decoded bytes, in its own transfer encoding or another."""
        told = self.having("Content-Transfer-Encoding", encoding) if encoding else self
        match told.header("Content-Transfer-Encoding").lower():
            case "base64":
                return replace(told, body=base64.encodebytes(data).replace(b"\n", b"\r\n"))
            case "quoted-printable":
                return replace(told, body=binascii.b2a_qp(data, istext=False).replace(b"\n", b"\r\n"))
            case _:
                return replace(told, body=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The envelope first, its parts after it. Without a boundary it is the envelope alone, as text/xml."""

    content_type: str
    pieces: tuple[Piece, ...]
    boundary: str = ""
    ending: bytes = b"\r\n"

    @property
    def root(self) -> bytes:
        return self.pieces[0].body

    @property
    def parts(self) -> tuple[Piece, ...]:
        return self.pieces[1:]

    def rooted(self, root: bytes) -> "Message":
        """Return the message with another envelope."""
        return replace(self, pieces=(replace(self.pieces[0], body=root), *self.parts))

    def parted(self, *parts: Piece) -> "Message":
        """Return the message with other parts; one that had none becomes a multipart."""
        if self.boundary or not parts:
            return replace(self, pieces=(self.pieces[0], *parts))
        root = Piece(lines=(f"Content-Type: {self.content_type}",), body=self.root)
        kind = 'multipart/related; boundary="b0undary"; type="text/xml"'
        return Message(content_type=kind, pieces=(root, *parts), boundary="b0undary")

    def wire(self) -> Wire:
        """Return it put together."""
        if not self.boundary:
            return Wire(content_type=self.content_type, body=self.root)
        delimiter = b"--" + self.boundary.encode()
        written = b"".join(
            delimiter + b"\r\n" + "\r\n".join((*piece.lines, "", "")).encode() + piece.body + b"\r\n"
            for piece in self.pieces
        )
        return Wire(content_type=self.content_type, body=written + delimiter + b"--" + self.ending)


def take_apart(content_type: str, body: bytes) -> Message:
    """Return the message of an entity that is sound; asserts that it goes together again as it was."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return Message(content_type=content_type, pieces=(Piece(body=body),))
    delimiter = b"--" + found[1].encode()
    _, *between, ending = body.split(delimiter)
    pieces = []
    for one in between:
        head, _, inside = one.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        pieces.append(Piece(lines=tuple(head.decode().split("\r\n")), body=inside))
    made = Message(
        content_type=content_type, pieces=tuple(pieces), boundary=found[1], ending=ending.removeprefix(b"--")
    )
    assert made.wire().body == body, "the message does not go together again"
    return made
