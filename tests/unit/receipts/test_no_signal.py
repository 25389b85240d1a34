"""What came in the place of a signal is told by its bytes, whatever they are."""

import pytest

from broker.envelope.fault import FaultCode, build_fault
from broker.receipts.no_signal import NoSignal, what_came


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/html", b"", NoSignal.PAGE),
        ("Text/HTML; charset=utf-8", b"anything", NoSignal.PAGE),
        ("application/xhtml+xml", b"<html/>", NoSignal.PAGE),
        ("text/xml", b"\xef\xbb\xbf\r\n <!DOCTYPE HTML PUBLIC>", NoSignal.PAGE),
        ("", b"<HTML lang=nb>", NoSignal.PAGE),
        ("text/xml", build_fault(FaultCode.CLIENT, "no"), NoSignal.FAULT),
        ("text/xml", b"<html-like/>", NoSignal.OTHER),
        ("text/xml", b"<ok/>", NoSignal.OTHER),
        ("text/xml", b"", NoSignal.OTHER),
        ("text/xml", b"<unclosed", NoSignal.OTHER),
        ("multipart/related; boundary=x", b"--x--", NoSignal.OTHER),
        ("\x00", bytes(range(256)), NoSignal.OTHER),
    ],
)
def test_a_page_a_fault_and_neither(content_type: str, body: bytes, expected: NoSignal) -> None:
    assert what_came(content_type, body) is expected


def test_a_large_fault_is_not_looked_into() -> None:
    assert what_came("text/xml", build_fault(FaultCode.SERVER, "x" * 70_000)) is NoSignal.OTHER
