"""The chains, each with one thing about it, and the verdict and sentence that it must get."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker.routing.party import Trust
from broker.sealing.certificates import Use
from tests.certificates import rsa_key
from tests.trust.pki import (
    CRL,
    DAY,
    ENCRYPT,
    HOUR,
    NOW,
    NUMBER,
    SIGN,
    Held,
    certificate,
    crl,
    intermediate,
    leaf,
    name,
    ocsp_answer,
    ocsp_busy,
    resigned,
    responder,
    root,
    usage,
)

MINUTE: Final = timedelta(minutes=1)
TRUSTED, REFUSED, POSTPONED = "trusted", "refused", "postponed"
Answer = bytes | OSError
ROOT, OTHER_ROOT = root(), root("En annen rot")
MID = intermediate(ROOT, path_length=0)
GOOD = leaf(MID)
DOWN: Final = OSError("no connection")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is judged, and what the world says of it. Without an entry the OCSP service says that all is well."""

    leaf: Held = GOOD
    brought: tuple[Held, ...] = (MID,)  # with the message, besides the leaf
    roots: tuple[Held, ...] = (ROOT,)
    configured: tuple[Held, ...] = ()  # intermediates in the settings
    use: Use = Use.SIGN
    trust: Trust | None = Trust.PATH
    pinned: tuple[Held, ...] = ()
    number: str | None = NUMBER
    received: datetime = NOW  # our time of receipt
    stamped: datetime = NOW  # what the sender says
    asked: datetime = NOW  # when the services are asked
    ocsp: Mapping[Held, Answer] = field(default_factory=dict)
    lists: Mapping[str, Answer] = field(default_factory=dict)  # by address


@dataclass(frozen=True, kw_only=True)
class Case:
    """One chain with its verdict; `says` is part of the sentence for the operator."""

    name: str
    verdict: str
    says: str
    scene: Callable[[], Scene]


def _case(name: str, verdict: str, says: str, scene: Callable[[], Scene]) -> Case:
    return Case(name=name, verdict=verdict, says=says, scene=scene)


def _good(name: str, scene: Callable[[], Scene]) -> Case:
    return _case(name, TRUSTED, "", scene)


def _bad(name: str, says: str, scene: Callable[[], Scene]) -> Case:
    return _case(name, REFUSED, says, scene)


def _unknown(name: str, says: str, scene: Callable[[], Scene]) -> Case:
    return _case(name, POSTPONED, says, scene)


def _of(mid: Held, **faults: object) -> Scene:
    """A good leaf of such an intermediate."""
    return Scene(leaf=leaf(mid, **faults), brought=(mid,))  # type: ignore[arg-type] # one argument of many kinds


def _named(subject: x509.Name) -> Scene:
    return Scene(leaf=leaf(MID, subject))


def _constrained(*, permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()) -> Scene:
    limits = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
    mid = intermediate(ROOT, "Utsteder med grenser", more=((limits, True),))
    own = x509.SubjectAlternativeName([x509.DNSName("ebms.vaadal.example"), x509.RFC822Name("drift@vaadal.example")])
    return Scene(leaf=leaf(mid, more=((own, False),)), brought=(mid,))


def _said(answer: Answer, *, lists: Mapping[str, Answer] | None = None, **more: object) -> Scene:
    """The OCSP service says this of the good leaf, and there is no list to fall back on unless one is given."""
    return Scene(ocsp={GOOD: answer}, lists=lists or {CRL: DOWN}, **more)  # type: ignore[arg-type] # as above


def _listed(answer: Answer, held: Held | None = None) -> Scene:
    """The good leaf's OCSP service is down, and this is the list."""
    about = held or GOOD
    return Scene(leaf=about, ocsp={about: DOWN}, lists={CRL: answer})


def _listed_by(mid: Held) -> Scene:
    """A leaf of this intermediate, which has no OCSP."""
    return Scene(leaf=leaf(mid, ocsp_at=None), brought=(mid,), lists={CRL: crl(mid)})


@cache
def _list_only() -> Held:
    return leaf(MID, ocsp_at=None)


def _point(**scope: bool) -> tuple[x509.ExtensionType, bool]:
    given = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **scope,
    }
    return x509.IssuingDistributionPoint(None, None, only_some_reasons=None, **given), True


def _twice(inside: object) -> None:
    extensions = inside["extensions"]  # type: ignore[index] # asn1crypto has no types
    extensions.append(extensions[1].copy())


def _weak(bits: int = 1024) -> rsa.RSAPrivateKey:
    return rsa_key("trust weak", bits)


