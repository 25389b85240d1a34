"""What an answer is that holds no signal: a web page of whoever stands between, a SOAP Fault, or neither. Pure.

It only gives a name to what was refused already: nothing here moves a message.
"""

import re
from enum import StrEnum
from typing import Final

from broker.envelope import mime
from broker.envelope.fault import parse_fault
from broker.envelope.xml import parse
from broker.errors import Refused

_PAGE_TYPES: Final = ("text/html", "application/xhtml+xml")
_PAGE_START: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,99}<(?:!doctype[ \t\r\n]+)?html[ \t\r\n>/]", re.IGNORECASE
)
MAX_FAULT: Final = 64_000  # bytes


class NoSignal(StrEnum):
    """What came in the place of a signal."""

    PAGE = "page"
    FAULT = "fault"
    OTHER = "other"


def what_came(content_type: str, body: bytes) -> NoSignal:
    """Return what the answer is. Never raises."""
    media = content_type.partition(";")[0].strip().lower()
    if media in _PAGE_TYPES or _PAGE_START.match(body):
        return NoSignal.PAGE
    try:
        fault = parse_fault(parse(mime.read(content_type, body).root.body, max_bytes=MAX_FAULT))
    except Refused:
        return NoSignal.OTHER
    return NoSignal.FAULT if fault else NoSignal.OTHER
