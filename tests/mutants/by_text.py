"""The same XML written otherwise, or nearly: comments, CDATA, references, blanks, prefixes, namespaces, encodings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from broker.envelope.names import DS, EB, SOAP, XLINK
from tests.mutants.message import Message
from tests.mutants.operator import Change, Operator, encoding_of, on_text
from tests.mutants.originals import Original

_TEXT = re.compile(r">([^<>]*[^<>\s][^<>]*)<")
_TAG = re.compile(r"<[A-Za-z_][^<>]*>")
_ATTRIBUTE = re.compile(r' ([\w:.-]+)="([^"<>]*)"')
_PREFIX = re.compile(r'xmlns:([\w-]+)="([^"]*)"')
_URIS = (SOAP, EB, DS, XLINK, "urn:other", EB.replace("http:", "HTTP:"), f"{SOAP} ")


def _once(pattern: re.Pattern[str], text: str, chance: Random, by: Callable[[re.Match[str]], str]) -> str:
    """Replace one of the places that the pattern finds."""
    found = list(pattern.finditer(text))
    if not found:
        return text
    one = chance.choice(found)
    return text[: one.start()] + by(one) + text[one.end() :]


def _at(start: int, size: int, chance: Random) -> int:
    return start + chance.randint(0, size)


def _comment(text: str, chance: Random) -> str:
    def inside(found: re.Match[str]) -> str:
        at = _at(1, len(found[1]), chance)
        if "&" in found[1]:
            return f"><!-- c -->{found[1]}<"
        return f"{found[0][:at]}<!--{chance.choice(('', ' c ', '<x>'))}-->{found[0][at:]}"

    return _once(_TEXT, text, chance, inside)


def _comment_between(text: str, chance: Random) -> str:
    return _once(_TAG, text, chance, lambda found: f"{found[0]}<!-- between -->")


def _instruction(text: str, chance: Random) -> str:
    return _once(_TAG, text, chance, lambda found: f"{found[0]}<?x y?>")


def _instruction_in_prolog(text: str, chance: Random) -> str:
    at = text.index("?>") + 2 if text.startswith("<?xml ") else 0
    return f"{text[:at]}<?x y?>{text[at:]}" if chance.random() < 0.6 else f"{text}<?x y?>"


def _cdata(text: str, chance: Random) -> str:
    plain = re.compile(r">([^<>&]*[^<>&\s][^<>&]*)<")

    def by(found: re.Match[str]) -> str:
        start = chance.randint(0, len(found[1]) - 1)
        end = chance.randint(start + 1, len(found[1]))
        return f">{found[1][:start]}<![CDATA[{found[1][start:end]}]]>{found[1][end:]}<"

    return _once(plain, text, chance, by)


def _reference(text: str, chance: Random) -> str:
    """A character of a text or value by its number."""
    plain = re.compile(r'(?<=[>"])([^<>&"\s][^<>&"]*)(?=[<"])')

    def by(found: re.Match[str]) -> str:
        at = chance.randrange(len(found[1]))
        number = ord(found[1][at])
        written = chance.choice((f"&#{number};", f"&#x{number:X};", f"&#x000{number:x};"))
        return found[1][:at] + written + found[1][at + 1 :]

    return _once(plain, text, chance, by)


def _return(text: str, chance: Random) -> str:
    """A carriage return in a text: by reference it is kept, as a character it is a line end."""
    return _once(_TEXT, text, chance, lambda found: f">{found[1]}{chance.choice(('&#13;', '&#xD;', chr(13)))}<")


def _entity(text: str, chance: Random) -> str:
    put = _once(_TEXT, text, chance, lambda found: f">{found[1]}&{chance.choice(('x', 'amp', 'lt', 'quot'))};<")
    if chance.random() < 0.5:
        at = put.index("?>") + 2 if put.startswith("<?xml ") else 0
        return f'{put[:at]}<!DOCTYPE a [<!ENTITY x "y">]>{put[at:]}'
    return put


def _blank_in_tag(text: str, chance: Random) -> str:
    def by(found: re.Match[str]) -> str:
        blank = chance.choice((" ", "\n", "\t", "\r\n"))
        end = -2 if found[0].endswith("/>") else -1
        return f"{found[0][:end]}{blank}{found[0][end:]}"

    return _once(_TAG, text, chance, by)


def _order_of_attributes(text: str, chance: Random) -> str:
    several = re.compile(r'(?: [\w:.-]+="[^"<>]*"){2,}')

    def by(found: re.Match[str]) -> str:
        each = _ATTRIBUTE.findall(found[0])
        chance.shuffle(each)
        return "".join(f' {name}="{value}"' for name, value in each)

    return _once(several, text, chance, by)


def _quotes(text: str, chance: Random) -> str:
    without = re.compile(r'="([^"\'<>]*)"')
    return _once(without, text, chance, lambda found: f"='{found[1]}'")


def _blank_in_value(text: str, chance: Random) -> str:
    """A blank in an attribute: a line end there is a space, by reference it is not."""
    blank = chance.choice((" ", "\n", "&#10;", "&#x20;", "\t"))
    return _once(_ATTRIBUTE, text, chance, lambda found: f' {found[1]}="{found[2]}{blank}"')


def _twice(text: str, chance: Random) -> str:
    return _once(_ATTRIBUTE, text, chance, lambda found: f'{found[0]} {found[1]}="{found[2]}0"')


def _empty_tag(text: str, chance: Random) -> str:
    empty = re.compile(r"<([A-Za-z_][\w:.-]*)([^<>]*?)/>")
    return _once(empty, text, chance, lambda found: f"<{found[1]}{found[2]}></{found[1]}>")


def _spaces(text: str, chance: Random) -> str:
    return _once(re.compile(r"><"), text, chance, lambda _: f">{chance.choice((' ', chr(10), chr(9)))}<")


def _line_ends(text: str, _: Random) -> str:
    return text.replace("\n", "\r\n") if "\r\n" not in text else text.replace("\r\n", "\n")


# --- namespaces ---


def _rebound(text: str, chance: Random) -> str:
    """One declaration names another namespace: the names with that prefix mean something else."""
    return _once(_PREFIX, text, chance, lambda found: f'xmlns:{found[1]}="{chance.choice(_URIS)}"')


def _rebound_below(text: str, chance: Random) -> str:
    """A prefix bound anew on an element inside."""
    prefixes = sorted({found[1] for found in _PREFIX.finditer(text)})
    if not prefixes:
        return text
    bound = f' xmlns:{chance.choice(prefixes)}="{chance.choice(_URIS)}"'
    return _once(_TAG, text, chance, lambda found: re.sub(r"(/?>)$", rf"{bound}\1", found[0]))


def _declared_below(text: str, chance: Random) -> str:
    """A new prefix, used by nothing, or the default namespace."""
    bound = f' xmlns{chance.choice((":unused", ""))}="{chance.choice((*_URIS[:5], "urn:x", "relative"))}"'
    return _once(_TAG, text, chance, lambda found: re.sub(r"(/?>)$", rf"{bound}\1", found[0]))


def _undeclared(text: str, chance: Random) -> str:
    return _once(re.compile(r' xmlns(:[\w-]+)?="[^"]*"'), text, chance, lambda _: "")


def _other_prefix(text: str, chance: Random) -> str:
    """Every use of a prefix by another: the same names, other octets. XPath texts follow or do not."""
    prefixes = sorted({found[1] for found in _PREFIX.finditer(text)})
    if not prefixes:
        return text
    old = chance.choice(prefixes)
    if chance.random() < 0.5:
        return re.sub(rf"\b{re.escape(old)}:", "q:", text.replace(f"xmlns:{old}=", "xmlns:q="))
    return re.sub(rf"(</?| ){re.escape(old)}:", r"\1q:", text.replace(f"xmlns:{old}=", "xmlns:q="))


def _prefix_of_one(text: str, chance: Random) -> str:
    """One element's prefix is that of another namespace, in both of its tags where it has two."""
    prefixes = sorted({found[1] for found in _PREFIX.finditer(text)})
    whole = re.compile(r"<([\w-]+):([\w.-]+)([^<>]*)>([^<>]*)</\1:\2>")
    new = chance.choice(prefixes) if prefixes else "x"
    return _once(whole, text, chance, lambda one: f"<{new}:{one[2]}{one[3]}>{one[4]}</{new}:{one[2]}>")


