"""What `broker check` says of the machine: disk, clock, SQLite and the store, the running broker, ports."""

import ctypes
import errno
import os
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from broker.cli.ask import readiness
from broker.cli.doctor import Check, Result, fault, note, ok
from broker.config import Settings
from broker.config_tables import Listener
from broker.errors import Misconfigured
from broker.lookup.site_key import site_key
from broker.message import Text
from broker.routing.findings import SOON
from broker.sealing.certificates import load_certificates
from broker.store.rows import micros
from broker.store.schema import BODIES, DATABASE, check_store_key, check_version, newest_version, read_only

_SLOW: Final = 0.1  # seconds of one write with fsync: ten messages a second at the most
_LITTLE: Final = 48  # hours of free space from which it is a fault
_PATIENCE: Final = 5.0  # seconds for SQLite's own check
_OLDEST: Final = (3, 37, 0)  # STRICT tables
_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_RECENT: Final = timedelta(hours=24)

_SIZES: Final = "SELECT coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE at >= ?), 0) FROM message"
_NEWEST: Final = "SELECT max(at) FROM event"


def _disk(settings: Settings, now: datetime) -> Iterator[Result]:
    folder = settings.data
    while not folder.exists():
        folder = folder.parent  # the first start makes it
    try:
        took = _probe(folder)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        yield fault(
            "disk",
            Text(nb=f"{folder}: kan ikke skrives ({why})", en=f"{folder}: can't be written ({why})"),
            Text(
                nb="gjør mappen skrivbar for brokerens bruker, på en disk som ikke er full",
                en="make the folder writable for the broker's user, on a disk that is not full",
            ),
        )
        return
    ms = round(took * 1000, 1)
    if took > _SLOW:
        yield note(
            "disk",
            Text(nb=f"skriving med fsync tok {ms} ms", en=f"a write with fsync took {ms} ms"),
            Text(nb="bruk en raskere disk, ikke nettverkslager", en="use a faster disk, no network storage"),
        )
    else:
        yield ok("disk", f"skriving med fsync tok {ms} ms", f"a write with fsync took {ms} ms")
    yield _room(settings, folder, now)


