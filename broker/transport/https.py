"""Sends stored bytes by HTTP POST and returns what came back. It judges nothing but whether a copy may have been read.

ebMS 2.0, B.2: the MIME headers of the entity become HTTP headers, with SOAPAction: "ebXML", quotes included.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Final

import aiohttp
from yarl import URL

from broker.errors import TransportFailed
from broker.ports import TransportReply

MAX_REPLY: Final = 52 * 1024 * 1024  # the limit of an envelope; design.md, decision 17
PER_ORIGIN: Final = 8  # connections to one partner; a slow one takes no more than these
_CHUNK: Final = 64 * 1024
_ENDPOINTS: Final = 1000  # of partners: read once
_KEEP_ALIVE: Final = 4.0  # seconds; shorter than any peer's, so that a POST seldom meets a connection just closed


@lru_cache(maxsize=_ENDPOINTS)
def loopback_only(endpoint: str) -> bool:
    """Say whether plain http may go to `endpoint`: only to this machine."""
    host = URL(endpoint).host or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Copy:
    """The body on its way, and whether all of it was handed over."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _CHUNK):
            end = start + _CHUNK
            # Before, not after: bytes in a closed socket's buffer may still arrive.
            self.whole = end >= len(self._body)
            yield self._body[start:end]


class HttpsCarrier:
    """A `ports.Carrier` over one shared session. Make it with `https_carrier`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        tls: Callable[[str], ssl.SSLContext],
        allow_plain: Callable[[str], bool],
        max_reply: int,
    ) -> None:
        self._session, self._tls, self._allow_plain, self._max_reply = session, tls, allow_plain, max_reply

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        """POST an ebMS entity, following no redirect.

        The reply's body is cut at the limit of an envelope. Raises TransportFailed: MB-2008 (no http address),
        MB-3217 (plain http not allowed), MB-3201 (DNS), MB-3202 (TCP), MB-3203 (TLS), MB-3220 to MB-3223 (the TLS
        certificate: out of its time, not trusted, another name, another key than is pinned), MB-3224 (ours is not
        taken), MB-3204 (time ran out before the body was handed over) and MB-3205 (anything after that; only then
        `maybe_read`).
        """
        url = self._address(endpoint)
        copy = _Copy(body)
        headers = {"Content-Type": content_type, "Content-Length": str(len(body)), "SOAPAction": '"ebXML"'}
        if content_type.lstrip().lower().startswith("text/xml"):
            # Some peers answer 500 to a bare envelope that has no Content-ID among its HTTP headers.
            headers["Content-ID"] = f"<{sha256(body).hexdigest()[:32]}@digihelse.invalid>"
        try:
            async with (
                asyncio.timeout(timeout.total_seconds()),
                self._session.post(
                    url,
                    data=aiohttp.AsyncIterablePayload(copy),
                    headers=headers,
                    allow_redirects=False,
                    ssl=self._tls(endpoint),
                ) as response,
            ):
                received = await self._read(response)
                return TransportReply(
                    status=response.status,
                    content_type=response.headers.get("Content-Type", ""),
                    body=received,
                    date=_date(response.headers.get("Date", "")),
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _failure(error, copy.whole) from None  # the cause would quote the address with its path

    def _address(self, endpoint: str) -> URL:
        url = _url(endpoint)
        if url is None:
            raise TransportFailed("the endpoint is no http(s) address", error_id="MB-2008", maybe_read=False)
        if url.scheme == "http" and not self._allow_plain(endpoint):
            raise TransportFailed("plain http is not allowed for this endpoint", error_id="MB-3217", maybe_read=False)
        return url

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        received = bytearray()
        while chunk := await response.content.readany():
            received += chunk[: self._max_reply - len(received)]
            if len(received) >= self._max_reply:
                response.close()  # the rest is of no use, and the connection is not to be used again
                break
        return bytes(received)


@asynccontextmanager
async def https_carrier(
    *,
    tls: Callable[[str], ssl.SSLContext] | None = None,
    allow_plain: Callable[[str], bool] = loopback_only,
    max_reply: int = MAX_REPLY,
    connections: int = 100,
    user_agent: str = "digihelse-broker",
) -> AsyncIterator[HttpsCarrier]:
    """Give a carrier, and close its connections in the end. `tls`: our context for an endpoint (system roots if None).

    Connections are shared by those that go to one origin under one context.
    """
    if tls is None:
        usual = ssl.create_default_context()

        def tls(_endpoint: str) -> ssl.SSLContext:
            return usual

    connector = aiohttp.TCPConnector(
        limit=connections,
        limit_per_host=PER_ORIGIN,
        keepalive_timeout=_KEEP_ALIVE,
        ttl_dns_cache=30,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # each post brings its own
        auto_decompress=False,
        trust_env=False,  # no proxy, no netrc: the endpoint in the record is where it goes
        raise_for_status=False,
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
    ) as session:
        yield HttpsCarrier(session, tls, allow_plain, max_reply)


@lru_cache(maxsize=_ENDPOINTS)
def _url(endpoint: str) -> URL | None:
    """Return an http(s) address, or None where it is none."""
    try:
        url = URL(endpoint)
        return url if url.scheme in ("http", "https") and url.host else None
    except ValueError:
        return None


def _failure(error: Exception, whole: bool) -> TransportFailed:
    """The words of the error are left out: they may quote what the peer sent."""
    if _ours_refused(error):
        return TransportFailed("our TLS certificate is not taken, or missing", error_id="MB-3224", maybe_read=False)
    if whole:
        return TransportFailed("no complete answer to a whole copy", error_id="MB-3205", maybe_read=True)
    if isinstance(error, aiohttp.InvalidURL):
        return TransportFailed("the endpoint is no http(s) address", error_id="MB-2008", maybe_read=False)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TransportFailed("the host name could not be resolved", error_id="MB-3201", maybe_read=False)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = _certificate_fault(error.certificate_error)
        return TransportFailed("the server's TLS certificate does not hold", error_id=why, maybe_read=False)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return TransportFailed("TLS could not be agreed", error_id="MB-3203", maybe_read=False)
    if isinstance(error, TimeoutError):
        return TransportFailed("time ran out before the copy was handed over", error_id="MB-3204", maybe_read=False)
    return TransportFailed("no connection, or one that ended too soon", error_id="MB-3202", maybe_read=False)


@lru_cache(maxsize=100)  # most answers of a second come with the same words
def _date(said: str) -> datetime | None:
    """Return an HTTP Date (RFC 9110, 5.6.7), or None where it is none."""
    try:
        date = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None


# The verify codes of OpenSSL (X509_V_ERR_*): not yet valid, expired; host name, e-mail and IP address mismatch.
_OUT_OF_TIME: Final = frozenset({9, 10})
_OTHER_NAME: Final = frozenset({62, 63, 64})
_OTHER_KEY: Final = 0x5A1  # see lookup.client_tls: a key that the record does not pin

# Alerts by which a server ends a handshake over the client's certificate (RFC 8446, 6.2). In TLS 1.3 they come after
# our first bytes, but a server that has not ended its handshake has read none of them.
_ALERTS: Final = re.compile(
    r"ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED|UNKNOWN)"
    r"|UNKNOWN_CA|ACCESS_DENIED)"
)


def _ours_refused(error: BaseException | None) -> bool:
    seen = 0
    while error is not None and seen < 5:
        # aiohttp's own errors are of that class, and have no reason; the one that caused them has.
        if isinstance(error, ssl.SSLError) and _ALERTS.search(getattr(error, "reason", None) or ""):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _certificate_fault(error: Exception) -> str:
    code = getattr(error, "verify_code", None)
    if code in _OUT_OF_TIME:
        return "MB-3220"
    if code == _OTHER_KEY:
        return "MB-3223"
    return "MB-3222" if code in _OTHER_NAME else "MB-3221"
