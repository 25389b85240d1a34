"""The settings of one broker: a TOML file, overridden by the environment, checked once and then fixed.

Every key has one right form. A wrong setting raises Misconfigured: one sentence that names the key, as the file or the
variable spells it, and the right form. Values are never repeated: one of them may be a secret put in the wrong place.

A variable is BROKER_ and the key in capitals; two underscores stand for the dot of a table: BROKER_EPJ__PORT=8080.
Paths in the file are relative to the file, those in the environment to the working folder. Durations are ISO 8601.
"""

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from broker.config_tables import (
    Alerts,
    Breaker,
    Duration,
    FilePath,
    Limits,
    Listener,
    Organisation,
    Pace,
    Retention,
    Timeouts,
    Tls,
    TrustByPath,
    Webhooks,
    Workers,
    wrong,
)
from broker.errors import Misconfigured
from broker.lookup.files import others_may_read
from broker.lookup.shipped import shipped
from broker.lookup.site_key import SITE_KEY
from broker.lookup.webhook_secrets import read_secrets
from broker.ports import Keeping, Site
from broker.retention import Policy
from broker.retry import BackOff
from broker.routing.tables import read_toml

PREFIX = "BROKER_"
PASSPHRASE_TEXT = PREFIX + "KEYS_PASSPHRASE_TEXT"
_NOT_OURS = re.compile(r"BROKER_(?:CONFIG|KEYS_PASSPHRASE_TEXT|SERVICE_(?:HOST|PORT).*|PORT(?:_.*)?)")
_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)  # of an organisation number, modulo 11


class Settings(BaseSettings):
    """All settings. `load` makes them."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, env_prefix=PREFIX, env_nested_delimiter="__"
    )

    environment: Literal["test", "production"]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")] = "digihelse-broker.local"
    organisation: Annotated[tuple[Organisation, ...], Field(min_length=1)]
    data: FilePath = Path("data")
    addresses: FilePath = Path("addresses")
    agreements: FilePath = Path("agreements")  # imported CPAs; need not be there
    processes: FilePath = Field(default_factory=lambda: shipped("processes"))
    schemas: FilePath = Field(default_factory=lambda: shipped("schemas"))
    keys: FilePath = Path("keys")
    keys_passphrase: FilePath | None = None  # a file; see `passphrase`
    site_key: FilePath | None = None  # a file; else site.key in the data folder
    clients: FilePath = Path("clients.toml")
    partner: Listener
    epj: Listener
    tls: Tls = Tls()
    workers: Workers = Workers()
    back_off: Pace = Pace()
    breaker: Breaker = Breaker()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    alerts: Alerts = Alerts()
    retention: Retention = Retention()
    webhooks: Webhooks = Webhooks()
    trust: TrustByPath = TrustByPath()
    reload: Duration = timedelta(seconds=5)  # how often records, processes, keys and clients are looked at
    log: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("organisation")
    @classmethod
    def _each_once(cls, organisations: tuple[Organisation, ...]) -> tuple[Organisation, ...]:
        numbers = [organisation.number for organisation in organisations]
        hers = [her for organisation in organisations for her in organisation.hers]
        if len(set(numbers)) < len(numbers) or len(set(hers)) < len(hers):
            raise wrong("each number and each HER-id once")
        return organisations

    @model_validator(mode="after")
    def _numbers_are_real(self) -> "Settings":
        # Test organisations of the sector do not keep to the check digit, so only production asks for it.
        if self.environment == "production" and not all(_checks(each.number) for each in self.organisation):
            raise wrong("organisation.number with a valid check digit in production")
        return self

    @property
    def hosted(self) -> Mapping[int, str]:
        """Return the organisation number of each HER-id of ours."""
        return {her: organisation.number for organisation in self.organisation for her in organisation.hers}

    @property
    def site_key_file(self) -> Path:
        """Return where the site's key stands: credential, else setting, else beside the data."""
        return credential("site.key") or self.site_key or self.data / SITE_KEY

    @property
    def socket(self) -> Path:
        """Return where the running broker answers its operators."""
        return self.data / "operator.sock"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file; there is no third source."""
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Return the settings of a file, overridden by the environment. Raises Misconfigured."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        hint = "name the file: --config broker.toml"
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(path), hint=hint) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"not UTF-8 at byte {error.start}", where=str(path)) from None
    values = read_toml(text, source=str(path)).values()
    _require_known_variables()
    try:
        return Settings(**_beside(path, values))
    except ValidationError as error:
        raise _named(path, error) from None
    except SettingsError as error:
        # A variable for a whole table or list that is not JSON. The library's sentence names its field in quotes.
        field = re.search(r'field "(\w+)"', str(error))
        where = f"{PREFIX}{field[1].upper()}" if field else "environment"
        raise Misconfigured("write JSON here, or set the key in the file", where=where) from None


def site(settings: Settings, *, software: str, version: str) -> Site:
    """Return what the stories know of this broker."""
    return Site(
        environment=settings.environment,
        hosted=settings.hosted,
        host=settings.host,
        software=software,
        version=version,
        back_off=BackOff(first=settings.back_off.first, most=settings.back_off.most),
        timeout=settings.timeouts.post,
        max_document=settings.limits.document,
        max_envelope=settings.limits.envelope,
    )


def retention_policy(settings: Settings) -> Policy:
    """Return how long each kind of body is kept."""
    times = settings.retention
    return Policy(
        times={
            Keeping.SENT: times.sent,
            Keeping.RECEIVED: times.received,
            Keeping.RECEIPTS: times.receipts,
            Keeping.ENVELOPES: times.envelopes,
            Keeping.EVIDENCE: times.evidence,
        }
    )


def credential(name: str) -> Path | None:
    """Return the file of a credential that the service manager gave to this process (LoadCredential=), or None.

    It goes before the setting: what the manager hands over is for this very process, where the setting serves the
    command line too.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, name) if folder else None
    return path if path is not None and path.exists() else None


