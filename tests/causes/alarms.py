"""Alarms that belong to no message, each made true: clock, disk, certificates, files, silence, what does not open."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from broker.holds import LIMIT
from broker.lookup.address_files import AddressFiles
from broker.lookup.surroundings import Surroundings
from broker.sealing.certificates import Use
from broker.transport.partner_clocks import PartnerClocks
from tests.causes.at_home import own_certificate, side_certificate
from tests.causes.bench import answering, bench
from tests.causes.receipts import as_citizen, cancellation
from tests.causes.told import Case, Told, views
from tests.certificates import key_pair
from tests.rig.peers import peer
from tests.scenario.pair import DALBYGDA, FJORDVIK, ORGANISATION, START, Side, dialogue, pair

DAY = timedelta(days=1)


def looking_around(side: Side, folder: Path, **more: Any) -> Surroundings:
    """Return what the daemon would look at."""
    values: dict[str, Any] = {
        "store": side.store,
        "addresses": side.addresses,
        "processes": side.doors.processes,
        "keys": side.doors.keys,
        "holds": side.doors.holds,
        "clock": side.doors.clock,
        "hosted": {FJORDVIK: ORGANISATION},
        "data": folder,
        "reserve": 0,
        "offsets": _nobody,
        "rests": _nobody,
    }
    return Surroundings(**(values | more))


def _nobody() -> Mapping[str, Any]:
    return {}


async def _told(side: Side, folder: Path, error_id: str, **more: Any) -> Told:
    async with views(side, folder, alarms=looking_around(side, folder, **more).conditions) as seen:
        return await seen.condition(error_id)


async def _clock(folder: Path) -> Told:
    """The partner's answers are dated ten minutes ahead of us."""
    behave = answering("503 Service Unavailable", b"later", date=START + timedelta(minutes=10))
    async with bench(folder) as at, peer(behave) as endpoint:
        at.towards(endpoint)
        clocks = PartnerClocks(at.line.carrier, at.brokers.clock)
        at.line.carrier = clocks
        await at.sent()
        told = await _told(at.left, folder / "left", "MB-6006", offsets=clocks.offsets)
        at.brokers.clock.time += timedelta(hours=1)  # what nobody has said since is past
        around = looking_around(at.left, folder / "left", offsets=clocks.offsets)
        assert not [one for one in await around.conditions() if one.error_id == "MB-6006"]
        return told


async def _disk(folder: Path, *, error_id: str, times: float) -> Told:
    """The reserve is so many times what is free."""
    disk = os.statvfs(folder)
    async with pair(folder) as brokers:
        reserve = int(disk.f_bavail * disk.f_frsize * times)
        return await _told(brokers.left, folder, error_id, reserve=reserve)


async def _own(folder: Path) -> Told:
    async with bench(folder) as at:
        own_certificate(Use.SIGN, (START - DAY, START + 20 * DAY), folder)(at)
        return await _told(at.left, folder / "left", "MB-4105", keys=at.left.doors.keys)


async def _partners(folder: Path) -> Told:
    async with bench(folder) as at:
        at.organisation(encryption=(side_certificate(DALBYGDA, Use.ENCRYPT, (START - DAY, START + 10 * DAY)),))
        return await _told(at.left, folder / "left", "MB-2012")


async def _bad_file(folder: Path) -> Told:
    addresses = folder / "addresses"
    addresses.mkdir()
    (addresses / "8000201.toml").write_text('her_id = "not a number"\n', "utf-8")
    async with pair(folder) as brokers:
        return await _told(brokers.left, folder, "MB-9001", files=(AddressFiles(addresses),))


async def _silence(folder: Path) -> Told:
    """Right writes every weekday for two weeks, and then no more."""
    async with pair(folder) as brokers:
        begin = START + DAY  # a Monday
        for number in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11):
            brokers.clock.time = begin + number * DAY
            msg_id = f"88888888-0000-4000-8000-{number:012d}"
            await brokers.right.post(dialogue(msg_id, sender=DALBYGDA, receiver=FJORDVIK, ack="N"))
            await brokers.run()
        brokers.clock.time = begin + 14 * DAY  # a weekend later it is not silent yet
        around = looking_around(brokers.left, folder)
        assert not [one for one in await around.conditions() if one.error_id == "MB-3502"]
        brokers.clock.time = begin + 16 * DAY
        return await _told(brokers.left, folder, "MB-3502")


async def _cancelled(folder: Path) -> Told:
    """A citizen's cancellation came 15 minutes ago; nobody looks at the message, and all the same it is told."""
    async with pair(folder) as brokers:
        as_citizen(brokers)
        await brokers.right.post(cancellation())
        await brokers.run()
        brokers.clock.time += timedelta(minutes=14)
        around = looking_around(brokers.left, folder)
        assert not [one for one in await around.conditions() if one.error_id == "MB-5103"]
        brokers.clock.time += timedelta(minutes=1)
        return await _told(brokers.left, folder, "MB-5103")


async def _held(folder: Path) -> Told:
    """Right encrypts to a certificate that left has no key for, again and again."""
    async with pair(folder) as brokers:
        directory, organisation = brokers.right.addresses.directory, FJORDVIK // 100 * 100
        wrong = key_pair("a forgotten generation", Use.ENCRYPT).certificate
        party = replace(directory.parties[organisation], encryption=(wrong,))
        brokers.right.addresses.directory = replace(directory, parties={**directory.parties, organisation: party})
        for number in range(LIMIT + 1):
            await brokers.right.post(
                dialogue(f"99999999-0000-4000-8000-{number:012d}", sender=DALBYGDA, receiver=FJORDVIK)
            )
        await brokers.run()
        return await _told(brokers.left, folder, "MB-3501")


CASES: Final = (
    Case(name="our clock is ten minutes off", error_id="MB-6006", ball="person", produce=_clock),
    Case(
        name="a disk without its reserve",
        error_id="MB-6003",
        ball="person",
        produce=partial(_disk, error_id="MB-6003", times=2),
    ),
    Case(
        name="a disk that fills",
        error_id="MB-6005",
        ball="person",
        produce=partial(_disk, error_id="MB-6005", times=0.5),
    ),
    Case(name="our certificate ends in 20 days", error_id="MB-4105", ball="person", produce=_own),
    Case(name="a partner's certificate ends in 10 days", error_id="MB-2012", ball="person", produce=_partners),
    Case(name="an address record that can't be read", error_id="MB-9001", ball="person", produce=_bad_file),
    Case(name="a partner that used to send is silent", error_id="MB-3502", ball="person", produce=_silence),
    Case(name="a cancellation that nobody collects", error_id="MB-5103", ball="epj", produce=_cancelled),
    Case(name="a sender whose ciphertexts do not open", error_id="MB-3501", ball="person", produce=_held),
)
