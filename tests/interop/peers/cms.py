"""Ciphertext as OpenSSL's own command makes and opens it."""

import asyncio
import tempfile
from pathlib import Path


class Closed(Exception):
    """A ciphertext that OpenSSL does not open."""


async def seal(content: bytes, recipient: Path, *, cipher: str = "aes-256-cbc", stream: bool = False) -> bytes:
    """Return EnvelopedData for a certificate (PEM file); `stream` writes indefinite-length BER."""
    how = ["-stream"] if stream else []
    return await _run(content, "-encrypt", "-binary", f"-{cipher}", "-outform", "DER", *how, str(recipient))


async def open_(sealed: bytes, key: Path, certificate: Path) -> bytes:
    """Return what was sealed. Raises Closed."""
    return await _run(sealed, "-decrypt", "-binary", "-inform", "DER", "-inkey", str(key), "-recip", str(certificate))


async def _run(data: bytes, *arguments: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(data)
        way, *rest = arguments
        process = await asyncio.create_subprocess_exec(
            "openssl", "cms", way, "-in", str(source), "-out", str(target), *rest,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, told = await process.communicate()
        if process.returncode:
            raise Closed(told.decode("utf-8", "replace").partition("\n")[0])
        return target.read_bytes()
