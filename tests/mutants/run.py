"""Makes mutants by number, has them judged, and counts by operator what became of them."""

import binascii
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

from broker.envelope import xml
from broker.errors import Refused
from tests.mutants import by_bytes, by_parts, by_signature, by_text, by_tree
from tests.mutants.judge import (
    ACCEPTED,
    MAX_BYTES,
    Believed,
    changes,
    comment_counts,
    excuse,
    holds_by_program,
    judge,
    meaning,
    sync_reply_changed,
)
from tests.mutants.message import Message, Wire
from tests.mutants.operator import Operator
from tests.mutants.originals import Original, originals
from tests.mutants.sabotage import sabotage

OPERATORS: tuple[Operator, ...] = (
    *by_bytes.OPERATORS,
    *by_tree.OPERATORS,
    *by_text.OPERATORS,
    *by_signature.OPERATORS,
    *by_parts.OPERATORS,
)
# Those that may follow another: they take what they find, where those of signatures count on a whole one.
_FURTHER = tuple(one for one in OPERATORS if not one.flaw and one not in by_signature.OPERATORS)
_DRAWS = 60  # how often an original is drawn for an operator before the mutant is given up
_MORE = 0.15  # of all mutants: these are changed by another operator too; and of those, by a third
_ILL_SIGNED = 0.08  # of the mutants of operators that are for all originals


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mutant: from which number it came, of what, by which operators."""

    number: int
    original: Original
    operators: tuple[str, ...]
    wire: Wire

    def __str__(self) -> str:
        return f"{' + '.join(self.operators)}, of {self.original.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mutant that was believed though it means something else; or one that a reader fell over."""

    number: int
    wire: Wire
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(slots=True)
class Tally:
    """What became of the mutants: (operator, layer) counts, and what was found wrong."""

    by_layer: Counter[tuple[str, str]] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    sync_reply: int = 0
    asked: int = 0  # of the xmlsec1 program
    disagreements: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    digest: str = ""  # of all mutants: the same seed gives the same

    def add(self, other: "Tally") -> None:
        """Take in what another process counted."""
        self.by_layer += other.by_layer
        self.excused += other.excused
        self.sync_reply += other.sync_reply
        self.asked += other.asked
        self.disagreements += other.disagreements
        self.findings += other.findings
        self.digest += other.digest

    def made(self, operator: str) -> int:
        return sum(count for (name, _), count in self.by_layer.items() if name == operator)

    def of_layer(self, layer: str) -> int:
        return sum(count for (_, ended), count in self.by_layer.items() if ended == layer)


def mutant(seed: int, number: int) -> Mutant | None:
    """Return the mutant of that number, or None where the operator whose turn it is found nothing to change."""
    operator = OPERATORS[number % len(OPERATORS)]
    chance = Random(f"{seed}/{number}")
    for _ in range(_DRAWS):
        original = _drawn(operator, chance)
        made = operator.apply(original, chance)
        if made is None:
            continue
        names = [operator.name]
        while isinstance(made, Message) and not operator.flaw and chance.random() < _MORE and _whole(made):
            more = chance.choice(_FURTHER)
            again = more.apply(replace(original, message=made), chance)
            if again is None:
                break
            made = again
            names.append(more.name)
        wire = made.wire() if isinstance(made, Message) else made
        if wire != original.message.wire():
            return Mutant(number=number, original=original, operators=tuple(names), wire=wire)
    return None


def _drawn(operator: Operator, chance: Random) -> Original:
    flaw = chance.random() < _ILL_SIGNED and not operator.harmless
    return chance.choice(_pool(operator.flaw, flaw))


@cache
def _pool(flaw: str, any_flaw: bool) -> tuple[Original, ...]:
    if flaw:
        return tuple(one for one in originals() if one.flaw == flaw)
    return tuple(one for one in originals() if bool(one.flaw) == any_flaw)


def _whole(message: Message) -> bool:
    """Say whether another operator can work on it: it can still be read, and has something in header and body."""
    try:
        root = xml.parse(message.root, max_bytes=MAX_BYTES).root
        for part in message.parts:
            len(part.decoded)
    except (Refused, binascii.Error):
        return False
    return len(root) > 1 and len(root[0]) > 0 and len(root[-1]) > 0


def run(numbers: Iterable[int], seed: int, planted: str = "", asked: int = 0, *, stop: bool = False) -> Tally:
    """Judge the mutants of those numbers; `asked` is how many of the believed the xmlsec1 program is shown.

    `planted` is the name of a fault, `stop` says to stop at the first finding.
    """
    tally = Tally()
    octets = hashlib.sha256()
    for one in originals():
        meaning(one)  # before a fault is planted
    with sabotage(planted):
        for number in numbers:
            made = mutant(seed, number)
            if made is None:
                tally.by_layer[OPERATORS[number % len(OPERATORS)].name, "not made"] += 1
                continue
            octets.update(made.wire.content_type.encode() + made.wire.body)
            _judged(made, tally, asked)
            if stop and tally.findings:
                break
    tally.digest = octets.hexdigest()[:16]
    return tally


def _judged(made: Mutant, tally: Tally, asked: int) -> None:
    name = made.operators[0]
    try:
        became = judge(made.original, made.wire)
    except Exception as fault:  # whatever it is: a reader of hostile bytes may raise Refused and nothing else
        tally.by_layer[name, "fell over"] += 1
        tally.findings.append(_finding(made, f"fell over, {type(fault).__name__}: {fault}"))
        return
    if not isinstance(became, Believed):
        tally.by_layer[name, became] += 1
        return
    tally.by_layer[name, ACCEPTED] += 1
    changed = changes(made.original, became)
    if changed and (why := excuse(made.original, became, changed)):
        tally.excused[why] += 1
        return
    if changed:
        tally.findings.append(_finding(made, f"believed, and changed: {'; '.join(changed)}"))
    tally.sync_reply += sync_reply_changed(made.original, became)
    # Every so many, and not the first ones: those would be of the first operators.
    if tally.asked < asked and made.number % 3 == 0:
        tally.asked += 1
        if holds_by_program(made.original, became):
            return
        if comment_counts(became):
            tally.excused["a comment, where comments are under the digest: we read none, and sign none"] += 1
        else:
            tally.disagreements.append(f"{made}, number {made.number}")


def _finding(made: Mutant, what: str) -> Finding:
    return Finding(number=made.number, wire=made.wire, what=f"{what}: {made}")
