"""What CPPA 2.0 has no word for: the elements and attributes of an agreement file that are passed by, to be named.

The list is of names alone, and holds nothing up: what is not in it is told to whoever imports the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.envelope import xml
from broker.envelope.names import DS, XLINK, XSI


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What stands in the file and is passed by: an element or attribute that CPPA 2.0 does not have there."""

    what: str  # "Certificate/@lastUsed"
    line: int  # of the first
    count: int


_XLINK: Final = ("type", "href", "role", "title", "show", "actuate")
# Element -> its attributes in CPPA 2.0. What stands below an element without a further list is read as it is.
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "CollaborationProtocolAgreement": ("cpaid", "version"),
    "Status": ("value",), "Start": (), "End": (),
    "ConversationConstraints": ("invocationLimit", "concurrentConversations"),
    "PartyInfo": ("partyName", "defaultMshChannelId", "defaultMshPackageId"),
    "PartyId": ("type",), "PartyRef": (*_XLINK, "schemaLocation"), "CollaborationRole": (),
    "OverrideMshActionBinding": ("action", "channelId"),
    "ProcessSpecification": ("name", "version", "uuid", *_XLINK), "Role": ("name", *_XLINK),
    "ApplicationCertificateRef": ("certId",), "ApplicationSecurityDetailsRef": ("securityId",),
    "ServiceBinding": (), "Service": ("type",), "CanSend": (), "CanReceive": (),
    "ThisPartyActionBinding": ("id", "action", "packageId"), "OtherPartyActionBinding": (), "ChannelId": (),
    "BusinessTransactionCharacteristics": (
        "isNonRepudiationRequired", "isNonRepudiationReceiptRequired", "isConfidential", "isAuthenticated",
        "isTamperProof", "isAuthorizationRequired", "isIntelligibleCheckRequired", "timeToAcknowledgeReceipt",
        "timeToAcknowledgeAcceptance", "timeToPerform", "retryCount",
    ),
    "ActionContext": ("binaryCollaboration", "businessTransactionActivity", "requestOrResponseAction"),
    "CollaborationActivity": ("name",),
    "Certificate": ("certId",), "SecurityDetails": ("securityId",), "TrustAnchors": (), "SecurityPolicy": (),
    "AnchorCertificateRef": ("certId",),
    "DeliveryChannel": ("channelId", "transportId", "docExchangeId"),
    "MessagingCharacteristics": (
        "syncReplyMode", "ackRequested", "ackSignatureRequested", "duplicateElimination", "actor"
    ),
    "Transport": ("transportId",), "TransportSender": (), "TransportReceiver": (), "TransportProtocol": ("version",),
    "AccessAuthentication": (), "Endpoint": ("uri", "type"), "TransportClientSecurity": (),
    "TransportServerSecurity": (),
    "TransportSecurityProtocol": ("version",), "ClientCertificateRef": ("certId",), "ServerCertificateRef": ("certId",),
    "ClientSecurityDetailsRef": ("securityId",), "ServerSecurityDetailsRef": ("securityId",),
    "EncryptionAlgorithm": ("minimumStrength", "oid", "w3c", "enumerationType"),
    "DocExchange": ("docExchangeId",), "ebXMLSenderBinding": ("version",), "ebXMLReceiverBinding": ("version",),
    "ReliableMessaging": (), "Retries": (), "RetryInterval": (), "MessageOrderSemantics": (), "PersistDuration": (),
    "SenderNonRepudiation": (), "ReceiverNonRepudiation": (), "NonRepudiationProtocol": ("version",),
    "HashFunction": (), "SignatureAlgorithm": ("oid", "w3c", "enumerationType"), "SigningCertificateRef": ("certId",),
    "SigningSecurityDetailsRef": ("securityId",), "SenderDigitalEnvelope": (), "ReceiverDigitalEnvelope": (),
    "DigitalEnvelopeProtocol": ("version",), "EncryptionCertificateRef": ("certId",),
    "EncryptionSecurityDetailsRef": ("securityId",), "NamespaceSupported": ("location", "version"),
    "SimplePart": ("id", "mimetype", "mimeparameters", *_XLINK), "Packaging": ("id",),
    "ProcessingCapabilities": ("parse", "generate"), "CompositeList": (),
    "Composite": ("id", "mimetype", "mimeparameters"), "Encapsulation": ("id", "mimetype", "mimeparameters"),
    "Constituent": ("idref", "excludedFromSignature", "minOccurs", "maxOccurs"), "SignatureTransforms": (),
    "EncryptionTransforms": (), "Signature": (), "Comment": ("lang",),
}  # fmt: skip


def unknown(root: Any, *, cppa: str) -> Iterator[Unknown]:
    """Yield what stands in a file and is not in the list, each once; `cppa` is the namespace of CPPA."""
    found: dict[str, list[int]] = {}
    for element in root.iter():
        if not isinstance(element.tag, str) or element.tag.startswith(f"{{{DS}}}"):
            continue
        name = xml.local(element)
        attributes = _KNOWN.get(name) if element.tag == f"{{{cppa}}}{name}" else None
        line = int(element.sourceline or 0)
        if attributes is None:
            found.setdefault(name, []).append(line)
            continue
        for full in element.attrib:
            namespace, _, attribute = str(full).rpartition("}")
            if namespace == f"{{{XSI}" or (attribute in attributes and namespace in ("", f"{{{cppa}", f"{{{XLINK}")):
                continue
            if (name, attribute) != ("Comment", "lang"):
                found.setdefault(f"{name}/@{attribute}", []).append(line)
    yield from (Unknown(what=what, line=lines[0], count=len(lines)) for what, lines in found.items())
