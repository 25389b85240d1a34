"""Do our schemas give the verdict of the published ones, and would we notice if one declaration were wrong?

    python -m tests.schemas.differential          all cases, all mutants (about 30 s)
    SABOTAGE=loosen-occurs python -m tests.schemas.differential

First every case made out of the published declarations is put to both. Then each mutant of ours is put to the cases:
one that gives the same verdicts throughout has not been seen. SABOTAGE plants a fault that must turn this red:
`loosen-occurs`, `drop-required` and `change-type` in our schemas, `few-cases` in the cases.
"""

import os
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from broker.envelope.xml import Xml
from broker.errors import Misconfigured
from broker.validation.faults import FaultKind, SchemaFault
from broker.validation.xsd import DRIVERS, Driver, SchemaSet
from tests.schemas.cases import Case, cases_for
from tests.schemas.mutants import Mutant, mutants, reached
from tests.schemas.official import WHY_SKIPPED, Official, reference

HERE = Path(__file__).parent
SCHEMAS = HERE.parents[1] / "schemas"
MIN_CASES, MIN_VALID = 40_000, 0.40
MIN_MUTANTS, MIN_CAUGHT = 2_500, 0.98
_INVENTED = re.compile("Ukjent|undeclared|tekst|kl|foreign|%zz|æøå")  # what only our cases say, and no schema

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One driver's cases: with the published verdict and ours."""

    driver: Driver
    cases: list[Case]
    official: list[bool]
    ours: list[bool]


def our_files(sabotage: str = "") -> dict[str, bytes]:
    """Return our schema files by name, with the planted fault if one is named."""
    files = {file.relative_to(SCHEMAS).as_posix(): file.read_bytes() for file in SCHEMAS.rglob("*.xsd")}
    plants = {
        "loosen-occurs": ("kith/msghead-1.2.xsd", b'name="Receiver" type', b'name="Receiver" minOccurs="0" type'),
        "drop-required": ("w3c/xmldsig.xsd", b' use="required"', b""),
        "change-type": ("kith/types.xsd", b'name="V" type="xs:token"', b'name="V" type="xs:NMTOKEN"'),
    }
    if sabotage in plants:
        file, old, new = plants[sabotage]
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)
    return files


@cache
def published(folder: Path) -> tuple[tuple[Driver, Official, list[Case]], ...]:
    """Return the published schemas behind each driver of ours, with the cases made out of them."""
    behind = ((driver, Official(folder, driver.file)) for driver in DRIVERS)
    return tuple((driver, official, list(cases_for(official, driver.file))) for driver, official in behind)


def compare(folder: Path, say: Say, sabotage: str = "") -> tuple[list[Side], list[str]]:
    """Put every case to both, and return the cases with what is wrong: unreasoned differences, floors not met."""
    files, sides, wrong = our_files(sabotage), [], []
    reasoned = tomllib.loads((HERE / "differences.toml").read_text())["difference"]
    used: Counter[str] = Counter()
    for driver, official, cases in published(folder):
        ours = SchemaSet.from_bytes(files, drivers=[driver])
        if sabotage == "few-cases":
            cases = [case for case in cases if ":count" not in case.name and ":each" not in case.name]
        read = [case.xml() for case in cases]
        side = Side(
            driver=driver,
            cases=cases,
            official=[official.accepts(xml) for xml in read],
            ours=[ours.accepts(xml) for xml in read],
        )
        sides.append(side)
        wrong += _unreasoned(side, reasoned, used)
        wrong += _badly_explained(ours, zip(cases, read, side.ours, strict=True), say)
    for entry in reasoned:
        say(f"  {used[entry['cases']]:6} differ on purpose: {entry['reason']}")
        if not used[entry["cases"]]:
            wrong.append(f"differences.toml: nothing differs any more by {entry['cases']!r}")
    total = sum(len(side.cases) for side in sides)
    valid = sum(sum(side.official) for side in sides) / total
    for schema, (count, good) in sorted(_by_schema(sides).items()):
        say(f"  {count:6} cases, {good / count:4.0%} valid: {schema}")
    say(f"{total} cases, {valid:.1%} valid by the published schemas; {len(wrong)} wrong")
    if total < MIN_CASES or valid < MIN_VALID:
        wrong.append(f"{total} cases with {valid:.1%} valid: the floor is {MIN_CASES} with {MIN_VALID:.0%}")
    return sides, wrong


def _unreasoned(side: Side, reasoned: Iterable[Mapping[str, str]], used: Counter[str]) -> list[str]:
    wrong = []
    for case, official, ours in zip(side.cases, side.official, side.ours, strict=True):
        if official == ours:
            continue
        verdict = "valid" if official else "invalid"
        entry = next(
            (one for one in reasoned if one["official"] == verdict and re.search(one["cases"], case.name)), None
        )
        if entry is None:
            wrong.append(f"{case.name}: published say {verdict}, ours the opposite")
        else:
            used[entry["cases"]] += 1
    return wrong


