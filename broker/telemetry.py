"""The closed list of log events and metrics: what leaves this process for operators' eyes, and nothing else does.

What happens to a message is told by the events that a write commits: `recorded(events)`, called after the write,
gives one line for each. Everything else has a typed function of its own below. No function here
raises, and none takes a body, a name, a number of a person or a key; what slips in all the same is dropped by the list
of keys or blanked by the scrubber. What each line means stands in `logbook`; repeats of the same trouble are folded.
"""

import errno
import json
import logging
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, Literal, TextIO
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from broker.errors import BrokerError, Postponed
from broker.folding import Folds
from broker.logbook import FOLDING, KEYS, STORY
from broker.message import Attempt, EventKind, NewEvent
from broker.scrubbing import scrub

Write = Literal["changes", "claim", "erase", "proof", "alerts"]
Channel = Literal["mail", "webhook"]

# --- metrics: every label has a closed set of values ---

REGISTRY: Final = CollectorRegistry()
_EVENTS = Counter("broker_events", "Events committed, by kind", ["kind"], registry=REGISTRY)
_EVENTS_OF: Final = {kind: _EVENTS.labels(kind=kind) for kind in EventKind}
_LEVEL_OF: Final = {kind: STORY[kind].levels[0] for kind in EventKind}
_ATTEMPTS = Counter("broker_attempts", "Tries at the transport", ["result", "error_id"], registry=REGISTRY)
_ATTEMPT_SECONDS = Histogram(
    "broker_attempt_seconds",
    "Duration of one try at the transport",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60),
    registry=REGISTRY,
)
_REQUESTS = Counter("broker_http_requests", "Requests answered", ["door", "route", "status"], registry=REGISTRY)
_REQUEST_SECONDS = Histogram(
    "broker_http_request_seconds",
    "Duration of a request, by route template",
    ["door", "route"],
    buckets=(0.005, 0.01, 0.03, 0.1, 0.25, 1, 3, 10, 60),
    registry=REGISTRY,
)
_IN_FLIGHT = Gauge("broker_http_body_bytes", "Bytes of request bodies held in memory", registry=REGISTRY)
_LANES_CLOSED = Counter("broker_lanes_closed", "Times that an endpoint's lanes closed", registry=REGISTRY)
_INBOUND_REFUSED = Counter(
    "broker_inbound_refused", "Envelopes refused for what their headers show", ["code"], registry=REGISTRY
)
_OUTDATED = Counter(
    "broker_outdated_algorithms", "Uses of algorithms that only a switch allows", ["algorithm"], registry=REGISTRY
)
_USES: defaultdict[tuple[int, str], int] = defaultdict(int)  # by party: too many to be labels
_ALERTS = Counter("broker_alerts", "Alerts to people, by channel and result", ["channel", "result"], registry=REGISTRY)
_STORE_SECONDS = Histogram(
    "broker_store_seconds",
    "From the call of a write until it is on disk",
    ["write"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)
_LOOP_SECONDS = Histogram(
    "broker_event_loop_lag_seconds",
    "How late the event loop came back to one who waited",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
    registry=REGISTRY,
)
_UNEXPECTED = Counter("broker_unexpected", "Faults of our own that no rule foresaw", ["where"], registry=REGISTRY)
# From the start, so that the first of each is seen as a rise.
WHERE: Final = ("delivery", "signal", "postponing", "telemetry", "watch", "epj", "partner")
for _where in WHERE:
    _UNEXPECTED.labels(where=_where)
for _algorithm in ("sha1", "3des"):
    _OUTDATED.labels(algorithm=_algorithm)
_DROPPED = Counter("broker_log_keys_dropped", "Log keys dropped because they are not on the list", registry=REGISTRY)
_LOST = Counter("broker_log_lines_lost", "Log lines that could not be written", registry=REGISTRY)
_STARTED = Gauge("broker_started_timestamp_seconds", "When this process started", registry=REGISTRY)
_BUILD = Gauge("broker_build_info", "Always 1", ["version", "environment"], registry=REGISTRY)


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus."""
    return generate_latest(REGISTRY)


# --- the log ---


def _line(_logger: Any, level: str, told: MutableMapping[str, Any]) -> str:
    """Return the whole line: first what an eye looks for, then what stands on the list and says anything.

    All in one step, and the fields as one value: it is done a dozen times for each exchange.
    """
    line = [f'{{"ts": "{_instant()}", "level": "{level}", "event": {_fit(told["event"])}']
    for key, value in told["fields"].items():
        if key not in KEYS:
            _DROPPED.inc()
        elif value is not None:
            line.append(f', "{key}": {_fit(value)}')
    return "".join((*line, "}"))


def _fit(value: object) -> str:
    """Return a value as JSON, free of secrets."""
    if isinstance(value, str):
        return encode_basestring(scrub(value))
    if type(value) is int:  # most are HER-ids and counts
        return str(value)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(_fit(part) for part in value[:20])}]"
    return "null" if value is None else f'"<{type(value).__name__}>"'


def _instant() -> str:
    second, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_to_the_second(second)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _logger(level: int, stream: TextIO) -> Any:
    return structlog.wrap_logger(
        structlog.WriteLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[_line],
    ).bind()  # once, and not for every line


_log = _logger(logging.INFO, sys.stdout)


class _Foreign(logging.Handler):
    """Takes what libraries log: who and what kind of error, never their message (it may quote a request)."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        _emit(
            "warning" if record.levelno < logging.ERROR else "error",
            "library",
            logger=record.name,
            error=error.__qualname__ if error else None,
            where=f"{record.module}:{record.lineno}",
        )


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Write JSON lines of this level and above to `stream` (standard output), and libraries' warnings as lines too."""
    global _log
    _log = _logger(logging.getLevelNamesMapping()[level.upper()], stream or sys.stdout)
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(logging.WARNING)


