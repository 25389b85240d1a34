"""An NHS integration adaptor's message handler, as its source says: no signatures, everything in the HTTP answer.

Its states are those of its work description. What it cannot transmit it forgets when it dies: nothing is sent after a
restart.
"""

from collections.abc import Sequence
from dataclasses import replace

from tests.interop.peers.base import Answer, Engine, Http, States
from tests.interop.peers.envelope import Style
from tests.interop.peers.site import Terms
from tests.interop.peers.wire import Message, Out, Part, Related


class Nhs(Engine):
    """It names the root without angle brackets, and the action in the SOAPAction."""

    name = "nhs"
    states = States(
        received="INBOUND_RESPONSE_RECEIVED",
        processed="INBOUND_RESPONSE_SUCCESSFULLY_PROCESSED",
        refused="INBOUND_RESPONSE_FAILED",
        created="OUTBOUND_MESSAGE_PREPARED",
        failed="OUTBOUND_MESSAGE_NACKD",
        delivered="OUTBOUND_MESSAGE_ACKD",
        expired="OUTBOUND_MESSAGE_TRANSMISSION_FAILED",
    )
    style = Style(soap="SOAP", id="{id}", time="%Y-%m-%dT%H:%M:%S")
    related = Related(
        boundary="--=_MIME-Boundary",
        content_type="multipart/related; boundary={boundary}; type=text/xml; start=ebXMLHeader@spine.nhs.uk",
        root_headers=(
            ("Content-Id", "<ebXMLHeader@spine.nhs.uk>"),
            ("Content-Type", "text/xml; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ),
        part_headers=(
            ("Content-Id", "<{cid}>"),
            ("Content-Type", "{type}; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ),
        first="\r\n",
    )
    signs = frozenset[str]()

    def headers(self, party: Terms, out: Out, *, service: str, action: str) -> Out:
        told = super().headers(party, out, service=service, action=action)
        fixed = [
            ("SOAPAction", f"{service}/{action}") if name == "SOAPAction" else (name, value)
            for name, value in told.headers
        ]
        return replace(told, headers=[*fixed, ("charset", "UTF-8")])

    def unknown_reference(self) -> Answer:
        raise Http(500)

    def again(self, status: int) -> bool:
        """A fault is worth another try only with a code of its list, which none of ours has."""
        return status >= 500

    def demand(self, message: Message, parts: Sequence[Part]) -> None:
        if message.method != "POST":
            raise Http(405)
