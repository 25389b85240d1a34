"""Faults with their sentences: the words of a rule, filled with facts of ours.

The facts are names of elements and types, limits, lists of what is allowed. The document's own values are never given
to this file, so they cannot come out of it.
"""

from collections.abc import Mapping

from broker.message import Fault, Text
from broker.validation.faults import SchemaFault
from broker.validation.words import RULES


def fault(rule: str, *, line: int | None, path: str, apprec: str | None = None, **facts: str) -> Fault:
    """Return a fault against `rule` with its sentences. `facts` must never hold a value out of a document.

    Raises KeyError for a rule that has no words, or words that lack a fact: a mistake of ours that tests find.
    """
    words = RULES[rule]
    return Fault(
        rule=rule,
        line=line,
        path=path,
        reason=_filled(words.reason, facts),
        hint=_filled(words.hint, facts),
        apprec=apprec or words.apprec,
    )


def schema_fault(found: SchemaFault) -> Fault:
    """Return a fault against a schema with its sentences."""
    where = _attribute_of(found) if found.attribute else Text(nb=found.element, en=found.element)
    form = _form(found)
    facts = {
        "element": found.element,
        "attribute": found.attribute,
        "type": found.type_name,
        "limit": found.limit,
    }
    words = RULES[f"xsd.{found.kind}"]
    languages = {
        "nb": {"where": where.nb, "form": form.nb, "expected": _either(found.expected, " eller ", "ingenting")},
        "en": {"where": where.en, "form": form.en, "expected": _either(found.expected, " or ", "nothing")},
    }
    nb, en = ({**facts, **languages[language]} for language in ("nb", "en"))
    return Fault(
        rule=f"xsd.{found.kind}",
        line=found.line,
        path=found.path,
        reason=Text(nb=words.reason.nb.format_map(nb), en=words.reason.en.format_map(en)),
        hint=Text(nb=words.hint.nb.format_map(nb), en=words.hint.en.format_map(en)),
        apprec=words.apprec,
    )


def _filled(text: Text, facts: Mapping[str, str]) -> Text:
    return Text(nb=text.nb.format_map(facts), en=text.en.format_map(facts))


def _attribute_of(found: SchemaFault) -> Text:
    return Text(
        nb=f"attributtet {found.attribute} i {found.element}", en=f"attribute {found.attribute} of {found.element}"
    )


def _either(names: tuple[str, ...], between: str, none: str) -> str:
    return between.join(names) if names else none


_FORMS: Mapping[str, Text] = {
    "dateTime": Text(nb="dato og tid som 2026-11-21T09:30:00+01:00", en="date and time as 2026-11-21T09:30:00+01:00"),
    "date": Text(nb="dato som 2026-11-21", en="a date as 2026-11-21"),
    "boolean": Text(nb="true eller false", en="true or false"),
    "base64Binary": Text(nb="base64 uten andre tegn", en="base64 and no other characters"),
    "anyURI": Text(nb="en URI", en="a URI"),
    "oid": Text(nb="en OID, tall med punktum imellom", en="an OID, numbers with dots between"),
}

_FACETS: Mapping[str, Text] = {
    "maxLength": Text(nb="høyst {limit} tegn", en="at most {limit} characters"),
    "minLength": Text(nb="minst {limit} tegn", en="at least {limit} characters"),
    "length": Text(nb="nøyaktig {limit} tegn", en="exactly {limit} characters"),
    "pattern": Text(nb="på formen {limit}", en="of the form {limit}"),
    "enumeration": Text(nb="en av {limit}", en="one of {limit}"),
    "minInclusive": Text(nb="ikke under {limit}", en="not below {limit}"),
    "maxInclusive": Text(nb="ikke over {limit}", en="not above {limit}"),
    "minExclusive": Text(nb="over {limit}", en="above {limit}"),
    "maxExclusive": Text(nb="under {limit}", en="below {limit}"),
    "totalDigits": Text(nb="høyst {limit} siffer", en="at most {limit} digits"),
    "fractionDigits": Text(nb="høyst {limit} desimaler", en="at most {limit} decimals"),
}


def _form(found: SchemaFault) -> Text:
    """Say what a value must look like: by its facet where the schema has one, else by its type."""
    if found.facet in _FACETS and found.limit:
        return _filled(_FACETS[found.facet], {"limit": found.limit})
    unnamed = Text(nb=f"av typen {found.type_name}", en=f"of type {found.type_name}")
    return _FORMS.get(found.type_name, unnamed if found.type_name else Text(nb="gyldig", en="valid"))
