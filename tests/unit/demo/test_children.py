"""No process is left behind, and one that dies is named."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.children import Child, Died, stop_all

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.sigwait([signal.SIGUSR1])"])
print(grandchild.pid, flush=True)
signal.sigwait([signal.SIGUSR1])
"""
OBEDIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
signal.pause()
"""
PLAIN = """
import signal
print("up", flush=True)
signal.pause()
"""


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, at most 10 seconds."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, event.set)
    try:
        await asyncio.wait_for(event.wait(), 10)
    finally:
        loop.remove_reader(descriptor)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[int]:
    """Make the child's log a pipe, so that its first words can be waited for."""
    os.mkfifo(tmp_path / "child.log")
    descriptor = os.open(tmp_path / "child.log", os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


async def started(folder: Path, text: str, reader: int) -> Child:
    """Start a program that says something when it is up."""
    (folder / "child_of_test.py").write_text(text)
    child = await Child.start("child", "child_of_test", (), log=folder / "child.log", folder=folder)
    await readable(reader)
    return child


async def test_a_child_that_does_not_end_is_ended_with_all_its_group(tmp_path: Path, reader: int) -> None:
    child = await started(tmp_path, STUBBORN, reader)
    watched = os.pidfd_open(int(os.read(reader, 20)))
    try:
        assert await child.stop(within=0.2) == -9
        await readable(watched)  # which a pidfd becomes when its process ends
    finally:
        os.close(watched)


async def test_a_child_that_ends_when_asked_is_not_killed(tmp_path: Path, reader: int) -> None:
    child = await started(tmp_path, OBEDIENT, reader)
    assert await child.stop() == 0
    await stop_all([child])


async def test_a_child_that_died_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "child_of_test.py").write_text("raise SystemExit('no such setting: prot')")
    child = await Child.start("child", "child_of_test", (), log=tmp_path / "child.log", folder=tmp_path)
    await child.ended()
    with pytest.raises(Died, match=r"child ended with exit code 1(.|\n)*no such setting: prot"):
        child.alive()


async def test_a_child_leads_a_session_of_its_own(tmp_path: Path, reader: int) -> None:
    child = await started(tmp_path, PLAIN, reader)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.alive()
    assert await child.stop() == -15