def _probe(folder: Path) -> float:
    """Return the seconds that a write with fsync takes. Raises OSError."""
    path = folder / f".check-{os.getpid()}"
    began = time.monotonic()
    try:
        with path.open("xb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return time.monotonic() - began
    finally:
        path.unlink(missing_ok=True)


def _room(settings: Settings, folder: Path, now: datetime) -> Result:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    spare, mb = free - settings.limits.reserve, f"{free // 1_000_000} MB"
    act = Text(nb="gi plass på disken", en="make room on the disk")
    if spare <= 0:
        text = Text(
            nb=f"{mb} ledig, mindre enn reserven: ingenting nytt tas imot",
            en=f"{mb} free, less than the reserve: nothing new is taken",
        )
        return fault("disk", text, act)
    rate = _rate(settings, now)
    if rate <= 0:
        return ok("disk", f"{mb} ledig", f"{mb} free")
    hours = round(spare / rate)
    text = Text(
        nb=f"{mb} ledig, {hours} timer igjen i siste døgns takt",
        en=f"{mb} free, {hours} hours left at the last day's rate",
    )
    return fault("disk", text, act) if hours < _LITTLE else ok("disk", text.nb, text.en)


def _rate(settings: Settings, now: datetime) -> float:
    """Return by how many bytes an hour the store has grown in the last day: its share of all that it holds."""
    path = settings.data / DATABASE
    if not path.exists():
        return 0.0
    with closing(sqlite3.connect(read_only(path), uri=True)) as db:
        every, recent = db.execute(_SIZES, (micros(now - _RECENT),)).fetchone()
    held = path.stat().st_size + sum(entry.stat().st_size for entry in os.scandir(settings.data / BODIES))
    return float(held * recent / every / (_RECENT / timedelta(hours=1))) if every else 0.0


def _clock(settings: Settings, now: datetime) -> Iterator[Result]:
    act = Text(nb="slå på tidssynkronisering (chrony)", en="switch time synchronisation on (chrony)")
    path = settings.data / DATABASE
    if path.exists():
        with closing(sqlite3.connect(read_only(path), uri=True)) as db:
            newest = db.execute(_NEWEST).fetchone()[0]
        if newest is not None and newest > micros(now + timedelta(minutes=1)):
            behind = round((newest - micros(now)) / 1e6)
            yield fault(
                "clock",
                Text(
                    nb=f"klokken går {behind} sekunder etter det som sist ble lagret",
                    en=f"the clock is {behind} seconds behind what was last kept",
                ),
                act,
            )
            return
    if not _synchronised():
        yield note(
            "clock",
            Text(
                nb="systemet sier at klokken ikke er synkronisert",
                en="the system says that the clock is not synchronised",
            ),
            act,
        )
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _synchronised() -> bool:
    """Say what the kernel thinks of its clock (adjtimex(2), asking alone); where it can't be asked, nothing is said."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return True
    return bool(state != _UNSYNCHRONISED)


def _store(settings: Settings, _now: datetime) -> Iterator[Result]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST:
        yield fault(
            "store",
            Text(nb=f"SQLite {version} er for gammel", en=f"SQLite {version} is too old"),
            Text(nb="bruk Python med SQLite 3.37 eller nyere", en="use a Python with SQLite 3.37 or newer"),
        )
        return
    if sqlite3.threadsafety == 0:
        yield fault(
            "store",
            Text(nb="SQLite er bygd uten tråder", en="SQLite was built without threads"),
            Text(nb="bruk en annen Python", en="use another Python"),
        )
    path = settings.data / DATABASE
    if not path.exists():
        yield ok("store", f"SQLite {version}; lageret lages ved start", f"SQLite {version}; the start makes the store")
        return
    damaged = Text(nb=f"{path}: databasen er skadet", en=f"{path}: the database is damaged")
    act = Text(nb="stopp, og hent en sikkerhetskopi: broker restore", en="stop, and take a backup: broker restore")
    try:
        with closing(sqlite3.connect(read_only(path), uri=True)) as db:
            check_version(db, path)
            if settings.site_key_file.exists():
                check_store_key(db, site_key(settings.data, settings.site_key_file), path, make=False)
            at = int(db.execute("PRAGMA user_version").fetchone()[0])
            mode = str(db.execute("PRAGMA journal_mode").fetchone()[0])
            whole = _quick_check(db)
    except sqlite3.DatabaseError:
        yield fault("store", damaged, act)
        return
    if whole is False:
        yield fault("store", damaged, act)
        return
    if at < newest_version():
        yield note(
            "store", Text(nb=f"skjema {at} løftes ved neste start", en=f"schema {at} is brought up by the next start")
        )
    said = Text(nb="hel", en="whole") if whole else Text(nb="for stor til å leses nå", en="too large to be read now")
    yield ok(
        "store",
        f"SQLite {version}, {mode}, skjema {at}, {said.nb}",
        f"SQLite {version}, {mode}, schema {at}, {said.en}",
    )


def _quick_check(db: sqlite3.Connection) -> bool | None:
    """Return whether the database is whole, or None where that takes too long to find out."""
    until = time.monotonic() + _PATIENCE
    db.set_progress_handler(lambda: int(time.monotonic() > until), 100_000)
    try:
        return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise


def _running(settings: Settings, _now: datetime) -> Iterator[Result]:
    match readiness(settings):
        case None:
            yield note("broker", Text(nb="ingen broker svarer her", en="no broker answers here"))
        case 200:
            yield ok("broker", "brokeren går og tar imot", "the broker runs and takes messages")
        case _:
            yield fault(
                "broker",
                Text(nb="brokeren går, og tar ikke imot", en="the broker runs, and takes nothing"),
                Text(nb="se loggen", en="look at its log"),
            )


def _ports(settings: Settings, now: datetime) -> Iterator[Result]:
    runs = readiness(settings) is not None
    for name, door in (("partner", settings.partner), ("epj", settings.epj)):
        where = f"{name} {door.host}:{door.port}"
        yield _port(door, where, runs)
        yield from _door_certificate(door, where, now)


def _port(door: Listener, where: str, runs: bool) -> Result:
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listener does
        try:
            made.bind((door.host, door.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and runs:
                return ok("ports", f"{where} er brokerens", f"{where} is the broker's")
            if error.errno == errno.EADDRINUSE:
                return fault(
                    "ports",
                    Text(nb=f"{where} er tatt av et annet program", en=f"{where} is taken by another program"),
                    Text(
                        nb="velg en annen port, eller stopp det (ss -ltnp)",
                        en="choose another port, or stop it (ss -ltnp)",
                    ),
                )
            why = os.strerror(error.errno or 0)
            return fault(
                "ports",
                Text(nb=f"{where} kan ikke brukes ({why})", en=f"{where} can't be used ({why})"),
                Text(
                    nb="bruk en adresse på denne maskinen, og en port over 1023",
                    en="use an address of this machine, and a port above 1023",
                ),
            )
    return ok("ports", f"{where} er ledig", f"{where} is free")


def _door_certificate(door: Listener, where: str, now: datetime) -> Iterator[Result]:
    if door.certificate is None or door.key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(door.certificate, door.key)
        first = load_certificates(door.certificate.read_bytes())[0]
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        why = "certificate and key can't be read, or do not belong together"
        raise Misconfigured(why, where=str(door.certificate)) from None
    left = (first.not_valid_after_utc - now).days
    text = Text(
        nb=f"{where}: TLS-sertifikatet har {left} dager igjen", en=f"{where}: the TLS certificate has {left} days left"
    )
    if left < 0:
        text = Text(nb=f"{where}: TLS-sertifikatet er utløpt", en=f"{where}: the TLS certificate has expired")
    act = Text(nb="bestill nytt sertifikat nå", en="order a new certificate now")
    yield (
        fault("ports", text, act)
        if left < 0
        else note("ports", text, act)
        if left < SOON
        else ok("ports", text.nb, text.en)
    )


MACHINE: Final[dict[str, Check]] = {
    "disk": _disk,
    "clock": _clock,
    "store": _store,
    "broker": _running,
    "ports": _ports,
}
