"""What operators do over the socket: POST /hold, /release, /retry, /close, /message-status and /retention. The kernel
says who they are.

Whoever holds the socket may act; that is its owner, and root. A name that sudo gives beside it is a claim, and is noted
as one.
"""

import json
import pwd
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from broker import acts, retention
from broker.acts import By, Done, Unreasonable
from broker.errors import BrokerError, Conflict, Unknown
from broker.ports import Clock, Doors
from broker.routing.tables import MAX_INT32
from broker.web import shapes

Json = dict[str, Any]

_UCRED: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,31}")
_MOST: Final = 64 * 1024  # bytes of a request
_MOST_RATE: Final = 1000.0  # a second

# Of each act, how its target may be named.
_TARGETS: Final = {
    "hold": ("id", "partner"),
    "release": ("id", "partner"),
    "retry": ("id", "problem"),
    "close": ("id",),
}
_KEYS: Final = frozenset({"id", "partner", "problem", "reason", "dryRun", "rate", "claim"})


def add_acts(app: web.Application, doors: Doors, policy: retention.Policy) -> None:
    """Let `app`, which answers at the operators' socket, take orders too."""

    def act(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return web.json_response(await _act(name, await _order(request), _peer(request), doors))
            except BrokerError as error:
                return _refused(error)

        return answer

    async def erase(request: web.Request) -> web.Response:
        try:
            order = await _order(request)
            by = _by(order, _peer(request))
            return web.json_response({"erased": await _erase(by, doors, policy)})
        except BrokerError as error:
            return _refused(error)

    async def status(request: web.Request) -> web.Response:
        try:
            order = await _order(request)
            by, id = _by(order, _peer(request)), order.get("id")
            if not isinstance(id, str) or not id:
                raise Unreasonable("name what it is about, once", hint="id")
            told = await acts.message_status(id, by, doors)
        except BrokerError as error:
            return _refused(error)
        return web.json_response(
            {
                "ebMessageId": told.eb_id,
                "partner": told.partner,
                "status": told.status,
                "receivedAt": None if told.received_at is None else shapes.instant(told.received_at),
                "signed": told.signed,
            }
        )

    async def kept(_: web.Request) -> web.Response:
        return web.json_response(await retention_report(doors.store, policy, doors.clock))

    async def held(_: web.Request) -> web.Response:
        return web.json_response(
            [
                {"herId": each.her, "since": shapes.instant(each.at), "actor": each.actor, "reason": each.why}
                for each in await doors.store.partner_holds()
            ]
        )

    app.add_routes([web.post(f"/{name}", act(name)) for name in _TARGETS])
    app.add_routes(
        [
            web.post("/message-status", status),
            web.post("/retention", erase),
            web.get("/retention", kept),
            web.get("/holds", held),
        ]
    )


async def retention_report(store: retention.Looks, policy: retention.Policy, clock: Clock) -> list[Json]:
    """Return what is kept, one entry a kind."""
    return [line_json(line) for line in await retention.report(store, policy, clock.now())]


def line_json(line: retention.Line) -> Json:
    """Return one line of the report. Sizes are bytes; `ages` counts bodies up to 1, 7, 30, 90 days old, and older."""
    return {
        "kind": line.keeping,
        "keepsDays": None if line.keeps is None else round(line.keeps.total_seconds() / 86400, 3),
        "bodies": line.bodies,
        "bytes": line.size,
        "ages": line.ages,
        "owed": line.owed,
        "due": line.due,
        "dueBytes": line.due_size,
    }


async def _act(name: str, order: Json, peer: str, doors: Doors) -> Json:
    by, dry_run, rate = _by(order, peer), order.get("dryRun", False), order.get("rate", acts.RATE)
    if not isinstance(dry_run, bool):
        raise Unreasonable("dryRun is true or false")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= _MOST_RATE:
        raise Unreasonable(f"the rate is a number a second, above 0 and at most {_MOST_RATE:.0f}")
    named = [key for key in ("id", "partner", "problem") if order.get(key) is not None]
    if len(named) != 1 or named[0] not in _TARGETS[name]:
        raise Unreasonable("name what it is about, once", hint="one of " + ", ".join(_TARGETS[name]))
    target = order[named[0]]
    if named == ["partner"]:
        if isinstance(target, bool) or not isinstance(target, int) or not 0 < target <= MAX_INT32:
            raise Unreasonable("partner is a HER-id: a whole number")
        if name == "hold":
            done = await acts.hold_partner(target, by, doors, dry_run=dry_run)
        else:
            done = await acts.release_partner(target, by, doors, rate=rate, dry_run=dry_run)
    elif not isinstance(target, str) or not target:
        raise Unreasonable(f"{named[0]} is a text")
    elif named == ["problem"]:
        done = await acts.retry_group(acts.group(target), by, doors, rate=rate, dry_run=dry_run)
    else:
        done = await _ACTS[name](target, by, doors, dry_run=dry_run)
    return _done(done)


_ACTS: Final[Mapping[str, Callable[..., Awaitable[Done]]]] = {
    "hold": acts.hold,
    "release": acts.release,
    "retry": acts.retry,
    "close": acts.close,
}


def _done(done: Done) -> Json:
    return {
        "act": done.act,
        "dryRun": done.dry_run,
        "partner": done.partner,
        "unchanged": done.unchanged,
        "count": done.count,
        "already": done.already,
        "skipped": [{"why": why, "count": count} for why, count in done.skipped.items()],
        "seconds": round(done.seconds, 1),
        "deliveries": done.deliveries,
    }


async def _erase(by: By, doors: Doors, policy: retention.Policy) -> Json:
    erased = await retention.erase_due(doors.store, doors.clock, policy, actor=by.actor, why=by.reason)
    return {str(keeping): count for keeping, count in erased.items()}


async def _order(request: web.Request) -> Json:
    if (request.content_length or 0) > _MOST:
        raise Unreasonable("the request is too long")
    try:
        order = json.loads(await request.text())
    except ValueError:
        raise Unreasonable("the request is no JSON") from None
    if not isinstance(order, dict):
        raise Unreasonable("the request is no JSON object")
    if not order.keys() <= _KEYS:
        raise Unreasonable("the request has a key that is not known", hint="known are " + ", ".join(sorted(_KEYS)))
    return order


def _by(order: Json, peer: str) -> By:
    reason, claim = order.get("reason"), order.get("claim")
    if not isinstance(reason, str):
        raise Unreasonable("an act needs a reason", hint="give --reason with a few words")
    claimed = isinstance(claim, str) and _NAME.fullmatch(claim) is not None and claim != peer
    return By(actor=f"{peer} (says {claim})" if claimed else peer, reason=reason.strip())


def _peer(request: web.Request) -> str:
    """Return the name of the user at the other end, as the kernel knows it. Raises Unreasonable on another socket."""
    found = request.transport.get_extra_info("socket") if request.transport else None
    if found is None or found.family != socket.AF_UNIX:
        raise Unreasonable("acts are taken at the operators' socket alone")
    _, uid, _ = _UCRED.unpack(found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _refused(error: BrokerError) -> web.Response:
    status = {Unreasonable: 400, Unknown: 404, Conflict: 409}.get(type(error), 503)
    return web.json_response({"why": error.why, "hint": error.hint}, status=status)
