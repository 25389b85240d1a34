"""Documents for load: valid, synthetic, of a chosen size, each with a MsgId of its own."""

from broker.demo.documents import Attachment, Code, Dialogue, Head, Unit, document, note
from broker.demo.people import AASE, NURSE
from broker.demo.site import DemoSite
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness

LARGE = 300_000  # bytes of attachment: such a body, and its envelope, are files of their own
_TYPE = Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog")
_THEME = Code(value="6", text="Henvendelse om pasient", listed="7322")


def letter(sender: Unit, receiver: Unit, *, size: int = 0) -> tuple[str, bytes]:
    """Return MsgId and bytes of a clinical message; `size` bytes of attachment ride along."""
    msg_id = SystemRandomness().id()
    head = Head(type=_TYPE, msg_id=msg_id, made_at=SystemClock().now(), sender=sender, receiver=receiver, patient=AASE)
    text = note(Dialogue.V1_1, _THEME, subject="Sårstell", text="Såret gror fint. Ny time på onsdag.", author=NURSE)
    rides: tuple[Attachment, ...] = ()
    if size:
        rides = (Attachment(description="bilde", mime_type="image/png", content=SystemRandomness().bytes(size)),)
    return msg_id, document(head, text, title="Sårstell", attachments=rides)


def lay_out(sender: DemoSite, receiver: DemoSite, *, size: int = 0) -> str:
    """Lay a letter in the outbox of the sender's simulator, which posts it. Returns its MsgId."""
    msg_id, content = letter(sender.unit, receiver.unit, size=size)
    draft = sender.drafts / f"{msg_id}.xml"
    draft.write_bytes(content)
    draft.rename(sender.outbox / draft.name)  # whole, or not there
    return msg_id
