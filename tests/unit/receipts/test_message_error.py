"""What a refusal tells a partner, which of security is nothing; and what a partner's refusal means for us."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.envelope import xml
from broker.envelope.ebms import EbError, Envelope, ErrorList, Kind, Severity, her_party
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.errors import (
    CannotOpen,
    Inconsistent,
    MimeProblem,
    NotSupported,
    NotTrusted,
    Refused,
    TimeToLiveExpired,
    ValueNotRecognized,
)
from broker.receipts.message_error import build_message_error, check_message_error
from tests.unit.envelope.envelopes import USER
from tests.unit.receipts.test_acknowledgment import SENT

AT = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


def answer(refused: Refused) -> Envelope:
    """Return our MessageError as the partner reads it."""
    error = build_message_error(USER.header, refused, message_id="e-1@dalbygda.example", timestamp=AT)
    return parse(xml.parse(build(error), max_bytes=1_000_000))


@pytest.mark.parametrize(
    "refused",
    [
        MimeProblem("a part is missing", location="cid:p-1@x"),
        Inconsistent("more than one", location="//Header/MessageHeader"),
        NotSupported("no MessageOrder", location="//Header/MessageOrder"),
        TimeToLiveExpired("too late", location="//Header/MessageHeader/MessageData/TimeToLive"),
        ValueNotRecognized("no such agreement", location="//Header/MessageHeader/CPAId"),
    ],
)
def test_a_fault_that_the_header_shows_is_told_with_code_and_place(refused: Refused) -> None:
    received = answer(refused)
    assert received.kind == Kind.MESSAGE_ERROR
    assert (received.header.from_, received.header.to) == (USER.header.to, USER.header.from_)
    assert received.header.ref_to_message_id == USER.header.message_id
    error = EbError(code=refused.code, severity=Severity.ERROR, location=refused.location, description=refused.why)
    assert received.error_list == ErrorList(errors=(error,))


def test_security_says_nothing_more_whatever_the_cause() -> None:
    causes = (
        NotTrusted("the digest differs", hint="x", location="cid:p-1@x"),
        NotTrusted("not the sender's certificate"),
        CannotOpen("does not open"),
    )
    answers = {answer(cause) for cause in causes}
    assert len(answers) == 1
    errors = answers.pop().error_list
    assert errors is not None
    assert errors.errors == (EbError(code="SecurityFailure", severity=Severity.ERROR),)


def test_a_partners_error_refuses_and_a_warning_does_not() -> None:
    received = answer(MimeProblem("a part is missing", location="cid:p-1@x"))
    verdict = check_message_error(received, SENT)
    assert verdict.refused
    assert verdict.codes == ("MimeProblem",)
    assert received.error_list is not None
    warnings = tuple(replace(one, severity=Severity.WARNING) for one in received.error_list.errors)
    assert not check_message_error(replace(received, error_list=ErrorList(errors=warnings)), SENT).refused


@pytest.mark.parametrize(
    "change",
    [
        {"ref_to_message_id": "m-2@x"},
        {"ref_to_message_id": None},
        {"cpa_id": "other:1"},
        {"from_": her_party(8000303)},
        {"to": her_party(8000303)},
    ],
)
def test_an_error_about_something_else_is_not_ours(change: dict[str, Any]) -> None:
    received = answer(MimeProblem("a part is missing"))
    with pytest.raises(Inconsistent):
        check_message_error(replace(received, header=replace(received.header, **change)), SENT)


def test_what_holds_no_error_list_is_no_error() -> None:
    with pytest.raises(Inconsistent):
        check_message_error(replace(answer(MimeProblem("x")), error_list=None), SENT)
