"""Our MIME reader and writer against those of others: `python -m tests.oracles.mime` prints what it did.

Three ways: we write and they read, they write and we read, and hostile bodies that both read: what we accept they must
accept, with the same parts. (What we refuse and they accept is counted: we are the stricter.) MIME_CASES=n takes n
cases of each, MIME_SEED=n another seed. SABOTAGE=name plants one of SABOTAGES; the run must then fail.
"""

import email
import email.policy
import logging
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING
from unittest import mock

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from broker.envelope import mime
from broker.envelope.mime import Limits, Part, build, read
from broker.errors import MimeProblem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it writes a line for each body that it refuses
CASES, SEED = 400, 20261122
BOUNDARY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TRAPS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"--",
    b"\r\n--",
    BOUNDARY.encode(),
    b"--" + BOUNDARY.encode(),
    b"\r\n\r\n",
    b" ",
]
TRAPS += [
    b"\r\n--" + BOUNDARY.encode(),
    b"\n--" + BOUNDARY.encode() + b"\r\n",
    b"Content-ID: <x>\r\n",
    b"",
    b"\t",
    b":",
]


def hostile(chance: random.Random, times: int = 1) -> bytes:
    """Return a payload of things that careless code trips over, without our delimiter in it."""
    pieces = (chance.choice([*TRAPS, chance.randbytes(chance.randrange(30))]) for _ in range(chance.randrange(9)))
    payload = b"".join(pieces) * times
    delimiter = b"--" + BOUNDARY.encode()
    while delimiter in payload:  # taking one out may join the halves of another
        payload = payload.replace(delimiter, b"")
    return payload


def python_multipart(body: bytes) -> list[tuple[dict[bytes, bytes], bytes]] | None:
    """Return headers and body of each part as python-multipart sees them; None where it refuses."""
    parts: list[tuple[dict[bytes, bytes], bytes]] = []
    name, value, ended = b"", b"", False

    def on_part_begin() -> None:
        parts.append(({}, b""))

    def on_header_field(data: bytes, start: int, end: int) -> None:
        nonlocal name
        name += data[start:end]

    def on_header_value(data: bytes, start: int, end: int) -> None:
        nonlocal value
        value += data[start:end]

    def on_header_end() -> None:
        nonlocal name, value
        parts[-1][0][name.lower()] = value
        name = value = b""

    def on_part_data(data: bytes, start: int, end: int) -> None:
        parts[-1] = (parts[-1][0], parts[-1][1] + data[start:end])

    def on_end() -> None:
        nonlocal ended
        ended = True

    callbacks: MultipartCallbacks = {
        "on_part_begin": on_part_begin,
        "on_header_field": on_header_field,
        "on_header_value": on_header_value,
        "on_header_end": on_header_end,
        "on_part_data": on_part_data,
        "on_end": on_end,
    }
    parser = MultipartParser(BOUNDARY.encode(), callbacks, max_header_size=9000)
    try:
        parser.write(body)
    except MultipartParseError:
        return None
    return parts if ended else None


def we_write(chance: random.Random, counts: Counter[str]) -> None:
    """We write; python-multipart and the standard library read."""
    parts = [
        Part(content_id=f"p{n}", content_type="application/octet-stream", body=hostile(chance), transfer_encoding=how)
        for n, how in enumerate(chance.choices(["base64", "binary"], k=chance.randrange(1, 4)))
    ]
    built = build(b"<Envelope/>", parts, boundary=BOUNDARY, root_id="root")
    theirs = python_multipart(built.body)
    assert theirs is not None
    assert theirs[0][1] == b"<Envelope/>"
    ours = mime._split(built.body, BOUNDARY, Limits())
    assert [body for _, body in theirs] == [raw.partition(b"\r\n\r\n")[2] for raw in ours]
    assert [h[b"content-id"] for h, _ in theirs[1:]] == [b"<%b>" % part.content_id.encode() for part in parts]
    counts["we write, python-multipart reads"] += 1
    whole = f"Content-Type: {built.content_type}\r\n\r\n".encode() + built.body
    if all(part.transfer_encoding == "base64" for part in parts):  # it splits binary at a bare line feed
        message = email.message_from_bytes(whole, policy=email.policy.HTTP)
        assert [p.get_payload(decode=True) for p in message.iter_parts()][1:] == [part.body for part in parts]
        counts["we write, email reads"] += 1


