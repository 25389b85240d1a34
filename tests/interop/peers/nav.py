"""NAV's ebxml-processor, as its source says: sync over HTTP, else hours later; new Acknowledgments, all signed.

Its states are those of its tables: a message that came is in message_received, acknowledged or not; one that goes is in
message_pending_ack until ack_received.
"""

from collections.abc import Sequence

from tests.interop.peers.base import Engine, Http, Peer, States
from tests.interop.peers.envelope import Error, Seen, Style
from tests.interop.peers.site import Terms
from tests.interop.peers.wire import Message, Out, Part
from tests.interop.peers.xmldsig import DS, RSA_SHA1, RSA_SHA256, Shape, signature_of

_ENCODINGS = {"8bit", "base64", "binary", "quoted-printable"}


class Nav(Engine):
    """Strict on MIME and KeyInfo, slow in its answers, and deaf to MessageErrors."""

    name = "nav"
    states = States(
        received="received",
        processed="acknowledged",
        refused="rejected",
        created="pending_ack",
        failed="pending_ack",
        delivered="ack_received",
        expired="pending_ack, 4 resent",
    )
    style = Style(
        soap="SOAP",
        id="{id}",
        time="%Y-%m-%dT%H:%M:%S.%f0Z",
        signal_service_type="string",
        ref_in_acknowledgment=False,
        actor=False,
        description='{"MSH-system":"NAV EBMS","MSH-versjon":"1.0"}',
    )
    shape = Shape(xpath_prefix="soap")
    signs = frozenset({"Acknowledgment", "MessageError", "Pong", "StatusResponse", "Ping", "StatusRequest"})
    same_answer = False
    late_errors = True
    error_stops = False
    wants_copied_references = False
    cipher = "des-ede3-cbc"
    roles_on_signals = True

    def answer_headers(self, status: int, out: Out) -> Out:
        told = super().answer_headers(status, out)
        fixed = [("SOAPAction", "ebXML") if name == "SOAPAction" else (name, value) for name, value in told.headers]
        return Out(headers=[*fixed, ("Content-Transfer-Encoding", "8bit")], body=told.body)

    def demand(self, message: Message, parts: Sequence[Part]) -> None:
        if message.headers.get("content-type", "").startswith("text/xml"):
            if "content-id" not in message.headers:
                raise Http(500)
            return
        if parts[0].headers.get("content-transfer-encoding", "").lower() not in _ENCODINGS:
            raise Http(500)
        for part in parts[1:]:
            encoding = part.headers.get("content-transfer-encoding", "")
            if part.headers.get("content-type", "").startswith("application/pkcs7-mime") and encoding != "base64":
                raise Http(500)

    def unknown_agreement(self, party: Terms, seen: Seen) -> Exception:
        return Error(code="DeliveryFailure", text="CPA not found")

    def check(self, peer: Peer, party: Terms, seen: Seen, parts: Sequence[Part]) -> None:
        if seen.service != party.service or seen.action not in party.actions:
            raise Error(code="ValueNotRecognized", location="//Header/MessageHeader/Action")
        super().check(peer, party, seen, parts)

    def check_signature(self, party: Terms, seen: Seen) -> None:
        signatures = list(seen.root.iter(f"{{{DS}}}Signature"))
        signature = signature_of(seen.root)
        assert signature is not None
        method = signature.find(f"{{{DS}}}SignedInfo/{{{DS}}}SignatureMethod")
        data = list(signature.iter(f"{{{DS}}}X509Data"))
        certificates = list(signature.iter(f"{{{DS}}}X509Certificate"))
        if (
            len(signatures) != 1
            or method is None
            or method.get("Algorithm") not in {RSA_SHA256, RSA_SHA1}
            or len(data) != 1
            or len(certificates) != 1
        ):
            raise Error(code="SecurityFailure", location="//Header/Signature")
