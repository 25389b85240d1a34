"""What a process holds, sampled from /proc: memory, handles, threads; and how long its store's log is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. `at` is seconds since the start, memory and log are bytes."""

    at: float
    pid: int
    memory: int
    handles: int
    threads: int
    log: int


def look(pid: int, data: Path, at: float) -> Sample | None:
    """Return what a process holds now, or None where it is gone."""
    try:
        proc = Path("/proc") / str(pid)
        memory = int((proc / "statm").read_text().split()[1]) * _PAGE
        handles = len(os.listdir(proc / "fd"))
        threads = len(os.listdir(proc / "task"))
    except (OSError, IndexError):
        return None
    log = data / "store.sqlite-wal"
    return Sample(
        at=at, pid=pid, memory=memory, handles=handles, threads=threads, log=log.stat().st_size if log.exists() else 0
    )


def slope(samples: Sequence[Sample]) -> float:
    """Return by how many bytes a second memory grows: the straight line of least squares."""
    count = len(samples)
    if count < 2:
        return 0.0
    middle = sum(each.at for each in samples) / count
    mean = sum(each.memory for each in samples) / count
    spread = sum((each.at - middle) ** 2 for each in samples)
    return sum((each.at - middle) * (each.memory - mean) for each in samples) / spread if spread else 0.0
