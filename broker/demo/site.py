"""Makes the three sites of the demo: keys, certificates, settings, processes in seconds, addresses, clients, ports.

All that the demo writes about a broker's files is in here. Nothing is asked of who runs it, and nothing edited by hand.
"""

import fcntl
import json
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from random import Random

from broker.demo.cases import DALBYGDA, FJORDVIK, PORTAL, UNITS
from broker.demo.documents import Unit
from broker.demo.simulator import Rule
from broker.errors import Misconfigured
from broker.lookup import clients_file, key_files
from broker.lookup.shipped import shipped
from broker.routing.process_files import read_process

MARK = ".digihelse-demo"  # a folder with this file in it is ours to empty
_POLL = 0.2  # seconds between a simulator's looks
_PORTS = range(18000, 32000)  # below the ports that outgoing connections are given: none of those can take ours

# A day of the real clocks is a few seconds here. The receipt is chased soon, and overdue only when all hope is out.
_RECEIPT = {
    "alarms": ["PT4S", "PT20S"],
    "chase_at": ["PT6S", "PT15S", "PT30S"],
    "overdue": "PT100S",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is fixed about a site before it is made."""

    key: str
    number: str  # organisation number
    kind: str  # of its unit: epj or citizen
    guest: Unit | None  # a party that no simulator serves, for who wants to try


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSite:
    """One broker with its simulator, made and ready to start."""

    key: str
    name: str
    folder: Path
    api: str  # scheme://host:port of the EPJ door
    partner: str  # of the partner door
    unit: Unit
    token: str  # of the simulated EPJ
    guest: Unit | None
    guest_token: str | None

    @property
    def config(self) -> Path:
        """Return the broker's settings file."""
        return self.folder / "broker.toml"

    @property
    def broker_log(self) -> Path:
        """Return what the broker writes."""
        return self.folder / "broker.log"

    @property
    def simulator_log(self) -> Path:
        """Return what the simulator writes: nothing, while all is well."""
        return self.folder / "simulator.log"

    @property
    def orders(self) -> Path:
        """Return the simulator's config file."""
        return self.folder / "epj.json"

    @property
    def ledger(self) -> Path:
        """Return the simulator's ledger."""
        return self.folder / "epj" / "ledger.jsonl"

    @property
    def outbox(self) -> Path:
        """Return the folder that the simulator posts from."""
        return self.folder / "epj" / "outbox"

    @property
    def drafts(self) -> Path:
        """Return the folder of documents that are not to be posted yet."""
        return self.folder / "epj" / "drafts"


def _guest(site: str, her: int) -> Unit:
    unit = UNITS[site]
    return Unit(
        her=her,
        name="Prøveplass for EPJ",
        organisation_her=unit.organisation_her,
        organisation_name=unit.organisation_name,
    )


_PLANS = (
    _Plan(key=FJORDVIK, number="900000101", kind="epj", guest=_guest(FJORDVIK, 8000109)),
    _Plan(key=DALBYGDA, number="900000202", kind="epj", guest=_guest(DALBYGDA, 8000209)),
    _Plan(key=PORTAL, number="900000303", kind="citizen", guest=None),
)
