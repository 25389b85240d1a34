"""What a person should know of the address records before a message stumbles over it. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from cryptography.x509 import Certificate

from broker.errors import NotTrusted, PartnerUnusable, Unaddressable
from broker.message import Text
from broker.routing import choose
from broker.routing.party import DATED, Directory, Party, PartyKind, Switch, Trust
from broker.sealing.certificates import Use, organisation_number, usable

SOON = 30  # days before a certificate's end from which it is spoken of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one record. `problem`: messages stop at it, now; else it is worth knowing."""

    her_id: int
    problem: bool
    text: Text
    error_id: str | None = None


def findings(
    directory: Directory, *, ours: Collection[int], processes: Collection[str], at: datetime
) -> tuple[Finding, ...]:
    """Return what is to be said of all records at the time `at`.

    `ours` are the HER-ids hosted here, `processes` the names that records may use.
    """
    found: list[Finding] = []
    for her in sorted({*ours} - directory.parties.keys()):
        text = Text(nb="driftes her, men har ingen adresseoppføring", en="is hosted here and has no address record")
        found.append(Finding(her_id=her, problem=True, text=text, error_id=choose.NO_RECORD))
    for her, party in sorted(directory.parties.items()):
        if not party.active:
            found.append(Finding(her_id=her, problem=False, text=Text(nb="er nedlagt", en="is closed")))
            continue
        if her not in ours and party.kind is not PartyKind.ORGANISATION:
            found += _of_partner(directory, party, ours, at)
        found += _of_processes(party, processes)
        found += _of_agreements(directory, party, at)
        found += _of_record(directory, party, at)
    return tuple(found)


def _of_partner(directory: Directory, party: Party, ours: Collection[int], at: datetime) -> Iterator[Finding]:
    her = party.her_id
    for ask in (
        lambda: choose.endpoint(directory, her),
        lambda: choose.recipient(directory, her, at),
    ):
        try:
            ask()
        except (Unaddressable, PartnerUnusable) as why:
            yield Finding(her_id=her, problem=True, text=_TEXTS[why.error_id], error_id=why.error_id)
    if directory.trust(her) is Trust.PATH:
        yield from _by_path(directory, her, at)
    elif not choose.signers(directory, her, at):
        text = Text(
            nb="har ikke noe brukbart signeringssertifikat; ingenting fra parten godtas",
            en="has no usable signing certificate; nothing from it is accepted",
        )
        yield Finding(her_id=her, problem=True, text=text)
    if ours and not any(directory.agreement(our, her) for our in ours):
        text = Text(
            nb="har ingen avtale ([[agreement]]) med noen av våre",
            en="has no [[agreement]] with any of ours",
        )
        yield Finding(her_id=her, problem=False, text=text, error_id=choose.NO_AGREEMENT)


def _by_path(directory: Directory, her: int, at: datetime) -> Iterator[Finding]:
    """What a party that is trusted by path lacks. Its encryption certificate is looked at as any other's."""
    if not directory.anchors.roots:
        text = Text(
            nb='har trust = "path", men ingen røtter er satt opp; nevn dem i [trust] roots',
            en='has trust = "path", and no roots are configured; name them in [trust] roots',
        )
        yield Finding(her_id=her, problem=True, text=text, error_id=choose.CERTIFICATE_NOT_TRUSTED)
        return
    if directory.organisation_number(her) is None:
        text = Text(
            nb='har trust = "path", men ikke noe organisasjonsnummer som sertifikatet kan nevne',
            en='has trust = "path", and no organisation_number that its certificate could name',
        )
        yield Finding(her_id=her, problem=True, text=text, error_id=choose.CERTIFICATE_NOT_TRUSTED)
        return
    for use, certificates in (
        (Use.SIGN, choose.signers(directory, her, at)),
        (Use.ENCRYPT, [one for one in directory.encryption(her) if usable(one, Use.ENCRYPT, at).ok]),
    ):
        for certificate in certificates:
            try:
                choose.path(directory, her, certificate, use, at)
            except NotTrusted as why:
                text = Text(
                    nb=f"sertifikatet for {_USES[use].nb} godtas ikke: {why.why}",
                    en=f"the certificate for {_USES[use].en} is not trusted: {why.why}",
                )
                yield Finding(her_id=her, problem=False, text=text, error_id=choose.CERTIFICATE_NOT_TRUSTED)


def _of_agreements(directory: Directory, party: Party, at: datetime) -> Iterator[Finding]:
    her = party.her_id
    for agreement in party.agreements:
        if (agreement.retries + 1) * agreement.retry_interval > agreement.persist_duration:
            who, retries = agreement.ours, agreement.retries
            text = Text(
                nb=f"avtalen med {who}: persist_duration er over før de {retries} nye forsøkene er det",
                en=f"the agreement with {who}: persist_duration ends before its {retries} retries do",
            )
            yield Finding(her_id=her, problem=False, text=text)
        for text in directory.conflict(agreement.ours, her):
            yield Finding(her_id=her, problem=True, text=text, error_id=choose.AGREEMENT_DIFFERS)
        if agreement.ends is None or agreement.starts is None:
            continue
        left = (agreement.ends - at).days
        if not agreement.starts <= at < agreement.ends:
            text = Text(
                nb=f"avtalen med {agreement.ours} gjelder ikke nå",
                en=f"the agreement with {agreement.ours} is not in force now",
            )
            yield Finding(her_id=her, problem=True, text=text, error_id=choose.NOT_IN_FORCE)
        elif left < SOON:
            text = Text(
                nb=f"avtalen med {agreement.ours} går ut om {left} dager",
                en=f"the agreement with {agreement.ours} ends in {left} days",
            )
            yield Finding(her_id=her, problem=False, text=text)