_folds = Folds()
_folding = threading.Lock()
_COUNTERPARTS: Final = ("party", "peer", "client", "where", "source", "channel")
_ERRORS: Final = ("error_id", "ebms_code", "error")


def _emit(level: str, event: str, **fields: object) -> None:
    try:
        if level == "info" and (event not in FOLDING or fields.get("error_id") is None):
            _write(level, event, fields)  # a checkpoint is never folded
            return
        key = (event, (*_first(fields, _ERRORS), *_first(fields, _COUNTERPARTS)))
        with _folding:
            now = time.monotonic()
            _tell_folded(now)
            told = _folds.tell(key, now)
        if told:
            _write(level, event, fields)
    except Exception:  # a log that can't be written must not stop a message
        _LOST.inc()


def _write(level: str, event: str, fields: Mapping[str, object]) -> None:
    getattr(_log, level)(event, fields=fields)


def _first(fields: Mapping[str, object], keys: Iterable[str]) -> tuple[tuple[str, object], ...]:
    """Return the first of `keys` that says anything, with what it says; or nothing."""
    return next((((key, fields[key]),) for key in keys if fields.get(key) is not None), ())


def _tell_folded(now: float, *, all: bool = False) -> None:
    for folded in _folds.over(now, all=all):
        event, about = folded.key
        _write("warning", "log.repeated", {"of": event, "count": folded.count, **dict(about)})


def tell_folded(*, all: bool = False) -> None:
    """Write how many lines were folded in the windows that are over (or in all), for where nothing else is written."""
    try:
        with _folding:
            _tell_folded(time.monotonic(), all=all)
    except Exception:
        _LOST.inc()


# --- what happens to a message ---


def recorded(events: Iterable[NewEvent], attempts: Iterable[Attempt] = ()) -> None:
    """Tell what a committed write did, one line an event and an attempt. Call it after the write, never before."""
    try:
        told = tuple(events)
        messages = {event.delivery_id: event.message_id for event in told} if attempts else {}
        for attempt in attempts:
            _attempted(attempt, messages.get(attempt.delivery_id))
        for event in told:
            _happened(event)
    except Exception as error:
        unexpected("telemetry", error)


