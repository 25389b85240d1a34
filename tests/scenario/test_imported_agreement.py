"""Two brokers go over from a table to an imported agreement while messages wait, and contradict their records once."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from broker import handover, inbound
from broker.intake import Taken
from broker.lifecycle import Outcome, StopPoint, Transport
from broker.lookup.agreement_files import AgreementFiles, retire, take
from broker.message import Verdict
from broker.routing import agreements, choose
from broker.routing.cpa import read_cpa
from broker.routing.party import Directory, Switch
from broker.sealing.certificates import Use
from broker.web.looking import Operators
from tests.interop.cpa_cases import receipts
from tests.interop.cpa_files import but, cpa
from tests.scenario.pair import DALBYGDA, FJORDVIK, Pair, Side, dialogue, shipped_processes, side_key

MSG = "77777777-0000-4000-8000-00000000000{}"


@dataclass
class Desk:
    """One side's folder of agreements over its records."""

    side: Side
    brokers: Pair
    records: Directory
    files: AgreementFiles
    folder: Path

    @classmethod
    def of(cls, side: Side, brokers: Pair, folder: Path) -> "Desk":
        files = AgreementFiles(folder, hosted={side.her}, processes=lambda: shipped_processes(), clock=brokers.clock)
        return cls(side, brokers, side.addresses.directory, files, folder)

    def take(self, content: bytes) -> None:
        """Take a file into use, as the command does."""
        theirs = DALBYGDA if self.side.her == FJORDVIK else FJORDVIK
        table = self.records.agreement(self.side.her, theirs)
        cpa = read_cpa(content, source="cpa.xml")
        replaced = [table] if table else []
        now = self.brokers.clock.now()
        take(self.folder, content, cpa, services={"HELSEFAGLIG": "Interop"}, replaced=replaced, at=now)
        self.look()

    def look(self) -> None:
        """Read the folder anew, as the broker does every few seconds."""
        directory, faults = self.files.laid_over(self.records)
        assert faults == ()
        self.side.addresses.directory = directory

    def without_table(self) -> None:
        """Take the tables out of the records, as a person does."""
        parties = {her: replace(party, agreements=()) for her, party in self.records.parties.items()}
        self.records = replace(self.records, parties=parties)
        self.look()


def agreement(folder: Path, brokers: Pair, *flags: str) -> bytes:
    """Return a CPA of the two sides, with the Action that letters go by and one for receipts."""
    certificates = {}
    for side in (brokers.left, brokers.right):
        path = folder / f"{side.her}.crt"
        path.write_bytes(side_key(side.her, Use.SIGN).certificate.public_bytes(Encoding.PEM))
        certificates[side.her] = path
    ends = [f"--{side}-{key}={value}" for side, her in (("a", FJORDVIK), ("b", DALBYGDA)) for key, value in (
        ("id", her), ("url", f"http://127.0.0.1/{her}"),
    )]  # fmt: skip
    sync = ["--sync"] if brokers.sync else []
    made = cpa(*ends, *sync, *flags, a_cert=certificates[FJORDVIK], b_cert=certificates[DALBYGDA])
    return receipts("Apprec")(but(('c:action="Foresporsel"', 'c:action="Notat"'))(made))


async def completed(brokers: Pair, number: int) -> None:
    """Send a letter and its receipt, whole."""
    taken = await brokers.left.post(dialogue(MSG.format(number)))
    await brokers.run()
    await answered(brokers)
    assert (await brokers.left.delivery(taken)).state.outcome is Outcome.COMPLETED


async def answered(brokers: Pair) -> None:
    """Let right's EPJ say yes to all that lies in its inbox."""
    for _, item in await brokers.right.inbox():
        await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()


async def ids_of(brokers: Pair, taken: Taken) -> list[str]:
    """Return the CPAIds of what a letter was sealed under."""
    work = await brokers.left.store.work(taken.deliveries[0].id)
    assert work is not None
    return [work.envelope.cpa_id] if work.envelope else []


