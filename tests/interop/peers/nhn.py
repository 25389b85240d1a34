"""NHN's EDI 2.0 as its portal describes it: HIS 1037 to the letter, and every signal signed.

Its states are the words of its API.
"""

from tests.interop.peers.base import Engine, States
from tests.interop.peers.envelope import Style
from tests.interop.peers.xmldsig import Shape


class Nhn(Engine):
    """Plain and correct, in HIS 1037's form of the Acknowledgment."""

    name = "nhn"
    states = States(
        received="Received",
        processed="Read",
        refused="Refused",
        created="Unconfirmed",
        failed="Rejected",
        delivered="Acknowledged",
        expired="Unconfirmed, given up",
    )
    style = Style(soap="SOAP", ref_in_acknowledgment=False, description='{"MSH-system":"EDI","MSH-versjon":"2.0"}')
    shape = Shape(xpath_prefix="SOAP", certificate_first=True)
    signs = frozenset({"Acknowledgment", "MessageError", "Pong", "StatusResponse", "Ping", "StatusRequest"})
