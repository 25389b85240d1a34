"""A wrong setting stops with one sentence that names the key and the right form, and repeats no value."""

import os
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from broker import config, config_tables
from broker.config import Settings, load, passphrase, site
from broker.errors import Misconfigured
from broker.lookup.shipped import shipped

GOOD = """
environment = "test"
host = "broker.fjordvik.example"
data = "data"
keys_passphrase = "secret.txt"
reload = "PT1S"
log = "debug"

[partner]
host = "0.0.0.0"
port = 8443
certificate = "tls.crt"
key = "tls.key"

[epj]
port = 8080

[[organisation]]
number = "900000101"
name = "Fjordvik kommune"
hers = [8000102, 8000103]

[[organisation]]
number = "900000303"
name = "Innbyggerportalen"
hers = [8000301]

[workers]
concurrency = 10
per_lane = 2
cpu_threads = 3
poll = "PT0.5S"

[back_off]
first = "PT1S"
most = "PT1M"

[breaker]
failures = 3
open_for = "PT2S"

[timeouts]
post = "PT10S"
read = "PT11S"
stop = "PT12S"

[limits]
document = 1000000
envelope = 2000000
in_flight = 4000000
reserve = 0
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BROKER_")]:
        monkeypatch.delenv(name)


def read(folder: Path, text: str) -> Settings:
    path = folder / "broker.toml"
    path.write_text(text, "utf-8")
    return load(path)


def test_every_key_is_read_and_fixed(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    assert settings.hosted == {8000102: "900000101", 8000103: "900000101", 8000301: "900000303"}
    assert settings.partner.tls
    assert settings.partner.certificate == tmp_path / "tls.crt"
    assert not settings.epj.tls
    assert settings.epj.host == "127.0.0.1"
    assert settings.workers.poll == timedelta(seconds=0.5)
    assert settings.breaker.open_for == timedelta(seconds=2)
    assert settings.timeouts.stop == timedelta(seconds=12)
    assert settings.limits.in_flight == 4_000_000
    assert settings.socket == tmp_path / "data" / "operator.sock"
    with pytest.raises(Exception, match="frozen"):
        settings.host = "other"


def test_the_least_file_has_the_defaults(tmp_path: Path) -> None:
    text = """