async def go_over(brokers: Pair, folder: Path) -> None:
    """The whole way; raises AssertionError where anything is not as it should be."""
    left, right = (Desk.of(side, brokers, folder / str(side.her)) for side in (brokers.left, brokers.right))
    await completed(brokers, 1)

    # One letter is sealed and lost on the way, another is not sealed yet.
    brokers.wire.plan.append("catch")
    sealed = await brokers.left.post(dialogue(MSG.format(2)))
    await brokers.run()
    unsealed = await brokers.left.post(dialogue(MSG.format(3)))
    operators = Operators(
        brokers.left.store, addresses=brokers.left.addresses, clock=brokers.clock, cancels=lambda *_: False
    )
    told = await operators.agreement(FJORDVIK, DALBYGDA)
    assert [(each["msgId"], each["cpaId"]) for each in told["open"]] == [
        (MSG.format(2), "cpa-1"), (MSG.format(3), None),
    ]  # fmt: skip

    # Taken into use on both sides; left's table still stands, and says otherwise.
    content = agreement(folder, brokers, "--cpaid", "new:1")
    right.take(content)
    right.without_table()
    left.take(content)
    await brokers.run()
    parked = await brokers.left.delivery(unsealed)
    assert (parked.cause, parked.state.stop_point) == ("MB-2013", StopPoint.K2)

    # Mended: it goes by itself, under the new one; the sealed one is taken under the old.
    left.without_table()
    await brokers.pass_time(timedelta(minutes=20), step=timedelta(minutes=1))
    for taken in (sealed, unsealed):
        assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
    assert await ids_of(brokers, sealed) == ["cpa-1"]
    assert await ids_of(brokers, unsealed) == ["new:1"]
    await answered(brokers)
    for taken in (sealed, unsealed):
        assert (await brokers.left.delivery(taken)).state.outcome is Outcome.COMPLETED
    await completed(brokers, 4)

    # When its PersistDuration is over, what comes under the old one is refused.
    await brokers.pass_time(timedelta(days=2))
    late = brokers.wire.caught[0]
    answer = await inbound.receive(late.content_type, late.body, brokers.right.doors)
    assert b"Inconsistent" in answer.body
    assert b"expired agreement" in answer.body

    # Retired, and nothing put in its place: nothing is sealed.
    for held in left.files.taken():
        retire(left.folder, held, at=brokers.clock.now())
    left.look()
    last = await brokers.left.post(dialogue(MSG.format(5)))
    await brokers.run()
    assert (await brokers.left.delivery(last)).cause == "MB-2002"


async def test_two_brokers_go_over_to_an_imported_agreement(brokers: Pair, tmp_path: Path) -> None:
    await go_over(brokers, tmp_path)


@pytest.mark.parametrize("fault", ["old-agreement-forgotten", "conflict-not-seen"])
async def test_a_planted_fault_is_seen(
    fault: str, brokers: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "old-agreement-forgotten":
        monkeypatch.setattr(agreements, "_former", lambda *_: ())
    else:
        monkeypatch.setattr(agreements, "differing", lambda *_: ())
    with pytest.raises(AssertionError):
        await go_over(brokers, tmp_path)


@pytest.mark.parametrize("flags", [(), ("--best-effort",), ("--unsigned",), ("--unsigned", "--best-effort")])
async def test_letters_and_receipts_go_under_every_kind_of_imported_agreement(
    flags: tuple[str, ...], brokers: Pair, tmp_path: Path
) -> None:
    content = agreement(tmp_path, brokers, "--cpaid", "kind:1", *flags)
    for side in (brokers.left, brokers.right):
        desk = Desk.of(side, brokers, tmp_path / str(side.her))
        plain = frozenset({Switch.PLAINTEXT}) if "--unsigned" in flags else frozenset()
        parties = {her: replace(party, switches=plain) for her, party in desk.records.parties.items()}
        desk.records = replace(desk.records, parties=parties)
        desk.take(content)
        desk.without_table()
    await completed(brokers, 1)
    letter = brokers.wire.log[0][1]
    assert b">kind:1<" in letter
    assert (b"SignatureValue" in letter) is ("--unsigned" not in flags)
    assert (b"AckRequested" in letter) is ("--best-effort" not in flags)


async def test_a_message_made_outside_start_and_end_is_refused(brokers: Pair, tmp_path: Path) -> None:
    left, right = (Desk.of(side, brokers, tmp_path / str(side.her)) for side in (brokers.left, brokers.right))
    ends = brokers.clock.now() + timedelta(hours=1)
    content = agreement(tmp_path, brokers, "--cpaid", "short:1", "--end", ends.isoformat())
    for desk in (left, right):
        desk.take(content)
        desk.without_table()
    await completed(brokers, 1)
    brokers.clock.time = ends
    parked = await brokers.left.post(dialogue(MSG.format(2)))
    await brokers.run()
    assert (await brokers.left.delivery(parked)).cause == choose.NOT_IN_FORCE
    # A partner whose file ends later sends all the same.
    longer = agreement(tmp_path, brokers, "--cpaid", "short:1")
    left.take(longer)
    await brokers.pass_time(timedelta(minutes=20), step=timedelta(minutes=1))
    refused = await brokers.left.delivery(parked)
    assert (refused.state.transport, refused.cause) == (Transport.REFUSED, "MB-3305")
