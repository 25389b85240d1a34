"""All cases against the readers, each in a process of its own: what came of it, and what it cost."""

from collections import Counter

from tests.rubbish.case import Case
from tests.rubbish.readers import MIB, Read, all_cases, in_a_child
from tests.rubbish.traps import trapped

# A floor, so that a meter that shows nothing is seen: a Python with the readers loaded is larger, with the bytes of
# the case on top. Ceilings are over what was there before the reading began.
FLOOR_MEMORY = 20 * MIB
CEILING_MEMORY, PER_BYTE = 64 * MIB, 8
CEILING_CPU, PER_MB = 2.0, 0.1  # seconds; the machine is shared
FLOORS = {"bomb": 12, "way out": 17, "doctype": 12, "shape": 25, "encoding": 25, "mime": 80, "gzip": 13, "cms": 19}
FLOORS |= {"document": 13, "control": 5}
FLOOR_CASES = 225
FLOOR_METER = 30 * MIB  # what the honest 35 MB document must be seen to take


def run(sabotage: str, only: frozenset[str]) -> bool:
    """Return whether every case (of the groups `only`, if any) ended as it should, for no more than it may cost."""
    print(f"== readers: a process a case; memory under {CEILING_MEMORY // MIB} MiB + {PER_BYTE} x size over the start,")
    print(f"   and at least {FLOOR_MEMORY // MIB} MiB + size in all; CPU under {CEILING_CPU} s + {PER_MB} s/MB")
    count: Counter[str] = Counter()
    wrong: list[str] = []
    most, longest, seen = 0, 0.0, 0
    with trapped() as traps:
        for case in all_cases():
            if only and case.group not in only:
                continue
            found = in_a_child(case, traps, sabotage)
            complaints = [*_complaints(case, found), *traps.complaints()]
            count[case.group] += 1
            most, longest = max(most, found.grown), max(longest, found.cpu)
            seen = max(seen, found.grown if case.name == "35 MB to the byte" and case.reader == "xml" else 0)
            print(_line(case, found, complaints))
            wrong += [f"{case.group}, {case.name}: {complaint}" for complaint in complaints]
        print(f"the canary was connected to {traps.knocks} times and its file opened {traps.openings} times")
    floors = {group: FLOORS[group] for group in only or FLOORS}
    short = [f"{group}: {count[group]} of {floor}" for group, floor in floors.items() if count[group] < floor]
    print(f"{count.total()} cases: {', '.join(f'{number} {group}' for group, number in sorted(count.items()))}")
    print(f"most memory {most / MIB:.0f} MiB over the start, longest {longest:.2f} s of CPU, {len(wrong)} wrong")
    for complaint in [*wrong[:20], *short]:
        print(f"  {complaint}")
    if not only and seen < FLOOR_METER:
        print(f"  the meter showed {seen / MIB:.0f} MiB for a document of 35 MB: it does not measure")
    return not wrong and not short and bool(only or (count.total() >= FLOOR_CASES and seen >= FLOOR_METER))


def _complaints(case: Case, found: Read) -> list[str]:
    said = []
    expected = case.refused or {"read"}
    if found.outcome not in expected:
        said.append(f"{found.outcome} ({found.why[:80]}), not {' or '.join(sorted(expected))}")
    elif case.why not in found.why:
        said.append(f"refused for another reason: {found.why}")
    if "KANARI" in found.why:
        said.append("the refusal repeats what was sent")
    if found.peak < FLOOR_MEMORY + found.size:
        said.append(f"a peak of {found.peak / MIB:.0f} MiB cannot be")
    if found.grown > CEILING_MEMORY + PER_BYTE * found.size:
        said.append(f"took {found.grown / MIB:.0f} MiB")
    if found.cpu > CEILING_CPU + PER_MB * found.size / 1e6:
        said.append(f"took {found.cpu:.1f} s of CPU")
    return said


def _line(case: Case, found: Read, complaints: list[str]) -> str:
    mark = "!" if complaints else " "
    cost = f"{found.size / 1e6:6.2f} MB {found.peak / MIB:6.0f} MiB (+{found.grown / MIB:5.1f}) {found.cpu:6.3f} s"
    return f"{mark} {case.group:9} {case.name:40.40} {cost}  {found.outcome}: {found.why[:60]}"
