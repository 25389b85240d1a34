"""A fault against a schema, as facts: what kind, where, and what the schema wanted. It decides what may be told.

No field ever holds a value out of the document. Names of elements and attributes are told only where the schemas
declare that name; any other is written `*`, since a name that nobody declared is the sender's own text.
"""

from dataclasses import dataclass
from enum import StrEnum

UNKNOWN = "*"  # stands for a name that no schema declares


class FaultKind(StrEnum):
    """What is wrong. The last two say that the list is not the whole story."""

    UNKNOWN_ROOT = "unknown-root"  # the document element is none of `expected`
    NO_SCHEMA = "no-schema"  # an element whose namespace or name has no schema, where one is demanded
    MISSING_ELEMENT = "missing-element"  # the content ends before `expected`
    UNEXPECTED_ELEMENT = "unexpected-element"  # `element` may not stand here; `expected` may
    TOO_MANY_ELEMENTS = "too-many-elements"  # `element` stands here more than `limit` times
    UNEXPECTED_TEXT = "unexpected-text"  # text where only elements, or nothing, may stand
    MISSING_ATTRIBUTE = "missing-attribute"
    UNEXPECTED_ATTRIBUTE = "unexpected-attribute"  # `xsi:type` and `xsi:nil` where they cannot be used too
    BAD_VALUE = "bad-value"  # not of type `type_name`, or against its `facet` with `limit`
    FIXED_VALUE = "fixed-value"  # must be exactly `limit`
    DUPLICATE_ID = "duplicate-id"  # an xs:ID that the document already has
    OTHER = "other"
    MORE_FAULTS = "more-faults"  # looking stopped after `limit` faults
    TOO_LARGE_TO_EXPLAIN = "too-large-to-explain"  # over `limit` bytes: only the faults seen first are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFault:
    """One fault.

    `line` counts from 1. `path` is local names from the document element, with a position from 1 where siblings share
    the name: `/MsgHead/MsgInfo/Receiver/Organisation/Ident[2]`; it leads to the element at fault, or for a missing
    element to its parent. `element` is the last name of it, `attribute` empty unless the fault is in one. `expected`
    are local names, `*` for "any element". `type_name` is a type of XML Schema or of the standard (`dateTime`, `oid`,
    `dateTime | date` for a union). `facet` and `limit` are the schema's.
    """

    kind: FaultKind
    line: int | None
    path: str
    element: str
    attribute: str = ""
    expected: tuple[str, ...] = ()
    type_name: str = ""
    facet: str = ""
    limit: str = ""
