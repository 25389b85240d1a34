"""Words planted in every text, attribute and unknown name of documents must never come out of a fault or warning.

    python -m tests.canaries.faults

Each place of each sample gets a canary, alone and together with other damage; every answer is searched. Prints what it
did and ends with 1 where a word came out, or where it did less than its floor. SABOTAGE=echo-value plants the fault.
By default every fifth case is run (6 s); LONG=1 runs them all (30 s).
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

from lxml import etree

from broker.envelope.xml import parse
from broker.validation import documents, rules
from broker.validation.documents import DocumentRefused, Judged
from tests.judging import DOCUMENTS, judged

CANARIES = ("Kanarifugl Ærlig-Øy", "KANARI 14834110130")
FLOOR_DOCUMENTS, FLOOR_FAULTY, FLOOR_RULES = 1_700, 1_500, 35
STRIDE = 1 if os.environ.get("LONG") else 5
SEED = 20261120

Damage = Callable[[etree._Element, random.Random], None]


def main() -> int:
    """Run the harness; return 0 where nothing came out and the floors were reached."""
    if os.environ.get("SABOTAGE") == "echo-value":
        _echo_values()
    print(f"seed {SEED}")
    escaped: list[str] = []
    count: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for name, data in islice(_planted(), 0, None, STRIDE):
        found = judged(data)
        count[name] += 1
        count["faulty"] += bool(found.faults)
        met.update(fault.rule for fault in (*found.faults, *found.warnings))
        if any(word in _all_that_is_told(found) for word in ("Kanari", "KANARI", "14834110130")):
            escaped.append(f"{name}: {sorted({fault.rule for fault in (*found.faults, *found.warnings)})}")
    faulty, total = count.pop("faulty"), sum(count.values())
    for name, documents_judged in sorted(count.items()):
        print(f"{documents_judged:6} {name}")
    print(f"{total} documents, {faulty} of them faulty; {len(met)} rules met; {len(escaped)} with a word come out")
    for line in escaped[:5]:
        print(f"  {line}")
    enough = total >= FLOOR_DOCUMENTS and faulty >= FLOOR_FAULTY and len(met) >= FLOOR_RULES
    if not enough:
        print(f"below the floor of {FLOOR_DOCUMENTS} documents, {FLOOR_FAULTY} faulty ones and {FLOOR_RULES} rules")
    return 0 if enough and not escaped else 1


def _all_that_is_told(found: Judged) -> str:
    told = f"{found.faults!r}{found.warnings!r}"
    if found.faults:
        refusal = DocumentRefused(found.faults)
        told += f"{refusal}{refusal.hint}{refusal.location}"
    return told


def _planted() -> Iterator[tuple[str, bytes]]:
    """Yield a kind of case and a document with canaries: each place alone, then all kinds of damage over all texts."""
    chance = random.Random(SEED)
    for file in sorted(DOCUMENTS.glob("*.xml")):
        root = parse(file.read_bytes(), max_bytes=1_000_000).root
        places = list(root.iter())
        for canary in CANARIES:
            for number, element in enumerate(places):
                for change in _plantings(element):
                    yield change, _changed(root, number, change, canary)
                for damage, damaging in _DAMAGES.items():
                    broken = deepcopy(root)
                    _everywhere(broken, canary, chance)
                    victim = next(one for at, one in enumerate(broken.iter()) if at == number)
                    damaging(victim, chance)
                    yield f"all and {damage}", etree.tostring(broken, encoding="utf-8")


def _plantings(element: etree._Element) -> Iterator[str]:
    yield "text"
    yield "new attribute"
    yield "new element"
    yield from (f"attribute {name}" for name in map(str, element.attrib))


def _changed(root: etree._Element, number: int, change: str, canary: str) -> bytes:
    broken = deepcopy(root)
    element = next(one for at, one in enumerate(broken.iter()) if at == number)
    if change == "text":
        element.text = canary
    elif change == "new attribute":
        element.set("Kanari-navn", canary)
    elif change == "new element":
        etree.SubElement(element, "Kanari-navn").text = canary
    else:
        element.set(change.removeprefix("attribute "), canary)
    written = etree.tostring(broken, encoding="utf-8").decode()
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>{written}'.encode("iso-8859-1")


def _everywhere(root: etree._Element, canary: str, chance: random.Random) -> None:
    """Plant the word in a third of all texts and attributes that nothing is found by."""
    for element in root.iter():
        if element.text and element.text.strip() and chance.random() < 0.3:
            element.text = canary
        for name in element.attrib:
            if chance.random() < 0.3:
                element.set(name, canary)


def _rename(element: etree._Element, _: random.Random) -> None:
    element.tag = f"{{{etree.QName(element).namespace}}}Kanari-navn"


def _move_out(element: etree._Element, _: random.Random) -> None:
    element.tag = f"{{urn:Kanari:navnerom}}{etree.QName(element).localname}"


def _double(element: etree._Element, _: random.Random) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.append(deepcopy(element))


def _drop(element: etree._Element, _: random.Random) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


_DAMAGES: dict[str, Damage] = {"rename": _rename, "move out": _move_out, "double": _double, "drop": _drop}


def _echo_values() -> None:
    """The planted fault: a rule puts what stood there into its path."""
    honest = rules.where

    def telling(element: etree._Element) -> str:
        return f"{honest(element)} ({element.text or ''}{element.get('V') or ''})"

    for module in (rules, documents):
        told: Any = module
        told.where = telling


if __name__ == "__main__":
    sys.exit(main())
