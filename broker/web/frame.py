"""What surrounds every request at both doors: its id, its memory, its time, its last word when something goes wrong."""

import time
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from broker import telemetry
from broker.message import Client
from broker.ports import Doors
from broker.web.bodies import Room, Share, check_headers
from broker.web.problems import Problem, as_response, language_of, problem_of

SHARE: Final = web.RequestKey("share", Share)
REQUEST_ID: Final = web.RequestKey("request_id", str)
CLIENT: Final = web.RequestKey("client", Client)

_ALWAYS: Final = CIMultiDict({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "digihelse"})
_CLOSING: Final = frozenset({400, 408, 413, 415, 431})  # a body may still be coming that nobody will read


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Made once for each door, by its name."""

    door: str
    doors: Doors
    room: Room

    def middleware(self) -> Middleware:
        """Return the outermost middleware: nothing raised below it reaches aiohttp but a cancellation."""

        @web.middleware
        async def framed(request: web.Request, handler: Handler) -> web.StreamResponse:
            began = time.monotonic()
            request_id = self.doors.randomness.id()
            request[REQUEST_ID] = request_id
            with self.room.share() as share:
                request[SHARE] = share
                try:
                    check_headers(request)
                    response = await handler(request)
                except Exception as error:
                    response = self._answer(request, request_id, error)
                response.headers["X-Request-Id"] = request_id
                dress(response)
            telemetry.answered(
                door=self.door, route=_route(request), status=response.status, seconds=time.monotonic() - began
            )
            return response

        return framed

    def _answer(self, request: web.Request, request_id: str, error: Exception) -> web.Response:
        problem = problem_of(error)
        self._tell(request, request_id, error, problem)
        response = as_response(
            problem, language=language_of(request.headers.get("Accept-Language", "")), request_id=request_id
        )
        if problem.status in _CLOSING:
            response.force_close()
        return response

    def _tell(self, request: web.Request, request_id: str, error: Exception, problem: Problem) -> None:
        if problem.accepted is None:
            telemetry.unexpected(self.door, error, request=request_id)
            return
        client = request.get(CLIENT)
        telemetry.turned_away(
            door=self.door,
            status=problem.status,
            error_id=problem.error_id,
            request=request_id,
            client=client.name if client else None,
        )


def dress(response: web.StreamResponse) -> None:
    """Set what every answer carries: nothing is kept on its way, and nothing tells what we are made of."""
    response.headers.update(_ALWAYS)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
