"""Our own keys in files, a folder an organisation number. It decides which generation signs, and which ones open.

    keys/900000101/signing.pem      private key (PKCS#8)      keys/900000101/signing.crt      its certificate
    keys/900000101/encryption.pem                             keys/900000101/encryption.crt
    keys/900000101/encryption-2.pem                           keys/900000101/encryption-2.crt     another generation

The newest usable certificate signs. Every encryption key opens, however old: what was sealed for it may still come.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker import telemetry
from broker.errors import Misconfigured, OwnKeyUnusable
from broker.lookup.files import others_may_read
from broker.lookup.folder import keep_looking
from broker.sealing.certificates import Reason, Use, load_certificates, usable
from broker.sealing.keys import KeyPair

KEY_EXPIRED = "MB-4101"
KEY_NOT_YET_VALID = "MB-4102"
KEY_OF_WRONG_USE = "MB-4103"
NO_KEY = "MB-4104"

# What mends itself comes first, as with a partner's certificates.
_REASONS = {
    Reason.NOT_YET_VALID: (KEY_NOT_YET_VALID, "is not valid yet"),
    Reason.EXPIRED: (KEY_EXPIRED, "has expired"),
    Reason.WRONG_USAGE: (KEY_OF_WRONG_USE, "is not for signing"),
    Reason.WEAK_KEY: (KEY_OF_WRONG_USE, "has too short a key"),
    Reason.NOT_RSA: (KEY_OF_WRONG_USE, "has no RSA key"),
}

SIGNING, ENCRYPTION = "signing", "encryption"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What tells whether a key file or its certificate has changed; their bytes are read only then."""

    path: Path
    marks: tuple[int, ...]


class KeyFiles:
    """The port Keys over a folder of files. Keys are loaded when they change, never a message."""

    def __init__(self, folder: Path, hosted: Mapping[int, str], *, passphrase: bytes | None = None) -> None:
        """Load the keys. Never raises: without them messages are taken, and parked.

        `hosted` gives the organisation number of each HER-id of ours; `passphrase` opens the keys, if they have one.
        """
        self._folder, self._hosted, self._passphrase = folder, dict(hosted), passphrase
        self._seen: tuple[_File, ...] = ()
        self._pairs: dict[Path, KeyPair] = {}  # by the file of the private key
        self._by_use: dict[tuple[str, str], tuple[KeyPair, ...]] = {}  # by organisation number and use
        self.problems: tuple[Misconfigured, ...] = ()
        self.look()

    def signing(self, her_id: int, at: datetime) -> KeyPair:
        """Return the key that `her_id` signs with. Raises OwnKeyUnusable (MB-4101 to MB-4104) with the reason."""
        pairs = self._of(her_id, SIGNING)
        verdicts = [(pair, usable(pair.certificate, Use.SIGN, at)) for pair in pairs]
        for pair, verdict in verdicts:
            if verdict.ok:
                return pair
        organisation = self._hosted.get(her_id, "?")
        if not verdicts:
            where = self._folder / organisation
            why = f"organisation {organisation} has no signing key that can be read"
            raise OwnKeyUnusable(why, error_id=NO_KEY, hint=f"put signing.pem and signing.crt in {where}")
        reasons = {verdict.reason for _, verdict in verdicts}
        error_id, words = next(words for reason, words in _REASONS.items() if reason in reasons)
        raise OwnKeyUnusable(
            f"the signing certificate of organisation {organisation} {words}",
            error_id=error_id,
            hint="put a new generation beside it: signing-2.pem and signing-2.crt",
        )

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        """Return every key that may open what was sealed for `her_id`, newest first."""
        return self._of(her_id, ENCRYPTION)

    def look(self) -> bool:
        """Load what has changed and say whether anything has. Never raises; what is wrong stands in `problems`."""
        seen = tuple(self._files())
        if seen == self._seen:
            return False
        pairs: dict[Path, KeyPair] = {}
        problems: list[Misconfigured] = []
        for path in (file.path for file in seen if file.path.suffix == ".pem"):
            try:
                pairs[path] = _load(path, self._passphrase)
            except Misconfigured as fault:
                problems.append(fault)
                if path in self._pairs:
                    pairs[path] = self._pairs[path]  # the last good one stays
        self._seen, self._pairs, self.problems = seen, pairs, tuple(problems)
        self._by_use = {
            (organisation, use): self._newest_first(organisation, use)
            for organisation in set(self._hosted.values())
            for use in (SIGNING, ENCRYPTION)
        }
        telemetry.records_reloaded("keys", count=len(pairs))
        for problem in problems:
            telemetry.record_bad(problem.where, why=problem.why)
        return True

    async def watch(self, interval: timedelta, changed: Callable[[], None] = lambda: None) -> None:
        """Look every `interval` until cancelled, and call `changed` after each change."""
        await keep_looking(self.look, interval=interval, changed=changed)

    def _of(self, her_id: int, use: str) -> tuple[KeyPair, ...]:
        if (organisation := self._hosted.get(her_id)) is None:
            return ()
        return self._by_use.get((organisation, use), ())

    def _newest_first(self, organisation: str, use: str) -> tuple[KeyPair, ...]:
        folder = self._folder / organisation
        pairs = [pair for path, pair in self._pairs.items() if path.parent == folder and _is_for(path, use)]
        return tuple(sorted(pairs, key=lambda pair: pair.certificate.not_valid_before_utc, reverse=True))

    def _files(self) -> Iterator[_File]:
        for organisation in sorted(set(self._hosted.values())):
            for path in sorted((self._folder / organisation).glob("*")):
                if path.suffix in (".pem", ".crt") and (_is_for(path, SIGNING) or _is_for(path, ENCRYPTION)):
                    try:
                        stat = path.stat()
                    except OSError:
                        yield _File(path=path, marks=())  # a link to nowhere: loading it says so
                    else:
                        yield _File(path=path, marks=(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode))


def _is_for(path: Path, use: str) -> bool:
    return path.stem == use or path.stem.startswith(f"{use}-")


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _load(path: Path, passphrase: bytes | None) -> KeyPair:
    beside = path.with_suffix(".crt")
    try:
        if others_may_read(path):
            raise Misconfigured("every user of the machine may read it", where=_name(path), hint=f"chmod 600 {path}")
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=_name(path)) from None
    except TypeError:  # cryptography's way to say that one of key and passphrase is without the other
        hint = "check the setting keys_passphrase"
        raise Misconfigured("has a passphrase, or has none and one is set", where=_name(path), hint=hint) from None
    except (ValueError, UnsupportedAlgorithm):
        hint = "a PEM file, and the passphrase that opens it"
        raise Misconfigured("is not a private key that can be opened", where=_name(path), hint=hint) from None
    try:
        certificate = load_certificates(beside.read_bytes())[0]
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=_name(beside), hint=f"of {path.name}") from None
    except ValueError:
        raise Misconfigured("holds no certificate in PEM form", where=_name(beside)) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misconfigured("is not an RSA key", where=_name(path), hint="the sector uses RSA")
    if certificate.public_key() != key.public_key():
        raise Misconfigured(f"is the certificate of another key than {path.name}", where=_name(beside))
    return KeyPair(private_key=key, certificate=certificate)
