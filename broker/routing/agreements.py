"""Which agreement counts between two parties: the imported files laid over the address records, at one time. Pure.

An imported agreement takes the place of the record's table. Of several versions the one that was taken last counts, of
those in force; what was agreed before it stays, to judge what was sent under it. Where the records say otherwise than
the agreement, nobody guesses which is right: the pair is in conflict, and every difference is named.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.errors import Misconfigured
from broker.message import Text
from broker.routing.agreement_file import Taken
from broker.routing.agreement_words import TERMS, name_of, value_of
from broker.routing.cpa_terms import Agreed, agreed
from broker.routing.party import Agreement, Directory, Former, Party, Switch, Terms, turned
from broker.routing.process import Process, Processes
from broker.routing.records import is_endpoint
from broker.sealing.certificates import fingerprint

Pair = tuple[int, int]  # HER-ids: ours, theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the agreement of a pair, understood."""

    taken: Taken
    agreed: Agreed

    @property
    def pair(self) -> Pair:
        """Return the HER-ids of ours and theirs."""
        return self.agreed.agreement.ours, self.agreed.agreement.theirs

    @property
    def begins(self) -> datetime:
        """Return from when it may count: when it was taken, or its Start."""
        return max(self.taken.taken_at, self.taken.cpa.starts)

    def retired(self, at: datetime) -> bool:
        """Say whether a person has ended it by then."""
        return self.taken.retired_at is not None and self.taken.retired_at <= at

    def in_force(self, at: datetime) -> bool:
        """Say whether it may be the one in use at that time."""
        return self.begins <= at < self.taken.cpa.ends and not self.retired(at)


def understood(taken: Taken, directory: Directory, *, hosted: Collection[int], processes: Processes) -> Version:
    """Return a version as it is for us now. Raises Misconfigured for what can't be kept."""
    found = agreed(taken.cpa, hosted=hosted, processes=processes, kind_of=directory.kind_of, services=taken.services)
    return Version(taken=taken, agreed=found)


def current(versions: Collection[Version], at: datetime) -> Version | None:
    """Return which of a pair's versions counts at that time: the last taken of those in force.

    Where none is, the last one that has ended, so that its end is named rather than the lack of an agreement; one whose
    time has not come counts for nothing yet.
    """
    order = sorted(versions, key=lambda each: each.taken.taken_at, reverse=True)
    begun = [each for each in order if each.begins <= at and not each.retired(at)]
    return next((each for each in begun if each.in_force(at)), next(iter(begun), None))


def laid_over(
    directory: Directory, versions: Sequence[Version], *, processes: Processes, at: datetime
) -> tuple[Directory, tuple[Misconfigured, ...]]:
    """Return the directory with the agreements in use at that time, and what is wrong with any of them."""
    pairs: dict[Pair, list[Version]] = {}
    for version in versions:
        pairs.setdefault(version.pair, []).append(version)
    faults = list[Misconfigured]()
    parties = dict(directory.parties)
    former: dict[Pair, tuple[Former, ...]] = {}
    conflicts: dict[Pair, tuple[Text, ...]] = {}
    for pair, held in pairs.items():
        ours, theirs = pair
        used = current(held, at)
        former[pair] = _former(held, used, at)
        if used is None:
            if theirs in parties and directory.agreement(ours, theirs) is None:
                parties[theirs] = _until_then(parties[theirs], held, at)
            continue
        if theirs not in parties:
            why = f"HER-id {theirs}, its other party, has no address record"
            faults.append(Misconfigured(why, where=used.taken.source, hint="write a record, or retire the agreement"))
            continue
        table = directory.agreement(ours, theirs)
        if found := differing(directory, used.agreed, processes):
            conflicts[pair] = found
        taken = [one.agreement for one in former[pair] if at < one.until]
        old = [each for each in held if each is not used and each.agreed.agreement in taken]
        parties[theirs] = _with(parties[theirs], directory, used, old, table)
        if ours in parties:  # both are ours: the table may stand in either record
            kept = tuple(each for each in parties[ours].agreements if each.ours != theirs)
            parties[ours] = replace(parties[ours], agreements=kept)
    laid = replace(directory, parties=parties, former=former, conflicts=conflicts)
    return laid, tuple(faults)


