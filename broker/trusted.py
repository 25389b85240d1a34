"""Whether certificates that are trusted by path are revoked: when that is asked, what it means, and what is kept of it.

A party whose certificates are pinned costs nothing here: its record is the evidence.
"""

from datetime import datetime
from hashlib import sha256

from broker.diagnosis import causes
from broker.envelope.signature import Verified
from broker.errors import NotTrusted, PartnerUnusable
from broker.message import KeptStatement, NewBody, Statement
from broker.ports import Doors
from broker.routing.choose import Route
from broker.routing.party import Directory, Trust
from broker.routing.trust import path_of


async def trust_receiver(way: Route, receiver: int, now: datetime, doors: Doors) -> None:
    """Ask whether the receiver's certificate is revoked, where it is trusted by path.

    Raises PartnerUnusable (MB-2022) or RevocationUnknown.
    """
    if not way.path:
        return
    try:
        await doors.revocation.require_good(way.path, now)
    except NotTrusted as why:
        said = f"the encryption certificate of HER-id {receiver} can't be used: {why.why}"
        hint = "put the partner's new certificate into its address record, and take this one out"
        raise PartnerUnusable(said, error_id=causes.PARTNER_REVOKED, hint=hint) from None


async def trust_signer(
    verified: Verified | None, directory: Directory, her_id: int, at: datetime, doors: Doors
) -> None:
    """Ask whether the certificate that signed is revoked, where its party is trusted by path; None: nobody signed.

    Raises NotTrusted or RevocationUnknown.
    """
    if verified is not None and directory.trust(her_id) is Trust.PATH:
        await doors.revocation.require_good(path_of(directory, her_id, verified, at), at)


async def kept(
    said: tuple[Statement, ...], evidence: str, doors: Doors
) -> tuple[tuple[KeptStatement, ...], tuple[NewBody, ...]]:
    """Return what to keep of the revocation services' words: each response once, however many messages it served."""
    kept, bodies = [], []
    for one in said:
        digest = sha256(one.content).digest()
        if (body := await doors.store.statement(digest)) is None:
            body = doors.randomness.id()
            bodies.append(NewBody(id=body, content=one.content))
        kept.append(
            KeptStatement(
                evidence=evidence,
                certificate=one.certificate,
                source=one.source,
                fetched_at=one.fetched_at,
                sha256=digest,
                body=body,
            )
        )
    return tuple(kept), tuple(bodies)
