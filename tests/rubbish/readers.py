"""Reads one case in a process of its own, and measures it: memory at its highest, CPU time, and what came of it.

The process is forked from one that has the readers loaded and no threads. It makes its case, notes its memory, and
then reads.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from random import Random

from broker.envelope import ebms_parse, mime, xml
from broker.errors import BrokerError
from broker.sealing import cms
from tests.judging import judged
from tests.rubbish import document_cases, mime_cases, sealed_cases, xml_cases
from tests.rubbish.case import Case, Traps
from tests.rubbish.sabotage import plant
from tests.rubbish.traps import Trap

MIB = 1024 * 1024
WITHIN = 20.0  # seconds of any clock; then it is ended
_MOST = 6 * 1024 * MIB  # bytes of addresses: the machine is saved from what the ceiling would only judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What came of a case. Bytes and seconds of CPU; `before` is the memory when its bytes stood there, unread."""

    outcome: str  # the name of the error, "read", "hung" or "died"
    why: str
    size: int
    before: int
    peak: int
    cpu: float

    @property
    def grown(self) -> int:
        """How much memory the reading took, in bytes."""
        return self.peak - self.before


def all_cases() -> tuple[Case, ...]:
    """Return every case of every reader."""
    return (*xml_cases.cases(), *mime_cases.cases(), *sealed_cases.cases(), *document_cases.cases())


def _mime(data: bytes, content_type: str) -> str:
    entity = mime.read(content_type, data)
    return f"{1 + len(entity.parts)} parts"


def _xml(data: bytes, charset: str) -> str:
    document = xml.parse(data, max_bytes=35_000_000, charset=charset or None)
    try:
        ebms_parse.parse(document)
    except BrokerError as refused:
        return f"XML, and as an envelope {type(refused).__name__}"
    return "an envelope"


def _gzip(data: bytes, _: str) -> str:
    return f"{len(mime.gunzip(data))} bytes"


def _cms(data: bytes, _: str) -> str:
    return f"{len(cms.open_(data, [sealed_cases.ours()], random=Random(1).randbytes).content)} bytes"


class _Faulty(BrokerError):
    """A document was judged and has faults."""


def _document(data: bytes, _: str) -> str:
    found = judged(data)
    if len(found.faults) > document_cases.MOST_FAULTS:
        raise AssertionError(f"{len(found.faults)} faults told of one document")
    if found.faults:
        raise _Faulty(f"{len(found.faults)} faults")
    return "no fault"


READERS: dict[str, Callable[[bytes, str], str]] = {
    "xml": _xml,
    "mime": _mime,
    "gzip": _gzip,
    "cms": _cms,
    "document": _document,
}


def read(case: Case, data: bytes) -> tuple[str, str]:
    """Return outcome and sentence of one reading in this process. Lets out nothing but the name of what came."""
    try:
        return "read", READERS[case.reader](data, case.content_type)
    except BrokerError as refused:
        return ("faults" if isinstance(refused, _Faulty) else type(refused).__name__), str(refused)
    except MemoryError:
        return "MemoryError", ""
    except Exception as leak:
        return f"{type(leak).__name__} (not ours)", str(leak)[:200]


def in_a_child(case: Case, trap: Trap, sabotage: str) -> Read:
    """Return what came of a case in a process of its own. The traps are looked at while it reads."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(case, trap.names, sabotage, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        until = time.monotonic() + WITHIN
        while not (there := ours.poll(0.05)) and time.monotonic() < until:
            trap.look()
        found: Read = ours.recv() if there else _nothing("hung")
    except EOFError:
        found = _nothing("died")
    if found.outcome == "hung":
        child.kill()
    child.join()
    return found


def _nothing(outcome: str) -> Read:
    return Read(outcome=outcome, why="", size=0, before=0, peak=0, cpu=0.0)


def _measure(case: Case, traps: Traps, sabotage: str, answer: Connection) -> None:
    """Runs in the child."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST, _MOST))
    data = case.make(traps)
    _READY[case.reader]()
    plant(sabotage)
    forget_peak(os.getpid())
    before, began = memory(os.getpid(), "VmRSS"), time.process_time()
    outcome, why = read(case, data)
    spent, peak = time.process_time() - began, memory(os.getpid(), "VmHWM")
    answer.send(Read(outcome=outcome, why=why, size=len(data), before=before, peak=peak, cpu=spent))


def forget_peak(pid: int) -> None:
    """Let the highest memory of a process begin anew (Linux: proc(5), clear_refs)."""
    with open(f"/proc/{pid}/clear_refs", "w") as control:
        control.write("5")


def memory(pid: int, what: str) -> int:
    """Return VmRSS (now) or VmHWM (the highest since `forget_peak`) of a process, in bytes."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def _load_judge() -> None:
    judged(b"<x/>")
    judged(b'<MsgHead xmlns="http://www.kith.no/xmlstds/msghead/2006-05-24"/>')


def _load_nothing() -> None:
    return None


# What a reader keeps once it has been used; it is not the case's memory.
_READY: dict[str, Callable[[], None]] = {**dict.fromkeys(READERS, _load_nothing), "document": _load_judge}
