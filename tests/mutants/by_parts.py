"""Parts and MIME changed: contents and names swapped, parts added and lost, the same octets carried otherwise."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.mutants.message import Message, Piece, Wire
from tests.mutants.operator import Change, Operator, on_message
from tests.mutants.originals import Original, of_same_signer

_NEW = Piece(lines=("Content-Type: application/octet-stream", "Content-ID: <forged@x>"), body=b"forged")
_HREF = re.compile(rb"<(?:\w+:)?Reference [^>]*href=[^>]*>(?:</(?:\w+:)?Reference>)?")


def _pick(message: Message, chance: Random) -> int | None:
    return chance.randrange(len(message.parts)) if message.parts else None


def _put(message: Message, at: int, piece: Piece) -> Message:
    return message.parted(*message.parts[:at], piece, *message.parts[at + 1 :])


def _on_part(change: Callable[[Piece, Random], Piece | None]) -> Change:
    """Return the operator that changes one part, and not its octets."""

    def apply(message: Message, chance: Random) -> Message | None:
        at = _pick(message, chance)
        new = None if at is None else change(message.parts[at], chance)
        return None if at is None or new is None else _put(message, at, new)

    return on_message(apply)


def _on_any_piece(change: Callable[[Piece, Random], Piece | None]) -> Change:
    """Return the operator that changes one piece, the envelope's among them."""

    def apply(message: Message, chance: Random) -> Message | None:
        if not message.boundary:
            return None
        at = chance.randrange(len(message.pieces))
        new = change(message.pieces[at], chance)
        return None if new is None else replace(message, pieces=(*message.pieces[:at], new, *message.pieces[at + 1 :]))

    return on_message(apply)


# --- what the message carries ---


def _contents(message: Message, chance: Random) -> Message | None:
    if len(message.parts) < 2:
        return None
    one, other = chance.sample(range(len(message.parts)), 2)
    first, second = message.parts[one], message.parts[other]
    return _put(_put(message, one, replace(first, body=second.body)), other, replace(second, body=first.body))


def _names(message: Message, chance: Random) -> Message | None:
    if len(message.parts) < 2:
        return None
    one, other = chance.sample(range(len(message.parts)), 2)
    first, second = message.parts[one], message.parts[other]
    return _put(
        _put(message, one, first.having("Content-ID", f"<{second.content_id}>")),
        other,
        second.having("Content-ID", f"<{first.content_id}>"),
    )


def _renamed(piece: Piece, chance: Random) -> Piece:
    name = piece.content_id
    return piece.having("Content-ID", f"<{chance.choice((f'{name}x', name.upper(), name[:-1], 'forged@x'))}>")


def _renamed_in_both(message: Message, chance: Random) -> Message | None:
    at = _pick(message, chance)
    if at is None:
        return None
    name = message.parts[at].content_id
    root = message.root.replace(f'href="cid:{name}"'.encode(), b'href="cid:forged@x"')
    return _put(message.rooted(root), at, message.parts[at].having("Content-ID", "<forged@x>"))


def _added(message: Message, chance: Random) -> Message:
    at = chance.randint(0, len(message.parts))
    return message.parted(*message.parts[:at], _NEW, *message.parts[at:])


def _added_and_named(message: Message, chance: Random) -> Message:
    return _named(_added(message, chance))


def _named(message: Message) -> Message:
    """Name the new part in the Manifest too."""
    found = _HREF.search(message.root)
    if found is None:
        return message
    entry = re.sub(rb'(href=)"[^"]*"', rb'\1"cid:forged@x"', found[0])
    return message.rooted(message.root[: found.end()] + entry + message.root[found.end() :])


def _copied(message: Message, chance: Random) -> Message | None:
    """A part stands there twice, under one name or two."""
    at = _pick(message, chance)
    if at is None:
        return None
    twin = message.parts[at]
    if chance.random() < 0.5:
        twin = replace(twin, body=_NEW.body)
    if chance.random() < 0.3:
        twin = twin.having("Content-ID", "<forged@x>")
    pieces = [*message.parts[:at], twin, *message.parts[at:]]
    return message.parted(*(pieces if chance.random() < 0.5 else pieces[::-1]))


def _dropped(message: Message, chance: Random) -> Message | None:
    at = _pick(message, chance)
    return None if at is None else message.parted(*message.parts[:at], *message.parts[at + 1 :])


def _dropped_in_both(message: Message, chance: Random) -> Message | None:
    at = _pick(message, chance)
    if at is None:
        return None
    name = message.parts[at].content_id.encode()
    entries = [one[0] for one in _HREF.finditer(message.root) if name in one[0]]
    root = message.root.replace(entries[0], b"") if entries else message.root
    return message.rooted(root).parted(*message.parts[:at], *message.parts[at + 1 :])


def _in_manifest(change: Callable[[list[bytes], Random], list[bytes]]) -> Change:
    """Return the operator that changes the entries of the Manifest."""

    def apply(message: Message, chance: Random) -> Message | None:
        found = list(_HREF.finditer(message.root))
        if not found:
            return None
        entries = change([one[0] for one in found], chance)
        return message.rooted(message.root[: found[0].start()] + b"".join(entries) + message.root[found[-1].end() :])

    return on_message(apply)


