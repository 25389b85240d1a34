"""Which way a message goes, on what terms and under which certificate; and whose word counts for a HER-id.

Which source wins (design, decision 14): the process says what is owed and gives the defaults for chase, service, action
and roles; the agreement overrides those defaults; the address record says who and where.

What is missing or unusable raises Postponed with an error id of the catalogue: it parks a delivery, and mends itself
when the record does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.x509 import Certificate

from broker.errors import Inconsistent, NotTrusted, PartnerUnusable, Unaddressable, ValueNotRecognized
from broker.message import Delivery, Message
from broker.retry import ReceiptPolicy
from broker.routing.party import Agreement, Directory, PartyKind, Switch, Terms, Trust
from broker.routing.process import Function, Process, Processes
from broker.routing.profile import Profile
from broker.routing.records import is_loopback
from broker.sealing import paths
from broker.sealing.certificates import Reason, Use, organisation_number, usable

NO_RECORD = "MB-2001"
RECEIPTS = "AppRec"  # what an agreement calls the function that no process file lists

NO_AGREEMENT = "MB-2002"
CERTIFICATE_EXPIRED = "MB-2003"
NO_REGISTRY = "MB-2004"
CERTIFICATE_NOT_YET_VALID = "MB-2005"
CERTIFICATE_OF_WRONG_USE = "MB-2006"
NO_CERTIFICATE = "MB-2007"
NO_ENDPOINT = "MB-2008"
PARTY_CLOSED = "MB-2009"
NOT_RECEIVED = "MB-2010"
AGREEMENT_DIFFERS = "MB-2013"
NOT_IN_FORCE = "MB-2014"
CERTIFICATE_NOT_TRUSTED = "MB-2021"

# What mends itself comes first: of several certificates the one that is nearest to use gives the reason.
_REASONS = {
    Reason.NOT_YET_VALID: (CERTIFICATE_NOT_YET_VALID, "is not valid yet"),
    Reason.EXPIRED: (CERTIFICATE_EXPIRED, "has expired"),
    Reason.WRONG_USAGE: (CERTIFICATE_OF_WRONG_USE, "is not for encryption"),
    Reason.WEAK_KEY: (CERTIFICATE_OF_WRONG_USE, "has too short a key"),
    Reason.NOT_RSA: (CERTIFICATE_OF_WRONG_USE, "has no RSA key"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What MessageHeader says of a message of one kind between two parties (ebMS 2.0, 3.1)."""

    service: str
    service_type: str
    action: str
    from_role: str
    to_role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Everything that sealing and sending one message needs to know of the other side."""

    endpoint: str
    agreement: Agreement  # seen from our side
    headers: Headers
    recipient: Certificate | None  # the payload is encrypted to it; None: plaintext is agreed, and the record allows it
    path: tuple[Certificate, ...]  # from it to a root, where its party is trusted by path; else empty
    signers: tuple[Certificate, ...]  # who may sign the answer; only those usable now
    profile: Profile  # how the partner's engine wants it said
    receipt: ReceiptPolicy  # the process's, with the chase that the agreement wants


def known(directory: Directory, her_id: int) -> bool:
    """Say whether a HER-id has a record.

    Raises Unaddressable (MB-2004) where it has none but a record could not be read: then nobody knows.
    """
    if directory.party(her_id) is not None:
        return True
    if not directory.complete:
        why = f"HER-id {her_id} has no address record, but not every record could be read"
        raise Unaddressable(why, error_id=NO_REGISTRY, hint="run: broker addresses check")
    return False


def route(
    directory: Directory, *, process: Process, function: Function, sender: int, receiver: int, now: datetime
) -> Route:
    """Return the way of a business document of ours (HER-id `sender`) to a partner (`receiver`).

    Raises Unaddressable (MB-2001, 2002, 2004, 2008 to 2010, 2013, 2014) or PartnerUnusable (MB-2003, 2005 to 2007,
    2021).
    """
    _require_open(directory, receiver)
    _require_received(directory, process, receiver)
    return _route(directory, process=process, function=function, ours=sender, theirs=receiver, back=False, now=now)


def route_back(
    directory: Directory, *, process: Process, function: Function, sender: int, receiver: int, now: datetime
) -> Route:
    """Return the way of an AppRec of ours (HER-id `sender`) about a document of `function` that `receiver` sent.

    The roles are those of the document, swapped, and the action is the process's own for receipts. Raises as `route`
    does, except MB-2010: whoever sends documents takes their receipts.
    """
    _require_open(directory, receiver)
    return _route(directory, process=process, function=function, ours=sender, theirs=receiver, back=True, now=now)


def function_named(
    processes: Processes,
    agreement: Agreement,
    *,
    service: str,
    action: str,
    from_role: str | None,
    to_role: str | None,
) -> tuple[Process, Function] | None:
    """Return what a partner's headers name under an agreement: the function, or that of the document it receipts.

    A Role that is not given may be any. None where no process has such headers.
    """
    for process in processes.by_name.values():
        terms = _terms(agreement, process)
        for function in process.functions:
            if _or(terms.service, function.service) != service:
                continue  # most do not: only what may fit is put together
            for back in (False, True):
                if not _listed(agreement.takes, process, function, back=back):
                    continue
                headers = _headers(process, function, terms, from_us=False, back=back)
                if (
                    action == headers.action
                    and from_role in (None, headers.from_role)
                    and to_role in (None, headers.to_role)
                ):
                    return process, function
    return None


def agreement_of(directory: Directory, *, cpa_id: str, receiver: int, sender: int, at: datetime) -> Agreement:
    """Return the agreement that an incoming envelope from `sender` to `receiver` (of ours) names.

    One that was replaced or ended is still good for its PersistDuration after that. Raises ValueNotRecognized where the
    two have none, Inconsistent where they have another, or this one is over (ebMS 2.0, 3.1.2).
    """
    where = "//Header/MessageHeader/CPAId"
    agreement = directory.agreement(receiver, sender)
    if agreement is not None and agreement.cpa_id == cpa_id:
        return agreement
    former = directory.former_agreement(receiver, sender, cpa_id)
    if former is not None and at < former.until:
        return former.agreement
    if former is not None:
        raise Inconsistent("expired agreement: it was replaced or ended", hint="compare CPAId", location=where)
    if agreement is None:
        raise ValueNotRecognized("no agreement between the parties", hint="add an [[agreement]]", location=where)
    raise Inconsistent("the parties have another agreement", hint="compare cpa_id", location=where)


def require_in_force(agreement: Agreement, timestamp: datetime) -> None:
    """Check that an envelope was made between Start and End of its agreement. Raises Inconsistent."""
    if (agreement.starts is not None and timestamp < agreement.starts) or (
        agreement.ends is not None and timestamp >= agreement.ends
    ):
        raise Inconsistent(
            "the Timestamp is not between Start and End of the agreement",
            hint="agree anew",
            location="//Header/MessageHeader/CPAId",
        )


def endpoint(directory: Directory, receiver: int) -> str:
    """Return where a partner takes envelopes now; also for a resend, which takes nothing else afresh.

    Raises Unaddressable (MB-2001, MB-2004, MB-2008, MB-2009).
    """
    _require_open(directory, receiver)
    if (found := directory.endpoint(receiver)) is None:
        why = f"neither HER-id {receiver} nor a parent of it has an endpoint"
        raise Unaddressable(why, error_id=NO_ENDPOINT, hint="add endpoint to the address record")
    return found


def recipient(directory: Directory, receiver: int, now: datetime) -> Certificate:
    """Return the newest usable encryption certificate of a partner, trusted as its record says.

    Raises PartnerUnusable (MB-2003, 2005 to 2007, 2021).
    """
    certificates = directory.encryption(receiver)
    if not certificates:
        why = f"neither HER-id {receiver} nor a parent of it has an encryption certificate"
        raise PartnerUnusable(why, error_id=NO_CERTIFICATE, hint="add encryption to the address record")
    good = [certificate for certificate in certificates if usable(certificate, Use.ENCRYPT, now).ok]
    if good and directory.trust(receiver) is Trust.PATH:
        good = _trusted(directory, receiver, good, now)
    if good:
        return max(good, key=lambda certificate: (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    reasons = {usable(certificate, Use.ENCRYPT, now).reason for certificate in certificates}
    error_id, why = next(words for reason, words in _REASONS.items() if reason in reasons)
    raise PartnerUnusable(
        f"the encryption certificate of HER-id {receiver} {why}",
        error_id=error_id,
        hint="put the partner's present certificate into its address record",
    )


def signers(directory: Directory, her_id: int, now: datetime) -> tuple[Certificate, ...]:
    """Return the pinned certificates that may sign for a HER-id at `now`; empty where there is none."""
    return tuple(certificate for certificate in directory.signing(her_id) if usable(certificate, Use.SIGN, now).ok)


def path(
    directory: Directory,
    her_id: int,
    certificate: Certificate,
    use: Use,
    at: datetime,
    *,
    brought: Sequence[Certificate] = (),
) -> tuple[Certificate, ...]:
    """Return the certificates from one of a `path` party to a root of ours.

    Issuers may come from the settings, the record, or the message (`brought`). The certificate must name the record's
    organisation by its number: a name is no help. Raises NotTrusted.
    """
    number = directory.organisation_number(her_id)
    if number is None:
        hint = "add organisation_number to the address record"
        raise NotTrusted("the record has no organisation number that the certificate could name", hint=hint)
    found = paths.path(
        certificate,
        use,
        directory.anchors,
        helping=(*brought, *directory.signing(her_id), *directory.encryption(her_id)),
        at=at,
    )
    if organisation_number(certificate) != number:
        raise NotTrusted("the certificate does not name the organisation of the sender's record by its number")
    return found


def _trusted(
    directory: Directory, her_id: int, certificates: Sequence[Certificate], now: datetime
) -> list[Certificate]:
    """Return those of the certificates that lead to a root. Raises PartnerUnusable (MB-2021) where none does."""
    good, faults = [], []
    for certificate in certificates:
        try:
            path(directory, her_id, certificate, Use.ENCRYPT, now)
        except NotTrusted as why:
            faults.append(why)
        else:
            good.append(certificate)
    if not good:
        said = f"the encryption certificate of HER-id {her_id} is not trusted: {faults[0].why}"
        raise PartnerUnusable(said, error_id=CERTIFICATE_NOT_TRUSTED, hint=faults[0].hint)
    return good


def receipt_policy(directory: Directory, *, process: Process, ours: int, theirs: int) -> ReceiptPolicy:
    """Return the receipt clock of a document from `ours` to `theirs`; the process's own where there is no agreement."""
    agreement = directory.agreement(ours, theirs)
    return _policy(process, agreement) if agreement else process.receipt


