"""The business documents that peers read and write: heads of dialogue messages, and AppRec 1.1."""

import gzip
from dataclasses import dataclass

from lxml import etree

_MSGHEAD = "http://www.kith.no/xmlstds/msghead/2006-05-24"
_APPREC = "http://www.kith.no/xmlstds/apprec/2012-02-15"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a peer wants to know of a document: which one it is, and of an AppRec, what it says of which."""

    kind: str  # document, apprec
    msg_id: str
    type: str = ""
    made_at: str = ""
    status: str = ""


def read(content: bytes) -> Document | None:
    """Return what a document is, None for what is none of ours. gzip is seen by its first bytes."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    try:
        root = etree.fromstring(content, _PARSER)  # noqa: TID251 - a peer has a parser of its own
    except etree.XMLSyntaxError:
        return None
    if root.tag == f"{{{_MSGHEAD}}}MsgHead":
        info = f"{{{_MSGHEAD}}}MsgInfo/{{{_MSGHEAD}}}"
        type_ = root.find(f"{info}Type")
        return Document(
            kind="document",
            msg_id=root.findtext(f"{info}MsgId") or "",
            type="" if type_ is None else type_.get("V") or "",
            made_at=root.findtext(f"{info}GenDate") or "",
        )
    if root.tag == f"{{{_APPREC}}}AppRec":
        status = root.find(f"{{{_APPREC}}}Status")
        original = root.findtext(f"{{{_APPREC}}}OriginalMsgId/{{{_APPREC}}}Id") or ""
        return Document(kind="apprec", msg_id=original, status="" if status is None else status.get("V") or "")
    return None


def apprec(of: Document, *, id: str, at: str, sender: int, sender_org: int, receiver: int, receiver_org: int) -> bytes:
    """Return a positive AppRec 1.1 about a document."""

    def party(her: int, organisation: int) -> str:
        identity = '<Id>{}</Id><TypeId V="HER" DN="HER-id"/>'
        inner = f"<Dept><Name>Tjeneste</Name>{identity.format(her)}</Dept>"
        return f"<HCP><Inst><Name>Virksomhet</Name>{identity.format(organisation)}{inner}</Inst></HCP>"

    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<AppRec xmlns="{_APPREC}">'
        '<MsgType V="APPREC" DN="Applikasjonskvittering"/><MIGversion>v1.1 2012-02-15</MIGversion>'
        f"<GenDate>{at}</GenDate><Id>{id}</Id><Sender>{party(sender, sender_org)}</Sender>"
        f'<Receiver>{party(receiver, receiver_org)}</Receiver><Status V="1" DN="OK"/>'
        f'<OriginalMsgId><MsgType V="{of.type}"/><IssueDate>{of.made_at}</IssueDate><Id>{of.msg_id}</Id>'
        "</OriginalMsgId></AppRec>"
    ).encode()
