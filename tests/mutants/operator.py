"""What an operator is: one kind of change, by name. The files by_*.py hold them, run.py has them all."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lxml import etree

from broker.envelope import xml
from broker.envelope.names import ds
from tests.mutants.message import Message, Wire
from tests.mutants.originals import Original

Change = Callable[[Original, Random], Message | Wire | None]
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """`apply` returns the mutant, or None where the original has nothing to change.

    `harmless`: what it changes no signature covers and no reader looks at, so that most of its mutants are believed.
    `flaw`: it is for ill-signed originals of that flaw alone.
    """

    name: str
    apply: Change
    harmless: bool = False
    flaw: str = ""


def on_tree(change: Callable[[etree._Element, Random], bool]) -> Change:
    """Return the operator that changes the tree of the envelope or document, in place; False: nothing to change."""

    def apply(original: Original, chance: Random) -> Message | None:
        root = xml.parse(original.message.root, max_bytes=MAX_BYTES).root
        if not change(root, chance):
            return None
        return original.message.rooted(etree.tostring(root.getroottree(), encoding="utf-8"))

    return apply


def on_text(change: Callable[[str, Random], str]) -> Change:
    """Return the operator that changes the envelope or document as text, in the encoding that it has."""

    def apply(original: Original, chance: Random) -> Message | None:
        encoding = encoding_of(original.message.root)
        before = original.message.root.decode(encoding)
        after = change(before, chance)
        return None if after == before else original.message.rooted(after.encode(encoding, "xmlcharrefreplace"))

    return apply


def on_message(change: Callable[[Message, Random], Message | Wire | None]) -> Change:
    """Return the operator that changes the message as MIME; a document has none."""
    return lambda original, chance: None if original.document else change(original.message, chance)


def encoding_of(root: bytes) -> str:
    """Return the encoding that the declaration names."""
    return "iso-8859-1" if b"iso-8859-1" in root[:80].lower() else "utf-8"


def elements(root: etree._Element) -> list[etree._Element]:
    """Return every element below the document element."""
    return [element for element in root.iter("*") if element is not root]


def outside(root: etree._Element) -> list[etree._Element]:
    """Return every element below the document element that is no part of the signature."""
    signature = signature_of(root)
    inside = set() if signature is None else set(signature.iter("*"))
    return [element for element in elements(root) if element not in inside]


def signature_of(root: etree._Element) -> etree._Element | None:
    """Return the ds:Signature, wherever it stands."""
    return next(root.iter(ds("Signature")), None)
