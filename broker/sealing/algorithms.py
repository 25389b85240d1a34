"""Which algorithms we use and accept, and until when: the one dated list, for signatures and encryption alike.

The rule of the list: what we send is only what has no known weakness and every party can read. What we accept is
wider, and ends on a date. After that date (or always, where the date lies in the past) only a written exception in the
party's record lets it in, so that whoever still depends on it is known by name; and each exception ends on a date too.

The list is part of the program: to change it is a release, and no file of a site can widen it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from broker.message import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One row of the list.

    `id` is the URI (XML Signature) or the dotted OID (CMS). `in_until` is the last day on which it is accepted
    without an exception; None is no end. `switch` is the exception, by the name that it has in a party's record.
    """

    id: str
    name: str
    in_until: date | None = None
    switch: str | None = None
    out: bool = False


# SP 800-131A ended SHA-1 in new signatures with 2013, its revision 2 three-key triple DES with 2023.
_SHA1_END = date(2013, 12, 31)
_3DES_END = date(2023, 12, 31)

_DSIG, _MORE, _XMLENC = (
    "http://www.w3.org/2000/09/xmldsig#",
    "http://www.w3.org/2001/04/xmldsig-more#",
    "http://www.w3.org/2001/04/xmlenc#",
)
_AES, _RSA = "2.16.840.1.101.3.4.1.", "1.2.840.113549.1.1."

ALGORITHMS: tuple[Algorithm, ...] = (
    # Signatures and digests, XML Signature 1.1 section 6
    Algorithm(id=_MORE + "rsa-sha256", name="rsa-sha256", out=True),
    Algorithm(id=_DSIG + "rsa-sha1", name="rsa-sha1", in_until=_SHA1_END, switch="sha1-in"),
    Algorithm(id=_XMLENC + "sha256", name="sha256", out=True),
    Algorithm(id=_DSIG + "sha1", name="sha1", in_until=_SHA1_END, switch="sha1-in"),
    # Content encryption, RFC 3565 (AES-CBC), RFC 5084 (AES-GCM), RFC 5652 section 12 (triple DES)
    Algorithm(id=_AES + "42", name="aes256-cbc", out=True),
    Algorithm(id=_AES + "46", name="aes256-gcm", out=True),
    Algorithm(id=_AES + "22", name="aes192-cbc"),
    Algorithm(id=_AES + "26", name="aes192-gcm"),
    Algorithm(id=_AES + "2", name="aes128-cbc"),
    Algorithm(id=_AES + "6", name="aes128-gcm"),
    Algorithm(id="1.2.840.113549.3.7", name="3des-cbc", in_until=_3DES_END, switch="3des-in"),
    # Key transport, RFC 8017 section 7. PKCS#1 v1.5 is what the sector's engines write: none of them sets OAEP.
    Algorithm(id=_RSA + "1", name="rsaes-pkcs1-v1_5", out=True),
    Algorithm(id=_RSA + "7", name="rsaes-oaep", out=True),
)

# An exception that its record gives no last day ends with this one.
UNDATED_UNTIL = date(2027, 6, 30)

BY_ID = {algorithm.id: algorithm for algorithm in ALGORITHMS}


def allowed(algorithm: str, direction: Direction, on: date, exceptions: Collection[str] = ()) -> bool:
    """Return whether the algorithm with this URI or OID may be used in `direction` on that day.

    `exceptions` are the switches of the party's record; they widen only what we accept, never what we send, and only
    to algorithms of this list. An unknown algorithm is never allowed.
    """
    known = BY_ID.get(algorithm)
    if known is None:
        return False
    if direction is Direction.OUT:
        return known.out
    return known.in_until is None or on <= known.in_until or known.switch in exceptions
