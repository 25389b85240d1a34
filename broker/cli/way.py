"""How far the way to a partner leads, step by step: name, address, TLS. For `broker check` and `broker ping`.

Nothing is sent but what TLS itself sends.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509

from broker.lookup.client_tls import PIN_FAULT, pin_of
from broker.message import Text

_STEP: Final = 5.0  # seconds for each of name, address and TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Where the way ends, and what to do."""

    text: Text
    act: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What TLS was agreed on, and the server's certificate."""

    version: str
    cipher: str
    subject: str
    ends: datetime
    pin: str  # SHA-256 of its key

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "version": self.version,
            "cipher": self.cipher,
            "subject": self.subject,
            "ends": self.ends.isoformat(),
            "pin": self.pin,
        }


async def walk(endpoint: str, tls: ssl.SSLContext) -> Stopped | Agreed | None:
    """Walk the way to an endpoint. Returns where it stops, else what TLS was agreed on, or None for plain HTTP."""
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_STEP):
            await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return _NO_NAME
    try:
        async with asyncio.timeout(_STEP):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return _NOBODY
    writer.close()
    if parts.scheme != "https":
        return None
    try:
        async with asyncio.timeout(_STEP):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        return _OTHER_KEY if error.verify_code == PIN_FAULT else _does_not_hold(error.verify_message)
    except (OSError, TimeoutError):
        return _NO_TLS
    try:
        return _agreed(writer.get_extra_info("ssl_object"))
    finally:
        writer.close()


def _agreed(line: ssl.SSLObject) -> Agreed:
    shown, cipher = line.getpeercert(binary_form=True), line.cipher()
    assert shown is not None
    assert cipher is not None
    certificate = x509.load_der_x509_certificate(shown)
    return Agreed(
        version=line.version() or "",
        cipher=cipher[0],
        subject=certificate.subject.rfc4514_string(),
        ends=certificate.not_valid_after_utc,
        pin=pin_of(shown),
    )


_NO_NAME: Final = Stopped(
    text=Text(nb="navnet finnes ikke i DNS", en="the name is not found in DNS"),
    act=Text(nb="rett endepunktet, eller se på maskinens DNS", en="mend the endpoint, or look at this machine's DNS"),
)
_NOBODY: Final = Stopped(
    text=Text(nb="ingen svarer på porten", en="nobody answers at the port"),
    act=Text(nb="se på brannmuren, og spør motparten", en="look at the firewall, and ask the partner"),
)
_NO_TLS: Final = Stopped(
    text=Text(nb="TLS kommer ikke i stand", en="TLS could not be agreed"),
    act=Text(nb="motparten må tilby TLS 1.2 eller nyere", en="the partner must offer TLS 1.2 or newer"),
)
_OTHER_KEY: Final = Stopped(
    text=Text(
        nb="tjeneren har en annen nøkkel enn tls_pins fester", en="the server has another key than tls_pins pins"
    ),
    act=Text(
        nb="spør motparten; er nøkkelen deres, legg den til i tls_pins",
        en="ask the partner; if the key is theirs, add it to tls_pins",
    ),
)


def _does_not_hold(why: str) -> Stopped:
    return Stopped(
        text=Text(nb=f"TLS-sertifikatet holder ikke ({why})", en=f"the TLS certificate does not hold ({why})"),
        act=Text(nb="be motparten fornye det", en="ask the partner to renew it"),
    )
