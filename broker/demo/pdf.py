"""A PDF of a wanted size: one page with one line, then a stream of pseudo-random bytes that nothing compresses."""

from hashlib import shake_256


def padded_pdf(line: str, *, size: int, seed: str) -> bytes:
    """Return a valid PDF of exactly `size` bytes; the same `seed` gives the same bytes.

    Raises ValueError where `size` is too small for the page itself (about 1 KB).
    """
    page = _page_stream(line)
    frame = len(_assemble(page, b""))
    if size < frame:
        raise ValueError(f"a PDF with this page takes {frame} bytes; asked for {size}")
    padding = shake_256(seed.encode()).digest(size - frame)
    return _assemble(page, padding)


def _page_stream(line: str) -> bytes:
    shown = line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    return b"BT /F1 14 Tf 72 720 Td (" + shown + b") Tj ET"


def _assemble(page: bytes, padding: bytes) -> bytes:
    """Return the file. Numbers have fixed widths, so that the frame's size does not depend on the padding's."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        font,
        b"<< /Length %010d >>\nstream\n%s\nendstream" % (len(padding), padding),
    )
    whole = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(whole)
    whole += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    whole += b"".join(b"%010d 00000 n \n" % place for place in places)
    whole += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(whole)
