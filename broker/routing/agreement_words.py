"""What is agreed, in words: the terms of an agreement as a person reads them, and in which of them two differ. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.x509 import Certificate

from broker.message import Text
from broker.routing.cpa_terms import Agreed
from broker.routing.party import Agreement
from broker.sealing.certificates import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One thing that is agreed."""

    key: str  # for programs
    name: Text
    value: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing in which two agreements differ; None where one of them says nothing of it."""

    key: str
    name: Text
    old: Text | None
    new: Text | None


TERMS: Final = (
    "cpa_id", "signed", "encrypted", "cipher", "key_transport", "ack_requested", "ack_signed", "sync", "retries",
    "retry_interval", "persist_duration",
)  # fmt: skip
_NAMES: Final = {
    "cpa_id": Text(nb="CPAId", en="CPAId"),
    "signed": Text(nb="signatur", en="signature"),
    "encrypted": Text(nb="innhold", en="payload"),
    "cipher": Text(nb="innholdskryptering", en="content encryption"),
    "key_transport": Text(nb="nøkkelkryptering", en="key encryption"),
    "ack_requested": Text(nb="transportkvittering", en="acknowledgment"),
    "ack_signed": Text(nb="signatur på kvitteringen", en="signature of the acknowledgment"),
    "sync": Text(nb="hvor kvitteringen kommer", en="where the acknowledgment comes"),
    "retries": Text(nb="forsøk igjen (Retries)", en="sent again (Retries)"),
    "retry_interval": Text(nb="mellom forsøkene (RetryInterval)", en="between two copies (RetryInterval)"),
    "persist_duration": Text(nb="lengst (PersistDuration)", en="at the longest (PersistDuration)"),
}
_FLAGS: Final = {
    ("signed", True): Text(nb="alle meldinger er signert", en="every message is signed"),
    ("signed", False): Text(nb="ingen meldinger er signert", en="no message is signed"),
    ("encrypted", True): Text(nb="kryptert (CMS)", en="encrypted (CMS)"),
    ("encrypted", False): Text(nb="ukryptert", en="plaintext"),
    ("ack_requested", True): Text(nb="bes om for hver melding", en="asked for with every message"),
    ("ack_requested", False): Text(nb="bes ikke om", en="not asked for"),
    ("ack_signed", True): Text(nb="signert", en="signed"),
    ("ack_signed", False): Text(nb="usignert", en="unsigned"),
    ("sync", True): Text(nb="i HTTP-svaret", en="in the HTTP answer"),
    ("sync", False): Text(nb="som egen POST", en="as a POST of its own"),
}
_UNITS: Final = (
    (timedelta(days=1), ("døgn", "døgn"), ("day", "days")),
    (timedelta(hours=1), ("time", "timer"), ("hour", "hours")),
    (timedelta(minutes=1), ("minutt", "minutter"), ("minute", "minutes")),
    (timedelta(seconds=1), ("sekund", "sekunder"), ("second", "seconds")),
)


def name_of(key: str) -> Text:
    """Return what a term is called."""
    return _NAMES[key]


def value_of(key: str, value: Any) -> Text:
    """Return the value of a term in words."""
    if isinstance(value, bool):
        return _FLAGS[key, value]
    return span(value) if isinstance(value, timedelta) else Text(nb=str(value), en=str(value))


def span(time: timedelta) -> Text:
    """Return a length of time in words: "1 day 12 hours"."""
    nb, en, rest = list[str](), list[str](), time
    for unit, norwegian, english in _UNITS:
        count, rest = divmod(rest, unit)
        if count:
            nb.append(f"{count} {norwegian[count != 1]}")
            en.append(f"{count} {english[count != 1]}")
    return Text(nb=" ".join(nb) or "under ett sekund", en=" ".join(en) or "less than a second")


def retries(agreement: Agreement) -> Text:
    """Return in one sentence how long an envelope is sent again."""
    longest = span(agreement.persist_duration)
    if not agreement.ack_requested or not agreement.retries:
        return Text(nb=f"sendes én gang, innen {longest.nb}", en=f"sent once, within {longest.en}")
    between, count = span(agreement.retry_interval), agreement.retries + 1
    return Text(
        nb=f"sendes inntil {count} ganger med {between.nb} imellom, aldri senere enn {longest.nb} etter forseglingen",
        en=f"sent up to {count} times, {between.en} apart, and never later than {longest.en} after sealing",
    )


def terms(of: Agreed) -> tuple[Term, ...]:
    """Return all that is agreed, in the order in which it is read."""
    agreement = of.agreement
    found = [Term(key=key, name=name_of(key), value=value_of(key, getattr(agreement, key))) for key in TERMS]
    for key, nb, en, at in (
        ("starts", "gjelder fra (Start)", "from (Start)", agreement.starts),
        ("ends", "gjelder til (End)", "until (End)", agreement.ends),
    ):
        if at is not None:
            found.append(Term(key=key, name=Text(nb=nb, en=en), value=_same(_day(at))))
    for key, nb, en, value in (
        ("endpoint", "motpartens adresse", "the partner's address", of.endpoint),
        ("our_endpoint", "vår adresse", "our address", of.our_endpoint),
    ):
        if value:
            found.append(Term(key=key, name=Text(nb=nb, en=en), value=_same(value)))
    for key, nb, en, held in (
        ("signing", "motparten signerer med", "the partner signs with", of.signing),
        ("encryption", "vi krypterer til", "we encrypt to", of.encryption),
        ("our_signing", "vi signerer med", "we sign with", of.our_signing),
        ("our_encryption", "motparten krypterer til", "the partner encrypts to", of.our_encryption),
    ):
        found += [
            Term(key=f"{key}:{fingerprint(one)}", name=Text(nb=nb, en=en), value=_certificate(one)) for one in held
        ]
    return (*found, *_messages(of))


def differences(old: Agreed, new: Agreed) -> tuple[Difference, ...]:
    """Return in what two agreements differ."""
    was, is_ = ({one.key: one for one in terms(each)} for each in (old, new))
    found = list[Difference]()
    for key in dict.fromkeys((*was, *is_)):
        before, after = was.get(key), is_.get(key)
        named = before or after
        assert named is not None
        if before is None or after is None or before.value != after.value:
            found.append(
                Difference(
                    key=key, name=named.name, old=before.value if before else None, new=after.value if after else None
                )
            )
    return tuple(found)


def _messages(of: Agreed) -> Iterator[Term]:
    for one in of.exchanged:
        way = Text(nb="vi sender", en="we send") if one.out else Text(nb="vi tar imot", en="we take")
        roles = f"{one.our_role} -> {one.their_role}" if one.out else f"{one.their_role} -> {one.our_role}"
        yield Term(
            key=f"{'out' if one.out else 'in'}:{one.process}:{one.function}",
            name=way,
            value=_same(f"{one.process}/{one.function}: Service {one.service}, Action {one.sent.name}, {roles}"),
        )


def _certificate(of: Certificate) -> Text:
    day = _day(of.not_valid_after_utc)
    return Text(nb=f"SHA-256 {fingerprint(of)}, til {day}", en=f"SHA-256 {fingerprint(of)}, until {day}")


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _same(text: str) -> Text:
    return Text(nb=text, en=text)
