"""The public samples of the field: which of them are signed, and what we make of those."""

import os
from pathlib import Path

import pytest

from broker.envelope import xml
from broker.envelope.names import ds
from broker.envelope.signature import verify_document
from broker.envelope.xmldsig import SHA1, read

MAX_BYTES = 10_000_000


def samples() -> list[Path]:
    reference = os.environ.get("DIGIHELSE_REFERENCE")
    if not reference:
        pytest.skip("the public samples are not at hand: DIGIHELSE_REFERENCE is unset")
    return sorted((Path(reference) / "examples").rglob("*.xml"))


def test_every_sample_is_read_by_our_parser() -> None:
    assert len([xml.parse(path.read_bytes(), max_bytes=MAX_BYTES) for path in samples()]) >= 15


def test_the_one_sample_with_a_signature_has_an_empty_form_that_signs_nothing() -> None:
    signed = {
        path.name: element
        for path in samples()
        for element in xml.parse(path.read_bytes(), max_bytes=MAX_BYTES).root.iter(ds("Signature"))
    }
    assert signed.keys() == {"cpp-93238.xml"}
    form = read(signed["cpp-93238.xml"])
    assert form.value == b""
    assert [(one.uri, one.digest_method, one.digest_value) for one in form.references] == [("", SHA1, b"")]


def test_no_sample_document_is_signed_as_a_document() -> None:
    for path in samples():
        assert verify_document(xml.parse(path.read_bytes(), max_bytes=MAX_BYTES), trusted=None) is None
