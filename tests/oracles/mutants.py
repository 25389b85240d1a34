"""Signed envelopes, mutated at random: `python -m tests.oracles.mutants` counts how many forgeries come through: none.

Each mutant is a valid original after one to three moves: a subtree copied, moved, wrapped, removed or forged, an actor
set, anywhere. Whatever verifies must be read as exactly what the sender wrote; the eb:SyncReply alone is not signed.
MUTANTS=n says how many (20,000; 3,000 in the suite) and SEED=n from where. SABOTAGE=leave-out-anything plants a fault:
then some must come through.
"""

import copy
import os
import random
import sys
from collections import Counter
from dataclasses import replace
from unittest import mock

from lxml import etree

from broker.envelope import ebms_parse, signature, xml
from broker.envelope.ebms import Envelope
from broker.envelope.names import EB, soap
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH
from broker.errors import NotTrusted, Refused
from tests.oracles.xmldsig_engines import MAX_BYTES, OURS, SHAPES, parts_of, unsigned

ORIGINALS = [shape for shape in SHAPES if shape.ours and not shape.document and shape.part_bytes < 1_000_000]
FLOOR_ACCEPTED = 0.01  # of all mutants: a harness that accepts nothing would see nothing

# Entries that say something else than the original, for a place in header or body.
FORGED = (
    '<eb:ErrorList xmlns:eb="{eb}" eb:version="2.0" eb:highestSeverity="Error"><eb:Error eb:errorCode="Unknown" '
    'eb:severity="Error"/></eb:ErrorList>',
    '<eb:Acknowledgment xmlns:eb="{eb}" eb:version="2.0"><eb:Timestamp>2026-11-22T01:00:00Z</eb:Timestamp>'
    "<eb:RefToMessageId>forged</eb:RefToMessageId></eb:Acknowledgment>",
    '<eb:Manifest xmlns:eb="{eb}" xmlns:x="http://www.w3.org/1999/xlink" eb:version="2.0">'
    '<eb:Reference x:href="cid:forged@x"/></eb:Manifest>',
    '<t:Trace xmlns:t="urn:trace">way</t:Trace>',
)

MOVES = (
    "insert",
    "insert for someone",
    "insert for someone",
    "actor",
    "copy",
    "forge",
    "wrap",
    "move",
    "remove",
    "text",
)


def _forged(chance: random.Random) -> etree._Element:
    text = chance.choice(FORGED).format(eb=EB)
    return xml.parse(text.encode(), max_bytes=MAX_BYTES).root


def _actor(chance: random.Random, element: etree._Element) -> None:
    element.set(soap("actor"), chance.choice((ACTOR_NEXT, ACTOR_NEXT_MSH, "urn:x")))


def mutate(root: etree._Element, chance: random.Random) -> str:
    """Change the tree in one way, in place, and return what was done."""
    inside = [element for element in root.iter("*") if element is not root]
    if not inside:
        return "nothing left"
    one = chance.choice(inside)
    place = root[0] if chance.random() < 0.4 else chance.choice([root, *inside])
    move = chance.choice(MOVES)
    parent = one.getparent()
    if move in {"insert", "insert for someone"}:
        new = _forged(chance)
        if move == "insert for someone":
            _actor(chance, new)
        place.insert(chance.randint(0, len(place)), new)
    elif move == "actor":
        _actor(chance, place)
    elif move in {"copy", "forge"}:
        twin = copy.deepcopy(one)
        if move == "forge":
            for element in twin.iter("*"):
                if element.text and element.text.strip():
                    element.text += "0"
        if chance.random() < 0.5:
            _actor(chance, twin)
        place.insert(chance.randint(0, len(place)), twin)
    elif move == "wrap" and parent is not None:
        wrapper = etree.Element("{urn:trace}Trace")
        _actor(chance, wrapper)
        parent.replace(one, wrapper)
        wrapper.append(one)
    elif move == "move" and one not in [place, *place.iterancestors()]:
        place.insert(chance.randint(0, len(place)), one)
    elif move == "remove" and parent is not None:
        parent.remove(one)
    elif move == "text":
        one.text = (one.text or "") + "0"
    return move


def _read(data: bytes) -> Envelope:
    return ebms_parse.parse(xml.parse(data, max_bytes=MAX_BYTES))


def run(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how the mutants ended, and those that came through as something else than the original."""
    chance = random.Random(seed)
    ended: Counter[str] = Counter()
    forgeries: list[str] = []
    originals = []
    for shape in ORIGINALS:
        data = signature.sign_envelope(unsigned(shape), parts_of(shape), OURS)
        originals.append((data, parts_of(shape), replace(_read(data), sync_reply=False)))
    for number in range(count):
        data, parts, honest = chance.choice(originals)
        root = xml.parse(data, max_bytes=MAX_BYTES).root
        moves = [mutate(root, chance) for _ in range(chance.randint(1, 3))]
        mutant = etree.tostring(root, encoding="utf-8")
        document = xml.parse(mutant, max_bytes=MAX_BYTES)
        try:
            signature.verify_envelope(document, parts, trusted=[OURS.certificate])
        except NotTrusted:
            ended["not trusted"] += 1
            continue
        try:
            read = ebms_parse.parse(document)
        except Refused:
            ended["holds, and is not ebMS as we take it"] += 1
            continue
        ended["holds, and says what the sender wrote"] += 1
        if replace(read, sync_reply=False) != honest:
            forgeries.append(f"mutant {number} of seed {seed}: {', '.join(moves)}")
    return ended, forgeries


def main(count: int) -> int:
    """Print how the mutants ended; return 0 when no forgery came through, and enough mutants were accepted to tell."""
    seed = int(os.environ.get("SEED", "1"))
    if os.environ.get("SABOTAGE") == "leave-out-anything":
        with mock.patch.object(signature, "_refuse_unsigned_content"):
            ended, forgeries = run(count, seed)
    else:
        ended, forgeries = run(count, seed)
    for name, number in ended.most_common():
        print(f"{number:8} {name}")
    print(f"executed: {ended.total()} mutants of {len(ORIGINALS)} originals, seed {seed}; forgeries: {len(forgeries)}")
    for forgery in forgeries[:10]:
        print(f"FAILED {forgery}")
    accepted = ended["holds, and says what the sender wrote"]
    if accepted < count * FLOOR_ACCEPTED:
        print(f"FAILED: only {accepted} mutants hold; the harness sees too little")
        return 1
    return 1 if forgeries else 0


if __name__ == "__main__":
    sys.exit(main(int(os.environ.get("MUTANTS", "20000"))))