def differing(directory: Directory, found: Agreed, processes: Processes) -> tuple[Text, ...]:
    """Return how the address records contradict an agreement. What a record leaves out contradicts nothing."""
    agreement, her = found.agreement, found.agreement.theirs
    if directory.party(her) is None:
        return (Text(nb=f"HER-id {her} har ingen adressepost", en=f"HER-id {her} has no address record"),)
    told = list[Text]()
    table = directory.agreement(agreement.ours, her)
    if table is not None:
        told += _of_table(table, found, processes)
    endpoint, switches = directory.endpoint(her), directory.switches(her)
    if endpoint is not None and endpoint != found.endpoint:
        told.append(
            Text(
                nb=f"adressen er {endpoint} i adresseposten og {found.endpoint} i avtalen",
                en=f"the address is {endpoint} in the record and {found.endpoint} in the agreement",
            )
        )
    if endpoint is None and not is_endpoint(found.endpoint, plain=Switch.PLAIN_HTTP in switches):
        told.append(
            Text(
                nb="avtalens adresse er uten TLS, og adresseposten tillater ikke det (plain-http)",
                en="the agreement's address has no TLS, and the record does not allow that (plain-http)",
            )
        )
    for nb, en, named, pinned in (
        ("signering", "signing", found.signing, directory.signing(her)),
        ("kryptering", "encryption", found.encryption, directory.encryption(her)),
    ):
        for certificate in named:
            if pinned and certificate not in pinned:
                digest = fingerprint(certificate)
                told.append(
                    Text(
                        nb=f"avtalens sertifikat for {nb} (SHA-256 {digest}) står ikke i adresseposten",
                        en=f"the agreement's {en} certificate (SHA-256 {digest}) is not in the record",
                    )
                )
    if not agreement.encrypted and Switch.PLAINTEXT not in switches:
        told.append(
            Text(
                nb="avtalen er om ukryptert innhold, og adresseposten tillater ikke det (plaintext-in)",
                en="the agreement is on payloads in plaintext, and the record does not allow that (plaintext-in)",
            )
        )
    return tuple(told)


def _of_table(table: Agreement, found: Agreed, processes: Processes) -> list[Text]:
    """Return how the [[agreement]] table that still stands in a record differs from the agreement."""
    told = list[Text]()
    for key in TERMS:
        was, is_ = getattr(table, key), getattr(found.agreement, key)
        if was != is_ and (table.said is None or key in table.said) and key not in found.silent:
            name, before, after = name_of(key), value_of(key, was), value_of(key, is_)
            told.append(
                Text(
                    nb=f"{name.nb}: «{before.nb}» i [[agreement]], «{after.nb}» i avtalen",
                    en=f'{name.en}: "{before.en}" in [[agreement]], "{after.en}" in the agreement',
                )
            )
    met = {one.process for one in found.exchanged}
    for process in sorted(met & table.processes.keys()):
        agreed_on = found.agreement.processes.get(process, Terms())
        for key, value in _said(table.processes[process]).items():
            if value not in _meant(key, agreed_on, processes.by_name[process]):
                told.append(
                    Text(
                        nb=f"{key} for {process} er en annen i [[agreement]] enn i avtalen",
                        en=f"{key} of {process} is another in [[agreement]] than in the agreement",
                    )
                )
    return told


def _said(terms: Terms) -> dict[str, str]:
    """Return what a table says of one process; chase is no term of a CPA."""
    keys = ("service", "service_type", "our_role", "their_role")
    said = {key: value for key in keys if (value := getattr(terms, key)) is not None}
    return said | {f"actions.{name}": action for name, action in terms.actions.items()}


def _meant(key: str, terms: Terms, process: Process) -> set[str]:
    """Return what the agreement has for a key of a table: its own word, else the process's."""
    if key.startswith("actions."):
        function = key.removeprefix("actions.")
        usual = {one.action for one in process.functions if one.name == function} or {process.apprec_action}
        return {terms.actions[function]} if function in terms.actions else usual
    if (said := getattr(terms, key)) is not None:
        return {said}
    if key in ("our_role", "their_role"):
        return {role for one in process.functions for role in (one.from_role, one.to_role)}
    return {getattr(one, key) for one in process.functions}