# --- encodings ---


def _reencoded(written: str, declared: str, *, mark: bytes = b"", charset: str = "") -> Change:
    """Return the operator that writes the envelope in one encoding and declares another, or none."""

    def apply(original: Original, _: Random) -> Message | None:
        text = original.message.root.decode(encoding_of(original.message.root))
        text = re.sub(r"^<\?xml[^>]*\?>\s*", "", text)
        head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
        data = mark + (head + text).encode(written, "xmlcharrefreplace")
        return _with_charset(original.message.rooted(data), charset)

    return apply


def _with_charset(message: Message, charset: str) -> Message:
    if not charset:
        return message
    kind = f"text/xml; charset={charset}"
    if not message.boundary:
        return replace(message, content_type=kind)
    return replace(message, pieces=(message.pieces[0].having("Content-Type", kind), *message.parts))


_OF_TEXT: Mapping[str, Callable[[str, Random], str]] = {
    "instruction anywhere": _instruction,
    "instruction in the prolog or at the end": _instruction_in_prolog,
    "carriage return": _return,
    "entity": _entity,
    "blank in an attribute": _blank_in_value,
    "attribute twice": _twice,
    "blanks between elements": _spaces,
    "other line ends": _line_ends,
    "prefix bound to another namespace": _rebound,
    "prefix bound anew inside": _rebound_below,
    "namespace declared inside": _declared_below,
    "declaration gone": _undeclared,
    "prefix renamed everywhere": _other_prefix,
    "prefix of one element changed": _prefix_of_one,
}
_HARMLESS: Mapping[str, Callable[[str, Random], str]] = {
    "comment in a value": _comment,
    "comment between elements": _comment_between,
    "CDATA": _cdata,
    "character reference": _reference,
    "blank in a tag": _blank_in_tag,
    "order of attributes": _order_of_attributes,
    "apostrophes for quotes": _quotes,
    "empty element spelled out": _empty_tag,
}

