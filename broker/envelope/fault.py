"""SOAP 1.1 Faults (4.4): what an engine says when it could not read so far as to answer in ebMS."""

from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from broker.envelope.names import SOAP, soap
from broker.envelope.xml import Xml, children


class FaultCode(StrEnum):
    """Whose fault it is, in the words of SOAP 1.1, 4.4.1."""

    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"
    CLIENT = "Client"
    SERVER = "Server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A Fault as a peer sent it. `text` is the peer's, of any content and length: for people, never to be acted on."""

    code: FaultCode
    text: str


def build_fault(code: FaultCode, text: str) -> bytes:
    """Return a SOAP Fault in UTF-8, for an HTTP 500."""
    root = etree.Element(soap("Envelope"), nsmap={"SOAP": SOAP})
    fault = etree.SubElement(etree.SubElement(root, soap("Body")), soap("Fault"))
    etree.SubElement(fault, "faultcode").text = f"SOAP:{code}"
    etree.SubElement(fault, "faultstring").text = text
    return etree.tostring(root, encoding="utf-8")


def parse_fault(document: Xml) -> Fault | None:
    """Return the Fault in a SOAP answer, or None where it holds none. A code that we do not know counts as Server."""
    for body in children(document.root, soap("Body")):
        for fault in children(body, soap("Fault")):
            code = "".join(one.text or "" for one in children(fault, "faultcode")).strip()
            word = code.rpartition(":")[2].partition(".")[0]
            said = "".join(one.text or "" for one in children(fault, "faultstring")).strip()
            return Fault(code=FaultCode(word) if word in set(FaultCode) else FaultCode.SERVER, text=said)
    return None
