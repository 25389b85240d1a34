"""An address record is read whole or named with the place and the right form."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Misconfigured
from broker.retry import Chase
from broker.routing.party import Party, PartyKind, ReceiptOn, Switch, Terms
from broker.routing.records import assemble, directory, read_party
from broker.sealing.certificates import Use
from tests.unit.routing.samples import DALBYGDA, DALBYGDA_NURSING, FJORDVIK_NURSING, certificate, pem

FULL = """
her_id = 8000202
name = "Hjemmesykepleien i Dalbygda"
kind = "epj"
organisation_number = "900000202"
parent = 8000201
active = true
receives = ["EKONTAKT", "DIALOG"]
endpoint = "https://ebms.dalbygda.example/ebms"
signing = ["dalbygda-signing.crt"]
encryption = ["dalbygda-encryption.crt"]
switches = ["sha1-in"]
receipt_on = "stored"

[[agreement]]
with = 8000102
cpa_id = "fjordvik-dalbygda-1"
retries = 5
retry_interval = "PT10M"
persist_duration = "P3D"
sync = true
key_transport = "rsa-oaep"
cipher = "aes256-gcm"
chase = "ask"

[agreement.process.EKONTAKT]
service = "Ekontakt-2"
service_type = ""
actions = { Foresporsel = "Spm" }
our_role = "Tjeneste"
their_role = "Innbygger"
chase = "none"
"""

FILES = {
    "dalbygda-signing.crt": pem(certificate(Use.SIGN)).encode(),
    "dalbygda-encryption.crt": pem(certificate(Use.ENCRYPT)).encode(),
    "nothing.crt": b"",
    "key.pem": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}


def load(name: str) -> bytes:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def read(text: str, source: str = "dalbygda.toml") -> Party:
    return read_party(text, source=source, load_pem=load)


def test_every_key_of_a_record_is_read() -> None:
    party = read(FULL)
    assert (party.her_id, party.parent, party.kind) == (DALBYGDA_NURSING, DALBYGDA, PartyKind.EPJ)
    assert party.receives == frozenset({"EKONTAKT", "DIALOG"})
    assert party.endpoint == "https://ebms.dalbygda.example/ebms"
    assert party.signing == (certificate(Use.SIGN),)
    assert party.encryption == (certificate(Use.ENCRYPT),)
    assert party.switches == {Switch.SHA1}
    assert party.receipt_on is ReceiptOn.STORED
    (agreement,) = party.agreements
    assert (agreement.ours, agreement.theirs, agreement.cpa_id) == (
        FJORDVIK_NURSING,
        DALBYGDA_NURSING,
        "fjordvik-dalbygda-1",
    )
    assert (agreement.retries, agreement.retry_interval, agreement.persist_duration) == (
        5,
        timedelta(minutes=10),
        timedelta(days=3),
    )
    assert (agreement.sync, agreement.key_transport, agreement.cipher) == (True, "rsa-oaep", "aes256-gcm")
    assert agreement.chase is Chase.ASK
    assert agreement.processes == {
        "EKONTAKT": Terms(
            service="Ekontakt-2",
            service_type="",
            actions={"Foresporsel": "Spm"},
            our_role="Tjeneste",
            their_role="Innbygger",
            chase=Chase.NONE,
        )
    }


def test_the_least_record_has_the_defaults() -> None:
    party = read('her_id = 8000201\nname = "Dalbygda kommune"\nkind = "organisation"\n')
    assert party.active
    assert party.receives is None
    assert party.parent is None
    assert party.receipt_on is ReceiptOn.WORD
    assert (party.signing, party.encryption, party.agreements, party.switches) == ((), (), (), frozenset())


def test_an_agreement_that_says_nothing_else_has_the_defaults() -> None:
    text = 'her_id = 8000201\nname = "D"\nkind = "epj"\n[[agreement]]\nwith = 8000102\ncpa_id = "a"\n'
    (agreement,) = read(text).agreements
    assert (agreement.retries, agreement.retry_interval, agreement.persist_duration) == (
        3,
        timedelta(minutes=5),
        timedelta(days=2),
    )
    assert (agreement.sync, agreement.key_transport, agreement.cipher, agreement.chase) == (
        False,
        "rsa-v1.5",
        "aes256-cbc",
        None,
    )


def test_a_certificate_may_stand_in_the_record_itself() -> None:
    quotes = "'''"
    text = FULL.replace('["dalbygda-signing.crt"]', f"[{quotes}{pem(certificate(Use.SIGN))}{quotes}]")
    assert read(text).signing == (certificate(Use.SIGN),)


def test_a_file_with_several_certificates_pins_each_once() -> None:
    FILES["both.crt"] = FILES["dalbygda-signing.crt"] + pem(certificate(Use.SIGN, number=1)).encode()
    text = FULL.replace('["dalbygda-signing.crt"]', '["dalbygda-signing.crt", "both.crt"]')
    assert read(text).signing == (certificate(Use.SIGN), certificate(Use.SIGN, number=1))


MISTAKES = [
    # what stands instead of what, where it is named, and a word of the right form
    ("her_id = 8000202", "", "her_id", "whole number"),
    ("her_id = 8000202", 'her_id = "8000202"', "her_id", "without quotes"),
    ("her_id = 8000202", "her_id = 0", "her_id", "from 1"),
    ("her_id = 8000202", "her_id = 2147483648", "her_id", "2147483647"),
    ("her_id = 8000202", "her_id = true", "her_id", "whole number"),
    ('name = "Hjemmesykepleien i Dalbygda"', 'name = ""', "name", "text"),
    ('kind = "epj"', 'kind = "hospital"', "kind", '"citizen"'),
    ('"900000202"', "900000202", "organisation_number", "text"),
    ('"900000202"', '"90000020"', "organisation_number", "nine digits"),
    ("parent = 8000201", "parent = -1", "parent", "from 1"),
    ("parent = 8000201", "person = true", "parent", "professional"),
    ("active = true", 'active = "yes"', "active", "true or false"),
    ('["EKONTAKT", "DIALOG"]', '"EKONTAKT"', "receives", "list"),
    ("https://ebms", "http://ebms", "endpoint", "plain-http"),
    ("https://ebms", "ftp://ebms", "endpoint", "https://"),
    ("https://ebms", "https://user:secret@ebms", "endpoint", "https://"),
    ("https://ebms.dalbygda.example/ebms", "https://ebms.dalbygda.example:0x50/", "endpoint", "https://"),
    ("https://ebms.dalbygda.example/ebms", "https:///ebms", "endpoint", "https://"),
    ("https://ebms.dalbygda.example/ebms", "https://ebms .example/", "endpoint", "https://"),
    ('["dalbygda-signing.crt"]', '["absent.crt"]', "signing", "No such file"),
    ('["dalbygda-signing.crt"]', '["nothing.crt"]', "signing", "PEM"),
    ('["dalbygda-signing.crt"]', '["key.pem"]', "signing", "private key"),
    ('["dalbygda-encryption.crt"]', '["-----BEGIN æ"]', "encryption", "PEM"),
    ('["sha1-in"]', '["md5-in"]', "switches", '"3des-in"'),
    ('receipt_on = "stored"', 'receipt_on = "never"', "receipt_on", '"word"'),
    ("with = 8000102", "", "agreement[1].with", "whole number"),
    ("with = 8000102", "with = 8000202", "agreement[1].with", "other party"),
    ('cpa_id = "fjordvik-dalbygda-1"', "", "agreement[1].cpa_id", "text"),
    ("retries = 5", "retries = -1", "agreement[1].retries", "from 0"),
    ('"PT10M"', '"10 minutes"', "agreement[1].retry_interval", "ISO 8601"),
    ('"PT10M"', '"P1M"', "agreement[1].retry_interval", "ISO 8601"),
    ('"PT10M"', '"PT0S"', "agreement[1].retry_interval", "longer than zero"),
    ('"PT10M"', '"P3D"', "agreement[1].retry_interval", "persist_duration"),
    ('"rsa-oaep"', '"rsa"', "agreement[1].key_transport", '"rsa-v1.5"'),
    ('"rsa-oaep"', '"rsa-oaep-sha1"', "agreement[1].key_transport", "SHA-1"),
    ('"aes256-gcm"', '"3des"', "agreement[1].cipher", '"aes256-cbc"'),
    ('chase = "ask"', 'chase = "hard"', "agreement[1].chase", '"repeat"'),
    ("[agreement.process.EKONTAKT]", "[agreement.EKONTAKT]", "agreement[1].EKONTAKT", "keys here"),
    ("actions = {", "acton = {", "agreement[1].process.EKONTAKT.acton", "actions"),
    ('endpoint = "', 'endpont = "', "endpont", "endpoint"),
]


@pytest.mark.parametrize(("right", "wrong", "place", "form"), MISTAKES)
def test_a_mistake_names_its_place_and_the_right_form(right: str, wrong: str, place: str, form: str) -> None:
    assert FULL.count(right) >= 1
    with pytest.raises(Misconfigured) as caught:
        read(FULL.replace(right, wrong))
    assert caught.value.where == f"dalbygda.toml: {place}"
    assert form in caught.value.hint + caught.value.why


def test_a_mistake_of_syntax_names_its_line() -> None:
    with pytest.raises(Misconfigured) as caught:
        read('her_id = 8000202\nname = "Hjemmesykepleien\nkind = "epj"\n')
    assert caught.value.where == "dalbygda.toml, line 2"


def test_two_agreements_with_one_party_are_refused() -> None:
    with pytest.raises(Misconfigured, match="stands twice"):
        read(FULL + '[[agreement]]\nwith = 8000102\ncpa_id = "another"\n')


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8080/ebms", "http://localhost/ebms", "http://[::1]:8080/ebms"])
def test_plain_http_is_for_this_machine(endpoint: str) -> None:
    assert read(FULL.replace("https://ebms.dalbygda.example/ebms", endpoint)).endpoint == endpoint


def test_plain_http_elsewhere_takes_a_switch() -> None:
    text = FULL.replace("https://ebms", "http://ebms").replace('["sha1-in"]', '["plain-http"]')
    assert read(text).endpoint == "http://ebms.dalbygda.example/ebms"


@given(st.text(max_size=200))
def test_any_text_is_a_record_or_misconfigured(text: str) -> None:
    with pytest.raises(Misconfigured):
        read(text + "\nkind = 1")


def party(her_id: int, *, parent: int | None = None, source: str = "", agreements: str = "") -> Party:
    line = f"parent = {parent}\n" if parent else ""
    text = f'her_id = {her_id}\nname = "P{her_id}"\nkind = "epj"\n{line}{agreements}'
    return read(text, source or f"{her_id}.toml")


def test_records_that_agree_make_a_directory() -> None:
    built = directory([party(DALBYGDA), party(DALBYGDA_NURSING, parent=DALBYGDA)])
    assert [each.her_id for each in built.lineage(DALBYGDA_NURSING)] == [DALBYGDA_NURSING, DALBYGDA]


def test_a_second_record_of_a_her_id_is_refused_by_its_file() -> None:
    with pytest.raises(Misconfigured, match="already, in first") as caught:
        directory([party(DALBYGDA, source="first.toml"), party(DALBYGDA, source="second.toml")])
    assert caught.value.where == "second.toml"


def test_a_parent_without_a_record_is_named() -> None:
    with pytest.raises(Misconfigured, match="parent 8000201 has no record") as caught:
        directory([party(DALBYGDA_NURSING, parent=DALBYGDA)])
    assert caught.value.where == "8000202.toml"


@pytest.mark.parametrize(
    ("parents", "named"),
    [
        ({1: 1}, {1}),
        ({1: 2, 2: 1}, {1, 2}),
        ({1: 2, 2: 3, 3: 1}, {1, 2, 3}),
        ({1: 2, 2: 3, 3: 2}, {2, 3}),  # 1 stands below the circle, and is not in it
    ],
)
def test_parents_that_lead_in_a_circle_are_named_and_cut(parents: dict[int, int], named: set[int]) -> None:
    built, faults = assemble([party(her, parent=parent) for her, parent in parents.items()])
    assert {fault.where for fault in faults} == {f"{her}.toml" for her in named}
    assert {her for her, each in built.parties.items() if each.parent is None} == named


def test_two_records_may_not_state_different_agreements_of_a_pair() -> None:
    with_1 = '[[agreement]]\nwith = 1\ncpa_id = "{}"\n'
    with_2 = '[[agreement]]\nwith = 2\ncpa_id = "{}"\n'
    directory([party(1, agreements=with_2.format("a")), party(2, agreements=with_1.format("a"))])
    with pytest.raises(Misconfigured, match="another cpa_id") as caught:
        directory([party(2, agreements=with_1.format("b")), party(1, agreements=with_2.format("a"))])
    assert caught.value.where == "1.toml"
