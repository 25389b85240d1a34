"""What the service manager is told, and when its watchdog is fed: never by a timer alone, only after a proof.

The protocol is sd_notify(3): datagrams of KEY=value lines to the socket that NOTIFY_SOCKET names. Where none is named,
nothing is sent and nothing is proven.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.errors import StoreBusy

_LONGEST: Final = 200  # characters of a status line
_PATIENCE: Final = 0.5  # seconds that a manager whose queue is full may hold us up; systemd empties it at once


class Notifier:
    """The way to the service manager, if there is one. Nothing here raises: a manager that is gone stops nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC; an abstract socket begins with an at sign."""
        named = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + named[1:] if named.startswith("@") else named
        self.lost = 0  # datagrams that nobody took
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog = int(usec) / 1e6 if named and usec.isdecimal() and int(usec) else None  # seconds
        self._status = ""

    def ready(self, status: str) -> None:
        """The store is open, and the doors listen."""
        self._say("READY=1", f"STATUS={self._line(status)}")

    def reloading(self) -> None:
        """Settings are being read anew; `ready` ends it."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """No new work is claimed from here on."""
        self._say("STOPPING=1", f"STATUS={self._line(status)}")

    def status(self, status: str) -> None:
        """Change the line that `systemctl status` shows."""
        if (line := self._line(status)) != self._status:
            self._status = line
            self._say(f"STATUS={line}")

    def feed(self) -> None:
        """Tell the watchdog that all is well."""
        self._say("WATCHDOG=1")

    @staticmethod
    def _line(status: str) -> str:
        return " ".join(status.split())[:_LONGEST]

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
                door.settimeout(_PATIENCE)
                door.connect(self._address)
                door.send("\n".join(lines).encode())
        except OSError:
            self.lost += 1


async def feed_watchdog(
    notifier: Notifier,
    *,
    store: Callable[[], Awaitable[None]],
    worker: Callable[[], Awaitable[None]],
    status: Callable[[], str],
) -> None:
    """Feed the watchdog for ever, twice in each of its spans, each time after a proof; at once done without one.

    That this runs proves the loop. `store` must return: a write was committed and fsynced. `worker` must return: its
    loop has come round. What hangs is waited for without an end: the manager then ends this process. A store that
    refuses for want of room has answered too, and a restart makes no room.
    """
    if notifier.watchdog is None:
        return
    while True:
        try:
            await store()
            told = status()
        except StoreBusy as busy:
            told = f"takes nothing new: {busy.why}"
        await worker()
        notifier.feed()
        notifier.status(told)
        await asyncio.sleep(notifier.watchdog / 2)