_UNKNOWN_CRITICAL = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True),)
_SELF = certificate(name("Vaadal kommune", number=NUMBER))
_PINNED_EXPIRED = certificate(name("Vaadal kommune", number=NUMBER), ends=NOW - DAY)
_OTHERS = certificate(name("Fremmed kommune", number="271828183"))

PATHS: Final = (
    _good("a chain of three", Scene),
    _good("for sealing", lambda: Scene(leaf=leaf(MID, usage=ENCRYPT), use=Use.ENCRYPT)),
    _good("the intermediate in the settings", lambda: Scene(brought=(), configured=(MID,))),
    _good("signed by the root itself", lambda: Scene(leaf=leaf(ROOT), brought=())),
    _good("the root came along, too", lambda: Scene(brought=(ROOT, MID))),
    _good("the last second of its time", lambda: Scene(leaf=leaf(MID, ends=NOW))),
    _bad("expired", "the certificate has expired", lambda: Scene(leaf=leaf(MID, ends=NOW - DAY))),
    _bad("not yet valid", "the certificate is not valid yet", lambda: Scene(leaf=leaf(MID, begins=NOW + DAY))),
    _bad("for encryption, signs", "key usage", lambda: Scene(leaf=leaf(MID, usage=ENCRYPT))),
    _bad("for signing, sealed to", "key usage", lambda: Scene(use=Use.ENCRYPT)),
    _bad(
        "for a web server alone",
        "for another purpose",
        lambda: Scene(leaf=leaf(MID, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))),
    ),
    _good("for client and mail", lambda: Scene(leaf=leaf(MID, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)))),
    _bad("of another CA", "the issuer is none of our roots", lambda: _of(intermediate(OTHER_ROOT, "Annen CA"))),
    _bad(
        "the other CA comes along", "does not lead to one", lambda: Scene(leaf=leaf(OTHER_ROOT), brought=(OTHER_ROOT,))
    ),
    _bad("no roots at all", "no roots are configured", lambda: Scene(roots=())),
    _bad("self-signed, not pinned", "self-signed, and no root", lambda: Scene(leaf=_SELF, brought=())),
    _bad("a root as its own leaf", "an issuer's", lambda: Scene(leaf=ROOT, brought=())),
    _bad(
        "an organisation's own among the roots", "itself a root", lambda: Scene(leaf=_SELF, brought=(), roots=(_SELF,))
    ),
    _bad("an intermediate as leaf", "an issuer's", lambda: Scene(leaf=MID, brought=())),
    _bad(
        "path length",
        "(path length)",
        lambda: Scene(leaf=leaf(under := intermediate(MID, "Under CA")), brought=(under, MID)),
    ),
    _good(
        "a longer chain, permitted",
        lambda: Scene(
            leaf=leaf(under := intermediate(over := intermediate(ROOT, "Over CA", path_length=1), "Under CA")),
            brought=(under, over),
        ),
    ),
    _bad("basicConstraints missing", "may issue others", lambda: _of(intermediate(ROOT, "Ikke CA", ca=None))),
    _bad("basicConstraints false", "may issue others", lambda: _of(intermediate(ROOT, "Ikke CA", ca=False))),
    _bad(
        "issuer may not sign certificates",
        "does not permit to sign certificates",
        lambda: _of(intermediate(ROOT, "Bare CRL", usage=usage("crl_sign"))),
    ),
    _good("names permitted", lambda: _constrained(permitted=(x509.DNSName("vaadal.example"),))),
    _bad("names not permitted", "name constraints", lambda: _constrained(permitted=(x509.DNSName("nordli.example"),))),
    _bad("names excluded", "name constraints", lambda: _constrained(excluded=(x509.DNSName("vaadal.example"),))),
    _bad("mail excluded", "name constraints", lambda: _constrained(excluded=(x509.RFC822Name("vaadal.example"),))),
    _bad(
        "constraints that can't be judged",
        "name constraints",
        lambda: _constrained(permitted=(x509.DirectoryName(name("Vaadal kommune")),)),
    ),
    _bad("unknown critical extension", "critical", lambda: Scene(leaf=leaf(MID, more=_UNKNOWN_CRITICAL))),
    _good(
        "unknown extension, not critical",
        lambda: Scene(leaf=leaf(MID, more=((_UNKNOWN_CRITICAL[0][0], False),))),
    ),
    _bad("its issuer has one", "critical", lambda: _of(intermediate(ROOT, "Kritisk CA", more=_UNKNOWN_CRITICAL))),
    _bad("an extension twice", "an extension twice", lambda: Scene(leaf=resigned(GOOD, MID, _twice))),
    _bad("intermediate missing", "an intermediate certificate is missing", lambda: Scene(brought=())),
    _bad(
        "intermediate expired",
        "an intermediate certificate has expired",
        lambda: _of(intermediate(ROOT, "Gammel CA", ends=NOW - DAY)),
    ),
    _bad(
        "intermediate not yet valid",
        "an intermediate certificate is not valid yet",
        lambda: _of(intermediate(ROOT, "Ny CA", begins=NOW + DAY)),
    ),
    _bad(
        "root expired",
        "the root certificate has expired",
        lambda: Scene(leaf=leaf(old := root("Gammel rot", ends=NOW - DAY)), brought=(), roots=(old,)),
    ),
    _bad(
        "says it is of our CA",
        "is not signed by the issuer that it names",
        lambda: Scene(leaf=leaf(OTHER_ROOT, named_issuer=MID.subject)),
    ),
    _bad("key of 1024 bits", "fewer than 2048 bits", lambda: Scene(leaf=leaf(MID, key=_weak()))),
    _bad(
        "issuer's key of 1024 bits",
        "fewer than 2048 bits",
        lambda: _of(intermediate(ROOT, "Svak CA", key=_weak())),
    ),
    _bad("EC key", "no RSA key", lambda: Scene(leaf=leaf(MID, key=ec.generate_private_key(ec.SECP256R1())))),
    _bad(
        "intermediate signed with SHA-1",
        "an algorithm that is not taken",
        lambda: Scene(brought=(resigned(MID, ROOT, lambda _: None, algorithm="sha1_rsa"),)),
    ),
    _bad(
        "signed with SHA-1",
        "an algorithm that is not taken",
        lambda: Scene(leaf=resigned(GOOD, MID, lambda _: None, algorithm="sha1_rsa")),
    ),
)

