"""How long certificates last: gaps, what is next, what is dated too late, and whom it hits."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509

from broker.diagnosis.forecast import Forecast, Level, Own, Purpose, State, Thresholds, forecast
from broker.routing.party import Agreement, Directory, Party, PartyKind
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import Generation, KeyPair
from tests.certificates import rsa_key

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS, THEIRS, OTHER = 8000101, 8000201, 8000202


def day(number: float) -> datetime:
    return NOW + timedelta(days=number)


@cache
def pair(begin: float, end: float, use: Use) -> KeyPair:
    key = rsa_key("forecast")
    serial = int((begin + 1000) * 10_000 + end + 1000) * 2 + (use is Use.SIGN)
    made = new_certificate("Fjordvik", "900000101", use, day(begin), day(end), key, serial=serial)
    return KeyPair(private_key=key, certificate=made)


def certificate(begin: float, end: float, use: Use) -> x509.Certificate:
    return pair(begin, end, use).certificate


def generation(begin: float, end: float, use: Use = Use.SIGN, *, starts: float | None = None) -> Generation:
    return Generation(pair=pair(begin, end, use), starts=None if starts is None else day(starts))


def own(*signing: Generation, encryption: tuple[Generation, ...] = ()) -> Own:
    held = encryption or (generation(-10, 500, Use.ENCRYPT),)
    return Own(number="900000101", name="Fjordvik kommune", hers=(OURS,), signing=signing, encryption=held)


def partners(
    signing: tuple[x509.Certificate, ...] = (),
    encryption: tuple[x509.Certificate, ...] = (),
    *,
    persist: timedelta = timedelta(days=2),
) -> Directory:
    agreement = Agreement(cpa_id="c", ours=OURS, theirs=THEIRS, persist_duration=persist)
    common = {"kind": PartyKind.EPJ, "organisation_number": None, "parent": 8000200}
    parties = (
        Party(
            her_id=8000200,
            name="Dalbygda kommune",
            kind=PartyKind.ORGANISATION,
            organisation_number="900000202",
            signing=signing,
            encryption=encryption,
            source="addresses/dalbygda.toml",
        ),
        Party(her_id=THEIRS, name="Hjemmetjenesten", agreements=(agreement,), receives=frozenset({"DIALOG"}), **common),  # type: ignore[arg-type]
        Party(her_id=OTHER, name="Legevakten", agreements=(agreement,), receives=frozenset({"AVVIK"}), **common),  # type: ignore[arg-type]
        Party(her_id=8000999, name="Uten avtale", kind=PartyKind.EPJ, organisation_number=None),
    )
    return Directory(parties={party.her_id: party for party in parties})


def one(found: tuple[Forecast, ...], purpose: Purpose, *, ours: bool = True) -> Forecast:
    (chosen,) = [each for each in found if each.purpose is purpose and each.own is ours]
    return chosen


def signing(*generations: Generation, directory: Directory | None = None) -> Forecast:
    return one(forecast([own(*generations)], directory or partners(), doors={}, at=NOW), Purpose.SIGN)


@pytest.mark.parametrize(
    ("days", "level"),
    [(60, Level.FINE), (59, Level.ORDER), (30, Level.ORDER), (29, Level.SOON), (7, Level.SOON), (6, Level.URGENT)],
)
def test_the_thresholds_are_sixty_thirty_and_seven_days(days: int, level: Level) -> None:
    found = signing(generation(-100, days))
    assert (found.days_left(NOW), found.level) == (days, level)
    assert (found.act is None) == (level is Level.FINE)


@pytest.mark.parametrize(
    ("generations", "lasts"),
    [
        ([(-100, 10)], 10),
        ([(-100, 10), (5, 400)], 400),
        ([(-100, 10), (10, 400)], 400),
        ([(-100, 10), (11, 400)], 10),  # a day without any
        ([(-100, 10), (5, 20), (15, 400), (402, 800)], 400),
        ([(5, 400), (-100, 10)], 400),
        ([(-100, -1)], None),
        ([(1, 400)], None),
        ([], None),
    ],
)
def test_a_next_certificate_counts_where_it_leaves_no_gap(
    generations: list[tuple[int, int]], lasts: int | None
) -> None:
    found = signing(*[generation(*each) for each in generations])
    assert found.days_left(NOW) == lasts
    if lasts is None:
        assert found.level is Level.URGENT


def test_what_is_used_now_and_what_is_next_is_said() -> None:
    found = signing(generation(-400, -1), generation(-100, 40), generation(-1, 700, starts=20))
    assert [each.state for each in found.held] == [State.USED, State.NEXT, State.ENDED]
    assert found.held[1].begins == day(20)
    assert found.level is Level.FINE


def test_an_old_encryption_key_is_kept_for_it_still_opens() -> None:
    held = (generation(-5, 500, Use.ENCRYPT), generation(-400, -1, Use.ENCRYPT))
    found = one(forecast([own(generation(-1, 500), encryption=held)], partners(), doors={}, at=NOW), Purpose.ENCRYPT)
    assert [each.state for each in found.held] == [State.USED, State.KEPT]
    assert found.level is Level.FINE


@pytest.mark.parametrize(
    ("starts", "persist", "late"), [(37, 2, False), (39, 2, True), (37, 10, True), (30, 10, False)]
)
def test_a_next_one_that_signs_too_late_for_what_is_on_its_way_is_told(starts: int, persist: int, late: bool) -> None:
    directory = partners(persist=timedelta(days=persist))
    found = signing(generation(-100, 40), generation(-1, 700, starts=starts), directory=directory)
    assert (found.level is Level.SOON) == late
    if late:
        assert found.act is not None
        assert f"{day(40 - persist):%F}" in found.act.en


def test_a_certificate_of_the_wrong_use_lasts_no_day() -> None:
    found = signing(generation(-100, 400, Use.ENCRYPT))
    assert (found.days_left(NOW), found.held[0].state) == (None, State.UNUSABLE)


def test_a_partners_certificate_is_forecast_once_for_all_units_that_it_serves() -> None:
    directory = partners((certificate(-100, 20, Use.SIGN),), (certificate(-100, 5, Use.ENCRYPT),))
    found = forecast([own(generation(-1, 500))], directory, doors={}, at=NOW)
    encryption, trusted = one(found, Purpose.ENCRYPT, ours=False), one(found, Purpose.SIGN, ours=False)
    assert (encryption.her_id, encryption.serves, encryption.level) == (8000200, (THEIRS, OTHER), Level.URGENT)
    assert encryption.fails.en == "messages to HER-id 8000201, 8000202 stop (AVVIK, DIALOG)"
    assert trusted.level is Level.SOON
    assert found[0] is encryption  # the nearest end first
    assert "addresses/dalbygda.toml" in (encryption.act.nb if encryption.act else "")


def test_of_a_partners_two_certificates_the_newest_is_sealed_for_and_both_are_trusted() -> None:
    old, new, later = (-100, 20), (-1, 700), (10, 900)
    directory = partners(
        tuple(certificate(*each, Use.SIGN) for each in (old, new, later)),
        tuple(certificate(*each, Use.ENCRYPT) for each in (old, new, later)),
    )
    found = forecast([own(generation(-1, 500))], directory, doors={}, at=NOW)
    states = [each.state for each in one(found, Purpose.ENCRYPT, ours=False).held]
    assert states == [State.USED, State.NEXT, State.KEPT]
    states = [each.state for each in one(found, Purpose.SIGN, ours=False).held]
    assert states == [State.USED, State.USED, State.NEXT]


def test_a_partner_without_certificates_is_named_once_and_one_without_an_agreement_never() -> None:
    found = [each for each in forecast([own(generation(-1, 500))], partners(), doors={}, at=NOW) if not each.own]
    assert [(each.her_id, each.held, each.level) for each in found] == [(8000200, (), Level.URGENT)] * 2


def test_the_doors_certificates_are_forecast_too() -> None:
    doors = {
        "epj": ("tls.crt", certificate(-10, 6, Use.SIGN)),
        "partner": ("web.crt", certificate(-10, 90, Use.SIGN)),
        "tls": ("client.crt", certificate(-10, 100, Use.SIGN)),
    }
    found = [
        each
        for each in forecast([own(generation(-1, 500))], partners(), doors=doors, at=NOW)
        if each.purpose is Purpose.TLS
    ]
    assert [(each.holder, each.level) for each in found] == [
        ("[epj]", Level.URGENT),
        ("[partner]", Level.FINE),
        ("[tls]", Level.FINE),
    ]
    assert found[2].fails.en == "partners that demand a client certificate do not let us in"
    assert "EPJ" in found[0].fails.en


def test_every_sentence_is_in_both_languages() -> None:
    directory = partners((certificate(-100, 20, Use.SIGN),), (certificate(-100, 5, Use.ENCRYPT),))
    doors = {"epj": ("tls.crt", certificate(-10, 6, Use.SIGN))}
    late = own(generation(-100, 3), generation(-1, 700, starts=2), encryption=(generation(-9, 3, Use.ENCRYPT),))
    for each in forecast([late], directory, doors=doors, at=NOW, thresholds=Thresholds()):
        for text in (each.fails, each.act):
            assert text is not None
            assert text.nb
            assert text.en
            assert text.nb != text.en
