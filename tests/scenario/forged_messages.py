"""Forged messages: what must never come into an inbox, by the one thing in which each differs from a valid original."""

from dataclasses import replace

from cryptography.x509 import Certificate

from broker.envelope import mime
from broker.envelope.signature import sign_document
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair
from tests.certificates import NOT_AFTER, NOT_BEFORE, key_pair, rsa_key
from tests.scenario.forge import BOUNDARY, Draft, sealed
from tests.scenario.pair import FJORDVIK, NORDLI, START, Caught, dialogue
from tests.scenario.scenes import (
    FORGED_CONVERSATION,
    LEFT,
    LEFT_OPENS,
    MSG_ID,
    THIRD,
    Case,
    Forge,
    Scene,
    edit,
    for_right,
    pinned,
    put,
)

FROM = f'<eb:From><eb:PartyId eb:type="HER">{FJORDVIK}</eb:PartyId>'
MANIFEST = "<eb:Manifest.*?</eb:Manifest>"


def _self_made() -> KeyPair:
    """A certificate that says of its holder what the sender's says, with another key."""
    key = rsa_key("impostor")
    made = new_certificate(
        f"side {FJORDVIK}", "314159265", Use.SIGN, NOT_BEFORE, NOT_AFTER, key, serial=LEFT.certificate.serial_number
    )
    return KeyPair(private_key=key, certificate=made)


def _certificate(organisation: str, *, expired: bool = False) -> Certificate:
    """The sender's own key, under a certificate that is not good for this message."""
    end = START.replace(month=6) if expired else NOT_AFTER
    return new_certificate(
        "side", organisation, Use.SIGN, NOT_BEFORE, end, LEFT.private_key, serial=LEFT.certificate.serial_number
    )


EXPIRED, OTHERS_NUMBER = _certificate("314159265", expired=True), _certificate("271828182")
ENCRYPTING = key_pair(f"side {FJORDVIK}", Use.ENCRYPT)


def signed_after(where: str, by: str, key: KeyPair = LEFT) -> Forge:
    """Change one thing, and sign the whole again: who holds a key can say what he likes."""
    return lambda scene: scene.original.edit(where, by).signed(key)


def holding(document: bytes, key: KeyPair = LEFT) -> Forge:
    """Seal another document for the receiver, and sign the whole, under a new eb:MessageId, with a key."""
    return lambda scene: scene.original.carrying(for_right(document)).anew().signed(key)


def _bytes(scene: Scene, old: bytes, new: bytes) -> Caught:
    """Change the bytes on the wire, below MIME."""
    entity = scene.original.entity()
    assert entity.body.count(old) == 1, f"{old!r} stands {entity.body.count(old)} times"
    return replace(entity, body=entity.body.replace(old, new))


# --- MIME and XML ---


def _twice(scene: Scene) -> Caught:
    """A second part under the same Content-ID, which another reader might take."""
    entity = scene.original.beside("other@forge.test", b"other").entity()
    return replace(entity, body=entity.body.replace(b"other@forge.test", scene.original.cid.encode()))


def _forged_root(scene: Scene) -> Caught:
    """A forged envelope as the root; the signed one rides along as a part."""
    o = scene.original
    good = mime.Part(
        content_id="good@forge.test", content_type="text/xml", body=o.root.encode(), transfer_encoding="8bit"
    )
    return replace(o.unsigned().put(*FORGED_CONVERSATION), parts=(*o.parts, good)).entity()


def _start(scene: Scene) -> Caught:
    entity = scene.original.entity()
    return replace(entity, content_type=entity.content_type.replace("root@forge.test", scene.original.cid))


def _hidden(scene: Scene) -> Caught:
    """A delimiter after a bare line feed: one reader sees a part there, and another does not."""
    delimiter = f"--{BOUNDARY}--".encode()
    return _bytes(scene, delimiter, b"\n" + delimiter + b"\nContent-ID: <x>\n\nx\r\n" + delimiter)


