"""A private key with its certificate, and which of several generations signs at an instant. Pure.

A generation may be dated: it is loaded today and signs from its day on, so that partners get its certificate first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.sealing.certificates import Use, usable


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An RSA private key and the certificate that names its holder. The key never shows in a repr."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate


SigningKey = KeyPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One key pair of several that an organisation has for one use, and from when it is to sign.

    `starts` is the day that the operator gave it; None: from the beginning of its certificate.
    """

    pair: KeyPair
    starts: datetime | None = None
    source: str = ""  # the file that it stands in, for people

    @property
    def begins(self) -> datetime:
        """Return from when it is meant to sign: never before its certificate is valid."""
        valid = self.pair.certificate.not_valid_before_utc
        return valid if self.starts is None else max(valid, self.starts)

    @property
    def ends(self) -> datetime:
        """Return the last instant at which its certificate is valid."""
        return self.pair.certificate.not_valid_after_utc


def signing_at(generations: Iterable[Generation], at: datetime) -> Generation | None:
    """Return the generation that signs at `at`: of the usable ones that have begun, the one that began last.

    Where none has begun, one that is valid and waits for its day signs all the same: partners may already know it, and
    without it nothing would go out. None where no certificate can be used.
    """
    good = [each for each in generations if usable(each.pair.certificate, Use.SIGN, at).ok]
    begun = [each for each in good if each.begins <= at]
    if begun:
        return max(begun, key=lambda each: (each.begins, each.ends, each.source))
    return min(good, key=lambda each: (each.begins, each.ends, each.source), default=None)
