"""The corpus: whole and honest inputs from which the fuzzers start, and small pieces that they put in.

It is made from the samples and captures that lie in the tree already. Ciphertexts alone are kept in tests/fuzz/corpus,
since the library draws their padding: python -m tests.fuzz.seeds writes them anew.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from broker.envelope import mime
from broker.envelope.ebms_build import build
from broker.sealing.cms import Cipher, KeyTransport, seal
from tests.fuzz.fixed_key import fixed_key
from tests.fuzz.targets import GCM_CONTENT
from tests.interop.capture import FOLDER as CAPTURES
from tests.interop.capture import body_of
from tests.judging import DOCUMENTS
from tests.unit.envelope.envelopes import ALL

CORPUS = Path(__file__).parent / "corpus" / "cms"
_MOST = 12_000  # bytes of a seed: a larger one slows every mutation

# What a mutation puts in; atheris finds more of its own.
WORDS: dict[str, tuple[bytes, ...]] = {
    "mime": (b"\r\n", b"\n", b"--", b"; boundary=", b'start="<', b"=\r\n", b"=41", b"base64", b"Content-Type: ", b"<>"),
    "xml": (
        b"<!DOCTYPE a>",
        b"<?x?>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&#0;",
        b"&lt;",
        b'xmlns=""',
        b'V=""',
        b'xml:space="x"',  # a warning
        b"}",
        b"x:",
    ),
    "cms": (
        b"\x30\x80",
        b"\x00\x00",
        b"\x24\x80",
        b"\x04\x82\xff\xff",
        b"\x30\x84\xff\xff\xff\xff",
        b"\xa0\x80",
        b"\x1f",
    ),
}


def words(target: str) -> tuple[bytes, ...]:
    """Return the words of a target."""
    return WORDS.get(target, WORDS["xml"])


def seeds(target: str) -> list[bytes]:
    """Return the corpus of a target, in the order of its names."""
    return [data for _, data in sorted(_MAKERS[target]().items())]


def _captures() -> dict[str, tuple[str, bytes]]:
    return {
        path.name: body_of(path.name)
        for path in sorted(CAPTURES.iterdir())
        if path.suffix in (".request", ".response") and path.stat().st_size < _MOST
    }


def _mimes() -> dict[str, bytes]:
    entity = mime.build(b"<a/>", [mime.ciphertext("part@x", b"sealed" * 20)], boundary="b0undary", root_id="root@x")
    quoted = entity.body.replace(b"base64", b"quoted-printable").replace(b"\r\nc2Vh", b"\r\nc2=\r\n=56=20x")
    kind = f"{entity.content_type}\n".encode()
    captured = {name: f"{said}\n".encode() + body for name, (said, body) in _captures().items()}
    return captured | {"ours-base64": kind + entity.body, "ours-quoted": kind + quoted}


def _envelopes() -> dict[str, bytes]:
    signed = {
        name: mime.read(said, body).root.body
        for name, (said, body) in _captures().items()
        if name.endswith("signed.request")
    }
    return signed | {one.name.lower(): build(envelope) for one, envelope in ALL.items()}


def _ciphertexts() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in CORPUS.iterdir()}


def _documents(*, receipts: bool) -> dict[str, bytes]:
    found = {path.stem: path.read_bytes() for path in DOCUMENTS.glob("*.xml")}
    return {
        name: data
        for name, data in found.items()
        if name.startswith("apprec") == receipts and (receipts or len(data) < _MOST)
    }


_MAKERS: Final[dict[str, Callable[[], dict[str, bytes]]]] = {
    "mime": _mimes,
    "envelope": _envelopes,
    "cms": _ciphertexts,
    "apprec": partial(_documents, receipts=True),
    "msghead": partial(_documents, receipts=False),
}


def seal_anew() -> None:
    """Write the ciphertexts of the corpus."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for transport in (KeyTransport.RSA_V15, KeyTransport.OAEP_SHA256):
        for cipher in (Cipher.AES256_CBC, Cipher.AES256_GCM):
            key, draw = fixed_key().certificate, Random(7).randbytes
            sealed = seal(GCM_CONTENT, key, random=draw, key_transport=transport, cipher=cipher)
            (CORPUS / f"{transport}-{cipher}").write_bytes(sealed)


if __name__ == "__main__":
    seal_anew()