def _happened(event: NewEvent) -> None:
    _EVENTS_OF[event.kind].inc()
    _emit(
        _LEVEL_OF[event.kind],
        event.kind,
        msg=event.message_id,
        delivery=event.delivery_id,
        item=event.item_id,
        eb_id=event.eb_id,
        party=event.counterpart,
        ours=event.her,
        client=event.client,
        stage=event.stop_point,
        error_id=event.error_id,
        codes=event.codes or None,
        why=event.why,
        actor=event.actor,
    )


def _attempted(attempt: Attempt, message: str | None) -> None:
    seconds = (attempt.ended_at - attempt.started_at).total_seconds()
    _attempts_of(attempt.result, attempt.error_id or "").inc()
    _ATTEMPT_SECONDS.observe(seconds)
    _emit(
        "info",
        "attempt",
        msg=message,
        delivery=attempt.delivery_id,
        eb_id=attempt.eb_id,
        attempt=attempt.number or None,
        result=attempt.result,
        http_status=attempt.http_status,
        error_id=attempt.error_id,
        peer=origin(attempt.endpoint),
        ms=round(seconds * 1000),
    )


@cache
def _attempts_of(result: str, error_id: str) -> Counter:
    return _ATTEMPTS.labels(result=result, error_id=error_id)


@lru_cache(maxsize=1000)  # as many as there are partners
def origin(endpoint: str) -> str:
    """Return scheme://host:port of an endpoint, without user, path and query, for logs and breakers."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "?"
    return f"{parts.scheme}://{parts.hostname or '?'}:{port}"


# --- the doors ---


def answered(*, door: str, route: str, status: int, seconds: float) -> None:
    """A request was answered. `route` is the template, never the path."""
    count, times = _request_metrics(door, route, status)
    count.inc()
    times.observe(seconds)


@cache
def _request_metrics(door: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return what counts such requests. As many as there are routes, times the statuses that each can give."""
    return _REQUESTS.labels(door=door, route=route, status=str(status)), _REQUEST_SECONDS.labels(door=door, route=route)


_USUAL: Final = frozenset({404, 409, 422})  # the caller's own affair; the rest may be an attack, or a fault of ours


def turned_away(
    *, door: str, status: int, error_id: str, request: str | None, client: str | None = None, her: int | None = None
) -> None:
    """A request was refused before any story began: no token, another's HER-id, too large, not understood."""
    _emit(
        "info" if status in _USUAL else "warning",
        "door.turned_away",
        door=door,
        http_status=status,
        error_id=error_id,
        request=request,
        client=client,
        ours=her,
    )


def holding(count: int) -> None:
    """So many bytes of request bodies are in memory now."""
    _IN_FLIGHT.set(count)


def inbound_refused(*, code: str, why: str, location: str) -> None:
    """A partner's envelope was refused for what its headers show; nothing was kept."""
    _INBOUND_REFUSED.labels(code=code).inc()
    _emit("warning", "inbound.refused", ebms_code=code, why=why, location=location or None)


def uses(algorithm: str, party: int) -> int:
    """Return how often a party has used an outdated algorithm since the start."""
    return _USES.get((party, algorithm), 0)


def pong(*, party: int, eb_id: str | None) -> None:
    """A partner answered a Ping of ours, the eb:MessageId of which it names, with a POST of its own."""
    _emit("info", "inbound.pong", party=party, eb_id=eb_id)


def outdated(algorithm: Literal["sha1", "3des"], *, party: int) -> None:
    """What came from a partner rests on an algorithm that only a switch in its record allows: to be ended."""
    _OUTDATED.labels(algorithm=algorithm).inc()
    _USES[party, algorithm] += 1
    _emit("warning", "algorithm.outdated", algorithm=algorithm, party=party)


