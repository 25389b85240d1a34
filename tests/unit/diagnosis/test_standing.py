"""The sentence says where a delivery stands, why, what comes next and who has the ball."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.diagnosis import CAUSES, causes, stand, stand_item
from broker.diagnosis.receipt_codes import RECEIPT_ACTS
from broker.diagnosis.standing import Standing
from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint, Transport
from broker.message import Ball, Code, Delivery, Envelope, Kind, Owed, Text
from tests.judging import shipped_codes
from tests.unit.web.values import NOW, delivery, envelope, item, message, state

_OSLO = ZoneInfo("Europe/Oslo")


def _stand(of: Delivery, sealed: Envelope | None = None) -> Standing:
    return stand(of, message(), name="Dalbygda legesenter", now=NOW, envelope=sealed, tz=_OSLO)


def test_a_queued_delivery_names_the_receiver_and_says_that_the_ball_is_with_us() -> None:
    standing = _stand(delivery(transport_due=NOW))
    assert standing.error_id == causes.QUEUED
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


# --- what waits for the EPJ ---


@pytest.mark.parametrize(
    ("minutes", "cancellation", "expected"),
    [
        (14, True, None),
        (15, True, causes.CANCELLATION_NOT_COLLECTED),
        (29, False, None),
        (30, False, causes.EPJ_NOT_COLLECTING),
    ],
)
def test_what_the_epj_leaves_lying_is_a_fault_after_its_time(
    minutes: int, cancellation: bool, expected: str | None
) -> None:
    lying = item(received_at=NOW - timedelta(minutes=minutes))
    standing = stand_item(lying, message(), name="X", now=NOW, cancellation=cancellation)
    assert standing.error_id == expected
    if expected is not None:
        assert standing.cause == CAUSES[expected].name
        assert standing.act == CAUSES[expected].act
        assert CAUSES[expected].name.nb in standing.sentence.nb


def test_a_verdict_is_waited_for_from_when_the_epj_stored_it() -> None:
    came = NOW - timedelta(hours=9)
    just = item(stage=ItemStage.STORED, received_at=came, updated_at=NOW - timedelta(hours=3))
    assert stand_item(just, message(), name="X", now=NOW).error_id is None
    long = item(stage=ItemStage.STORED, received_at=came, updated_at=NOW - timedelta(hours=4))
    assert stand_item(long, message(), name="X", now=NOW).error_id == causes.EPJ_NOT_JUDGING
    finished = stand_item(long, message(owed=Owed.NEVER), name="X", now=NOW)
    assert (finished.error_id, finished.act) == (None, None)


def test_an_outcome_that_nobody_reads_is_a_fault_of_the_epj_and_a_receipts_own_outcome_is_not() -> None:
    done = state(Transport.ACKNOWLEDGED, Receipt.OK, Outcome.COMPLETED, StopPoint.K7)
    unread = delivery(state=done, ball=Ball.EPJ, updated_at=NOW - timedelta(minutes=30))
    assert _stand(unread).error_id == causes.EPJ_NOT_CONFIRMING
    assert stand(unread, message(kind=Kind.APPREC), name="X", now=NOW).error_id is None
    assert _stand(delivery(state=done, ball=Ball.EPJ, updated_at=NOW - timedelta(minutes=29))).error_id is None


# --- what to do about an AppRec ---


def test_every_code_of_the_list_says_what_to_do_in_both_languages() -> None:
    assert set(RECEIPT_ACTS) == set(shipped_codes().texts("8221"))
    for act in RECEIPT_ACTS.values():
        assert act.nb != act.en
        assert act.nb.endswith(".")
        assert act.en.endswith(".")


def test_a_rejection_says_each_act_once_and_a_foreign_code_the_common_one() -> None:
    refused = state(Transport.ACKNOWLEDGED, Receipt.REJECTED, Outcome.REJECTED, StopPoint.K7)

    def act(*codes: str) -> Text | None:
        given = tuple(Code(code=code, oid="", text="") for code in codes)
        return _stand(delivery(state=refused, ball=Ball.EPJ, codes=given)).act

    assert act("E35") == RECEIPT_ACTS["E35"]
    assert act("E35", "E54") == RECEIPT_ACTS["E35"]  # both say the same
    both = act("E31", "T10")
    assert both is not None
    assert both.nb == f"{RECEIPT_ACTS['E31'].nb} {RECEIPT_ACTS['T10'].nb}"
    assert act("Q7") == CAUSES[causes.RECEIPT_REJECTED].act
    partial = state(Transport.ACKNOWLEDGED, Receipt.PARTIAL, Outcome.COMPLETED)
    code = Code(code="E36", oid="", text="")
    assert _stand(delivery(state=partial, codes=(code,))).act == RECEIPT_ACTS["E36"]
