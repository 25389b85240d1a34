"""What may not leave this process in any string: the last look at a value that is on its way to a log or an alert."""

import re
from typing import Final

MAX_VALUE: Final = 256  # characters; longer values are cut: no field of ours needs more

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# A path of a file: it is long, but made of short words in small letters.
_WORDS = r"[a-z]{1,20}(?:[_.-]{1,2}[a-z0-9]{1,20}){0,6}"
_PATH = rf"(?<![\w\-+/=])/?(?:{_WORDS}/)+{_WORDS}(?![\w\-+/=])"
_SECRETS = re.compile(
    # Our own ids are kept first: half of a UUID may be digits only.
    rf"(?P<keep>{_UUID})"
    # Eleven digits in a row, as a national identity number is written; longer runs hold one.
    r"|(?P<digits>\d{11,}|\d{6}[ .]?\d{3}[ .]?\d{2}\d*|\d{2}[ .-]\d{2}[ .-]\d{2}[ .-]?\d{5})"
    r"|(?P<pem>-----BEGIN[\s\S]*?(?:-----END[^-]*-----|$))"
    r"|(?P<bearer>(?i:bearer|basic|dpop)\s+\S+)"
    r"|(?P<secret>(?i:\b(?:password|passphrase|passord|secret|api[_-]?key|access_token)\b['\"]?\s*[=:]\s*)\S+)"
    r"|(?P<user>(?<=://)[^/\s@]+@)"
    r"|(?P<jwt>eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?)"
    r"|(?P<hook>whsec_\S+)"
    rf"|(?P<path>{_PATH})"
    r"|(?P<token>[A-Za-z0-9_\-+/=]{40,}|(?<![0-9A-Za-z])(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![0-9A-Za-z]))"
)
_KEPT: Final = frozenset({"keep", "path"})
_DIGITS = re.compile(r"\d{11}")
# What most values are: our own ids and eb:MessageIds, and the words of our own lists. None of these can hold a secret.
_HARMLESS = re.compile(
    rf"{_UUID}(?:@[a-z.-]{{1,64}})?|(?!whsec_)[a-z][a-z._]{{0,38}}|[A-Z]{{1,3}}-?[0-9]{{1,4}}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
)
# Values in which `blank` has found nothing: names of clients, origins of partners, our own sentences; never a secret.
_MOST_CLEAN: Final = 1000
_clean: Final[set[str]] = set()
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def blank(value: str) -> str:
    """Return `value` with every secret blanked, and control and direction characters escaped. Of any length."""

    def blanked(match: re.Match[str]) -> str:
        kept = match.lastgroup in _KEPT and not (match.lastgroup == "path" and _DIGITS.search(match[0]))
        return match[0] if kept else f"[{match.lastgroup}]"

    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", _SECRETS.sub(blanked, value))


def scrub(value: str) -> str:
    """Return `value` fit for a log line: as `blank`, and cut to length."""
    if value in _clean or _HARMLESS.fullmatch(value):
        return value
    clean = blank(value)  # before it is cut: half of a secret would not be known for one
    if clean == value and len(value) <= MAX_VALUE:
        if len(_clean) >= _MOST_CLEAN:
            _clean.clear()
        _clean.add(value)
    return clean if len(clean) <= MAX_VALUE else clean[: MAX_VALUE - 1] + "…"
