"""The faults that can be planted in the broker's reading of signatures, in this process alone, and must be found."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from lxml import etree

from broker.envelope import ebms_parse, signature, xml, xmldsig
from broker.envelope.names import ds, eb
from broker.errors import NotTrusted
from tests.oracles.signature import SABOTAGES as OF_SIGNATURES


def _loosely(expression: str) -> str:
    """Without blanks, capitals, kinds of quotes and prefixes: as one might think that an XPath may be compared."""
    return re.sub(r"@(?:[\w-]+:)?", "@", re.sub(r"\s", "", expression).lower().replace("'", '"'))


def _known_xpath(element: etree._Element) -> str:
    for known in xmldsig.LEFT_OUT:
        if _loosely(element.text or "") == _loosely(known):
            return known
    raise NotTrusted("an XPath that is not the one of ebMS")


def _anywhere(parent: etree._Element, name: str) -> Sequence[etree._Element]:
    return list(parent.iterdescendants(name))


class _Anywhere(ebms_parse._Children):
    def all(self, name: str) -> Sequence[etree._Element]:
        return _anywhere(self._parent, eb(name))


def _first_found(root: etree._Element) -> etree._Element:
    for found in root.iter(ds("Signature")):
        return found
    raise NotTrusted("the envelope is not signed")


@contextmanager
def _both(*planted: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for one in planted:
            stack.enter_context(one)
        yield


SABOTAGES: dict[str, Callable[[], Any]] = {
    "loose-xpath": lambda: mock.patch.object(xmldsig, "_known_xpath", _known_xpath),
    "ignore-uncovered-parts": OF_SIGNATURES["any-parts"],
    # Two that go together: the elements of ebMS, and the signature, are looked for everywhere.
    "descendant-search": lambda: _both(
        mock.patch.object(xml, "children", _anywhere),
        mock.patch.object(ebms_parse, "_Children", _Anywhere),
        mock.patch.object(signature, "_envelope_signature", _first_found),
    ),
    "leave-out-anything": OF_SIGNATURES["leave-out-anything"],
    "believe-key-info": OF_SIGNATURES["believe-key-info"],
    "skip-digest-check": OF_SIGNATURES["skip-digest-check"],
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    if not name:
        yield
        return
    with SABOTAGES[name]():
        yield