def _former(held: Collection[Version], used: Version | None, at: datetime) -> tuple[Former, ...]:
    """Return what was agreed before and counts no more, newest first."""
    found = list[tuple[datetime, Agreement]]()
    for version in held:
        begun = [each.begins for each in held if each.taken.taken_at > version.taken.taken_at and each.begins <= at]
        ends = begun + ([version.taken.retired_at] if version.taken.retired_at and version.retired(at) else [])
        if version is not used and ends:
            found.append((min(ends), version.agreed.agreement))
        if version.begins <= at:
            found += [(version.begins, _seen(old, version.pair)) for old in version.taken.replaced]
    found.sort(key=lambda each: each[0], reverse=True)
    return tuple(Former(agreement=old, until=ended + old.persist_duration) for ended, old in found)


def _seen(agreement: Agreement, pair: Pair) -> Agreement:
    return agreement if (agreement.ours, agreement.theirs) == pair else turned(agreement)


def _with(
    party: Party,
    directory: Directory,
    used: Version,
    old: Collection[Version],
    table: Agreement | None,
) -> Party:
    """Return the partner's record with the agreement in the place of its table.

    Endpoint and certificates that neither the record nor a parent has are the agreement's; so are, for signatures,
    those of `old` versions, under which messages are still taken.
    """
    her, found = party.her_id, used.agreed
    agreement = found.agreement if table is None else _completed(found, table)
    others = tuple(each for each in party.agreements if each.ours != agreement.ours)
    plain = Switch.PLAIN_HTTP in directory.switches(her)
    endpoint, signing, encryption = party.endpoint, party.signing, party.encryption
    if directory.endpoint(her) is None and is_endpoint(found.endpoint, plain=plain):
        endpoint = found.endpoint
    if not directory.signing(her):
        signing = tuple(dict.fromkeys((*found.signing, *(one for each in old for one in each.agreed.signing))))
    if not directory.encryption(her):
        encryption = found.encryption
    return replace(party, agreements=(*others, agreement), endpoint=endpoint, signing=signing, encryption=encryption)


def _until_then(party: Party, held: Collection[Version], at: datetime) -> Party:
    """Return a record whose table was taken out for a version that is yet to begin: the table counts until then."""
    for version in held:
        if version.begins > at and not version.retired(at):
            old = tuple(_seen(each, version.pair) for each in version.taken.replaced)
            return replace(party, agreements=(*party.agreements, *old))
    return party


def _completed(found: Agreed, table: Agreement) -> Agreement:
    """Return the agreement with what it has no word for as the table that still stands in the record says it."""
    agreement = found.agreement
    words = found.silent if table.said is None else found.silent & table.said
    chases = {name: terms.chase for name, terms in table.processes.items() if terms.chase is not None}
    terms = {
        name: replace(agreement.processes.get(name, Terms()), chase=chases.get(name))
        for name in {*agreement.processes, *chases}
    }
    return replace(
        table,
        cpa_id=agreement.cpa_id,
        sync=agreement.sync,
        signed=agreement.signed,
        encrypted=agreement.encrypted,
        ack_requested=agreement.ack_requested,
        ack_signed=agreement.ack_signed,
        starts=agreement.starts,
        ends=agreement.ends,
        processes=terms,
        sends=agreement.sends,
        takes=agreement.takes,
        said=None,
        cipher=table.cipher if "cipher" in words else agreement.cipher,
        retries=table.retries if "retries" in words else agreement.retries,
        retry_interval=table.retry_interval if "retry_interval" in words else agreement.retry_interval,
        persist_duration=table.persist_duration if "persist_duration" in words else agreement.persist_duration,
    )


def versions_by_pair(versions: Collection[Version]) -> Mapping[Pair, tuple[Version, ...]]:
    """Return all versions by pair, the last taken first."""
    found: dict[Pair, list[Version]] = {}
    for version in sorted(versions, key=lambda each: each.taken.taken_at, reverse=True):
        found.setdefault(version.pair, []).append(version)
    return {pair: tuple(held) for pair, held in found.items()}
