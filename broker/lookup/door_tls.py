"""The TLS of a door, from files: its own certificate, and whose client certificates are looked at."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from broker.errors import Misconfigured
from broker.lookup.files import others_may_read


def server_tls(
    certificate: Path, key: Path, *, client_ca: Path | None = None, passphrases: Sequence[bytes] = ()
) -> ssl.SSLContext:
    """Return the server's TLS context (1.2 or newer). Raises Misconfigured.

    With `client_ca` (PEM: issuers, or the clients' own certificates) a client may show a certificate; one that does
    not hold ends the handshake, and one without goes on to the API, which wants a token then.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if others_may_read(key):
            raise Misconfigured("every user of the machine may read it", where=str(key), hint=f"chmod 600 {key}")
        # Without a passphrase OpenSSL would ask the terminal for one, and wait.
        for passphrase in (*passphrases, b""):
            if _loads(context, certificate, key, passphrase):
                break
        else:
            why = "certificate and key can't be read, or do not belong together"
            raise Misconfigured(why, where=str(certificate), hint="PEM; a passphrase as for keys_passphrase")
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(key)) from None
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a client's own certificate may stand there by itself
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError):
            hint = "certificates in PEM form: the issuers', or the clients' own"
            raise Misconfigured("holds no certificates that can be read", where=str(client_ca), hint=hint) from None
    return context


def _loads(context: ssl.SSLContext, certificate: Path, key: Path, passphrase: bytes) -> bool:
    try:
        context.load_cert_chain(certificate, key, password=lambda: passphrase)
    except (OSError, ssl.SSLError):
        return False
    return True