def _href(entries: list[bytes], chance: Random) -> list[bytes]:
    at = chance.randrange(len(entries))
    forms = (
        (rb'href="cid:', b'href="CID:'),
        (rb'href="cid:', b'href=" cid:'),
        (rb"@", b"%40"),
        (rb'href="cid:', b'href="http://x.example/'),
        (rb'href="cid:[^"]*', b'href="cid:forged@x'),
        (rb"xlink:href", b"href"),
    )
    old, new = chance.choice(forms)
    return [*entries[:at], re.sub(old, new, entries[at]), *entries[at + 1 :]]


def _anothers(original: Original, chance: Random) -> Message | None:
    """The octets of a part of another message, under the name of this one's."""
    at = _pick(original.message, chance)
    others = [part for one in of_same_signer(original.name) for part in one.message.parts]
    if at is None or not others:
        return None
    mine = original.message.parts[at]
    return _put(original.message, at, mine.carrying(chance.choice(others).decoded))


def _anothers_parts(original: Original, chance: Random) -> Message | None:
    """All parts of another message, with their names."""
    others = [one for one in of_same_signer(original.name) if one.message.parts]
    if original.document or not others:
        return None
    return original.message.parted(*chance.choice(others).message.parts)


# --- how it is carried ---


def _encoding(piece: Piece, chance: Random) -> Piece:
    return piece.carrying(piece.decoded, chance.choice(("base64", "quoted-printable", "binary", "8bit")))


def _base64_lines(piece: Piece, chance: Random) -> Piece | None:
    if piece.header("Content-Transfer-Encoding").lower() != "base64":
        return None
    text = b"".join(piece.body.split())
    size = chance.choice((4, 60, 64, 998, 100_000))
    return replace(piece, body=b"\r\n".join(text[at : at + size] for at in range(0, len(text), size)))


def _base64_lax(piece: Piece, chance: Random) -> Piece | None:
    """Base64 in forms that one decoder takes and another does not."""
    if piece.header("Content-Transfer-Encoding").lower() != "base64" or not piece.body:
        return None
    text = b"".join(piece.body.split())
    forms = (
        text + b"=",
        text + b"AAAA",
        text.rstrip(b"="),
        text + b"=\r\nAAAA",
        b"!" + text,
        text[:8] + b"*" + text[8:],
    )
    return replace(piece, body=chance.choice(forms))


def _encoding_lies(piece: Piece, chance: Random) -> Piece:
    told = chance.choice(("base64", "quoted-printable", "8bit", "binary", "x-uuencode", "gzip", ""))
    return piece.having("Content-Transfer-Encoding", told)


def _case(piece: Piece, chance: Random) -> Piece:
    def spelled(line: str) -> str:
        name, colon, value = line.partition(":")
        return chance.choice((name.upper(), name.lower(), name.swapcase())) + colon + value

    return replace(piece, lines=tuple(spelled(line) for line in piece.lines))


def _folded(piece: Piece, chance: Random) -> Piece:
    lines = list(piece.lines)
    at = chance.randrange(len(lines))
    lines[at] = lines[at].replace(": ", ":\r\n ", 1)
    return replace(piece, lines=tuple(lines))


def _more_headers(piece: Piece, chance: Random) -> Piece:
    more = chance.choice(("X-Other: y", "Content-Description: of another", "Content-Location: cid:forged@x"))
    lines = [*piece.lines]
    lines.insert(chance.randint(0, len(lines)), more)
    return replace(piece, lines=tuple(lines))


def _twice(piece: Piece, chance: Random) -> Piece:
    """A header twice, with another value."""
    new = chance.choice(("Content-ID: <forged@x>", "Content-Type: text/plain", "Content-Transfer-Encoding: binary"))
    return replace(piece, lines=(new, *piece.lines) if chance.random() < 0.5 else (*piece.lines, new))


def _header_gone(piece: Piece, chance: Random) -> Piece:
    at = chance.randrange(len(piece.lines))
    return replace(piece, lines=piece.lines[:at] + piece.lines[at + 1 :])


def _type(piece: Piece, chance: Random) -> Piece:
    kinds = ("text/plain", "text/xml", "message/rfc822", "multipart/mixed; boundary=x", "application/pkcs7-mime")
    return piece.having("Content-Type", chance.choice(kinds))


def _bare_id(piece: Piece, chance: Random) -> Piece | None:
    if not piece.content_id:
        return None
    return piece.having("Content-ID", chance.choice((piece.content_id, f"< {piece.content_id} >")))


def _order(message: Message, chance: Random) -> Message | None:
    if len(message.parts) < 2:
        return None
    return message.parted(*chance.sample(message.parts, len(message.parts)))


def _root_later(message: Message, chance: Random) -> Message | None:
    """The envelope is not the first part: right where `start` names it, another part is taken for it where not."""
    if not message.parts:
        return None
    pieces = list(message.pieces)
    chance.shuffle(pieces)
    return replace(message, pieces=tuple(pieces))