def passphrase(settings: Settings) -> bytes | None:
    """Return what opens our keys: one passphrase, or several with a line each. None where there is none.

    It comes from the first of: the credential keys.passphrase of the service manager, the file of keys_passphrase, the
    variable BROKER_KEYS_PASSPHRASE_TEXT. Raises Misconfigured.
    """
    given_to_us, where = credential("keys.passphrase"), "keys_passphrase"
    path = given_to_us or settings.keys_passphrase
    try:
        if path is not None:
            if given_to_us is None and others_may_read(path):
                raise Misconfigured(
                    "every user of the machine may read its file", where=where, hint=f"chmod 600 {path}"
                )
            given = path.read_bytes()
        elif (text := os.environ.get(PASSPHRASE_TEXT)) is not None:
            given, where = text.encode("utf-8", "surrogateescape"), PASSPHRASE_TEXT
        else:
            return None
    except OSError as error:
        raise Misconfigured(f"the file can't be read ({error.strerror})", where=where) from None
    lines = [line for line in given.splitlines() if line]
    if not lines or not given.splitlines()[0]:
        raise Misconfigured("the first line is empty", where=where, hint="write one passphrase a line, the first first")
    return b"\n".join(lines)


def secret(path: Path | None, key: str) -> bytes | None:
    """Return the first line of the file that the setting `key` names, or None. Raises Misconfigured."""
    if path is None:
        return None
    try:
        first = path.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise Misconfigured(f"the file can't be read ({error.strerror})", where=key) from None
    if not first:
        raise Misconfigured("the first line of the file is empty", where=key)
    return first


def alert_secrets(alerts: Alerts) -> tuple[bytes, ...]:
    """Return the keys that alerts are signed with: none, one, or two while they change. Raises Misconfigured."""
    if alerts.webhook_secret is None:
        return ()
    return read_secrets(alerts.webhook_secret, where="alerts.webhook_secret")


_TLS_PATHS = ("certificate", "key", "client_ca", "ca")
_PATHS = ("data", "addresses", "agreements", "processes", "schemas", "keys", "keys_passphrase", "site_key", "clients")