def _utf16(scene: Scene) -> Caught:
    entity, root = scene.original.entity(), scene.original.root
    return replace(entity, body=entity.body.replace(root.encode(), root.encode("utf-16")))


MIME_AND_XML = (
    Case("two parts of one Content-ID", "mime", _twice),
    Case("start names the payload", "mime", _start),
    Case("a part behind a bare line feed", "mime", _hidden),
    Case("cut off before the last delimiter", "mime", lambda s: _cut(s)),
    Case("a DOCTYPE", "xml", put("<SOAP:Envelope ", "<!DOCTYPE x><SOAP:Envelope ")),
    Case("an instruction in the header", "xml", put("<eb:From>", "<?x y?><eb:From>")),
    Case("the envelope in UTF-16", "xml", _utf16),
    Case(
        "an attribute twice, under two prefixes, before a warning",
        "xml",
        put(
            "<eb:From><eb:PartyId ",
            '<eb:From xmlns:y="urn:y" xmlns:z="urn:y" y:a="1" z:a="2"><eb:PartyId xml:space="x" ',
        ),
    ),
    Case(
        "an unsigned part beside the signed one",
        "envelope",
        lambda s: s.original.beside("x@forge.test", b"more"),
    ),
    Case(
        "the Manifest names an unsigned part too",
        "agreement",
        lambda s: s.original.beside("x@forge.test", b"more").edit(
            "(<eb:Reference [^>]*>)(?=</eb:Manifest>)",
            r'\1<eb:Reference xlink:type="simple" xlink:href="cid:x@forge.test"/>',
        ),
    ),
    Case("a forged root, the signed one beside it", "envelope", _forged_root),
    Case("the payload renamed in MIME", "envelope", lambda s: s.original.renamed("x@forge.test")),
    Case(
        "the payload gone",
        "envelope",
        lambda s: replace(s.original, parts=()),
    ),
    Case(
        "payload and Manifest gone",
        "agreement",
        lambda s: replace(s.original.edit(MANIFEST, ""), parts=()),
    ),
    Case(
        "swapped cid: Manifest and part renamed together",
        "signature",
        lambda s: s.original.edit('(<eb:Reference [^>]*href=")[^"]*', r"\1cid:x@forge.test").renamed("x@forge.test"),
    ),
    Case(
        "another message's payload under the cid",
        "signature",
        lambda s: s.original.carrying(s.seen["other"].payload),
    ),
    Case(
        "one bit of the payload",
        "signature",
        lambda s: s.original.carrying(s.original.payload[:-1] + bytes((s.original.payload[-1] ^ 1,))),
    ),
    Case(
        "an empty payload",
        "signature",
        lambda s: s.original.carrying(b""),
    ),
    Case(
        "a payload sealed by a stranger, under the sender's signature",
        "signature",
        lambda s: s.original.carrying(for_right(dialogue(MSG_ID, text="En annens ord"))),
    ),
    Case(
        "the payload's transfer encoding lies",
        "signature",
        lambda s: _bytes(s, b"Encoding: base64", b"Encoding: 8bit"),
    ),
)


def _cut(scene: Scene) -> Caught:
    entity = scene.original.entity()
    return replace(entity, body=entity.body[:-6])


# --- one value of the header ---

