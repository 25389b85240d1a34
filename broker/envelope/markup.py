"""Values to XML, as text: how one stands in an element or in an attribute. lxml would write the same."""

import re
from collections.abc import Mapping

# What XML 1.0 (2.2) has no way to say, and what cannot stand as it is.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_TEXT = re.compile("[^\t\n -%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_ATTRIBUTE = re.compile("[^ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


def text(value: str) -> str:
    """Return a value as the text of an element. Raises ValueError for a character that XML does not have."""
    return _escaped(value, _IN_TEXT) if _NOT_IN_TEXT.search(value) else value


def attribute(value: str) -> str:
    """Return a value as it stands between the double quotes of an attribute. Raises ValueError as `text` does."""
    return _escaped(value, _IN_ATTRIBUTE) if _NOT_IN_ATTRIBUTE.search(value) else value


def _escaped(value: str, escapes: Mapping[int, str]) -> str:
    if _NOT_XML.search(value):
        raise ValueError("a character that XML does not have")
    return value.translate(escapes)