def _beside(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with every path made relative to the file that they stand in; defaults stand there too."""
    folder = Path(os.path.abspath(path)).parent

    def at(value: object) -> object:
        return str(folder / Path(value).expanduser()) if isinstance(value, str) and value else value

    placed = {key: at(value) if key in _PATHS else value for key, value in values.items()}
    for key in ("data", "addresses", "agreements", "keys", "clients"):
        placed.setdefault(key, at(str(Settings.model_fields[key].default)))
    for door in ("partner", "epj", "tls"):
        if isinstance(table := values.get(door), dict):
            placed[door] = {key: at(value) if key in _TLS_PATHS else value for key, value in table.items()}
    if isinstance(table := values.get("alerts"), dict):
        files = ("smtp_password", "webhook_secret")
        placed["alerts"] = {key: at(value) if key in files else value for key, value in table.items()}
    if isinstance(table := values.get("trust"), dict):
        placed["trust"] = table | {
            key: [at(one) for one in table[key]]
            for key in ("roots", "intermediates")
            if isinstance(table.get(key), list)
        }
    if isinstance(hooks := values.get("webhooks"), dict) and isinstance(hooks.get("to"), list):
        placed["webhooks"] = hooks | {"to": [_secret_beside(each, at) for each in hooks["to"]]}
    return placed


def _secret_beside(webhook: object, at: Callable[[object], object]) -> object:
    if not isinstance(webhook, dict) or "secret" not in webhook:
        return webhook
    return webhook | {"secret": at(webhook["secret"])}


def _require_known_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        top = name.upper().split("__", 1)[0]
        if name.upper().startswith(PREFIX) and top not in known and not _NOT_OURS.fullmatch(name.upper()):
            raise Misconfigured("no setting has this name", where=name, hint=_nearest(top, known))


def _named(path: Path, error: ValidationError) -> Misconfigured:
    """Return the first fault as one sentence. The library's own would repeat the value."""
    # A misspelt key is also a missing one: the misspelling is what helps.
    faults = error.errors(include_input=False, include_url=False)
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    steps = fault["loc"]
    key = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    variable = PREFIX + "__".join(str(step).upper() for step in steps)
    # A variable may set the whole, or a part of it.
    from_environment = (
        any(name.upper() in (variable, PREFIX + str(steps[0]).upper()) for name in os.environ) if steps else False
    )
    where = variable if from_environment else f"{path}: {key}" if key else str(path)
    form = _FORMS.get(fault["type"], lambda context: str(context.get("form", "another value")))(fault.get("ctx", {}))
    if fault["type"] == "missing":
        return Misconfigured("is missing", where=where, hint=f"write {_EXAMPLES.get(str(steps[-1]), 'it')}")
    if fault["type"] == "extra_forbidden":
        return Misconfigured("no setting has this name", where=where, hint=_nearest(key, _known_keys(steps)))
    return Misconfigured(f"must be {form}", where=where)


# Of every key that has no default.
_EXAMPLES: Mapping[str, str] = {
    "environment": 'environment = "test" or "production"',
    "organisation": 'an [[organisation]] with number = "900000101", name = "..." and hers = [8000101]',
    "partner": "[partner] with host and port: where partners reach us",
    "epj": "[epj] with host and port: where our EPJ systems reach us",
    "port": "port = 8443",
    "number": 'number = "900000101"',
    "name": 'name = "..."',
    "hers": "hers = [8000101]",
    "client": 'client = "...": the name of a client in the file of clients',
    "url": 'url = "https://epj.example/wake"',
    "secret": 'secret = "webhook.secret": the file that holds it',
}

_HOST = 'a host name, such as "broker.fjordvik.example"'
_FORMS: Mapping[str, Any] = {
    "form": lambda context: str(context["form"]),
    "literal_error": lambda context: f"one of {context['expected']}",
    "int_type": lambda context: "a whole number, without quotes",
    "int_parsing": lambda context: "a whole number",
    "int_from_float": lambda context: "a whole number",
    "greater_than_equal": lambda context: f"a number of at least {context['ge']}",
    "less_than_equal": lambda context: f"a number of at most {context['le']}",
    "bool_type": lambda context: "true or false, without quotes",
    "bool_parsing": lambda context: "true or false",
    "string_type": lambda context: 'text in quotes, such as "..."',
    "string_too_short": lambda context: "text that is not empty",
    "string_too_long": lambda context: f"text of at most {context['max_length']} characters",
    "string_pattern_mismatch": lambda context: (
        "an http(s) address" if context.get("pattern", "").startswith("^https?") else _HOST
    ),
    "path_type": lambda context: "a path in quotes",
    "tuple_type": lambda context: "a list, such as [8000102]",
    "too_short": lambda context: "a list that is not empty",
    "model_type": lambda context: "a table: [name]",
    "model_attributes_type": lambda context: "a table: [name]",
}


def _known_keys(steps: tuple[int | str, ...]) -> set[str]:
    fields = Settings.model_fields
    tables: Mapping[str, type[BaseModel]] = {
        "partner": Listener,
        "epj": Listener,
        "tls": Tls,
        "organisation": Organisation,
        "workers": Workers,
        "back_off": Pace,
        "breaker": Breaker,
        "timeouts": Timeouts,
        "limits": Limits,
        "alerts": Alerts,
        "trust": TrustByPath,
    }
    head = str(steps[0])
    if len(steps) == 1 or head not in tables:
        return set(fields)
    return {f"{head}.{name}" for name in tables[head].model_fields}


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(re.sub(r"\[\d+\]", "", name), sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(known))}"


def _checks(number: str) -> bool:
    rest = -sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:8], strict=True)) % 11
    return rest == int(number[8])
