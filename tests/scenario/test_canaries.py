"""The search for canaries sees them in every form that it claims to see."""

import base64
import json
from urllib.parse import quote

import pytest

from tests.scenario.canaries import NUMBER, WORD, Cage, forms, sightings


@pytest.fixture
def word() -> tuple[Cage, str]:
    cage = Cage()
    return cage, cage.mint("Sporsmal")


def test_a_word_is_seen_in_every_text_encoding(word: tuple[Cage, str]) -> None:
    cage, text = word
    for place, content in {
        "utf-8": f"før {text} etter".encode(),
        "latin-1": f"før {text} etter".encode("latin-1"),
        "utf-16": text.encode("utf-16"),
        "json": json.dumps({"why": text}).encode(),
        "url": quote(text).encode(),
        "hex": text.encode().hex().encode(),
        "HEX": text.encode("latin-1").hex().upper().encode(),
    }.items():
        assert {seen.place for seen in sightings(cage, [(place, content)])} == {place}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_word_is_seen_in_base64_wherever_it_stands(
    word: tuple[Cage, str], encoding: str, before: int, wrapped: bool
) -> None:
    cage, text = word
    raw = b"x" * (before + 49) + text.encode(encoding) + b" og mer"
    coded = base64.encodebytes(raw) if wrapped else base64.b64encode(raw)
    assert len(list(sightings(cage, [("log", coded)]))) == 1


def test_no_word_is_seen_where_none_is(word: tuple[Cage, str]) -> None:
    cage, _ = word
    other = Cage().mint("Sporsmal")
    assert list(sightings(cage, [("log", other.encode() + base64.b64encode(other.encode()))])) == []


def test_no_form_is_so_short_that_chance_would_find_it(word: tuple[Cage, str]) -> None:
    cage, _ = word
    assert min(len(form) for core in cage.cores for form in forms(core).values()) >= 16


def test_a_number_is_seen_as_text_and_in_base64() -> None:
    cage = Cage()
    number = cage.adopt(NUMBER + "00123", "Patient Ident")
    seen = sightings(cage, [("log", f"{{{number}}}".encode()), ("file", base64.b64encode(f"ab{number}".encode()))])
    assert [(one.place, one.form) for one in seen] == [("log", "text"), ("file", "base64+2")]


def test_what_all_canaries_begin_with_is_what_each_form_begins_with(word: tuple[Cage, str]) -> None:
    (core,) = word[0].cores
    begins = forms(WORD)
    assert all(form.startswith(begins[name]) for name, form in forms(core).items())
    assert min(map(len, begins.values())) >= 10


def test_a_sighting_does_not_repeat_the_word(word: tuple[Cage, str]) -> None:
    cage, text = word
    (seen,) = sightings(cage, [("log", text.encode())])
    assert next(iter(cage.cores)) not in repr(seen)
