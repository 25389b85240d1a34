"""A partner's signal about an envelope of ours: read, verified and matched, whichever way it came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.x509 import Certificate

from broker.envelope import mime
from broker.envelope.ebms import Envelope, Kind
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.signature import STRICT, SignaturePolicy, Verified, is_signed, verify_envelope
from broker.envelope.xml import Xml, parse
from broker.errors import Inconsistent, NotTrusted
from broker.message import Envelope as Sent
from broker.receipts.acknowledgment import check_acknowledgment
from broker.receipts.message_error import check_message_error

# Who may sign for the receiver: its certificates, or what finds them in the signal itself (trust by path).
Trusted: TypeAlias = Sequence[Certificate] | Callable[[Xml], Sequence[Certificate]]

MAX_SIGNAL = 1_000_000  # bytes; an Acknowledgment with a hundred digests has 60,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a believed signal says: it acknowledges, or it refuses, or it only warns."""

    acknowledges: bool
    refuses: bool
    codes: tuple[str, ...] = ()
    verified: Verified | None = None  # None: it came unsigned


def read_signal(
    content_type: str,
    body: bytes,
    *,
    sent: Sent,
    trusted: Trusted,
    policy: SignaturePolicy = STRICT,
    channel_trusted: bool,
) -> Signal:
    """Return what the HTTP answer to `sent` says. Raises as `check_signal`, and Refused where it is no envelope."""
    entity = mime.read(content_type, body)
    xml = parse(entity.root.body, max_bytes=MAX_SIGNAL)
    return check_signal(
        parse_envelope(xml), xml, sent=sent, trusted=trusted, policy=policy, channel_trusted=channel_trusted
    )


def check_signal(
    envelope: Envelope,
    xml: Xml,
    *,
    sent: Sent,
    trusted: Trusted,
    policy: SignaturePolicy = STRICT,
    channel_trusted: bool,
) -> Signal:
    """Return what a signal about `sent` says, if it is to be believed.

    An Acknowledgment must be signed by the receiver with our digests, unless an unsigned one is agreed. A MessageError
    must be signed by the receiver too, or stand in the answer over a channel whose far end was authenticated: engines
    send it unsigned. Raises NotTrusted, or Inconsistent where it is not about `sent`.
    """
    verified: Verified | None = None
    if is_signed(xml):
        signers = trusted(xml) if callable(trusted) else trusted
        verified = verify_envelope(xml, {}, trusted=signers, policy=policy)
    if envelope.kind is Kind.ACKNOWLEDGMENT:
        check_acknowledgment(envelope, verified, sent)
        return Signal(acknowledges=True, refuses=False, verified=verified)
    if envelope.kind is Kind.MESSAGE_ERROR:
        verdict = check_message_error(envelope, sent)
        if verified is None and not channel_trusted:
            raise NotTrusted("a MessageError without a signature, on a channel that proves nothing")
        return Signal(acknowledges=False, refuses=verdict.refused, codes=verdict.codes, verified=verified)
    raise Inconsistent("neither an Acknowledgment nor a MessageError", location="//Header/MessageHeader/Action")
