"""What goes wrong where a partner is trusted by path: no path, a revoked certificate, a service that is down."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from broker.lookup.revocation import RevocationServices
from tests.causes.alarms import looking_around
from tests.causes.bench import bench
from tests.causes.told import Case, Told, views
from tests.scenario.pair import DALBYGDA, Side
from tests.trust.authority import authority, trusts_by_path

HOUR: Final = timedelta(hours=1)


async def _sealing(folder: Path, *, fault: str) -> Told:
    """Left trusts right by path, and seals to a certificate with this fault."""
    async with bench(folder) as at, authority(at.brokers.clock) as (ca, revocation):
        theirs = ca.issue(encrypts=True, **({"number": "271828182"} if fault == "number" else {}))
        trusts_by_path(at.left, DALBYGDA, ca, revocation, encryption=(theirs.certificate,))
        ca.up = fault != "down"
        if fault == "revoked":
            ca.revoked[theirs] = at.brokers.clock.now() - HOUR
        return await at.sent()


async def _silent(folder: Path) -> Told:
    """The service was asked in vain; the alarm ends when it answers."""
    async with bench(folder) as at, authority(at.brokers.clock) as (ca, revocation):
        theirs = ca.issue(encrypts=True)
        trusts_by_path(at.left, DALBYGDA, ca, revocation, encryption=(theirs.certificate,))
        ca.up = False
        await at.sent()
        told = await _alarm(at.left, folder / "left", revocation)
        ca.up = True
        await at.brokers.pass_time(HOUR)
        looked = await looking_around(at.left, folder / "left", silent_services=revocation.silent).conditions()
        assert [one for one in looked if one.error_id == "MB-2023"] == []
        return told


async def _alarm(side: Side, folder: Path, revocation: RevocationServices) -> Told:
    looking = looking_around(side, folder, silent_services=revocation.silent)
    async with views(side, folder, alarms=looking.conditions) as seen:
        return await seen.condition("MB-2023")


def _case(name: str, error_id: str, fault: str) -> Case:
    return Case(name=name, error_id=error_id, ball="person", produce=partial(_sealing, fault=fault))


CASES: Final = (
    _case("partner's certificate names another organisation", "MB-2021", "number"),
    _case("partner's certificate is revoked", "MB-2022", "revoked"),
    _case("the revocation service is down", "MB-2023", "down"),
    Case(name="a revocation service is silent", error_id="MB-2023", ball="person", produce=_silent),
)
