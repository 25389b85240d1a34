"""Where a webhook may not go, case by case, and that a guard which looks less closely would be noticed."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from broker.transport import guard
from broker.transport.guard import Forbidden, GuardedResolver, Network, checked_url
from broker.transport.webhooks import webhook_session

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
INNER = (ip_network("10.20.0.0/16"),)
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))

# What stands in the settings, what its name resolves to (None: it is a number itself), what is listed.
FORBIDDEN: list[tuple[str, str | None, Sequence[Network]]] = [
    ("https://127.0.0.1/wake", None, ()),
    ("https://127.8.9.10/wake", None, ()),
    ("https://[::1]/wake", None, ()),
    ("https://0.0.0.0/wake", None, EVERYTHING),
    ("https://[::]/wake", None, EVERYTHING),
    ("https://10.0.0.5/wake", None, INNER),
    ("https://172.16.0.1/wake", None, ()),
    ("https://192.168.1.1/wake", None, ()),
    ("https://100.64.0.1/wake", None, ()),
    ("https://169.254.169.254/latest/meta-data", None, EVERYTHING),
    ("https://[fe80::1]/wake", None, EVERYTHING),
    ("https://[fc00::1]/wake", None, ()),
    ("https://[fd00:ec2::254]/wake", None, ()),
    ("https://224.0.0.1/wake", None, EVERYTHING),
    ("https://[::ffff:127.0.0.1]/wake", None, ()),
    ("https://[::ffff:169.254.169.254]/wake", None, EVERYTHING),
    ("https://[64:ff9b::7f00:1]/wake", None, ()),
    ("https://[2002:7f00:1::]/wake", None, ()),
    ("https://127.1/wake", None, LOOPBACK),
    ("https://2130706433/wake", None, LOOPBACK),
    ("https://127.0.0.1./wake", None, LOOPBACK),
    ("https://0x7f.0.0.1/wake", "127.0.0.1", ()),
    ("https://localhost/wake", "127.0.0.1", ()),
    ("https://localhost6/wake", "::1", ()),
    ("https://inner.example/wake", "192.168.1.1", ()),
    ("https://metadata.example/wake", "169.254.169.254", EVERYTHING),
    ("https://rebound.example/wake", "10.0.0.5", INNER),
    ("https://two.example/wake", "93.184.216.34 127.0.0.1", ()),
    ("http://127.0.0.1/wake", None, ()),
    ("http://93.184.216.34/wake", None, ()),
    ("http://epj.example/wake", "93.184.216.34", EVERYTHING),
    ("http://localhost/wake", "127.0.0.1", LOOPBACK),
    ("https://user:word@93.184.216.34/wake", None, ()),
    ("ftp://93.184.216.34/wake", None, ()),
    ("file:///etc/passwd", None, EVERYTHING),
    ("https:///wake", None, EVERYTHING),
    ("", None, EVERYTHING),
]
PERMITTED: list[tuple[str, str | None, Sequence[Network]]] = [
    ("https://93.184.216.34/wake", None, ()),
    ("https://[2606:2800:220:1::1]:8443/wake", None, ()),
    ("https://epj.example/wake", "93.184.216.34", ()),
    ("https://epj.example/wake", "10.20.3.4", INNER),
    ("https://10.20.3.4/wake", None, INNER),
    ("http://127.0.0.1:8080/wake", None, LOOPBACK),
    ("http://[::1]:8080/wake", None, LOOPBACK),
]


async def _goes(url: str, addresses: str | None, networks: Sequence[Network], patch: pytest.MonkeyPatch) -> bool:
    """Say whether the guard lets a webhook to `url`, whose name has these addresses, go there."""

    async def resolved(host: str, port: int, **_: Any) -> list[Any]:
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in (addresses or "").split()]

    patch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    try:
        host = checked_url(url, networks).host
        if addresses is not None:
            found = await GuardedResolver(networks).resolve(host or "", 443)
            assert [one["host"] for one in found] == addresses.split()  # what is connected to is what was judged
    except Forbidden:
        return False
    return True


async def _let_through(patch: pytest.MonkeyPatch) -> list[str]:
    return [f"{case[0]} -> {case[1]}" for case in FORBIDDEN if await _goes(*case, patch)]


async def test_no_forbidden_address_is_gone_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(FORBIDDEN) >= 35
    assert await _let_through(monkeypatch) == []


@pytest.mark.parametrize("case", PERMITTED, ids=lambda case: f"{case[0]} {case[1] or ''}")
async def test_what_is_public_or_listed_is_gone_to(
    case: tuple[str, str | None, Sequence[Network]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _goes(*case, monkeypatch)


def _trusts_names(patch: pytest.MonkeyPatch) -> None:
    async def careless(_self: GuardedResolver, host: str, port: int) -> list[dict[str, Any]]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port)
        return [{"host": one[4][0]} for one in found]

    patch.setattr(GuardedResolver, "resolve", careless)


def _forgets_what_stands_within(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "_innermost", lambda address: address)


def _trusts_the_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "permitted", lambda address, networks: bool(networks))


@pytest.mark.parametrize("plant", [_trusts_names, _forgets_what_stands_within, _trusts_the_list])
async def test_a_guard_that_looks_less_closely_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    through = await _let_through(monkeypatch)
    print(through)
    assert through


async def test_a_name_that_leads_to_this_machine_is_not_even_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real listener: no connection is made; a guard that is off makes one."""
    came = 0

    async def taken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def resolved(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    async with server, webhook_session(()) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as told:
            await session.post(f"https://epj.example:{port}/wake")
        assert isinstance(told.value.os_error, Forbidden)
        assert came == 0
        monkeypatch.setattr(guard, "permitted", lambda *_: True)
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"https://epj.example:{port}/wake")
        assert came == 1
