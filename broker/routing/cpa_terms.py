"""What an agreement file means for us: a `Cpa`, seen from the party that is hosted here, to an `Agreement`.

It decides what of a CPA this broker can keep. What it can't keep is refused with a sentence, never approximated; what
it reads and passes by, and what it chose where the file leaves a choice, is said in a remark.

One `Agreement` holds for both directions, so what the file asks of them must be the same. Of several channels the first
that this broker can use counts: CPPA 2.0, 8.4.10 has them in order of preference.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn, TypeVar

from cryptography.x509 import Certificate

from broker.errors import Misconfigured
from broker.message import Text
from broker.routing.cpa import (
    Action,
    Binding,
    Channel,
    Cpa,
    CpaParty,
    Often,
    Role,
    SyncReply,
    address,
    over_http,
    usable_channels,
)
from broker.routing.cpa_match import Match, Matched, matches, unmatched
from broker.routing.party import Agreement, PartyKind
from broker.routing.process import Processes
from broker.sealing.algorithms import BY_ID
from broker.sealing.cms import Cipher

T = TypeVar("T")

VERSIONS: Final = frozenset({"2_0", "2_0a", "2_0b", "2_0c", "1.0"})
_BY_NAME: Final = {algorithm.name.replace("-", ""): algorithm for algorithm in BY_ID.values()}  # some write no URI
_SEALED: Final = frozenset({"persistent", "transient-and-persistent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a person should know of an agreement before it is taken into use."""

    slug: str  # for programs
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """An agreement file as we would keep it."""

    cpa: Cpa
    agreement: Agreement
    our_name: str
    their_name: str
    endpoint: str  # where the partner takes envelopes
    our_endpoint: str | None
    signing: tuple[Certificate, ...]  # the partner's
    encryption: tuple[Certificate, ...]
    our_signing: tuple[Certificate, ...]
    our_encryption: tuple[Certificate, ...]
    exchanged: tuple[Matched, ...]
    silent: frozenset[str]  # fields of the agreement that the file has no word for: a table of the record may
    remarks: tuple[Remark, ...]


def agreed(
    cpa: Cpa,
    *,
    hosted: Collection[int],
    processes: Processes,
    kind_of: Callable[[int], PartyKind | None],
    services: Mapping[str, str] | None = None,
) -> Agreed:
    """Return how we would keep an agreement file.

    `hosted` are the HER-ids of ours, `services` the Service by the name of a process, where the file has another
    than the process. Raises Misconfigured for what can't be kept.
    """
    return _Reading(cpa, hosted, processes, kind_of, services or {}).result()


def her_of(cpa: Cpa, party: CpaParty) -> int:
    """Return the HER-id of a party. Raises Misconfigured where it has none, or several."""
    found = {one.value for one in party.ids if one.type == "HER"}
    if len(found) != 1 or not (value := found.pop()).isascii() or not value.isdigit() or not 0 < int(value) < 2**31:
        raise Misconfigured(
            f"the party {party.name or '?'} is not named by exactly one PartyId of type HER",
            where=f"{cpa.source}, line {party.line}",
            hint="ask for an agreement that names each party by its HER-id",
        )
    return int(value)


