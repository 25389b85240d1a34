"""What a forger starts from: two brokers and a third party, with valid messages, signals and receipts under way."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509

from broker import handover, intake
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse_header
from broker.envelope.signature import sign_envelope
from broker.envelope.xml import parse
from broker.errors import NotTrusted
from broker.message import Verdict
from broker.receipts.message_error import build_message_error
from broker.routing.party import Directory
from broker.sealing.certificates import Use
from tests.scenario.forge import Draft, sealed, take
from tests.scenario.pair import DALBYGDA, FJORDVIK, NORDLI, Caught, Pair, Side, dialogue, pair, side_key

MSG_ID, OTHER_MSG_ID = "22222222-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
TO_THIRD = "22222222-0000-4000-8000-000000000003"
THIRDS_MSG_ID = "22222222-0000-4000-8000-000000000004"
FORGED_CONVERSATION = ("<eb:ConversationId>", "<eb:ConversationId>0")
UNKNOWN = "22222222-0000-4000-8000-00000000ffff"

LEFT, RIGHT, THIRD = (side_key(her, Use.SIGN) for her in (FJORDVIK, DALBYGDA, NORDLI))
LEFT_OPENS, RIGHT_OPENS = (side_key(her, Use.ENCRYPT) for her in (FJORDVIK, DALBYGDA))


@dataclass
class Scene:
    """One valid original on its way to `target`, and what else a forger may have seen."""

    name: str
    brokers: Pair
    folder: Path
    target: Side
    original: Draft
    seen: dict[str, Draft] = field(default_factory=dict)  # other valid entities, by what they are
    documents: dict[str, bytes] = field(default_factory=dict)
    taken: dict[str, intake.Taken] = field(default_factory=dict)

    @property
    def store_folder(self) -> Path:
        return self.folder / str(self.target.her)


Forge = Callable[[Scene], Draft | Caught]


@dataclass(frozen=True)
class Case:
    """One forgery: how the original is changed, and who must refuse it.

    `adds`: tables that may gain a row, where an envelope is acknowledged and what it holds is set aside. `records`
    changes the target's address records for this case, in place of the bytes.
    """

    name: str
    layer: str
    forge: Forge
    adds: tuple[str, ...] = ()
    acknowledged: bool = False
    records: Callable[[Directory], Directory] | None = None
    after_control: bool = False

    def __str__(self) -> str:
        return self.name


async def caught(brokers: Pair, side: Side, raw: bytes, seen: dict[str, intake.Taken] | None = None) -> Draft:
    """Let a side send a document, and catch the envelope before anyone reads it."""
    brokers.wire.plan.append("catch")
    taken = await side.post(raw)
    if seen is not None:
        seen["caught"] = taken
    await brokers.run()
    return take(brokers.wire.caught.pop())


@asynccontextmanager
async def messages(folder: Path) -> AsyncIterator[Scene]:
    """A dialogue message from left to right, caught; another of left's, and one of the third party's to right."""
    async with pair(folder, third=True) as brokers:
        document = dialogue(MSG_ID)
        original = await caught(brokers, brokers.left, document)
        other = await caught(brokers, brokers.left, dialogue(OTHER_MSG_ID, text="Helt andre ord"))
        thirds = await caught(brokers, brokers.third, dialogue(THIRDS_MSG_ID, sender=NORDLI))
        yield Scene(
            name="message",
            brokers=brokers,
            folder=folder,
            target=brokers.right,
            original=original,
            seen={"other": other, "third's": thirds},
            documents={"document": document},
        )


@asynccontextmanager
async def acknowledgments(folder: Path) -> AsyncIterator[Scene]:
    """Two messages that right has, and its two Acknowledgments, caught on their way to left as POSTs of their own."""
    async with pair(folder, sync=False, third=True) as brokers:
        drafts, taken = [], {}
        for name, msg_id in (("one", MSG_ID), ("two", OTHER_MSG_ID)):
            brokers.wire.plan = ["pass", "catch"]
            taken[name] = await brokers.left.post(dialogue(msg_id, text=f"Melding {name}"))
            await brokers.run()
            drafts.append(take(brokers.wire.caught.pop()))
        original, other = drafts
        yield Scene(
            name="Acknowledgment",
            brokers=brokers,
            folder=folder,
            target=brokers.left,
            original=original,
            seen={"other": other},
            taken=taken,
        )


@asynccontextmanager
async def message_errors(folder: Path) -> AsyncIterator[Scene]:
    """Two messages that right never answered, and a MessageError of right's about the first."""
    async with pair(folder, sync=False, third=True) as brokers:
        sent, taken = [], {}
        for name, msg_id in (("one", MSG_ID), ("two", OTHER_MSG_ID)):
            held: dict[str, intake.Taken] = {}
            sent.append(await caught(brokers, brokers.left, dialogue(msg_id), held))
            taken[name] = held["caught"]
        errors = [message_error(draft, number) for number, draft in enumerate(sent)]
        yield Scene(
            name="MessageError",
            brokers=brokers,
            folder=folder,
            target=brokers.left,
            original=errors[0],
            seen={"other": errors[1]},
            taken=taken,
        )


def message_error(about: Draft, number: int) -> Draft:
    """Return a MessageError of right's about an envelope, signed by it."""
    header = parse_header(parse(about.root.encode(), max_bytes=10**6))
    error = build_message_error(
        header, NotTrusted("x"), message_id=f"error-{number}@b{DALBYGDA}.test", timestamp=header.timestamp
    )
    root = sign_envelope(build(error), {}, RIGHT).decode()
    return Draft(endpoint=f"http://127.0.0.1/{FJORDVIK}", root=root, parts=())


@asynccontextmanager
async def receipts(folder: Path) -> AsyncIterator[Scene]:
    """A message that right has and accepts: its AppRec, caught on its way to left. Left wrote to the third one too."""
    async with pair(folder, third=True) as brokers:
        taken = {
            "one": await brokers.left.post(dialogue(MSG_ID)),
            "third": await brokers.left.post(dialogue(TO_THIRD, receiver=NORDLI)),
        }
        await brokers.run()
        ((_, item),) = await brokers.right.inbox()
        answered = await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
        brokers.wire.plan.append("catch")
        await brokers.run()
        assert answered.apprec_message is not None
        ((found, *_),) = [await brokers.right.store.find(answered.apprec_message, hers=None)]
        document = await brokers.right.store.body(found.message.body)
        yield Scene(
            name="AppRec",
            brokers=brokers,
            folder=folder,
            target=brokers.left,
            original=take(brokers.wire.caught.pop()),
            documents={"document": document},
            taken=taken,
        )


def pinned(her: int, *certificates: x509.Certificate) -> Callable[[Directory], Directory]:
    """Return the change that pins these signing certificates in the record of an organisation, and no others."""

    def change(directory: Directory) -> Directory:
        organisation = her // 100 * 100
        party = replace(directory.parties[organisation], signing=certificates)
        return replace(directory, parties={**directory.parties, organisation: party})

    return change


def for_left(document: bytes) -> bytes:
    return sealed(document, LEFT_OPENS.certificate)


def for_right(document: bytes) -> bytes:
    return sealed(document, RIGHT_OPENS.certificate)


def put(old: str, new: str) -> Forge:
    return lambda scene: scene.original.put(old, new)


def edit(where: str, by: str) -> Forge:
    return lambda scene: scene.original.edit(where, by)
