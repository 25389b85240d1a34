"""ebms-core 2.20.2, as it was measured: captures/ holds its bytes, test_core_peer.py asks it every case of the table.

Its own ids and elements, its order of checks (a duplicate is told before anything is looked at), its state numbers.
"""

from collections.abc import Sequence
from dataclasses import replace
from xml.sax.saxutils import escape

from tests.interop.peers.base import Answer, Engine, Http, Peer, States
from tests.interop.peers.envelope import EB, Error, Seen, Style, eb
from tests.interop.peers.site import Terms
from tests.interop.peers.wire import Message, Out, Part, Related
from tests.interop.peers.xmldsig import DS, RSA_SHA256, SHA256, SOAP, Shape, references, signature_of

_XLINK = "http://www.w3.org/1999/xlink"
_FAULT = (
    f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:ds="{DS}" xmlns:eb="{EB}" xmlns:xlink="{_XLINK}">\n    <soap:Body>\n'
    "        <soap:Fault>\n            <faultcode>soap:Client</faultcode>\n"
    "            <faultstring>{}</faultstring>\n        </soap:Fault>\n    </soap:Body>\n</soap:Envelope>"
)
_NO_CHANNEL = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<eb:Error eb:codeContext="urn:oasis:names:tc:ebxml-msg:service:errors" eb:errorCode="Unknown" eb:severity="Error" '
    f'eb:location="Unknown" xmlns:eb="{EB}" xmlns:ns4="{SOAP}" xmlns:ds="{DS}" xmlns:xlink="{_XLINK}">\n'
    '    <eb:Description xml:lang="en-US">No DeliveryChannel found.</eb:Description>\n</eb:Error>\n'
)
# The children of MessageHeader, as the schema orders them: any other order is answered with 500 and nothing.
_ORDER = [
    eb(name)
    for name in (
        "From", "To", "CPAId", "ConversationId", "Service", "Action", "MessageData", "DuplicateElimination",
        "Description",
    )
]  # fmt: skip
_JAVA = [
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Content-Length", "{length}"),
    ("Host", "{host}"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"),
    ("Transfer-encoding", "chunked"),
    ("Upgrade", "h2c"),
    ("User-Agent", "Java-http-client/17.0.15"),
]
_RECOVERABLE = {408, 429}
_UNRECOVERABLE = {501, 505, 510}


class EbmsCore(Engine):
    """The engine that was run."""

    name = "ebms-core"
    states = States(received=2, processed=3, refused=5, created=10, failed=11, delivered=12, expired=13)
    style = Style(soap="soap", ds_on_top=True, indent=True, milliseconds=True, id="{id}@127.0.0.1")
    related = Related(
        boundary="-={id}=-",
        content_type=(
            'multipart/related; boundary="{boundary}"; type="text/xml"; start="<{root}>"; start-info="text/xml"'
        ),
        root_headers=(("Content-Type", "text/xml; charset=UTF-8"), ("Content-ID", "<{root}>")),
        part_headers=(
            ("Content-Type", "{type}"),
            ("Content-ID", "<{cid}>"),
            ("Content-Transfer-Encoding", "binary"),
            ("Content-Disposition", 'attachment; filename="payload.p7m"'),
        ),
        xml_part_headers=(
            ("Content-Type", "{type}"),
            ("Content-ID", "<{cid}>"),
            ("Content-Disposition", 'attachment; filename="payload.xml"'),
        ),
        chunked=True,
    )
    shape = Shape(blanks=False, returns=True)
    signs = frozenset({"Acknowledgment"})
    bare_content_ids = True
    wants_actor = True
    wants_ref = True

    def headers(self, party: Terms, out: Out, *, service: str, action: str) -> Out:
        """Return what java.net.http writes: it offers HTTP/2 every time, and sends multiparts in chunks."""
        dropped = "Content-Length" if out.chunks is not None else "Transfer-encoding"
        host, length = party.url.split("/")[2], str(len(out.body))
        told = [(name, value.format(host=host, length=length)) for name, value in _JAVA if name != dropped]
        return replace(out, headers=[*told, *out.headers, ("SOAPAction", '"ebXML"')])

    def answer_headers(self, status: int, out: Out) -> Out:
        """Return what Jetty writes: chunks, and no Content-Length with a 204."""
        told = [("Date", "Sat, 21 Nov 2026 23:39:48 GMT")]
        if out.body:
            told.append(("Content-Type", "text/xml"))
            told += [("SOAPAction", '"ebXML"')] if status == 200 else []
            told.append(("Transfer-Encoding", "chunked"))
        elif status != 204:
            told.append(("Content-Length", "0"))
        told.append(("Server", "Jetty(11.0.24)"))
        return replace(out, headers=told, body=b"", chunks=[out.body]) if out.body else replace(out, headers=told)

    def demand(self, message: Message, parts: Sequence[Part]) -> None:
        if message.method != "POST":
            raise Http(500)
        action = message.headers.get("soapaction", "")
        if action != '"ebXML"':
            raise _fault(f"Unable to process message! SOAPAction={action}")
        if any(not part.content_id for part in parts[1:]):
            raise Http(500)

    def unknown_agreement(self, party: Terms, seen: Seen) -> Exception:
        return _fault(f"CPA {seen.cpa} not found!")

    def other_agreement(self) -> Answer | None:
        raise Http(500)

    def check_signal(self, party: Terms, seen: Seen) -> None:
        _schema(seen)
        if seen.service_type:
            raise _fault(_NO_CHANNEL)

    def unknown_reference(self) -> Answer:
        raise Http(500)

    def queued_again(self) -> Answer:
        raise Http(500)  # the queue takes a message once

    def schema(self, seen: Seen) -> None:
        _schema(seen)

    def check(self, peer: Peer, party: Terms, seen: Seen, parts: Sequence[Part]) -> None:
        header = "//Header/MessageHeader"
        if not seen.from_role:
            raise Error(code="Inconsistent", location=f"{header}/From/Role", text="Invalid value.")
        if seen.service != party.service or seen.action not in party.actions:
            raise Error(code="ValueNotRecognized", location=f"{header}/Action", text="Value not found.")
        if seen.message_order:
            raise Error(code="NotSupported", location="//Header/MessageOrder", text="MessageOrder not supported.")
        if seen.ref and not peer.knows(party, seen.ref):
            raise Error(
                code="ValueNotRecognized", location=f"{header}/MessageData/RefToMessageId", text="Value not found."
            )
        if seen.duplicate_elimination is not party.ack:
            raise _inconsistent(f"{header}/DuplicateElimination")
        if (seen.ack_requested is not None) is not party.ack:
            raise _inconsistent("//Header/AckRequested")
        if (
            seen.ack_requested is not None
            and (seen.ack_requested.get(eb("signed")) in {"true", "1"}) is not party.signed
        ):
            raise _inconsistent("//Header/AckRequested/@signed")
        if seen.sync_reply is not party.sync:
            raise _inconsistent("//Header/SyncReply")
        super().check(peer, party, seen, parts)

    def check_signature(self, party: Terms, seen: Seen) -> None:
        signature = signature_of(seen.root)
        assert signature is not None
        info = signature[0]
        method = info.find(f"{{{DS}}}SignatureMethod")
        where = "//Header/Signature/SignedInfo"
        for one in references(info):
            if one.method != SHA256:
                place = f"{where}/Reference[@URI='{one.uri}']/DigestMethod/@Algorithm"
                raise Error(code="SecurityFailure", location=place, text="Invalid DigestMethod.")
        if method is None or method.get("Algorithm") != RSA_SHA256:
            place = f"{where}/SignatureMethod/@Algorithm"
            raise Error(code="SecurityFailure", location=place, text="Invalid SignatureMethod.")

    def before_its_certificate(self, when: str) -> Error:
        text = f"java.security.cert.CertificateNotYetValidException: NotBefore: {when}"
        return Error(code="SecurityFailure", location="//Header/Signature", text=text)

    def invalid(self, party: Terms, seen: Seen) -> Error:
        text = "Invalid Signature!" if seen.signed else "Signature not found."
        return Error(code="SecurityFailure", location="//Header/Signature", text=text)

    def again(self, status: int) -> bool:
        return status in _RECOVERABLE or (status >= 500 and status not in _UNRECOVERABLE)


def _fault(text: str) -> Http:
    return Http(500, _FAULT.format(escape(text)).encode())


def _inconsistent(location: str) -> Error:
    return Error(code="Inconsistent", location=location, text="Wrong value.")


def _schema(seen: Seen) -> None:
    """Refuse what its schema refuses, as far as rows and table ask: order, and a second MessageHeader. Raises Http."""
    headers = list(seen.root.iter(eb("MessageHeader")))
    names = [child.tag for child in headers[0] if child.tag in _ORDER]
    if len(headers) != 1 or names != sorted(names, key=_ORDER.index):
        raise Http(500)
