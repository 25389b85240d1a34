"""How much structure we look at in a ciphertext before it is refused, and how an octet string in chunks is joined.

asn1crypto reads BER, but it joins chunks in time that grows with the square of their number, keeps each element as an
object, and does not stop. These functions look at element headers only (X.690 section 8.1), so that hostile bytes cost
a bounded time and memory. What an element means stays asn1crypto's to say.
"""

from typing import Final

from asn1crypto import core

MAX_ELEMENTS: Final = 100_000  # in all; BouncyCastle writes chunks of 1,000 bytes, so 52 MB is 52,000
MAX_NESTED: Final = 1  # octet strings in chunks that are chunks of another
_OCTETS = 0x04
_CONSTRUCTED = 0x20


def bound(data: bytes) -> None:
    """Raise ValueError where `data` is made of more than MAX_ELEMENTS elements, or breaks off in a header (IndexError).

    Stepping into what is constructed, and over what is not, meets every element; lengths are checked by the parser.
    """
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at == len(data):
            return
        tag, at, size = _header(data, at)
        if not tag & _CONSTRUCTED:
            if size is None:
                break
            at += size
    raise ValueError("too many elements, or an indefinite length where none can be")


def octets(string: core.OctetString) -> bytes:
    """Return an octet string, joined from its chunks where it is constructed (X.690 section 8.7.3).

    A chunk may be made of chunks itself: BouncyCastle streams AuthEnvelopedData as one constructed string within
    another. Deeper than MAX_NESTED nobody writes. Raises ValueError, or IndexError where the bytes break off.
    """
    contents = bytes(string.contents)
    if string.method == 0:
        return contents
    chunks: list[bytes] = []
    _collect(contents, 0, len(contents), chunks, MAX_NESTED)
    return b"".join(chunks)


def _collect(data: bytes, at: int, end: int | None, chunks: list[bytes], levels: int) -> int:
    """Add the chunks from `at` to `end` (None: to the end-of-contents octets), and return where they end."""
    while at != end:
        tag, at, size = _header(data, at)
        if end is None and (tag, size) == (0, 0):
            return at
        if tag == _OCTETS and size is not None:
            chunks.append(data[at : at + size])
            at += size
        elif tag == _OCTETS | _CONSTRUCTED and levels:
            at = _collect(data, at, None if size is None else at + size, chunks, levels - 1)
        else:
            raise ValueError("a chunk that is no octet string")
        if at > (len(data) if end is None else end):
            raise ValueError("a chunk is longer than what holds it")
    return at


def _header(data: bytes, at: int) -> tuple[int, int, int | None]:
    """Return tag, start and size of the element at `at`; no size for an indefinite length."""
    tag, size = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:  # a tag of several bytes; CMS has none above 30
        raise ValueError("a tag that CMS does not have")
    at += 2
    if size <= 0x7F:
        return tag, at, size
    count = size & 0x7F
    return tag, at + count, int.from_bytes(data[at : at + count], "big") if count else None
