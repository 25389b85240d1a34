"""Our XMLDSig against engines that others wrote: `python -m tests.oracles.signature` prints the table.

Rows are shapes of signature, columns engine and direction. A number is how many controls went with the cell: the same
thing with one fault, which the verifying side must refuse. A letter is a reason, printed below, why the cell is empty.
SABOTAGE=name plants one of SABOTAGES; the table must then fail.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from cryptography import x509
from lxml import etree

from broker.envelope import signature, xml, xmldsig
from broker.envelope.names import cid, ds
from broker.envelope.signature import STRICT, SignaturePolicy, Verified
from broker.envelope.xmldsig import ACTOR_NEXT
from broker.errors import NotTrusted
from broker.sealing.keys import KeyPair
from tests.oracles.xmldsig_engines import (
    ENGINES,
    MAX_BYTES,
    OTHER,
    OURS,
    PLACE,
    REASONS,
    SHAPES,
    XPATH_TEXT,
    Cannot,
    Engine,
    PythonXmlsec,
    Shape,
    original,
    parts_of,
    template,
    unsigned,
)

FLOOR_CELLS = 75
FLOOR_CONTROLS = 330


@dataclass
class Table:
    """What was executed, cell by cell, and what went wrong."""

    cells: dict[tuple[str, str, str], int | str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def executed(self) -> int:
        return sum(isinstance(cell, int) for cell in self.cells.values())

    def controls(self) -> int:
        return sum(cell for cell in self.cells.values() if isinstance(cell, int))


def run(shapes: tuple[Shape, ...] = SHAPES) -> Table:
    """Execute every cell and return the table."""
    table = Table()
    for shape in shapes:
        for engine in ENGINES:
            for way, cell in (("signs", _they_sign), ("verifies", _we_sign)):
                key = (shape.name, engine.name, way)
                try:
                    table.cells[key] = cell(engine, shape)
                except Cannot as reason:
                    table.cells[key] = str(reason)
                except Exception as fault:  # any failure of any engine is one red cell, not the end of the table
                    table.cells[key] = "FAILED"
                    table.faults.append(
                        f"{' / '.join(key)}: {type(fault).__name__}: {str(fault).partition(chr(10))[0]}"
                    )
    return table


def verify(
    shape: Shape,
    data: bytes,
    parts: Mapping[str, bytes],
    *,
    trusted: x509.Certificate = OURS.certificate,
    policy: SignaturePolicy | None = None,
) -> Verified | None:
    """Return what we make of a signed original."""
    document = xml.parse(data, max_bytes=MAX_BYTES)
    policy = policy or shape.policy
    if shape.document:
        return signature.verify_document(document, trusted=[trusted], policy=policy)
    return signature.verify_envelope(document, parts, trusted=[trusted], policy=policy)


def _refuses(shape: Shape, data: bytes, parts: Mapping[str, bytes], **how: Any) -> bool:
    try:
        verify(shape, data, parts, **how)
    except NotTrusted:
        return True
    return False


def _changed(shape: Shape, data: bytes) -> bytes:
    before, after = (b"DIALOG_", b"dialog_") if shape.document else (b"8000202", b"8000203")
    assert data.count(before) == 1
    return data.replace(before, after)


def _flipped(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    name, data = next(iter(parts.items()))
    return {**parts, name: bytes((data[0] ^ 1,)) + data[1:]}


def _they_sign(engine: Engine, shape: Shape) -> int:
    """They sign, we verify; then each fault by itself, which we must refuse."""
    data, parts = engine.sign(shape, OURS), parts_of(shape)
    verified = verify(shape, data, parts)
    assert verified is not None, "no signature seen"
    assert verified.certificate == OURS.certificate
    assert [one.uri for one in verified.references] == ["", *map(cid, parts)], "other references"
    controls = {
        "changed content": _refuses(shape, _changed(shape, data), parts),
        "another's certificate trusted": _refuses(shape, data, parts, trusted=OTHER.certificate),
        "signed by another, whose certificate stands in KeyInfo": _refuses(shape, engine.sign(shape, OTHER), parts),
    }
    if verified.uses_sha1:
        controls["SHA-1 without leave"] = _refuses(shape, data, parts, policy=replace(shape.policy, **_no_sha1()))
    if not shape.document:
        controls["a part that is not signed"] = _refuses(shape, data, {**parts, "unsigned@x": b"1"})
        controls["misplaced"] = _refuses(shape, _misplaced(shape), parts)
    if parts:
        controls["changed part"] = _refuses(shape, data, _flipped(parts))
        controls["lost part"] = _refuses(shape, data, dict(list(parts.items())[1:]))
    if shape.xpath:
        controls["another XPath"] = _refuses(shape, PythonXmlsec().sign(_other_xpath(shape), OURS), parts)
        smuggled = PythonXmlsec().sign(replace(shape, left_out=_SMUGGLED + shape.left_out), OURS)
        controls["read, but left out of the digest"] = _refuses(shape, smuggled, parts)
    return _all(controls)


def _we_sign(engine: Engine, shape: Shape) -> int:
    """We sign, they verify; then each fault by itself, which they must refuse, or they would prove nothing."""
    if not shape.ours:
        raise Cannot("a")
    parts = parts_of(shape)
    data = we_sign(shape, OURS)
    assert engine.verify(shape, data, parts, OURS), "they refuse what we sign"
    verified = verify(shape, data, parts, policy=STRICT)
    assert verified is not None
    assert len(verified.references) == 1 + len(parts), "we sign less than there is"
    controls = {
        "changed content": not engine.verify(shape, _changed(shape, data), parts, OURS),
        "another's certificate": not engine.verify(shape, data, parts, OTHER),
    }
    if parts:
        controls["changed part"] = not engine.verify(shape, data, _flipped(parts), OURS)
    if shape.document:
        begin, end = (one.encode(shape.encoding) for one in original(shape).decode(shape.encoding).split(PLACE))
        controls["every other byte as it was"] = data.startswith(begin) and data.endswith(end)
    return _all(controls)


def we_sign(shape: Shape, key: KeyPair) -> bytes:
    """Return the original of that shape as we sign it."""
    if shape.document:
        return signature.sign_document(unsigned(shape), key)
    return signature.sign_envelope(unsigned(shape), parts_of(shape), key)


def _all(controls: Mapping[str, bool]) -> int:
    missed = [name for name, refused in controls.items() if not refused]
    assert not missed, f"control not refused: {', '.join(missed)}"
    return len(controls)


def _no_sha1() -> dict[str, Any]:
    return {"signature_methods": STRICT.signature_methods, "digest_methods": STRICT.digest_methods}


_SMUGGLED = (
    '<t:Trace xmlns:t="urn:trace" {soap}:actor="' + ACTOR_NEXT + '"><{eb}Acknowledgment {eb}version="2.0"/></t:Trace>'
)


def _other_xpath(shape: Shape) -> Shape:
    """Return the shape with an XPath that would leave out more, of which this message has nothing."""
    more = ' | ancestor-or-self::node()[local-name()="Consent"])'
    return replace(shape, xpath=XPATH_TEXT.removesuffix(")") + more)


def _misplaced(shape: Shape) -> bytes:
    """Return the envelope with a good signature inside an entry of someone else."""

    data = template(shape)
    start = data.index(b"Signature xmlns") - len(f"<{shape.ds}:" if shape.ds else "<")
    end = data.rindex(f"</{shape.soap}:Header>".encode())
    wrapped = data[:start] + b'<t:Wrap xmlns:t="urn:trace">' + data[start:end] + b"</t:Wrap>" + data[end:]
    return PythonXmlsec().fill(wrapped, shape, OURS)


# --- planted faults -------------------------------------------------------------------------------------------------


def _first_found(root: etree._Element) -> etree._Element:
    return next(root.iter(ds("Signature")))


def _believe_key_info(signed: xmldsig.Signed, trusted: Any, policy: SignaturePolicy) -> x509.Certificate:
    return _REAL_CHECK_VALUE(signed, None if signed.certificates else trusted, policy)


def _any_parts(signed: xmldsig.Signed, parts: Any) -> Any:
    whole, *attached = signed.references
    return whole, {one.uri[4:]: one for one in attached if one.uri[4:] in parts}


_REAL_CHECK_VALUE = signature._check_value
_REAL_CANONICAL = xmldsig.canonical

SABOTAGES: dict[str, Callable[[], Any]] = {
    "skip-digest-check": lambda: mock.patch.object(signature, "_check_digest", return_value=None),
    "descendant-search": lambda: mock.patch.object(signature, "_envelope_signature", _first_found),
    "believe-key-info": lambda: mock.patch.object(signature, "_check_value", _believe_key_info),
    "any-parts": lambda: mock.patch.object(signature, "_sort_references", _any_parts),
    "obey-no-policy": lambda: mock.patch.object(signature, "_check_policy", return_value=None),
    "leave-out-anything": lambda: mock.patch.object(signature, "_refuse_unsigned_content", return_value=None),
    "any-xpath": lambda: mock.patch.object(xmldsig, "_known_xpath", return_value=xmldsig.EBMS_XPATH),
    "always-exclusive": lambda: mock.patch.object(
        signature, "canonical", lambda element, method: _REAL_CANONICAL(element, xmldsig.EXC_C14N)
    ),
    "no-parts-signed": lambda: mock.patch.object(
        signature, "append_signature", lambda parent, all_, key: xmldsig.append_signature(parent, all_[:1], key)
    ),
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    if not name:
        yield
        return
    with SABOTAGES[name]():
        yield


# --- the printed table ----------------------------------------------------------------------------------------------


def show(table: Table) -> str:
    """Return the table as text."""
    columns = list(dict.fromkeys((engine, way) for _, engine, way in table.cells))
    lines = [f"{'':44}" + "".join(f"{engine:>15}" for engine, _ in columns)]
    lines.append(f"{'':44}" + "".join(f"{'they sign' if way == 'signs' else 'we sign':>15}" for _, way in columns))
    for name in dict.fromkeys(name for name, _, _ in table.cells):
        lines.append(f"{name:44}" + "".join(f"{table.cells[name, *column]!s:>15}" for column in columns))
    lines += [f"  {letter}: {reason}" for letter, reason in REASONS.items()]
    lines.append(f"executed: {table.executed()} cells, {table.controls()} controls")
    return "\n".join([*lines, *(f"FAILED {fault}" for fault in table.faults)])


def main() -> int:
    """Print the table; return 0 when every cell that can be executed passed, and enough were executed."""
    with sabotage(os.environ.get("SABOTAGE", "")):
        table = run()
    print(show(table))
    if table.executed() < FLOOR_CELLS or table.controls() < FLOOR_CONTROLS:
        print(f"FAILED: fewer than {FLOOR_CELLS} cells or {FLOOR_CONTROLS} controls")
        return 1
    return 1 if table.faults else 0


if __name__ == "__main__":
    sys.exit(main())
