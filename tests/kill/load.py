"""What is posted while brokers die: documents of every kind of ending, all made beforehand, each with its rule."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from broker.demo.cases import DALBYGDA, FJORDVIK, UNITS
from broker.demo.documents import Attachment, Code, Dialogue, Head, document, note
from broker.demo.pdf import padded_pdf
from broker.demo.people import AASE, NURSE
from broker.demo.simulator import Rule

_SIDES = (FJORDVIK, DALBYGDA)
_CLINICAL = Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog")
_THEME = Code(value="6", text="Henvendelse om pasient", listed="7322")
_NO = Rule(status="Rejected", codes=("E35",))
_IN_PART = Rule(status="OkErrorInMessagePart", codes=("E35",))
_FILE = 400_000  # bytes: more than stands in a row of the store, so it lies in a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One document, who posts it, and what its receiver says."""

    name: str  # of its file; they are posted in this order
    sender: str
    msg_id: str
    content: bytes
    rule: Rule | None  # None: no receipt is owed

    @property
    def receiver(self) -> str:
        return _SIDES[1 - _SIDES.index(self.sender)]

    @property
    def digest(self) -> str:
        return sha256(self.content).hexdigest()

    @property
    def ending(self) -> str:
        """Return what the sender's EPJ must be told in the end."""
        if self.rule is None:
            return "message.completed"
        return {
            "Ok": "message.apprec_ok",
            "Rejected": "message.apprec_rejected",
            "OkErrorInMessagePart": "message.apprec_partial",
        }[self.rule.status]


def make_posts(count: int, *, new_id: Callable[[], str], now: datetime, seed: random.Random) -> tuple[Post, ...]:
    """Return `count` documents, half of them from each side."""
    return tuple(_post(number, new_id(), now, seed) for number in range(count))


def _post(number: int, msg_id: str, now: datetime, seed: random.Random) -> Post:
    sender = _SIDES[number % 2]
    (rule,) = seed.choices((Rule(), _NO, _IN_PART, None), weights=(45, 10, 5, 40))
    head = Head(
        type=_CLINICAL,
        msg_id=msg_id,
        made_at=now,
        sender=UNITS[sender],
        receiver=UNITS[_SIDES[1 - number % 2]],
        patient=AASE,
    )
    files = [] if seed.randrange(50) else [_file(number)]
    business = note(Dialogue.V1_1, _THEME, subject="Samtale", text=f"Nummer {number}", author=NURSE)
    content = document(head, business, title="Samtale", attachments=files)
    if rule is None:
        start = content.index(b"<Ack ")
        content = content[:start] + b'<Ack V="N" DN="Nei"/>' + content[content.index(b"/>", start) + 2 :]
    return Post(name=f"{number:06d}", sender=sender, msg_id=msg_id, content=content, rule=rule)


def _file(number: int) -> Attachment:
    content = padded_pdf("Oppdiktet", size=_FILE, seed=str(number))
    return Attachment(description="vedlegg.pdf", mime_type="application/pdf", content=content)
