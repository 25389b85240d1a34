"""What can go wrong before anything is sent: the post itself, address records, agreements, certificates, own keys."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from sqlite3 import connect
from typing import Final
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker import progress
from broker.demo.documents import Attachment, Code, Dialogue, Head, document, note
from broker.demo.people import AASE, NURSE
from broker.diagnosis import causes
from broker.lookup.address_files import AddressFiles
from broker.lookup.key_files import KeyFiles
from broker.message import Changes, EventKind, NewEvent
from broker.routing.agreement_file import Taken
from broker.routing.agreements import laid_over, understood
from broker.routing.cpa import read_cpa
from broker.routing.process import Processes
from broker.sealing.certificates import Use, new_certificate
from broker.store import reads, writer
from tests.causes.bench import MSG_ID, Bench, bench
from tests.causes.told import Case, Told
from tests.interop.cpa_files import but, cpa
from tests.scenario.pair import (
    DALBYGDA,
    FJORDVIK,
    NORDLI,
    ORGANISATION,
    START,
    dialogue,
    shipped_processes,
    side_key,
    unit,
)

DAY = timedelta(days=1)
VALID = START - DAY, START + DAY
EXPIRED = START - 2 * DAY, START - DAY
COMING = START + DAY, START + 2 * DAY
Arrange = Callable[[Bench], None]


async def _arranged(arrange: Arrange, folder: Path) -> Told:
    """Change left's records, and send."""
    async with bench(folder) as at:
        arrange(at)
        return await at.sent()


async def _after_post(arrange: Arrange, folder: Path) -> Told:
    """Take a letter, change left's records, and let it go."""
    async with bench(folder) as at:
        id = await at.views.post(dialogue(MSG_ID))
        arrange(at)
        await at.brokers.run()
        return await at.views.message(id)


def side_certificate(her: int, use: Use, valid: tuple[datetime, datetime]) -> x509.Certificate:
    """Return a real certificate of a side, for another use or another time."""
    return new_certificate(f"side {her}", ORGANISATION, use, *valid, side_key(her, use).private_key, serial=99)


def _partner(use: Use, valid: tuple[datetime, datetime]) -> Arrange:
    return lambda at: at.organisation(encryption=(side_certificate(DALBYGDA, use, valid),))


def own_certificate(use: Use, valid: tuple[datetime, datetime], folder: Path) -> Arrange:
    """Put a real key with such a certificate into left's key folder to sign with, and a good one to open with."""

    def arrange(at: Bench) -> None:
        keys = folder / "keys" / ORGANISATION
        keys.mkdir(parents=True)
        opens = (Use.ENCRYPT, (START - DAY, START + 300 * DAY))
        for name, (made_for, time) in {"signing": (use, valid), "encryption": opens}.items():
            key = side_key(FJORDVIK, made_for).private_key
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (keys / f"{name}.pem").write_bytes(pem)
            (keys / f"{name}.pem").chmod(0o600)
            (keys / f"{name}.crt").write_bytes(side_certificate(FJORDVIK, made_for, time).public_bytes(Encoding.PEM))
        _own_folder(at, folder)

    return arrange


def _own_folder(at: Bench, folder: Path) -> None:
    at.left.doors = replace(at.left.doors, keys=KeyFiles(folder / "keys", {FJORDVIK: ORGANISATION}))


async def _own_certificate(use: Use, valid: tuple[datetime, datetime], folder: Path) -> Told:
    return await _arranged(own_certificate(use, valid, folder), folder)


async def _own_missing(folder: Path) -> Told:
    return await _arranged(lambda at: _own_folder(at, folder), folder)


async def _registry_gone(folder: Path) -> Told:
    def gone(at: Bench) -> None:
        at.left.doors = replace(at.left.doors, addresses=AddressFiles(folder / "no such folder"))

    return await _after_post(gone, folder)


def _process_gone(at: Bench) -> None:
    at.left.doors = replace(at.left.doors, processes=lambda: Processes(by_name={}))


def _differs(at: Bench) -> None:
    """Let left's imported agreement, laid over its records, name another address than they do."""
    known = at.left.addresses.directory.agreement(FJORDVIK, DALBYGDA)
    assert known is not None
    ends = ("--a-id", str(FJORDVIK), "--b-id", str(DALBYGDA))
    content = but(('c:action="Foresporsel"', 'c:action="Notat"'))(cpa(*ends, "--cpaid", known.cpa_id))
    directory = at.left.addresses.directory
    taken = Taken(
        cpa=read_cpa(content, source="x.xml"),
        file="x.xml",
        sha256="",
        taken_at=START,
        services={"HELSEFAGLIG": "Interop"},
        source="agreements/x.toml",
    )
    processes = shipped_processes()
    version = understood(taken, directory, hosted={FJORDVIK}, processes=processes)
    at.left.addresses.directory, _ = laid_over(directory, (version,), processes=processes, at=START)


async def _damaged(folder: Path) -> Told:
    """Flip one byte of a document that is kept in a file of its own."""
    head = Head(
        type=Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog"),
        msg_id=MSG_ID,
        made_at=START,
        sender=unit(FJORDVIK),
        receiver=unit(DALBYGDA),
        patient=AASE,
    )
    text = note(
        Dialogue.V1_1,
        Code(value="6", text="Henvendelse om pasient", listed="7322"),
        subject="Bilde",
        text="Se vedlegg",
        author=NURSE,
    )
    picture = Attachment(description="bilde", mime_type="image/png", content=bytes(300_000))
    async with bench(folder) as at:
        id = await at.views.post(document(head, text, title="Bilde", attachments=(picture,)))
        (file,) = [path for path in (folder / "left" / "bodies").rglob("*") if path.is_file()]
        content = bytearray(file.read_bytes())
        content[1000] ^= 1
        file.write_bytes(content)
        await at.brokers.run()
        return await at.views.message(id)