_WIDE: Final = "".join(chr(ord(digit) + 0xFEE0) for digit in NUMBER)  # they look like digits, and are others
_MISNAMED: Final = "does not name the organisation"
NAMES: Final = (
    _good("number by organizationIdentifier (SEID 2.0)", lambda: _named(name("Vaadal", number=NUMBER))),
    _good("number by serialNumber (SEID 1.0)", lambda: _named(name("Vaadal", serial=NUMBER))),
    _bad("another number", _MISNAMED, lambda: _named(name("Vaadal kommune", number="271828183"))),
    _bad("no number, the right name", _MISNAMED, lambda: _named(name("Vaadal kommune"))),
    _bad("two numbers", _MISNAMED, lambda: _named(name("Vaadal", number=NUMBER, identifier="NTRNO-271828183"))),
    _bad("number in another register", _MISNAMED, lambda: _named(name("Vaadal", identifier=f"VATNO-{NUMBER}"))),
    _bad("number of another country", _MISNAMED, lambda: _named(name("Vaadal", identifier=f"NTRSE-{NUMBER}"))),
    _bad("number with a blank", _MISNAMED, lambda: _named(name("Vaadal", serial=f"{NUMBER} "))),
    _bad("number with a tail", _MISNAMED, lambda: _named(name("Vaadal", identifier=f"NTRNO-{NUMBER}0"))),
    _bad("number in full-width digits", _MISNAMED, lambda: _named(name("Vaadal", identifier=f"NTRNO-{_WIDE}"))),
    _bad("number in the name", _MISNAMED, lambda: _named(name(f"NTRNO-{NUMBER}", organisation=NUMBER))),
    _bad(
        "name with a homoglyph",
        _MISNAMED,
        lambda: _named(name("V", organisation="Vаadal kommune", number="271828183")),
    ),
    _bad("name in capitals", _MISNAMED, lambda: _named(name("V", organisation="VAADAL KOMMUNE", serial="271828183"))),
    _bad("name with an extra blank", _MISNAMED, lambda: _named(name("V", organisation="Vaadal  kommune"))),
    _bad("the record has no number", "has no organisation number", lambda: Scene(number=None)),
)

