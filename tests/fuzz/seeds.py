"""The corpus: whole and honest inputs from which the fuzzers start, and small pieces that they put in.

python -m tests.fuzz.seeds      write tests/fuzz/corpus anew
"""

from pathlib import Path
from random import Random

from broker.envelope import mime
from broker.envelope.ebms_build import build
from broker.sealing.cms import Cipher, KeyTransport, seal
from tests.fuzz.fixed_key import fixed_key
from tests.fuzz.targets import GCM_CONTENT
from tests.interop.capture import FOLDER as CAPTURES
from tests.interop.capture import body_of
from tests.judging import DOCUMENTS
from tests.unit.envelope.envelopes import ALL

CORPUS = Path(__file__).parent / "corpus"
_MOST = 12_000  # bytes of a seed: a larger one slows every mutation

# What a mutation puts in; atheris finds more of its own.
WORDS: dict[str, tuple[bytes, ...]] = {
    "mime": (b"\r\n", b"\n", b"--", b"; boundary=", b'start="<', b"=\r\n", b"=41", b"base64", b"Content-Type: ", b"<>"),
    "xml": (b"<!DOCTYPE a>", b"<?x?>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&#0;", b"&lt;", b'xmlns=""', b'V=""'),
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
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def made() -> dict[str, dict[str, bytes]]:
    """Return the whole corpus anew: names to bytes by target."""
    documents = {path.stem: path.read_bytes() for path in sorted(DOCUMENTS.glob("*.xml"))}
    captures = {
        path.name: body_of(path.name)
        for path in sorted(CAPTURES.iterdir())
        if path.suffix in (".request", ".response") and path.stat().st_size < _MOST
    }
    entity = mime.build(b"<a/>", [mime.ciphertext("part@x", b"sealed" * 20)], boundary="b0undary", root_id="root@x")
    quoted = entity.body.replace(b"base64", b"quoted-printable").replace(b"\r\nc2Vh", b"\r\nc2=\r\n=56=20x")
    kind = entity.content_type + "\n"
    mimes = {"ours-base64": kind.encode() + entity.body, "ours-quoted": kind.encode() + quoted}
    mimes |= {name: f"{said}\n".encode() + body for name, (said, body) in captures.items()}
    envelopes = {one.name.lower(): build(envelope) for one, envelope in ALL.items()}
    for name, (said, body) in captures.items():
        if name.endswith("signed.request"):
            envelopes[name] = mime.read(said, body).root.body
    sealed = {
        f"{transport}-{cipher}": seal(
            GCM_CONTENT,
            fixed_key().certificate,
            random=Random(7).randbytes,
            key_transport=transport,
            cipher=cipher,
        )
        for transport in (KeyTransport.RSA_V15, KeyTransport.OAEP_SHA256)
        for cipher in (Cipher.AES256_CBC, Cipher.AES256_GCM)
    }
    return {
        "mime": mimes,
        "envelope": envelopes,
        "cms": sealed,
        "apprec": {name: data for name, data in documents.items() if name.startswith("apprec")},
        "msghead": {
            name: data for name, data in documents.items() if not name.startswith("apprec") and len(data) < _MOST
        },
    }


if __name__ == "__main__":
    for target, files in made().items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (CORPUS / target / name).write_bytes(data)
        print(target, len(files), sum(map(len, files.values())))
