"""The AppRec that answers a received document, built and taken into custody: an ordinary message on its way out."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from broker import progress
from broker.envelope.msghead import read_head
from broker.envelope.xml import parse
from broker.message import (
    Changes,
    Direction,
    InboxItem,
    Kind,
    Message,
    NewBody,
    Owed,
    PartyRef,
    Verdict,
)
from broker.ports import Doors
from broker.receipts import apprec
from broker.receipts.apprec import GivenError
from broker.routing.party import Directory

ERROR_LIST = "8221"  # AppRec error codes


def apprec_of(
    message: Message,
    item: InboxItem,
    content: bytes,
    given: Verdict,
    errors: tuple[GivenError, ...],
    directory: Directory,
    doors: Doors,
    now: datetime,
) -> Changes:
    """Build the AppRec of a document and take it into custody: an ordinary message, without a receipt of its own."""
    head = read_head(parse(content, max_bytes=len(content)))
    process = doors.processes().by_name[message.process]
    sender = next(
        (party for party in (head.receiver, *head.other_receivers) if party.her == item.receiver_her),
        PartyRef(her=item.receiver_her, organisation_her=None),
    )
    named = {head.sender.her, head.sender.organisation_her, sender.her, sender.organisation_her}
    names = {her: party.name for her in named if her is not None and (party := directory.party(her)) is not None}
    apprec_id = doors.randomness.id()
    content = apprec.build(
        head,
        version=process.apprec_version,
        id=apprec_id,
        now=now,
        sender=sender,
        verdict=given,
        errors=errors,
        texts=doors.codes.texts(ERROR_LIST),
        names=names,
        software=doors.site.software,
        software_version=doors.site.version,
    )
    body = NewBody(id=doors.randomness.id(), content=content)
    receipt = Message(
        id=doors.randomness.id(),
        direction=Direction.OUT,
        kind=Kind.APPREC,
        sender_her=item.receiver_her,
        sender_organisation_her=sender.organisation_her,
        msg_id=apprec_id,
        type="APPREC",
        gen_date=now.isoformat(),
        process=message.process,
        function=message.function,
        conversation_id=message.conversation_id,
        ref_to_parent=None,
        owed=Owed.NEVER,
        sha256=sha256(content).digest(),
        size=len(content),
        body=body.id,
        at=now,
        answers_item=item.id,
        original_msg_id=message.msg_id,
    )
    delivery = progress.begin(
        id=doors.randomness.id(),
        message=receipt,
        receiver=replace(head.sender, her=item.sender_her),
        policy=process.receipt,
    )
    return Changes(events=(), bodies=(body,), messages=(receipt,), deliveries=(delivery,))
