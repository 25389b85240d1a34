"""Bytes changed without a look at what they mean: in the envelope, in a part, in the whole as it goes over the wire."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.mutants.message import Message, Wire
from tests.mutants.operator import Change, Operator, on_text
from tests.mutants.originals import Original

_LETTER = re.compile(rb"[A-Za-z0-9]")
_VALUE = re.compile(r'>([^<>]*[^<>\s][^<>]*)<|="([^"<>]+)"')


def _slice(data: bytes, chance: Random, most: int = 40) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.randint(1, most))


def _flip(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]


def _letter(data: bytes, chance: Random) -> bytes:
    places = [found.start() for found in _LETTER.finditer(data)]
    if not places:
        return data
    at = chance.choice(places)
    kind = b"0123456789" if data[at : at + 1].isdigit() else b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return data[:at] + bytes((chance.choice(kind),)) + data[at + 1 :]


def _insert(data: bytes, chance: Random) -> bytes:
    at = chance.randint(0, len(data))
    new = chance.choice((chance.randbytes(chance.randint(1, 8)), b" ", b"\r\n", b"\n", b"A", b"=", b"-", b"&#x41;"))
    return data[:at] + new + data[at:]


def _delete(data: bytes, chance: Random) -> bytes:
    start, end = _slice(data, chance)
    return data[:start] + data[end:]


def _double(data: bytes, chance: Random) -> bytes:
    start, end = _slice(data, chance, 200)
    return data[:end] + data[start:]


def _swap(data: bytes, chance: Random) -> bytes:
    size = chance.randint(1, 30)
    if len(data) < 2 * size:
        return data
    one = chance.randint(0, len(data) - 2 * size)
    two = chance.randint(one + size, len(data) - size)
    return data[:one] + data[two : two + size] + data[one + size : two] + data[one : one + size] + data[two + size :]


def _cut(data: bytes, chance: Random) -> bytes:
    return data[: -chance.randint(1, min(len(data), 60))]


_EDITS: dict[str, Callable[[bytes, Random], bytes]] = {
    "a bit flipped": _flip,
    "a letter or digit for another": _letter,
    "bytes inserted": _insert,
    "bytes deleted": _delete,
    "bytes doubled": _double,
    "two slices swapped": _swap,
    "the end cut off": _cut,
}


def _in_envelope(edit: Callable[[bytes, Random], bytes]) -> Change:
    return lambda original, chance: original.message.rooted(edit(original.message.root, chance))


def in_part(edit: Callable[[bytes, Random], bytes], *, decoded: bool = False) -> Change:
    """Return the operator that changes one part: as it is encoded, or its content."""

    def apply(original: Original, chance: Random) -> Message | None:
        parts = list(original.message.parts)
        if not parts:
            return None
        at = chance.randrange(len(parts))
        if not parts[at].body:
            return None
        one = parts[at]
        parts[at] = one.carrying(edit(one.decoded, chance)) if decoded else replace(one, body=edit(one.body, chance))
        return original.message.parted(*parts)

    return apply


def _on_wire(edit: Callable[[bytes, Random], bytes]) -> Change:
    def apply(original: Original, chance: Random) -> Wire:
        wire = original.message.wire()
        if chance.random() < 0.15:
            kind = edit(wire.content_type.encode(), chance).decode("latin-1")
            return replace(wire, content_type=kind)
        return replace(wire, body=edit(wire.body, chance))

    return apply


def _a_value(text: str, chance: Random) -> str:
    """Change one letter of a text or an attribute's value, so that the XML stays well-formed."""
    found = chance.choice(list(_VALUE.finditer(text)))
    start, end = found.span(1 if found[1] is not None else 2)
    changed = _letter(text[start:end].encode(), chance).decode()
    return text[:start] + changed + text[end:]


OPERATORS = (
    *(Operator(name=f"envelope: {name}", apply=_in_envelope(edit)) for name, edit in _EDITS.items()),
    Operator(name="envelope: a letter of a value", apply=on_text(_a_value)),
    *(Operator(name=f"part: {name}", apply=in_part(edit)) for name, edit in _EDITS.items()),
    *(Operator(name=f"part, decoded: {name}", apply=in_part(edit, decoded=True)) for name, edit in _EDITS.items()),
    *(Operator(name=f"wire: {name}", apply=_on_wire(edit)) for name, edit in _EDITS.items()),
    *(
        Operator(name=f"ill-signed, part: {name}", apply=in_part(_EDITS[name], decoded=True), flaw="parts")
        for name in ("a bit flipped", "bytes inserted")
    ),
    Operator(
        name="ill-signed, transformed part: bytes inserted", apply=in_part(_insert, decoded=True), flaw="transform"
    ),
    Operator(name="ill-signed, left out: a letter of a value", apply=on_text(_a_value), flaw="left out"),
    Operator(name="ill-signed, policy: a letter of a value", apply=on_text(_a_value), flaw="policy"),
)