async def _held(folder: Path) -> Told:
    """A person holds a delivery back: the state is recorded as the act does."""
    async with bench(folder) as at:
        id = await at.views.post(dialogue(MSG_ID))
        ((found, *_),) = [await at.left.store.find(id, hers=None)]
        now = at.brokers.clock.now()
        held = progress.held(found.deliveries[0], causes.HELD_BY_PERSON, now=now)
        event = NewEvent(kind=EventKind.PARKED, at=now, her=FJORDVIK, message_id=id, error_id=causes.HELD_BY_PERSON)
        await at.left.store.record(Changes(events=(event,), advanced=(held,)))
        await at.brokers.run()
        return await at.views.message(id)


# --- what is not taken ---


async def _refused(
    raw: bytes, folder: Path, *, path: str = "/api/v1/messages", token: str = "x", arrange: Arrange = lambda _: None
) -> Told:
    async with bench(folder) as at:
        arrange(at)
        return await at.views.refusal(path, raw, token=token)


async def _taken_before(folder: Path) -> Told:
    async with bench(folder) as at:
        await at.views.post(dialogue(MSG_ID))
        return await at.views.refusal("/api/v1/messages", dialogue(MSG_ID, text="Noe annet"))


async def _disk_full(folder: Path) -> Told:
    """Left's disk has less room than it must keep."""
    async with bench(folder, reserve=2**60) as at:
        return await at.views.refusal("/api/v1/messages", dialogue(MSG_ID))


async def _locked(folder: Path) -> Told:
    """Another program holds left's database, as a backup tool does that copies it the wrong way."""
    with mock.patch.object(writer, "BUSY_TIMEOUT", 100), mock.patch.object(reads, "BUSY_TIMEOUT", 100):
        async with bench(folder) as at:
            with closing(connect(folder / "left" / "store.sqlite", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                return await at.views.refusal("/api/v1/messages", dialogue(MSG_ID))


def _case(name: str, error_id: str, ball: str, produce: Callable[[Path], Awaitable[Told]]) -> Case:
    return Case(name=name, error_id=error_id, ball=ball, produce=produce)


def _record(name: str, error_id: str, arrange: Arrange, *, after: bool = False) -> Case:
    return _case(name, error_id, "person", partial(_after_post if after else _arranged, arrange))


def _door(name: str, error_id: str, raw: bytes, **how: str) -> Case:
    return _case(name, error_id, "epj", partial(_refused, raw, **how))  # type: ignore[arg-type]  # text alone


CASES: Final = (
    _door("not XML", "MB-1001", b"<MsgHead"),
    _door("a document without its receiver", "MB-1002", dialogue(MSG_ID).replace(b"Receiver>", b"Mottaker>")),
    _door("a type that no process has", "MB-1003", dialogue(MSG_ID).replace(b"DIALOG_HELSEFAGLIG", b"DIALOG_UKJENT")),
    _door("no such token", "MB-1011", dialogue(MSG_ID), token="y"),
    _case("another document under a MsgId", "MB-1104", "epj", _taken_before),
    _door("someone else's HER-id", "MB-1201", dialogue(MSG_ID, sender=DALBYGDA, receiver=FJORDVIK)),
    _door("a receiver that nobody knows", "MB-2001", dialogue(MSG_ID, receiver=NORDLI)),
    _case("the disk is full", "MB-6003", "person", _disk_full),
    _case("another program holds the database", "MB-6004", "person", _locked),
    _record("the receiver's record has gone", "MB-2001", lambda at: at.without(DALBYGDA), after=True),
    _record("no agreement", "MB-2002", lambda at: at.without_agreement()),
    _record("partner's certificate expired", "MB-2003", _partner(Use.ENCRYPT, EXPIRED)),
    _record("partner's certificate not valid yet", "MB-2005", _partner(Use.ENCRYPT, COMING)),
    _record("partner's certificate for signing", "MB-2006", _partner(Use.SIGN, VALID)),
    _record("partner without a certificate", "MB-2007", lambda at: at.organisation(encryption=())),
    _record("partner without an endpoint", "MB-2008", lambda at: at.organisation(endpoint=None)),
    _record("the receiver is closed", "MB-2009", lambda at: at.unit(active=False), after=True),
    _record("the receiver does not take this", "MB-2010", lambda at: at.unit(receives=frozenset({"AVVIK"}))),
    _record("the process file has gone", "MB-2011", _process_gone, after=True),
    _record("agreement and record differ", "MB-2013", _differs),
    _record("the agreement has ended", "MB-2014", lambda at: at.agreement(starts=START - 2 * DAY, ends=START - DAY)),
    _case("no address records can be read", "MB-2004", "person", _registry_gone),
    _case("our certificate expired", "MB-4101", "person", partial(_own_certificate, Use.SIGN, EXPIRED)),
    _case("our certificate not valid yet", "MB-4102", "person", partial(_own_certificate, Use.SIGN, COMING)),
    _case("our certificate for encryption", "MB-4103", "person", partial(_own_certificate, Use.ENCRYPT, VALID)),
    _case("our key is missing", "MB-4104", "person", _own_missing),
    _case("held by a person", "MB-5001", "person", _held),
    _case("a kept document is damaged", "MB-6001", "person", _damaged),
)