HEADERS = (
    Case("From: someone without an agreement", "agreement", put(FROM, FROM.replace("8000101", "8000999"))),
    Case(
        "From: a party that has no agreement by this CPAId",
        "agreement",
        put(FROM, FROM.replace(str(FJORDVIK), str(NORDLI))),
    ),
    Case(
        "From: the third party, under its own CPAId",
        "certificate",
        lambda s: s.original.put(FROM, FROM.replace(str(FJORDVIK), str(NORDLI))).put(
            "<eb:CPAId>cpa-1", "<eb:CPAId>cpa-3"
        ),
    ),
    Case(
        "two PartyIds in From", "agreement", put("<eb:From>", '<eb:From><eb:PartyId eb:type="HER">8000301</eb:PartyId>')
    ),
    Case("From by another type of id", "agreement", put(FROM, FROM.replace('"HER"', '"ENH"'))),
    Case("From with a leading zero", "agreement", put(FROM, FROM.replace("8000101", "08000101"))),
    Case("To: not hosted here", "agreement", edit("(<eb:To>.*?)8000201", rf"\g<1>{NORDLI}")),
    Case("CPAId", "agreement", put("<eb:CPAId>cpa-1", "<eb:CPAId>cpa-2")),
    Case("an Action that no process has", "agreement", put("<eb:Action>Notat", "<eb:Action>Annet")),
    Case("a Role that no process has", "agreement", edit("(<eb:From>.*?<eb:Role>)[^<]*", r"\1Lege")),
    Case("AckRequested gone", "agreement", edit("<eb:AckRequested [^>]*>", "")),
    Case("AckRequested without signature", "agreement", put('eb:signed="true"', 'eb:signed="false"')),
    Case("SyncReply gone", "agreement", edit("<eb:SyncReply [^>]*>", "")),
    Case(
        "TimeToLive over, signed again by the sender",
        "agreement",
        signed_after("<eb:TimeToLive>[^<]*", "<eb:TimeToLive>2026-11-21T12:00:00Z"),
    ),
    Case("ConversationId", "signature", put(*FORGED_CONVERSATION)),
    Case("an Action that another function has", "signature", put("<eb:Action>Notat", "<eb:Action>Apprec")),
    Case("MessageId", "signature", put("<eb:MessageId>", "<eb:MessageId>0")),
    Case("Timestamp", "signature", put("<eb:Timestamp>2026-11-22T12", "<eb:Timestamp>2026-11-22T11")),
    Case("a longer TimeToLive", "signature", put("<eb:TimeToLive>2026", "<eb:TimeToLive>2027")),
    Case("TimeToLive gone", "signature", edit("<eb:TimeToLive>.*?</eb:TimeToLive>", "")),
    Case(
        "a RefToMessageId",
        "signature",
        put("<eb:TimeToLive>", "<eb:RefToMessageId>x</eb:RefToMessageId><eb:TimeToLive>"),
    ),
    Case("DuplicateElimination gone", "signature", put("<eb:DuplicateElimination/>", "")),
    Case("Description", "signature", put("DigiHelse", "DigiHilse")),
)

# --- whose key, whose name ---

CERTIFICATES = (
    Case("signed by the third party", "certificate", lambda s: s.original.signed(THIRD)),
    Case(
        "signed by the third party, with the sender's certificate",
        "signature",
        lambda s: s.original.signed(KeyPair(private_key=THIRD.private_key, certificate=LEFT.certificate)),
    ),
    Case(
        "signed by the third party, without KeyInfo",
        "signature",
        lambda s: s.original.signed(THIRD).edit("<ds:KeyInfo>.*</ds:KeyInfo>", ""),
    ),
    Case(
        "signed under a self-made certificate of the same names",
        "certificate",
        lambda s: s.original.signed(_self_made()),
    ),
    Case("signed with the sender's encryption key", "certificate", lambda s: s.original.signed(ENCRYPTING)),
    Case(
        "the sender's certificate has expired",
        "certificate",
        lambda s: s.original.signed(KeyPair(private_key=LEFT.private_key, certificate=EXPIRED)),
        records=pinned(FJORDVIK, EXPIRED),
    ),
    Case(
        "the record pins a certificate of another organisation",
        "certificate",
        lambda s: s.original.signed(KeyPair(private_key=LEFT.private_key, certificate=OTHERS_NUMBER)),
        records=pinned(FJORDVIK, OTHERS_NUMBER),
    ),
    Case(
        "organisation X's certificate, Y's HER-id in From",
        "certificate",
        lambda s: s.original.carrying(for_right(dialogue(MSG_ID, sender=NORDLI))).signed(THIRD),
    ),
    Case(
        "organisation X's certificate and From, Y's HER-id in MsgHead",
        "sender",
        lambda s: s.seen["third's"].carrying(for_right(dialogue(MSG_ID))).signed(THIRD),
    ),
    Case(
        "the third party passes the sender's ciphertext on as its own",
        "sender",
        lambda s: s.seen["third's"].carrying(s.original.payload).signed(THIRD),
    ),
    Case("MsgHead from another unit", "sender", holding(dialogue(MSG_ID, sender=FJORDVIK + 1))),
)

