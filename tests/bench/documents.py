"""The document of the benchmark: a clinical dialogue message of 10 KB, each with a MsgId of its own."""

from datetime import datetime

from broker.demo.documents import Code, Dialogue, Head, Unit, document, note
from broker.demo.people import AASE, NURSE

SIZE = 10_000  # bytes
HERE = Unit(her=8000101, name="Hjemmetjenesten nord", organisation_her=8000100, organisation_name="Fjordvik kommune")
THERE = Unit(her=8000201, name="Hjemmetjenesten", organisation_her=8000200, organisation_name="Dalbygda kommune")
_SENTENCE = "Vi har snakket sammen om dagene hjemme, og om hva som skal til for at de går godt. "
_PLACE = "00000000-0000-4000-8000-000000000000"


class Documents:
    """Makes documents that differ in their MsgId alone."""

    def __init__(self, made_at: datetime) -> None:
        self._made_at = made_at
        empty = len(self._with("").encode())
        text = _SENTENCE * ((SIZE - empty) // len(_SENTENCE.encode()))
        self._before, self._after = self._with(text).encode().split(_PLACE.encode())

    def _with(self, text: str) -> str:
        head = Head(
            type=Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog"),
            msg_id=_PLACE,
            made_at=self._made_at,
            sender=HERE,
            receiver=THERE,
            patient=AASE,
        )
        theme = Code(value="6", text="Henvendelse om pasient", listed="7322")
        business = note(Dialogue.V1_1, theme, subject="Samtale", text=text, author=NURSE)
        return document(head, business, title="Samtale").decode()

    def with_id(self, msg_id: str) -> bytes:
        """Return the document of that MsgId (36 characters)."""
        return self._before + msg_id.encode() + self._after
