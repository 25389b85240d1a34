"""The CPA that a partner of the demo would send: CPPA 2.0 as the field writes it, for one pair of parties.

Who, where, which certificates and which messages are the demo's own; the terms are those of its address records.
Payloads go as the sector's files have them: encrypted as CMS by the packaging, to the ApplicationCertificateRef.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape, quoteattr

# Service -> the Actions that both may send, and at last the one of its receipts.
_ACTIONS: Final = {
    "Dialog": ("Foresporsel", "Svar", "Notat", "Apprec"),
    "HelsefagligDialog": ("Foresporsel", "Notat", "Apprec"),
}
_ROLE: Final = "Helsepersonell"
_LASTS: Final = timedelta(days=365)
_MSG_HEADER: Final = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
_NAMESPACES: Final = (
    'xmlns:tp="http://www.oasis-open.org/committees/ebxml-cppa/schema/cpp-cpa-2_0.xsd" '
    'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two parties."""

    her: int
    name: str
    endpoint: str
    signing: str  # a certificate in PEM
    encryption: str


def cpa(cpa_id: str, first: Side, second: Side, *, now: datetime) -> bytes:
    """Return the agreement between two parties, signed and acknowledged both ways, from this day on for a year."""
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<tp:CollaborationProtocolAgreement {_NAMESPACES} tp:cpaid={quoteattr(cpa_id)} tp:version="2_0b">
  <tp:Status tp:value="agreed"/>
  <tp:Start>{now:%Y-%m-%d}T00:00:00Z</tp:Start>
  <tp:End>{now + _LASTS:%Y-%m-%d}T00:00:00Z</tp:End>
{_party(first, "A", "B")}
{_party(second, "B", "A")}
  <tp:SimplePart tp:id="Header" tp:mimetype="text/xml">
    <tp:NamespaceSupported tp:location="{_MSG_HEADER}" tp:version="2.0">{_MSG_HEADER}</tp:NamespaceSupported>
  </tp:SimplePart>
  <tp:SimplePart tp:id="Document" tp:mimetype="application/xml"/>
  <tp:Packaging tp:id="Signal">
    <tp:ProcessingCapabilities tp:parse="true" tp:generate="true"/>
    <tp:CompositeList>
      <tp:Composite tp:id="SignalParts" tp:mimetype="multipart/related" tp:mimeparameters="type=text/xml">
        <tp:Constituent tp:idref="Header"/>
      </tp:Composite>
    </tp:CompositeList>
  </tp:Packaging>
  <tp:Packaging tp:id="Message">
    <tp:ProcessingCapabilities tp:parse="true" tp:generate="true"/>
    <tp:CompositeList>
      <tp:Encapsulation tp:id="Sealed" tp:mimetype="application/pkcs7-mime" \
tp:mimeparameters="smime-type=enveloped-data">
        <tp:Constituent tp:idref="Document"/>
      </tp:Encapsulation>
      <tp:Composite tp:id="MessageParts" tp:mimetype="multipart/related" tp:mimeparameters="type=text/xml">
        <tp:Constituent tp:idref="Header"/>
        <tp:Constituent tp:idref="Sealed"/>
      </tp:Composite>
    </tp:CompositeList>
  </tp:Packaging>
</tp:CollaborationProtocolAgreement>
""".encode()


def _party(side: Side, own: str, other: str) -> str:
    roles = "\n".join(_role(service, own, other) for service in _ACTIONS)
    return f"""\
  <tp:PartyInfo tp:partyName={quoteattr(side.name)} tp:defaultMshChannelId="{own}_Signals" \
tp:defaultMshPackageId="Signal">
    <tp:PartyId tp:type="HER">{side.her}</tp:PartyId>
    <tp:PartyRef xlink:type="simple" xlink:href="https://example.invalid/{side.her}"/>
{roles}
    {_certificate(f"{own}_Signs", side.signing)}
    {_certificate(f"{own}_Opens", side.encryption)}
    <tp:SecurityDetails tp:securityId="{own}_Trusts"><tp:TrustAnchors>\
<tp:AnchorCertificateRef tp:certId="{own}_Signs"/></tp:TrustAnchors></tp:SecurityDetails>
    {_channel(own, "Messages", "always")}
    {_channel(own, "Signals", "never")}
    <tp:Transport tp:transportId="{own}_Http">
      <tp:TransportSender><tp:TransportProtocol tp:version="1.1">HTTP</tp:TransportProtocol></tp:TransportSender>
      <tp:TransportReceiver><tp:TransportProtocol tp:version="1.1">HTTP</tp:TransportProtocol>\
