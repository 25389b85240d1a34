"""Which generation signs, and which of a partner's certificates we seal for, over every order of dates."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import PartnerUnusable
from broker.routing import choose
from broker.routing.party import Directory, Party, PartyKind
from broker.sealing.certificates import Use, new_certificate, usable
from broker.sealing.keys import Generation, KeyPair, signing_at
from tests.certificates import rsa_key

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(0, 12)
PERIODS = st.tuples(DAYS, st.integers(1, 12))  # the day it begins, and how many it lasts
HER = 8000201


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


@cache
def pair(begin: int, days: int, use: Use) -> KeyPair:
    key = rsa_key("generations")
    serial = begin * 1000 + days * 2 + (use is Use.SIGN) + 1
    made = new_certificate("Dalbygda", "900000202", use, day(begin), day(begin + days), key, serial=serial)
    return KeyPair(private_key=key, certificate=made)


@cache
def certificate(begin: int, days: int, use: Use) -> x509.Certificate:
    return pair(begin, days, use).certificate


GENERATIONS = st.lists(
    st.builds(
        lambda period, starts, right: Generation(
            pair=pair(*period, Use.SIGN if right else Use.ENCRYPT),
            starts=None if starts is None else day(starts),
        ),
        PERIODS,
        st.none() | DAYS,
        st.integers(0, 9).map(bool),
    ),
    max_size=5,
)
INSTANTS = st.integers(-24, 26 * 24).map(lambda hours: day(hours / 24))


def may_sign(each: Generation, at: datetime) -> bool:
    return usable(each.pair.certificate, Use.SIGN, at).ok


@settings(max_examples=200, deadline=None)
@given(GENERATIONS, INSTANTS)
def test_something_signs_exactly_while_something_can(generations: list[Generation], at: datetime) -> None:
    chosen = signing_at(generations, at)
    assert (chosen is not None) == any(may_sign(each, at) for each in generations)
    assert chosen is None or may_sign(chosen, at)


@settings(max_examples=200, deadline=None)
@given(GENERATIONS, INSTANTS)
def test_no_generation_that_began_later_is_passed_over(generations: list[Generation], at: datetime) -> None:
    chosen = signing_at(generations, at)
    begun = [each for each in generations if may_sign(each, at) and each.begins <= at]
    if begun and chosen is not None:
        assert chosen.begins <= at
        assert all(each.begins <= chosen.begins for each in begun)


@settings(max_examples=200, deadline=None)
@given(GENERATIONS, INSTANTS)
def test_before_its_day_a_generation_signs_only_where_no_other_can(generations: list[Generation], at: datetime) -> None:
    chosen = signing_at(generations, at)
    if chosen is not None and chosen.begins > at:
        assert not any(may_sign(each, at) and each.begins <= at for each in generations)


@settings(max_examples=200, deadline=None)
@given(GENERATIONS, INSTANTS, st.randoms())
def test_the_order_of_the_files_decides_nothing(generations: list[Generation], at: datetime, order: object) -> None:
    shuffled = generations[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    one, other = signing_at(generations, at), signing_at(shuffled, at)
    assert (one and (one.begins, one.ends)) == (other and (other.begins, other.ends))


@settings(max_examples=200, deadline=None)
@given(GENERATIONS.filter(bool))
def test_time_goes_one_way_a_generation_is_not_left_and_taken_up_again(generations: list[Generation]) -> None:
    """Among certificates that follow each other; where a newer one ends first, the older one serves again."""
    following = sorted(generations, key=lambda each: (each.begins, each.ends))
    ends = [each.ends for each in following]
    if ends != sorted(ends) or not all(usable(each.pair.certificate, Use.SIGN, each.ends).ok for each in following):
        return
    signed = [signing_at(following, day(hours / 4)) for hours in range(26 * 4)]
    begins = [each.begins for at, each in enumerate(signed) if each is not None and each.begins <= day(at / 4)]
    assert begins == sorted(begins)


def party(certificates: list[x509.Certificate], *, signing: list[x509.Certificate]) -> Directory:
    record = Party(
        her_id=HER,
        name="Dalbygda",
        kind=PartyKind.EPJ,
        organisation_number=None,
        encryption=tuple(certificates),
        signing=tuple(signing),
    )
    return Directory(parties={HER: record})


@settings(max_examples=200, deadline=None)
@given(st.lists(PERIODS, min_size=1, max_size=4), INSTANTS)
def test_we_seal_for_the_newest_certificate_of_a_partner_that_is_valid(
    periods: list[tuple[int, int]], at: datetime
) -> None:
    held = [certificate(*period, Use.ENCRYPT) for period in periods]
    valid = [each for each in held if each.not_valid_before_utc <= at <= each.not_valid_after_utc]
    if valid:
        chosen = choose.recipient(party(held, signing=[]), HER, at)
        assert chosen in valid
        assert chosen.not_valid_before_utc == max(each.not_valid_before_utc for each in valid)
    else:
        with pytest.raises(PartnerUnusable):
            choose.recipient(party(held, signing=[]), HER, at)


@settings(max_examples=200, deadline=None)
@given(st.lists(PERIODS, min_size=1, max_size=4), INSTANTS)
def test_every_signing_certificate_of_a_partner_counts_while_it_is_valid(
    periods: list[tuple[int, int]], at: datetime
) -> None:
    held = [certificate(*period, Use.SIGN) for period in periods]
    trusted = choose.signers(party([], signing=held), HER, at)
    assert set(trusted) == {each for each in held if each.not_valid_before_utc <= at <= each.not_valid_after_utc}