def policy_in_force(
    processes: Processes, directory: Directory | None, message: Message, delivery: Delivery
) -> ReceiptPolicy:
    """Return the receipt clock of a delivery that is under way: the process's, as the agreement changes it.

    A process that has gone, or addresses that can't be read now (None), leave the defaults: a clock never stands still.
    """
    process = processes.by_name.get(message.process)
    if process is None:
        return ReceiptPolicy()
    if directory is None:
        return process.receipt
    return receipt_policy(directory, process=process, ours=message.sender_her, theirs=delivery.receiver_her)


def plain_http_allowed(directory: Directory, url: str) -> bool:
    """Say whether an http:// endpoint may be used: on this machine, or where a record that names it allows it."""
    return is_loopback(url) or any(
        party.endpoint == url and Switch.PLAIN_HTTP in party.switches for party in directory.parties.values()
    )


def tls_pins(directory: Directory) -> Mapping[str, frozenset[str]]:
    """Return the keys that the server at an endpoint may have, where a record that names the endpoint pins any."""
    pins: dict[str, frozenset[str]] = {}
    for party in directory.parties.values():
        if party.endpoint is not None and party.tls_pins:
            pins[party.endpoint] = pins.get(party.endpoint, frozenset()) | party.tls_pins
    return pins


def _route(
    directory: Directory, *, process: Process, function: Function, ours: int, theirs: int, back: bool, now: datetime
) -> Route:
    agreement = _agreement(directory, ours, theirs, now)
    if not _listed(agreement.sends, process, function, back=back):
        what = f"{process.name}/{RECEIPTS if back else function.key}"
        why = f"the agreement of HER-id {ours} and HER-id {theirs} does not have {what} from us"
        raise Unaddressable(why, error_id=NOT_RECEIVED, hint="run: broker agreements show")
    plain = not agreement.encrypted and Switch.PLAINTEXT in directory.switches(theirs)
    certificate = None if plain else recipient(directory, theirs, now)
    by_path = directory.trust(theirs) is Trust.PATH
    return Route(
        agreement=agreement,
        endpoint=endpoint(directory, theirs),
        headers=_headers(process, function, _terms(agreement, process), from_us=True, back=back),
        recipient=certificate,
        path=path(directory, theirs, certificate, Use.ENCRYPT, now) if certificate and by_path else (),
        signers=signers(directory, theirs, now),
        profile=directory.profile(theirs),
        receipt=_policy(process, agreement),
    )


