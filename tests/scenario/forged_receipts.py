"""Forged Acknowledgments, MessageErrors and AppRecs: what must never settle a message, each by one change."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from broker.sealing.certificates import Use
from broker.sealing.keys import KeyPair
from tests.certificates import key_pair
from tests.scenario.forge import NEXT, NEXT_MSH, SIGNATURE, Draft
from tests.scenario.forged_signatures import DOWNGRADES, HEADER
from tests.scenario.pair import DALBYGDA, FJORDVIK, NORDLI, Caught
from tests.scenario.scenes import LEFT, MSG_ID, RIGHT, THIRD, TO_THIRD, UNKNOWN, Case, Forge, Scene, edit, for_left, put

ACKNOWLEDGMENT = "<eb:Acknowledgment .*</eb:Acknowledgment>"
PARTS_DIGEST = '(<ds:Reference URI="cid:[^>]*>.*?<ds:DigestValue>)[^<]*(</ds:DigestValue></ds:Reference>)'
FROM = f'<eb:From><eb:PartyId eb:type="HER">{DALBYGDA}</eb:PartyId></eb:From>'
RIGHT_ENCRYPTS = key_pair(f"side {DALBYGDA}", Use.ENCRYPT)


def signed(change: Forge, key: KeyPair = RIGHT) -> Forge:
    """Make the change, and sign the whole again."""

    def forge(scene: Scene) -> Draft:
        draft = change(scene)
        assert isinstance(draft, Draft)
        return draft.signed(key)

    return forge


def _of(scene: Scene, other: str, *, everywhere: bool = True) -> Draft:
    """Refer to the other message, in both places or in the Acknowledgment alone."""
    mine, theirs = (draft.value("eb:RefToMessageId") for draft in (scene.original, scene.seen[other]))
    if everywhere:
        return scene.original.put(mine, theirs, times=2)
    return scene.original.edit(f"(<eb:Acknowledgment .*?<eb:RefToMessageId>){re.escape(mine)}", rf"\g<1>{theirs}")


def _others_digests(scene: Scene) -> Draft:
    """Its own ids, and the digests of another message."""
    references = "(?<=</eb:From>)<ds:Reference .*(?=</eb:Acknowledgment>)"
    return scene.original.put(scene.original.found(references), scene.seen["other"].found(references))


def _as_third(draft: Draft) -> Draft:
    return draft.edit(f"^(.*?<eb:From>.*?){DALBYGDA}", rf"\g<1>{NORDLI}").put("<eb:CPAId>cpa-1", "<eb:CPAId>cpa-2")


def _without_parts_digest(scene: Scene) -> Draft:
    return scene.original.edit('<ds:Reference URI="cid:[^>]*>.*?</ds:Reference>(?=</eb:Acknowledgment>)', "")


def _digest_twice(scene: Scene) -> Draft:
    return scene.original.edit('(<ds:Reference URI="cid:[^>]*>.*?</ds:Reference>)(?=</eb:Acknowledgment>)', r"\1\1")


_ACKNOWLEDGMENTS = (
    Case("unsigned", "receipt matching", lambda s: s.original.unsigned()),
    Case("another key", "certificate", lambda s: s.original.signed(THIRD)),
    Case("our own key", "certificate", lambda s: s.original.signed(LEFT)),
    Case("the receiver's encryption key", "certificate", lambda s: s.original.signed(RIGHT_ENCRYPTS)),
    Case(
        "another key under the receiver's certificate",
        "signature",
        lambda s: s.original.signed(KeyPair(private_key=THIRD.private_key, certificate=RIGHT.certificate)),
    ),
    Case("from the third party, by its own agreement", "certificate", lambda s: _as_third(s.original).signed(THIRD)),
    Case(
        "from the third party, by the receiver's agreement",
        "agreement",
        lambda s: _as_third(s.original).put("cpa-2", "cpa-1").signed(THIRD),
    ),
    Case(
        "another digest of the payload",
        "receipt matching",
        signed(edit(f"({ACKNOWLEDGMENT[:-22]}.*?{PARTS_DIGEST[1:]}", r"\1AAAA\2")),
    ),
    Case("another message's digests", "receipt matching", signed(_others_digests)),
    Case("the digest of the payload left out", "receipt matching", signed(_without_parts_digest)),
    Case("a digest told twice", "receipt matching", signed(_digest_twice)),
    Case("no digests", "receipt matching", signed(edit("(?<=</eb:From>)<ds:Reference .*(?=</eb:Acknowledgment>)", ""))),
    Case("another digest, not signed anew", "signature", _others_digests),
    Case("of another open message, not signed anew", "signature", lambda s: _of(s, "other")),
    Case("of another open message, signed anew", "receipt matching", signed(lambda s: _of(s, "other"))),
    Case(
        "of another open message in one of two places",
        "receipt matching",
        signed(lambda s: _of(s, "other", everywhere=False)),
    ),
    Case(
        "of an unknown message",
        "receipt matching",
        signed(lambda s: s.original.put(s.original.value("eb:RefToMessageId"), UNKNOWN, times=2)),
    ),
    Case(
        "Acknowledgment from someone else",
        "receipt matching",
        signed(edit(f"({ACKNOWLEDGMENT[:-22]}.*?){DALBYGDA}", rf"\g<1>{NORDLI}")),
    ),
    Case("to someone else", "agreement", signed(edit(f"(<eb:To>.*?){FJORDVIK}", rf"\g<1>{NORDLI}"))),
    Case("for next", "envelope", edit('(<eb:Acknowledgment [^>]*?)SOAP:actor="[^"]*"', rf"\1{NEXT}")),
    Case("for nextMSH", "envelope", edit('(<eb:Acknowledgment [^>]*?)SOAP:actor="[^"]*"', rf"\1{NEXT_MSH}")),
    Case("two of them", "envelope", lambda s: s.original.last_in_header(s.seen["other"].found(ACKNOWLEDGMENT))),
    Case(
        "a forged MessageHeader for next",
        "envelope",
        lambda s: s.original.last_in_header(
            s.original.found(HEADER).replace("<eb:MessageHeader ", f"<eb:MessageHeader {NEXT} ")
        ),
    ),
    Case(
        "the signature moved into the body",
        "receipt matching",
        lambda s: s.original.put(s.original.found(SIGNATURE), "").put(
            "<SOAP:Body/>", f"<SOAP:Body>{s.original.found(SIGNATURE)}</SOAP:Body>"
        ),
    ),
    Case("a part that no one signed", "envelope", lambda s: s.original.beside("x@forge.test", b"x")),
    Case("its time", "signature", edit("(<eb:Acknowledgment [^>]*><eb:Timestamp>)2026", r"\g<1>2025")),
    replace(DOWNGRADES[0], name="RSA with SHA-1"),
)

_MESSAGE_ERRORS = (
    Case("unsigned, as a POST of its own", "receipt matching", lambda s: s.original.unsigned()),
    Case("another key", "certificate", lambda s: s.original.signed(THIRD)),
    Case("from the third party, by its own agreement", "certificate", lambda s: _as_third(s.original).signed(THIRD)),
    Case(
        "of another open message, not signed anew",
        "signature",
        lambda s: s.original.put(s.original.value("eb:RefToMessageId"), s.seen["other"].value("eb:RefToMessageId")),
    ),
    Case(
        "of an unknown message",
        "receipt matching",
        signed(lambda s: s.original.put(s.original.value("eb:RefToMessageId"), UNKNOWN)),
    ),
    Case("of no message", "receipt matching", signed(edit("<eb:RefToMessageId>.*?</eb:RefToMessageId>", ""))),
    Case("another code", "signature", put("SecurityFailure", "DeliveryFailure")),
    Case(
        "two lists",
        "envelope",
        lambda s: s.original.last_in_header(s.original.found("<eb:ErrorList .*</eb:ErrorList>")),
    ),
)


def _named(cases: tuple[Case, ...], what: str) -> tuple[Case, ...]:
    return tuple(replace(case, name=f"{what}: {case.name}") for case in cases)


ACKNOWLEDGMENTS = _named(_ACKNOWLEDGMENTS, "Acknowledgment")
MESSAGE_ERRORS = _named(_MESSAGE_ERRORS, "MessageError")

# --- AppRecs ---


def document(scene: Scene, *changes: tuple[str, str]) -> bytes:
    """Return the AppRec with texts changed, each of which stands there once."""
    text = scene.documents["document"].decode()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text.encode()


FLIPPED = (
    '<Status V="1" DN="OK"/>',
    '<Status V="2" DN="Avvist"/><Error V="E35" S="2.16.578.1.12.4.1.1.8221" DN="Pasienten finnes ikke"/>',
)


def saying(*changes: tuple[str, str], key: KeyPair = RIGHT) -> Forge:
    """Say something else in the AppRec, seal it for the receiver, and sign the whole, under a new eb:MessageId."""
    return lambda scene: scene.original.carrying(for_left(document(scene, *changes))).anew().signed(key)


def _by_third(*changes: tuple[str, str]) -> Forge:
    """A valid AppRec of the third party's, about what it pleases."""
    own = (f"<Id>{DALBYGDA}</Id>", f"<Id>{NORDLI}</Id>")

    def forge(scene: Scene) -> Draft:
        content = for_left(document(scene, own, *changes))
        return _as_third(scene.original).carrying(content).anew().signed(THIRD)

    return forge


