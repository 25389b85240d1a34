"""Certificates of servers and clients on loopback, and a TLS server that is OpenSSL's own."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.certificates import rsa_key

ALWAYS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
PAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)


def made(name: str, *, issuer: str | None = None, valid: tuple[datetime, datetime] = ALWAYS) -> x509.Certificate:
    """Return a certificate for 127.0.0.1, self-signed or by an issuer of ours."""
    own, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer or name))
    return (
        x509.CertificateBuilder(
            subject_name=own, issuer_name=by, public_key=rsa_key(f"tls {name}").public_key(), serial_number=len(name)
        )
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(rsa_key(f"tls {issuer or name}"), hashes.SHA256())
    )


def keep(folder: Path, name: str, certificate: x509.Certificate) -> tuple[Path, Path]:
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(rsa_key(f"tls {name}").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].chmod(0o600)
    return paths


@asynccontextmanager
async def openssl_server(folder: Path, version: str) -> AsyncIterator[str]:
    """Serve TLS by OpenSSL itself, which demands a certificate of `client-ca` and ends properly where it gets none."""
    certificate, key = keep(folder, "server", made("server"))
    (folder / "client-ca.crt").write_bytes(made("client-ca").public_bytes(Encoding.PEM))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", f"127.0.0.1:{port}", f"-{version}", "-www"),
        *("-cert", certificate, "-key", key, "-CAfile", folder / "client-ca.crt", "-Verify", "1"),
        "-verify_return_error",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            while b"ACCEPT" not in await process.stdout.readline():
                pass
        yield f"https://127.0.0.1:{port}/"
    finally:
        process.kill()
        await process.wait()
