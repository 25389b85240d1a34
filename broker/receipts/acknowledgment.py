"""The transport receipt: what we acknowledge with, and when a peer's Acknowledgment counts as one.

It says that the envelope arrived, and nothing of what became of the document in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.envelope.ebms import MSH_SERVICE, Acknowledgment, Description, Envelope, Header, Kind, her_id
from broker.envelope.signature import Verified
from broker.envelope.xmldsig import Reference
from broker.errors import Inconsistent, NotTrusted
from broker.message import Digest
from broker.message import Envelope as Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalForm:
    """How the partner's engine wants our signals said, where engines differ. The defaults are what most take.

    `service_type`: an engine looks for its channel by the bare URI, so there is none. `roles`: those of the message,
    swapped. `reference`: HIS 1037 (errata of 2019) wants no RefToMessageId in the MessageData of an Acknowledgment;
    most engines find the original by nothing else.
    """

    service_type: str | None = None
    roles: bool = False
    reference: bool = True
    descriptions: tuple[Description, ...] = ()


USUAL = SignalForm()


def digests(references: Sequence[Reference]) -> tuple[Digest, ...]:
    """Return references as the values that are kept and compared."""
    return tuple(Digest(uri=one.uri, method=one.digest_method, value=one.digest_value) for one in references)


def answer_header(
    received: Header,
    kind: Kind,
    *,
    message_id: str,
    timestamp: datetime,
    ref_to_message_id: str | None,
    form: SignalForm = USUAL,
) -> Header:
    """Return the header of a signal that answers `received`: same agreement and conversation, parties swapped."""
    return Header(
        from_=received.to,
        to=received.from_,
        from_role=received.to_role if form.roles else None,
        to_role=received.from_role if form.roles else None,
        cpa_id=received.cpa_id,
        conversation_id=received.conversation_id,
        service=MSH_SERVICE,
        service_type=form.service_type,
        action=kind,
        message_id=message_id,
        timestamp=timestamp,
        ref_to_message_id=ref_to_message_id,
        descriptions=form.descriptions,
    )


def build_acknowledgment(
    received: Header,
    references: Sequence[Reference],
    *,
    message_id: str,
    timestamp: datetime,
    form: SignalForm = USUAL,
) -> Envelope:
    """Return the Acknowledgment of an envelope that is on disk (ebMS 2.0, 6.3.2). The caller signs and sends it.

    `references` are those of its verified signature, or none where it was unsigned.
    """
    return Envelope(
        header=answer_header(
            received,
            Kind.ACKNOWLEDGMENT,
            message_id=message_id,
            timestamp=timestamp,
            ref_to_message_id=received.message_id if form.reference else None,
            form=form,
        ),
        acknowledgment=Acknowledgment(
            timestamp=timestamp,
            ref_to_message_id=received.message_id,
            from_=received.to,
            references=tuple(references),
        ),
    )


def check_acknowledgment(received: Envelope, verified: Verified | None, sent: Sent) -> None:
    """Check that `received` acknowledges the envelope `sent`, by the party that it went to.

    `verified` is the outcome for a signed Acknowledgment, by the certificates of that party; None for an unsigned one.
    Works for an Acknowledgment alone and for one that came with a business answer. Raises Inconsistent where it is
    not about this envelope, NotTrusted where it lacks the signature or the digests that were agreed, or has others.
    """
    acknowledgment = received.acknowledgment
    if acknowledgment is None:
        raise Inconsistent("no Acknowledgment in the envelope", location="//Header/Acknowledgment")
    if acknowledgment.ref_to_message_id != sent.eb_id:
        raise Inconsistent("of another message", location="//Header/Acknowledgment/RefToMessageId")
    check_about(received.header, sent)
    if acknowledgment.from_ and her_id(acknowledgment.from_) != sent.to_her:
        raise Inconsistent("from someone else than the receiver", location="//Header/Acknowledgment/From")
    # Where none was asked for, one that proves nothing is worth nothing: any one could have written it.
    if verified is None and (sent.ack_signed or not sent.ack_requested):
        raise NotTrusted("the Acknowledgment is not signed, and an unsigned one is not agreed")
    # A set of its own size on both sides: a digest repeated or left out is no proof of the whole.
    told = [(one.uri, one.digest_value) for one in acknowledgment.references]
    kept = [(one.uri, one.value) for one in sent.digests]
    if (told or sent.ack_signed) and (len(told) != len(kept) or set(told) != set(kept)):
        raise NotTrusted("the Acknowledgment has other digests than what we sent")


def check_about(header: Header, sent: Sent) -> None:
    """Check that a signal is by the receiver of `sent`, to its sender, in its agreement.

    Where MessageData has a RefToMessageId it must be that of `sent`; an Acknowledgment need not have one. A business
    answer refers to what it answers, which is the same message. Raises Inconsistent, with the place.
    """
    if (header.from_her, header.to_her) != (sent.to_her, sent.from_her):
        raise Inconsistent(
            "parties are not those of the envelope sent, swapped", location="//Header/MessageHeader/From"
        )
    if header.cpa_id != sent.cpa_id:
        raise Inconsistent("in another agreement", location="//Header/MessageHeader/CPAId")
    if header.ref_to_message_id not in {None, sent.eb_id}:
        raise Inconsistent("of another message", location="//Header/MessageHeader/MessageData/RefToMessageId")
