"""Which way a message goes: every cause that stops it has its own error id, and nothing else stops it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.x509 import Certificate

from broker.errors import Inconsistent, PartnerUnusable, Unaddressable, ValueNotRecognized
from broker.retry import Chase
from broker.routing import choose
from broker.routing.party import Agreement, Directory, Party, PartyKind, Switch, Terms
from broker.routing.process import Function, Process, Processes
from broker.sealing.certificates import Use
from tests.unit.routing.samples import (
    DALBYGDA,
    DALBYGDA_NURSE,
    DALBYGDA_NURSING,
    EKONTAKT,
    FJORDVIK,
    FJORDVIK_NURSING,
    NOW,
    QUESTION,
    certificate,
)

SIGNING, ENCRYPTION = certificate(Use.SIGN), certificate(Use.ENCRYPT)
AGREEMENT = Agreement(cpa_id="cpa-1", ours=FJORDVIK_NURSING, theirs=DALBYGDA_NURSING)
MUNICIPALITY = Party(
    her_id=DALBYGDA,
    name="Dalbygda kommune",
    kind=PartyKind.ORGANISATION,
    organisation_number="900000202",
    endpoint="https://ebms.dalbygda.example/ebms",
    signing=(SIGNING,),
    encryption=(ENCRYPTION,),
)
NURSING = Party(
    her_id=DALBYGDA_NURSING,
    name="Hjemmesykepleien i Dalbygda",
    kind=PartyKind.EPJ,
    organisation_number=None,
    parent=DALBYGDA,
    agreements=(AGREEMENT,),
)
OURS = Party(her_id=FJORDVIK_NURSING, name="Fjordvik", kind=PartyKind.EPJ, organisation_number="900000101")


def directory_of(*parties: Party, complete: bool = True) -> Directory:
    return Directory(parties={party.her_id: party for party in parties}, complete=complete)


def route(*parties: Party, complete: bool = True) -> choose.Route:
    return choose.route(
        directory_of(OURS, *parties, complete=complete),
        process=EKONTAKT,
        function=QUESTION,
        sender=FJORDVIK_NURSING,
        receiver=DALBYGDA_NURSING,
        now=NOW,
    )


def test_a_unit_without_endpoint_and_certificates_goes_by_its_organisation() -> None:
    found = route(MUNICIPALITY, NURSING)
    assert found.endpoint == "https://ebms.dalbygda.example/ebms"
    assert found.recipient == ENCRYPTION
    assert found.signers == (SIGNING,)
    assert found.agreement == AGREEMENT


def test_what_the_unit_has_itself_goes_before_its_organisation() -> None:
    own = certificate(Use.ENCRYPT, number=1)
    found = route(MUNICIPALITY, replace(NURSING, endpoint="https://own.example/", encryption=(own,)))
    assert (found.endpoint, found.recipient) == ("https://own.example/", own)


EXPIRED = certificate(Use.ENCRYPT, start=-400, days=30)
EARLY = certificate(Use.ENCRYPT, start=1)
UNADDRESSABLE = [
    ("no agreement", (MUNICIPALITY, replace(NURSING, agreements=())), "MB-2002"),
    ("no endpoint", (replace(MUNICIPALITY, endpoint=None), NURSING), "MB-2008"),
    ("closed", (MUNICIPALITY, replace(NURSING, active=False)), "MB-2009"),
    ("organisation closed", (replace(MUNICIPALITY, active=False), NURSING), "MB-2009"),
    ("record gone", (MUNICIPALITY,), "MB-2001"),
    ("another process", (MUNICIPALITY, replace(NURSING, receives=frozenset({"AVVIK"}))), "MB-2010"),
    ("receives nothing", (MUNICIPALITY, replace(NURSING, receives=frozenset())), "MB-2010"),
    ("an organisation", (MUNICIPALITY, replace(NURSING, kind=PartyKind.ORGANISATION)), "MB-2010"),
]
UNUSABLE = [
    ("expired", (EXPIRED,), "MB-2003"),
    ("not yet valid", (EARLY,), "MB-2005"),
    ("for signing", (SIGNING,), "MB-2006"),
    ("none", (), "MB-2007"),
    ("the one that mends itself gives the reason", (EXPIRED, SIGNING, EARLY), "MB-2005"),
    ("an expired one before one of wrong use", (SIGNING, EXPIRED), "MB-2003"),
]


@pytest.mark.parametrize(
    ("parties", "error_id"), [case[1:] for case in UNADDRESSABLE], ids=[c[0] for c in UNADDRESSABLE]
)
def test_what_can_not_be_addressed_has_its_own_error_id(parties: tuple[Party, ...], error_id: str) -> None:
    with pytest.raises(Unaddressable) as caught:
        route(*parties)
    assert caught.value.error_id == error_id


@pytest.mark.parametrize(("certificates", "error_id"), [c[1:] for c in UNUSABLE], ids=[c[0] for c in UNUSABLE])
def test_a_certificate_that_can_not_be_used_has_its_own_error_id(
    certificates: tuple[Certificate, ...], error_id: str
) -> None:
    with pytest.raises(PartnerUnusable) as caught:
        route(replace(MUNICIPALITY, encryption=certificates), NURSING)
    assert caught.value.error_id == error_id


def test_a_record_that_may_only_be_unreadable_is_not_taken_for_unknown() -> None:
    with pytest.raises(Unaddressable) as caught:
        route(MUNICIPALITY, complete=False)
    assert caught.value.error_id == "MB-2004"
    assert choose.known(directory_of(MUNICIPALITY), DALBYGDA_NURSING) is False
    assert choose.known(directory_of(MUNICIPALITY, complete=False), DALBYGDA) is True


def test_the_newest_usable_certificate_wins() -> None:
    older, newer = certificate(Use.ENCRYPT, start=-100), certificate(Use.ENCRYPT, number=1, start=-10)
    found = route(replace(MUNICIPALITY, encryption=(newer, EARLY, older, EXPIRED)), NURSING)
    assert found.recipient == newer


def test_a_certificate_is_judged_at_the_time_given() -> None:
    directory = directory_of(replace(MUNICIPALITY, encryption=(ENCRYPTION,)))
    end = ENCRYPTION.not_valid_after_utc
    assert choose.recipient(directory, DALBYGDA, end) == ENCRYPTION
    with pytest.raises(PartnerUnusable):
        choose.recipient(directory, DALBYGDA, end + timedelta(seconds=1))


def test_only_usable_certificates_may_sign() -> None:
    old = certificate(Use.SIGN, start=-400, days=30)
    directory = directory_of(replace(MUNICIPALITY, signing=(SIGNING, old, ENCRYPTION)), NURSING)
    assert choose.signers(directory, DALBYGDA_NURSING, NOW) == (SIGNING,)
    assert choose.signers(directory, 1, NOW) == ()


def test_the_process_gives_the_headers() -> None:
    assert route(MUNICIPALITY, NURSING).headers == choose.Headers(
        service="Ekontakt", service_type="string", action="Foresporsel", from_role="Innbygger", to_role="Kommune"
    )


def named(directory: Directory, headers: choose.Headers, *, at: int, sender: int) -> tuple[Process, Function] | None:
    """Return what `at`, one of ours, takes headers of `sender` for."""
    agreement = directory.agreement(at, sender)
    assert agreement is not None
    return choose.function_named(
        Processes(by_name={"EKONTAKT": EKONTAKT}),
        agreement,
        service=headers.service,
        action=headers.action,
        from_role=headers.from_role,
        to_role=headers.to_role,
    )


def agreed(terms: Terms, chase: Chase | None = None) -> Party:
    return replace(NURSING, agreements=(replace(AGREEMENT, processes={"EKONTAKT": terms}, chase=chase),))


def test_the_agreement_overrides_the_process_header_by_header() -> None:
    terms = Terms(service="Other", service_type="", actions={"Spørsmål": "Ask"}, our_role="A", their_role="B")
    assert route(MUNICIPALITY, agreed(terms)).headers == choose.Headers(
        service="Other", service_type="", action="Ask", from_role="A", to_role="B"
    )
    partly = route(MUNICIPALITY, agreed(Terms(their_role="B"))).headers
    assert (partly.service, partly.from_role, partly.to_role) == ("Ekontakt", "Innbygger", "B")


def test_a_receipt_goes_back_with_roles_swapped_and_the_action_of_receipts() -> None:
    directory = directory_of(OURS, MUNICIPALITY, replace(NURSING, receives=frozenset()))
    found = choose.route_back(
        directory, process=EKONTAKT, function=QUESTION, sender=FJORDVIK_NURSING, receiver=DALBYGDA_NURSING, now=NOW
    )
    assert found.headers == choose.Headers(
        service="Ekontakt", service_type="string", action="Svarmelding", from_role="Kommune", to_role="Innbygger"
    )


def test_our_role_stays_ours_whichever_way_a_message_goes() -> None:
    directory = directory_of(
        OURS, MUNICIPALITY, agreed(Terms(our_role="A", their_role="B", actions={"Spørsmål": "Ask"}))
    )
    there = choose.Headers(service="Ekontakt", service_type="string", action="Ask", from_role="B", to_role="A")
    assert named(directory, there, at=FJORDVIK_NURSING, sender=DALBYGDA_NURSING) == (EKONTAKT, QUESTION)
    turned = replace(there, from_role="A", to_role="B")
    assert named(directory, turned, at=FJORDVIK_NURSING, sender=DALBYGDA_NURSING) is None
    back = choose.route_back(
        directory, process=EKONTAKT, function=QUESTION, sender=FJORDVIK_NURSING, receiver=DALBYGDA_NURSING, now=NOW
    ).headers
    assert (back.from_role, back.to_role, back.action) == ("A", "B", "Svarmelding")


def test_what_one_side_sends_is_what_the_other_side_expects() -> None:
    terms = Terms(our_role="A", service="S")
    ours = directory_of(OURS, MUNICIPALITY, agreed(terms))
    # The same pair in the partner's broker: our record, with the agreement as they see it.
    theirs = directory_of(
        replace(
            OURS,
            agreements=(
                replace(
                    AGREEMENT,
                    ours=DALBYGDA_NURSING,
                    theirs=FJORDVIK_NURSING,
                    processes={"EKONTAKT": Terms(their_role="A", service="S")},
                ),
            ),
        ),
        MUNICIPALITY,
        replace(NURSING, agreements=()),
    )
    sent = choose.route(
        ours, process=EKONTAKT, function=QUESTION, sender=FJORDVIK_NURSING, receiver=DALBYGDA_NURSING, now=NOW
    ).headers
    found = named(theirs, sent, at=DALBYGDA_NURSING, sender=FJORDVIK_NURSING)
    assert found == (EKONTAKT, QUESTION)
    receipt = choose.route_back(
        ours, process=EKONTAKT, function=QUESTION, sender=FJORDVIK_NURSING, receiver=DALBYGDA_NURSING, now=NOW
    ).headers
    assert named(theirs, receipt, at=DALBYGDA_NURSING, sender=FJORDVIK_NURSING) == (EKONTAKT, QUESTION)


@pytest.mark.parametrize("change", [{"service": "S"}, {"action": "A"}, {"from_role": "R"}, {"to_role": "R"}])
def test_headers_that_differ_in_anything_name_no_function(change: dict[str, str]) -> None:
    directory = directory_of(OURS, MUNICIPALITY, NURSING)
    right = choose.Headers(
        service="Ekontakt", service_type="string", action="Foresporsel", from_role="Innbygger", to_role="Kommune"
    )
    assert named(directory, right, at=FJORDVIK_NURSING, sender=DALBYGDA_NURSING) == (EKONTAKT, QUESTION)
    assert named(directory, replace(right, **change), at=FJORDVIK_NURSING, sender=DALBYGDA_NURSING) is None


def test_an_agreement_of_two_hosted_here_serves_both_ways() -> None:
    directory = directory_of(OURS, MUNICIPALITY, agreed(Terms(our_role="A", their_role="B")))
    turned = directory.agreement(DALBYGDA_NURSING, FJORDVIK_NURSING)
    assert turned is not None
    assert (turned.ours, turned.theirs, turned.cpa_id) == (DALBYGDA_NURSING, FJORDVIK_NURSING, "cpa-1")
    assert turned.processes["EKONTAKT"] == Terms(our_role="B", their_role="A")


@pytest.mark.parametrize(
    ("by_process", "by_agreement", "wins"),
    [
        (None, None, Chase.REPEAT),
        (None, Chase.ASK, Chase.ASK),
        (Chase.NONE, Chase.ASK, Chase.NONE),
    ],
)
def test_chase_is_the_processes_unless_the_agreement_says_otherwise(
    by_process: Chase | None, by_agreement: Chase | None, wins: Chase
) -> None:
    partner = agreed(Terms(chase=by_process), chase=by_agreement)
    assert route(MUNICIPALITY, partner).receipt == replace(EKONTAKT.receipt, chase=wins)
    directory = directory_of(OURS, MUNICIPALITY, partner)
    policy = choose.receipt_policy(directory, process=EKONTAKT, ours=FJORDVIK_NURSING, theirs=DALBYGDA_NURSING)
    assert policy.chase is wins


def test_without_an_agreement_the_receipt_clock_is_the_processes() -> None:
    directory = directory_of(MUNICIPALITY)
    assert choose.receipt_policy(directory, process=EKONTAKT, ours=1, theirs=DALBYGDA) == EKONTAKT.receipt


def test_an_incoming_envelope_must_name_the_agreement_of_the_pair() -> None:
    directory = directory_of(OURS, MUNICIPALITY, NURSING)
    found = choose.agreement_of(directory, cpa_id="cpa-1", receiver=FJORDVIK_NURSING, sender=DALBYGDA_NURSING, at=NOW)
    assert found == AGREEMENT
    with pytest.raises(Inconsistent):
        choose.agreement_of(directory, cpa_id="cpa-2", receiver=FJORDVIK_NURSING, sender=DALBYGDA_NURSING, at=NOW)
    with pytest.raises(ValueNotRecognized):
        choose.agreement_of(directory, cpa_id="cpa-1", receiver=FJORDVIK_NURSING, sender=DALBYGDA, at=NOW)


NURSE = replace(NURSING, her_id=DALBYGDA_NURSE, parent=DALBYGDA_NURSING, person=True)
STRANGER = replace(MUNICIPALITY, her_id=8000301, signing=(certificate(Use.SIGN, number=2),))
OWN = certificate(Use.SIGN, number=1)


@pytest.mark.parametrize(
    ("signed_by", "her", "holds"),
    [
        (SIGNING, DALBYGDA, True),
        (SIGNING, DALBYGDA_NURSING, True),  # inherits
        (SIGNING, DALBYGDA_NURSE, True),  # inherits over two levels
        (SIGNING, 8000301, False),  # another organisation
        (SIGNING, 8000999, False),  # nobody
        (OWN, DALBYGDA_NURSING, False),  # pinned by nobody
        (certificate(Use.SIGN, number=2), DALBYGDA_NURSING, False),
        (ENCRYPTION, DALBYGDA, False),  # pinned for encryption only
    ],
)
def test_a_certificate_speaks_for_its_record_and_those_below_that_inherit_it(
    signed_by: Certificate, her: int, holds: bool
) -> None:
    directory = directory_of(MUNICIPALITY, NURSING, NURSE, STRANGER)
    assert (signed_by in directory.signing(her)) is holds


def test_an_organisation_does_not_speak_for_a_unit_with_certificates_of_its_own() -> None:
    directory = directory_of(MUNICIPALITY, replace(NURSING, signing=(OWN,)), NURSE)
    assert OWN in directory.signing(DALBYGDA_NURSE)
    assert SIGNING not in directory.signing(DALBYGDA_NURSING)
    assert OWN not in directory.signing(DALBYGDA)


def test_switches_count_for_the_units_of_an_organisation_too() -> None:
    directory = directory_of(
        replace(MUNICIPALITY, switches=frozenset({Switch.SHA1})),
        replace(NURSING, switches=frozenset({Switch.TRIPLE_DES})),
    )
    assert directory.switches(DALBYGDA_NURSING) == {Switch.SHA1, Switch.TRIPLE_DES}
    assert directory.switches(DALBYGDA) == {Switch.SHA1}
    assert directory.switches(FJORDVIK) == frozenset()


def test_plain_http_only_here_or_by_record() -> None:
    plain = replace(MUNICIPALITY, endpoint="http://dal.example/ebms", switches=frozenset({Switch.PLAIN_HTTP}))
    assert choose.plain_http_allowed(directory_of(plain), "http://dal.example/ebms")
    assert not choose.plain_http_allowed(directory_of(plain), "http://dal.example/other")
    assert not choose.plain_http_allowed(directory_of(MUNICIPALITY), "http://dal.example/ebms")
    assert choose.plain_http_allowed(directory_of(), "http://127.0.0.1:8080/ebms")
