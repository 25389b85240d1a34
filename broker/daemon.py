"""The composition root: the only file that knows every concrete class, and the order in which they start and stop.

Start: settings, records, keys, store, worker, doors. Stop: no new claims; the doors finish what they have begun; what
the worker has under way records its outcome; then the store closes. A store that can't be relied on ends the process.
"""

import asyncio
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

from broker import __version__, telemetry
from broker.config import Listener, Settings, passphrase, site
from broker.errors import Misconfigured, StoreBroken
from broker.lookup.address_files import AddressFiles
from broker.lookup.clients_file import ClientsFile
from broker.lookup.clock import SystemClock
from broker.lookup.cpu import CpuPool
from broker.lookup.key_files import KeyFiles
from broker.lookup.process_files import ProcessFiles
from broker.lookup.randomness import SystemRandomness
from broker.lookup.schemas import ThreadSchemas, schema_files
from broker.lookup.shipped import shipped
from broker.lookup.site_key import site_key
from broker.lookup.webhook_secrets import read_secrets
from broker.ports import Doors
from broker.retry import BackOff
from broker.routing.choose import plain_http_allowed
from broker.store.sqlite import open_store
from broker.transport.https import https_carrier
from broker.transport.webhooks import Target, Webhooks, webhook_session
from broker.validation.codes import Codes, read_codes
from broker.web.app import make_epj_app, make_partner_app
from broker.web.bodies import Pace, Room
from broker.web.listen import listening
from broker.web.operator import make_operator_app, operator_socket
from broker.web.waiting import Bell
from broker.web.webhook_view import add_webhooks
from broker.worker import Breaker, BreakerPolicy, BrokenCircuit, Limits, Worker

SOFTWARE = "DigiHelse"
# Seconds that a thread which computes may keep the interpreter from the others. A transaction asks for it a hundred
# times: at Python's 5 ms, one large letter of rubbish held all healthy ones while it was read (see `make rubbish`).
_TURN = 0.0005


async def serve(settings: Settings) -> int:
    """Run one broker until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when the store broke.

    Raises Misconfigured, before anything listens, for whatever stops the start.
    """
    telemetry.configure(settings.log)
    sys.setswitchinterval(_TURN)
    broken: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    try:
        async with AsyncExitStack() as stack:
            await _run(settings, stack, broken)
    except* StoreBroken as group:
        if not broken.done():  # it broke while it was opened, before anybody listened for that
            telemetry.store_broken(group.exceptions[0])
        pass_on = 1
    else:
        pass_on = 1 if broken.done() else 0
    telemetry.stopped()
    return pass_on


