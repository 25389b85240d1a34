"""HTTP that two readers would frame differently, that is too much, or that is no HTTP at all."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.rubbish.case import MB, WORD

CLOSED = 0  # without a word
_NO = frozenset({400, CLOSED})
_SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
_BODY = f"<a>{WORD}</a>"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCase:
    """Bytes for a port, the statuses that may come, and whether the connection must be closed behind it."""

    name: str
    data: bytes
    may: frozenset[int]
    closes: bool = True
    finish: bool = False


def cases(path: str, media_type: str, token: str) -> tuple[HttpCase, ...]:
    """Return the cases for a door: where it takes POSTs, of what type, and with which token."""
    made = _Door(path, media_type, token)
    return (*made.lengths(), *made.chunks(), *made.heads(), *made.strange(), *made.sizes(), *made.bodies())


class _Door:
    def __init__(self, path: str, media_type: str, token: str) -> None:
        self._path = path
        self._fields = f"Host: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\n"
        self._untyped = f"Host: x\r\nAuthorization: Bearer {token}\r\n"

    def _post(self, fields: str, body: str | bytes = _BODY, *, typed: bool = True) -> bytes:
        head = f"POST {self._path} HTTP/1.1\r\n{self._fields if typed else self._untyped}{fields}\r\n"
        return head.encode("latin-1") + (body if isinstance(body, bytes) else body.encode())

    def lengths(self) -> Iterator[HttpCase]:
        """Two answers to how long the body is, or none that can be."""
        length, chunked = f"Content-Length: {len(_BODY)}\r\n", "Transfer-Encoding: chunked\r\n"
        end = "0\r\n\r\n"
        wrong = {
            "CL and TE": length + chunked,
            "TE and CL": chunked + length,
            "CL 4 and TE": "Content-Length: 4\r\n" + chunked,
            "two lengths": length + "Content-Length: 3\r\n",
            "one length twice": length + length,
            "two lengths in one": f"Content-Length: {len(_BODY)}, {len(_BODY)}\r\n",
            "a negative length": "Content-Length: -1\r\n",
            "a length with a plus": "Content-Length: +5\r\n",
            "a length in hex": "Content-Length: 0x10\r\n",
            "a length of 30 digits": f"Content-Length: {'9' * 30}\r\n",
            "a length with a blank": "Content-Length: 1 0\r\n",
            "a length with a blank before the colon": "Content-Length : 3\r\n",
            "a length after a NUL": "X: \0\r\n" + length,
            "chunked twice": "Transfer-Encoding: chunked, chunked\r\n",
            "chunked and not last": "Transfer-Encoding: chunked, identity\r\n",
            "xchunked": "Transfer-Encoding: xchunked\r\n",
            "two transfer encodings": chunked + "Transfer-Encoding: identity\r\n",
            "chunked with a tab before it": "Transfer-Encoding:\tchunked\r\n" + length,
            "chunked with a vertical tab": "Transfer-Encoding: \x0bchunked\r\n",
            "chunked on a folded line": "Transfer-Encoding:\r\n chunked\r\n" + length,
            "chunked with a blank before the colon": "Transfer-Encoding : chunked\r\n" + length,
            "a header hidden by a bare CR": "X: y\rTransfer-Encoding: chunked\r\n" + length,
            "a header hidden by a bare LF": "X: y\nTransfer-Encoding: chunked\n" + length,
        }
        for name, fields in wrong.items():
            yield HttpCase(name=name, data=self._post(fields, end + _SMUGGLED), may=_NO)

    def chunks(self) -> Iterator[HttpCase]:
        """Chunks that lie."""
        wrong = {
            "a chunk without a size": "\r\nabc\r\n0\r\n\r\n",
            "a chunk of no hex": "xyz\r\nabc\r\n0\r\n\r\n",
            "a negative chunk": "-1\r\nabc\r\n0\r\n\r\n",
            "a chunk of 2^64": "10000000000000000\r\nabc\r\n0\r\n\r\n",
            "a chunk longer than it says": "3\r\nabcdef\r\n0\r\n\r\n",
            "a chunk that ends with bare LF": "3\nabc\n0\n\n",
            "a chunk in two writings": "0x3\r\nabc\r\n0\r\n\r\n",
            "a chunk with a blank before it": " 3\r\nabc\r\n0\r\n\r\n",
            "trailers without measure": "3\r\nabc\r\n0\r\n" + "X: y\r\n" * 100_000 + "\r\n",
            "a chunk extension without measure": "3;" + "x" * 1_000_000 + "\r\nabc\r\n0\r\n\r\n",
        }
        for name, body in wrong.items():
            chunked = self._post("Transfer-Encoding: chunked\r\n", body + _SMUGGLED)
            # An extension is passed over, whatever its length: what follows is a request of its own then.
            yield HttpCase(name=name, data=chunked, may=_NO | {422, 431}, closes="extension" not in name)

    def heads(self) -> Iterator[HttpCase]:
        """Headers that are too much."""
        many = "".join(f"X-{number}: y\r\n" for number in range(150))
        sized = f"Content-Length: {len(_BODY)}\r\n"
        wrong = {
            "a header of 9 KB": f"X: {'y' * 9_000}\r\n{sized}",
            "a header of 10 MB": f"X: {'y' * 10_000_000}\r\n{sized}",
            "a name of 9 KB": f"{'x' * 9_000}: y\r\n{sized}",
            "150 headers": many + sized,
            "a million headers": "X: y\r\n" * 1_000_000 + sized,
            "9 KB in small headers": "".join(f"X-{number}: {'y' * 200}\r\n" for number in range(45)) + sized,
            "a header without a name": f": y\r\n{sized}",
            "a header without a colon": f"X\r\n{sized}",
            "a name with a blank": f"X y: z\r\n{sized}",
        }
        for name, fields in wrong.items():
            yield HttpCase(name=name, data=self._post(fields), may=_NO | {431})

    def strange(self) -> Iterator[HttpCase]:
        """What is no request for us."""
        wrong = {
            "nothing but line ends": b"\r\n" * 10_000,
            "noise": bytes(range(256)) * 100,
            "a TLS hello": bytes.fromhex("16030100a5010000a10303") + b"\0" * 160,
            "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HTTP/0.9": b"GET /\r\n\r\n",
            "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
            "a path of 9 KB": b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "a path of 10 MB": b"GET /" + b"x" * 10_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "a path with a NUL": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
            "a method of 100 KB": b"X" * 100_000 + b" / HTTP/1.1\r\n\r\n",
            "no host": b"GET / HTTP/1.1\r\n\r\n",
            "CONNECT": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "an address of elsewhere": b"GET http://127.0.0.1:1/x HTTP/1.1\r\nHost: x\r\n\r\n",
            "a way up": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        }
        for name, data in wrong.items():
            yield HttpCase(name=name, data=data, may=_NO | {401, 404, 405, 431}, closes=False, finish=True)

    def sizes(self) -> Iterator[HttpCase]:
        """Bodies over the limit, said or not said."""
        over = 53 * MB if self._path == "/ebms" else 35 * MB + 1
        said = f"Content-Length: {over}\r\n"
        yield HttpCase(name="over the limit by its word", data=self._post(said, b""), may=frozenset({413}))
        expecting = self._post(said + "Expect: 100-continue\r\n", b"")
        yield HttpCase(name="over the limit, asking first", data=expecting, may=frozenset({413}))
        yield HttpCase(name="over the limit, and sent", data=self._post(said, b"x" * over), may=frozenset({413}))
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        endless = self._post("Transfer-Encoding: chunked\r\n", piece * (over // 0x100000 + 2))
        yield HttpCase(name="over the limit in chunks", data=endless, may=frozenset({413}))
        many = self._post("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n" * 300_000 + b"0\r\n\r\n")
        yield HttpCase(name="300,000 chunks of a byte", data=many, may=frozenset({400, 422}), closes=False)

    def bodies(self) -> Iterator[HttpCase]:
        """Bodies that are coded, doubly typed, or end too soon."""
        sized = f"Content-Length: {len(_BODY)}\r\n"
        coded = frozenset({415})
        for coding in ("gzip", "deflate", "br", "x-gzip", "gzip, gzip"):
            unread = self._post(f"Content-Encoding: {coding}\r\n{sized}")
            yield HttpCase(name=f"a body in {coding}", data=unread, may=coded)
        twice = self._post(f"content-type: text/plain\r\n{sized}")
        yield HttpCase(name="two Content-Types", data=twice, may=frozenset({400}))
        yield HttpCase(name="one Content-Type twice", data=self._post(self._fields + sized), may=frozenset({400, 401}))
        yield HttpCase(name="no Content-Type", data=self._post(sized, typed=False), may=coded)
        wrong = self._post("Content-Type: text/html\r\n" + sized, typed=False)
        yield HttpCase(name="another Content-Type", data=wrong, may=coded)
        short = self._post("Content-Length: 1000\r\n")
        yield HttpCase(name="a body that ends too soon", data=short, may=_NO, finish=True)
        yield HttpCase(name="a body that stops", data=short, may=frozenset({408}))
