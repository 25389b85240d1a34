"""Wakes an EPJ that would rather be told than ask: signed, thin, and never in the way of a message.

Standard Webhooks 1.0: the headers webhook-id, webhook-timestamp and webhook-signature (v1, HMAC-SHA256). The body holds
ids and kinds only; what happened is fetched from the feed and the inbox, which stay the contract. A wake that fails is
tried again until it arrives; what comes meanwhile goes with the next one. 410 is the receiver's word that it wants no
more, until the broker starts again.
"""

import asyncio
import base64
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import aiohttp

from broker import telemetry
from broker.message import EventKind, NewEvent, Text, Wake, WakeState
from broker.ports import Clock, Randomness
from broker.retry import BackOff, back_off
from broker.transport.guard import Forbidden, GuardedResolver, Network, checked_url

TIMEOUT: Final = 15.0  # seconds for one POST; what Standard Webhooks recommends
MOST: Final = 100  # events named in one wake; the rest are counted
# What an EPJ has something to do about: collect a document, or take in an outcome.
WAKES: Final = frozenset(
    {
        EventKind.INBOX_DOCUMENT,
        EventKind.RECEIPT_REQUESTED,
        EventKind.RECEIPT_OK,
        EventKind.RECEIPT_PARTIAL,
        EventKind.RECEIPT_REJECTED,
        EventKind.RECEIPT_CONTRADICTS,
        EventKind.COMPLETED,
        EventKind.CLOSED,
        EventKind.REFUSED,
        EventKind.ABANDONED,
        EventKind.OVERDUE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one client wants to be woken. With two secrets, each wake carries both signatures (roll-over)."""

    client: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Posting:
    id: str
    body: bytes


@dataclass(slots=True)
class _Hook:
    target: Target
    events: list[NewEvent] = field(default_factory=list)
    more: int = 0
    starting: bool = True  # one wake at every start: nobody knows what was told before
    posting: _Posting | None = None  # kept until it arrives
    sending: bool = False
    state: Wake = Wake.NEVER
    failures: int = 0
    tried_at: datetime | None = None
    due: datetime | None = None
    status: int | None = None
    why: Text | None = None

    @property
    def waiting(self) -> bool:
        return self.state is not Wake.DISABLED and bool(self.starting or self.events or self.posting)


class Webhooks:
    """All webhooks of a broker. `heard` is told of every commit; `run` posts."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        hers: Callable[[str], Collection[int]],
        session: aiohttp.ClientSession,
        networks: Sequence[Network],
        clock: Clock,
        randomness: Randomness,
        back_off: BackOff,
    ) -> None:
        """`hers` gives the HER-ids of a client by its name, none where there is no such client (any more)."""
        self._hooks = {target.client: _Hook(target) for target in targets}
        self._hers, self._session, self._networks = hers, session, networks
        self._clock, self._randomness, self._back_off = clock, randomness, back_off
        self._something = asyncio.Event()

    def heard(self, events: Iterable[NewEvent]) -> None:
        """Note what a commit told, for those whom it concerns. Costs nothing where it wakes nobody."""
        if not self._hooks:
            return
        told = [event for event in events if event.feed and event.kind in WAKES]
        for hook in self._hooks.values() if told else ():
            hers = self._hers(hook.target.client)
            for event in told:
                if event.her in hers and hook.state is not Wake.DISABLED:
                    if len(hook.events) < MOST:
                        hook.events.append(event)
                    else:
                        hook.more += 1
                    self._something.set()

    def state_of(self, client: str) -> WakeState | None:
        """Return how a client's webhook stands, or None where it has none."""
        hook = self._hooks.get(client)
        return _state(hook) if hook else None

    def states(self) -> tuple[WakeState, ...]:
        """Return how all webhooks stand."""
        return tuple(_state(hook) for hook in self._hooks.values())

    async def run(self) -> None:
        """Post what is due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while self._hooks:
                now = self._clock.now()
                for hook in self._hooks.values():
                    if hook.waiting and not hook.sending and (hook.due is None or hook.due <= now):
                        hook.sending = True
                        tasks.create_task(self._send(hook), name=f"webhook {hook.target.client}")
                await self._until_due(now)

    async def _until_due(self, now: datetime) -> None:
        dues = [hook.due for hook in self._hooks.values() if hook.waiting and not hook.sending and hook.due]
        seconds = max((min(dues) - now).total_seconds(), 0.0) if dues else None
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return
        self._something.clear()

    async def _send(self, hook: _Hook) -> None:
        """Post one wake and note what became of it."""
        try:
            if hook.posting is None:
                hook.posting = self._next(hook)
            hook.tried_at = self._clock.now()
            hook.status, hook.why = await self._post(hook.target, hook.posting, hook.tried_at)
        except Exception as error:  # a fault of ours stops one wake, and no message
            telemetry.unexpected("webhook", error)
            hook.status, hook.why = None, _UNKNOWN
        finally:
            hook.sending = False
            self._something.set()
        self._note(hook)

    def _note(self, hook: _Hook) -> None:
        before = hook.state
        if hook.why is None:
            hook.posting, hook.due, hook.failures, hook.state = None, None, 0, Wake.OK
        elif hook.status == 410:
            hook.events.clear()
            hook.posting, hook.due, hook.more, hook.state = None, None, 0, Wake.DISABLED
        else:
            hook.failures += 1
            hook.due = self._clock.now() + back_off(self._back_off, hook.failures, 0)
            hook.state = Wake.FAILING
        if hook.state is not before:  # not every failure: the first, and what ends it
            telemetry.webhook(
                client=hook.target.client,
                peer=hook.target.url,
                state=hook.state,
                status=hook.status,
                why=hook.why.en if hook.why else None,
            )

    def _next(self, hook: _Hook) -> _Posting:
        said = {
            "type": "feed.changed" if hook.events else "broker.started",
            "timestamp": f"{self._clock.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "data": {"events": [_named(event) for event in hook.events], "more": hook.more},
        }
        hook.events, hook.more, hook.starting = [], 0, False
        return _Posting(id=f"wake_{self._randomness.id()}", body=json.dumps(said).encode())

    async def _post(self, target: Target, posting: _Posting, at: datetime) -> tuple[int | None, Text | None]:
        """Return the status, and why it did not arrive; None if it did."""
        stamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": posting.id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(target.secrets, posting.id, stamp, posting.body),
        }
        try:
            url = checked_url(target.url, self._networks)
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.post(url, data=posting.body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
                response.close()  # what it says is of no use
        except Forbidden as why:
            return None, _forbidden(why)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return None, _why(error)
        if 200 <= status < 300:
            return status, None
        return status, Text(nb=f"mottakeren svarte {status}", en=f"the receiver answered {status}")


def signature(secrets: Iterable[bytes], id: str, stamp: str, body: bytes) -> str:
    """Return webhook-signature: one v1 signature for each secret, separated by spaces."""
    content = f"{id}.{stamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.new(secret, content, sha256).digest()).decode() for secret in secrets)


@asynccontextmanager
async def webhook_session(
    networks: Sequence[Network], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give the session that webhooks are posted with, and close it in the end."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(networks),
        use_dns_cache=False,  # each connection goes to an address that was judged for it
        force_close=True,
        limit=20,
        ssl=tls or ssl.create_default_context(),
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,  # no proxy: what a name leads to is judged here
        headers={"User-Agent": "digihelse-broker", "Accept-Encoding": "identity"},
    ) as session:
        yield session


def _named(event: NewEvent) -> dict[str, object]:
    return {
        "type": event.kind,
        "herId": event.her,
        "messageId": event.message_id,
        "deliveryId": event.delivery_id,
        "itemId": event.item_id,
    }


def _state(hook: _Hook) -> WakeState:
    return WakeState(
        client=hook.target.client,
        origin=telemetry.origin(hook.target.url),
        state=hook.state,
        tried_at=hook.tried_at,
        status=hook.status,
        failures=hook.failures,
        next_at=hook.due,
        waiting=len(hook.events) + hook.more,
        why=hook.why,
    )


_UNKNOWN: Final = Text(nb="en uventet feil hos oss", en="an unexpected fault on our side")


def _forbidden(why: Forbidden) -> Text:
    return Text(
        nb="adressen er ikke tillatt for webhooks; se webhooks.networks",
        en=f"not allowed for webhooks ({why}); see webhooks.networks",
    )


def _why(error: Exception) -> Text:
    """The words of the error are left out: they may quote what the receiver sent."""
    cause = error.__cause__
    inner = getattr(error, "os_error", None) or cause
    if isinstance(inner, Forbidden):
        return _forbidden(inner)
    if isinstance(error, TimeoutError):
        return Text(nb="mottakeren svarte ikke i tide", en="the receiver did not answer in time")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Text(nb="navnet ble ikke funnet i DNS", en="the name was not found in DNS")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Text(nb="TLS ble ikke oppnådd", en="TLS could not be agreed")
    return Text(nb="ingen forbindelse", en="no connection")