def _of_processes(party: Party, processes: Collection[str]) -> Iterator[Finding]:
    named = {name for agreement in party.agreements for name in agreement.processes} | (party.receives or set())
    for name in sorted(named - set(processes)):
        text = Text(nb=f"nevner prosessen {name}, som ingen fil har", en=f"names the process {name}, which no file has")
        yield Finding(her_id=party.her_id, problem=True, text=text)


def assumed_ours(directory: Directory) -> frozenset[int]:
    """Return the HER-ids that must be hosted here, by the records alone: partners have agreements with them."""
    partners = {her for her, party in directory.parties.items() if party.agreements}
    return frozenset(agreement.ours for her in partners for agreement in directory.parties[her].agreements) - partners


def _of_record(directory: Directory, party: Party, at: datetime) -> Iterator[Finding]:
    her = party.her_id
    number = next((each.organisation_number for each in directory.lineage(her) if each.organisation_number), None)
    for certificate, use in _certificates(party):
        left = usable(certificate, use, at)
        if left.ok and left.days_left < SOON:
            days = left.days_left
            text = Text(
                nb=f"sertifikatet for {_USES[use].nb} går ut om {days} dager",
                en=f"the certificate for {_USES[use].en} ends in {days} days",
            )
            yield Finding(her_id=her, problem=False, text=text)
        owner = organisation_number(certificate)
        if owner and number and owner != number:
            text = Text(
                nb=f"sertifikatet for {_USES[use].nb} tilhører {owner}, oppføringen {number}",
                en=f"the certificate for {_USES[use].en} is of {owner}, the record of {number}",
            )
            yield Finding(her_id=her, problem=False, text=text)
    for each in exceptions(directory, her, at.date()):
        if each.switch in party.switches:
            yield Finding(her_id=her, problem=False, text=each.text)
    if party.switches - DATED:
        words = ", ".join(sorted(party.switches - DATED))
        text = Text(nb=f"tillater det som ellers avvises: {words}", en=f"allows what is otherwise refused: {words}")
        yield Finding(her_id=her, problem=False, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempted:
    """An algorithm that a record lets in until a day. `days_left` is negative when that day is past."""

    switch: Switch
    until: date
    days_left: int

    @property
    def text(self) -> Text:
        """What to say of it."""
        if self.days_left < 0:
            return Text(
                nb=f"{self.switch} tok slutt med {self.until}; det som trenger det, avvises",
                en=f"{self.switch} ended with {self.until}; what needs it is refused",
            )
        return Text(
            nb=f"tillater {self.switch} til og med {self.until} ({self.days_left} dager igjen)",
            en=f"allows {self.switch} until {self.until} ({self.days_left} days left)",
        )


def exceptions(directory: Directory, her_id: int, on: date) -> tuple[Exempted, ...]:
    """Return the algorithms that the record of `her_id`, or of a parent, lets in until a day."""
    ends: dict[Switch, date] = {}
    for party in directory.lineage(her_id):
        for switch in party.switches & DATED:
            ends[switch] = max(party.ends(switch), ends.get(switch, date.min))
    return tuple(
        Exempted(switch=switch, until=until, days_left=(until - on).days) for switch, until in sorted(ends.items())
    )


def _certificates(party: Party) -> Iterator[tuple[Certificate, Use]]:
    yield from ((certificate, Use.SIGN) for certificate in party.signing)
    yield from ((certificate, Use.ENCRYPT) for certificate in party.encryption)


_USES = {
    Use.SIGN: Text(nb="signering", en="signing"),
    Use.ENCRYPT: Text(nb="kryptering", en="encryption"),
}

_TEXTS = {
    choose.NO_ENDPOINT: Text(nb="har ikke noe endepunkt", en="has no endpoint"),
    choose.PARTY_CLOSED: Text(
        nb="hører til en virksomhet som er nedlagt", en="belongs to an organisation that is closed"
    ),
    choose.NO_CERTIFICATE: Text(nb="har ikke noe krypteringssertifikat", en="has no encryption certificate"),
    choose.CERTIFICATE_EXPIRED: Text(
        nb="krypteringssertifikatet er utløpt", en="the encryption certificate has expired"
    ),
    choose.CERTIFICATE_NOT_YET_VALID: Text(
        nb="krypteringssertifikatet er ikke gyldig ennå", en="the encryption certificate is not valid yet"
    ),
    choose.CERTIFICATE_NOT_TRUSTED: Text(
        nb="krypteringssertifikatet fører ikke til noen av våre røtter, eller nevner ikke virksomheten",
        en="the encryption certificate leads to none of our roots, or does not name the organisation",
    ),
    choose.CERTIFICATE_OF_WRONG_USE: Text(
        nb="krypteringssertifikatet kan ikke brukes til kryptering",
        en="the encryption certificate is not for encryption",
    ),
}
