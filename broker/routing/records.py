"""What an address record says, and whether the records hold together: TOML text to `Party`, parties to `Directory`.

Every mistake is a Misconfigured that names the line (syntax) or the key (all else) and the right form. The same record
serves a partner and a party of our own: what only one of them needs is simply not used for the other.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from broker.errors import Misconfigured
from broker.retry import Chase
from broker.routing.party import DATED, Agreement, Directory, Party, PartyKind, ReceiptOn, Switch, Terms, Trust
from broker.routing.profile import DEFAULT, Profile, named
from broker.routing.tables import Table, read_toml
from broker.sealing.algorithms import BY_ID
from broker.sealing.certificates import load_certificates
from broker.sealing.cms import Cipher, KeyTransport
from broker.sealing.paths import Anchors

_ORGANISATION_NUMBER = re.compile(r"\d{9}")
MAX_PAYLOADS = 99  # with the envelope itself, as many parts as are read (design, decision 17)
_PIN = re.compile(r"[0-9A-Fa-f]{64}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def read_party(
    text: str, *, source: str, load_pem: Callable[[str], bytes], profiles: Mapping[str, Profile] | None = None
) -> Party:
    """Return the party of one record.

    `source` names the file in error texts; `load_pem` returns the bytes of a certificate file that the record names,
    by a path relative to the record, and raises OSError where it can't; `profiles` are those that a record may name.
    Raises Misconfigured.
    """
    table = read_toml(text, source=source)
    her_id = table.whole("her_id", least=1)
    until = _until(table)
    receives = frozenset(table.texts("receives", default=()))
    party = Party(
        her_id=her_id,
        name=table.text("name"),
        kind=table.choice("kind", PartyKind),
        organisation_number=_organisation_number(table),
        parent=table.whole("parent", 0, least=1) or None,
        person=table.flag("person", default=False),
        active=table.flag("active", default=True),
        receives=receives if "receives" in table else None,
        endpoint=table.text("endpoint", default="") or None,
        signing=_certificates(table, "signing", load_pem),
        encryption=_certificates(table, "encryption", load_pem),
        agreements=_agreements(table, her_id),
        trust=table.choice_or_none("trust", Trust),
        switches=_words(table, "switches", Switch) | until.keys(),
        until=until,
        tls_pins=_pins(table),
        receipt_on=table.choice("receipt_on", ReceiptOn, ReceiptOn.WORD),
        profile=_profile(table, profiles or {}),
        source=source,
    )
    table.done()
    if Switch.PLAINTEXT not in party.switches and not all(one.encrypted for one in party.agreements):
        table.wrong("switches", 'with "plaintext-in", or every agreement with encrypted = true')
    if party.endpoint is not None and not is_endpoint(party.endpoint, plain=Switch.PLAIN_HTTP in party.switches):
        table.wrong(
            "endpoint",
            'an address such as "https://host/ebms"; http:// only on this machine, or with switches = ["plain-http"]',
        )
    if party.tls_pins and (party.endpoint is None or not party.endpoint.startswith("https:")):
        table.wrong("tls_pins", "left out where the record has no https:// endpoint of its own: a pin goes with one")
    if party.person and party.parent is None:
        table.wrong("parent", "the HER-id of the organisation that the health professional belongs to")
    return party


def directory(parties: Iterable[Party]) -> Directory:
    """Return all parties as one directory. Raises Misconfigured for the first thing in which they do not agree."""
    built, faults = assemble(tuple(parties))
    if faults:
        raise faults[0]
    return built


def assemble(
    parties: Sequence[Party], *, complete: bool = True, anchors: Anchors | None = None
) -> tuple[Directory, tuple[Misconfigured, ...]]:
    """Return the directory that the parties make, and what is wrong between them: `where` of each names its file.

    What is wrong is left out and no more: of two records with one HER-id the first stays, and a parent that is missing
    or leads in a circle is cut off. `complete` says whether every record could be read.
    """
    by_her: dict[int, Party] = {}
    faults: list[Misconfigured] = []
    for party in parties:
        if (first := by_her.get(party.her_id)) is not None:
            why = f"HER-id {party.her_id} has a record already, in {first.source}"
            faults.append(Misconfigured(why, where=party.source, hint="keep one record a HER-id"))
        else:
            by_her[party.her_id] = party
    cut: dict[int, Party] = {}
    for her, party in by_her.items():
        if (fault := _parent_fault(party, by_her)) is not None:
            faults.append(
                Misconfigured(fault, where=party.source, hint="name the HER-id of a record above it, or none")
            )
            cut[her] = replace(party, parent=None)
    by_her |= cut
    faults += _agreement_faults(by_her)
    return Directory(parties=by_her, complete=complete, anchors=anchors or Anchors()), tuple(faults)


def _parent_fault(party: Party, by_her: Mapping[int, Party]) -> str | None:
    seen = {party.her_id}
    above = party.parent
    if above is not None and above not in by_her:
        return f"parent {above} has no record"
    while above is not None and above in by_her:
        if above == party.her_id:
            return f"parent {party.parent} leads back to HER-id {party.her_id} itself"
        if above in seen:
            return None  # a circle further up: its own records are named
        seen.add(above)
        above = by_her[above].parent
    return None


def _agreement_faults(by_her: Mapping[int, Party]) -> list[Misconfigured]:
    # There is one agreement a pair. Where both have a record here, both may state it, but not differently.
    faults = []
    for party in by_her.values():
        for agreement in party.agreements:
            other = by_her.get(agreement.ours)
            theirs = other.agreement_with(party.her_id) if other else None
            if other and theirs and theirs.cpa_id != agreement.cpa_id and party.her_id < agreement.ours:
                why = f"the agreement with {agreement.ours} has another cpa_id than in {other.source}"
                faults.append(Misconfigured(why, where=party.source, hint="state one agreement a pair"))
    return faults


def _agreements(table: Table, her_id: int) -> tuple[Agreement, ...]:
    agreements: dict[int, Agreement] = {}
    for entry in table.tables("agreement"):
        agreement = read_agreement(entry, her_id)
        if agreement.ours in agreements:
            entry.wrong("with", f"a HER-id that no other [[agreement]] here names; {agreement.ours} stands twice")
        agreements[agreement.ours] = agreement
    return tuple(agreements.values())


def read_agreement(table: Table, her_id: int) -> Agreement:
    """Return the agreement of a table with a party. Raises Misconfigured."""
    defaults = Agreement(cpa_id="", ours=0, theirs=0)
    cpa_id = table.text("cpa_id")
    agreement = Agreement(
        cpa_id=cpa_id,
        ours=table.whole("with", least=1),
        theirs=her_id,
        retries=table.whole("retries", defaults.retries, most=1000),
        retry_interval=table.duration("retry_interval", defaults.retry_interval),
        persist_duration=table.duration("persist_duration", defaults.persist_duration),
        sync=table.flag("sync", default=defaults.sync),
        key_transport=table.choice("key_transport", KeyTransport, KeyTransport(defaults.key_transport)),
        cipher=table.choice("cipher", Cipher, Cipher(defaults.cipher)),
        signed=(signed := table.flag("signed", default=defaults.signed)),
        encrypted=table.flag("encrypted", default=defaults.encrypted),
        ack_requested=(wanted := table.flag("ack_requested", default=defaults.ack_requested)),
        ack_signed=table.flag("ack_signed", default=signed and wanted),
        payloads=table.whole("payloads", defaults.payloads, least=1, most=MAX_PAYLOADS),
        chase=table.choice_or_none("chase", Chase),
        processes=_processes(table.table("process")),
        said=frozenset(table.names()),
    )
    table.done()
    if agreement.ours == her_id:
        table.wrong("with", "the HER-id of the other party, not the record's own")
    if not BY_ID[Cipher(agreement.cipher).oid].out:
        table.wrong(
            "cipher", " or ".join(f'"{each}"' for each in Cipher if BY_ID[each.oid].out) + ": others are only read"
        )
    if agreement.key_transport == KeyTransport.OAEP_SHA1:
        table.wrong("key_transport", f'"{KeyTransport.RSA_V15}" or "{KeyTransport.OAEP_SHA256}": SHA-1 is only read')
    if agreement.ack_signed and not (agreement.signed and agreement.ack_requested):
        table.wrong("ack_signed", "false: only what is signed, and asks for an Acknowledgment, gets a signed one")
    if agreement.retry_interval >= agreement.persist_duration:
        table.wrong("retry_interval", "a duration shorter than persist_duration")
    return agreement


def _processes(table: Table) -> dict[str, Terms]:
    return {name: _terms(table.table(name)) for name in table.names()}


def _terms(table: Table) -> Terms:
    service_type = table.text("service_type", default="")  # empty is a value: the Service has no type then
    terms = Terms(
        service=table.text("service", default="") or None,
        service_type=service_type if "service_type" in table else None,
        actions=_actions(table.table("actions")),
        our_role=table.text("our_role", default="") or None,
        their_role=table.text("their_role", default="") or None,
        chase=table.choice_or_none("chase", Chase),
    )
    table.done()
    return terms


def _actions(table: Table) -> dict[str, str]:
    actions = {name: table.text(name) for name in table.names()}
    table.done()
    return actions


def _profile(table: Table, profiles: Mapping[str, Profile]) -> Profile | None:
    if not (name := table.text("profile", default="")):
        return None
    if (found := named(profiles, name)) is None:
        known = sorted({DEFAULT.name, *profiles})
        table.wrong("profile", "the name of a profile: " + ", ".join(f'"{one}"' for one in known))
    return found


def _organisation_number(table: Table) -> str | None:
    number = table.text("organisation_number", default="")
    if number and not _ORGANISATION_NUMBER.fullmatch(number):
        table.wrong("organisation_number", 'nine digits in quotes, such as "900000001"')
    return number or None


def _certificates(table: Table, key: str, load_pem: Callable[[str], bytes]) -> tuple[Certificate, ...]:
    found: list[Certificate] = []
    for number, entry in enumerate(table.texts(key, default=()), start=1):
        try:
            pem = entry.encode("ascii") if "-----BEGIN" in entry else load_pem(entry)
            if b"PRIVATE KEY" in pem:
                table.wrong(key, f"certificates only; entry {number} holds a private key, which stays with its owner")
            found += load_certificates(pem)
        except (OSError, ValueError) as error:
            why = (error.strerror or "unreadable") if isinstance(error, OSError) else "no certificate in it"
            form = f"certificates in PEM form, or names of such files beside the record; entry {number}: {why}"
            table.wrong(key, form)
    return tuple(dict.fromkeys(found))


def _words(table: Table, key: str, kind: type[Switch]) -> frozenset[Switch]:
    known = {word.value: word for word in kind}
    words = table.texts(key, default=())
    if not known.keys() >= set(words):
        table.wrong(key, "a list of: " + ", ".join(f'"{word}"' for word in known))
    return frozenset(known[word] for word in words)


def _until(table: Table) -> dict[Switch, date]:
    """Return the last day of each exception for an algorithm. A day alone switches it on."""
    days = table.table("switches_until")
    known = {switch.value: switch for switch in DATED}
    if not known.keys() >= set(days.names()):
        words = ", ".join(f'"{word}"' for word in sorted(known))
        table.wrong(
            "switches_until", f"a table of the last day of: {words}; the others have no end, and stand in switches"
        )
    return {known[word]: days.day(word) for word in days.names()}


def _pins(table: Table) -> frozenset[str]:
    pins = table.texts("tls_pins", default=())
    if not all(_PIN.fullmatch(pin) for pin in pins):
        table.wrong("tls_pins", 'a list of SHA-256 digests in hex, such as ["9f86...0a08"]: see broker ping')
    return frozenset(pin.lower() for pin in pins)


def is_endpoint(endpoint: str, *, plain: bool) -> bool:
    """Say whether an address is one that envelopes may go to. `plain`: over http:// beyond this machine too."""
    try:
        url = urlsplit(endpoint)
        host, _ = url.hostname, url.port  # the port is only looked at when asked for
    except ValueError:
        return False
    whole = bool(host) and not url.username and not url.password and not url.fragment and endpoint.isprintable()
    return (
        whole
        and " " not in endpoint
        and (url.scheme == "https" or (url.scheme == "http" and (plain or is_loopback(endpoint))))
    )


def is_loopback(endpoint: str) -> bool:
    """Say whether an endpoint is on this very machine, by its name alone: only there may HTTP be plain."""
    return (urlsplit(endpoint).hostname or "") in _LOOPBACK
