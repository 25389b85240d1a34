"""The traps: a loopback listener that nobody may connect to, and a pipe that nobody may open."""

import os
import select
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.rubbish.case import Traps


class Trap:
    """Both of them, with what fell in."""

    def __init__(self, listener: socket.socket, pipe: Path) -> None:
        self._listener, self._pipe = listener, pipe
        self.names = Traps(url=f"http://127.0.0.1:{listener.getsockname()[1]}", file=str(pipe))
        self.knocks = self.openings = 0
        self._told = (0, 0)

    def look(self) -> None:
        """Count what has fallen in. Whoever waits at the pipe goes on, with nothing read."""
        self.knocks += self._knocked()
        self.openings += self._opened()

    def complaints(self) -> list[str]:
        """Return what has fallen in since this was last asked, as sentences."""
        self.look()
        knocks, openings = self._told
        self._told = (self.knocks, self.openings)
        said = []
        if self.knocks > knocks:
            said.append("the canary was connected to")
        if self.openings > openings:
            said.append("the file of the canary was opened")
        return said

    def reset(self) -> None:
        """Begin counting anew."""
        self.knocks = self.openings = 0
        self._told = (0, 0)

    def _knocked(self) -> bool:
        ready, _, _ = select.select([self._listener], [], [], 0)
        if ready:
            self._listener.accept()[0].close()
        return bool(ready)

    def _opened(self) -> bool:
        # Opening a pipe for writing succeeds at once only where somebody has it open, or waits, for reading.
        try:
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True


@contextmanager
def trapped() -> Iterator[Trap]:
    """Set the traps, having tried that each of them catches."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        pipe = Path(folder) / "canary.txt"
        os.mkfifo(pipe)
        trap = Trap(listener, pipe)
        with socket.create_connection(listener.getsockname()), _opened(pipe):
            if len(trap.complaints()) != 2:
                raise AssertionError("the traps do not catch")
        if trap.complaints():
            raise AssertionError("the traps catch nothing as something")
        trap.reset()
        yield trap


@contextmanager
def _opened(pipe: Path) -> Iterator[None]:
    handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield
    finally:
        with suppress(OSError):
            os.close(handle)
