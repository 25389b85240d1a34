"""The composition root: the only file that knows every concrete class, and the order in which they start and stop.

Start: settings, records, keys, store, worker, doors. Stop: no new claims; the doors finish what they have begun; what
the worker has under way records its outcome; then the store closes. A store that can't be relied on ends the process.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import ip_network

from broker import __version__, telemetry
from broker.config import Settings, alert_secrets, passphrase, retention_policy, secret, site
from broker.config_tables import Listener
from broker.errors import Misconfigured, StoreBroken
from broker.housekeeping import keep_house
from broker.lookup.address_files import AddressFiles
from broker.lookup.agreement_files import AgreementFiles
from broker.lookup.anchors import read_anchors
from broker.lookup.client_tls import ClientTls
from broker.lookup.clients_file import ClientsFile
from broker.lookup.clock import SystemClock
from broker.lookup.cpu import CpuPool
from broker.lookup.door_tls import DoorTls
from broker.lookup.key_files import KeyFiles
from broker.lookup.process_files import ProcessFiles
from broker.lookup.randomness import SystemRandomness
from broker.lookup.revocation import RevocationServices, hosts_of
from broker.lookup.schemas import ThreadSchemas, schema_files
from broker.lookup.shipped import shipped
from broker.lookup.site_key import site_key
from broker.lookup.surroundings import Surroundings
from broker.lookup.systemd import Notifier, feed_watchdog
from broker.lookup.turns import Turns
from broker.lookup.webhook_secrets import read_secrets
from broker.ports import Doors
from broker.reload import Reloading
from broker.retry import BackOff
from broker.routing.choose import plain_http_allowed
from broker.store.sqlite import open_store
from broker.transport.alert_mail import Mail
from broker.transport.alert_webhook import Webhook
from broker.transport.fetch import http_fetch
from broker.transport.https import https_carrier
from broker.transport.partner_clocks import PartnerClocks
from broker.transport.webhooks import Target, Webhooks, webhook_session
from broker.validation.codes import Codes, read_codes
from broker.watch import Around, Channel, Telling, Watch
from broker.web.app import make_epj_app, make_partner_app, readiness
from broker.web.bodies import Pace, Room
from broker.web.listen import listening
from broker.web.operator import make_operator_app, operator_socket
from broker.web.operator_acts import add_acts
from broker.web.waiting import Bell
from broker.web.webhook_view import add_webhooks
from broker.worker import Breaker, BreakerPolicy, BrokenCircuit, Limits, Worker

SOFTWARE = "DigiHelse"
# Seconds that a thread which computes may keep the interpreter from the others. A transaction asks for it a hundred
# times: at Python's 5 ms, one large letter of rubbish held all healthy ones while it was read (see `make rubbish`).
_TURN = 0.0005
_APART = 0.01  # seconds from one commit to the next, unless an EPJ waits for it


async def serve(settings: Settings, again: Callable[[], Settings] | None = None) -> int:
    """Run one broker until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when the store broke.

    `again` reads the settings anew on SIGHUP; without it they stay, and records are read anew alone. Raises
    Misconfigured, before anything listens, for whatever stops the start.
    """
    telemetry.configure(settings.log)
    hangup = asyncio.Event()  # from now on: until somebody listens, SIGHUP would end the process
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    sys.setswitchinterval(_TURN)
    broken: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    try:
        async with AsyncExitStack() as stack:
            await _run(settings, stack, broken, again or (lambda: settings), hangup)
    except* StoreBroken as group:
        if not broken.done():  # it broke while it was opened, before anybody listened for that
            telemetry.store_broken(group.exceptions[0])
        pass_on = 1
    else:
        pass_on = 1 if broken.done() else 0
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
    telemetry.stopped()
    return pass_on


async def _run(
    settings: Settings,
    stack: AsyncExitStack,
    broken: asyncio.Future[object],
    again: Callable[[], Settings],
    hangup: asyncio.Event,
) -> None:
    def store_broke(error: BaseException) -> None:
        telemetry.store_broken(error)
        if not broken.done():
            broken.set_result(error)

    clock, notifier, told = SystemClock(), Notifier(os.environ), telling(settings)
    anchors = read_anchors(settings.trust.roots, settings.trust.intermediates)
    processes = ProcessFiles(settings.processes)
    agreements = AgreementFiles(settings.agreements, hosted=settings.hosted, processes=processes.current, clock=clock)
    addresses = AddressFiles(settings.addresses, anchors, agreements=agreements)
    keys = KeyFiles(settings.keys, settings.hosted, passphrase=passphrase(settings))
    clients = ClientsFile(settings.clients)
    doors_tls = {"partner": _tls(settings, settings.partner), "epj": _tls(settings, settings.epj)}
    partners_tls = client_tls(settings)
    files_of_tls: tuple[ClientTls | DoorTls, ...] = (
        partners_tls,
        *(tls for tls in doors_tls.values() if tls is not None),
    )
    cpu = CpuPool(settings.workers.cpu_threads)
    stack.callback(cpu.close)
    bell = Bell()
    key = site_key(settings.data, settings.site_key_file)
    store = await open_store(
        settings.data,
        site_key=key,
        on_broken=store_broke,
        reserve=settings.limits.reserve,
        told=bell.ring,
        apart=_APART,
    )
    stack.push_async_callback(store.close)
    breaker = Breaker(policy=_policy(settings), clock=clock)
    carrier = await stack.enter_async_context(
        https_carrier(
            tls=lambda url: partners_tls.of(addresses.current(), url),
            allow_plain=lambda url: plain_http_allowed(addresses.current(), url),
        )
    )
    clocks = PartnerClocks(carrier, clock)
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
    fetch = await stack.enter_async_context(
        http_fetch(
            hosts=settings.trust.revocation_hosts or hosts_of(anchors),
            networks=tuple(ip_network(each) for each in settings.trust.networks),
            timeout=settings.trust.timeout,
        )
    )
    revocation = RevocationServices(fetch, clock=clock, longest=settings.trust.longest)
    wake = asyncio.Event()
    doors = Doors(
        site=site(settings, software=SOFTWARE, version=__version__),
        store=store,
        carrier=BrokenCircuit(clocks, breaker),
        addresses=addresses,
        processes=processes.current,
        codes=_codes(),
        schemas=ThreadSchemas(schema_files(settings.schemas), threads=settings.workers.cpu_threads + 1),
        keys=keys,
        clock=clock,
        randomness=SystemRandomness(),
        revocation=revocation,
        cpu=cpu,
        wake=wake.set,
        client=clients.by_name,
        turn=Turns(),
    )
    worker = Worker(doors, breaker, _limits(settings), wake)

    def apply(new: Settings) -> None:
        """Turn what can be turned, all of it or nothing. Raises Misconfigured."""
        for tls in files_of_tls:
            tls.look()
            if tls.problems:
                raise tls.problems[0]
        telemetry.configure(new.log)
        breaker.policy = _policy(new)
        worker.limit(_limits(new))

    reloading = Reloading(
        started=settings,
        load=again,
        files=(addresses, processes, keys, clients),
        apply=apply,
        notifier=notifier,
        wake=wake.set,
    )
    around = Surroundings(
        store=store,
        addresses=addresses,
        processes=processes.current,
        keys=keys,
        holds=doors.holds,
        clock=clock,
        hosted=settings.hosted,
        data=settings.data,
        reserve=settings.limits.reserve,
        files=(addresses, processes, keys, clients),
        offsets=clocks.offsets,
        rests=breaker.rests,
        silent_services=revocation.silent,
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
        watchers += [
            tasks.create_task(tls.watch(settings.reload), name=f"tls of {name}")
            for name, tls in doors_tls.items()
            if tls is not None
        ]
        watchers.append(tasks.create_task(partners_tls.watch(settings.reload), name="tls of partners"))
        measured = Around(addresses=addresses, clock=clock, facts=around.facts, every=3 * settings.reload)
        watchers.append(tasks.create_task(Watch(store, measured, told).run(), name="watch"))
        watchers.append(tasks.create_task(webhooks.run(), name="webhooks"))
        policy = retention_policy(settings)
        watchers.append(tasks.create_task(keep_house(doors, policy, settings.retention.every), name="housekeeping"))
        async with AsyncExitStack() as listeners:
            grace = settings.timeouts.stop.total_seconds()
            operators = make_operator_app(doors, store, closed=worker.closed, alarms=around.conditions)
            operators.add_routes(readiness(doors))
            add_acts(operators, doors, policy)
            add_webhooks(operators, webhooks)
            await listeners.enter_async_context(operator_socket(operators, settings.socket))
            for app, door, tls in (
                (make_partner_app(doors, room=room, pace=pace), settings.partner, doors_tls["partner"]),
                (
                    make_epj_app(doors, clients, room=room, pace=pace, bell=bell, wakes=webhooks),
                    settings.epj,
                    doors_tls["epj"],
                ),
            ):
                await listeners.enter_async_context(
                    listening(app, host=door.host, port=door.port, tls=tls.context if tls else None, grace=grace)
                )
            _settle_memory()
            telemetry.started(version=doors.site.version, environment=doors.site.environment)
            proving = feed_watchdog(notifier, store=store.ready, worker=worker.turn, status=lambda: _status(worker))
            watchers += [
                tasks.create_task(proving, name="watchdog"),
                tasks.create_task(_reload(settings, reloading, hangup), name="reload"),
            ]
            reason = await _until_stopped(broken, lambda: notifier.ready("runs"))
            telemetry.stopping(reason)
            notifier.stopping(f"stops: {reason}")
            worker.stop()  # before the doors close: what they still take is on disk, and waits for the next start
        try:
            async with asyncio.timeout(grace):
                await asyncio.shield(running)
        except TimeoutError:
            # A story outlasted its time: it is cut off between two writes, and its lease ends with this process.
            running.cancel()
        for watcher in watchers:
            watcher.cancel()


def _settle_memory() -> None:
    """Leave what was loaded at the start out of all garbage collections.

    To go through its 110,000 objects takes 50 ms each time, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


