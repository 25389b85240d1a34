"""Alerts by mail: one plain text message through the site's own mail server, in a thread of its own."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal

from broker import telemetry
from broker.alerts import AlertFailed, Notice
from broker.scrubbing import blank

_WITHIN: Final = 10.0  # seconds for each answer of the mail server; a stop of the broker may wait for one


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A channel of `broker.watch`. `security`: STARTTLS, TLS from the first byte, or none."""

    name: telemetry.Channel = "mail"
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    receivers: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send(self, notice: Notice) -> None:
        """Hand it to the mail server. Raises AlertFailed, without the server's words."""
        await asyncio.to_thread(self._send, self._written(notice))

    def _written(self, notice: Notice) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.receivers)
        mail["Subject"] = blank(notice.subject)
        mail["Date"] = format_datetime(notice.at)
        mail["Message-ID"] = f"<{notice.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is answered to us
        mail.set_content("\n".join(blank(line) for line in notice.text.split("\n")))
        return mail

    def _send(self, mail: EmailMessage) -> None:
        context = ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(self.host, self.port, timeout=_WITHIN, context=context)
                if self.security == "tls"
                else smtplib.SMTP(self.host, self.port, timeout=_WITHIN)
            ) as server:
                if self.security == "starttls":
                    server.starttls(context=context)
                if self.user is not None and self.password is not None:
                    server.login(self.user, self.password)
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise AlertFailed(f"the mail server answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise AlertFailed(f"the mail server can't be used ({type(error).__name__})") from None