<tp:Endpoint tp:uri={quoteattr(side.endpoint)} tp:type="allPurpose"/></tp:TransportReceiver>
    </tp:Transport>
    {_exchange(own, "Messages", _RELIABLE)}
    {_exchange(own, "Signals", "")}
  </tp:PartyInfo>"""


def _role(service: str, own: str, other: str) -> str:
    process = f"https://example.invalid/{service}.xml"
    actions = "\n".join(
        f"""\
        <tp:{way}><tp:ThisPartyActionBinding tp:id="{own}_{service}_{action}_{way}" tp:action="{action}" \
tp:packageId="Message">
          <tp:BusinessTransactionCharacteristics tp:isNonRepudiationRequired="true" \
tp:isNonRepudiationReceiptRequired="true" tp:isConfidential="none" tp:isAuthenticated="none" tp:isTamperProof="none" \
tp:isAuthorizationRequired="false" tp:isIntelligibleCheckRequired="false"/>
          <tp:ChannelId>{own}_Messages</tp:ChannelId></tp:ThisPartyActionBinding>
          <tp:OtherPartyActionBinding>{other}_{service}_{action}_{back}</tp:OtherPartyActionBinding></tp:{way}>"""
        for way, back in (("CanSend", "CanReceive"), ("CanReceive", "CanSend"))
        for action in _ACTIONS[service]
    )
    return f"""\
    <tp:CollaborationRole>
      <tp:ProcessSpecification tp:name="{service}" tp:version="1.0" xlink:type="simple" xlink:href="{process}" \
tp:uuid="urn:demo:{service}"/>
      <tp:Role tp:name="{_ROLE}" xlink:type="simple" xlink:href="{process}#{_ROLE}"/>
      <tp:ApplicationCertificateRef tp:certId="{own}_Opens"/>
      <tp:ServiceBinding>
        <tp:Service tp:type="string">{service}</tp:Service>
{actions}
      </tp:ServiceBinding>
    </tp:CollaborationRole>"""


def _certificate(id: str, pem: str) -> str:
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    return (
        f'<tp:Certificate tp:certId="{id}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{escape(body)}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></tp:Certificate>"
    )


def _channel(own: str, name: str, often: str) -> str:
    return (
        f'<tp:DeliveryChannel tp:channelId="{own}_{name}" tp:transportId="{own}_Http" '
        f'tp:docExchangeId="{own}_{name}_Exchange"><tp:MessagingCharacteristics tp:syncReplyMode="mshSignalsOnly" '
        f'tp:ackRequested="{often}" tp:ackSignatureRequested="{often}" tp:duplicateElimination="{often}" '
        'tp:actor="urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"/></tp:DeliveryChannel>'
    )


_RELIABLE: Final = (
    "<tp:ReliableMessaging><tp:Retries>10</tp:Retries><tp:RetryInterval>PT5S</tp:RetryInterval>"
    "<tp:MessageOrderSemantics>NotGuaranteed</tp:MessageOrderSemantics></tp:ReliableMessaging>"
    "<tp:PersistDuration>PT10M</tp:PersistDuration>"
)
_SIGNED: Final = (
    "<tp:NonRepudiationProtocol>http://www.w3.org/2000/09/xmldsig#</tp:NonRepudiationProtocol>"
    "<tp:HashFunction>http://www.w3.org/2001/04/xmlenc#sha256</tp:HashFunction>"
    "<tp:SignatureAlgorithm>http://www.w3.org/2001/04/xmldsig-more#rsa-sha256</tp:SignatureAlgorithm>"
)


def _exchange(own: str, name: str, reliable: str) -> str:
    return f"""<tp:DocExchange tp:docExchangeId="{own}_{name}_Exchange">
      <tp:ebXMLSenderBinding tp:version="2.0">{reliable}<tp:SenderNonRepudiation>{_SIGNED}\
<tp:SigningCertificateRef tp:certId="{own}_Signs"/></tp:SenderNonRepudiation></tp:ebXMLSenderBinding>
      <tp:ebXMLReceiverBinding tp:version="2.0">{reliable}<tp:ReceiverNonRepudiation>{_SIGNED}\
<tp:SigningSecurityDetailsRef tp:securityId="{own}_Trusts"/></tp:ReceiverNonRepudiation></tp:ebXMLReceiverBinding>
    </tp:DocExchange>"""
