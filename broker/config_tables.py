"""The tables of the settings, and the right form of each value in them. `config` puts them together."""

import os
import re
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from broker.routing.tables import MAX_INT32, duration

MB = 1_000_000

_DURATION = 'an ISO 8601 duration longer than zero, such as "PT30S"'
_ORGANISATION = 'an organisation number: nine digits in quotes, such as "900000101"'
# What Kubernetes puts into the environment for a service named "broker", and the file itself.


def wrong(form: str) -> PydanticCustomError:
    return PydanticCustomError("form", "{form}", {"form": form})


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = duration(value) if isinstance(value, str) else None
    if not found:
        raise wrong(_DURATION)
    return found


def _organisation_number(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"\d{9}", value):
        raise wrong(_ORGANISATION)
    return value


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise wrong("a path in quotes")
    return Path(os.path.abspath(Path(value).expanduser()))


def _mail_address(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,253}", value):
        raise wrong('a mail address, such as "drift@fjordvik.example"')
    return value


MailAddress = Annotated[str, BeforeValidator(_mail_address)]


def _network(value: object) -> str:
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise wrong('a network, such as "10.20.0.0/16"') from None


Duration = Annotated[timedelta, BeforeValidator(_duration)]
OrganisationNumber = Annotated[str, BeforeValidator(_organisation_number)]
HerId = Annotated[int, Field(ge=1, le=MAX_INT32, strict=True)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Listener(Part):
    """Where one of the two doors listens. Port 0 takes any free one.

    With `client_ca` partners must show a certificate; EPJ systems may, instead of a token.
    """

    host: str = "127.0.0.1"
    port: Port
    certificate: FilePath | None = None  # TLS: PEM, with the chain
    key: FilePath | None = None
    client_ca: FilePath | None = None  # PEM: who issues the clients' certificates, or these themselves
    plain: bool = False  # TLS ends in front of the broker; on loopback it need not be said

    @property
    def tls(self) -> bool:
        """Say whether this door speaks TLS."""
        return self.certificate is not None

    @property
    def loopback(self) -> bool:
        """Say whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _is_safe(self) -> "Listener":
        if (self.certificate is None) != (self.key is None):
            raise wrong("certificate and key together, or neither of them")
        if self.client_ca is not None and not self.tls:
            raise wrong("client_ca together with certificate and key: client certificates are shown in TLS")
        if not (self.tls or self.plain or self.loopback):
            raise wrong(
                "certificate and key (TLS) for an address that others can reach; plain = true where TLS ends before it"
            )
        return self


class Tls(Part):
    """Our TLS towards partners: what we show to a server that asks, and whom we believe beside the system's roots."""

    certificate: FilePath | None = None  # PEM, with the chain
    key: FilePath | None = None
    ca: FilePath | None = None  # PEM: more roots, or servers' own certificates

    @model_validator(mode="after")
    def _is_whole(self) -> "Tls":
        if (self.certificate is None) != (self.key is None):
            raise wrong("certificate and key together, or neither of them")
        return self


class Organisation(Part):
    """An organisation hosted here, with its HER-ids; all other HER-ids are partners."""

    number: OrganisationNumber
    name: Annotated[str, Field(min_length=1, max_length=200)]
    hers: Annotated[tuple[HerId, ...], Field(min_length=1)]


class Workers(Part):
    """How much is done at once, and how often we look for what is due."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    per_lane: Annotated[int, Field(ge=1, le=1000)] = 4  # deliveries to one counterpart at once
    cpu_threads: Annotated[int, Field(ge=1, le=64)] = 2
    poll: Duration = timedelta(seconds=5)  # at the latest; what is due sooner wakes us

    @model_validator(mode="after")
    def _fits(self) -> "Workers":
        if self.per_lane > self.concurrency:
            raise wrong("per_lane no greater than concurrency")
        return self


class Pace(Part):
    """How soon, and at the longest how late, what could not be done is tried again."""

    first: Duration = timedelta(seconds=30)
    most: Duration = timedelta(minutes=15)

    @model_validator(mode="after")
    def _rises(self) -> "Pace":
        if self.first > self.most:
            raise wrong("first no longer than most")
        return self


class Breaker(Part):
    """When the lanes to an endpoint are closed: failures in a row, and for how long."""

    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    open_for: Duration = timedelta(minutes=1)


class Timeouts(Part):
    """How long we wait: for a partner's answer to one POST, for a request's body, for work to end at a stop."""

    post: Duration = timedelta(seconds=60)
    read: Duration = timedelta(seconds=60)
    stop: Duration = timedelta(seconds=25)


class Limits(Part):
    """How much we take. Bytes."""

    document: Annotated[int, Field(ge=1000)] = 35 * MB  # design, decision 17
    envelope: Annotated[int, Field(ge=1000)] = 52 * MB
    in_flight: Annotated[int, Field(ge=1000)] = 256 * MB  # of all requests together
    reserve: Annotated[int, Field(ge=0)] = 64 * MB  # free disk space that only what is in custody may use

    @model_validator(mode="after")
    def _fit(self) -> "Limits":
        if not self.document <= self.envelope <= self.in_flight:
            raise wrong("document no greater than envelope, and envelope no greater than in_flight")
        return self


class Alerts(Part):
    """Who is told of problems without having to look: by mail, by webhook, by both, or nobody."""

    language: Literal["nb", "en"] = "nb"
    after: Duration = timedelta(minutes=15)  # how long a problem lasts before it is told; at once if a person is needed
    quiet: Duration = timedelta(minutes=5)  # how long it must be gone before it counts as over
    mail_to: tuple[MailAddress, ...] = ()
    mail_from: MailAddress | None = None
    smtp_host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: FilePath | None = None  # a file
    webhook: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None
    webhook_secret: FilePath | None = None  # a file: whsec_ and base64, as Standard Webhooks writes it

    @model_validator(mode="after")
    def _is_whole(self) -> "Alerts":
        if bool(self.mail_to) != (self.mail_from is not None) or bool(self.mail_to) != (self.smtp_host is not None):
            raise wrong("mail_to, mail_from and smtp_host together, or none of them")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise wrong("smtp_user and smtp_password together, or neither of them")
        if self.smtp_user is not None and self.smtp_security == "none":
            raise wrong('smtp_security = "starttls" or "tls" where there is a password')
        if self.webhook_secret is not None and self.webhook is None:
            raise wrong("webhook where there is a webhook_secret")
        return self


class Retention(Part):
    """How long bodies are kept after the duty has ended, and how often we look. Without them the history stays."""

    sent: Duration = timedelta(days=30)  # documents of ours
    received: Duration = timedelta(days=30)  # documents that came in
    receipts: Duration = timedelta(days=180)  # AppRecs: a partner may ask for one again
    envelopes: Duration = timedelta(days=10)  # sealed bytes
    evidence: Duration = timedelta(days=365)  # the signed SOAP part of what came in
    every: Duration = timedelta(hours=1)


class TrustByPath(Part):
    """What certificates of parties that are trusted by path must lead to, and how their revocation is asked for."""

    roots: tuple[FilePath, ...] = ()  # files in PEM form, or folders of such
    intermediates: tuple[FilePath, ...] = ()
    revocation_hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")], ...] = ()
    networks: tuple[Annotated[str, BeforeValidator(_network)], ...] = ()  # that are not public, and may be asked
    timeout: Duration = timedelta(seconds=5)
    longest: Duration = timedelta(hours=24)  # that an answer is relied on, whatever its nextUpdate says


class Webhook(Part):
    """Where one client wants to be woken."""

    client: Annotated[str, Field(min_length=1)]  # its name in the file of clients
    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")]
    secret: FilePath  # a file: whsec_ and base64


class Webhooks(Part):
    """Who is woken by a POST, and which addresses that are not public it may go to."""

    networks: tuple[Annotated[str, BeforeValidator(_network)], ...] = ()
    to: tuple[Webhook, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> "Webhooks":
        if len({each.client for each in self.to}) < len(self.to):
            raise wrong("each client once")
        if any(each.url.startswith("http:") for each in self.to) and not any(
            ip_network(each).is_loopback for each in self.networks
        ):
            raise wrong("https addresses; http goes to this machine only, with 127.0.0.0/8 in networks")
        return self
