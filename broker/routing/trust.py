"""Whose signature counts for a HER-id: what its record lets it sign with, and whether the certificate's organisation is
the record's. Until chains and revocation are judged, trust is the certificate pinned in the record.
"""

from datetime import datetime

from cryptography.x509 import Certificate

from broker.envelope.signature import SignaturePolicy
from broker.envelope.xmldsig import RSA_SHA1, RSA_SHA256, SHA1, SHA256
from broker.errors import NotTrusted
from broker.message import Direction
from broker.routing.party import Directory, Switch
from broker.sealing.algorithms import allowed
from broker.sealing.certificates import organisation_number


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


def require_organisation(directory: Directory, certificate: Certificate, her_id: int) -> None:
    """Check certificate -> organisation -> HER-id. A certificate or record without a number says nothing here: the pin
    is what counts then. Raises NotTrusted where the two numbers differ.
    """
    named = organisation_number(certificate)
    known = next((party.organisation_number for party in directory.lineage(her_id) if party.organisation_number), None)
    if named is not None and known is not None and named != known:
        raise NotTrusted("the certificate is another organisation's than the one in the sender's record")
