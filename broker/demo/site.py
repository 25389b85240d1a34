"""Makes the three sites of the demo: keys, certificates, settings, processes in seconds, addresses, clients, ports.

All that the demo writes about a broker's files is in here. Nothing is asked of who runs it, and nothing edited by hand.
"""

import fcntl
import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from broker.demo.cases import DALBYGDA, FJORDVIK, PORTAL, UNITS
from broker.demo.documents import Unit
from broker.demo.simulator import Rule
from broker.errors import Misconfigured
from broker.lookup.clients_file import add_client
from broker.lookup.new_keys import new_keys
from broker.lookup.shipped import shipped
from broker.ports import Randomness
from broker.routing.process_files import read_process

_MARK = ".digihelse-demo"  # a folder with this file in it is ours to empty
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


def make_sites(folder: Path, *, now: datetime, randomness: Randomness) -> dict[str, DemoSite]:
    """Make the three sites in `folder`, which is empty and held."""
    ports = iter(_free_ports(int.from_bytes(randomness.bytes(4)), 2 * len(_PLANS)))
    sites = {plan.key: _made(plan, folder / plan.key, next(ports), next(ports), now=now) for plan in _PLANS}
    for plan in _PLANS:
        _write_addresses(sites[plan.key], sites)
    return sites


def write_orders(site: DemoSite, rules: Mapping[str, Rule]) -> None:
    """Write the config of a site's simulator."""
    orders = {
        "name": site.name,
        "api": site.api,
        "token": site.token,
        "folder": str(site.ledger.parent),
        "poll": _POLL,
        "rules": {msg_id: asdict(rule) for msg_id, rule in rules.items()},
    }
    _write_secret(site.orders, json.dumps(orders, ensure_ascii=False, indent=2))


def _made(plan: _Plan, folder: Path, api_port: int, partner_port: int, *, now: datetime) -> DemoSite:
    """Make all of one site but its address records, for which the others' certificates are needed."""
    addresses = folder / "addresses"
    addresses.mkdir(parents=True)
    unit = UNITS[plan.key]
    # 2048 bits are made in a moment, and these keys live for minutes.
    new_keys(folder / "keys", organisation=plan.number, name=unit.organisation_name, now=now, bits=2048)
    _write_processes(folder / "processes")
    clients = folder / "clients.toml"
    site = DemoSite(
        key=plan.key,
        name=unit.organisation_name,
        folder=folder,
        api=f"http://127.0.0.1:{api_port}",
        partner=f"http://127.0.0.1:{partner_port}",
        unit=unit,
        token=add_client(clients, name="simulator", hers={unit.her}),
        guest=plan.guest,
        guest_token=add_client(clients, name="guest", hers={plan.guest.her}) if plan.guest else None,
    )
    for made in (site.outbox, site.drafts):
        made.mkdir(parents=True)
    site.config.write_text(_settings(plan, site, api_port, partner_port), "utf-8")
    return site


def _settings(plan: _Plan, site: DemoSite, api_port: int, partner_port: int) -> str:
    hers = [unit.her for unit in _units(site)]
    return f"""\
# The settings of {site.name} in the demo. Everything that takes hours elsewhere takes seconds here.
environment = "test"
host = "{site.key}.example"
data = "data"
addresses = "addresses"
processes = "processes"
keys = "keys"
clients = "clients.toml"
reload = "PT2S"

[partner]
host = "127.0.0.1"
port = {partner_port}

[epj]
host = "127.0.0.1"
port = {api_port}

[[organisation]]
number = "{plan.number}"
name = {_quoted(site.name)}
hers = {hers}

[back_off]
first = "PT1S"
most = "PT3S"

[breaker]
failures = 3
open_for = "PT2S"
"""


def _write_processes(folder: Path) -> None:
    """Copy the shipped process files, with seconds in their receipt policy."""
    folder.mkdir()
    for path in sorted(shipped("processes").glob("*.toml")):
        text = path.read_text("utf-8")
        for key, value in _RECEIPT.items():
            text = re.sub(rf"^{key} = .*$", f"{key} = {json.dumps(value)}", text, flags=re.MULTILINE)
        read_process(text, source=path.name)
        (folder / path.name).write_text(text, "utf-8")


def _write_addresses(site: DemoSite, sites: Mapping[str, DemoSite]) -> None:
    """Write what this site knows of all parties: its own, and its partners with certificates and agreements."""
    ours = [unit.her for unit in _units(site)]
    for plan in _PLANS:
        known = sites[plan.key]
        own = known is site
        certificates = {}
        for use in ("signing", "encryption"):
            certificates[use] = f"{plan.key}-{use}.crt"
            shutil.copy(
                known.folder / "keys" / plan.number / f"{use}.crt", site.folder / "addresses" / certificates[use]
            )
        unit = known.unit
        _record(
            site,
            f"{plan.key}.toml",
            f"her_id = {unit.organisation_her}",
            f"name = {_quoted(unit.organisation_name)}",
            'kind = "organisation"',
            f'organisation_number = "{plan.number}"',
            "" if own else f'endpoint = "{known.partner}/ebms"',
            f'signing = ["{certificates["signing"]}"]',
            f'encryption = ["{certificates["encryption"]}"]',
        )
        for unit in _units(known):
            _record(
                site,
                f"{plan.key}-{unit.her}.toml",
                f"her_id = {unit.her}",
                f"name = {_quoted(unit.name)}",
                f'kind = "{plan.kind}"',
                f"parent = {unit.organisation_her}",
                *(() if own else (_agreement(our, unit.her) for our in ours)),
            )


def _agreement(ours: int, theirs: int) -> str:
    """Return the [[agreement]] of a pair. Towards the portal, signals come as POSTs of their own, to show that too."""
    low, high = sorted((ours, theirs))
    sync = "false" if UNITS[PORTAL].her in (low, high) else "true"
    return f"""
[[agreement]]
with = {ours}
cpa_id = "demo:{low}:{high}"
retries = 10
retry_interval = "PT5S"
persist_duration = "PT10M"
sync = {sync}"""


def _record(site: DemoSite, name: str, *lines: str) -> None:
    (site.folder / "addresses" / name).write_text("\n".join(line for line in lines if line) + "\n", "utf-8")


def _units(site: DemoSite) -> tuple[Unit, ...]:
    return (site.unit,) if site.guest is None else (site.unit, site.guest)


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string too.
    return json.dumps(text, ensure_ascii=False)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Empty the folder of an earlier run and keep it for this one.

    Raises Misconfigured where it holds something that is not the demo's, or another demo runs in it.
    """
    mark = folder / _MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise Misconfigured("this folder is not empty and not the demo's", where=str(folder), hint="name another")
    folder.mkdir(parents=True, exist_ok=True)
    with mark.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            why = "another demo is running in this folder"
            raise Misconfigured(why, where=str(folder), hint="stop it, or name another folder") from None
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != mark:
                path.unlink()
        yield


def _free_ports(start: int, count: int) -> list[int]:
    """Return `count` free ports of this machine, looking from a place that `start` decides."""
    found: list[socket.socket] = []
    try:
        for step in range(len(_PORTS)):
            if len(found) == count:
                break
            door = socket.socket()
            try:
                door.bind(("127.0.0.1", _PORTS[(start + step) % len(_PORTS)]))
            except OSError:
                door.close()
            else:
                found.append(door)
        return [door.getsockname()[1] for door in found]
    finally:
        for door in found:
            door.close()


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
