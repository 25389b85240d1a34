"""The Java program over Santuario, Bouncy Castle and Angus Mail: built when its sources change, started, and asked.

A question goes to one running JVM as fields of name and bytes, with lengths in front (java/src/Engine.java). What the
library refuses is `Refused`; any other fault of the program is an AssertionError, never a verdict.
"""

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker.envelope.names import cid
from broker.sealing.keys import KeyPair

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "java"
BUILT = ROOT / ".work" / "java"
BUILD_SECONDS = 300  # a first build downloads about 35 MB
ANSWER_SECONDS = 60

Fields = Iterable[tuple[str, bytes | str]]


class Refused(Exception):
    """The Java library does not take the data, and says why."""


def missing() -> str | None:
    """Return the sentence for a machine that lacks what the harness needs, or None."""
    lacking = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if not lacking:
        return None
    return (
        f"the Java libraries of other engines were NOT tried: no {', no '.join(lacking)} on the path. "
        "Install a JDK of version 17 or later, and Maven (Debian: default-jdk-headless, maven; `make system` does it)."
    )


def build() -> Path:
    """Return the folder of classes and jars, built by Maven where these sources have not been built before."""
    files = sorted(path for path in SOURCES.rglob("*") if path.suffix in {".java", ".xml"})
    state = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = BUILT / state
    if folder.exists():
        return folder
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as temporary:
        place = Path(temporary) / "built"
        command = ["mvn", "-B", "-q", "-f", str(SOURCES / "pom.xml"), "compile", f"-Dfolder={place}"]
        for how in (["-o"], []):  # without the network first: everything may be there
            done = subprocess.run([*command, *how], capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
            if done.returncode == 0:
                break
        if done.returncode:
            raise AssertionError(
                f"Maven cannot build {SOURCES.name}/pom.xml:\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
            )
        try:
            place.rename(folder)
        except OSError:
            assert folder.exists(), "neither we nor anyone else put the build in its place"
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What a signature covers, as Santuario found it. The octets, where asked for, are those that were digested."""

    uri: str
    transforms: tuple[str, ...]
    digest_value: bytes
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What Bouncy Castle found in a ciphertext; algorithms by OID."""

    content: bytes
    cipher: str
    transport: str


class JavaEngine:
    """One JVM that answers. Use as a context manager: it ends with the block."""

    def __init__(self) -> None:
        folder = build()
        classpath = os.pathsep.join([str(folder / "classes"), *map(str, sorted((folder / "lib").glob("*.jar")))])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            ["java", "-Xmx768m", "-Xmn256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> "JavaEngine":
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def close(self) -> None:
        """End the JVM; kill it where it does not end by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def versions(self) -> str:
        """Return which Java and which jars really answer."""
        answer = self._ask("versions", [])
        return ", ".join([f"Java {_one(answer, 'java').decode()}", *(jar.decode() for jar in _all(answer, "jar"))])

    def verify(
        self, xml: bytes, parts: Mapping[str, bytes], certificate: x509.Certificate, *, octets: bool = False
    ) -> list[Covered]:
        """Return what the signature in `xml` covers, where it holds; octets only where asked for. Raises Refused."""
        question = [("xml", xml), ("certificate", _der(certificate)), *_parts(parts)]
        question += [("octets", b"")] if octets else []
        answer = self._ask("verify", question)
        columns = (_all(answer, name) for name in ("uri", "transforms", "digest-value", "octets"))
        return [
            Covered(uri=uri.decode(), transforms=tuple(how.decode().split()), digest_value=digest, octets=octets)
            for uri, how, digest, octets in zip(*columns, strict=True)
        ]

    def sign(
        self,
        xml: bytes,
        parts: Mapping[str, bytes],
        key: KeyPair,
        certificates: Sequence[x509.Certificate],
        options: Fields,
    ) -> bytes:
        """Return `xml` signed as the options say (java/src/Signatures.java); the certificates go into KeyInfo."""
        question = [("xml", xml), ("private-key", _pkcs8(key)), *_parts(parts), *options]
        question += [("certificate", _der(one)) for one in certificates]
        return _one(self._ask("sign", question), "xml")

    def seal(self, content: bytes, certificates: Sequence[x509.Certificate], options: Fields) -> bytes:
        """Return `content` sealed for all certificates as the options say (java/src/Sealing.java)."""
        question = [("content", content), *(("certificate", _der(one)) for one in certificates), *options]
        return _one(self._ask("seal", question), "cms")

    def open(self, cms: bytes, key: KeyPair) -> Unsealed:
        """Return what is inside a ciphertext for that key. Raises Refused."""
        question = [("cms", cms), ("private-key", _pkcs8(key)), ("certificate", _der(key.certificate))]
        answer = self._ask("open", question)
        return Unsealed(
            content=_one(answer, "content"),
            cipher=_one(answer, "cipher").decode(),
            transport=_one(answer, "transport").decode(),
        )

    def write_mail(self, parts: Sequence[tuple[str, bytes]], options: Fields) -> tuple[str, bytes]:
        """Return Content-Type and body of a multipart of (header lines, decoded body), as the options say."""
        question = [field for head, body in parts for field in (("part-headers", head), ("part-body", body))]
        answer = self._ask("write-mail", [*question, *options])
        return _one(answer, "content-type").decode(), _one(answer, "body")

    def read_mail(self, content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
        """Return header fields and decoded body of each part. Raises Refused."""
        answer = self._ask("read-mail", [("content-type", content_type), ("body", body)])
        heads = [dict(line.split(": ", 1) for line in head.decode().splitlines()) for head in _all(answer, "headers")]
        return list(zip(heads, _all(answer, "body"), strict=True))

    def _ask(self, what: str, fields: Fields) -> list[tuple[str, bytes]]:
        question = [("do", what), *fields]
        pieces = [struct.pack(">i", len(question))]
        for name, value in question:
            for data in (name.encode(), value.encode() if isinstance(value, str) else value):
                pieces += (struct.pack(">i", len(data)), data)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._deadline():
            try:
                for piece in pieces:
                    stdin.write(piece)
                stdin.flush()
                answer = _read(stdout)
            except (BrokenPipeError, EOFError):
                raise AssertionError(
                    f"the JVM ended, or gave no answer in {ANSWER_SECONDS} s: {self._said()}"
                ) from None
        for name, value in answer:
            if name == "fault":
                raise AssertionError(f"Java, asked to {what}: {value.decode()}")
            if name == "refused":
                raise Refused(value.decode())
        return answer

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        timer = threading.Timer(ANSWER_SECONDS, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace")


def _read(stream: IO[bytes]) -> list[tuple[str, bytes]]:
    def exactly(size: int) -> bytes:
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def one() -> bytes:
        return exactly(struct.unpack(">i", exactly(4))[0])

    return [(one().decode(), one()) for _ in range(struct.unpack(">i", exactly(4))[0])]


def _all(answer: Sequence[tuple[str, bytes]], name: str) -> list[bytes]:
    return [value for key, value in answer if key == name]


def _one(answer: Sequence[tuple[str, bytes]], name: str) -> bytes:
    (value,) = _all(answer, name)
    return value


def _parts(parts: Mapping[str, bytes]) -> list[tuple[str, bytes | str]]:
    return [field for name, body in parts.items() for field in (("part-uri", cid(name)), ("part-body", body))]


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _pkcs8(key: KeyPair) -> bytes:
    return key.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