async def _reload(settings: Settings, reloading: Reloading, hangup: asyncio.Event) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        settings = await reloading.run(settings)


def _status(worker: Worker) -> str:
    return f"runs; {sum(worker.busy.values())} under way"


def _policy(settings: Settings) -> BreakerPolicy:
    return BreakerPolicy(failures=settings.breaker.failures, closed_for=settings.breaker.open_for)


def _limits(settings: Settings) -> Limits:
    workers = settings.workers
    return Limits(deliveries=workers.concurrency, per_lane=workers.per_lane, idle=workers.poll)


async def _until_stopped(broken: asyncio.Future[object], listening: Callable[[], None]) -> str:
    """Return why to stop: a signal, or a store that broke. `listening` is called once signals are heard."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[object] = loop.create_future()

    def ask(name: str) -> None:
        if not asked.done():
            asked.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number.name)
    listening()
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


def telling(settings: Settings) -> Telling:
    """Return whom to tell of problems. Raises Misconfigured."""
    told = settings.alerts
    channels: list[Channel] = []
    if told.mail_from is not None and told.smtp_host is not None:
        password = secret(told.smtp_password, "alerts.smtp_password")
        channels.append(
            Mail(
                host=told.smtp_host,
                port=told.smtp_port,
                security=told.smtp_security,
                sender=told.mail_from,
                receivers=told.mail_to,
                user=told.smtp_user,
                password=password.decode("utf-8", "replace") if password is not None else None,
            )
        )
    if told.webhook is not None:
        channels.append(Webhook(url=told.webhook, secrets=alert_secrets(told)))
    return Telling(
        channels=tuple(channels), language=told.language, host=settings.host, after=told.after, quiet=told.quiet
    )


def _tls(settings: Settings, door: Listener) -> DoorTls | None:
    """Return the TLS of a door, or None for plain HTTP. Raises Misconfigured."""
    if door.certificate is None or door.key is None:
        return None
    # A partner must show a certificate where we ask for one; an EPJ system may have a token instead.
    return DoorTls(
        door.certificate,
        door.key,
        client_ca=door.client_ca,
        demanded=door is settings.partner,
        passphrases=(passphrase(settings) or b"").splitlines(),
    )


def client_tls(settings: Settings) -> ClientTls:
    """Return our TLS towards partners. Raises Misconfigured."""
    tls = settings.tls
    passphrases = (passphrase(settings) or b"").splitlines()
    return ClientTls(certificate=tls.certificate, key=tls.key, ca=tls.ca, passphrases=passphrases)