def they_write(chance: random.Random, counts: Counter[str]) -> None:
    """The standard library writes; we read. It folds long headers, as Java's mail library does."""
    content = hostile(chance)
    message = MIMEMultipart("related", BOUNDARY, policy=email.policy.SMTP, type="text/xml", start="<root>")
    root = MIMEText("<Envelope>å</Envelope>", "xml", "utf-8", policy=email.policy.SMTP)
    payload = MIMEApplication(content, "pkcs7-mime", policy=email.policy.SMTP)
    payload.set_param("smime-type", "enveloped-data")
    payload.set_param("name", "a-name-that-is-long-enough-to-make-the-header-fold.p7m")
    for number, part in enumerate((root, payload)):
        part.add_header("Content-ID", "<root>" if number == 0 else "<one>")
        del part["MIME-Version"]
        message.attach(part)
    _, _, body = message.as_bytes().partition(b"\r\n\r\n")
    assert b"\r\n " in body.partition(b"Content-ID: <one>")[0], "nothing is folded"
    result = read(f'multipart/related; boundary="{BOUNDARY}"; type="text/xml"; start="<root>"', body)
    assert result.root.body == "<Envelope>å</Envelope>".encode()
    assert result.parts[0].body == content
    counts["email writes, we read"] += 1


def both_read(chance: random.Random, counts: Counter[str]) -> None:
    """A body with one to three changes: where we find parts, python-multipart finds the same."""
    parts = [Part(content_id=f"p{n}", content_type="text/plain", body=hostile(chance, 8)) for n in range(2)]
    body = bytearray(build(b"<Envelope/>", parts, boundary=BOUNDARY, root_id="root").body)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(body))
        body[at : at + chance.choice([0, 0, 1, 2, 40])] = chance.choice(TRAPS)
    theirs = python_multipart(bytes(body))
    try:
        ours = mime._parts(bytes(body), BOUNDARY, Limits())
    except MimeProblem:
        counts["hostile, refused by both" if theirs is None else "hostile, refused by us alone"] += 1
        return
    if theirs is None and (re.search(rb"\r\n[ \t]+[^\r]*\r\n", body) or re.search(rb"[0-9a-f][ \t]+(\r\n|$)", body)):
        counts["hostile, folded header or blanks behind a boundary: read by us alone"] += 1
        return
    assert theirs is not None, "we read what python-multipart refuses"
    assert [part.body for part in ours] == [body for _, body in theirs], "other parts"
    counts["hostile, read alike by both"] += 1


WAYS = (we_write, they_write, both_read)
FLOORS = {
    "we write, python-multipart reads": 1.0,
    "we write, email reads": 0.15,
    "email writes, we read": 1.0,
    "hostile, refused by both": 0.05,
    "hostile, refused by us alone": 0.02,
    "hostile, read alike by both": 0.2,
}


def run(cases: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how often each thing was done, and the faults found, each with the case that shows it."""
    counts: Counter[str] = Counter()
    faults = []
    for way in WAYS:
        for case in range(cases):
            try:
                way(random.Random(f"{seed} {way.__name__} {case}"), counts)
            except Exception as fault:  # whatever it is, it is a fault of this case, and the others go on
                faults.append(f"{way.__name__}, seed {seed}, case {case}: {type(fault).__name__}: {fault}"[:200])
    faults += [
        f"only {counts[what]} x {what}, at least {int(share * cases)} of {cases} are expected"
        for what, share in FLOORS.items()
        if counts[what] < int(share * cases)
    ]
    return counts, faults


# --- planted faults -------------------------------------------------------------------------------------------------


def _split_at(pattern: Callable[[bytes], bytes], *, need_end: bool) -> Callable[[bytes, str, Limits], list[bytes]]:
    def split(body: bytes, boundary: str, limits: Limits) -> list[bytes]:
        pieces = re.split(pattern(b"--" + boundary.encode()), body)
        if need_end and b"--" + boundary.encode() + b"--" not in body:
            raise MimeProblem("cut off")
        return pieces[1:-1] if need_end else pieces[1:]

    return split


def _stripped(body: bytes, encoding: str, decode: Callable[[bytes, str], bytes] = mime._decode) -> bytes:
    return decode(body, encoding).strip(b"\r\n")


SABOTAGES: dict[str, tuple[str, object]] = {
    "bare-line-feed": ("_split", _split_at(lambda mark: rb"(?:^|\r?\n)" + mark + rb"(?:--)?\r?\n?", need_end=True)),
    "accept-cut-off": ("_split", _split_at(lambda mark: rb"(?:^|\r\n)" + mark + rb"(?:--)?\r\n", need_end=False)),
    "strip-body": ("_decode", _stripped),
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    with mock.patch.object(mime, *SABOTAGES[name]) if name else nullcontext():
        yield


def main() -> int:
    """Print what was done; return 0 when nothing failed and enough was done."""
    cases, seed = int(os.environ.get("MIME_CASES", CASES)), int(os.environ.get("MIME_SEED", SEED))
    with sabotage(os.environ.get("SABOTAGE", "")):
        counts, faults = run(cases, seed)
    print(f"MIME, seed {seed}, {cases} cases each way")
    for what, count in sorted(counts.items()):
        print(f"{count:7} {what}")
    for fault in faults[:20]:
        print(f"FAILED {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
