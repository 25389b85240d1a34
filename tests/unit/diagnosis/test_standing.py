"""The sentence says where a delivery stands, why, what comes next and who has the ball."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.diagnosis import CAUSES, causes, stand, stand_item
from broker.diagnosis.standing import Standing
from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint, Transport
from broker.message import Ball, Code, Delivery, Envelope, Owed
from tests.unit.web.values import NOW, delivery, envelope, item, message, state

_OSLO = ZoneInfo("Europe/Oslo")


def _stand(of: Delivery, sealed: Envelope | None = None) -> Standing:
    return stand(of, message(), name="Dalbygda legesenter", now=NOW, envelope=sealed, tz=_OSLO)


def test_a_queued_delivery_names_the_receiver_and_says_that_the_ball_is_with_us() -> None:
    standing = _stand(delivery(transport_due=NOW))
    assert standing.error_id is None
    assert standing.stop_point is StopPoint.K2
    assert standing.sentence.nb == (
        "Står ved K2 (validert), til Dalbygda legesenter (HER-id 8000201), 2 t 0 min etter at vi tok imot: i kø. "
        "Neste forsøk nå. Ballen er hos oss."
    )
    assert standing.sentence.en.startswith("Stands at K2 (validated), to Dalbygda legesenter (HER-id 8000201)")


@pytest.mark.parametrize(
    "error_id",
    ["MB-2002", "MB-2003", "MB-2004", "MB-2005", "MB-2006", "MB-2007", "MB-2008", "MB-4101", "MB-4102", "MB-4103"],
)
def test_a_parked_delivery_says_why_and_when_we_look_again(error_id: str) -> None:
    standing = _stand(delivery(cause=error_id, ball=Ball.PERSON, transport_due=NOW + timedelta(minutes=6), failures=2))
    assert standing.error_id == error_id
    assert CAUSES[error_id].name.nb in standing.sentence.nb
    assert CAUSES[error_id].name.en in standing.sentence.en
    assert "Neste forsøk om 6 min (kl. 13.06)." in standing.sentence.nb
    assert "Next try in 6 min (at 13:06)." in standing.sentence.en
    assert standing.sentence.nb.endswith("Ballen er hos en person hos oss.")
    assert standing.act == CAUSES[error_id].act
    assert standing.next_at == NOW + timedelta(minutes=6)


def test_a_copy_on_its_way_counts_the_tries_and_the_last_one_says_that_we_give_up() -> None:
    sent = delivery(
        state=state(Transport.SENT, stop_point=StopPoint.K5),
        ball=Ball.PARTNER,
        transport_due=NOW + timedelta(seconds=42),
    )
    assert _stand(sent, envelope(copies=2)).error_id == causes.ACKNOWLEDGMENT_AWAITED
    assert "Neste forsøk om 42 s (kl. 13.00) (nr. 3 av 4)." in _stand(sent, envelope(copies=2)).sentence.nb
    assert "We give up in 42 s" in _stand(sent, envelope(copies=4)).sentence.en


def test_a_time_on_another_day_says_the_day_and_a_zone_that_is_not_local_says_so() -> None:
    parked = delivery(transport_due=NOW + timedelta(days=2, hours=1))
    assert "om 2 d 1 t (23.11. kl. 14.00)" in _stand(parked).sentence.nb
    abroad = stand(parked, message(), name="X", now=NOW, tz=UTC)
    assert "in 2 d 1 h (23 Nov at 13:00 UTC)" in abroad.sentence.en


def test_an_acknowledged_delivery_waits_for_its_receipt() -> None:
    waiting = delivery(
        state=state(Transport.ACKNOWLEDGED, stop_point=StopPoint.K6),
        ball=Ball.PARTNER,
        receipt_due=NOW + timedelta(hours=2),
    )
    standing = _stand(waiting, envelope(copies=1))
    assert standing.error_id == causes.RECEIPT_AWAITED
    assert "venter på applikasjonskvittering" in standing.sentence.nb
    assert "Vi ser etter kvitteringen om 2 t 0 min" in standing.sentence.nb


@pytest.mark.parametrize(
    ("transport", "receipt", "expected"),
    [
        (Transport.ACKNOWLEDGED, Receipt.OVERDUE, causes.RECEIPT_OVERDUE),
        (Transport.REFUSED, Receipt.AWAITED, causes.HTTP_REFUSED),
        (Transport.ABANDONED, Receipt.AWAITED, causes.GAVE_UP),
        (Transport.SENT, Receipt.AWAITED, causes.ACKNOWLEDGMENT_AWAITED),
    ],
)
def test_a_state_without_a_recorded_cause_names_its_own(transport: Transport, receipt: Receipt, expected: str) -> None:
    assert _stand(delivery(state=state(transport, receipt))).error_id == expected


def test_a_recorded_cause_wins_over_what_the_state_says() -> None:
    refused = delivery(state=state(Transport.REFUSED), cause="MB-3302", ball=Ball.PERSON)
    assert "SecurityFailure" in _stand(refused).sentence.en


def test_an_ended_delivery_says_how_it_ended() -> None:
    done = state(Transport.ACKNOWLEDGED, Receipt.OK, Outcome.COMPLETED, StopPoint.K7)
    ok = delivery(state=done, ball=Ball.EPJ)
    assert _stand(ok).sentence.nb == (
        "Fullført: Dalbygda legesenter (HER-id 8000201) kvitterte med OK. Fagsystemet har ikke bekreftet utfallet ennå."
    )
    late = delivery(state=done, ball=Ball.EPJ, late=True, confirmed_at=NOW)
    assert "etter fristen" in _stand(late).sentence.nb
    assert _stand(late).sentence.en.endswith("The EPJ has confirmed the outcome.")
    not_owed = delivery(state=state(Transport.ACKNOWLEDGED, Receipt.NOT_OWED, Outcome.COMPLETED), ball=Ball.EPJ)
    assert "no application receipt was given" in _stand(not_owed).sentence.en
    closed = delivery(state=state(outcome=Outcome.CLOSED), ball=Ball.PERSON, closed_because="free words")
    assert "Lukket av en person" in _stand(closed).sentence.nb
    assert "free words" not in _stand(closed).sentence.nb + _stand(closed).sentence.en


def test_a_rejection_shows_codes_of_our_list_and_never_a_partners_free_text() -> None:
    rejected = delivery(
        state=state(Transport.ACKNOWLEDGED, Receipt.REJECTED, Outcome.REJECTED, StopPoint.K7),
        ball=Ball.EPJ,
        codes=(
            Code(code="E35", oid="8221", text="Pasienten er ikke kjent"),
            Code(code="E99", oid="", text=""),
            Code(code="Kari Canary", oid="", text=""),
        ),
    )
    sentence = _stand(rejected).sentence
    assert "Avvist av Dalbygda legesenter (HER-id 8000201): E35 Pasienten er ikke kjent, E99, ?." in sentence.nb
    assert "Canary" not in sentence.nb + sentence.en
    assert _stand(rejected).error_id == causes.RECEIPT_REJECTED
    partial = delivery(state=state(Transport.ACKNOWLEDGED, Receipt.PARTIAL, Outcome.COMPLETED), codes=rejected.codes)
    assert "med feil i en del av meldingen: E35" in _stand(partial).sentence.nb


def test_a_contradicting_receipt_leaves_the_outcome_and_gives_a_person_the_ball() -> None:
    done = state(Transport.ACKNOWLEDGED, Receipt.OK, Outcome.COMPLETED, StopPoint.K7)
    standing = _stand(delivery(state=done, cause=causes.RECEIPT_CONTRADICTS, ball=Ball.PERSON))
    assert "Fullført" in standing.sentence.nb
    assert "Men en ny applikasjonskvittering sier noe annet" in standing.sentence.nb
    assert standing.sentence.en.endswith("The ball is with a person on our side.")


def test_a_party_without_a_record_is_called_by_its_her_id_alone() -> None:
    assert ", til HER-id 8000201, " in stand(delivery(), message(), name="", now=NOW).sentence.nb


def test_a_cause_that_a_later_release_recorded_is_shown_by_its_id() -> None:
    assert "årsak MB-7777" in _stand(delivery(cause="MB-7777")).sentence.nb


@pytest.mark.parametrize("stage", list(ItemStage))
def test_an_inbox_item_says_its_stop_point_and_sender(stage: ItemStage) -> None:
    standing = stand_item(item(stage=stage), message(), name="Dalbygda legesenter", now=NOW)
    assert standing.sentence.nb.startswith(f"Står ved {standing.stop_point} (")
    assert "fra Dalbygda legesenter (HER-id 8000201), 5 min etter mottak" in standing.sentence.nb


def test_a_stored_item_that_owes_no_receipt_is_finished() -> None:
    stored = stand_item(item(stage=ItemStage.STORED), message(owed=Owed.NEVER), name="X", now=NOW)
    assert "ferdig" in stored.sentence.nb
    assert "Ballen" not in stored.sentence.nb
    owed = stand_item(item(stage=ItemStage.STORED), message(), name="X", now=NOW)
    assert owed.ball is Ball.EPJ
    assert owed.sentence.nb.endswith("Ballen er hos fagsystemet.")