def _listed(listed: frozenset[tuple[str, str]] | None, process: Process, function: Function, *, back: bool) -> bool:
    """Say whether an agreement has a message; one that lists none has all that processes have."""
    return listed is None or (process.name, RECEIPTS if back else function.key) in listed


def _headers(process: Process, function: Function, terms: Terms, *, from_us: bool, back: bool) -> Headers:
    # A receipt goes the other way than the document that it answers.
    from_role, to_role = (function.to_role, function.from_role) if back else (function.from_role, function.to_role)
    ours, theirs = (from_role, to_role) if from_us else (to_role, from_role)
    ours, theirs = _or(terms.our_role, ours), _or(terms.their_role, theirs)
    return Headers(
        service=_or(terms.service, function.service),
        service_type=_or(terms.service_type, function.service_type),
        action=(
            terms.actions.get(RECEIPTS, process.apprec_action)
            if back
            else terms.actions.get(function.name, function.action)
        ),
        from_role=ours if from_us else theirs,
        to_role=theirs if from_us else ours,
    )


def _policy(process: Process, agreement: Agreement) -> ReceiptPolicy:
    chase = _terms(agreement, process).chase or agreement.chase or process.receipt.chase
    return replace(process.receipt, chase=chase)


def _terms(agreement: Agreement, process: Process) -> Terms:
    return agreement.processes.get(process.name, Terms())


