"""What can go wrong after the acknowledgment: receipts late, negative, forged or contradicting, and the EPJ."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from broker import handover, inbound
from broker.demo.documents import Code, Dialogue, Head, Visit, calendar, document, question
from broker.demo.people import AASE
from broker.diagnosis import CAUSES
from broker.diagnosis.receipt_codes import RECEIPT_ACTS
from broker.message import Verdict
from broker.receipts.apprec import GivenError
from broker.retry import Chase
from broker.routing.party import PartyKind
from tests.causes.told import Case, Told, Wrong, views
from tests.scenario.forged_receipts import RECEIPTS
from tests.scenario.pair import DALBYGDA, FJORDVIK, START, Pair, dialogue, pair, unit
from tests.scenario.scenes import receipts as receipt_scene
from tests.scenario.stubborn import stubborn

MSG_ID = "77777777-0000-4000-8000-000000000001"
HOUR = timedelta(hours=1)


async def _told(brokers: Pair, folder: Path, id: str) -> Told:
    async with views(brokers.left, folder) as seen:
        return await seen.message(id)


async def _waits(hours: int, folder: Path, *, chase: Chase | None = None) -> Told:
    """Right's EPJ says nothing for so many hours."""
    async with pair(folder) as brokers:
        if chase is not None:
            directory = brokers.left.addresses.directory
            party = directory.parties[DALBYGDA]
            agreements = tuple(replace(each, chase=chase) for each in party.agreements)
            changed = {**directory.parties, DALBYGDA: replace(party, agreements=agreements)}
            brokers.left.addresses.directory = replace(directory, parties=changed)
        taken = await brokers.left.post(dialogue(MSG_ID))
        await brokers.run()
        if hours:
            await brokers.pass_time(hours * HOUR, step=12 * HOUR)
        return await _told(brokers, folder, taken.message.id)


async def _rejected(code: str, folder: Path) -> Told:
    """Right's EPJ rejects it with this code; what to do is said by the code."""
    async with pair(folder) as brokers:
        taken = await brokers.left.post(dialogue(MSG_ID))
        await brokers.run()
        ((_, item),) = await brokers.right.inbox()
        errors = (GivenError(code=code, details="ikke for andres øyne"),)
        await handover.verdict(item.id, Verdict.REJECTED, errors, brokers.right.client, brokers.right.doors)
        await brokers.run()
        told = await _told(brokers, folder, taken.message.id)
    act = RECEIPT_ACTS[code]
    if told.act != {"nb": act.nb, "en": act.en}:
        raise Wrong(f"what to do about {code} is not said")
    if told.sentence is None or code not in told.sentence["nb"]:
        raise Wrong(f"the sentence does not say {code}")
    return told


async def _contradicts(folder: Path) -> Told:
    async with pair(folder) as brokers:
        receiver = await stubborn(brokers)
        taken = await brokers.left.post(receiver.raw)
        await brokers.run()
        await receiver.say(Verdict.OK)
        await receiver.say(Verdict.REJECTED, GivenError(code="E35", details=""), id=MSG_ID)
        return await _told(brokers, folder, taken.message.id)


async def _says_duplicate(folder: Path) -> Told:
    async with pair(folder) as brokers:
        receiver = await stubborn(brokers)
        taken = await brokers.left.post(receiver.raw)
        await brokers.run()
        await brokers.pass_time(24 * HOUR, step=12 * HOUR)
        await receiver.say(Verdict.REJECTED, GivenError(code="E10", details=""))
        return await _told(brokers, folder, taken.message.id)


async def _wrong_party(folder: Path) -> Told:
    """A third party, with a valid certificate of its own, receipts what was sent to right."""
    (forged,) = [case for case in RECEIPTS if case.name == "AppRec: a third party's, with a valid certificate"]
    async with receipt_scene(folder) as scene:
        made = forged.forge(scene)
        entity = made.entity() if hasattr(made, "entity") else made
        await inbound.receive(entity.content_type, entity.body, scene.brokers.left.doors)
        async with views(scene.brokers.left, folder) as seen:
            return await seen.alarm(scene.taken["one"].message.id, "MB-3403", _by_catalogue)


