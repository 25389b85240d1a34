"""Every order in which a broker may learn of one message's fate: acknowledgment, receipt, its own record, and the rest.

The partner's words are made once, by real brokers, and then told to the sender's broker in every order. Letters:

    O  our own record that a copy went out     X  we die in its place: there is no such record
    A  the Acknowledgment                       E  a MessageError
    R  the receipt                              C  another receipt, which contradicts it
    T  time passes until every clock has run out (after O or X only: what comes before comes during the POST)
"""

import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Self

from broker import handover, inbound
from broker.lifecycle import Receipt, Transport
from broker.message import Answer, Verdict
from broker.ports import TransportReply
from tests.scenario.balance import ENDS, OK, PARTIAL, REJECTED
from tests.scenario.epjs import Word
from tests.scenario.journeys import SOON
from tests.scenario.mortal import Killed, Knife
from tests.scenario.world import LEFT, RIGHT, Journey, World, Wrap

ALPHABETS = ("OAARRC", "XAARC", "OAEERC", "XAERC", "OATRC", "OETRC", "OATR", "XTAR", "OARA")
RECEIPTS = (Verdict.OK, Verdict.PARTIAL, Verdict.REJECTED)
_KINDS = {Verdict.OK: OK, Verdict.PARTIAL: PARTIAL, Verdict.REJECTED: REJECTED}
_STATES = {Verdict.OK: Receipt.OK, Verdict.PARTIAL: Receipt.PARTIAL, Verdict.REJECTED: Receipt.REJECTED}
_CODES = {Verdict.OK: (), Verdict.PARTIAL: ("E35",), Verdict.REJECTED: ("E35",)}
_AGAINST = {Verdict.OK: Verdict.REJECTED, Verdict.PARTIAL: Verdict.OK, Verdict.REJECTED: Verdict.OK}
_JOURNEY = Journey(name="orders", ends=ENDS, sync=False, policy=SOON, horizon=timedelta(hours=3))


@dataclass(frozen=True, slots=True)
class Said:
    """One POST of the partner's."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One order, and what the receipt in it says."""

    order: str
    verdict: Verdict

    @property
    def name(self) -> str:
        return f"{self.order}, {self.verdict}"


def scripts() -> tuple[Script, ...]:
    """Return all of them."""
    orders = sorted({"".join(order) for alphabet in ALPHABETS for order in permutations(alphabet)})
    possible = [order for order in orders if "T" not in order or _place_of_record(order) < order.index("T")]
    return tuple(Script(order=order, verdict=verdict) for order in possible for verdict in RECEIPTS)


def _place_of_record(order: str) -> int:
    return max(order.find("O"), order.find("X"))