OPERATORS = (
    *(Operator(name=f"text: {name}", apply=on_text(change)) for name, change in _OF_TEXT.items()),
    *(Operator(name=f"text: {name}", apply=on_text(change), harmless=True) for name, change in _HARMLESS.items()),
    Operator(name="encoding: UTF-8 mark", apply=_reencoded("utf-8", "", mark=b"\xef\xbb\xbf"), harmless=True),
    Operator(name="encoding: ASCII with references", apply=_reencoded("ascii", ""), harmless=True),
    Operator(name="encoding: UTF-8 declared", apply=_reencoded("utf-8", "UTF-8"), harmless=True),
    Operator(name="encoding: latin-1, all say so", apply=_reencoded("latin-1", "ISO-8859-1", charset="ISO-8859-1")),
    Operator(name="encoding: latin-1, unsaid", apply=_reencoded("latin-1", "")),
    Operator(name="encoding: UTF-8, called latin-1", apply=_reencoded("utf-8", "ISO-8859-1", charset="ISO-8859-1")),
    Operator(name="encoding: UTF-8, its charset lies", apply=_reencoded("utf-8", "", charset="ISO-8859-1")),
    Operator(name="encoding: UTF-16", apply=_reencoded("utf-16", "UTF-16", charset="UTF-16")),
    Operator(name="encoding: UTF-16 without mark", apply=_reencoded("utf-16-be", "")),
    Operator(name="encoding: UTF-7", apply=_reencoded("utf-7", "UTF-7")),
)
