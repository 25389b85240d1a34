"""Whose signature counts for a HER-id, and which certificate may be sealed to: by the pin in the record, or by a path
to a root and the organisation number. Whether a certificate of a path is revoked is asked later, by the stories.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography.x509 import Certificate

from broker.envelope.signature import SignaturePolicy, Verified, presented
from broker.envelope.xml import Xml
from broker.envelope.xmldsig import RSA_SHA1, RSA_SHA256, SHA1, SHA256
from broker.errors import NotTrusted
from broker.message import Direction
from broker.routing import choose
from broker.routing.party import Directory, Switch, Trust
from broker.sealing.algorithms import allowed
from broker.sealing.certificates import Use, organisation_number
from broker.sealing.paths import is_ca, load_presented


def signature_policy(directory: Directory, her_id: int, at: datetime) -> SignaturePolicy:
    """Return which signature shapes and algorithms are taken from a HER-id at `at`."""
    switches = directory.in_force(her_id, at.date())
    taken = {
        algorithm
        for algorithm in (RSA_SHA256, RSA_SHA1, SHA256, SHA1)
        if allowed(algorithm, Direction.IN, at.date(), switches)
    }
    return SignaturePolicy(
        signature_methods=frozenset(taken & {RSA_SHA256, RSA_SHA1}),
        digest_methods=frozenset(taken & {SHA256, SHA1}),
        without_xpath=Switch.NO_XPATH in switches,
        ended=ended(directory, her_id, Switch.SHA1, at),
    )


def ended(directory: Directory, her_id: int, switch: Switch, at: datetime) -> str:
    """Return what an operator is told beside a refusal where the record's exception is over; empty where it is not."""
    days = [party.ends(switch) for party in directory.lineage(her_id) if switch in party.switches]
    return f"; {switch} of its record ended with {max(days)}" if days and max(days) < at.date() else ""


def signers(directory: Directory, her_id: int, xml: Xml, at: datetime) -> Sequence[Certificate]:
    """Return the certificates that may have signed `xml` for a HER-id at `at`.

    Of a pinned party they stand in its record, and nothing in the message adds to them. Of a `path` party they are
    those that the message brings, or that the record has where it brings none, which lead to a root and name the
    organisation. Raises NotTrusted with the fault of the first where none does.
    """
    if directory.trust(her_id) is Trust.PINNED:
        return choose.signers(directory, her_id, at)
    brought = load_presented(presented(xml))
    own = [one for one in brought if not is_ca(one)] or choose.signers(directory, her_id, at)
    good, faults = [], []
    for certificate in own:
        try:
            choose.path(directory, her_id, certificate, Use.SIGN, at, brought=brought)
        except NotTrusted as why:
            faults.append(why)
        else:
            good.append(certificate)
    if faults and not good:
        raise faults[0]
    return tuple(good)


def path_of(directory: Directory, her_id: int, verified: Verified, at: datetime) -> tuple[Certificate, ...]:
    """Return the path of the certificate that signed, whose revocation is to be asked for; empty for a pinned party.

    Raises NotTrusted where certificate -> organisation -> HER-id does not hold.
    """
    if directory.trust(her_id) is Trust.PINNED:
        require_organisation(directory, verified.certificate, her_id)
        return ()
    brought = load_presented(verified.presented)
    return choose.path(directory, her_id, verified.certificate, Use.SIGN, at, brought=brought)


def require_organisation(directory: Directory, certificate: Certificate, her_id: int) -> None:
    """Check certificate -> organisation -> HER-id. A certificate or record without a number says nothing here: the pin
    is what counts then. Raises NotTrusted where the two numbers differ.
    """
    named, known = organisation_number(certificate), directory.organisation_number(her_id)
    if named is not None and known is not None and named != known:
        raise NotTrusted("the certificate is another organisation's than the one in the sender's record")