def _id(scene: Scene) -> str:
    found = re.search(r"<GenDate>[^<]*</GenDate>\s*<Id>([^<]*)", scene.documents["document"].decode())
    assert found is not None
    return found[1]


def _another_id(*changes: tuple[str, str]) -> Forge:
    """Say something else in an AppRec with an id of its own."""

    def forge(scene: Scene) -> Draft | Caught:
        own = sha256(repr(changes).encode()).hexdigest()[:32]
        return saying((f"<Id>{_id(scene)}</Id>", f"<Id>{own}</Id>"), *changes)(scene)

    return forge


def _another_original(scene: Scene) -> str:
    text = scene.documents["document"].decode()
    found = text[text.index("<OriginalMsgId>") :].partition("</OriginalMsgId>")
    return (found[0] + found[1]).replace(MSG_ID, TO_THIRD)


ORIGINAL_ID = f"<Id>{MSG_ID}</Id>"
KEPT = ("received", "message")  # it is acknowledged, and kept for a person to look at

_RECEIPTS = (
    Case(
        "verdict flipped in a new ciphertext, not signed anew",
        "signature",
        lambda s: s.original.carrying(for_left(document(s, FLIPPED))),
    ),
    Case(
        "one bit of the ciphertext",
        "signature",
        lambda s: s.original.carrying(
            bytes((s.original.payload[0],)) + s.original.payload[1:-1] + bytes((s.original.payload[-1] ^ 1,))
        ),
    ),
    Case("unsigned", "signature", lambda s: s.original.unsigned()),
    Case("another key", "certificate", lambda s: s.original.signed(THIRD)),
    Case("verdict flipped, signed by the third party", "certificate", saying(FLIPPED, key=THIRD)),
    Case("in plaintext", "cms", lambda s: s.original.carrying(document(s)).signed(RIGHT)),
    Case("a third party's, with a valid certificate", "receipt matching", _by_third(), acknowledged=True, adds=KEPT),
    Case("a third party's rejection", "receipt matching", _by_third(FLIPPED), acknowledged=True, adds=KEPT),
    Case(
        "the receiver's own, passed on by the third party",
        "sender",
        lambda s: _as_third(s.original).carrying(for_left(document(s))).signed(THIRD),
    ),
    Case(
        "the receiver's ciphertext, passed on by the third party",
        "sender",
        lambda s: _as_third(s.original).signed(THIRD),
    ),
    Case("names the third party as its sender", "sender", saying((f"<Id>{DALBYGDA}</Id>", f"<Id>{NORDLI}</Id>"))),
    Case(
        "for someone else's MsgId",
        "receipt matching",
        _another_id((ORIGINAL_ID, f"<Id>{TO_THIRD}</Id>")),
        acknowledged=True,
        adds=KEPT,
    ),
    Case(
        "for an unknown MsgId",
        "receipt matching",
        _another_id((ORIGINAL_ID, f"<Id>{UNKNOWN}</Id>")),
        acknowledged=True,
        adds=KEPT,
    ),
    Case(
        "for someone else to read",
        "receipt matching",
        _another_id((f"<Id>{FJORDVIK}</Id>", f"<Id>{NORDLI}</Id>")),
        acknowledged=True,
        adds=KEPT,
    ),
    Case(
        "with an element that its schema does not have",
        "receipt matching",
        _another_id(("<MIGversion>", "<Ukjent/><MIGversion>")),
        acknowledged=True,
        adds=KEPT,
    ),
    Case("a verdict that does not exist", "document", saying(('<Status V="1"', '<Status V="4"'))),
    Case("two verdicts", "document", saying((FLIPPED[0], FLIPPED[0] + FLIPPED[1]))),
    Case(
        "two originals",
        "document",
        lambda s: saying(("</OriginalMsgId>", f"</OriginalMsgId>{_another_original(s)}"))(s),
    ),
    Case(
        "wrapped in another element",
        "document",
        lambda s: s.original.carrying(for_left(b"<x>" + document(s).partition(b"?>")[2] + b"</x>")).signed(RIGHT),
    ),
    Case("To: the third party", "agreement", signed(edit(f"(<eb:To>.*?){FJORDVIK}", rf"\g<1>{NORDLI}"))),
    Case(
        "verdict flipped on replay, under its own id",
        "duplicate",
        saying(FLIPPED),
        acknowledged=True,
        adds=("received",),
        after_control=True,
    ),
    Case(
        "verdict flipped on replay, under another id",
        "receipt matching",
        _another_id(FLIPPED),
        acknowledged=True,
        adds=KEPT,
        after_control=True,
    ),
    Case(
        "verdict flipped in the envelope that came",
        "duplicate",
        lambda s: s.original.carrying(for_left(document(s, FLIPPED))).signed(RIGHT),
        after_control=True,
    ),
    Case(
        "a third party's rejection after the verdict",
        "receipt matching",
        _by_third(FLIPPED),
        acknowledged=True,
        adds=KEPT,
        after_control=True,
    ),
)

