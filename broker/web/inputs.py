"""Small inputs of the API into values: numbers in a query, a verdict in JSON. What does not fit is 400, and named."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from broker.diagnosis import causes
from broker.message import Client, Verdict
from broker.receipts.apprec import GivenError
from broker.web.problems import Stop, stop

PAGE: Final = 100  # events or items, where the client does not say
MOST: Final = 1000
LONGEST_WAIT: Final = 60  # seconds that an answer is waited for; proxies often end a silent connection after these
WAIT: Final = "PT(?:[0-9]|[1-5][0-9]|60)S|[0-9]|[1-5][0-9]|60"
_WAIT: Final = re.compile(WAIT)
_NUMBER: Final = re.compile("[0-9]{1,19}")
_KEY: Final = re.compile("[\x21-\x7e]{1,255}")
_OFFSETS: Final = 2**63 - 1  # what the store can count to

_VERDICTS: Final = {str(verdict): verdict for verdict in Verdict} | {
    # The values of list 8258, as they stand on the wire.
    "1": Verdict.OK,
    "2": Verdict.REJECTED,
    "3": Verdict.PARTIAL,
}
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2: Char
_MANY: Final = 50  # errors in one verdict; list 8221 is not longer
_LONG: Final = 4000  # characters of free text for people


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenVerdict:
    """What an EPJ says of a document."""

    verdict: Verdict
    errors: tuple[GivenError, ...]


def page_size(request: web.Request) -> int:
    """Return `limit`, 1..1000 (100 where it is not given). Raises Stop (400)."""
    return _number(request, "limit", at_least=1, at_most=MOST, default=PAGE)


def offset(request: web.Request) -> int:
    """Return `after`, an offset of the feed (0 where it is not given: from the beginning). Raises Stop (400)."""
    return _number(request, "after", at_least=0, at_most=_OFFSETS, default=0)


def number(request: web.Request) -> int:
    """Return `number`, of a payload (1 where it is not given). Raises Stop (400)."""
    return _number(request, "number", at_least=1, at_most=99, default=1)


def idempotency_key(request: web.Request) -> str | None:
    """Return the client's own key of this post, without the quotes of a structured field. Raises Stop (400)."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise _bad(
            "Idempotency-Key",
            "ett felt med 1 til 255 synlige ASCII-tegn, for eksempel en UUID",
            "one field of 1 to 255 visible ASCII characters, such as a UUID",
        )
    return key


def wait(request: web.Request) -> float:
    """Return `wait` in seconds, 0..60: 30 or PT30S; 0 (answer at once) where it is not given. Raises Stop (400)."""
    text = request.query.get("wait", "0")
    if not _WAIT.fullmatch(text):
        raise _bad(
            "wait",
            f"hele sekunder fra 0 til {LONGEST_WAIT}, for eksempel PT30S eller 30",
            f"whole seconds from 0 to {LONGEST_WAIT}, such as PT30S or 30",
        )
    return float(text.strip("PTS"))


def unread_only(request: web.Request) -> bool:
    """Return `unread`: true (default) lists what the EPJ has neither stored nor judged. Raises Stop (400)."""
    value = request.query.get("unread", "true").lower()
    if value not in ("true", "false"):
        raise _bad("unread", "true eller false", "true or false")
    return value == "true"


def hers(request: web.Request, client: Client) -> Collection[int]:
    """Return the HER-ids asked about: `her`, or all of the client's. Raises Stop (400, 403)."""
    if "her" not in request.query:
        return client.hers
    her = _number(request, "her", at_least=1, at_most=2**31 - 1, default=0)
    if her not in client.hers:
        raise stop(
            403,
            causes.HER_ID_NOT_PERMITTED,
            f"Tokenet er ikke knyttet til HER-id {her}.",
            f"The token is not bound to HER-id {her}.",
        )
    return frozenset({her})


def through(body: bytes) -> int:
    """Return the offset up to which outcomes are confirmed. Raises Stop (400)."""
    value = _object(body).get("through")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _OFFSETS:
        raise _bad("through", "et heltall fra 0", "a whole number from 0")
    return value


def given_verdict(body: bytes) -> GivenVerdict:
    """Return an EPJ's verdict. Raises Stop (400); whether the codes are known is judged by the story."""
    said = _object(body)
    status = said.get("appRecStatus")
    verdict = _VERDICTS.get(str(status)) if isinstance(status, str | int) else None
    if verdict is None:
        raise _bad(
            "appRecStatus",
            "Ok, Rejected eller OkErrorInMessagePart (eller 1, 2, 3)",
            "Ok, Rejected or OkErrorInMessagePart (or 1, 2, 3)",
        )
    errors = said.get("appRecErrorList")
    errors = [] if errors is None else errors
    if not isinstance(errors, list) or len(errors) > _MANY:
        raise _bad("appRecErrorList", f"en liste med høyst {_MANY} feil", f"a list of at most {_MANY} errors")
    return GivenVerdict(verdict=verdict, errors=tuple(_error(error) for error in errors))


def _error(said: Any) -> GivenError:
    code = said.get("errorCode") if isinstance(said, dict) else None
    if not isinstance(code, str) or not re.fullmatch(r"[A-Za-z0-9]{1,10}", code):
        raise _bad("errorCode", "en kode fra kodeverk 8221", "a code of list 8221")
    details = said.get("details")
    details = "" if details is None else details
    # A character that XML cannot carry would fail in the AppRec, after the verdict was taken.
    if not isinstance(details, str) or len(details) > _LONG or _NOT_XML.search(details):
        raise _bad(
            "details",
            f"tekst på høyst {_LONG} tegn uten kontrolltegn",
            f"text of at most {_LONG} characters without control characters",
        )
    return GivenError(code=code, details=details)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad("body", "et JSON-objekt", "a JSON object") from None  # the cause quotes the body
    if not isinstance(value, dict):
        raise _bad("body", "et JSON-objekt", "a JSON object")
    return value


def _number(request: web.Request, name: str, *, at_least: int, at_most: int, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if _NUMBER.fullmatch(text) and at_least <= int(text) <= at_most:
        return int(text)
    raise _bad(name, f"et heltall, {at_least} til {at_most}", f"a whole number, {at_least} to {at_most}")


def _bad(name: str, nb: str, en: str) -> Stop:
    return stop(400, causes.BAD_REQUEST, f"{name} må være {nb}.", f"{name} must be {en}.")