class Catching(World):
    """A world whose wire only keeps what is said. The left dies over it, so that no record of it is made."""

    def __init__(self, folder: Path, journey: Journey = _JOURNEY, *, seed: int = 1) -> None:
        super().__init__(folder, journey, Knife(), seed=seed)
        self.caught: list[Said] = []

    async def _post(self, side: str, endpoint: str, content_type: str, body: bytes) -> TransportReply:
        self.caught.append(Said(content_type, body))
        if side == LEFT:
            raise Killed(LEFT)
        return TransportReply(status=204, content_type="", body=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The sender's broker as it stands before its first POST, what its EPJ knows, and all the partner's words."""

    left: Path
    taken: tuple[str, ...]
    said: dict[tuple[str, Verdict], Said]

    @classmethod
    async def made(cls, folder: Path) -> "Stage":
        """Let real brokers and EPJs say everything once."""
        taken, envelope = await cls._sealed(folder)
        said: dict[tuple[str, Verdict], Said] = {}
        for verdict in RECEIPTS:
            acknowledgment, receipt = await cls._answered(folder / f"right {verdict}", envelope, verdict)
            said[("R", verdict)], said[("A", verdict)] = receipt, acknowledgment
        # Of the three right brokers only one may have acknowledged, and any may have judged.
        said |= {("A", verdict): said[("A", Verdict.OK)] for verdict in RECEIPTS}
        said |= {("C", verdict): said[("R", _AGAINST[verdict])] for verdict in RECEIPTS}
        refusal = await cls._refused(folder / "distrusting", envelope)
        said |= {("E", verdict): refusal for verdict in RECEIPTS}
        return cls(left=folder / "sealed", taken=taken, said=said)

    @staticmethod
    async def _sealed(folder: Path) -> tuple[tuple[str, ...], Said]:
        async with Catching(folder / "sealing") as world:
            await world.epjs[LEFT].act(world.sides[LEFT])
            await world.attempt(lambda: world.work(LEFT))
            shutil.copytree(world.folder_of(LEFT), folder / "sealed")
            ((ids,),) = world.epjs[LEFT].ledger.taken.values()
            return ids, world.caught[0]

    @staticmethod
    async def _answered(folder: Path, envelope: Said, verdict: Verdict) -> tuple[Said, Said]:
        journey = replace(_JOURNEY, word=Word(verdict=None))
        async with Catching(folder, journey, seed=100 + RECEIPTS.index(verdict)) as world:
            right = world.sides[RIGHT]
            await inbound.receive(envelope.content_type, envelope.body, right.doors)
            ((_, item),) = await right.inbox()
            errors = Word(verdict=verdict, codes=_CODES[verdict]).errors
            await handover.verdict(item.id, verdict, errors, right.client, right.doors)
            await world.work(RIGHT)
            acknowledgment, receipt = sorted(world.caught, key=lambda said: len(said.body))
            return acknowledgment, receipt

    @staticmethod
    async def _refused(folder: Path, envelope: Said) -> Said:
        journey = replace(_JOURNEY, right_distrusts=timedelta(hours=1))
        async with Catching(folder, journey) as world:
            await inbound.receive(envelope.content_type, envelope.body, world.sides[RIGHT].doors)
            await world.work(RIGHT)
            (refusal,) = world.caught
            return refusal


class Listening(World):
    """The sender's broker alone, told by script."""

    def __init__(self, folder: Path, script: Script, stage: Stage, knife: Knife, *, wrap: Wrap | None = None) -> None:
        super().__init__(folder, _JOURNEY, knife, wrap=wrap)
        self._script, self._stage, self._left = script, stage, list(script.order)

    async def __aenter__(self) -> Self:
        shutil.copytree(self._stage.left, self._folder / LEFT)
        await self._open(LEFT, self._folder / LEFT)
        self.epjs = {LEFT: self.epjs[LEFT]}
        return self

    async def live(self) -> None:
        """Tell everything, and let time pass until nothing is due."""
        with self.knife.watching():
            await self._told_during_the_post()
            while self._left:
                await self._tell_next()
                await self._until_quiet()
            await self._pass()

    async def _told_during_the_post(self) -> None:
        while {"O", "X"} & set(self._left):
            if not await self.attempt(lambda: self.work(LEFT)):
                # Something said during the POST settled it, and then we died: it is not sent again.
                self._left = [letter for letter in self._left if letter not in "OX"]
        await self._until_quiet()

    async def _post(self, side: str, endpoint: str, content_type: str, body: bytes) -> TransportReply:
        if not (b"pkcs7" in body and {"O", "X"} & set(self._left)):
            return TransportReply(status=204, content_type="", body=b"")
        while self._left[0] not in "OX":
            await self._hear(self._left[0])
            self._left.pop(0)
        if self._left.pop(0) == "X":
            raise Killed(LEFT)
        return TransportReply(status=204, content_type="", body=b"")

    async def _tell_next(self) -> None:
        letter = self._left[0]
        if letter == "T":
            await self._pass()
        else:
            while await self.attempt(lambda: self._hear(letter)):
                continue  # the partner, without an answer, says it again
        self._left.pop(0)

    async def _hear(self, letter: str) -> bool:
        said = self._stage.said[(letter, self._script.verdict)]
        answer: Answer = await inbound.receive(said.content_type, said.body, self.sides[LEFT].doors)
        assert answer.status == 204
        return False

    async def _pass(self) -> None:
        await super().live_on()

    async def complaints(self) -> list[str]:
        """Return what is not as this order must end."""
        order, said = self._script.order, self._script.verdict
        side, ledger = self.sides[LEFT], self.epjs[LEFT].ledger
        found = []
        verdicts = {"R": said, "C": _AGAINST[said]}
        first = next((verdicts[letter] for letter in order if letter in "RC"), None)
        wanted = [_KINDS[first]] if first else []
        told = [told.kind for told in ledger.told]
        if [kind for kind in told if kind in ENDS] != wanted:
            found.append(f"told {told}, not {wanted}")
        contradicted = {"R", "C"} <= set(order)
        if told.count("message.apprec_contradicts") != contradicted:
            found.append(f"told {told.count('message.apprec_contradicts')} times of a contradiction")
        work = await side.store.work(self._stage.taken[1])
        assert work is not None
        state = work.delivery.state
        if first and state.receipt is not _STATES[first]:
            found.append(f"the receipt state is {state.receipt}, not that of the first verdict")
        if ("A" in order) is not (state.transport is Transport.ACKNOWLEDGED):
            found.append(f"the transport state is {state.transport}")
        if first and tuple(code.code for code in work.delivery.codes) != _CODES[first]:
            found.append("the codes are not those of the first verdict")
        if first and len(work.delivery.receipt_message or "") != 36:
            found.append("the receipt that decided is not named")
        if first and (await side.store.unconfirmed({side.her}, through=1_000_000)):
            found.append("the outcome was never confirmed")
        return found