_REVOKED: Final = "the certificate is revoked"
REVOCATION: Final = (
    _good("good by OCSP", lambda: _said(ocsp_answer(GOOD, MID))),
    _good("good by CRL", lambda: _listed(crl(MID))),
    _good("only a CRL is named", lambda: Scene(leaf=_list_only(), lists={CRL: crl(MID)})),
    _bad("revoked by OCSP", _REVOKED, lambda: _said(ocsp_answer(GOOD, MID, revoked_at=NOW - DAY))),
    _bad("revoked by CRL", _REVOKED, lambda: _listed(crl(MID, {GOOD: NOW - DAY}))),
    _bad(
        "on hold by OCSP",
        _REVOKED,
        lambda: _said(
            ocsp_answer(GOOD, MID, revoked_at=NOW - DAY, reason=x509.ReasonFlags.certificate_hold),
        ),
    ),
    _bad(
        "on hold by CRL",
        _REVOKED,
        lambda: _listed(crl(MID, {GOOD: NOW - DAY}, reason=x509.ReasonFlags.certificate_hold)),
    ),
    _bad(
        "for sealing, revoked",
        _REVOKED,
        lambda: Scene(
            leaf=(sealed := leaf(MID, usage=ENCRYPT)),
            use=Use.ENCRYPT,
            ocsp={sealed: ocsp_answer(sealed, MID, revoked_at=NOW - DAY)},
        ),
    ),
    _bad(
        "intermediate revoked by OCSP",
        "an intermediate certificate is revoked",
        lambda: Scene(ocsp={MID: ocsp_answer(MID, ROOT, revoked_at=NOW - DAY)}),
    ),
    _bad(
        "intermediate revoked by CRL",
        "an intermediate certificate is revoked",
        lambda: Scene(ocsp={MID: DOWN}, lists={CRL: crl(ROOT, {MID: NOW - DAY})}),
    ),
    _good(
        "revoked after receipt",
        lambda: _said(
            ocsp_answer(GOOD, MID, revoked_at=NOW + 10 * MINUTE, begins=NOW + 10 * MINUTE, ends=NOW + DAY),
            asked=NOW + 30 * MINUTE,
        ),
    ),
    _bad(
        "revoked before receipt, after the Timestamp",
        _REVOKED,
        lambda: _said(ocsp_answer(GOOD, MID, revoked_at=NOW - DAY), stamped=NOW - 2 * DAY),
    ),
    _bad(
        "revoked by CRL before receipt, after the Timestamp",
        _REVOKED,
        lambda: Scene(ocsp={GOOD: DOWN}, lists={CRL: crl(MID, {GOOD: NOW - HOUR})}, stamped=NOW - DAY),
    ),
    _good("delegated OCSP signer", lambda: _said(ocsp_answer(GOOD, MID, signer=responder(MID)))),
    _unknown(
        "OCSP from the wrong signer",
        "signed by someone else",
        lambda: _said(ocsp_answer(GOOD, MID, signer=responder(OTHER_ROOT))),
    ),
    _unknown(
        "OCSP revoked, from the wrong signer",
        "signed by someone else",
        lambda: _said(ocsp_answer(GOOD, MID, signer=responder(OTHER_ROOT), revoked_at=NOW - DAY)),
    ),
    _unknown(
        "OCSP signed by the root",
        "signed by someone else",
        lambda: _said(ocsp_answer(GOOD, MID, signer=ROOT)),
    ),
    _unknown(
        "OCSP signer without the purpose",
        "may not sign such answers",
        lambda: _said(ocsp_answer(GOOD, MID, signer=responder(MID, purposes=()))),
    ),
    _unknown(
        "OCSP signed by another customer of the CA",
        "may not sign such answers",
        lambda: _said(ocsp_answer(GOOD, MID, signer=leaf(MID, name("Nabo", number="271828183"), usage=SIGN))),
    ),
    _unknown(
        "delegated OCSP signer expired",
        "out of its time",
        lambda: _said(ocsp_answer(GOOD, MID, signer=responder(MID, ends=NOW - DAY))),
    ),
    _unknown("OCSP signature broken", "signature does not hold", lambda: _said(ocsp_answer(GOOD, MID, spoilt=True))),
    _unknown("OCSP knows it not", "does not know", lambda: _said(ocsp_answer(GOOD, MID, unknown=True))),
    _unknown("OCSP for another serial", "about another", lambda: _said(ocsp_answer(leaf(MID), MID))),
    _unknown(
        "OCSP for another issuer's serial",
        "about another",
        lambda: _said(ocsp_answer(GOOD, OTHER_ROOT, signer=responder(MID))),
    ),
    _unknown("OCSP has no time now", "can't answer now", lambda: _said(ocsp_busy())),
    _unknown("OCSP answers rubbish", "can't be read", lambda: _said(b"<html>no</html>")),
    _unknown(
        "stale OCSP",
        "out of date",
        lambda: _said(ocsp_answer(GOOD, MID, begins=NOW - 2 * DAY, ends=NOW - DAY)),
    ),
    _good(
        "stale by less than clocks differ",
        lambda: _said(ocsp_answer(GOOD, MID, begins=NOW - DAY, ends=NOW - MINUTE)),
    ),
    _unknown(
        "OCSP of the future",
        "of the future",
        lambda: _said(ocsp_answer(GOOD, MID, begins=NOW + HOUR, ends=NOW + DAY)),
    ),
    _good("OCSP just made, without nextUpdate", lambda: _said(ocsp_answer(GOOD, MID, begins=NOW, ends=None))),
    _unknown(
        "OCSP an hour old, without nextUpdate",
        "out of date",
        lambda: _said(ocsp_answer(GOOD, MID, begins=NOW - HOUR, ends=None)),
    ),
    _good(
        "OCSP is stale, the CRL is not",
        lambda: _said(ocsp_answer(GOOD, MID, begins=NOW - 2 * DAY, ends=NOW - DAY), lists={CRL: crl(MID)}),
    ),
    _unknown(
        "stale CRL",
        "out of date",
        lambda: _listed(crl(MID, begins=NOW - 3 * DAY, ends=NOW - DAY)),
    ),
    _unknown(
        "CRL of the future",
        "of the future",
        lambda: _listed(crl(MID, begins=NOW + HOUR, ends=NOW + DAY)),
    ),
    _unknown("CRL without nextUpdate", "until when it holds", lambda: _listed(crl(MID, ends=None))),
    _unknown("CRL from another issuer", "of another issuer", lambda: _listed(crl(OTHER_ROOT))),
    _unknown(
        "CRL in the issuer's name, by another",
        "signature does not hold",
        lambda: _listed(crl(OTHER_ROOT, named_issuer=MID.subject)),
    ),
    _unknown("CRL signature broken", "signature does not hold", lambda: _listed(crl(MID, spoilt=True))),
    _unknown("CRL is rubbish", "can't be read", lambda: _listed(b"-----BEGIN X509 CRL-----")),
    _unknown(
        "CRL for issuers alone",
        "not for certificates such as this",
        lambda: _listed(crl(MID, more=(_point(only_contains_ca_certs=True),))),
    ),
    _unknown(
        "CRL of others' certificates",
        "for all reasons",
        lambda: _listed(crl(MID, more=(_point(indirect_crl=True),))),
    ),
    _unknown(
        "CRL that only adds to another",
        "critical extension",
        lambda: _listed(crl(MID, more=((x509.DeltaCRLIndicator(1), True),))),
    ),
    _unknown("all services are down", "no connection", lambda: _said(DOWN)),
    _unknown(
        "a host that the operator has not named",
        "no revocation service of a certificate may be asked",
        lambda: Scene(leaf=leaf(MID, ocsp_at="http://elsewhere.test/", crl_at=None)),
    ),
    _bad(
        "no service is named",
        "does not say where",
        lambda: Scene(leaf=leaf(MID, ocsp_at=None, crl_at=None)),
    ),
    _bad(
        "only by LDAP",
        "does not say where",
        lambda: Scene(leaf=leaf(MID, ocsp_at=None, crl_at="ldap://crl.ca.test/cn=crl")),
    ),
    _unknown(
        "issuer may not sign CRLs",
        "may not sign CRLs",
        lambda: _listed_by(intermediate(ROOT, "Uten CRL", usage=usage("key_cert_sign"))),
    ),
)

PINNED: Final = (
    _good("pinned, self-signed", lambda: Scene(leaf=_SELF, brought=(), trust=None, pinned=(_SELF,))),
    _good("pinned, and no roots", lambda: Scene(trust=Trust.PINNED, pinned=(GOOD,), roots=())),
    _bad(
        "pinned, expired",
        "not one of the record's",
        lambda: Scene(leaf=_PINNED_EXPIRED, trust=Trust.PINNED, pinned=(_PINNED_EXPIRED,)),
    ),
    _bad("pinned, and another is used", "not one of the record's", lambda: Scene(trust=None, pinned=(_SELF,))),
    _bad(
        "pinned, of another organisation",
        "another organisation's",
        lambda: Scene(leaf=_OTHERS, trust=None, pinned=(_OTHERS,)),
    ),
    _bad("by path, self-signed in the record", "self-signed", lambda: Scene(leaf=_SELF, brought=(), pinned=(_SELF,))),
)

CASES: Final = (*PATHS, *NAMES, *REVOCATION, *PINNED)
