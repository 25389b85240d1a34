"""The catalogue is whole: every id that the program uses has words, a ball and a next step, in both languages."""

import re
from pathlib import Path

import pytest

import broker
from broker.diagnosis import CAUSES, Cause, causes, message_error_id
from broker.message import Ball

_CONSTANTS = {name: value for name, value in vars(causes).items() if name.isupper() and type(value) is str}


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.id)
def test_every_cause_has_words_in_both_languages_a_next_step_and_a_ball(cause: Cause) -> None:
    for text in (cause.name, cause.act):
        assert text.nb.strip()
        assert text.en.strip()
        assert text.nb != text.en
    assert cause.act.nb.endswith(".")
    assert cause.act.en.endswith(".")
    assert not cause.name.nb.endswith(".")
    assert isinstance(cause.ball, Ball)
    assert re.fullmatch(r"MB-\d{4}", cause.id)
    assert re.fullmatch(r"[a-z0-9-]+", cause.slug)


def test_every_constant_has_its_entry_and_no_slug_stands_twice() -> None:
    assert set(_CONSTANTS.values()) <= set(CAUSES)
    assert len(_CONSTANTS) >= 50
    assert len(set(_CONSTANTS.values())) == len(_CONSTANTS)
    slugs = [cause.slug for cause in CAUSES.values()]
    assert len(set(slugs)) == len(slugs)


def test_every_error_id_that_stands_in_the_program_is_in_the_catalogue() -> None:
    package = Path(broker.__file__).parent
    used = {id for file in package.rglob("*.py") for id in re.findall(r"\bMB-\d{4}\b", file.read_text())}
    assert len(used) >= 50
    assert used - set(CAUSES) == set()


def test_each_error_code_of_ebms_has_an_id_of_its_own_and_a_foreign_one_the_common_id() -> None:
    codes = ["SecurityFailure", "TimeToLiveExpired", "ValueNotRecognized", "Inconsistent", "NotSupported", "OtherXml"]
    codes += ["MimeProblem", "DeliveryFailure", "Unknown"]
    ids = {message_error_id(code) for code in codes}
    assert len(ids) == len(codes)
    assert ids <= set(CAUSES)
    assert message_error_id("TheirOwnCode") == causes.MESSAGE_ERROR
