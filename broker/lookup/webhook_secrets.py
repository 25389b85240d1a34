"""The secrets that webhooks are signed with: a file of one line, or of two while the receiver changes to the next."""

import base64
import binascii
from pathlib import Path
from typing import Final

from broker.errors import Misconfigured

_PREFIX: Final = "whsec_"  # Standard Webhooks 1.0, "Signature scheme"


def read_secrets(path: Path, *, where: str) -> tuple[bytes, ...]:
    """Return the secrets of a file. Raises Misconfigured, which names `where` and never what stood there."""
    try:
        lines = [line.strip() for line in path.read_text("ascii").splitlines() if line.strip()]
    except OSError as error:
        raise Misconfigured(f"the file can't be read ({error.strerror})", where=where) from None
    except UnicodeDecodeError:
        lines = []
    secrets = tuple(secret for line in lines if (secret := _secret(line)))
    if not 1 <= len(lines) <= 2 or len(secrets) < len(lines):
        raise Misconfigured(
            "the file does not hold one secret, or two",
            where=where,
            hint=f"each on its line: {_PREFIX} and 24 to 64 bytes in base64, as `openssl rand -base64 32` gives",
        )
    return secrets


def _secret(line: str) -> bytes:
    if not line.startswith(_PREFIX):
        return b""
    try:
        found = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return b""
    return found if 24 <= len(found) <= 64 else b""