RECEIPTS = _named(_RECEIPTS, "AppRec")


# --- what stands in the HTTP answer to our own POST ---


@dataclass(frozen=True)
class Answer:
    """One forged answer: what is put in the place of the Acknowledgment that right has given."""

    name: str
    layer: str
    forge: Callable[[Draft, Scene], Draft | Caught]

    def __str__(self) -> str:
        return self.name


ANSWERS = (
    Answer("answer: unsigned", "receipt matching", lambda a, _: a.unsigned()),
    Answer("answer: another key", "certificate", lambda a, _: a.signed(THIRD)),
    Answer("answer: another message's Acknowledgment", "receipt matching", lambda _, s: s.seen["other"]),
    Answer(
        "answer: no digests",
        "receipt matching",
        lambda a, _: a.edit("(?<=</eb:From>)<ds:Reference .*(?=</eb:Acknowledgment>)", "").signed(RIGHT),
    ),
    Answer(
        "answer: for next",
        "envelope",
        lambda a, _: a.edit('(<eb:Acknowledgment [^>]*?)SOAP:actor="[^"]*"', rf"\1{NEXT}"),
    ),
    Answer(
        "answer: an unsigned MessageError, over a channel that proves nothing",
        "receipt matching",
        lambda _, s: s.seen["error"].unsigned(),
    ),
)