environment = "production"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "983544622"
name = "F"
hers = [1]
"""
    settings = read(tmp_path, text)
    assert settings.data == tmp_path / "data"
    assert settings.clients == tmp_path / "clients.toml"
    assert settings.processes == shipped("processes")
    assert settings.schemas == shipped("schemas")
    assert settings.limits.document == 35_000_000
    assert settings.limits.envelope == 52_000_000
    assert settings.back_off.most == timedelta(minutes=15)
    assert passphrase(settings) is None


def test_paths_stand_relative_to_the_file_and_those_of_variables_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("BROKER_KEYS", "some/keys")
    settings = read(tmp_path, GOOD.replace('data = "data"', 'data = "/var/lib/broker"'))
    assert settings.data == Path("/var/lib/broker")
    assert settings.addresses == tmp_path / "addresses"
    assert settings.keys == Path("/some/keys")


def test_the_environment_goes_before_the_file_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_EPJ__PORT", "9090")
    monkeypatch.setenv("BROKER_WORKERS__POLL", "PT3S")
    monkeypatch.setenv("BROKER_LOG", "error")
    monkeypatch.setenv("BROKER_ORGANISATION", '[{"number": "900000101", "name": "F", "hers": [7]}]')
    settings = read(tmp_path, GOOD)
    assert settings.epj.port == 9090
    assert (settings.workers.poll, settings.workers.per_lane) == (timedelta(seconds=3), 2)
    assert settings.log == "error"
    assert settings.hosted == {7: "900000101"}


def test_what_kubernetes_says_of_a_service_named_broker_is_not_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BROKER_SERVICE_HOST", "BROKER_SERVICE_PORT_HTTP", "BROKER_PORT", "BROKER_PORT_80_TCP_ADDR"):
        monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    read(tmp_path, GOOD)


ALERTS = """
[alerts]
mail_to = ["drift@fjordvik.example"]
mail_from = "digihelse@fjordvik.example"
smtp_host = "smtp.fjordvik.example"
smtp_user = "digihelse"
smtp_password = "mail.txt"
webhook = "https://chat.fjordvik.example/hooks/1"
webhook_secret = "hook.txt"
"""


def test_alerts_name_their_files_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("correct horse\n")
    (tmp_path / "hook.txt").write_text("whsec_" + b64encode(b"k" * 32).decode() + "\n")
    settings = read(tmp_path, GOOD + ALERTS)
    told = settings.alerts
    assert told.smtp_password == tmp_path / "mail.txt"
    assert config.secret(told.smtp_password, "alerts.smtp_password") == b"correct horse"
    assert config.alert_secrets(told) == (b"k" * 32,)
    assert (told.language, told.smtp_port, told.smtp_security) == ("nb", 25, "starttls")
    (tmp_path / "hook.txt").write_text("whsec_not base64\n")
    with pytest.raises(Misconfigured, match="one secret"):
        config.alert_secrets(told)


def test_nobody_is_told_where_no_channel_is_set(tmp_path: Path) -> None:
    told = read(tmp_path, GOOD).alerts
    assert (told.mail_to, told.webhook, config.alert_secrets(told)) == ((), None, ())


ALERT_MISTAKES = [
    ('mail_from = "digihelse@fjordvik.example"', "", "alerts", "together"),
    ('smtp_host = "smtp.fjordvik.example"', "", "alerts", "together"),
    ('["drift@fjordvik.example"]', '["SECRET"]', "alerts.mail_to[1]", "a mail address"),
    ('["drift@fjordvik.example"]', '["a@b.example\\nBcc: SECRET@c.example"]', "alerts.mail_to[1]", "a mail address"),
    ('smtp_user = "digihelse"', "", "alerts", "together"),
    ('smtp_user = "digihelse"', 'smtp_user = "SECRET"\nsmtp_security = "none"', "alerts", "starttls"),
    ('smtp_user = "digihelse"', 'smtp_user = "x"\nsmtp_security = "SECRET"', "alerts.smtp_security", "'tls'"),
    ('smtp_user = "digihelse"', 'smpt_user = "SECRET"', "alerts.smpt_user", "alerts.smtp_user"),
    ('"https://chat.fjordvik.example/hooks/1"', '"chat/SECRET"', "alerts.webhook", "http(s) address"),
    ('webhook = "https://chat.fjordvik.example/hooks/1"', "", "alerts", "webhook where"),
]


@pytest.mark.parametrize(("right", "wrong", "key", "form"), ALERT_MISTAKES)
def test_a_wrong_setting_of_alerts_is_one_sentence(tmp_path: Path, right: str, wrong: str, key: str, form: str) -> None:
    assert right in ALERTS
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, GOOD + ALERTS.replace(right, wrong, 1))
    told = f"{caught.value} {caught.value.hint}"
    assert caught.value.where == f"{tmp_path / 'broker.toml'}: {key}"
    assert form in told
    assert "SECRET" not in told


MISTAKES = [
    ('environment = "test"', "", "environment", 'write environment = "test"'),
    ('environment = "test"', 'environment = "SECRET"', "environment", "'test' or 'production'"),
    ('environment = "test"', 'enviroment = "test"', "enviroment", "environment"),
    ('"broker.fjordvik.example"', '"SECRET host"', "host", "host name"),
    ('data = "data"', "data = 7", "data", "path"),
    ('data = "data"', 'data = ""', "data", "path"),
    ('"PT1S"', '"1 s"', "reload", "ISO 8601"),
    ('"PT1S"', '"P1M"', "reload", "ISO 8601"),
    ('"PT1S"', "5", "reload", "ISO 8601"),
    ('"PT1S"', '"PT0S"', "reload", "longer than zero"),
    ('log = "debug"', 'log = "loud"', "log", "'warning'"),
    ("port = 8443", "port = 70000", "partner.port", "65535"),
    ("port = 8443", 'port = "SECRET"', "partner.port", "whole number"),
    ("port = 8443", "", "partner.port", "write port = 8443"),
    ("port = 8443", "prot = 8443\nport = 1", "partner.prot", "partner.port"),
    ('key = "tls.key"', "", "partner", "together"),
    ('certificate = "tls.crt"\nkey = "tls.key"', "", "partner", "TLS"),
    ('certificate = "tls.crt"\nkey = "tls.key"', 'plain = "maybe"', "partner.plain", "true or false"),
    ('number = "900000101"', "number = 900000101", "organisation[1].number", "nine digits"),
    ('number = "900000303"', 'number = "90000030"', "organisation[2].number", "nine digits"),
    ('number = "900000303"', 'number = "900000101"', "organisation", "once"),
    ("[8000301]", "[8000102]", "organisation", "once"),
    ("[8000301]", "[]", "organisation[2].hers", "not empty"),
    ("[8000301]", "8000301", "organisation[2].hers", "list"),
    ("[8000301]", '["8000301"]', "organisation[2].hers[1]", "whole number"),
    ("[8000301]", "[0]", "organisation[2].hers[1]", "at least 1"),
    ("concurrency = 10", "concurrency = 1", "workers", "per_lane"),
    ("concurrency = 10", "concurrency = 1.5", "workers.concurrency", "whole number"),
    ('most = "PT1M"', 'most = "PT0.5S"', "back_off", "most"),
    ("failures = 3", "failures = 0", "breaker.failures", "at least 1"),
    ("document = 1000000", "document = 3000000", "limits", "envelope"),
    ('environment = "test"', 'environment = "production"', "", "check digit"),
    ("[limits]", "[limit]", "limit", "limits"),
]


@pytest.mark.parametrize(("right", "wrong", "key", "form"), MISTAKES)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, right: str, wrong: str, key: str, form: str) -> None:
    assert right in GOOD
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, GOOD.replace(right, wrong, 1))
    told = f"{caught.value} {caught.value.hint}"
    assert caught.value.where == (f"{tmp_path / 'broker.toml'}: {key}" if key else str(tmp_path / "broker.toml"))
    assert form in told
    assert "\n" not in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("name", "value", "form"),
    [
        ("BROKER_EPJ__PORT", "SECRET", "whole number"),
        ("BROKER_EPJ__PROT", "SECRET", "epj.port"),
        ("BROKER_EPJ", "SECRET", "JSON"),
        ("BROKER_ORGANISATION", "SECRET", "JSON"),
        ("BROKER_WORKERS__POLL", "SECRET", "ISO 8601"),
        ("BROKER_ENVIROMENT", "SECRET", "BROKER_ENVIRONMENT"),
        ("BROKER_TOKEN", "SECRET", "no setting"),
    ],
)
def test_a_wrong_variable_is_named_as_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, form: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, GOOD)
    assert caught.value.where == name
    assert form in f"{caught.value} {caught.value.hint}"
    assert "SECRET" not in f"{caught.value} {caught.value.hint}"


def required(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}


def test_a_key_without_a_default_has_an_example_where_it_is_missed() -> None:
    assert set(config._EXAMPLES) == required(Settings) | required(config_tables.Listener) | required(
        config_tables.Organisation
    ) | required(config_tables.Webhook)


def test_plain_http_for_others_must_be_said(tmp_path: Path) -> None:
    text = GOOD.replace('certificate = "tls.crt"\nkey = "tls.key"', "plain = true")
    assert not read(tmp_path, text).partner.tls


@pytest.mark.parametrize(
    ("content", "words"), [(b"environment =", "line 1"), (b"\xff", "UTF-8"), (b"x = " + b"[" * 5000, "not TOML")]
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "broker.toml"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=words):
        load(path)
    with pytest.raises(Misconfigured, match="No such file"):
        load(tmp_path / "absent.toml")


@pytest.mark.parametrize(("door", "port"), [("epj", "\nport = 8080"), ("partner", "\nport = 8443")])
def test_client_certificates_are_asked_for_in_tls_alone(door: str, port: str, tmp_path: Path) -> None:
    good = GOOD.replace('\ncertificate = "tls.crt"\nkey = "tls.key"', "").replace("0.0.0.0", "127.0.0.1")
    files = '\ncertificate = "door.crt"\nkey = "door.key"\nclient_ca = "clients.pem"'
    settings = read(tmp_path, good.replace(port, port + files))
    assert getattr(settings, door).client_ca == tmp_path / "clients.pem"
    with pytest.raises(Misconfigured, match="client_ca together with certificate and key"):
        read(tmp_path, good.replace(port, f'{port}\nclient_ca = "clients.pem"'))


def test_the_passphrases_stand_in_a_file_that_others_can_not_read(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    with pytest.raises(Misconfigured, match="can't be read"):
        passphrase(settings)
    file = tmp_path / "secret.txt"
    file.write_bytes(b"correct horse\r\nbattery\n")
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="every user") as caught:
        passphrase(settings)
    assert "horse" not in f"{caught.value} {caught.value.hint}"
    file.chmod(0o640)
    assert passphrase(settings) == b"correct horse\nbattery"
    assert "horse" not in repr(settings)
    file.write_bytes(b"\n")
    with pytest.raises(Misconfigured, match="empty"):
        passphrase(settings)


def test_the_passphrase_may_come_from_the_service_manager_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = read(tmp_path, GOOD.replace('keys_passphrase = "secret.txt"\n', ""))
    assert passphrase(settings) is None
    monkeypatch.setenv("BROKER_KEYS_PASSPHRASE_TEXT", "from the environment")
    assert passphrase(read(tmp_path, GOOD.replace('keys_passphrase = "secret.txt"\n', ""))) == b"from the environment"
    credential = tmp_path / "keys.passphrase"
    credential.write_bytes(b"from the service manager")
    credential.chmod(0o400)
    assert passphrase(settings) == b"from the service manager"
    (tmp_path / "secret.txt").write_bytes(b"from the file")
    (tmp_path / "secret.txt").chmod(0o600)
    assert passphrase(read(tmp_path, GOOD)) == b"from the service manager"  # it is for this very process
    credential.unlink()
    assert passphrase(read(tmp_path, GOOD)) == b"from the file"


def test_the_stories_get_what_they_need(tmp_path: Path) -> None:
    made = site(read(tmp_path, GOOD), software="DigiHelse", version="1.2")
    assert made.hosts(8000301)
    assert not made.hosts(8000201)
    assert (made.environment, made.host, made.software, made.version) == (
        "test",
        "broker.fjordvik.example",
        "DigiHelse",
        "1.2",
    )
    assert (made.max_document, made.max_envelope) == (1_000_000, 2_000_000)
    assert (made.timeout, made.back_off.first) == (timedelta(seconds=10), timedelta(seconds=1))


# --- webhooks ---

WEBHOOK = '[[webhooks.to]]\nclient = "epj"\nurl = "https://epj.example/wake"\nsecret = "wake.secret"\n'


def test_a_webhook_has_its_secret_beside_the_settings(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD + '[webhooks]\nnetworks = ["10.20.0.0/16"]\n' + WEBHOOK)
    assert settings.webhooks.networks == ("10.20.0.0/16",)
    (hook,) = settings.webhooks.to
    assert (hook.client, hook.secret) == ("epj", tmp_path / "wake.secret")


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("https://epj", "ftp://epj", "webhooks.to[1].url", "must be"),
        ("https://epj", "https://user:word@epj", "webhooks.to[1].url", "must be"),
        ("https://epj", "http://epj", "webhooks", "127.0.0.0/8 in networks"),
        ('secret = "wake.secret"\n', "", "webhooks.to[1].secret", "is missing"),
        (
            "[[webhooks.to]]",
            '[webhooks]\nnetworks = ["10.20.0.1/16"]\n[[webhooks.to]]',
            "webhooks.networks[1]",
            "a network",
        ),
        ("[[webhooks.to]]", f"{WEBHOOK}[[webhooks.to]]", "webhooks", "each client once"),
    ],
)
def test_a_webhook_that_cannot_be_is_named(old: str, new: str, key: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as told:
        read(tmp_path, GOOD + WEBHOOK.replace(old, new, 1))
    assert told.value.where.endswith(key)
    assert says in f"{told.value} {told.value.hint}"
    assert "word" not in str(told.value)
