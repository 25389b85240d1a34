"""Who we exchange messages with, and on what terms: the address record and the agreement, as values.

Text into values is `routing.records`; which of them applies is `routing.choose`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from cryptography.x509 import Certificate

from broker.message import Text
from broker.retry import Chase
from broker.routing.profile import DEFAULT, Profile
from broker.sealing.algorithms import UNDATED_UNTIL
from broker.sealing.paths import Anchors


class PartyKind(StrEnum):
    """What a communication party is to a process."""

    EPJ = "epj"
    CITIZEN = "citizen"  # a citizens' portal
    ORGANISATION = "organisation"  # level 1: holds certificates and units, receives nothing itself


class Switch(StrEnum):
    """What a party's record may allow that is otherwise refused. Each is shown in `addresses check`."""

    TRIPLE_DES = "3des-in"
    SHA1 = "sha1-in"
    PLAINTEXT = "plaintext-in"
    PLAIN_HTTP = "plain-http"
    NO_XPATH = "signature-without-xpath-in"


# Those that let an algorithm in: each ends on a day (see `sealing.algorithms`).
DATED = frozenset({Switch.TRIPLE_DES, Switch.SHA1})


class Trust(StrEnum):
    """How a party's certificates are believed."""

    PINNED = "pinned"  # they stand in its record (default)
    PATH = "path"  # they lead to a root of ours, name the record's organisation, and are not revoked


