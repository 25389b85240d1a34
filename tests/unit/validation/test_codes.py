import pytest

from broker.errors import Misconfigured
from broker.validation.codes import list_number, read_codes
from tests.judging import shipped_codes, shipped_processes

LIST = 'number = "7999"\ntitle = "Prøve"\nsource = "egen"\n[codes]\nA = "Ærlig"\n'


def test_a_code_is_unknown_only_to_a_list_that_is_whole() -> None:
    whole = read_codes({"a.toml": LIST})
    assert (whole.unknown("7999", "A"), whole.unknown("7999", "B"), whole.unknown("1", "B")) == (False, True, False)
    part = read_codes({"a.toml": LIST.replace("[codes]", "complete = false\n[codes]")})
    assert not part.unknown("7999", "B")
    assert part.texts("7999") == {"A": "Ærlig"}
    assert part.texts("1") == {}


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"a.toml": LIST, "b.toml": LIST}, "b.toml: number"),
        ({"a.toml": LIST.replace("7999", "x")}, "a.toml: number"),
        ({"a.toml": LIST.replace('"Ærlig"', "1")}, "a.toml: codes.A"),
        ({"a.toml": LIST.replace("title", "titel")}, "a.toml: title"),
        ({"a.toml": "number = "}, "a.toml, line 1"),
        ({"a.toml": f"{LIST}B = ["}, "a.toml, line 6"),
    ],
)
def test_a_wrong_list_is_named_with_its_place(files: dict[str, str], where: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_codes(files)
    assert refused.value.where == where
    assert refused.value.hint


def test_the_number_of_a_list_is_read_from_its_oid_and_nothing_else() -> None:
    assert list_number(" 2.16.578.1.12.4.1.1.7601 ") == "7601"
    for other in (None, "", "7601", "2.16.578.1.12.4.1.1.", "2.16.578.1.12.4.1.1.76x", "2.16.578.1.12.4.1.2.7601"):
        assert list_number(other) == ""


def test_the_shipped_lists_hold_every_code_that_a_process_names() -> None:
    codes = shipped_codes()
    assert {"7304", "8113", "8114", "8116", "8221", "8258", "8279", "9051", "7611"} <= set(codes.lists)
    assert len(codes.texts("8221")) == 21
    for process in shipped_processes().by_name.values():
        assert process.receipt.duplicate_codes <= set(codes.texts("8221"))
        for function in process.functions:
            assert function.types <= set(codes.texts("8279"))
            known = {code for lists in function.code_systems.values() for one in lists for code in codes.texts(one)}
            assert function.codes <= known
