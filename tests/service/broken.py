"""Broken installations, each with the sentence that names what is wrong. A way of breaking is told nothing of names."""

import os
import secrets
import shutil
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker.lookup.shipped import shipped
from broker.sealing.certificates import Use, new_certificate
from tests.certificates import rsa_key
from tests.service.installation import ORGANISATION, Installation, now
from tests.store.values import OURS

Break = Callable[[Installation, ExitStack], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One way in which an installation is broken."""

    name: str
    check: str  # the check that must name it
    sentence: str  # a regular expression, found in the English text
    breaks: Break


def _private(installation: Installation) -> rsa.RSAPrivateKey:
    key = load_pem_private_key((installation.keys / "signing.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _certify(installation: Installation, *, use: Use = Use.SIGN, begin: int = -10, end: int = 300) -> bytes:
    at, key = now(), _private(installation)
    certificate = new_certificate(
        "Fjordvik kommune",
        ORGANISATION,
        use,
        at + timedelta(days=begin),
        at + timedelta(days=end),
        key,
        serial=secrets.randbits(64) + 1,
    )
    return certificate.public_bytes(Encoding.PEM)


def _signing_certificate(use: Use = Use.SIGN, begin: int = -10, end: int = 300) -> Break:
    def breaks(installation: Installation, _stack: ExitStack) -> None:
        (installation.keys / "signing.crt").write_bytes(_certify(installation, use=use, begin=begin, end=end))

    return breaks


def _chain(installation: Installation, _stack: ExitStack) -> None:
    path = installation.keys / "signing.crt"
    path.write_bytes(path.read_bytes() + (installation.keys / "encryption.crt").read_bytes())


def _unreadable(installation: Installation, _stack: ExitStack) -> None:
    key = installation.keys / "signing.pem"
    if os.geteuid() == 0:  # root reads everything: the broker's own user is another, and the key is not his
        os.chown(installation.data, 12_345, 12_345)
        key.chmod(0o600)
    else:
        key.chmod(0)


def _encrypted_key(installation: Installation, _stack: ExitStack) -> None:
    closed = BestAvailableEncryption(b"a passphrase that no setting names")
    pem = _private(installation).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)
    (installation.keys / "signing.pem").write_bytes(pem)


def _other_certificate(installation: Installation, _stack: ExitStack) -> None:
    shutil.copy(installation.keys / "encryption.crt", installation.keys / "signing.crt")


def _gone(*names: str) -> Break:
    def breaks(installation: Installation, _stack: ExitStack) -> None:
        for name in names:
            (installation.folder / name).unlink()

    return breaks


def _mode(name: str, mode: int) -> Break:
    return lambda installation, _stack: (installation.folder / name).chmod(mode)


def _write(name: str, content: bytes) -> Break:
    def breaks(installation: Installation, _stack: ExitStack) -> None:
        (installation.folder / name).write_bytes(content)

    return breaks


def _settings(old: str, new: str) -> Break:
    return lambda installation, _stack: installation.settings(old, new)


def _record(name: str, *lines: str) -> Break:
    return lambda installation, _stack: installation.record(name, *lines)


def _port_taken(installation: Installation, stack: ExitStack) -> None:
    other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    installation.settings("[partner]\nport = 0", f"[partner]\nport = {other.getsockname()[1]}")


def _no_schema(installation: Installation, _stack: ExitStack) -> None:
    shutil.copytree(shipped("schemas"), installation.folder / "schemas")
    (installation.folder / "schemas" / "kith" / "dialogmelding-1.1.xsd").unlink()
    installation.settings('environment = "test"', 'environment = "test"\nschemas = "schemas"')


def _bad_process(installation: Installation, _stack: ExitStack) -> None:
    shutil.copytree(shipped("processes"), installation.folder / "processes")
    (installation.folder / "processes" / "dialog.toml").write_text('name = "DIALOG"\nversion = "one"\n')
    installation.settings('environment = "test"', 'environment = "test"\nprocesses = "processes"')


def _sql(statement: str) -> Break:
    def breaks(installation: Installation, _stack: ExitStack) -> None:
        with closing(sqlite3.connect(installation.data / "store.sqlite")) as db:
            db.executescript(statement)

    return breaks


def _rot(installation: Installation, _stack: ExitStack) -> None:
    path = installation.data / "store.sqlite"
    whole = bytearray(path.read_bytes())
    whole[4096 * 2 : 4096 * 12] = bytes(4096 * 10)
    path.write_bytes(whole)


def _future(installation: Installation, _stack: ExitStack) -> None:
    at = int((now() + timedelta(days=1)).timestamp() * 1_000_000)
    with closing(sqlite3.connect(installation.data / "store.sqlite")) as db:
        db.execute("INSERT INTO event (kind, at, feed, codes) VALUES ('security', ?, 0, '[]')", (at,))
        db.commit()


@contextmanager
def _serving(context: ssl.SSLContext | None) -> Iterator[int]:
    """Answer each connection with a TLS handshake, or with text that is none."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        ending = threading.Event()
        door.settimeout(0.1)

        def serve() -> None:
            while not ending.is_set():
                try:
                    connection, _ = door.accept()
                except TimeoutError:
                    continue
                with connection, suppress(OSError):  # the client hangs up on us, as it should
                    if context is None:
                        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    else:
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            ending.set()
            thread.join()


def _tls(*, certified: bool) -> Break:
    def breaks(installation: Installation, stack: ExitStack) -> None:
        context = None
        if certified:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(installation.keys / "signing.crt", installation.keys / "signing.pem")
        installation.partner(f"https://127.0.0.1:{stack.enter_context(_serving(context))}/ebms")

    return breaks


def _dead_port(installation: Installation, _stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    installation.partner(f"https://127.0.0.1:{port}/ebms")


def _door_key(installation: Installation, _stack: ExitStack) -> None:
    pem = rsa_key("another").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (installation.folder / "door.pem").write_bytes(pem)
    folder = f"keys/{ORGANISATION}"
    installation.settings("[epj]", f'[epj]\ncertificate = "{folder}/signing.crt"\nkey = "door.pem"')


def _door_expired(installation: Installation, stack: ExitStack) -> None:
    (installation.folder / "door.crt").write_bytes(_certify(installation, begin=-300, end=-2))
    folder = f"keys/{ORGANISATION}"
    installation.settings("[epj]", f'[epj]\ncertificate = "door.crt"\nkey = "{folder}/signing.pem"')


KEY, SIGNING = f"keys/{ORGANISATION}/signing.pem", f"keys/{ORGANISATION}/signing.crt"

BROKEN = tuple(
    Broken(name=name, check=check, sentence=sentence, breaks=breaks)
    for name, check, sentence, breaks in (
        ("the settings are gone", "settings", r"broker\.toml: can't be read", _gone("broker.toml")),
        ("the settings are no TOML", "settings", r"broker\.toml", _write("broker.toml", b"environment = test")),
        (
            "a setting is unknown",
            "settings",
            r"workers\.concurency: no setting",
            _settings("[limits]", "[workers]\nconcurency = 2\n[limits]"),
        ),
        (
            "a setting has a wrong form",
            "settings",
            r"partner\.port: must be a number of at most 65535",
            _settings("[partner]\nport = 0", "[partner]\nport = 99999"),
        ),
        (
            "a HER-id is hosted twice",
            "settings",
            r"each number and each HER-id once",
            _settings(f"hers = [{OURS}]", f"hers = [{OURS}, {OURS}]"),
        ),
        (
            "the passphrase's file is gone",
            "keys",
            r"keys_passphrase: the file can't be read",
            _settings('environment = "test"', 'environment = "test"\nkeys_passphrase = "nowhere"'),
        ),
        ("everybody may read a key", "keys", r"signing\.pem: every user of the machine may read it", _mode(KEY, 0o644)),
        (
            "the broker's user can't read a key",
            "keys",
            r"signing\.pem: (?:the broker's user )?can't (?:be )?read",
            _unreadable,
        ),
        ("a key has a passphrase", "keys", r"signing\.pem: has a passphrase", _encrypted_key),
        ("a key is no key", "keys", r"signing\.pem: holds no private key", _write(KEY, b"-----BEGIN NOTHING-----")),
        (
            "a certificate is of another key",
            "keys",
            r"signing\.crt: is the certificate of another key",
            _other_certificate,
        ),
        ("the signing key is gone", "keys", r"has no signing key", _gone(KEY, SIGNING)),
        ("the encryption key is gone", "keys", r"has no encryption key", _gone(KEY.replace("signing", "encryption"))),
        (
            "the signing certificate has expired",
            "keys",
            r"signing certificate .* has expired",
            _signing_certificate(begin=-300, end=-2),
        ),
        (
            "the signing certificate is not valid yet",
            "keys",
            r"signing certificate .* is not valid yet",
            _signing_certificate(begin=2),
        ),
        (
            "the signing certificate is for another use",
            "keys",
            r"signing certificate .* is not for signing",
            _signing_certificate(Use.ENCRYPT),
        ),
        ("the chain does not hold together", "certificates", r"signing\.crt: the chain does not hold", _chain),
        ("the site key is gone", "site key", r"site\.key: is missing", _gone("data/site.key")),
        (
            "the site key is cut short",
            "site key",
            r"site\.key: is not a key of 32 bytes",
            _write("data/site.key", b"x" * 31),
        ),
        (
            "the site key is another store's",
            "store",
            r"not the one that this store was made with",
            _write("data/site.key", b"x" * 32),
        ),
        ("a schema is missing", "schemas", r"dialogmelding", _no_schema),
        ("a process file is wrong", "processes", r"processes/dialog\.toml", _bad_process),
        ("a record is no TOML", "addresses", r"addresses/partner\.toml", _record("partner.toml", "her_id =")),
        (
            "two records have one HER-id",
            "addresses",
            rf"{OURS}",
            _record("twice.toml", f"her_id = {OURS}", 'name = "Samme"', 'kind = "epj"'),
        ),
        (
            "our party has no record",
            "addresses",
            rf"{OURS} is hosted here and has no address record",
            _gone("addresses/ours.toml"),
        ),
        (
            "the clients' file is wrong",
            "clients",
            r"token_sha256",
            _write("clients.toml", b'[[client]]\nname = "EPJ"\ntoken_sha256 = "12"\nhers = [1]\n'),
        ),
        (
            "a client speaks for a stranger",
            "clients",
            r"speaks for 7, which is not hosted here",
            _write("clients.toml", b'[[client]]\nname = "EPJ"\ntoken_sha256 = "' + b"ab" * 32 + b'"\nhers = [7]\n'),
        ),
        (
            "the data folder can't be written",
            "disk",
            r"/proc: can't be written",
            _settings('environment = "test"', 'environment = "test"\ndata = "/proc/broker"'),
        ),
        (
            "the disk is nearly full",
            "disk",
            r"less than the reserve",
            _settings("reserve = 0", "reserve = 9000000000000000"),
        ),
        ("the clock went back", "clock", r"the clock is \d+ seconds behind", _future),
        ("the database is damaged", "store", r"the database is damaged", _rot),
        ("a newer broker wrote the store", "store", r"written by a newer broker", _sql("PRAGMA user_version = 99;")),
        ("a port is taken", "ports", r"partner 127\.0\.0\.1:\d+ is taken by another program", _port_taken),
        (
            "a door's address is not ours",
            "ports",
            r"can't be used \(Cannot assign",
            _settings("[epj]", '[epj]\nplain = true\nhost = "192.0.2.1"'),
        ),
        ("a door's key is another's", "ports", r"certificate and key can't be read, or do not belong", _door_key),
        ("a door's certificate has expired", "ports", r"TLS certificate has expired", _door_expired),
        ("a partner's port is dead", "partners", r"nobody answers at the port", _dead_port),
        ("a partner speaks no TLS", "partners", r"TLS could not be agreed", _tls(certified=False)),
        (
            "a partner's TLS is not trusted",
            "partners",
            r"TLS certificate does not hold \(self-signed certificate\)",
            _tls(certified=True),
        ),
    )
)