def _badly_explained(ours: SchemaSet, told: Iterable[tuple[Case, Xml, bool]], say: Say) -> list[str]:
    """Every fiftieth refusal is explained: with a fault, with its place, and with no word of the document."""
    refused = [(case, xml) for case, xml, valid in told if not valid][::50]
    kinds: Counter[FaultKind] = Counter()
    wrong = []
    for case, xml in refused:
        faults = ours.check(xml)
        kinds.update(fault.kind for fault in faults)
        if not _well_told(faults):
            wrong.append(f"{case.name}: explained as {faults}")
    say(f"{len(refused)} refusals explained: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    return wrong


def _well_told(faults: tuple[SchemaFault, ...]) -> bool:
    return bool(faults) and all(fault.line and fault.path and not _INVENTED.search(repr(fault)) for fault in faults)


def _by_schema(sides: list[Side]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for side in sides:
        for case, valid in zip(side.cases, side.official, strict=True):
            count, good = found.get(case.schema, (0, 0))
            found[case.schema] = (count + 1, good + valid)
    return found


class Jury:
    """The cases that judge mutants: of each kind the first, kept read."""

    def __init__(self, side: Side) -> None:
        self.driver = side.driver
        self.reach = reached(our_files(), side.driver.file)
        chosen = [(case, ours) for case, ours in zip(side.cases, side.ours, strict=True) if case.first]
        self._read = [case.xml() for case, _ in chosen]
        self._expected = [ours for _, ours in chosen]
        self._near: dict[str, list[int]] = defaultdict(list)
        for at, (case, _) in enumerate(chosen):
            for name in case.around:
                self._near[name].append(at)

    def sees(self, mutant: Mutant) -> bool:
        """Return whether any case gets another verdict. Raises Misconfigured where the mutant is no schema."""
        schemas = SchemaSet.from_bytes(mutant.files, drivers=[self.driver])
        near = dict.fromkeys(at for name in sorted(mutant.around) for at in self._near.get(name, ()))
        rest = (at for at in range(len(self._read)) if at not in near)
        return any(schemas.accepts(self._read[at]) != self._expected[at] for at in chain(near, rest))


def judge(sides: list[Side], say: Say, *, every: int = 1) -> list[str]:
    """Put every `every`th mutant to the cases, and return what is wrong."""
    juries = [Jury(side) for side in sides]
    listed = tomllib.loads((HERE / "survivors.toml").read_text())["survivor"]
    reasons = {entry["mutant"]: entry["reason"] for entry in listed}
    outcome: dict[str, Counter[str]] = defaultdict(Counter)
    survivors, wrong = [], []
    for mutant in list(mutants(our_files()))[::every]:
        try:
            seen = any(jury.sees(mutant) for jury in juries if mutant.file in jury.reach)
        except Misconfigured:
            outcome[mutant.file]["no schema"] += 1
            continue
        if mutant.equivalent:
            outcome[mutant.file]["equivalent"] += 1
            if seen:
                wrong.append(f"not equivalent after all: {mutant.name}")
        else:
            outcome[mutant.file]["caught" if seen else "survived"] += 1
            survivors += [] if seen else [mutant.name]
    total: Counter[str] = Counter()
    for file, counts in outcome.items():
        total += counts
        say(f"  {file}: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()))
    for name in survivors:
        say(f"  survived: {name} ({reasons.get(name, 'NO REASON IS LISTED')})")
    wrong += [f"survived, and no reason is listed: {name}" for name in survivors if name not in reasons]
    if every == 1:
        wrong += [f"survivors.toml: did not survive: {name}" for name in reasons if name not in survivors]
    judged = total["caught"] + total["survived"]
    share = total["caught"] / judged
    say(f"{sum(total.values())} mutants, {judged} to be seen, {share:.2%} caught, {total['survived']} survived")
    if judged < MIN_MUTANTS // every or share < MIN_CAUGHT:
        wrong.append(f"{share:.2%} of {judged} caught: the floor is {MIN_CAUGHT:.0%} of {MIN_MUTANTS // every}")
    return wrong


def run(folder: Path, say: Say, *, every: int = 1, sabotage: str = "") -> list[str]:
    """Run both halves and return what is wrong, nothing if all is well."""
    sides, wrong = compare(folder, say, sabotage)
    # Mutants of schemas that already differ would say nothing.
    return wrong or judge(sides, say, every=every)


def main() -> int:
    """Run, print, and return the exit status."""
    folder = reference()
    if folder is None:
        print(WHY_SKIPPED)
        return 2
    wrong = run(folder, print, sabotage=os.environ.get("SABOTAGE", ""))
    for line in wrong[:40]:
        print(f"WRONG: {line}")
    print("red" if wrong else "green")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