def _or(wanted: str | None, default: str) -> str:
    return default if wanted is None else wanted


def _agreement(directory: Directory, ours: int, theirs: int, now: datetime) -> Agreement:
    if (agreement := directory.agreement(ours, theirs)) is None:
        why = f"no agreement between HER-id {ours} and HER-id {theirs}"
        raise Unaddressable(
            why, error_id=NO_AGREEMENT, hint=f"import one, or add [[agreement]] with = {ours} to the partner's record"
        )
    if differences := directory.conflict(ours, theirs):
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        why = f"the agreement with HER-id {theirs} and the address records differ: {differences[0].en}{more}"
        raise Unaddressable(why, error_id=AGREEMENT_DIFFERS, hint="run: broker agreements show")
    if (agreement.starts is not None and now < agreement.starts) or (
        agreement.ends is not None and now >= agreement.ends
    ):
        why = f"the agreement of HER-id {ours} and HER-id {theirs} is not in force"
        raise Unaddressable(why, error_id=NOT_IN_FORCE, hint="import a new one: broker agreements import FILE --take")
    return agreement


def _require_open(directory: Directory, her_id: int) -> None:
    if not known(directory, her_id):
        why = f"HER-id {her_id} has no address record any more"
        raise Unaddressable(why, error_id=NO_RECORD, hint="put the record back, or close the delivery")
    closed: Collection[int] = [party.her_id for party in directory.lineage(her_id) if not party.active]
    if closed:
        why = f"HER-id {next(iter(closed))} is closed"
        raise Unaddressable(why, error_id=PARTY_CLOSED, hint="its record says active = false")


def _require_received(directory: Directory, process: Process, her_id: int) -> None:
    party = directory.party(her_id)
    if party is None or party.kind is PartyKind.ORGANISATION:
        why = f"HER-id {her_id} is an organisation; it receives nothing itself"
        raise Unaddressable(why, error_id=NOT_RECEIVED, hint="send to one of its units")
    if party.receives is not None and process.name not in party.receives:
        why = f"HER-id {her_id} does not receive {process.name}"
        raise Unaddressable(why, error_id=NOT_RECEIVED, hint="its record lists what it receives")
