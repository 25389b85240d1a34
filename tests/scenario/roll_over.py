"""Three weeks in which one side changes both its certificates, and what became of every message sent meanwhile.

The left side loads its next keys on day 2, dated so that they sign from day 8. The right side learns of the next
signing certificate on day 5, goes on sealing for the old encryption certificate until that has ended on day 20, and
learns of the next one half a day later. Messages go both ways all the time, some of them while the other side is away.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from broker import handover
from broker.lifecycle import Outcome
from broker.lookup import key_files
from broker.lookup.key_files import KeyFiles
from broker.message import Verdict
from broker.routing import choose
from broker.routing.party import Directory
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import Generation, KeyPair
from tests.certificates import rsa_key
from tests.scenario.pair import ORGANISATION, START, Pair, Side, dialogue

PASSPHRASE = b"rulle over"
SIGNS_FROM = START.replace(hour=0) + timedelta(days=8)
OLD_ENDS = START + timedelta(days=20)
FLOOR = 18  # messages; fewer would leave a stage without any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How many messages were posted, and the outcome of each."""

    posted: int
    outcomes: Mapping[str, Outcome]

    @property
    def lost(self) -> list[str]:
        return sorted(name for name, outcome in self.outcomes.items() if outcome is not Outcome.COMPLETED)


@cache
def generation(name: str, use: Use) -> KeyPair:
    begin, end = (
        (START - timedelta(days=300), OLD_ENDS)
        if name == "old"
        else (START - timedelta(days=1), START + timedelta(days=700))
    )
    key = rsa_key(f"roll-over {name} {use}")
    serial = len(name) * 10 + (use is Use.SIGN)
    certificate = new_certificate("side left", ORGANISATION, use, begin, end, key, serial=serial)
    return KeyPair(private_key=key, certificate=certificate)


class RollOver:
    """The two sides and what each knows of the left one's certificates."""

    def __init__(self, both: Pair, folder: Path) -> None:
        self._both, self._folder = both, folder
        self._posted: list[tuple[str, Side, str]] = []
        (folder / ORGANISATION).mkdir(parents=True)
        self._load("old", "")
        self._keys = KeyFiles(folder, {both.left.her: ORGANISATION}, passphrase=PASSPHRASE)
        both.left.doors = replace(both.left.doors, keys=self._keys)
        self._told(signing=("old",), encryption=("old",))

    async def run(self) -> Result:
        """Let the weeks pass."""
        await self._exchange("both old")
        await self._until(2)
        self._load("next", f"-{SIGNS_FROM:%F}")
        assert self._keys.look()
        assert self._keys.problems == ()
        await self._exchange("the next one loaded, and nobody told")
        await self._until(5)
        self._told(signing=("old", "next"), encryption=("old",))
        await self._exchange("both trusted, the old one signs")
        await self._until(7.4)
        await self._away(self._both.right, "signed before the day, read after it", until=7.9)
        await self._exchange("the next one signs, the old one is sealed for")
        await self._until(19.5)
        await self._away(self._both.left, "sealed for the old one, read after its end", until=20.2)
        await self._post("the old one has ended, and no other is known")
        await self._both.run()
        await self._until(20.7)
        self._told(signing=("old", "next"), encryption=("old", "next"))
        await self._exchange("the next one is sealed for")
        await self._until(22)
        self._told(signing=("next",), encryption=("next",))
        await self._exchange("the old one is forgotten by the other side")
        await self._until(24)
        return await self._result()

    def _load(self, name: str, suffix: str) -> None:
        for use, stem in ((Use.SIGN, "signing"), (Use.ENCRYPT, "encryption")):
            pair = generation(name, use)
            path = self._folder / ORGANISATION / f"{stem}{suffix}.p12"
            path.touch(mode=0o600)
            closed = BestAvailableEncryption(PASSPHRASE)
            path.write_bytes(
                pkcs12.serialize_key_and_certificates(None, pair.private_key, pair.certificate, None, closed)
            )

    def _told(self, *, signing: tuple[str, ...], encryption: tuple[str, ...]) -> None:
        """Give the right side a new record of the left one's organisation."""
        directory = self._both.right.addresses.directory
        organisation = self._both.left.her // 100 * 100
        record = replace(
            directory.parties[organisation],
            signing=tuple(generation(name, Use.SIGN).certificate for name in signing),
            encryption=tuple(generation(name, Use.ENCRYPT).certificate for name in encryption),
        )
        self._both.right.addresses.directory = Directory(parties={**directory.parties, organisation: record})

    async def _until(self, day: float) -> None:
        await self._both.pass_time(START + timedelta(days=day) - self._both.clock.time, step=timedelta(hours=6))
        await self._judge()

    async def _away(self, side: Side, name: str, *, until: float) -> None:
        endpoint = f"http://127.0.0.1/{side.her}"
        self._both.wire.down.add(endpoint)
        await self._exchange(name)
        await self._until(until)
        self._both.wire.down.discard(endpoint)
        await self._until(until + 0.2)

    async def _exchange(self, name: str) -> None:
        await self._post(name)
        await self._both.run()
        await self._judge()

    async def _post(self, name: str) -> None:
        for sender, receiver in ((self._both.left, self._both.right), (self._both.right, self._both.left)):
            msg_id = f"22222222-0000-4000-8000-{len(self._posted):012d}"
            taken = await sender.post(dialogue(msg_id, sender=sender.her, receiver=receiver.her))
            self._posted.append((f"{name}, from {sender.her}", sender, taken.deliveries[0].id))

    async def _judge(self) -> None:
        for side in (self._both.left, self._both.right):
            for _, item in await side.inbox():
                await handover.verdict(item.id, Verdict.OK, (), side.client, side.doors)
        await self._both.run()

    async def _result(self) -> Result:
        outcomes = {}
        for name, side, delivery in self._posted:
            work = await side.store.work(delivery)
            assert work is not None
            outcomes[name] = work.delivery.state.outcome
        return Result(posted=len(self._posted), outcomes=outcomes)


def _forget_old_key(self: KeyFiles, her_id: int) -> tuple[KeyPair, ...]:
    return tuple(each.pair for each in self._of(her_id, "encryption"))[:1]


def _sign_at_once(generations: Iterator[Generation], at: datetime) -> Generation | None:
    valid = [each for each in generations if each.pair.certificate.not_valid_before_utc <= at <= each.ends]
    return max(valid, key=lambda each: each.pair.certificate.not_valid_before_utc, default=None)


def _trust_the_newest_alone(directory: Directory, her_id: int, now: datetime) -> tuple[x509.Certificate, ...]:
    return tuple(sorted(directory.signing(her_id), key=lambda each: each.not_valid_before_utc)[-1:])


# The faults that a roll-over must not survive: with each of them, messages are lost.
FAULTS: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "forget-old-key": lambda: patch.object(KeyFiles, "opening", _forget_old_key),
    "sign-at-once": lambda: patch.object(key_files, "signing_at", _sign_at_once),
    "trust-newest-alone": lambda: patch.object(choose, "signers", _trust_the_newest_alone),
}


@contextmanager
def planted(fault: str | None) -> Iterator[None]:
    """Break the broker in one way while the block runs."""
    if fault is None:
        yield
        return
    with FAULTS[fault]():
        yield
