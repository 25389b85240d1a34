"""A private key together with its certificate, as loaded once at start: what signs, and what opens."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An RSA private key and the certificate that names its holder. The key never shows in a repr."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate


SigningKey = KeyPair