def _start(message: Message, chance: Random) -> Message | None:
    if not message.parts:
        return None
    bare = re.sub(r'; *start="[^"]*"', "", message.content_type)
    name = chance.choice([*(piece.content_id for piece in message.pieces), "forged@x", ""])
    kind = chance.choice((bare, f'{bare}; start="<{name}>"', f'{bare}; start="{name}"'))
    return replace(message, content_type=kind)


def _boundary(message: Message, _: Random) -> Message | None:
    if not message.boundary:
        return None
    kind = message.content_type.replace(message.boundary, "other-b0undary")
    return replace(message, content_type=kind, boundary="other-b0undary")


def _boundary_inside(message: Message, chance: Random) -> Message | None:
    """The boundary in a part: another reader may cut there."""
    at = _pick(message, chance)
    if at is None:
        return None
    part = message.parts[at]
    line = f"--{message.boundary}".encode()
    ends = chance.choice((b"\r\n" + line, b"\n" + line + b"\n", line + b"x\r\n", b"\r\n" + line + b"--\r\n"))
    where = chance.randint(0, len(part.body))
    return _put(message, at, replace(part, body=part.body[:where] + ends + part.body[where:]))


def _around(message: Message, chance: Random) -> Wire:
    """Something before the first delimiter, or behind the last."""
    wire = message.wire()
    more = chance.choice((b"\r\n", b"preamble\r\n", b"\r\n\r\n", b" ", b"--\r\n"))
    return replace(wire, body=more + wire.body if chance.random() < 0.5 else wire.body + more)


def _forged_root(message: Message, chance: Random) -> Message:
    """A changed envelope as the root; the signed one rides along as a part."""
    good = Piece(lines=("Content-Type: text/xml", "Content-ID: <good@x>"), body=message.root)
    changed = message.root.replace(b"ConversationId>", b"ConversationId>0", 1)
    both = message.rooted(changed).parted(good, *message.parts)
    if chance.random() < 0.5:
        return replace(both, content_type=re.sub(r'; *start="[^"]*"', "", both.content_type))
    return both


def _alone(message: Message, _: Random) -> Message | None:
    """A message without parts as a multipart of one."""
    if message.boundary:
        return None
    root = Piece(lines=("Content-Type: text/xml; charset=UTF-8",), body=message.root)
    kind = 'multipart/related; boundary="b0undary"; type="text/xml"'
    return Message(content_type=kind, pieces=(root,), boundary="b0undary")


_OF_MESSAGE: dict[str, Callable[[Message, Random], Message | Wire | None]] = {
    "contents swapped": _contents,
    "Content-IDs swapped": _names,
    "renamed, in the Manifest too": _renamed_in_both,
    "added": _added,
    "added, in the Manifest too": _added_and_named,
    "there twice": _copied,
    "dropped": _dropped,
    "dropped, from the Manifest too": _dropped_in_both,
    "the envelope in another place": _root_later,
    "start names another": _start,
    "boundary inside a part": _boundary_inside,
    "something before or behind": _around,
    "a forged envelope, the signed one a part": _forged_root,
}
_OF_PIECE: dict[str, Change] = {
    "Content-ID changed": _on_part(_renamed),
    "Content-Transfer-Encoding lies": _on_any_piece(_encoding_lies),
    "base64 that is lax": _on_part(_base64_lax),
    "a header twice": _on_any_piece(_twice),
    "a header gone": _on_any_piece(_header_gone),
    "Content-Type changed": _on_any_piece(_type),
    "another message's content": _anothers,
    "another message's parts": _anothers_parts,
    "Manifest entry twice": _in_manifest(lambda entries, chance: [*entries, chance.choice(entries)]),
    "Manifest entry gone": _in_manifest(lambda entries, chance: entries[1:]),
    "Manifest in another order": _in_manifest(lambda entries, _: entries[::-1] if len(entries) > 1 else []),
    "Manifest entry in another form": _in_manifest(_href),
}
_HARMLESS: dict[str, Change] = {
    "another transfer encoding": _on_part(_encoding),
    "base64 in other lines": _on_part(_base64_lines),
    "case of header names": _on_any_piece(_case),
    "header folded": _on_any_piece(_folded),
    "more headers": _on_any_piece(_more_headers),
    "Content-ID without <>": _on_part(_bare_id),
    "in another order": on_message(_order),
    "another boundary": on_message(_boundary),
    "the envelope alone as a multipart": on_message(_alone),
}

OPERATORS = (
    *(Operator(name=f"parts: {name}", apply=on_message(change)) for name, change in _OF_MESSAGE.items()),
    *(Operator(name=f"parts: {name}", apply=change) for name, change in _OF_PIECE.items()),
    *(Operator(name=f"parts: {name}", apply=change, harmless=True) for name, change in _HARMLESS.items()),
    Operator(name="ill-signed, part: another message's content", apply=_anothers, flaw="parts"),
    Operator(name="ill-signed, part: contents swapped", apply=on_message(_contents), flaw="parts"),
)
