"""Every error we raise, as one tree. It decides whose fault a thing is, and what code we answer with.

    BrokerError
     ├─ Refused            the message is wrong; sending it again changes nothing
     │   ├─ MalformedXml, MimeProblem, OtherXml, Inconsistent, ValueNotRecognized, NotSupported, TimeToLiveExpired
     │   ├─ NotTrusted, CannotOpen          (SecurityFailure: answered without detail)
     │   └─ DocumentRefused                 (AppRec code; carries every fault found)
     ├─ Postponed          the world is wrong; the same message may pass later
     │   └─ Unaddressable, PartnerUnusable, OwnKeyUnusable, RevocationUnknown, TransportFailed, LaneClosed, StoreBusy,
     │       SenderHeld
     ├─ Denied, Conflict, KeyReused, Unknown
     │                     what an API client may not do, may not repeat otherwise, or may not know of
     ├─ StoreBroken        nothing is certain any more: the process must end
     └─ Misconfigured      a setting or data file is wrong; names the file, the place in it and the right form

`why` and `hint` are read by operators and stand in logs. They never quote a value out of a message body.
"""

from typing import ClassVar


class BrokerError(Exception):
    """Base of all our errors: one sentence that says why, and a hint that says what to do."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.hint = why, hint


class Refused(BrokerError):
    """The message is wrong. `code` is the ebMS 2.0 errorCode (4.2.3.4), `apprec` the AppRec code (list 8221)."""

    code: ClassVar[str] = "Unknown"
    apprec: ClassVar[str] = "X99"

    def __init__(self, why: str, *, hint: str = "", location: str = "") -> None:
        super().__init__(why, hint=hint)
        self.location = location  # XPath of an envelope element, or a cid: URI; ebMS Error/@location


class MalformedXml(Refused):
    """Not well-formed XML, or XML with a construct that we never accept (DOCTYPE, excessive depth)."""

    code, apprec = "OtherXml", "T01"

    def __init__(self, why: str, *, hint: str = "", location: str = "", line: int | None = None) -> None:
        super().__init__(why, hint=hint, location=location)
        self.line = line


class OtherXml(Refused):
    """Well-formed, but not an ebXML envelope that the schema allows."""

    code, apprec = "OtherXml", "T02"


class MimeProblem(Refused):
    """The MIME entity is broken, or a part that the Manifest names is not there."""

    code = "MimeProblem"


class Inconsistent(Refused):
    """An element contradicts another, or the agreement."""

    code = "Inconsistent"


class ValueNotRecognized(Refused):
    """An element's value is not known here: CPAId, Service, Action, RefToMessageId."""

    code = "ValueNotRecognized"


class NotSupported(Refused):
    """A module of ebMS that we do not offer: MessageOrder, nextMSH."""

    code = "NotSupported"


class MustUnderstand(Refused):
    """A SOAP header that must be understood and is not. Answered with a SOAP Fault (SOAP 1.1, 4.2.3)."""

    code = "NotSupported"


class TimeToLiveExpired(Refused):
    """The envelope came after its TimeToLive."""

    code = "TimeToLiveExpired"


class NotTrusted(Refused):
    """A signature, certificate or sender does not hold. Sending again changes nothing."""

    code, apprec = "SecurityFailure", "S01"


class CannotOpen(Refused):
    """Ciphertext that does not open. One class and one sentence for every cause, else it is an oracle."""

    code = "SecurityFailure"


class Postponed(BrokerError):
    """The world is wrong, not the message. `error_id` names the cause in the catalogue of diagnosis."""

    def __init__(self, why: str, *, error_id: str, hint: str = "") -> None:
        super().__init__(why, hint=hint)
        self.error_id = error_id


class Unaddressable(Postponed):
    """No way to the receiver now: no agreement, no endpoint, or no address registry that could answer."""


class PartnerUnusable(Postponed):
    """The partner's certificate can't be used: expired, not yet valid, wrong usage, or none."""


class RevocationUnknown(Postponed):
    """Nobody who may say it could say whether a certificate is revoked: the service is down, or does not know."""


class OwnKeyUnusable(Postponed):
    """Our own key or certificate can't be used: expired, not yet valid, wrong usage, or none."""


class TransportFailed(Postponed):
    """The carrier did not carry. `maybe_read` says whether the partner may have read a whole copy."""

    def __init__(self, why: str, *, error_id: str, maybe_read: bool, hint: str = "") -> None:
        super().__init__(why, error_id=error_id, hint=hint)
        self.maybe_read = maybe_read


class StoreBusy(Postponed):
    """The store cannot take more now (disk full, stopping). Nothing was taken."""


class SenderHeld(Postponed):
    """Too many ciphertexts of this sender did not open: for a while nothing of it is decrypted."""


class Denied(BrokerError):
    """The client's token is not bound to this HER-id."""

    def __init__(self, her_id: int) -> None:
        super().__init__(f"the token is not bound to HER-id {her_id}", hint="use the token of that party's system")
        self.her_id = her_id


class Conflict(BrokerError):
    """Something else was said under this name before: another document under the MsgId, or another verdict."""


class KeyReused(BrokerError):
    """The client gave this Idempotency-Key with another document before."""


class Unknown(BrokerError):
    """There is no such thing, or it is not the client's."""


class StoreBroken(BrokerError):
    """A write or fsync failed for another reason than a full disk. The process must end: nothing is certain."""


class Misconfigured(BrokerError):
    """A setting or data file is wrong. Names the file, the place in it and the right form."""

    def __init__(self, why: str, *, where: str, hint: str = "") -> None:
        super().__init__(f"{where}: {why}", hint=hint)
        self.where = where
