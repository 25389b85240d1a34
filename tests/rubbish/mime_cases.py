"""MIME entities that two readers would cut differently, that never end, or that cost more than they weigh."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.rubbish.case import MB, WORD, Case, Traps, constant

BOUNDARY = "rubbish-0123456789"
TYPE = f'multipart/related; boundary="{BOUNDARY}"; type="text/xml"; start="<root@x>"'
REFUSED = frozenset({"MimeProblem"})
READ: frozenset[str] = frozenset()
_MARK = b"--" + BOUNDARY.encode()
_ROOT = b"Content-Type: text/xml\r\nContent-ID: <root@x>\r\n\r\n<a/>"
_PART = f"Content-Type: text/plain\r\nContent-ID: <part@x>\r\n\r\n{WORD}".encode()


def cases() -> tuple[Case, ...]:
    """Return them all."""
    return (*_parts(), *_delimiters(), *_types(), *_codings(), *_sizes(), *_controls())


def entity(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    """Return a multipart body of whole parts."""
    return b"".join(_MARK + b"\r\n" + part + b"\r\n" for part in parts) + _MARK + end


def coded(coding: str, body: bytes) -> bytes:
    """Return a payload part in that transfer encoding."""
    head = f"Content-Type: text/plain\r\nContent-ID: <part@x>\r\nContent-Transfer-Encoding: {coding}\r\n\r\n"
    return head.encode() + body


def _case(
    name: str,
    data: bytes | Callable[[Traps], bytes],
    why: str = "",
    *,
    content_type: str = TYPE,
    refused: frozenset[str] = REFUSED,
) -> Case:
    return Case(
        name=name,
        group="mime",
        reader="mime",
        make=constant(data) if isinstance(data, bytes) else data,
        refused=refused,
        why=why,
        content_type=content_type,
    )


def _parts() -> Iterator[Case]:
    yield _case("two roots of one id", entity(_ROOT, _ROOT), "same Content-ID")
    yield _case("two parts of one id", entity(_ROOT, _PART, _PART), "same Content-ID")
    yield _case("two ids in a part", entity(_ROOT, b"Content-ID: <b@x>\r\n" + _PART), "content-id headers")
    yield _case("two types in a part", entity(_ROOT, b"content-type: text/xml\r\n" + _PART), "content-type headers")
    twice = b"Content-Transfer-Encoding: base64\r\n" + coded("binary", b"x")
    yield _case("two codings in a part", entity(_ROOT, twice), "content-transfer-encoding headers")
    yield _case("a strange header twice", entity(_ROOT, b"X: 1\r\nx: 2\r\n" + _PART), "a header twice")
    yield _case("no type", entity(_ROOT, b"Content-ID: <part@x>\r\n\r\nx"), "no Content-Type")
    yield _case("no id", entity(_ROOT, b"Content-Type: text/plain\r\n\r\nx"), "no Content-ID")
    yield _case("no headers", entity(_ROOT, b"\r\nx"), "no Content-Type")
    yield _case("no blank line", entity(_ROOT, b"Content-Type: text/plain"), "no blank line")
    yield _case("a header without colon", entity(_ROOT, b"Content-Type\r\n" + _PART), "malformed header")
    yield _case("a blank before the colon", entity(_ROOT, b"X : y\r\n" + _PART), "malformed header")
    yield _case("a NUL in a header", entity(_ROOT, b"X: \0\r\n" + _PART), "malformed header")
    yield _case("a bare CR in a header", entity(_ROOT, b"X: y\rContent-ID: <z@x>\r\n" + _PART), "malformed header")
    yield _case("headers that end with bare LF", entity(_ROOT, _PART.replace(b"\r\n", b"\n")), "no blank line")
    yield _case("an id with a blank", entity(_ROOT, _PART.replace(b"part@x", b"pa rt@x")), "Content-ID")
    yield _case("a multipart in a part", entity(_ROOT, _PART.replace(b"text/plain", b"multipart/mixed")), "itself")
    yield _case("a mail in a part", entity(_ROOT, _PART.replace(b"text/plain", b"message/rfc822")), "itself")
    yield _case("1,000 multiparts in each other", entity(_ROOT, _nested(1_000)), "itself")
    headers = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 90) for number in range(100))
    yield _case("9 KB of headers", entity(_ROOT, headers + _PART), "bytes of them")
    yield _case(
        "one header of 30 MB", lambda _: entity(_ROOT, b"X: " + b"y" * (30 * MB) + b"\r\n" + _PART), "bytes of them"
    )


def _nested(levels: int) -> bytes:
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (level, level) for level in range(levels)
    )
    return opened + _PART + b"".join(b"\r\n--n%d--" % level for level in reversed(range(levels)))


def _delimiters() -> Iterator[Case]:
    whole = entity(_ROOT, _PART)
    yield _case("nothing", b"", "does not begin")
    yield _case("no boundary in the body", b"<a/>", "does not begin")
    yield _case("cut before the end", whole.removesuffix(_MARK + b"--\r\n"), "cut off")
    yield _case("cut inside the boundary", whole[: whole.rindex(BOUNDARY.encode()) + 4], "cut off")
    yield _case("cut inside the headers", whole[: whole.index(b"<part@x>")], "cut off")
    yield _case("the end alone", _MARK + b"--\r\n", "no part")
    yield _case("words before", b"a preamble\r\n" + whole, "does not begin")
    yield _case("words behind", whole + WORD.encode(), "behind the closing boundary")
    yield _case("a part behind the end", whole + entity(_PART), "behind the closing boundary")
    yield _case("a boundary after bare LF", entity(_ROOT, _PART + b"\n" + _MARK + b"\r\n" + _PART), "no part begins")
    yield _case("a boundary inside a line", entity(_ROOT, _PART + _MARK + b"x"), "no part begins")
    yield _case("a boundary with more behind it", entity(_ROOT, _PART + b"\r\n" + _MARK + b"0\r\n"), "no part begins")
    bare = _PART + b"\r\n" + _MARK + b"\n" + _PART
    yield _case("a boundary that ends with bare LF", entity(_ROOT, bare), "no part begins")
    yield _case("an end with more behind it", entity(_ROOT, _PART, end=b"--x\r\n"), "no part begins")
    yield _case("a boundary in base64", entity(_ROOT, coded("base64", _MARK)), "no part begins")
    yield _case(
        "a million that are nearly one", lambda _: entity(_ROOT, _PART + b"\r\n--rubbish-" * 1_000_000), refused=READ
    )
    yield _case("a million in one line", lambda _: entity(_ROOT, _PART + _MARK * 1_000_000), "no part begins")


def _types() -> Iterator[Case]:
    whole = entity(_ROOT, _PART)
    wrong = {
        "another type": ("application/json", "neither"),
        "no type at all": ("", "not well-formed"),
        "a mixed multipart": (TYPE.replace("related", "mixed"), "neither"),
        "two types in one": (f"{TYPE}, text/xml", "not well-formed"),
        "no boundary": ('multipart/related; type="text/xml"', "boundary is missing"),
        "an empty boundary": ('multipart/related; boundary=""; type="text/xml"', "boundary is missing"),
        "two boundaries": (f"{TYPE}; boundary=other", "parameter twice"),
        "a boundary of 71": (f"multipart/related; boundary={'b' * 71}", "boundary is missing"),
        "a boundary that ends with a blank": (TYPE.replace(BOUNDARY, BOUNDARY + " "), "boundary is missing"),
        "a boundary in pieces": (f"multipart/related; boundary*0=rubbish-; boundary*1={BOUNDARY[8:]}", "not well-form"),
        "a boundary in UTF-8": (f"multipart/related; boundary*=utf-8''{BOUNDARY}", "not well-formed"),
        "a comment": (f"multipart/related (x); boundary={BOUNDARY}", "not well-formed"),
        "a line break": (f"multipart/related;\r\n boundary={BOUNDARY}", "not well-formed"),
        "a NUL": (TYPE + "\0", "not well-formed"),
        "letters outside ASCII": (TYPE + "; æ=ø", "not well-formed"),
        "a start that is not there": (TYPE.replace("root@x", "other@x"), "start names no part"),
        "a start that is no root": (TYPE.replace("root@x", "part@x"), "root is not text/xml"),
        "another root type": (TYPE.replace("text/xml", "text/plain"), "not text/xml"),
        "two starts": (TYPE + '; start="<part@x>"', "parameter twice"),
        "a quote without end": (TYPE[:-1], "not well-formed"),
        "a thousand parameters": (TYPE + "".join(f";p{number}=1" for number in range(1_000)), ""),
        "8,000 semicolons": (TYPE + ";" * 8_000, ""),
        "8,000 backslashes": (f'{TYPE}; x="' + "\\" * 8_000, "not well-formed"),
        "a million backslashes": (f'{TYPE}; x="' + "\\" * 1_000_000, "longer than"),
    }
    for name, (content_type, why) in wrong.items():
        yield _case(name, whole, why, content_type=content_type, refused=REFUSED if why else READ)


def _codings() -> Iterator[Case]:
    wrong: dict[str, tuple[str, Callable[[], bytes], str]] = {
        "an unknown coding": ("x-uuencode", lambda: b"x", "unknown"),
        "two codings in one": ("base64, gzip", lambda: b"x", "unknown"),
        "base64 that is none": ("base64", lambda: b"!!!!", "base64"),
        "base64 without its end": ("base64", lambda: b"QUFBQ", "base64"),
        "base64 with an end inside": ("base64", lambda: b"QUE=QUE=", "base64"),
        "base64 of another alphabet": ("base64", lambda: b"-_-_", "base64"),
        "30 MB of nearly base64": ("base64", lambda: b"QUFB" * 7_500_000 + b"*", "base64"),
        "quoted-printable that is none": ("quoted-printable", lambda: b"=G1", "quoted-printable"),
        "quoted-printable that breaks off": ("quoted-printable", lambda: b"=4", "quoted-printable"),
        "30 MB of nearly quoted": ("quoted-printable", lambda: b"=41" * 10_000_000 + b"=", "quoted-printable"),
        "a blank of 10 MB, quoted": ("quoted-printable", lambda: b"=" + b" " * 10_000_000, "quoted-printable"),
    }
    for name, (coding, body, why) in wrong.items():
        yield _case(name, partial(_one_coded, coding, body), why)


def _one_coded(coding: str, body: Callable[[], bytes], _: Traps) -> bytes:
    return entity(_ROOT, coded(coding, body()))


def _sizes() -> Iterator[Case]:
    small = [b"Content-Type: text/plain\r\nContent-ID: <%d@x>\r\n\r\nx" % number for number in range(100_000)]
    yield _case("101 parts", entity(_ROOT, *small[:100]), "more than 100 parts")
    yield _case("100,000 parts", entity(_ROOT, *small), "more than 100 parts")
    yield _case("10^6 empty parts", lambda _: (_MARK + b"\r\n") * 1_000_000, "no part begins")
    yield _case("52 MB and one byte", lambda _: b"x" * (52 * MB + 1), "larger than")
    yield _case("50 MB without a boundary", lambda _: b"\r\n--rubbish" * (4 * MB), "does not begin")
    yield _case("50 MB of line ends", lambda _: b"\r\n" * (25 * MB), "does not begin")


def _controls() -> Iterator[Case]:
    yield _case("an honest entity", entity(_ROOT, _PART), refused=READ)
    yield _case("an envelope alone", b"<a/>", content_type="text/xml; charset=UTF-8", refused=READ)
    small = [b"Content-Type: text/plain\r\nContent-ID: <%d@x>\r\n\r\nx" % number for number in range(99)]
    yield _case("100 parts", entity(_ROOT, *small), refused=READ)
    yield _case("a folded header", entity(_ROOT, b"X: a\r\n\tb\r\n" + _PART), refused=READ)
    yield _case("50 MB in base64", lambda _: entity(_ROOT, coded("base64", b"QUFB" * 12_400_000)), refused=READ)
    yield _case("45 MB, quoted", lambda _: entity(_ROOT, coded("quoted-printable", b"=41" * 15_000_000)), refused=READ)
    yield _case(
        "45 MB of soft ends", lambda _: entity(_ROOT, coded("quoted-printable", b"=\r\n" * 15_000_000)), refused=READ
    )
