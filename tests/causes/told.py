"""What is told of a message, an inbox item or a post: by the API and by the operators' socket, which must agree."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from broker.diagnosis import CAUSES
from broker.message import Client
from broker.web.alarms import Alarms
from broker.web.app import make_epj_app
from broker.web.bodies import Room
from broker.web.listen import listening
from broker.web.operator import make_operator_app, operator_socket
from tests.scenario.pair import Side

XML: Final = {"Content-Type": "application/xml"}
_SAME: Final = ("stopPoint", "sentence", "errorId", "cause", "act", "ball", "nextAttemptAt")


class Wrong(Exception):
    """What was told is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What stands there, in both languages."""

    error_id: str | None
    ball: str
    cause: dict[str, str]
    act: dict[str, str]
    sentence: dict[str, str] | None = None
    next_at: str | None = None
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cause. `produce` makes it happen in the folder given, and returns what is then told."""

    name: str
    error_id: str
    ball: str
    produce: Callable[[Path], Awaitable[Told]]


@dataclass
class Views:
    """The two doors at which a side is asked, both over sockets."""

    epj: str
    api: aiohttp.ClientSession
    operators: aiohttp.ClientSession

    async def post(self, raw: bytes) -> str:
        """Post a document. Returns our id of it."""
        async with self.api.post(f"{self.epj}/api/v1/messages", data=raw, headers=XML) as answer:
            said = await answer.json()
            if answer.status != 202:
                raise Wrong(f"not taken: {said}")
            return str(said["id"])

    async def message(self, id: str) -> Told:
        """Return what is told of the only receiver of a message, outgoing or incoming."""
        theirs = _receiver(await self._get(self.api, f"{self.epj}/api/v1/messages/{id}"))
        ours = _receiver((await self._get(self.operators, f"http://broker/journey?id={id}"))[0])
        _compare(theirs, ours, "the operators' socket")
        open = theirs.get("outcome") == "open"
        if open:
            queue = await self._get(self.operators, "http://broker/queue?limit=10")
            (waiting,) = [one for one in queue if one["deliveryId"] == theirs["deliveryId"]]
            _compare(theirs, waiting, "the queue")
        return Told(
            error_id=theirs["errorId"],
            ball=theirs["ball"],
            cause=theirs["cause"] or {},
            act=theirs["act"] or {},
            sentence=theirs["sentence"],
            next_at=theirs.get("nextAttemptAt"),
            open=open,
        )

    async def alarm(self, id: str, error_id: str, words: Callable[[str], Told]) -> Told:
        """Return what is told by an event in a message's history; both sides must show it."""
        theirs = await self._get(self.api, f"{self.epj}/api/v1/messages/{id}/events")
        ours = await self._get(self.operators, f"http://broker/journey?id={id}")
        for name, events in (("API", theirs["events"]), ("socket", ours[0]["events"])):
            if error_id not in [event["errorId"] for event in events]:
                raise Wrong(f"no event {error_id} in the history that the {name} tells")
        return words(error_id)

    async def condition(self, error_id: str) -> Told:
        """Return what is told of an alarm that belongs to no message."""
        told = await self._get(self.operators, "http://broker/conditions")
        found = [one for one in told if one["errorId"] == error_id]
        if len(found) != 1:
            raise Wrong(f"{len(found)} alarms {error_id} among {[one['errorId'] for one in told]}")
        (one,) = found
        return Told(error_id=error_id, ball=one["ball"], cause=one["cause"], act=one["act"], sentence=one["sentence"])

    async def refusal(self, path: str, raw: bytes, *, token: str = "x", **headers: str) -> Told:
        """Post what is not taken. Returns the problem, told in both languages."""
        said: dict[str, dict[str, Any]] = {}
        for language in ("nb", "en"):
            own = XML | {"Authorization": f"Bearer {token}", "Accept-Language": language} | headers
            async with self.api.post(f"{self.epj}{path}", data=raw, headers=own) as answer:
                said[language] = await answer.json()
                if answer.status < 400:
                    raise Wrong(f"taken with {answer.status}")
        first = said["nb"]
        return Told(
            error_id=first["errorId"],
            ball="",
            cause={language: each["title"] for language, each in said.items()},
            act={language: each["act"] for language, each in said.items()},
        )

    async def _get(self, session: aiohttp.ClientSession, url: str) -> Any:
        async with session.get(url) as answer:
            if answer.status != 200:
                raise Wrong(f"{url} was answered with {answer.status}")
            return json.loads(await answer.read())


def _receiver(message: Any) -> dict[str, Any]:
    (receiver,) = message["receivers"]
    assert isinstance(receiver, dict)
    return receiver


def _compare(theirs: dict[str, Any], ours: dict[str, Any], where: str) -> None:
    for key in _SAME:
        if theirs.get(key) != ours.get(key):
            raise Wrong(f"{key}: the API says {theirs.get(key)!r}, {where} {ours.get(key)!r}")


@asynccontextmanager
async def views(side: Side, folder: Path, *, alarms: Alarms | None = None) -> AsyncIterator[Views]:
    """Give both doors of a side, as its doors are now; the socket stands in `folder`, and tells these `alarms`."""

    class Tokens:
        def by_token(self, token: str) -> Client | None:
            return side.client if token == "x" else None

        def by_certificate(self, der: bytes, at: datetime) -> Client | None:
            return None

    socket = folder / "operator.sock"
    app = make_operator_app(side.doors, side.store, alarms=alarms)
    async with (
        listening(make_epj_app(side.doors, Tokens(), room=Room()), host="127.0.0.1", port=0, grace=1) as port,
        operator_socket(app, socket),
        aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as api,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as operators,
    ):
        yield Views(epj=f"http://127.0.0.1:{port}", api=api, operators=operators)


def faults_of(case: Case, told: Told) -> list[str]:
    """Return what is wrong with what was told."""
    found, cause = [], CAUSES[case.error_id]
    if told.error_id != case.error_id:
        found.append(f"called {told.error_id}, not {case.error_id}")
    if (ball := told.ball or cause.ball) != case.ball:  # a problem leaves it to the catalogue
        found.append(f"the ball is with {ball}, not {case.ball}")
    for what, text in (("cause", told.cause), ("act", told.act), ("sentence", told.sentence)):
        if text is None:
            continue
        if not text.get("nb", "").strip() or not text.get("en", "").strip():
            found.append(f"no {what} in one of the languages")
        elif text["nb"] == text["en"]:
            found.append(f"one {what} for both languages")
    nb, en = cause.name.nb, cause.name.en
    if (told.cause.get("nb", "").lower(), told.cause.get("en", "").lower()) != (nb.lower(), en.lower()):
        found.append("the cause is not in the words of the catalogue")
    if told.sentence and told.open and not (nb in told.sentence["nb"] and en in told.sentence["en"]):
        found.append("the sentence does not say the cause")
    if told.open and told.next_at is None and told.ball not in ("person", "epj"):
        found.append("nobody acts next")
    return found
