"""Alerts by webhook: one POST of JSON, signed as Standard Webhooks says where a secret is given."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from broker import telemetry
from broker.alerts import Alert, AlertFailed, Notice
from broker.scrubbing import blank
from broker.transport.webhooks import signature

_WITHIN: Final = 15.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A channel of `broker.watch`. The `text` of the body is what chat programs show."""

    name: telemetry.Channel = "webhook"
    url: str = field(repr=False)  # it may hold a secret in its path
    secrets: tuple[bytes, ...] = field(default=(), repr=False)  # two while the receiver changes to the next

    async def send(self, notice: Notice) -> None:
        """POST it, following no redirect. Raises AlertFailed for anything but a 2xx."""
        content = json.dumps(_body(notice), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} | self._signature(notice, content)
        try:
            async with (
                asyncio.timeout(_WITHIN),
                aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(self.url, data=content, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise AlertFailed(f"the webhook can't be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise AlertFailed(f"the webhook answered {status}")

    def _signature(self, notice: Notice, content: bytes) -> dict[str, str]:
        at = str(int(notice.at.timestamp()))
        headers = {"webhook-id": notice.id, "webhook-timestamp": at}
        if self.secrets:
            headers["webhook-signature"] = signature(self.secrets, notice.id, at, content)
        return headers


def _body(notice: Notice) -> dict[str, Any]:
    return {
        "type": "problems.changed",
        "timestamp": notice.at.isoformat(),
        "text": "\n".join(blank(line) for line in (notice.subject, "", *notice.text.rstrip().split("\n"))),
        "data": {
            "opened": [_problem(alert) for alert in notice.opened],
            "closed": [_problem(alert) for alert in notice.closed],
        },
    }


def _problem(alert: Alert) -> dict[str, Any]:
    return {
        "problem": alert.problem,
        "errorId": None if alert.own or alert.error_id == "-" else alert.error_id,
        "herId": alert.her or None,
        "count": alert.count,
        "ball": alert.ball,
        "name": {"nb": blank(alert.name.nb), "en": blank(alert.name.en)},
        "oldest": alert.oldest.isoformat(),
        "openedAt": alert.opened_at.isoformat(),
        "closedAt": alert.closed_at.isoformat() if alert.closed_at else None,
    }
