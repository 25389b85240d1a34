"""The roots and intermediates that the settings name, as files: read once, at the start."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.x509 import Certificate

from broker.errors import Misconfigured
from broker.sealing.certificates import load_certificates
from broker.sealing.paths import Anchors, is_ca

_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


def read_anchors(roots: Sequence[Path], intermediates: Sequence[Path]) -> Anchors:
    """Return the certificates of these PEM files, or of the PEM files in these folders. Raises Misconfigured."""
    return Anchors(roots=_read(roots, "trust.roots"), intermediates=_read(intermediates, "trust.intermediates"))


def _read(paths: Sequence[Path], where: str) -> tuple[Certificate, ...]:
    found: list[Certificate] = []
    for path in paths:
        try:
            files = sorted(one for one in path.iterdir() if one.suffix in _SUFFIXES) if path.is_dir() else [path]
            if not files:
                raise Misconfigured(f"{path.name} is an empty folder", where=where, hint="put files *.pem into it")
            for file in files:
                here = load_certificates(file.read_bytes())
                if not all(map(is_ca, here)):
                    why = f"{file.name} holds a certificate that is no issuer's"
                    raise Misconfigured(why, where=where, hint="partners' own certificates go into their records")
                found += here
        except OSError as error:
            why = f"{path.name} can't be read ({error.strerror})"
            raise Misconfigured(why, where=where, hint="name files in PEM form, or folders of them") from None
        except ValueError:
            hint = "convert it: openssl x509 -inform der"
            raise Misconfigured(f"{path.name} holds no certificate in PEM form", where=where, hint=hint) from None
    return tuple(dict.fromkeys(found))
