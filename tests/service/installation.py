"""A whole installation in a folder, as `broker check` finds it well: keys, records, a client, a store with messages."""

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from broker.lookup.clients_file import add_client
from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys
from broker.lookup.site_key import site_key
from broker.store.sqlite import open_store
from tests.store import values
from tests.store.values import OURS

ORGANISATION = "900000101"
PARTNER_ORGANISATION = 8000300
SETTINGS = f"""
environment = "test"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "{ORGANISATION}"
name = "Fjordvik kommune"
hers = [{OURS}]
[limits]
reserve = 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One broker's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "broker.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def keys(self) -> Path:
        return self.folder / "keys" / ORGANISATION

    def settings(self, old: str, new: str) -> None:
        """Replace a part of the settings."""
        text = self.config.read_text("utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), "utf-8")

    def record(self, name: str, *lines: str) -> None:
        """Write an address record."""
        (self.folder / "addresses" / name).write_text("\n".join(lines) + "\n", "utf-8")

    def partner(self, endpoint: str) -> None:
        """Give the partner another endpoint."""
        self.record(
            "partner.toml",
            f"her_id = {PARTNER_ORGANISATION}",
            'name = "Dalbygda kommune"',
            'kind = "organisation"',
            f'endpoint = "{endpoint}"',
        )

    def copied(self, to: Path) -> "Installation":
        """Return the same in another folder."""
        shutil.copytree(self.folder, to)
        return Installation(folder=to)


def make_installation(folder: Path) -> Installation:
    """Make one that has nothing wrong with it."""
    made = Installation(folder=folder)
    (folder / "addresses").mkdir(parents=True)
    made.config.write_text(SETTINGS, "utf-8")
    made.record("ours.toml", f"her_id = {OURS}", 'name = "Hjemmetjenesten"', 'kind = "epj"')
    now = SystemClock().now()
    new_keys(folder / "keys", organisation=ORGANISATION, name="Fjordvik kommune", now=now, bits=2048)
    add_client(folder / "clients.toml", name="EPJ", hers={OURS})
    asyncio.run(_fill(made.data))
    return made


async def _fill(data: Path) -> None:
    store = await open_store(data, site_key=site_key(data), on_broken=lambda error: None, reserve=0)
    try:
        await store.accept(values.taken(b"small"))
        await store.accept(values.taken(b"x" * 300_000))
        await store.receive(values.arrived())
    finally:
        await store.close()


def free_port(*, but: int = 0) -> int:
    """Return a port other than `but` that was free a moment ago, below those that outgoing connections are given."""
    for port in range(20_000 + os.getpid() % 5_000, 31_000):
        if port == but:
            continue
        with socket.socket() as door:
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def environment(**more: str) -> Mapping[str, str]:
    """Return this process's environment with `more`, and without what a service manager or a shell may have set."""
    ours = ("BROKER_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def now() -> datetime:
    """Return the time."""
    return SystemClock().now()