async def _run(settings: Settings, stack: AsyncExitStack, broken: asyncio.Future[object]) -> None:
    def store_broke(error: BaseException) -> None:
        telemetry.store_broken(error)
        if not broken.done():
            broken.set_result(error)

    clock = SystemClock()
    addresses = AddressFiles(settings.addresses)
    processes = ProcessFiles(settings.processes)
    keys = KeyFiles(settings.keys, settings.hosted, passphrase=passphrase(settings))
    clients = ClientsFile(settings.clients)
    cpu = CpuPool(settings.workers.cpu_threads)
    stack.callback(cpu.close)
    bell = Bell()
    store = await open_store(
        settings.data,
        site_key=site_key(settings.data),
        on_broken=store_broke,
        reserve=settings.limits.reserve,
        told=bell.ring,
    )
    stack.push_async_callback(store.close)
    breaker = Breaker(
        policy=BreakerPolicy(failures=settings.breaker.failures, closed_for=settings.breaker.open_for), clock=clock
    )
    carrier = await stack.enter_async_context(
        https_carrier(allow_plain=lambda url: plain_http_allowed(addresses.current(), url))
    )
    networks = tuple(ip_network(each) for each in settings.webhooks.networks)
    webhooks = Webhooks(
        _webhook_targets(settings),
        hers=clients.hers,
        session=await stack.enter_async_context(webhook_session(networks)),
        networks=networks,
        clock=clock,
        randomness=SystemRandomness(),
        back_off=BackOff(first=settings.back_off.first, most=settings.back_off.most),
    )
    bell.listeners.append(webhooks.heard)
    wake = asyncio.Event()
    doors = Doors(
        site=site(settings, software=SOFTWARE, version=__version__),
        store=store,
        carrier=BrokenCircuit(carrier, breaker),
        addresses=addresses,
        processes=processes.current,
        codes=_codes(),
        schemas=ThreadSchemas(schema_files(settings.schemas), threads=settings.workers.cpu_threads),
        keys=keys,
        clock=clock,
        randomness=SystemRandomness(),
        cpu=cpu,
        wake=wake.set,
    )
    worker = Worker(
        doors,
        breaker,
        Limits(
            deliveries=settings.workers.concurrency,
            per_lane=settings.workers.per_lane,
            idle=settings.workers.poll,
        ),
        wake,
    )
    room, pace = Room(settings.limits.in_flight), Pace(idle=settings.timeouts.read.total_seconds())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker.run(), name="worker")
        watchers = [
            tasks.create_task(watched.watch(settings.reload, wake.set), name=name)
            for name, watched in (
                ("addresses", addresses),
                ("processes", processes),
                ("keys", keys),
                ("clients", clients),
            )
        ]
        watchers.append(tasks.create_task(webhooks.run(), name="webhooks"))
        async with AsyncExitStack() as listeners:
            grace = settings.timeouts.stop.total_seconds()
            operators = make_operator_app(doors, store, closed=worker.closed)
            add_webhooks(operators, webhooks)
            await listeners.enter_async_context(operator_socket(operators, settings.socket))
            for app, door in (
                (make_partner_app(doors, room=room, pace=pace), settings.partner),
                (make_epj_app(doors, clients, room=room, pace=pace, bell=bell, wakes=webhooks), settings.epj),
            ):
                await listeners.enter_async_context(
                    listening(app, host=door.host, port=door.port, tls=_tls(door), grace=grace)
                )
            telemetry.started(version=doors.site.version, environment=doors.site.environment)
            reason = await _until_stopped(broken)
            telemetry.stopping(reason)
            worker.stop()  # before the doors close: what they still take is on disk, and waits for the next start
        try:
            async with asyncio.timeout(grace):
                await asyncio.shield(running)
        except TimeoutError:
            # A story outlasted its time: it is cut off between two writes, and its lease ends with this process.
            running.cancel()
        for watcher in watchers:
            watcher.cancel()


async def _until_stopped(broken: asyncio.Future[object]) -> str:
    """Return why to stop: a signal, or a store that broke."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[object] = loop.create_future()

    def ask(name: str) -> None:
        if not asked.done():
            asked.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number.name)
    try:
        await asyncio.wait({asked, broken}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return str(asked.result()) if asked.done() else "store broken"


def _webhook_targets(settings: Settings) -> tuple[Target, ...]:
    return tuple(
        Target(
            client=each.client, url=each.url, secrets=read_secrets(each.secret, where=f"webhooks.to[{number}].secret")
        )
        for number, each in enumerate(settings.webhooks.to, 1)
    )


def _codes() -> Codes:
    folder = shipped("schemas") / "codes"
    try:
        return read_codes({path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))})
    except (OSError, UnicodeDecodeError):
        raise Misconfigured("a code list can't be read", where=str(folder), hint="install the package anew") from None


def _tls(door: Listener) -> ssl.SSLContext | None:
    """Return the server's TLS context (1.2 or newer), or None for plain HTTP. Raises Misconfigured."""
    if door.certificate is None or door.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(door.certificate), Path(door.key))
    except (OSError, ssl.SSLError):
        raise Misconfigured(
            "certificate and key can't be read, or do not belong together", where=str(door.certificate)
        ) from None
    return context
