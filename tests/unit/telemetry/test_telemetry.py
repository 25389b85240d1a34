"""What may be logged is a closed list, what slips in is blanked, and nothing here ever raises."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker import telemetry
from broker.errors import NotTrusted, StoreBusy
from broker.folding import Folds
from broker.logbook import KEYS
from broker.lookup.clock import SystemClock
from broker.message import Attempt, EventKind, NewEvent
from broker.scrubbing import MAX_VALUE, scrub
from tests.unit.web.values import NOW, OURS, THEIRS, delivery


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    telemetry.configure("info", stream)
    telemetry._folds = Folds()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    telemetry._log = telemetry._logger(logging.INFO, io.StringIO())


def _read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _metric(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(name, labels) or 0.0


def _event(**changes: object) -> NewEvent:
    values: dict[str, object] = {"kind": EventKind.ACCEPTED, "at": NOW, "her": OURS}
    return NewEvent(**(values | changes))  # type: ignore[arg-type]  # builder


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_gives_one_line_with_only_known_keys(kind: EventKind, lines: io.StringIO) -> None:
    before = _metric("broker_events_total", kind=kind)
    event = _event(
        kind=kind,
        message_id="m",
        delivery_id="d",
        item_id="i",
        msg_id="MsgId of a client's own making",
        counterpart=THEIRS,
        stop_point="K5",
        error_id="MB-3202",
        codes=("E35",),
        eb_id="e@x",
        client="epj",
        why="the signer is not the one in the record",
    )
    telemetry.recorded((event,))
    (line,) = _read(lines)
    assert line["event"] == kind
    assert (line["msg"], line["party"], line["stage"], line["codes"]) == ("m", THEIRS, "K5", ["E35"])
    assert list(line)[:3] == ["ts", "level", "event"]
    assert set(line) <= KEYS
    assert "own making" not in lines.getvalue()
    assert _metric("broker_events_total", kind=kind) == before + 1


def test_an_attempt_gives_one_line_with_its_message_and_the_peer_without_path(lines: io.StringIO) -> None:
    attempt = Attempt(
        delivery_id=delivery().id,
        eb_id="e@x",
        number=2,
        started_at=NOW,
        ended_at=NOW + timedelta(milliseconds=1500),
        endpoint="https://user:word@partner.example/ebms?x=1",
        http_status=503,
        result="failed",
        error_id="MB-3211",
    )
    event = _event(message_id=delivery().message_id, delivery_id=delivery().id)
    telemetry.recorded((event,), (attempt,))
    line = _read(lines)[0]
    assert (line["event"], line["msg"], line["attempt"], line["ms"]) == ("attempt", delivery().message_id, 2, 1500)
    assert line["peer"] == "https://partner.example:443"
    assert "word" not in lines.getvalue()


CANARIES = {
    "number in a row": "fnr 01910112345 her",
    "number with a blank": "010191 12345",
    "number in groups": "010191 123 45",
    "number with points": "01.01.91 12345",
    "long run of digits": "9901019112345",
    "number glued to letters": "x01019112345y",
    "PEM": "-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----",
    "cut PEM": "-----BEGIN PRIVATE KEY-----\nMIIcanary",
    "bearer": "Authorization: Bearer canary.words",
    "token": "q7Rk0canary9aZ3xN5vB8mT2wL6yH4jK1pD7sF0gC3e",
    "JWT": "eyJhbGciOiJIUzI1NiJ9canarycanarycanarycanary.eyJzdWIiOiIxIn0",
    "short JWT": "eyJcanary.eyJzdWI.x",
    "DPoP": "Authorization: DPoP canary",
    "password": "passphrase=canary",
    "password in JSON": 'password": "canary"',
    "user of an address": "https://user:canary@partner.example/",
    "webhook's secret": "whsec_canary",
    "hexadecimal": "0123456789abcdef0123456789abcde12345",
    "a number in a path": "/srv/f01019112345/x",
}


@pytest.mark.parametrize("secret", CANARIES.values(), ids=CANARIES.keys())
def test_a_secret_that_slips_into_a_field_is_blanked(secret: str, lines: io.StringIO) -> None:
    telemetry.recorded((_event(why=secret, codes=(secret,), client=secret),))
    text = lines.getvalue()
    assert "canary" not in text
    assert "12345" not in text
    assert "[" in _read(lines)[0]["why"]


def test_a_secret_is_blanked_each_time_and_what_is_clean_stays_as_it_is_each_time() -> None:
    for secret in CANARIES.values():
        assert scrub(secret) == scrub(secret) != secret
    long = "clean words " * 40
    assert scrub(long) == scrub(long) == long[: MAX_VALUE - 1] + "…"
    for number in range(3000):  # more than are remembered
        assert scrub(f"Epj no. {number}") == scrub(f"Epj no. {number}") == f"Epj no. {number}"


def test_each_kind_of_value_stands_in_its_line_as_json(lines: io.StringIO) -> None:
    telemetry._emit("info", "x", why='"\\ ø', count=-1, ms=0.5, item=True, codes=("E35", None, 1, ["a"]), at=[""] * 30)
    (line,) = _read(lines)
    assert (line["why"], line["count"], line["ms"], line["item"]) == ('"\\ ø', -1, 0.5, True)
    assert line["codes"] == ["E35", None, 1, ["a"]]
    assert line["at"] == [""] * 20


def test_a_line_tells_the_time_in_utc_with_microseconds(lines: io.StringIO) -> None:
    before = SystemClock().now()
    telemetry.stopped()
    ts = _read(lines)[0]["ts"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ts)
    assert before <= datetime.fromisoformat(ts) <= SystemClock().now()


def test_our_own_ids_and_addresses_are_left_alone() -> None:
    for value in (
        "01929999-0000-7000-8000-000000000001",
        "01929999-0000-7000-8000-000000000001@fjordvik.example",
        "https://192.168.100.200:8443",
        "MB-3202",
        "the certificate of Dalbygda has expired, at 2026-11-21 12:00:00",
        "/etc/digihelse-broker/addresses/dalbygda-legesenter/party.toml",
        "addresses/dalbygda-legesenter-ved-fjorden/party.toml",
    ):
        assert scrub(value) == value


def test_control_and_direction_characters_cannot_forge_a_line(lines: io.StringIO) -> None:
    telemetry.recorded((_event(why='x\r\n{"event":"forged"}\x1b[2J\u202e'),))
    (line,) = _read(lines)
    assert line["why"] == 'x\\u000d\\u000a{"event":"forged"}\\u001b[2J\\u202e'


def test_a_long_value_is_cut_and_a_secret_at_the_cut_is_not_told() -> None:
    cut = scrub("a b " * 62 + "01019112345" + "z" * 500)
    assert len(cut) == MAX_VALUE
    assert "0101" not in cut


def test_an_unknown_key_is_dropped_and_counted(lines: io.StringIO) -> None:
    before = _metric("broker_log_keys_dropped_total")
    telemetry._emit("info", "x", patient="Kari Canary", msg="m")
    assert _read(lines)[0]["msg"] == "m"
    assert "Canary" not in lines.getvalue()
    assert _metric("broker_log_keys_dropped_total") == before + 1


def test_a_value_that_is_no_plain_value_shows_as_its_type(lines: io.StringIO) -> None:
    telemetry._emit("info", "x", why={"name": "Canary"})
    assert _read(lines)[0]["why"] == "<dict>"


def test_an_unexpected_error_tells_its_type_and_place_and_never_its_words(lines: io.StringIO) -> None:
    try:
        raise ValueError("Kari Canary 01019112345")
    except ValueError as error:
        telemetry.unexpected("epj", error, request="r-1")
    (line,) = _read(lines)
    assert (line["error"], line["error_id"], line["request"]) == ("ValueError", "MB-9102", "r-1")
    assert "test_telemetry.py" in line["at"][0]
    assert "Canary" not in lines.getvalue()


def test_what_a_library_logs_is_told_by_name_and_type_alone(lines: io.StringIO) -> None:
    try:
        raise ValueError("Kari Canary")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request %s", "Canary")
    (line,) = _read(lines)
    assert (line["event"], line["logger"], line["error"]) == ("library", "aiohttp.server", "ValueError")
    assert "Canary" not in lines.getvalue()


def test_a_log_that_cannot_be_written_is_counted_and_stops_nothing(lines: io.StringIO) -> None:
    before = _metric("broker_log_lines_lost_total")
    lines.close()
    telemetry.stopped()
    assert _metric("broker_log_lines_lost_total") == before + 1


def test_the_typed_functions_write_their_line_and_their_metric(lines: io.StringIO) -> None:
    telemetry.started(version="0.1.0", environment="test")
    telemetry.stopping("signal")
    telemetry.records_reloaded("addresses", count=3)
    telemetry.record_bad("addresses/x.toml", why="her_id: must be a positive number")
    telemetry.store_busy(why="disk full")
    telemetry.store_broken(OSError(5, "words"))
    telemetry.turned_away(door="epj", status=403, error_id="MB-1201", request="r", client="epj", her=OURS)
    telemetry.lane_closed("https://partner.example/ebms", NOW)
    telemetry.signal_refused("m", "e@x", NotTrusted("the signer is not the one in the record"))
    telemetry.inbound_refused(code="MimeProblem", why="a part is missing", location="cid:x")
    telemetry.receive_postponed(StoreBusy("the disk is full", error_id="MB-9101"))
    telemetry.answered(door="epj", route="/api/v1/messages", status=202, seconds=0.01)
    telemetry.holding(10)
    telemetry.outdated("sha1", party=THEIRS)
    telemetry.pong(party=THEIRS, eb_id="e@x")
    telemetry.alert_sent("mail", count=1)
    telemetry.alert_failed("webhook", why="HTTP 500")
    telemetry.written("changes", seconds=0.01)
    telemetry.lagged(0.01)
    assert [line["event"] for line in _read(lines)] == [
        "process.started",
        "process.stopping",
        "records.reloaded",
        "records.bad",
        "store.busy",
        "store.broken",
        "door.turned_away",
        "lane.closed",
        "transport.signal_refused",
        "inbound.refused",
        "inbound.postponed",
        "algorithm.outdated",
        "inbound.pong",
        "alert.sent",
        "alert.failed",
    ]
    assert "words" not in lines.getvalue()
    text = telemetry.exposition().decode()
    assert 'broker_http_requests_total{door="epj",route="/api/v1/messages",status="202"}' in text
    assert "broker_http_body_bytes 10.0" in text


def test_an_endpoint_that_is_no_address_has_no_origin() -> None:
    assert telemetry.origin("http://[broken") == "?"
    assert telemetry.origin("http://host:99999") == "?"


def test_trouble_that_repeats_is_told_ten_times_and_then_counted(lines: io.StringIO) -> None:
    for _ in range(10_000):
        telemetry.recorded((_event(kind=EventKind.PARKED, counterpart=THEIRS, error_id="MB-3202"),))
    telemetry.recorded((_event(kind=EventKind.PARKED, counterpart=OURS, error_id="MB-3202"),))
    telemetry.recorded((_event(kind=EventKind.PARKED, counterpart=THEIRS, error_id="MB-3203"),))
    telemetry.tell_folded(all=True)
    told = _read(lines)
    assert len(told) == 10 + 2 + 1
    assert (told[-1]["event"], told[-1]["of"], told[-1]["count"]) == ("log.repeated", "message.parked", 9_990)
    assert (told[-1]["error_id"], told[-1]["party"]) == ("MB-3202", THEIRS)


def test_a_checkpoint_is_never_folded(lines: io.StringIO) -> None:
    for _ in range(100):
        telemetry.recorded((_event(kind=EventKind.SENT, counterpart=THEIRS),))
        telemetry.recorded((_event(kind=EventKind.RECEIPT_REJECTED, counterpart=THEIRS, error_id="MB-3401"),))
    assert len(_read(lines)) == 200


def test_what_was_folded_is_told_before_the_process_ends(lines: io.StringIO) -> None:
    for _ in range(12):
        telemetry.store_busy(why="disk full")
    telemetry.stopped()
    assert [line["event"] for line in _read(lines)[-2:]] == ["log.repeated", "process.stopped"]
    assert _read(lines)[-2]["count"] == 2
