"""Where a webhook may go: judged by the address that is then connected to, never by the name alone.

Whoever may write a webhook's address, or its DNS, must not reach through us what only we can reach: this machine, the
municipality's inner networks, a cloud's metadata. What is not public must be listed by the municipality.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Network: TypeAlias = IPv4Network | IPv6Network
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last four bytes


class Forbidden(OSError):
    """The webhook may not go there. An OSError, since that is what resolvers raise."""


def permitted(address: str, networks: Sequence[Network]) -> bool:
    """Say whether a webhook may connect to this IP address: a public one, or one of `networks`.

    Link-local (where clouds keep their metadata), multicast and unspecified addresses are never permitted.
    """
    try:
        found = _innermost(ip_address(address))
    except ValueError:  # such as a scope, fe80::1%eth0
        return False
    if found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return found.is_global or any(found.version == each.version and found in each for each in networks)


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    within = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if within is None and address in _NAT64:
        within = IPv4Address(int(address) & 0xFFFFFFFF)
    return within or address


def checked_url(text: str, networks: Sequence[Network]) -> URL:
    """Return the address of a webhook. Raises Forbidden.

    https; http only to an address of this machine, written as a number, in `networks`. No user and password.
    """
    try:
        url = URL(text)
        host = url.raw_host or ""
    except ValueError:
        raise Forbidden("no web address") from None
    if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
        raise Forbidden("https:// without user and password is what can be used")
    literal = _literal(host)
    # What only looks like a number (127.1, 2130706433) would be connected to without being resolved.
    doubtful = literal is None and (":" in host or host.replace(".", "").isdigit())
    if doubtful or (literal is not None and not permitted(host, networks)):
        raise Forbidden("an address that a webhook may not go to")
    if url.scheme == "http" and not (literal is not None and _innermost(literal).is_loopback):
        raise Forbidden("without TLS only this machine can be reached")
    return url


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


class GuardedResolver(AbstractResolver):
    """Resolves a name, and gives its addresses only if each of them is permitted: what is connected to was judged."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises Forbidden, or OSError where it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = [str(one[4][0]) for one in found]
        if not addresses or not all(permitted(address, self._networks) for address in addresses):
            raise Forbidden("the name leads to an address that a webhook may not go to")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=one[0],
                proto=one[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address, one in zip(addresses, found, strict=True)
        ]

    async def close(self) -> None:
        """Nothing is held."""
