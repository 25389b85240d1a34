"""What is on disk when a promise is given: on a slow disk, each answer must come after the fsync that it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.demo.questions import Questions
from broker.demo.start import until_ready
from tests.disk.bench import Bench, until
from tests.disk.traced import Call, by_thread
from tests.rig.ledgers import seconds

SLOW = 0.04  # seconds that every fsync takes here: an answer that does not wait for it comes visibly before
_LARGE = 256 * 1024  # bytes; design.md, decision 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What was looked at, and what was wrong with it."""

    promises: int
    with_files: int
    threads: dict[tuple[str, str], int]  # how often a thread made a call
    wrong: list[str]


async def ordered(bench: Bench, *, rounds: int) -> Ordered:
    """Run the subject on a slow disk, and hold each of its promises against what had been fsynced by then."""
    run = bench.traced(bench.ours)
    broker = await run.start(slow=SLOW)
    questions = Questions(bench.ours.api, bench.ours.token)
    try:
        await until_ready(broker, questions)
    finally:
        await questions.close()
    wrong = []
    for _ in range(rounds):
        bench.load()
        try:
            await until("the letters of a slow disk came to their end", bench.settled, within=30)
        except AssertionError as late:  # what was promised meanwhile is looked at all the same
            wrong.append(str(late))
            break
    await broker.stop()
    calls, promises, files = run.calls(), 0, 0
    for what, began, ended, size in _promises(bench):
        promises += 1
        if not _logged(calls, began, ended):
            wrong.append(f"{what}: given before its commit was on disk")
        if size > _LARGE:
            files += 1
            if not _filed(calls, began, ended):
                wrong.append(f"{what}: given before its file, name and all, was on disk")
    return Ordered(promises=promises, with_files=files, threads=dict(by_thread(calls)), wrong=wrong)


def _promises(bench: Bench) -> list[tuple[str, float, float, int]]:
    """Return what was promised, after when it was asked for, when it was given, and the size of what was taken."""
    found = []
    before = 0.0
    for entry in bench.books.tails[bench.ours.key].of("posted"):
        # The simulator posts one after the other, so this one was not asked for before the last was answered.
        found.append((f"202 to {entry['case'][:8]}", before, seconds(entry) + 0.001, entry["size"]))
        before = seconds(entry)
    for passed in bench.wire.passed:
        if passed.to == bench.ours.key and passed.acknowledged:
            found.append((f"Acknowledgment of {passed.action}", passed.began, passed.ended, passed.size))
    return found


def _logged(calls: Sequence[Call], began: float, ended: float) -> bool:
    return any(call.on("-wal") and began <= call.began and call.ended <= ended for call in calls)


def _filed(calls: Sequence[Call], began: float, ended: float) -> bool:
    """Say whether file, name and record went to disk in this order."""
    at = began
    for name, ending in (("fsync", ".part"), ("rename", ".part"), ("fsync", "/bodies"), ("fdatasync", "-wal")):
        step = next((c for c in calls if c.name.startswith(name) and c.on(ending) and at <= c.began), None)
        if step is None or step.ended > ended:
            return False
        at = step.ended
    return True