# --- what is inside ---

CONTENTS = (
    Case(
        "plaintext under the label of a ciphertext",
        "cms",
        lambda s: s.original.carrying(s.documents["document"]).signed(LEFT),
    ),
    Case(
        "sealed for the sender itself",
        "cms",
        lambda s: s.original.carrying(sealed(s.documents["document"], LEFT_OPENS.certificate)).signed(LEFT),
    ),
    Case("a truncated ciphertext", "cms", lambda s: s.original.carrying(s.original.payload[:-16]).signed(LEFT)),
    Case("sealed twice", "document", lambda s: s.original.carrying(for_right(s.original.payload)).signed(LEFT)),
    Case("not XML", "document", holding(b"Hei")),
    Case("a DOCTYPE inside", "document", holding(b"<!DOCTYPE x>" + dialogue(MSG_ID).partition(b"?>")[2])),
    Case(
        "an envelope inside",
        "document",
        lambda s: s.original.carrying(for_right(s.original.root.encode())).signed(LEFT),
    ),
    Case("a MsgHead of two senders", "document", lambda s: holding(_two_senders(s))(s)),
    Case(
        "a MsgHead for someone else",
        "document",
        holding(dialogue("22222222-0000-4000-8000-00000000000e", receiver=NORDLI)),
        acknowledged=True,
        adds=("received", "message", "item", "delivery"),
    ),
    Case(
        "a MsgHead with a signature of its own that does not hold",
        "document",
        lambda s: holding(_broken_signature(dialogue("22222222-0000-4000-8000-00000000000d")))(s),
        acknowledged=True,
        adds=("received", "message", "item", "delivery"),
    ),
)


def _two_senders(scene: Scene) -> bytes:
    document = scene.documents["document"]
    start, end = document.index(b"<Sender>"), document.index(b"</Sender>") + len(b"</Sender>")
    return document[:end] + document[start:end].replace(b"8000101", b"8000301") + document[end:]


def _broken_signature(document: bytes) -> bytes:
    return sign_document(document, LEFT).replace("Blåbærtur".encode(), "Tyttebærtur".encode())


# --- after the original has come ---


def _known_id(scene: Scene) -> Draft:
    return scene.original.carrying(for_right(dialogue(MSG_ID, text="Noe annet"))).signed(LEFT)


REPLAYS = (
    Case("a known eb:MessageId, another payload", "duplicate", _known_id, after_control=True),
    Case(
        "a known eb:MessageId, another conversation",
        "duplicate",
        lambda s: s.original.put(*FORGED_CONVERSATION).signed(LEFT),
        after_control=True,
    ),
    Case(
        "a known MsgId, another text, in a new envelope",
        "duplicate",
        lambda s: _known_id(s).anew().signed(LEFT),
        after_control=True,
        acknowledged=True,
        adds=("received",),
    ),
    Case(
        "the original replayed under the third party's name",
        "certificate",
        lambda s: (
            s.original.put(FROM, FROM.replace(str(FJORDVIK), str(NORDLI)))
            .put("<eb:CPAId>cpa-1", "<eb:CPAId>cpa-3")
            .put("<eb:MessageId>", "<eb:MessageId>new-")
        ),
        after_control=True,
    ),
)

CASES = (*MIME_AND_XML, *HEADERS, *CERTIFICATES, *CONTENTS, *REPLAYS)
