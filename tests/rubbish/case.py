"""One piece of rubbish as a value: how it is made, who reads it, and what may come of it."""

from collections.abc import Callable
from dataclasses import dataclass

MB = 1_000_000
WORD = "KANARIFUGL"  # stands in the content of cases: no answer and no log may repeat it


@dataclass(frozen=True, slots=True, kw_only=True)
class Traps:
    """What must never be opened: the address of a listener, and the path of a file with a secret in it."""

    url: str  # http://127.0.0.1:port
    file: str  # an absolute path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rubbish for a reader. `refused` names the only errors that may come; empty where it is to be read.

    `why` stands in the sentence of the refusal, so that a case is refused for what is wrong with it. `content_type`
    is what the transport says: of the entity for MIME, of the charset for XML.
    """

    name: str
    group: str
    reader: str  # see readers.READERS
    make: Callable[[Traps], bytes]
    refused: frozenset[str]
    why: str = ""
    content_type: str = ""


def constant(data: bytes) -> Callable[[Traps], bytes]:
    """Return what makes the same bytes whatever the traps are."""
    return lambda _: data
