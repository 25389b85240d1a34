"""Opening what came: by which rules a payload is decrypted, or taken as it is, and read as a document.

Signature and sender are looked at by now. From here until the document names its sender every fault is the one fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.x509 import Certificate

from broker import telemetry
from broker.arrivals import Came
from broker.diagnosis import causes
from broker.envelope import mime, xmlenc
from broker.envelope.signature import WITH_SHA1, Verified, verify_document
from broker.envelope.xml import parse
from broker.errors import CannotOpen, MimeProblem, NotTrusted, SenderHeld
from broker.message import Direction, PartyRef
from broker.ports import Doors
from broker.routing import choose
from broker.routing.party import Switch, Trust
from broker.routing.trust import ended, signature_policy
from broker.sealing import cms
from broker.sealing.algorithms import allowed
from broker.validation.documents import Judged, judge
from broker.validation.sentences import fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The document of an envelope, as it was read, and what came beside it, in the order of the Manifest."""

    document: bytes
    judged: Judged
    others: tuple[tuple[mime.Part, bytes], ...]  # as they came, and opened


def refuse_xml_encryption(parts: tuple[mime.Part, ...]) -> None:
    """Raise CannotOpen where a payload is encrypted by XML Encryption, with what it says of itself. No key is used."""
    for part in parts:
        if (told := xmlenc.described(part.body)) is not None:
            raise CannotOpen(f"{told}: it is not opened here, and CMS is to be agreed on")


def open_(came: Came, verified: Verified | None, doors: Doors) -> Opened:
    """Decrypt all payloads; the first that can be read is the document.

    Raises CannotOpen for every fault before the document can be read, SenderHeld after too many.

    The count is kept here, in the thread that decrypts: were it kept on the loop, as many as wait for a thread would
    be opened before the first of them is counted. What nobody signed is not counted: else anybody could have a partner
    held.
    """
    if (end := doors.holds.until(came.from_her, came.at)) is not None:
        why = "too many ciphertexts of this sender did not open"
        raise SenderHeld(why, error_id=causes.SENDER_HELD, hint=f"held until {end:%F %T} UTC")
    try:
        contents = _decrypt_all(came, doors)
        place, judged = _document(came, contents, doors)
        content = contents[place]
        others = tuple((part, came_too) for part, came_too in zip(came.parts, contents, strict=True))
        others = (*others[:place], *others[place + 1 :])
        if others and judged.apprec is not None:
            raise CannotOpen("an AppRec with other payloads beside it: nobody would be given them")
        return Opened(document=content, judged=_own_signature(came, content, judged), others=others)
    except CannotOpen:
        if verified is not None:
            doors.holds.failed(came.from_her, came.at)
        raise


def _decrypt_all(came: Came, doors: Doors) -> tuple[bytes, ...]:
    contents: list[bytes] = []
    for part in came.parts:
        contents.append(_decrypt(came, part.body, doors))
        if len(contents) > 1 and sum(map(len, contents)) > doors.site.max_envelope:
            raise CannotOpen("what was opened is too large altogether")
    return tuple(contents)


def _document(came: Came, contents: tuple[bytes, ...], doors: Doors) -> tuple[int, Judged]:
    """Return which payload is the document: the first, in the order of the Manifest, that says who it is from."""
    for place, content in enumerate(contents):
        judged = judge(
            content,
            schemas=doors.schemas(),
            processes=doors.processes(),
            codes=doors.codes,
            environment=doors.site.environment,
            kind_of=came.directory.kind_of,
            at=came.at,
        )
        if _sender_of(judged) is not None:
            return place, judged
    raise CannotOpen("what was opened does not say who it is from")


def _decrypt(came: Came, payload: bytes, doors: Doors) -> bytes:
    if not cms.looks_like_cms(payload):  # by what it is: labels are wrong as often as not
        if Switch.PLAINTEXT not in came.directory.switches(came.from_her):
            raise CannotOpen("plaintext where ciphertext is agreed")
        return _unpacked(payload)
    if not came.agreement.signed:  # before the key: whoever asks it to open something must be known
        raise NotTrusted("ciphertext under an agreement without signatures is not opened")
    on = came.at.date()
    triple_des = allowed(cms.Cipher.TRIPLE_DES_CBC.oid, Direction.IN, on, came.directory.in_force(came.from_her, on))
    try:
        keys = doors.keys.opening(came.to_her)
        opened = cms.open_(payload, keys, random=doors.randomness.bytes, allow_3des=triple_des)
    except CannotOpen as why:
        raise CannotOpen(why.why + ended(came.directory, came.from_her, Switch.TRIPLE_DES, came.at)) from None
    if opened.cipher is cms.Cipher.TRIPLE_DES_CBC:
        telemetry.outdated("3des", party=came.from_her)
    return _unpacked(opened.content)


def _unpacked(content: bytes) -> bytes:
    if not mime.looks_like_gzip(content):
        return content
    try:
        return mime.gunzip(content)
    except MimeProblem:  # by now every fault is the one fault
        raise CannotOpen("what was opened does not unpack") from None


def _sender_of(judged: Judged) -> PartyRef | None:
    """Return the sender that a document names, if it can be read at all."""
    document = judged.head or judged.apprec
    return None if document is None or document.receiver is None else document.sender


def _own_signature(came: Came, content: bytes, judged: Judged) -> Judged:
    """Look at the document's own signature, where there is one; an absent one is fine.

    Where the process agrees on one it is the sender's, and a broken one is the one fault: raises CannotOpen. Where it
    does not, a broken one is a fault of the document.
    """
    if judged.head is None or not judged.head.signed:
        return judged
    xml = parse(content, max_bytes=len(content))
    agreed = judged.process is not None and judged.process.sign_document
    try:
        if agreed:
            trusted: Sequence[Certificate] = choose.signers(came.directory, came.from_her, came.at)
            if came.directory.trust(came.from_her) is Trust.PATH:  # the one whose path and revocation were judged
                trusted = (came.signer,) if came.signer else ()
            verify_document(xml, trusted=trusted, policy=signature_policy(came.directory, came.from_her, came.at))
        else:
            verify_document(xml, trusted=None, policy=WITH_SHA1)
    except NotTrusted:
        if agreed:
            raise CannotOpen("the document's own signature does not hold") from None
        broken = fault("document.signature", line=None, path="/MsgHead/Signature")
        return replace(judged, faults=(*judged.faults, broken))
    return judged


def require_sender(came: Came, judged: Judged) -> None:
    """Check that who is authorised for the envelope is who the document is from. Raises NotTrusted."""
    sender = _sender_of(judged)
    if sender is None or sender.her != came.from_her:
        raise NotTrusted("the document names another sender than the envelope")
