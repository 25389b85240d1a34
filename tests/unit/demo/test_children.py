"""No process is left behind, and one that dies is named."""

import asyncio
import os
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


async def started(folder: Path, text: str) -> tuple[Child, str]:
    """Start a program that says one line when it is up; its log is a pipe, so that the line can be waited for."""
    (folder / "child_of_test.py").write_text(text)
    log = folder / "child.log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        child = await Child.start("child", "child_of_test", (), log=log, folder=folder)
        await readable(reader)
        return child, os.read(reader, 100).decode()
    finally:
        os.close(reader)


async def test_a_child_that_does_not_end_is_ended_with_all_its_group(tmp_path: Path) -> None:
    child, grandchild = await started(tmp_path, STUBBORN)
    watched = os.pidfd_open(int(grandchild))
    try:
        assert await child.stop(within=0.2) == -9
        await readable(watched)  # which a pidfd becomes when its process ends
    finally:
        os.close(watched)


async def test_a_child_that_ends_when_asked_is_not_killed(tmp_path: Path) -> None:
    child, _ = await started(tmp_path, OBEDIENT)
    assert await child.stop() == 0
    await stop_all([child])


async def test_a_child_that_died_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "child_of_test.py").write_text("raise SystemExit('no such setting: prot')")
    child = await Child.start("child", "child_of_test", (), log=tmp_path / "child.log", folder=tmp_path)
    await child.ended()
    with pytest.raises(Died, match=r"child ended with exit code 1(.|\n)*no such setting: prot"):
        child.alive()


async def test_a_child_leads_a_session_of_its_own(tmp_path: Path) -> None:
    child, _ = await started(tmp_path, PLAIN)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.alive()
    assert await child.stop() == -15
