"""The MessageError: how a refusal is told to a partner, and what a partner's refusal means for us."""

from dataclasses import dataclass
from datetime import datetime

from broker.envelope.ebms import EbError, Envelope, ErrorList, Header, Kind, Severity
from broker.errors import Inconsistent, NotTrusted, Refused
from broker.message import Envelope as Sent
from broker.receipts.acknowledgment import USUAL, SignalForm, answer_header, check_about


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a partner's MessageError says of an envelope of ours. `refused`: it will not take it (severity Error)."""

    refused: bool
    codes: tuple[str, ...]
    errors: tuple[EbError, ...]


def build_message_error(
    received: Header,
    refused: Refused,
    *,
    message_id: str,
    timestamp: datetime,
    form: SignalForm = USUAL,
) -> Envelope:
    """Return the MessageError that tells the sender of `received` why it was refused (4.2.3).

    SecurityFailure says that and no more, whatever the cause: detail would help who is guessing at keys.
    """
    secret = refused.code == NotTrusted.code
    error = EbError(
        code=refused.code,
        severity=Severity.ERROR,
        location=None if secret else refused.location or None,
        description=None if secret else refused.why,
    )
    return Envelope(
        header=answer_header(
            received,
            Kind.MESSAGE_ERROR,
            message_id=message_id,
            timestamp=timestamp,
            ref_to_message_id=received.message_id,
            form=form,
        ),
        error_list=ErrorList(errors=(error,)),
    )


def check_message_error(received: Envelope, sent: Sent) -> Verdict:
    """Return what a MessageError says of the envelope `sent`.

    Whether it is to be believed is the caller's to decide, by its signature or by the channel it came on: engines
    send it unsigned. Raises Inconsistent where it is not about `sent`.
    """
    if received.error_list is None:
        raise Inconsistent("no ErrorList in the envelope", location="//Header/ErrorList")
    if received.header.ref_to_message_id is None:
        raise Inconsistent("of no message", location="//Header/MessageHeader/MessageData/RefToMessageId")
    check_about(received.header, sent)
    errors = received.error_list.errors
    return Verdict(
        refused=received.error_list.highest_severity == Severity.ERROR,
        codes=tuple(one.code for one in errors),
        errors=errors,
    )