class _Reading:
    """One file while it is read; `remarks` grow on the way."""

    def __init__(
        self,
        cpa: Cpa,
        hosted: Collection[int],
        processes: Processes,
        kind_of: Callable[[int], PartyKind | None],
        services: Mapping[str, str],
    ) -> None:
        self.cpa, self.remarks = cpa, list[Remark]()
        self.silent = {"chase", "key_transport"}
        hers = [her_of(cpa, party) for party in cpa.parties]
        ours = next((place for place, her in enumerate(hers) if her in hosted), None)
        if ours is None:
            self._refuse(
                f"neither HER-id {hers[0]} nor HER-id {hers[1]} is hosted here",
                "list the HER-id of ours under [[organisation]] in the settings",
            )
        self.us, self.them = cpa.parties[ours], cpa.parties[1 - ours]
        self.our_her, self.their_her = hers[ours], hers[1 - ours]
        unknown = sorted(services.keys() - processes.by_name.keys())
        if unknown:
            self._refuse(f"no process file has {unknown[0]}", "name a process that `processes` has")
        self.found: Match = matches(
            self.us,
            self.them,
            processes=processes,
            services=services,
            kinds=(kind_of(self.our_her), kind_of(self.their_her)),
        )
        self.used = [(one, *self._ends(one)) for one in self.found.matched]
        if not self.used and self.found.ambiguous:
            self._refuse(
                f"several pairs of roles fit the Service {self.found.ambiguous[0]}, and none is the process's own",
                "ask which role is whose, and write a process file with these roles",
            )
        if not self.used:
            self._refuse(
                "no process here has any Service and Action of it",
                "name which process a Service is: --process NAME=SERVICE",
            )

    def result(self) -> Agreed:
        self._remark_the_file()
        signed = self._same("isNonRepudiationRequired", (a.non_repudiation for a in self._actions()))
        retries, interval, persist = self._reliability()
        ack = self._acknowledged()
        ack_signed = self._ack_signed(signed=signed, ack=ack)
        sync = self._sync()
        cipher = self._encryption()
        if not signed:
            self._say(
                "unsigned",
                "er usignert: innholdet må gå ukryptert, og adresseposten må tillate det (plaintext-in)",
                "is unsigned: payloads must go in plaintext, and the address record must allow it (plaintext-in)",
            )
        self._algorithms(signed=signed)
        agreement = Agreement(
            cpa_id=self.cpa.cpa_id,
            ours=self.our_her,
            theirs=self.their_her,
            retries=retries if ack else 0,
            retry_interval=interval,
            persist_duration=persist,
            sync=sync,
            cipher=cipher,
            signed=signed,
            encrypted=signed,
            ack_requested=ack,
            ack_signed=ack_signed,
            starts=self.cpa.starts,
            ends=self.cpa.ends,
            processes=self.found.terms,
            sends=frozenset((one.process, one.function) for one in self.found.matched if one.out),
            takes=frozenset((one.process, one.function) for one in self.found.matched if not one.out),
        )
        return Agreed(
            cpa=self.cpa,
            agreement=agreement,
            our_name=self.us.name,
            their_name=self.them.name,
            endpoint=self._endpoint(sync=sync),
            our_endpoint=next((address(self.us, one) for one in self._takers(self.us)), None),
            signing=self._signers(self.them),
            encryption=self._recipients(self.them, out=True),
            our_signing=self._signers(self.us),
            our_encryption=self._recipients(self.us, out=False),
            exchanged=self.found.matched,
            silent=frozenset(self.silent),
            remarks=tuple(self.remarks),
        )

    # --- which channels ---

    def _ends(self, one: Matched) -> tuple[Channel, Channel]:
        """Return the channel that a message is sent by and the one that it is taken by."""
        sender, taker = (self.us, self.them) if one.out else (self.them, self.us)
        return self._channel(sender, one.sent), self._channel(taker, one.taken)

    def _channel(self, party: CpaParty, action: Action) -> Channel:
        found = usable_channels(party, action.channels)
        if not found:
            why = f"the Action {action.name} (line {action.line}) has no channel over HTTP with an http(s) address"
            self._refuse(why, "ask the partner for an agreement over HTTP")
        return found[0]

    def _actions(self) -> Iterator[Action]:
        for one, _, _ in self.used:
            yield from (one.sent, one.taken)

    def _senders(self, party: CpaParty | None = None) -> list[tuple[CpaParty, Channel]]:
        """Return the channels that messages are sent by, of both parties or one, each once."""
        found = {
            (owner.line, sent.id): (owner, sent)
            for one, sent, _ in self.used
            for owner in [self.us if one.out else self.them]
            if party is None or owner is party
        }
        return list(found.values())

    def _takers(self, party: CpaParty) -> list[Channel]:
        found = {taken.id: taken for one, _, taken in self.used if (self.them if one.out else self.us) is party}
        return list(found.values())

    # --- terms ---

    def _reliability(self) -> tuple[int, timedelta, timedelta]:
        """Return Retries, RetryInterval and PersistDuration of what we send; theirs is theirs to keep."""
        usual = Agreement(cpa_id="", ours=0, theirs=0)
        ours = [self.us.exchanges[channel.exchange].sender for _, channel in self._senders(self.us)]
        theirs = [self.them.exchanges[channel.exchange].receiver for channel in self._takers(self.them)]
        retries = self._said("Retries", ours, theirs, lambda one: one.retries)
        interval = self._said("RetryInterval", ours, theirs, lambda one: one.interval)
        persist = self._said("PersistDuration", ours, theirs, lambda one: one.persist)
        for binding in (*ours, *theirs):
            if binding.order not in (None, "NotGuaranteed"):
                self._refuse("the agreement asks for messages in order", "ask for MessageOrderSemantics NotGuaranteed")
        if retries is None:
            retries = usual.retries
            self.silent.add("retries")
        if interval is None:
            interval = usual.retry_interval
            self.silent.add("retry_interval")
            if retries and any(one.reliable for one in (*ours, *theirs)):
                self._silent("RetryInterval", "PT5M")
        if persist is None:
            persist = max(usual.persist_duration, interval * (retries + 1))
            self.silent.add("persist_duration")
            self._silent("PersistDuration", "P2D")
        if interval >= persist:
            self._refuse(
                "the agreement has a RetryInterval that is not shorter than PersistDuration", "ask for a longer one"
            )
        return retries, interval, persist

    def _said(
        self, name: str, ours: list[Binding], theirs: list[Binding], of: Callable[[Binding], T | None]
    ) -> T | None:
        mine = [value for each in ours if (value := of(each)) is not None]
        others = [value for each in theirs if (value := of(each)) is not None]
        value = self._same(name, mine) if mine else self._same(name, others) if others else None
        if any(other != value for other in others):
            self._say(
                "differs",
                f"{name} er en annen hos mottakeren enn hos oss som avsender; vår gjelder for det vi sender",
                f"{name} is another at the receiver than at us as the sender; ours counts for what we send",
            )
        return value

    def _acknowledged(self) -> bool:
        """Say whether an Acknowledgment is asked for, which must be the same both ways, as duplicate elimination."""
        asked = self._often("ackRequested", lambda one: one.ack_requested)
        reliable = any(
            party.exchanges[channel.exchange].sender.reliable or party.exchanges[channel.exchange].receiver.reliable
            for party, channel in self._senders()
        )
        if asked is None:
            asked = reliable
            self._left_open("ackRequested", asked=asked)
        if asked and not reliable:
            self._refuse(
                "the agreement asks for acknowledgments and has no ReliableMessaging",
                "ask for Retries and RetryInterval in it",
            )
        unique = self._often("duplicateElimination", lambda one: one.duplicate_elimination)
        if unique is not None and unique is not asked:
            self._refuse(
                "the agreement wants duplicateElimination and ackRequested not to be the same",
                "ask for both always, or both never",
            )
        if asked and any(channel.actor is None for _, channel in self._senders()):
            self._say(
                "actor",
                "nevner ingen actor for kvitteringer; vi skriver toPartyMSH",
                "names no actor for acknowledgments; we write toPartyMSH",
            )
        return asked

    def _ack_signed(self, *, signed: bool, ack: bool) -> bool:
        wanted = self._often("ackSignatureRequested", lambda one: one.ack_signed)
        if wanted is None:
            if ack:
                self._left_open("ackSignatureRequested", asked=signed)
            return signed and ack
        if wanted and ack and not signed:
            self._refuse(
                "the agreement wants signed acknowledgments of unsigned messages", "ask for both signed, or neither"
            )
        return wanted and ack

    def _often(self, name: str, of: Callable[[Channel], Often]) -> bool | None:
        """Return what all channels that messages are sent by say, or None where all leave it to each message."""
        said = {of(channel) for _, channel in self._senders()} - {Often.PER_MESSAGE}
        for one, sent, taken in self.used:
            if of(taken) not in (of(sent), Often.PER_MESSAGE):
                self._say(
                    "differs",
                    f"{name} er en annen der {one.sent.name} sendes enn der den tas imot; avsenderens gjelder",
                    f"{name} is another where {one.sent.name} is sent than where it is taken; the sender's counts",
                )
        if len(said) > 1:
            self._refuse(
                f"the agreement has {name} always for one message and never for another", f"ask for one {name} for all"
            )
        return None if not said else said == {Often.ALWAYS}

    def _sync(self) -> bool:
        said = self._same("syncReplyMode", (channel.sync_reply for _, channel in self._senders()))
        if said not in (SyncReply.NONE, SyncReply.MSH_SIGNALS):
            self._refuse(
                f"the agreement has syncReplyMode {said}: only signals of the MSH can come in the HTTP answer",
                "ask for mshSignalsOnly, or none",
            )
        for party in self.cpa.parties:
            default = party.channels[party.default_channel]
            if default.sync_reply is not said:
                self._say(
                    "differs",
                    f"syncReplyMode er en annen på standardkanalen til {party.name}; meldingens kanal gjelder",
                    f"syncReplyMode is another on the default channel of {party.name}; the message's channel counts",
                )
        return said is SyncReply.MSH_SIGNALS

    def _encryption(self) -> str:
        """Return the cipher of payloads. Raises Misconfigured for XML Encryption, and for what we never write."""
        wanted = {one.confidential in _SEALED for one in self._actions()}
        ciphers = set[str]()
        for one, _, taken in self.used:
            taker = self.them if one.out else self.us
            binding = taker.exchanges[taken.exchange].receiver
            if True in wanted and "xmlenc" in (binding.envelope or ""):
                self._refuse(
                    "the agreement wants payloads under XML Encryption, which this broker does not write",
                    "ask for isConfidential none: the payload is encrypted as CMS before it is put in",
                )
            if True in wanted and binding.encryption:
                ciphers.add(binding.encryption)
        names = {cipher.oid: cipher for cipher in Cipher} | {cipher.value: cipher for cipher in Cipher}
        found = {names.get(name.rpartition("#")[2].lower(), names.get(name)) for name in ciphers}
        if len(found) > 1 or None in found or Cipher.TRIPLE_DES_CBC in found:
            self._refuse(
                "the agreement wants a content encryption that this broker does not write", "ask for aes256-cbc"
            )
        if not found:
            self.silent.add("cipher")
        return next((cipher.value for cipher in found if cipher), Agreement(cpa_id="", ours=0, theirs=0).cipher)

    def _algorithms(self, *, signed: bool) -> None:
        if not signed:
            return
        for party, channel in self._senders():
            binding = party.exchanges[channel.exchange].sender
            for name in filter(None, (binding.signature, binding.hash)):
                self._algorithm(name, ours=party is self.us)

    def _algorithm(self, name: str, *, ours: bool) -> None:
        known = BY_ID.get(name) or _BY_NAME.get(name.casefold().replace("-", ""))
        if known is not None and known.out:
            return
        if ours and (known is None or not known.switch):
            self._refuse(
                "the agreement names a signature algorithm for us that this broker does not write", "ask for rsa-sha256"
            )
        if known is None:
            self._say(
                "algorithm",
                "nevner en signaturalgoritme for motparten som vår liste ikke har; det som er signert slik, avvises",
                "names a signature algorithm for the partner that our list does not have; what it signs is refused",
            )
        elif ours:
            self._say(
                "algorithm",
                f"nevner {known.name} for det vi signerer; vi skriver alltid rsa-sha256 og sha256",
                f"names {known.name} for what we sign; we always write rsa-sha256 and sha256",
            )
        elif known.switch:
            self._say(
                "algorithm",
                f"nevner {known.name} for motparten; godtas bare der adresseposten har bryteren {known.switch}",
                f"names {known.name} for the partner; taken only where its record has the switch {known.switch}",
            )

    # --- who and where ---

    def _endpoint(self, *, sync: bool) -> str:
        addresses = [address(self.them, channel) for channel in self._takers(self.them)]
        default = usable_channels(self.them, [self.them.default_channel])
        signals = [address(self.them, channel) for channel in default]
        if not sync or not addresses:
            addresses += signals
        found = sorted({address for address in addresses if address})
        if len(found) != 1:
            self._refuse(
                "the agreement names several addresses of the partner"
                if found
                else "names no http(s) address of the partner",
                "ask for one address for all messages and signals",
            )
        return found[0]

    def _signers(self, party: CpaParty) -> tuple[Certificate, ...]:
        channels = [channel for _, channel in self._senders(party)]
        channels += [party.channels[id] for id in (party.default_channel, *party.overrides.values())]
        ids = [party.exchanges[channel.exchange].sender.signing for channel in channels]
        return tuple(dict.fromkeys(party.certificates[id] for id in ids if id))

    def _recipients(self, party: CpaParty, *, out: bool) -> tuple[Certificate, ...]:
        """Return what the payloads for a party are encrypted to: ApplicationCertificateRef, else its channel's."""
        roles = [self._role(party, one) for one in self.found.matched if one.out is out]
        ids = [role.application_certificate for role in roles]
        if not any(ids):
            ids = [party.exchanges[channel.exchange].receiver.encrypts_to for channel in self._takers(party)]
        return tuple(dict.fromkeys(party.certificates[id] for id in ids if id))

    def _role(self, party: CpaParty, one: Matched) -> Role:
        action = one.taken if (party is self.them) is one.out else one.sent
        return next(role for role in party.roles if action in role.sends or action in role.takes)

    # --- what is said ---

    def _remark_the_file(self) -> None:
        if self.cpa.status not in ("agreed", "signed"):
            self._say("status", f"har status «{self.cpa.status[:40]}»", f'has the status "{self.cpa.status[:40]}"')
        if self.cpa.version not in VERSIONS:
            self._say("version", "er av en versjon vi ikke kjenner", "is of a version that we do not know")
        for party in self.cpa.parties:
            for channel in party.channels.values():
                if not over_http(party, channel):
                    protocol = party.transports[channel.transport].protocol[:20] or "?"
                    self._say(
                        "channel",
                        f"kanalen {channel.id[:80]} til {party.name} går over {protocol}; den hoppes over",
                        f"the channel {channel.id[:80]} of {party.name} goes over {protocol}; it is passed by",
                    )
        for unknown in self.cpa.unknown:
            self._say(
                "unknown",
                f"{unknown.what} (linje {unknown.line}, {unknown.count} ganger) kjennes ikke, og hoppes over",
                f"{unknown.what} (line {unknown.line}, {unknown.count} times) is not known, and passed by",
            )
        for service, action in unmatched(self.us, self.found):
            self._say(
                "no-process",
                f"Service {service}, Action {action}: ingen prosess her har den; den er utelatt",
                f"Service {service}, Action {action}: no process here has it; it is left out",
            )
        for process in self.found.without_receipts:
            self._say(
                "no-receipts",
                f"ingen Action for applikasjonskvitteringer i {process}",
                f"no Action for application receipts in {process}",
            )
        for service in self.found.ambiguous:
            self._say(
                "ambiguous",
                f"Service {service}: flere par av roller passer, og ingen er prosessens egne; den er utelatt",
                f"Service {service}: several pairs of roles fit, and none is the process's own; it is left out",
            )

    def _left_open(self, name: str, *, asked: bool) -> None:
        self._say(
            "per-message",
            f"overlater {name} til hver melding; vi velger {'alltid' if asked else 'aldri'}, begge veier",
            f"leaves {name} to each message; we choose {'always' if asked else 'never'}, both ways",
        )

    def _silent(self, name: str, ours: str) -> None:
        self._say("silent", f"sier ingen {name}; vår gjelder: {ours}", f"says no {name}; ours counts: {ours}")

    def _say(self, slug: str, nb: str, en: str) -> None:
        remark = Remark(slug=slug, text=Text(nb=nb, en=en))
        if remark not in self.remarks:
            self.remarks.append(remark)

    def _same(self, name: str, values: Iterable[T]) -> T:
        found = list(values)
        if any(value != found[0] for value in found):
            self._refuse(
                f"the agreement has another {name} for one message or direction than for another",
                f"ask for one {name} for all: this broker keeps one for a pair",
            )
        return found[0]

    def _refuse(self, why: str, hint: str) -> NoReturn:
        raise Misconfigured(why, where=self.cpa.source, hint=hint)