def receive_postponed(why: Postponed) -> None:
    """A partner's envelope got 503: the fault is ours, and the partner still has the duty."""
    _emit("warning", "inbound.postponed", error_id=why.error_id, why=why.why)


# --- the transport ---


def lane_closed(endpoint: str, until: datetime) -> None:
    """An endpoint kept failing: its lanes rest until then. Once for each time that they close."""
    _LANES_CLOSED.inc()
    _emit("warning", "lane.closed", peer=origin(endpoint), until=until.isoformat())


def signal_refused(message: str, eb_id: str, why: BrokerError) -> None:
    """The partner's answer to our copy could not be taken for its signal."""
    _emit("warning", "transport.signal_refused", msg=message, eb_id=eb_id, why=why.why)


# --- webhooks ---


def webhook(*, client: str, peer: str, state: str, status: int | None, why: str | None) -> None:
    """A client's webhook came to another state: ok, failing or disabled. Not told for every try."""
    level = "info" if state == "ok" else "warning"
    _emit(level, "webhook.state", client=client, peer=origin(peer), result=state, http_status=status, why=why)


# --- the process ---


def written(write: Write, *, seconds: float) -> None:
    """A write of the store ended, well or not."""
    _store_seconds_of(write).observe(seconds)


@cache
def _store_seconds_of(write: Write) -> Histogram:
    return _STORE_SECONDS.labels(write=write)


def lagged(seconds: float) -> None:
    """The event loop was so late."""
    _LOOP_SECONDS.observe(seconds)


def alert_sent(channel: Channel, *, count: int) -> None:
    """People were told of so many problems that opened or closed."""
    _ALERTS.labels(channel=channel, result="sent").inc()
    _emit("info", "alert.sent", channel=channel, count=count)


def alert_failed(channel: Channel, *, why: str) -> None:
    """A channel did not take an alert; it is tried again."""
    _ALERTS.labels(channel=channel, result="failed").inc()
    _emit("warning", "alert.failed", channel=channel, why=why)


def started(*, version: str, environment: str) -> None:
    """The process has opened its store and listens."""
    _STARTED.set_to_current_time()
    _BUILD.labels(version=version, environment=environment).set(1)
    _emit("info", "process.started", version=version, environment=environment)


def stopping(reason: str) -> None:
    """No new work is claimed from here on."""
    _emit("info", "process.stopping", reason=reason)


def stopped() -> None:
    """All outcomes are recorded and the store is closed."""
    tell_folded(all=True)
    _emit("info", "process.stopped")


def records_reloaded(source: str, *, count: int) -> None:
    """Address records, processes or clients were read anew."""
    _emit("info", "records.reloaded", source=source, count=count)


def record_bad(source: str, *, why: str) -> None:
    """A record can't be read; the last good one stays in use."""
    _emit("error", "records.bad", source=source, why=why, error_id="MB-9001")


def store_busy(*, why: str) -> None:
    """The store took nothing: disk full, or stopping."""
    _emit("error", "store.busy", why=why, error_id="MB-9101")


def store_broken(error: BaseException) -> None:
    """A write or fsync failed: the process ends. `why` is the name that SQLite or the system has for it."""
    cause = error.__cause__ or error
    why = getattr(cause, "sqlite_errorname", None)
    if why is None and isinstance(cause, OSError) and cause.errno is not None:
        why = errno.errorcode.get(cause.errno)
    _emit("error", "store.broken", error=type(cause).__qualname__, why=why, error_id="MB-9102")


def unexpected(where: str, error: BaseException, *, message: str | None = None, request: str | None = None) -> None:
    """A fault of our own: its type and the lines of code that it passed, never its words or values."""
    try:
        _UNEXPECTED.labels(where=where).inc()
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        at = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    except Exception:
        at = []
    _emit(
        "error",
        "unexpected",
        error=type(error).__qualname__,
        error_id="MB-9102",
        where=where,
        at=at,
        msg=message,
        request=request,
    )
