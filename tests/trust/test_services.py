"""Whom we ask for revocation, how often, and what we take from the network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web
from cryptography.x509 import Certificate

from broker.errors import NotTrusted, RevocationUnknown
from broker.lookup.revocation import REST, RevocationServices, hosts_of
from broker.sealing.paths import Anchors
from broker.transport.fetch import HttpFetch, http_fetch
from broker.transport.guard import Network
from broker.web.listen import listening
from tests.trust.bench import Clock, Services
from tests.trust.cases import DOWN, GOOD, MID, ROOT, Scene
from tests.trust.pki import CRL, DAY, HOUR, NOW, OCSP, Held, crl, leaf, ocsp_answer

PATH: tuple[Certificate, ...] = (GOOD.certificate, MID.certificate, ROOT.certificate)
LOOPBACK = (ip_network("127.0.0.0/8"),)
MINUTE = timedelta(minutes=1)


def _asked(scene: Scene, *, longest: timedelta = DAY) -> tuple[RevocationServices, Services, Clock]:
    network, clock = Services(scene), Clock(scene.asked)
    return RevocationServices(network, clock=clock, longest=longest), network, clock


async def test_an_answer_holds_until_its_next_update_and_no_longer_than_the_setting() -> None:
    answers = {held: ocsp_answer(held, issuer, ends=NOW + 3 * HOUR) for held, issuer in ((GOOD, MID), (MID, ROOT))}
    for longest, asked_again in ((DAY, 3 * HOUR), (HOUR, HOUR)):
        services, network, clock = _asked(Scene(ocsp=answers), longest=longest)
        await services.require_good(PATH, NOW)
        clock.time = NOW + asked_again - MINUTE
        await services.require_good(PATH, clock.time)
        assert len(network.asked) == 2
        clock.time = NOW + asked_again
        await services.require_good(PATH, clock.time)
        assert len(network.asked) == 4


async def test_many_at_once_ask_once() -> None:
    services, network, _ = _asked(Scene())
    await asyncio.gather(*(services.require_good(PATH, NOW) for _ in range(20)))
    assert network.asked == [OCSP, OCSP]


async def test_one_list_stands_for_all_certificates_of_its_issuer() -> None:
    lists = {CRL: crl(MID, {GOOD: NOW + HOUR})}
    one, other = (leaf(MID, ocsp_at=None) for _ in range(2))
    services, network, _ = _asked(Scene(leaf=one, lists=lists))
    await services.require_good((one.certificate, MID.certificate, ROOT.certificate), NOW)
    await services.require_good((other.certificate, MID.certificate, ROOT.certificate), NOW)
    assert network.asked == [OCSP, CRL]


async def test_what_was_good_in_the_cache_is_revoked_from_the_hour_that_the_answer_names() -> None:
    answers: dict[Held, bytes | OSError] = {GOOD: DOWN, MID: ocsp_answer(MID, ROOT, ends=NOW + DAY)}
    services, _, clock = _asked(Scene(ocsp=answers, lists={CRL: crl(MID, {GOOD: NOW + HOUR}, ends=NOW + DAY)}))
    await services.require_good(PATH, NOW)
    clock.time = NOW + 2 * HOUR
    with pytest.raises(NotTrusted, match="is revoked"):
        await services.require_good(PATH, clock.time)
    await services.require_good(PATH, NOW + MINUTE)  # what came before it stays good


async def test_a_service_that_failed_is_left_alone_for_a_moment_and_named_until_it_answers() -> None:
    answers: dict[Held, bytes | OSError] = {GOOD: DOWN}
    services, network, clock = _asked(Scene(ocsp=answers, lists={CRL: DOWN}))
    for _ in range(3):
        with pytest.raises(RevocationUnknown):
            await services.require_good(PATH, NOW)
    assert network.asked == [OCSP, OCSP, CRL]  # the intermediate's, and both of the leaf's, once
    assert services.silent() == {"ocsp.ca.test": NOW, "crl.ca.test": NOW}
    answers[GOOD] = ocsp_answer(GOOD, MID)
    clock.time = NOW + REST
    await services.require_good(PATH, NOW)
    assert services.silent() == {"crl.ca.test": NOW}
    clock.time = NOW + HOUR
    assert services.silent() == {}  # nobody has needed it since


def test_the_hosts_that_our_own_roots_and_intermediates_name_may_be_asked() -> None:
    anchors = Anchors(roots=(ROOT.certificate,), intermediates=(MID.certificate,))
    assert hosts_of(anchors) == {"ocsp.ca.test", "crl.ca.test"}
    assert hosts_of(Anchors(roots=(ROOT.certificate,))) == frozenset()


# --- what is taken from the network ---


@asynccontextmanager
async def _service(
    networks: tuple[Network, ...] = LOOPBACK, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
) -> AsyncIterator[tuple[HttpFetch, str]]:
    stop = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if kind == "moved":
            return web.Response(status=302, headers={"Location": "/good"})
        if kind == "never":
            await stop.wait()
        if kind == "long":
            return web.Response(body=bytes(2000))
        if kind == "echo":
            return web.Response(body=request.content_type.encode() + b" " + await request.read())
        return web.Response(body=b"good")

    app = web.Application()
    app.router.add_route("*", "/{kind}", answer)
    async with (
        listening(app, host="127.0.0.1", port=0, tls=None, grace=1) as port,
        http_fetch(hosts=hosts, networks=networks, timeout=timedelta(seconds=0.5), most=1000) as fetch,
    ):
        try:
            yield fetch, f"http://127.0.0.1:{port}"
        finally:
            stop.set()


async def test_a_list_is_got_and_a_question_is_posted() -> None:
    async with _service() as (fetch, base):
        assert await fetch(f"{base}/good", question=None) == b"good"
        assert await fetch(f"{base}/echo", question=b"?") == b"application/ocsp-request ?"


@pytest.mark.parametrize(("kind", "why"), [("moved", "HTTP 302"), ("never", "in time"), ("long", "too long")])
async def test_what_is_not_an_answer_is_none(kind: str, why: str) -> None:
    async with _service() as (fetch, base):
        with pytest.raises(OSError, match=why):
            await fetch(f"{base}/{kind}", question=None)


async def test_only_hosts_that_were_named_are_asked_and_no_inner_address_that_was_not() -> None:
    async with _service(hosts=("elsewhere.test",)) as (fetch, base):
        for url in (
            f"{base}/good",
            "http://elsewhere.test.evil.test/",
            "ldap://elsewhere.test/",
            "http://u:p@elsewhere.test/",
        ):
            assert not fetch.allowed(url)
            with pytest.raises(OSError, match="not one that may be asked"):
                await fetch(url, question=None)
        assert fetch.allowed("http://Elsewhere.Test/crl")
    async with _service(networks=()) as (fetch, base):
        assert not fetch.allowed(f"{base}/good")  # loopback is not public
        with pytest.raises(OSError, match="leads to an address that may not be asked"):
            await fetch(base.replace("127.0.0.1", "localhost") + "/good", question=None)


async def test_nobody_answers_at_a_closed_port() -> None:
    async with _service() as (fetch, _):
        with pytest.raises(OSError, match="no connection"):
            await fetch("http://127.0.0.1:1/", question=None)
