"""Secrets handed to every function that writes a log line, and to both alert channels, must come out of none of them.

    python -m tests.canaries.lines

Each text argument of each typed function of `broker.telemetry` gets a secret of every kind: numbers of persons, tokens,
PEM, passwords. So do the names of parties and problems in a notice. What was written, the metrics and what the
channels sent are searched. Prints what it did and ends with 1 where a secret came out, or where it did less than its
floor. SABOTAGE=scrubber-off plants the fault.
"""

import asyncio
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from broker import alerts, scrubbing, telemetry
from broker.errors import NotTrusted, Postponed
from broker.folding import Folds
from broker.message import Attempt, Ball, EventKind, NewEvent, Text
from broker.transport import alert_mail, alert_webhook
from broker.transport.alert_mail import Mail
from broker.transport.alert_webhook import Webhook
from tests.alerts.sinks import mail_server, webhook_server

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
# Each makes a secret out of a word (or a number of eleven digits), and says what to look for.
KINDS: dict[str, Callable[[str, str], str]] = {
    "number": lambda word, number: number,
    "number with a blank": lambda word, number: f"{number[:6]} {number[6:]}",
    "number with points": lambda word, number: f"{number[:2]}.{number[2:4]}.{number[4:6]} {number[6:]}",
    "number among words": lambda word, number: f"the patient {number} is known",
    "number in a path": lambda word, number: f"/srv/letters/{number}.xml",
    "number glued to words": lambda word, number: f"id{number}x",
    "token": lambda word, number: f"q7Rk0aZ3xN5vB8mT2wL6yH4jK1pD7sF0gC{word}",
    "token in base64": lambda word, number: f"q7Rk0aZ3/xN5vB8mT2wL6+yH4jK1pD7sF0gC{word}==",
    "hexadecimal": lambda word, number: f"0123456789abcdef0123456789abcdef{word.encode().hex()}",
    "JWT": lambda word, number: f"eyJhbGciOiJub25lIn0.eyJ{word}.s",
    "bearer": lambda word, number: f"Authorization: Bearer {word}",
    "basic": lambda word, number: f"basic {word}",
    "DPoP": lambda word, number: f"DPoP {word}",
    "password": lambda word, number: f"passphrase={word}",
    "password in JSON": lambda word, number: f'{{"password": "{word}"}}',
    "API key": lambda word, number: f"api_key: {word}",
    "access token": lambda word, number: f"?access_token={word}",
    "user": lambda word, number: f"https://epj:{word}@partner.example/x",
    "webhook's secret": lambda word, number: f"whsec_{word}",
    "PEM": lambda word, number: f"-----BEGIN PRIVATE KEY-----\nMII{word}\n-----END PRIVATE KEY-----",
    "PEM that is cut": lambda word, number: f"-----BEGIN PRIVATE KEY-----\nMII{word}",
}
STORY = ("why", "client", "message_id", "delivery_id", "item_id", "eb_id", "msg_id", "error_id", "stop_point")
FLOOR_SECRETS, FLOOR_FUNCTIONS, FLOOR_PLACES = 1_000, 15, 45
# Those that take numbers alone, and those that write nothing.
NOT_ASKED = frozenset({"configure", "exposition", "answered", "holding", "written", "lagged", "tell_folded", "origin"})

_numbers = count(1)
_words: dict[str, str] = {}  # what to look for -> where it was put
_places: set[str] = set()


def secrets(where: str) -> Iterator[str]:
    """Yield a secret of each kind, with a word of its own that is looked for."""
    _places.add(where)
    for kind, make in KINDS.items():
        ordinal = next(_numbers)
        word, number = f"kf{ordinal:06d}x", f"018130{ordinal:05d}"
        secret = make(word, number)
        forms = (word, word.encode().hex(), number, f"{number[:6]} {number[6:]}", f"{number[4:6]} {number[6:]}")
        _words[next(form for form in forms if form in secret)] = f"{where}, {kind}"
        yield secret


def main() -> int:
    """Run the harness; return 0 where nothing came out and the floors were reached."""
    if os.environ.get("SABOTAGE") == "scrubber-off":
        _switch_off()
    stream = io.StringIO()
    telemetry.configure("info", stream)
    functions = 0
    for name, function in _functions():
        functions += 1
        for parameter in inspect.signature(function).parameters.values():
            for secret in secrets(f"{name}({parameter.name})"):
                telemetry._folds = Folds()  # each is written, none is counted only
                _call(function, parameter.name, secret)
    _the_story()
    lines = stream.getvalue()
    said = {"log": lines, "metrics": telemetry.exposition().decode(), **asyncio.run(_alerts())}
    escaped = [f"{where} in {place}" for word, where in _words.items() for place in said if word in said[place]]
    written = lines.count("\n")
    print(f"{functions} functions, {len(_places)} places, {len(_words)} secrets, {written} lines")
    print(f"{len(escaped)} came out")
    for line in escaped:
        print(f"  {line}")
    enough = len(_words) >= FLOOR_SECRETS and functions >= FLOOR_FUNCTIONS and len(_places) >= FLOOR_PLACES
    enough = enough and written >= FLOOR_SECRETS // 2 and all(said.values())
    if not enough:
        print(f"below the floor of {FLOOR_FUNCTIONS} functions, {FLOOR_PLACES} places and {FLOOR_SECRETS} secrets")
    return 0 if enough and not escaped else 1


