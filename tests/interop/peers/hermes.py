"""A Hermes 2, as its source says and as it was run: rsa-sha1, and a page of HTML for what is malformed.

Its states are its two letters: RC received, PS processed, PE processed with error; PD pending, DL delivered, DF failed.
"""

from tests.interop.peers.base import Engine, Http, States
from tests.interop.peers.envelope import Error, Seen, Style
from tests.interop.peers.site import Terms
from tests.interop.peers.wire import Related
from tests.interop.peers.xmldsig import RSA_SHA1, SHA1, Shape


class Hermes(Engine):
    """It takes the hash that the key type suggests, and counts attempts in its own way."""

    name = "hermes"
    states = States(
        received="RC", processed="PS", refused="PE", created="PD", failed="DF", delivered="DL", expired="DF"
    )
    style = Style(soap="SOAP-ENV", id="{id}@hermes.invalid")
    related = Related(
        boundary="----=_Part_{id}",
        part_headers=(
            ("Content-Type", "{type}"),
            ("Content-Id", "<{cid}>"),
            ("Content-Transfer-Encoding", "base64"),
        ),
    )
    shape = Shape(method=RSA_SHA1, digest=SHA1, xpath_prefix="SOAP-ENV", key_value=False)

    def malformed(self, why: str) -> Http:
        page = b"<html><head><title>Error 500</title></head><body><h1>HTTP ERROR: 500</h1></body></html>"
        return Http(500, page, "text/html")

    def unknown_agreement(self, party: Terms, seen: Seen) -> Exception:
        return Error(code="SecurityFailure", text="Unauthorized Msg")

    def attempts(self, party: Terms) -> int:
        """Return how many copies it sends: its comment says that the first one counts among the retries."""
        return max(party.retries - 1, 0) + 1
