"""Whose a token is: hashed at rest, shown once, bound to HER-ids."""

import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.lookup.clients_file import ClientsFile, add_client
from broker.message import Client


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    token = add_client(path, name="EPJ Fjordvik", hers=[8000103, 8000102])
    other = add_client(path, name="Portal", hers=[8000301])
    clients = ClientsFile(path)
    assert clients.by_token(token) == Client(name="EPJ Fjordvik", hers=frozenset({8000102, 8000103}))
    assert clients.by_token(other) == Client(name="Portal", hers=frozenset({8000301}))
    assert len(token) >= 43  # 256 bits
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_client_may_say_which_system_it_is(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    add_client(path, name="EPJ", hers=[1])
    path.write_text(path.read_text() + 'system = "Fjordvik EPJ"\nsystem_version = "4.2"\n')
    known = ClientsFile(path).by_name("EPJ")
    assert known == Client(name="EPJ", hers=frozenset({1}), system="Fjordvik EPJ", system_version="4.2")
    assert ClientsFile(path).by_name("another") is None
    path.write_text(path.read_text().replace("Fjordvik EPJ", 'a \\"quote'))
    with pytest.raises(Misconfigured, match="100 characters"):
        ClientsFile(path)


@pytest.mark.parametrize("token", ["", "x", "dhb_", "\udcff", "æ" * 1000])
def test_any_other_token_is_nobodys(tmp_path: Path, token: str) -> None:
    path = tmp_path / "clients.toml"
    add_client(path, name="EPJ", hers=[1])
    assert ClientsFile(path).by_token(token) is None


def test_every_client_is_compared_whether_found_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clients.toml"
    tokens = [add_client(path, name=f"EPJ {number}", hers=[1]) for number in range(3)]
    clients = ClientsFile(path)
    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in (*tokens, "none"):
        compared.clear()
        clients.by_token(token)
        assert len(compared) == 3


def test_a_file_that_is_not_there_has_no_clients(tmp_path: Path) -> None:
    assert ClientsFile(tmp_path / "clients.toml").clients() == ()


def test_what_a_person_wrote_stays_when_a_client_is_added(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    path.write_text("# ours, do not touch")
    add_client(path, name="EPJ", hers=[1])
    add_client(path, name="EPJ 2", hers=[2])
    assert path.read_text().startswith("# ours, do not touch\n")
    assert len(ClientsFile(path).clients()) == 2


@pytest.mark.parametrize(
    ("name", "hers", "words"),
    [
        ("EPJ", [1], "of that name"),
        ('a"b', [1], "name"),
        ("a\nb", [1], "name"),
        ("", [1], "name"),
        ("New", [], "HER-id"),
    ],
)
def test_a_client_that_can_not_be_added_is_refused(tmp_path: Path, name: str, hers: list[int], words: str) -> None:
    path = tmp_path / "clients.toml"
    add_client(path, name="EPJ", hers=[1])
    before = path.read_text()
    with pytest.raises(Misconfigured, match=words):
        add_client(path, name=name, hers=hers)
    assert path.read_text() == before


HASH = "a" * 64
GOOD = f'[[client]]\nname = "EPJ"\ntoken_sha256 = "{HASH}"\nhers = [1]\n'


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        (HASH, "A" * 64, "client[1].token_sha256"),
        (HASH, "secret-token", "client[1].token_sha256"),
        ("[1]", "[]", "client[1].hers"),
        ("[1]", "[true]", "client[1].hers"),
        ("[1]", "[0]", "client[1].hers"),
        ("[1]", "1", "client[1].hers"),
        ('name = "EPJ"', "", "client[1].name"),
        ("[[client]]", "[[cliemt]]", "cliemt"),
        ("hers", "token = 1\nhers", "client[1].token"),
        (f'token_sha256 = "{HASH}"', "", "client[1].token_sha256"),
        ("token_sha256", "certificate_sha256", "client[1].certificate_sha256"),
        (f'token_sha256 = "{HASH}"', 'certificate_sha256 = ["AB:CD"]', "client[1].certificate_sha256"),
        (f'token_sha256 = "{HASH}"', 'certificate_subject = "Fjordvik"', "client[1].certificate_subject"),
    ],
)
def test_a_mistake_names_its_place_and_no_value(tmp_path: Path, right: str, wrong: str, place: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(GOOD.replace(right, wrong))
    with pytest.raises(Misconfigured) as caught:
        ClientsFile(path)
    assert caught.value.where == f"clients.toml: {place}"
    assert "secret-token" not in str(caught.value) + caught.value.hint


BY_PRINT = GOOD.replace(f'token_sha256 = "{HASH}"', f'certificate_sha256 = ["{HASH}"]')
BY_SUBJECT = GOOD.replace(f'token_sha256 = "{HASH}"', 'certificate_subject = "CN=epj,O=Fjordvik"')


@pytest.mark.parametrize("one", [BY_PRINT, BY_SUBJECT])
def test_a_certificate_stands_once(tmp_path: Path, one: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(one + one.replace("EPJ", "Other"))
    with pytest.raises(Misconfigured, match="its own for each client"):
        ClientsFile(path)
    path.write_text(one + BY_PRINT.replace("EPJ", "Other").replace(HASH, "b" * 64))
    assert len(ClientsFile(path).clients()) == 2


@pytest.mark.parametrize("der", [b"", b"0", b"\x30\x82"])
def test_what_is_no_certificate_is_nobodys(tmp_path: Path, der: bytes) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(BY_SUBJECT)
    assert ClientsFile(path).by_certificate(der, datetime(2026, 11, 22, tzinfo=UTC)) is None


@pytest.mark.parametrize("second", [GOOD, GOOD.replace("EPJ", "Other")])
def test_a_name_or_a_token_stands_once(tmp_path: Path, second: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(GOOD + second)
    with pytest.raises(Misconfigured, match="its own for each client"):
        ClientsFile(path)


def test_a_file_that_goes_bad_leaves_the_clients_in_force(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    token = add_client(path, name="EPJ", hers=[1])
    good = path.read_text()
    clients = ClientsFile(path)
    assert not clients.look()
    path.write_text("[[client")
    assert clients.look()
    assert not clients.look()
    assert clients.by_token(token) is not None
    assert [problem.where for problem in clients.problems] == ["clients.toml, line 1"]
    path.write_text(good.replace("[1]", "[2]"))
    assert clients.look()
    assert clients.problems == ()
    found = clients.by_token(token)
    assert found is not None
    assert found.hers == {2}


def test_a_token_that_is_taken_out_of_the_file_is_void(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    token = add_client(path, name="EPJ", hers=[1])
    clients = ClientsFile(path)
    path.write_text("")
    assert clients.look()
    assert clients.by_token(token) is None