def _functions() -> Iterator[tuple[str, Callable[..., None]]]:
    for name, function in sorted(vars(telemetry).items()):
        ours = inspect.isfunction(function) and function.__module__ == telemetry.__name__
        if ours and not name.startswith("_") and name not in NOT_ASKED | {"recorded"}:
            yield name, function


def _call(function: Callable[..., None], parameter: str, secret: str) -> None:
    """Call it with `secret` in one place and harmless values in all others."""
    positional, named = [], {}
    for name, one in inspect.signature(function).parameters.items():
        value = _value(str(one.annotation), name, secret if name == parameter else "harmless")
        if one.kind is inspect.Parameter.KEYWORD_ONLY:
            named[name] = value
        else:
            positional.append(value)
    function(*positional, **named)


def _value(annotation: str, name: str, text: str) -> Any:
    if "Postponed" in annotation:
        return Postponed(text, error_id=text)
    if "BrokerError" in annotation:
        return NotTrusted(text)
    if "BaseException" in annotation:
        return ValueError(text)
    if "datetime" in annotation:
        return NOW
    if annotation.startswith(("<class 'int'", "int")):
        return 1
    # What counts metrics by these takes words of our own alone.
    return "harmless" if name in ("where", "code", "channel", "algorithm", "version", "environment") else text


def _the_story() -> None:
    event = NewEvent(kind=EventKind.PARKED, at=NOW, her=1, message_id="m", delivery_id="d")
    attempt = Attempt(
        delivery_id="d",
        eb_id="e",
        number=1,
        started_at=NOW,
        ended_at=NOW,
        endpoint="https://partner.example/x",
        http_status=None,
        result="failed",
        error_id=None,
    )
    for name in STORY:
        for secret in secrets(f"event.{name}"):
            changed: Any = {name: secret}
            telemetry._folds = Folds()
            telemetry.recorded((replace(event, **changed),))
    for secret in secrets("event.codes"):
        telemetry._folds = Folds()
        telemetry.recorded((replace(event, codes=(secret,)),))
    for name in ("eb_id", "delivery_id", "endpoint"):
        for secret in secrets(f"attempt.{name}"):
            spoilt: Any = {name: f"https://host/{secret}" if name == "endpoint" else secret}
            telemetry.recorded((), (replace(attempt, **spoilt),))


async def _alerts() -> dict[str, str]:
    """Send notices with secrets in the names of the party and of the problem, and return what came."""
    async with mail_server() as mails, webhook_server() as posts:
        channels = (
            Mail(host="127.0.0.1", port=mails.port, security="none", sender="a@b.example", receivers=("c@d.example",)),
            Webhook(url=posts.url),
        )
        alert = alerts.Alert(
            problem="K4:MB-3202:8000301",
            name=Text(nb="n", en="e"),
            ball=Ball.PARTNER,
            count=1,
            oldest=NOW,
            opened_at=NOW,
        )
        for place in ("name of the party", "name of the problem"):
            for secret in secrets(place):
                told = alert if "party" in place else replace(alert, name=Text(nb=secret, en=secret))
                names = {alert.her: secret} if "party" in place else {}
                for channel in channels:
                    notice = alerts.notice(
                        [told], channel.name, host="h", language="nb", names=names, now=NOW + timedelta(hours=1)
                    )
                    assert notice is not None
                    await channel.send(notice)
        decoded = "\n".join(f"{mail['Subject']}\n{mail.get_content()}" for mail in mails.mails)
        return {"mail": decoded, "webhook": "\n".join(body.decode() for body in posts.bodies)}


def _switch_off() -> None:
    """The planted fault: every value goes as it is."""
    for module, name in (
        (scrubbing, "blank"),
        (telemetry, "scrub"),
        (alerts, "blank"),
        (alert_mail, "blank"),
        (alert_webhook, "blank"),
    ):
        spoilt: Any = module
        setattr(spoilt, name, lambda value: value.replace("\n", " "))


if __name__ == "__main__":
    sys.exit(main())
