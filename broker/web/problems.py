"""What a caller is told when it did not go well: every error becomes one problem+json (RFC 9457), here.

It decides status, error id and whether anything was accepted. The words are the catalogue's; a caller's own input is
never repeated to it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from broker.diagnosis import CAUSES, causes
from broker.errors import Conflict, Denied, KeyReused, Postponed, StoreBroken, StoreBusy, Unknown
from broker.message import Fault, Text
from broker.ports import BodyDamaged
from broker.validation.documents import DocumentRefused

RETRY_AFTER: Final = 10  # seconds; what is short here (disk, memory) is soon there again, or for hours missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One answer that is not the wished one. `accepted` is None where we cannot know."""

    status: int
    error_id: str
    detail: Text
    accepted: bool | None = False
    retryable: bool = False
    faults: tuple[Fault, ...] = ()
    allow: str | None = None  # methods, for 405


class Stop(Exception):
    """The request ends here, with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.error_id)
        self.problem = problem


def stop(status: int, error_id: str, nb: str, en: str, *, retryable: bool = False) -> Stop:
    """Return what to raise when a request is refused before any story began; nothing was accepted."""
    return Stop(Problem(status=status, error_id=error_id, detail=Text(nb=nb, en=en), retryable=retryable))


def problem_of(error: BaseException) -> Problem:
    """Return what the caller is told of this error."""
    match error:
        case Stop():
            return error.problem
        case DocumentRefused():
            return _refused(error.faults)
        case Denied():
            return Problem(
                status=403,
                error_id=causes.HER_ID_NOT_PERMITTED,
                detail=Text(
                    nb=f"Tokenet er ikke knyttet til HER-id {error.her_id}.",
                    en=f"The token is not bound to HER-id {error.her_id}.",
                ),
            )
        case Conflict():
            return plain(409, causes.MSG_ID_TAKEN)
        case KeyReused():
            return plain(422, causes.KEY_REUSED)
        case Unknown():
            return plain(404, causes.NOT_FOUND)
        case BodyDamaged():
            return plain(500, causes.BODY_DAMAGED)
        case StoreBusy(error_id=causes.DISK_FULL | causes.STORE_LOCKED):
            return plain(503, error.error_id, retryable=True)
        case Postponed():
            return plain(503, causes.NOT_ACCEPTING, retryable=True)
        case StoreBroken():
            # The commit may have reached the disk or not. The same post again settles it.
            return Problem(
                status=503,
                error_id=causes.UNEXPECTED,
                detail=_sentence(causes.UNEXPECTED),
                accepted=None,
                retryable=True,
            )
        case web.HTTPMethodNotAllowed():
            allow = ", ".join(sorted(error.allowed_methods))
            return Problem(
                status=405,
                error_id=causes.METHOD_NOT_ALLOWED,
                detail=Text(nb=f"Her kan {allow} brukes.", en=f"Here {allow} can be used."),
                allow=allow,
            )
        case web.HTTPNotFound():
            return plain(404, causes.NOT_FOUND)
        case web.HTTPClientError():
            return plain(error.status, causes.BAD_REQUEST)
        case _:
            return Problem(
                status=503,
                error_id=causes.UNEXPECTED,
                detail=_sentence(causes.UNEXPECTED),
                accepted=None,
                retryable=True,
            )


def said_of(problem: Problem, *, language: str, request_id: str | None) -> dict[str, object]:
    """Return the problem as JSON in `language` ("nb" or "en"). What was no request has no id."""
    cause = CAUSES[problem.error_id]
    said: dict[str, object] = {
        "type": f"/problems/{cause.slug}",
        "title": _capital(_in(cause.name, language)),
        "status": problem.status,
        "detail": _in(problem.detail, language),
        "instance": f"urn:uuid:{request_id}" if request_id else None,
        "errorId": problem.error_id,
        "accepted": problem.accepted,
        "retryable": problem.retryable,
        "requestId": request_id,
        "act": _in(cause.act, language),
    }
    if problem.faults:
        said["faults"] = [_fault(fault, language) for fault in problem.faults]
    return said


def as_response(problem: Problem, *, language: str, request_id: str | None) -> web.Response:
    """Return the problem as an HTTP answer in `language` ("nb" or "en"). What was no request has no id."""
    said = said_of(problem, language=language, request_id=request_id)
    headers: dict[str, str] = {"Content-Language": language}
    if problem.retryable:
        headers["Retry-After"] = str(RETRY_AFTER)
    if problem.allow:
        headers["Allow"] = problem.allow
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=json.dumps(said, ensure_ascii=False).encode(),
        content_type="application/problem+json",
        status=problem.status,
        headers=headers,
    )


def language_of(accept: str) -> str:
    """Return "en" where Accept-Language prefers English to Norwegian, else "nb" (RFC 9110, 12.5.4)."""
    best, at = "nb", 0.0
    for offer in accept.split(","):
        tag, _, parameters = offer.strip().partition(";")
        found = _LANGUAGES.get(tag.strip().lower().partition("-")[0])
        quality = _quality(parameters)
        if found and quality > at:
            best, at = found, quality
    return best


_LANGUAGES: Mapping[str, str] = {"nb": "nb", "no": "nb", "nn": "nb", "en": "en"}


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


_BY_APPREC: Mapping[frozenset[str], str] = {
    frozenset({"T01"}): causes.MALFORMED_XML,
    frozenset({"T10"}): causes.UNSUPPORTED_TYPE,
    frozenset({"E21"}): causes.RECEIVER_UNKNOWN,
}


def _refused(faults: tuple[Fault, ...]) -> Problem:
    error_id = _BY_APPREC.get(frozenset(fault.apprec for fault in faults), causes.DOCUMENT_REFUSED)
    count = len(faults)
    return Problem(
        status=422,
        error_id=error_id,
        detail=Text(
            nb=f"{count} feil. Ingenting er tatt imot.",
            en=f"{count} {'fault' if count == 1 else 'faults'}. Nothing was taken.",
        ),
        faults=faults,
    )


def _fault(fault: Fault, language: str) -> dict[str, object]:
    return {
        "line": fault.line,
        "path": fault.path,
        "rule": fault.rule,
        "reason": _in(fault.reason, language),
        "hint": _in(fault.hint, language),
    }


def plain(status: int, error_id: str, *, retryable: bool = False) -> Problem:
    """Return a problem whose detail is the name of its cause."""
    return Problem(status=status, error_id=error_id, detail=_sentence(error_id), retryable=retryable)


def _sentence(error_id: str) -> Text:
    name = CAUSES[error_id].name
    return Text(nb=f"{_capital(name.nb)}.", en=f"{_capital(name.en)}.")


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]


def _in(text: Text, language: str) -> str:
    return text.en if language == "en" else text.nb
