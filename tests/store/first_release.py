"""A data folder as the first release left it, kept under fixtures: what stands in it, and what a newer broker lost.

`python -m tests.store.first_release FOLDER` made it with 0.1.0. It is not to be made again: a folder that a newer
program writes proves nothing about upgrades.
"""

import asyncio
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from broker.message import Ball, Changes, EventKind
from broker.store.sqlite import open_store
from tests.store import values

FOLDER = Path(__file__).parent / "fixtures" / "first-release"
EXPECTED = "expected.json"
_FLOOR = 12  # facts
_TABLES = ("message", "delivery", "envelope", "attempt", "item", "received", "signal", "event")


async def make(folder: Path) -> None:
    """Fill the folder with messages in each direction, and what belongs to them."""
    values._numbers = count(10**9)  # ids that no test makes
    store = await open_store(folder, site_key=values.SITE_KEY, on_broken=lambda error: None, reserve=0)
    try:
        parked, large = values.taken(b"<small/>"), values.taken(b"x" * 262_145)
        kept, sealed = values.body(b"<MsgHead/>"), values.body(b"--sealed")
        sent = values.message(kept)
        away = values.delivery(sent, cause="MB-2002", ball=Ball.PERSON)
        letter = values.envelope(away, sealed)
        await store.accept(parked)
        await store.accept(large)
        await store.accept(
            Changes(
                events=(values.event(kind=EventKind.SENT, message_id=sent.id, delivery_id=away.id, stop_point="K5"),),
                bodies=(kept, sealed),
                messages=(sent,),
                deliveries=(away,),
                envelopes=(letter,),
                attempts=(values.attempt(letter),),
            )
        )
        came = values.arrived()
        await store.receive(came)
        erased = values.taken(b"<erased/>")
        await store.accept(erased)
        gone = values.event(kind=EventKind.ERASED, message_id=erased.messages[0].id)
        await store.erase(bodies=[(erased.messages[0].body, gone)], now=values.NOW)
    finally:
        await store.close()
    (folder / "lock").unlink()
    bodies = {body.id: sha256(body.content).hexdigest() for each in (parked, large, came) for body in each.bodies}
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}
    expected = {
        "bodies": bodies,
        "erased": erased.messages[0].body,
        "rows": counts,
        "envelope": letter.eb_id,
        "item": came.new_items[0].id,
        "messages": [each.messages[0].id for each in (parked, large, came)],
    }
    (folder / EXPECTED).write_text(json.dumps(expected, indent=1) + "\n", "utf-8")


async def losses(folder: Path) -> tuple[list[str], int]:
    """Open a copy of the folder as this program does, and return what is lost or changed, and how much was compared."""
    expected: dict[str, Any] = json.loads((folder / EXPECTED).read_text("utf-8"))
    lost: list[str] = []
    compared = 0

    def compare(what: str, found: object, wanted: object) -> None:
        nonlocal compared
        compared += 1
        if found != wanted:
            lost.append(f"{what}: {found}, not {wanted}")

    key = (folder / "site.key").read_bytes()
    store = await open_store(folder, site_key=key, on_broken=lambda error: None, reserve=0)
    try:
        for body, digest in expected["bodies"].items():
            try:
                compare(f"body {body}", sha256(await store.body(body)).hexdigest(), digest)
            except Exception as error:
                compare(f"body {body}", type(error).__name__, digest)
        try:
            compare("the erased body", len(await store.body(expected["erased"])), None)
        except KeyError:
            compare("the erased body", None, None)
        for id in expected["messages"]:
            compare(f"message {id}", [one.message.id for one in await store.find(id, hers=None)], [id])
        found = await store.work_by_envelope(expected["envelope"])
        compare("the envelope's delivery", found is not None and found[0].delivery.cause, "MB-2002")
        compare("the item", await store.item(expected["item"]) is not None, True)
        await store.accept(values.taken(b"<new/>"))  # and it is written to as any other
    finally:
        await store.close()
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        compare("integrity", db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        for table, rows in expected["rows"].items():
            more = 1 if table in ("message", "delivery", "event") else 0  # what was written just now
            compare(f"rows of {table}", db.execute(f"SELECT count(*) FROM {table}").fetchone()[0], rows + more)
    return lost, compared


def copied(to: Path) -> Path:
    """Return a copy of the folder that may be written to, with the modes that a broker asks for."""
    shutil.copytree(FOLDER, to)
    (to / "site.key").chmod(0o600)
    return to


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "site.key").write_bytes(values.SITE_KEY)
    asyncio.run(make(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
