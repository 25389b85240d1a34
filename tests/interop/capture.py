"""A captured HTTP message as a value: what the carrier would have handed us."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from broker.envelope import mime, xml

FOLDER = Path(__file__).parent / "captures"
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """The envelope, and the parts by Content-ID."""

    envelope: xml.Xml
    parts: dict[str, bytes]


def certificate(party: str) -> x509.Certificate:
    """Return the certificate of party `a` or `b`."""
    return x509.load_pem_x509_certificate((FOLDER / "keys" / f"{party}.crt").read_bytes())


def body_of(name: str) -> tuple[str, bytes]:
    """Return Content-Type and body of a capture, chunks put together."""
    head, _, body = (FOLDER / name).read_bytes().partition(b"\r\n\r\n")
    fields = [line.partition(":") for line in head.decode("ascii").split("\r\n")[1:]]
    headers = {key.lower(): value.strip() for key, _, value in fields}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        chunks = []
        while True:
            size, _, body = body.partition(b"\r\n")
            if not int(size, 16):
                break
            chunks.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        body = b"".join(chunks)
    return headers.get("content-type", ""), body


def load(name: str) -> Capture:
    """Return a capture read by the broker's own MIME and XML readers."""
    content_type, body = body_of(name)
    entity = mime.read(content_type, body)
    return Capture(
        envelope=xml.parse(entity.root.body, max_bytes=MAX_BYTES),
        parts={part.content_id: part.body for part in entity.parts},
    )
