"""Our own keys in files, a folder an organisation number. It decides which generation signs, and which ones open.

    keys/900000101/signing.pem      private key (PKCS#8)      keys/900000101/signing.crt      its certificate
    keys/900000101/encryption.p12   PKCS#12: both in one file
    keys/900000101/both.p12         signing and encryption; KeyUsage says which is which
    keys/900000101/signing-2.p12    another generation
    keys/900000101/signing-2027-01-15.p12    another one, which is to sign from that day on (00:00 UTC)

Of the usable certificates that of the latest beginning signs. Every encryption key opens, however old: what was sealed
for it may still come.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker import telemetry
from broker.errors import Misconfigured, OwnKeyUnusable
from broker.lookup.folder import keep_looking
from broker.lookup.key_containers import CERTIFICATE, PEM, PKCS12, load_key_file
from broker.sealing.certificates import Reason, Use, has_usage, usable
from broker.sealing.keys import Generation, KeyPair, signing_at

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

SIGNING, ENCRYPTION, BOTH = "signing", "encryption", "both"
_USES = {SIGNING: Use.SIGN, ENCRYPTION: Use.ENCRYPT}
_KEY_FILES = PEM | PKCS12
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What tells whether a key file or its certificate has changed; their bytes are read only then."""

    path: Path
    marks: tuple[int, ...]


class KeyFiles:
    """The port Keys over a folder of files. Keys are loaded when they change, never a message."""

    def __init__(self, folder: Path, hosted: Mapping[int, str], *, passphrase: bytes | None = None) -> None:
        """Load the keys. Never raises: without them messages are taken, and parked.

        `hosted` gives the organisation number of each HER-id of ours; `passphrase` opens the keys, if they have one:
        several, where they differ, stand a line each.
        """
        self._folder, self._hosted = folder, dict(hosted)
        self._passphrases = tuple(line for line in (passphrase or b"").splitlines() if line)
        self._seen: tuple[_File, ...] = ()
        self._loaded: dict[Path, tuple[Generation, ...]] = {}  # by the file of the private key
        self._by_use: dict[tuple[str, str], tuple[Generation, ...]] = {}  # by organisation number and use
        self.problems: tuple[Misconfigured, ...] = ()
        self.look()

    def signing(self, her_id: int, at: datetime) -> KeyPair:
        """Return the key that `her_id` signs with. Raises OwnKeyUnusable (MB-4101 to MB-4104) with the reason."""
        generations = self._of(her_id, SIGNING)
        if (chosen := signing_at(generations, at)) is not None:
            return chosen.pair
        verdicts = [usable(each.pair.certificate, Use.SIGN, at) for each in generations]
        organisation = self._hosted.get(her_id, "?")
        if not verdicts:
            where = self._folder / organisation
            why = f"organisation {organisation} has no signing key that can be read"
            raise OwnKeyUnusable(
                why, error_id=NO_KEY, hint=f"put signing.p12, or signing.pem and signing.crt, in {where}"
            )
        reasons = {verdict.reason for verdict in verdicts}
        error_id, words = next(words for reason, words in _REASONS.items() if reason in reasons)
        raise OwnKeyUnusable(
            f"the signing certificate of organisation {organisation} {words}",
            error_id=error_id,
            hint="put a new generation beside it: signing-2.p12, or signing-2.pem and signing-2.crt",
        )

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        """Return every key that may open what was sealed for `her_id`, newest first."""
        return tuple(each.pair for each in self._of(her_id, ENCRYPTION))

    def generations(self, organisation: str, use: Use) -> tuple[Generation, ...]:
        """Return all that an organisation has for a use, the one that begins last first."""
        return self._by_use.get((organisation, SIGNING if use is Use.SIGN else ENCRYPTION), ())

    def look(self) -> bool:
        """Load what has changed and say whether anything has. Never raises; what is wrong stands in `problems`."""
        seen = tuple(self._files())
        if seen == self._seen:
            return False
        loaded: dict[Path, tuple[Generation, ...]] = {}
        problems: list[Misconfigured] = []
        for path in (file.path for file in seen if file.path.suffix in _KEY_FILES):
            try:
                loaded[path] = _generations(path, self._passphrases)
            except Misconfigured as fault:
                problems.append(fault)
                if path in self._loaded:
                    loaded[path] = self._loaded[path]  # the last good one stays
        self._seen, self._loaded, self.problems = seen, loaded, tuple(problems)
        self._by_use = {
            (organisation, use): self._newest_first(organisation, use)
            for organisation in set(self._hosted.values())
            for use in (SIGNING, ENCRYPTION)
        }
        telemetry.records_reloaded("keys", count=sum(len(each) for each in loaded.values()))
        for problem in problems:
            telemetry.record_bad(problem.where, why=problem.why)
        return True

    async def watch(self, interval: timedelta, changed: Callable[[], None] = lambda: None) -> None:
        """Look every `interval` until cancelled, and call `changed` after each change."""
        await keep_looking(self.look, interval=interval, changed=changed)

    def _of(self, her_id: int, use: str) -> tuple[Generation, ...]:
        if (organisation := self._hosted.get(her_id)) is None:
            return ()
        return self._by_use.get((organisation, use), ())

    def _newest_first(self, organisation: str, use: str) -> tuple[Generation, ...]:
        folder = self._folder / organisation
        found = [
            each
            for path, generations in self._loaded.items()
            if path.parent == folder and _kind(path) in (use, BOTH)
            for each in generations
            if _kind(path) == use or has_usage(each.pair.certificate, _USES[use])
        ]
        return tuple(sorted(found, key=lambda each: (each.begins, each.ends, each.source), reverse=True))

    def _files(self) -> Iterator[_File]:
        for organisation in sorted(set(self._hosted.values())):
            for path in sorted((self._folder / organisation).glob("*")):
                # A PKCS#12 file holds a key whatever it is called: a name that says no use is told of, not passed by.
                if path.suffix in PKCS12 or (path.suffix in (*PEM, CERTIFICATE) and _kind(path)):
                    try:
                        stat = path.stat()
                    except OSError:
                        yield _File(path=path, marks=())  # a link to nowhere: loading it says so
                    else:
                        yield _File(path=path, marks=(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode))


def _kind(path: Path) -> str | None:
    """Return what a file is for by its name: signing, encryption, both, or None."""
    return next((kind for kind in (SIGNING, ENCRYPTION, BOTH) if (path.stem + "-").startswith(f"{kind}-")), None)


def _generations(path: Path, passphrases: tuple[bytes, ...]) -> tuple[Generation, ...]:
    source = f"{path.parent.name}/{path.name}"
    kind = _kind(path)
    if kind is None:
        hint = "begin its name with signing, encryption or both: signing-2.p12"
        raise Misconfigured("its name does not say what it is for", where=source, hint=hint)
    starts = _starts(path, source)
    pairs = load_key_file(path, passphrases)
    if kind == BOTH and not any(has_usage(pair.certificate, use) for pair in pairs for use in Use):
        raise Misconfigured("its certificate is neither for signing nor for encryption (KeyUsage)", where=source)
    return tuple(Generation(pair=pair, starts=starts, source=source) for pair in pairs)


def _starts(path: Path, source: str) -> datetime | None:
    if (dated := _DATED.search(path.stem)) is None:
        return None
    try:
        return datetime.fromisoformat(dated[1]).replace(tzinfo=UTC)
    except ValueError:
        hint = "year, month, day: signing-2027-01-15.p12"
        raise Misconfigured("its name ends in a day that there is not", where=source, hint=hint) from None