def _by_catalogue(error_id: str) -> Told:
    cause = CAUSES[error_id]
    return Told(
        error_id=error_id,
        ball=cause.ball,
        cause={"nb": cause.name.nb, "en": cause.name.en},
        act={"nb": cause.act.nb, "en": cause.act.en},
    )


# --- the EPJ ---


async def _came(folder: Path, *, wait: timedelta, raw: bytes | None = None, stored: bool = False) -> Told:
    """Right sends something to left, whose EPJ leaves it lying; the clock goes on."""
    async with pair(folder) as brokers:
        if raw is not None:
            as_citizen(brokers)
        await brokers.right.post(raw or dialogue(MSG_ID, sender=DALBYGDA, receiver=FJORDVIK))
        await brokers.run()
        ((message, item),) = await brokers.left.inbox()
        if stored:
            await handover.stored(item.id, brokers.left.client, brokers.left.doors)
        brokers.clock.time += wait
        return await _told(brokers, folder, message.id)


def as_citizen(brokers: Pair) -> None:
    """Let right be the citizens' portal."""
    for side in (brokers.left, brokers.right):
        directory = side.addresses.directory
        citizen = replace(directory.parties[DALBYGDA], kind=PartyKind.CITIZEN)
        side.addresses.directory = replace(directory, parties={**directory.parties, DALBYGDA: citizen})


def cancellation() -> bytes:
    """Return a citizen's cancellation of a visit of the home nurse."""
    visit = Visit(
        uid="visit-1",
        start=START + 2 * HOUR,
        end=START + 3 * HOUR,
        made_at=START,
        summary="Besøk av hjemmesykepleien",
        description="Avbestilt",
        place="Hjemme",
    )
    head = Head(
        type=Code(value="DIALOG_INNBYGGER_AVTALEAVBESTILLING", text="Avtaleavbestilling"),
        msg_id=MSG_ID,
        made_at=START,
        sender=unit(DALBYGDA),
        receiver=unit(FJORDVIK),
        patient=AASE,
    )
    asked = question(
        Dialogue.V1_1, Code(value="ART", text="Avbestilling", listed="7601"), subject="Avbestilling", text="Jeg er bort"
    )
    return document(head, asked, title="Avbestilling", companions=(calendar((visit,), made_by="-//Portal//NB"),))


async def _not_confirmed(folder: Path) -> Told:
    async with pair(folder) as brokers:
        receiver = await stubborn(brokers)
        taken = await brokers.left.post(receiver.raw)
        await brokers.run()
        await receiver.say(Verdict.OK)
        brokers.clock.time += 5 * HOUR
        return await _told(brokers, folder, taken.message.id)


CASES: Final = (
    Case(name="no application receipt yet", error_id="MB-3400", ball="partner", produce=partial(_waits, 0)),
    *(
        Case(name=f"rejected with {code}", error_id="MB-3401", ball="epj", produce=partial(_rejected, code))
        for code in ("E21", "E35", "S02", "T10")
    ),
    Case(name="no application receipt in 96 hours", error_id="MB-3402", ball="epj", produce=partial(_waits, 96)),
    Case(name="a receipt from the wrong party", error_id="MB-3403", ball="person", produce=_wrong_party),
    Case(name="the chase is answered: a duplicate", error_id="MB-3404", ball="person", produce=_says_duplicate),
    Case(name="two receipts that contradict", error_id="MB-3405", ball="person", produce=_contradicts),
    Case(
        name="the agreement says that a person asks",
        error_id="MB-3406",
        ball="person",
        produce=partial(_waits, 24, chase=Chase.ASK),
    ),
    Case(name="the EPJ does not collect", error_id="MB-5102", ball="epj", produce=partial(_came, wait=HOUR)),
    Case(
        name="a cancelled visit, not collected for 15 minutes",
        error_id="MB-5103",
        ball="epj",
        produce=partial(_came, wait=timedelta(minutes=15), raw=cancellation()),
    ),
    Case(
        name="the EPJ gives no verdict",
        error_id="MB-5104",
        ball="epj",
        produce=partial(_came, wait=4 * HOUR, stored=True),
    ),
    Case(name="the EPJ does not confirm the outcome", error_id="MB-5105", ball="epj", produce=_not_confirmed),
)
