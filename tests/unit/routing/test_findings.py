"""What a person is told of the records before a message stumbles over them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.routing.findings import assumed_ours, findings
from broker.routing.party import Agreement, Directory, Party, PartyKind, Switch, Terms
from broker.sealing.certificates import Use
from tests.unit.routing.samples import DALBYGDA, DALBYGDA_NURSING, FJORDVIK_NURSING, NOW, certificate

OURS = Party(her_id=FJORDVIK_NURSING, name="Fjordvik", kind=PartyKind.EPJ, organisation_number="900000101")
MUNICIPALITY = Party(
    her_id=DALBYGDA,
    name="Dalbygda kommune",
    kind=PartyKind.ORGANISATION,
    organisation_number="900000202",
    endpoint="https://ebms.dalbygda.example/ebms",
    signing=(certificate(Use.SIGN),),
    encryption=(certificate(Use.ENCRYPT),),
)
NURSING = Party(
    her_id=DALBYGDA_NURSING,
    name="Hjemmesykepleien",
    kind=PartyKind.EPJ,
    organisation_number=None,
    parent=DALBYGDA,
    receives=frozenset({"EKONTAKT"}),
    agreements=(Agreement(cpa_id="c", ours=FJORDVIK_NURSING, theirs=DALBYGDA_NURSING),),
)


def told(*parties: Party, ours: int = FJORDVIK_NURSING, days: int = 0) -> list[tuple[int, bool, str | None, str]]:
    directory = Directory(parties={party.her_id: party for party in parties})
    found = findings(directory, ours={ours}, processes={"EKONTAKT"}, at=NOW + timedelta(days=days))
    assert all(each.text.nb and each.text.en for each in found)
    return [(each.her_id, each.problem, each.error_id, each.text.en) for each in found]


def test_records_without_fault_are_not_spoken_of() -> None:
    assert told(OURS, MUNICIPALITY, NURSING) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"endpoint": None}, {("MB-2008", True)}),
        ({"encryption": ()}, {("MB-2007", True)}),
        ({"encryption": (certificate(Use.SIGN),)}, {("MB-2006", True)}),
        ({"encryption": (certificate(Use.ENCRYPT, start=1),)}, {("MB-2005", True)}),
        ({"encryption": (certificate(Use.ENCRYPT, start=-400, days=30),)}, {("MB-2003", True)}),
        ({"signing": ()}, {(None, True)}),
        ({"organisation_number": "900000303"}, {(None, False)}),
        ({"switches": frozenset({Switch.SHA1})}, {(None, False)}),
        ({"active": False}, {(None, False), ("MB-2009", True)}),
    ],
)
def test_what_stops_a_message_is_a_problem_and_the_rest_is_worth_knowing(
    change: dict[str, object], expected: set[tuple[str | None, bool]]
) -> None:
    changed = replace(MUNICIPALITY, **change)  # type: ignore[arg-type]  # one field of the table above
    assert {(error, problem) for _, problem, error, _ in told(OURS, changed, NURSING)} == expected


def test_a_certificate_near_its_end_is_spoken_of() -> None:
    words = [text for *_, text in told(OURS, MUNICIPALITY, NURSING, days=335 - 10)]
    assert words == ["the certificate for signing ends in 10 days", "the certificate for encryption ends in 10 days"]


def test_a_process_that_no_file_has_is_named() -> None:
    named = replace(NURSING, receives=frozenset({"EKONTAKT", "EKONTAT"}))
    assert [text for *_, text in told(OURS, MUNICIPALITY, named)] == ["names the process EKONTAT, which no file has"]
    (agreement,) = NURSING.agreements
    agreed = replace(NURSING, agreements=(replace(agreement, processes={"OTHER": Terms()}),))
    assert [text for *_, text in told(OURS, MUNICIPALITY, agreed)] == ["names the process OTHER, which no file has"]


def test_retries_that_persist_duration_has_no_room_for_are_named() -> None:
    (agreement,) = NURSING.agreements
    for persist, said in ((timedelta(minutes=20), []), (timedelta(minutes=19), ["persist_duration ends before its 3"])):
        agreed = replace(agreement, retries=3, retry_interval=timedelta(minutes=5), persist_duration=persist)
        found = told(OURS, MUNICIPALITY, replace(NURSING, agreements=(agreed,)))
        assert [text for *_, text in found if said and said[0] in text] == [text for *_, text in found]
        assert len(found) == len(said)


def test_a_partner_without_agreement_and_one_of_ours_without_record_are_named() -> None:
    alone = replace(NURSING, agreements=())
    assert [(her, error) for her, _, error, _ in told(OURS, MUNICIPALITY, alone)] == [(DALBYGDA_NURSING, "MB-2002")]
    assert told(MUNICIPALITY, NURSING) == [
        (FJORDVIK_NURSING, True, "MB-2001", "is hosted here and has no address record")
    ]


def test_who_partners_have_agreements_with_is_taken_for_ours() -> None:
    directory = Directory(parties={party.her_id: party for party in (OURS, MUNICIPALITY, NURSING)})
    assert assumed_ours(directory) == {FJORDVIK_NURSING}
