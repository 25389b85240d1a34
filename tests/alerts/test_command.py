"""`broker alerts test` says of each channel whether it took the notice."""

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from broker.cli.main import main
from tests.alerts.sinks import mail_server, webhook_server

SETTINGS = """
environment = "test"
host = "broker.example"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "900000101"
name = "Fjordvik kommune"
hers = [8000201]
"""


async def _test(folder: Path, alerts: str) -> Result:
    (folder / "broker.toml").write_text(SETTINGS + alerts)
    arguments = ["alerts", "test", "--config", str(folder / "broker.toml")]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, catch_exceptions=False)


async def test_a_test_notice_reaches_mail_and_webhook(tmp_path: Path) -> None:
    async with mail_server() as mails, webhook_server() as posts:
        alerts = f"""
[alerts]
mail_to = ["drift@fjordvik.example"]
mail_from = "broker@fjordvik.example"
smtp_host = "127.0.0.1"
smtp_port = {mails.port}
smtp_security = "none"
webhook = "{posts.url}"
"""
        sent = await _test(tmp_path, alerts)
        posts.status, mails.answer = 410, "550 no"
        refused = await _test(tmp_path, alerts)
    assert (sent.exit_code, sent.output) == (0, "mail: sent\nwebhook: sent\n")
    assert mails.mails[0]["Subject"] == "[broker.example] prøvevarsel"
    assert (refused.exit_code, refused.output) == (
        1,
        "mail: the mail server answered 550\nwebhook: the webhook answered 410\n",
    )


async def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    async with webhook_server() as posts:
        url = posts.url
    tried = await _test(tmp_path, f'[alerts]\nwebhook = "{url}"\n')
    assert (tried.exit_code, tried.output) == (1, "webhook: the webhook can't be reached (ClientConnectorError)\n")


async def test_where_there_is_no_channel_it_says_what_to_write(tmp_path: Path) -> None:
    tried = await _test(tmp_path, "")
    assert tried.exit_code == 1
    assert "under [alerts]" in tried.output


async def test_no_password_and_no_mail_goes_to_a_server_without_tls_where_tls_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    async with mail_server() as mails:
        alerts = f"""
[alerts]
mail_to = ["drift@fjordvik.example"]
mail_from = "broker@fjordvik.example"
smtp_host = "127.0.0.1"
smtp_port = {mails.port}
smtp_user = "digihelse"
smtp_password = "password"
"""
        tried = await _test(tmp_path, alerts)
        plain = await _test(tmp_path, f'{alerts}smtp_security = "tls"\n')
    assert (tried.exit_code, tried.output) == (1, "mail: the mail server can't be used (SMTPNotSupportedError)\n")
    assert (plain.exit_code, plain.output) == (1, "mail: the mail server can't be used (SSLError)\n")
    assert mails.raw == []
