"""Makes keys and clients for what the settings say is hosted here."""

from collections.abc import Collection
from datetime import date
from pathlib import Path

from broker.config import Settings, passphrase
from broker.config_tables import Organisation
from broker.errors import Misconfigured
from broker.lookup.clients_file import add_certificate_client, add_client
from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys
from broker.lookup.site_key import site_key
from broker.sealing.certificates import load_certificates


def make_keys(
    settings: Settings, *, organisation: str | None, bits: int, days: int, starts: date | None
) -> list[dict[str, str]]:
    """Make keys for one organisation of the settings, or for all, and say where they stand. Raises Misconfigured."""
    chosen = [each for each in settings.organisation if organisation in (None, each.number)]
    if not chosen:
        hint = "one of " + ", ".join(each.number for each in settings.organisation)
        raise Misconfigured("the settings have no such organisation", where="--organisation", hint=hint)
    site_key(settings.data, settings.site_key_file)
    return [
        {"site key": str(settings.site_key_file)},
        *(_keys(settings, each, bits, days, starts) for each in chosen),
    ]


def make_client(settings: Settings, *, name: str, hers: Collection[int]) -> str:
    """Add a client that speaks for HER-ids hosted here and return its token. Raises Misconfigured."""
    _require_hosted(settings, hers)
    return add_client(settings.clients, name=name, hers=set(hers))


def make_certificate_client(settings: Settings, *, name: str, hers: Collection[int], certificate: Path) -> str:
    """Add a client that shows a certificate (PEM) and return its SHA-256. Raises Misconfigured."""
    _require_hosted(settings, hers)
    try:
        (found, *_) = load_certificates(certificate.read_bytes())
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where="--certificate") from None
    except ValueError as error:
        raise Misconfigured(str(error), where="--certificate") from None
    return add_certificate_client(settings.clients, name=name, hers=set(hers), certificate=found)


def _require_hosted(settings: Settings, hers: Collection[int]) -> None:
    foreign = sorted(set(hers) - settings.hosted.keys())
    if foreign:
        hint = "hosted are " + ", ".join(str(her) for her in sorted(settings.hosted))
        raise Misconfigured(f"HER-id {foreign[0]} is not hosted here", where="--her", hint=hint)


def _keys(settings: Settings, organisation: Organisation, bits: int, days: int, starts: date | None) -> dict[str, str]:
    given = passphrase(settings)
    try:
        made = new_keys(
            settings.keys,
            organisation=organisation.number,
            name=organisation.name,
            now=SystemClock().now(),
            bits=bits,
            days=days,
            passphrase=given.splitlines()[0] if given else None,
            starts=starts,
        )
    except OSError as error:
        raise Misconfigured(f"can't be written ({error.strerror})", where=str(settings.keys)) from None
    return {
        "organisation": organisation.number,
        "signing key": str(made.signing_key),
        "signing certificate": str(made.signing_certificate),
        "encryption key": str(made.encryption_key),
        "encryption certificate": str(made.encryption_certificate),
    }
