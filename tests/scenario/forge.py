"""A valid entity taken apart, so that one thing in it can be changed, and put together again."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from broker.envelope import mime
from broker.envelope.names import ds
from broker.envelope.signature import sign_envelope
from broker.envelope.xml import c14n, parse
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH
from broker.sealing import cms
from broker.sealing.keys import KeyPair
from tests.scenario.pair import Caught

SIGNATURE = "<ds:Signature>.*</ds:Signature>"
NEXT, NEXT_MSH = f'SOAP:actor="{ACTOR_NEXT}"', f'SOAP:actor="{ACTOR_NEXT_MSH}"'
BOUNDARY = "0123456789abcdef0123456789abcdef"
HASHES: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}


def trace(actor: str, inside: str) -> str:
    """Return a header entry of someone else."""
    return f'<t:Trace xmlns:t="urn:trace" {actor}>{inside}</t:Trace>'


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An envelope and its payloads. Every method returns a new one; a change that finds nothing to change fails."""

    endpoint: str
    root: str
    parts: tuple[mime.Part, ...]

    def edit(self, where: str, by: str) -> "Draft":
        """Replace the one place that the pattern finds; `by` may use its groups."""
        root, count = re.subn(where, by, self.root, flags=re.DOTALL)
        assert count == 1, f"{where!r} finds {count} places"
        assert root != self.root, f"{where!r} changes nothing"
        return replace(self, root=root)

    def put(self, old: str, new: str, *, times: int = 1) -> "Draft":
        """Replace a text that stands there so many times."""
        assert self.root.count(old) == times, f"{old!r} stands {self.root.count(old)} times"
        assert old != new
        return replace(self, root=self.root.replace(old, new))

    def found(self, where: str) -> str:
        """Return the first text that the pattern finds."""
        match = re.search(where, self.root, flags=re.DOTALL)
        assert match is not None, f"{where!r} finds nothing"
        return match[0]

    def value(self, name: str) -> str:
        """Return the text of the first element of that name."""
        return self.found(f"(?<=<{name}>)[^<]*")

    def last_in_header(self, entry: str) -> "Draft":
        return self.put("</SOAP:Header>", f"{entry}</SOAP:Header>")

    def first_in_header(self, entry: str) -> "Draft":
        return self.put("<SOAP:Header>", f"<SOAP:Header>{entry}")

    def anew(self) -> "Draft":
        """Give it an eb:MessageId of its own, by what it carries: an acknowledged one is used up."""
        return self.put("<eb:MessageId>", f"<eb:MessageId>{hashlib.sha256(self.payload).hexdigest()[:16]}-")

    # --- parts ---

    @property
    def payload(self) -> bytes:
        return self.parts[0].body

    @property
    def cid(self) -> str:
        return self.parts[0].content_id

    def carrying(self, payload: bytes) -> "Draft":
        """Put other bytes under the same Content-ID."""
        assert payload != self.payload
        return replace(self, parts=(replace(self.parts[0], body=payload),))

    def renamed(self, content_id: str) -> "Draft":
        """Call the payload otherwise, in MIME alone."""
        return replace(self, parts=(replace(self.parts[0], content_id=content_id),))

    def beside(self, content_id: str, body: bytes) -> "Draft":
        """Add a part, in MIME alone."""
        return replace(self, parts=(*self.parts, mime.ciphertext(content_id, body)))

    # --- signatures ---

    def unsigned(self) -> "Draft":
        return self.edit(SIGNATURE, "")

    def signed(self, key: KeyPair) -> "Draft":
        """Sign anew, with that key and its certificate."""
        bare = re.sub(SIGNATURE, "", self.root, flags=re.DOTALL)
        signed = sign_envelope(bare.encode(), {part.content_id: part.body for part in self.parts}, key)
        return replace(self, root=signed.decode())

    def valued(self, key: KeyPair, hash_name: str = "sha256") -> "Draft":
        """Put a new SignatureValue on ds:SignedInfo as it now stands; digests stay as they are."""
        return self._valued(lambda canonical: key.private_key.sign(canonical, padding.PKCS1v15(), HASHES[hash_name]))

    def valued_by_hmac(self, secret: bytes) -> "Draft":
        return self._valued(lambda canonical: hmac.digest(secret, canonical, "sha256"))

    def _valued(self, sign: Callable[[bytes], bytes]) -> "Draft":
        root = parse(self.root.encode(), max_bytes=10**7).root
        (info,) = root.iter(ds("SignedInfo"))
        value = base64.b64encode(sign(c14n(info))).decode()
        return self.edit("<ds:SignatureValue>[^<]*", f"<ds:SignatureValue>{value}")

    # --- out ---

    def entity(self) -> Caught:
        """Return what goes over the wire."""
        made = mime.build(self.root.encode(), self.parts, boundary=BOUNDARY, root_id="root@forge.test")
        return Caught(self.endpoint, made.content_type, made.body)


def take(caught: Caught) -> Draft:
    """Take an entity apart."""
    read = mime.read(caught.content_type, caught.body)
    return Draft(endpoint=caught.endpoint, root=read.root.body.decode(), parts=read.parts)


def sealed(document: bytes, recipient: x509.Certificate, *, seed: bytes = b"forge") -> bytes:
    """Return the document sealed for a recipient: anyone can, its certificate is public."""
    return cms.seal(document, recipient, random=lambda count: hashlib.shake_256(seed).digest(count))


def public_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
