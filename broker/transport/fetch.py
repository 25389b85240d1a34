"""Fetches what revocation services publish. It decides where a certificate may send us, and how much is read.

The addresses stand in certificates, which anyone can send us before any of them is believed: so only hosts that the
operator named are asked, only at public addresses (or networks that were named), nothing is followed, and what comes is
limited in size and time. HTTP is plain by design: what is fetched is signed by its issuer.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import aiohttp
from yarl import URL

from broker.transport.guard import Forbidden, GuardedResolver, Network, permitted

MAX_RESPONSE: Final = 20 * 1024 * 1024  # bytes; the longest lists of the sector have a few
_CHUNK: Final = 64 * 1024


class HttpFetch:
    """Asks a revocation service. Make it with `http_fetch`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        hosts: Collection[str],
        networks: Sequence[Network],
        timeout: timedelta,
        most: int = MAX_RESPONSE,
    ) -> None:
        self._session, self._hosts, self._networks = session, frozenset(hosts), networks
        self._timeout, self._most = timeout, most

    def allowed(self, url: str) -> bool:
        """Say whether a service may be asked: its host is one of those that the operator named."""
        try:
            address = URL(url)
            host = (address.host or "").lower()
            usable = address.scheme in ("http", "https") and address.user is None and address.password is None
        except ValueError:
            return False
        if not usable or host not in self._hosts:
            return False
        numeric = ":" in host or host.replace(".", "").isdigit()  # is connected to without being resolved
        return not numeric or permitted(host, self._networks)

    async def __call__(self, url: str, *, question: bytes | None) -> bytes:
        """Return what a GET, or a POST of an OCSP `question`, is answered with. Raises OSError with the reason."""
        if not self.allowed(url):
            raise Forbidden("the host is not one that may be asked")
        headers = {"Content-Type": "application/ocsp-request"} if question is not None else {}
        method = "GET" if question is None else "POST"
        try:
            async with (
                asyncio.timeout(self._timeout.total_seconds()),
                self._session.request(method, url, data=question, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise OSError(f"it answered HTTP {response.status}")
                return await self._read(response)
        except TimeoutError:
            raise OSError("it did not answer in time") from None
        except aiohttp.ClientError as error:
            refused = isinstance(getattr(error, "os_error", None), Forbidden)
            why = "its name leads to an address that may not be asked" if refused else "no connection"
            raise OSError(why) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        received = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            received += chunk
            if len(received) > self._most:
                raise OSError("its answer is too long")
        return bytes(received)


@asynccontextmanager
async def http_fetch(
    *, hosts: Collection[str], networks: Sequence[Network], timeout: timedelta, most: int = MAX_RESPONSE
) -> AsyncIterator[HttpFetch]:
    """Give what fetches, and close its connections in the end."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(networks),
        use_dns_cache=False,  # each connection goes to an address that was judged for it
        force_close=True,
        limit=10,
        ssl=ssl.create_default_context(),
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # each question brings its own
        auto_decompress=False,
        trust_env=False,  # no proxy: what a name leads to is judged here
        headers={"User-Agent": "digihelse-broker", "Accept-Encoding": "identity"},
    ) as session:
        yield HttpFetch(session, hosts=hosts, networks=networks, timeout=timeout, most=most)