class ReceiptOn(StrEnum):
    """When one of our own parties lets the broker send a positive AppRec."""

    WORD = "word"  # only on the EPJ's verdict (default)
    STORED = "stored"  # as soon as the EPJ says that the document is stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an agreement says otherwise than the process, for one process. None: the process decides."""

    service: str | None = None
    service_type: str | None = None
    actions: Mapping[str, str] = field(default_factory=dict)  # by name of the function; "AppRec" for receipts
    our_role: str | None = None
    their_role: str | None = None
    chase: Chase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The `[[agreement]]` table: one per pair, for both directions and the AppRec (CPA 2.0 terms)."""

    cpa_id: str
    ours: int  # our HER-id: the table's `with`
    theirs: int
    retries: int = 3
    retry_interval: timedelta = timedelta(minutes=5)
    persist_duration: timedelta = timedelta(days=2)
    sync: bool = False  # signals in the HTTP answer (syncReplyMode mshSignalsOnly)
    key_transport: str = "rsa-v1.5"  # or "rsa-oaep"
    cipher: str = "aes256-cbc"  # or "aes256-gcm"
    signed: bool = True  # isNonRepudiationRequired: every message is signed
    encrypted: bool = True  # the payload is a CMS; False only where the partner's record allows plaintext
    ack_requested: bool = True
    ack_signed: bool = True  # ackSignatureRequested
    payloads: int = 1  # the most that one envelope may carry: the document, and what goes with it
    starts: datetime | None = None  # CPA Start and End: an envelope's Timestamp lies between them
    ends: datetime | None = None
    chase: Chase | None = None
    processes: Mapping[str, Terms] = field(default_factory=dict)  # by process name; absent: the process's own defaults
    # What an imported CPA lists: (process, key of the function), or (process, "AppRec"). None: all that processes have.
    sends: frozenset[tuple[str, str]] | None = None
    takes: frozenset[tuple[str, str]] | None = None
    # The keys that a table of a record holds; what it leaves out it does not contradict. None: all of them count.
    said: frozenset[str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """An agreement that was replaced or ended: what was sent under it is still taken until its time is out."""

    agreement: Agreement
    until: datetime  # its PersistDuration after it went out of use


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One address record. Certificates and endpoint that it lacks are its parent's (see `Directory`)."""

    her_id: int
    name: str
    kind: PartyKind
    organisation_number: str | None
    parent: int | None = None
    person: bool = False  # a health professional (level 2 by person)
    active: bool = True
    receives: frozenset[str] | None = None  # process names; None: all that is agreed
    endpoint: str | None = None  # http(s) URL of the ebMS service
    signing: tuple[Certificate, ...] = ()
    encryption: tuple[Certificate, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    trust: Trust | None = None  # None: the parent's, or pinned
    switches: frozenset[Switch] = frozenset()
    until: Mapping[Switch, date] = field(default_factory=dict)  # the last day of each switch of DATED
    tls_pins: frozenset[str] = frozenset()  # SHA-256 of the keys that its server may have, hex; empty: any trusted
    receipt_on: ReceiptOn = ReceiptOn.WORD
    profile: Profile | None = None  # None: the parent's, or the default
    source: str = ""  # the file that it stands in

    def ends(self, switch: Switch) -> date:
        """Return the last day of a switch of DATED that this record has."""
        return self.until.get(switch, UNDATED_UNTIL)

    def agreement_with(self, her_id: int) -> Agreement | None:
        """Return the agreement of this record with `her_id`."""
        return next((agreement for agreement in self.agreements if agreement.ours == her_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All address records at one moment."""

    parties: Mapping[int, Party]
    complete: bool = True  # False: a record could not be read, so a HER-id without one may exist all the same
    anchors: Anchors = field(default_factory=Anchors)  # what certificates of `path` parties must lead to
    former: Mapping[tuple[int, int], tuple[Former, ...]] = field(
        default_factory=dict
    )  # by (ours, theirs), newest first
    # By (ours, theirs): how the imported agreement and the records contradict each other. Nothing is sealed meanwhile.
    conflicts: Mapping[tuple[int, int], tuple[Text, ...]] = field(default_factory=dict)

    def party(self, her_id: int) -> Party | None:
        """Return the record of `her_id`, or None."""
        return self.parties.get(her_id)

    def kind_of(self, her_id: int) -> PartyKind | None:
        """Return what kind of party `her_id` is, or None where it has no record."""
        party = self.parties.get(her_id)
        return party.kind if party is not None else None

    def lineage(self, her_id: int) -> tuple[Party, ...]:
        """Return the party and its parents, nearest first; empty for an unknown HER-id."""
        line: dict[int, Party] = {}
        at: int | None = her_id
        while at is not None and at not in line and (party := self.parties.get(at)) is not None:
            line[at] = party
            at = party.parent
        return tuple(line.values())

    def signing(self, her_id: int) -> tuple[Certificate, ...]:
        """Return the pinned signing certificates: the party's own, else the nearest parent's."""
        return next((party.signing for party in self.lineage(her_id) if party.signing), ())

    def encryption(self, her_id: int) -> tuple[Certificate, ...]:
        """Return the encryption certificates: the party's own, else the nearest parent's."""
        return next((party.encryption for party in self.lineage(her_id) if party.encryption), ())

    def trust(self, her_id: int) -> Trust:
        """Return how the party's certificates are believed: as its own record says, else the nearest parent's."""
        return next((party.trust for party in self.lineage(her_id) if party.trust), Trust.PINNED)

    def organisation_number(self, her_id: int) -> str | None:
        """Return the organisation number of the party's own record, else of the nearest parent's."""
        return next((each.organisation_number for each in self.lineage(her_id) if each.organisation_number), None)

    def endpoint(self, her_id: int) -> str | None:
        """Return the endpoint: the party's own, else the nearest parent's."""
        return next((party.endpoint for party in self.lineage(her_id) if party.endpoint), None)

    def switches(self, her_id: int) -> frozenset[Switch]:
        """Return what the party's record allows, or that of a parent: a unit shares its organisation's engine."""
        return frozenset(switch for party in self.lineage(her_id) for switch in party.switches)

    def in_force(self, her_id: int, on: date) -> frozenset[Switch]:
        """Return the switches of `her_id` that count on that day: those that let an algorithm in end."""
        return frozenset(
            switch
            for party in self.lineage(her_id)
            for switch in party.switches
            if switch not in DATED or on <= party.ends(switch)
        )

    def profile(self, her_id: int) -> Profile:
        """Return how the party's engine wants things said: by its own profile, else its parent's, else the default."""
        return next((party.profile for party in self.lineage(her_id) if party.profile is not None), DEFAULT)

    def agreement(self, ours: int, theirs: int) -> Agreement | None:
        """Return the agreement between one of ours and one of theirs, seen from our side.

        It stands in the partner's record. Where both are hosted here it may stand in either, and is turned about.
        """
        partner, own = self.parties.get(theirs), self.parties.get(ours)
        if partner and (agreement := partner.agreement_with(ours)):
            return agreement
        mirror = own.agreement_with(theirs) if own else None
        return turned(mirror) if mirror else None

    def former_agreement(self, ours: int, theirs: int, cpa_id: str) -> Former | None:
        """Return what was agreed under that CPAId before, seen from our side; or None."""
        for former in self.former.get((ours, theirs), ()):
            if former.agreement.cpa_id == cpa_id:
                return former
        for former in self.former.get((theirs, ours), ()):
            if former.agreement.cpa_id == cpa_id:
                return replace(former, agreement=turned(former.agreement))
        return None

    def conflict(self, ours: int, theirs: int) -> tuple[Text, ...]:
        """Return how the imported agreement of a pair and the records contradict each other."""
        return self.conflicts.get((ours, theirs)) or self.conflicts.get((theirs, ours), ())


def turned(agreement: Agreement) -> Agreement:
    """Return the same agreement as the other party sees it."""
    processes = {
        name: replace(terms, our_role=terms.their_role, their_role=terms.our_role)
        for name, terms in agreement.processes.items()
    }
    return replace(
        agreement,
        ours=agreement.theirs,
        theirs=agreement.ours,
        processes=processes,
        sends=agreement.takes,
        takes=agreement.sends,
    )
