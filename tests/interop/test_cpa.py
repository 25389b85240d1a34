"""Agreement files of the generator, of the field's dialects and of the public samples, and rubbish in their place."""

import os
import tracemalloc
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.routing.cpa import MAX_BYTES, Often, SyncReply, read_cpa
from broker.routing.cpa_terms import agreed
from tests.interop import cpa_cases
from tests.interop.cpa_cases import FLOOR, Case, cases, faults_of
from tests.interop.cpa_files import A, cpa
from tests.scenario.pair import shipped_processes


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_file_means_what_it_says_or_is_refused_with_the_reason(case: Case) -> None:
    assert faults_of(case) == []


@pytest.mark.parametrize("fault", ["", "last-channel-wins", "ours-for-theirs", "trust-oid"])
def test_the_harness_sees_a_planted_fault(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cpa_cases.run(fault) is (fault == "")
    said = capsys.readouterr().out
    assert f"{len(cases())} agreement files read" in said
    assert len(cases()) >= FLOOR
    assert ("WRONG" in said) is (fault != "")


# --- the public samples ---


def registry() -> Path:
    reference = os.environ.get("DIGIHELSE_REFERENCE")
    if not reference:
        pytest.skip("the public samples are not at hand: DIGIHELSE_REFERENCE is unset")
    return Path(reference) / "examples" / "registry"


def test_the_public_agreement_is_read_whole_and_not_kept_because_it_is_not_over_http() -> None:
    path = registry() / "cpa-helsenorge-49391409.xml"
    read = read_cpa(path.read_bytes(), source=path.name)
    assert (read.cpa_id, read.version, read.status) == ("49391409-e528-4919-b4a3-9ccdab72c8c1", "1.0", "proposed")
    assert [len(party.roles) for party in read.parties] == [14, 14]
    assert [len(party.channels) for party in read.parties] == [2, 7]
    assert [set(party.certificates) for party in read.parties] == [{"sign", "enc"}] * 2
    assert [(one.what, one.count) for one in read.unknown] == [("ThisPartyActionBinding/@type", 112)]
    assert {one.sync_reply for party in read.parties for one in party.channels.values()} == {SyncReply.NONE}
    assert {one.ack_requested for party in read.parties for one in party.channels.values()} == {Often.PER_MESSAGE}
    sender = read.parties[0].exchanges["docexchange_async_amqp"].sender
    assert (sender.retries, sender.signature) == (0, "http://www.w3.org/2000/09/xmldsig#rsa-sha1")
    with pytest.raises(Misconfigured, match="no process here has any Service"):
        agreed(read, hosted={93238}, processes=shipped_processes(), kind_of=lambda _: None)
    # Were its actions those of a process, either party might be either role; and were the roles plain, it is AMQP.
    text = path.read_text("utf-8-sig").replace('action="DIALOG_INNBYGGER_EKONTAKT"', 'action="Foresporsel"')
    one_role = text.replace("DIALOG_INNBYGGER_EKONTAKTreceiver", "Helsepersonell")
    one_role = one_role.replace("DIALOG_INNBYGGER_EKONTAKTsender", "Helsepersonell")
    for changed, why in ((text, "several pairs of roles"), (one_role, "no channel over HTTP")):
        with pytest.raises(Misconfigured, match=why):
            agreed(
                read_cpa(changed.encode(), source=path.name),
                hosted={93238},
                processes=shipped_processes(),
                kind_of=lambda _: None,
                services={"DIALOG": "S-DIALOG_INNBYGGER_EKONTAKT"},
            )


def test_the_public_profile_is_told_from_an_agreement() -> None:
    path = registry() / "cpp-93238.xml"
    with pytest.raises(Misconfigured, match="CPP"):
        read_cpa(path.read_bytes(), source=path.name)


# --- rubbish ---

_BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
_XXE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'


def _before_root(markup: str) -> bytes:
    return cpa().replace(
        b"<c:CollaborationProtocolAgreement", markup.encode() + b"<c:CollaborationProtocolAgreement", 1
    )


RUBBISH = {
    "nothing": b"",
    "blanks": b" \n",
    "not XML": b"%PDF-1.7",
    "half a file": cpa()[:3000],
    "UTF-16": cpa().decode().encode("utf-16"),
    "an entity from a file": _before_root(_XXE),
    "a bomb of entities": _before_root(_BOMB),
    "very deep": b"<a>" * 100_000 + b"</a>" * 100_000,
    "deep": b"<a>" * 300 + b"</a>" * 300,
    "very wide": cpa().replace(b"</c:PartyInfo>", b"<c:PartyRef/>" * 90_000 + b"</c:PartyInfo>", 1),
    "10 MB of nothing": cpa().replace(b"<c:SimplePart", b" " * 10_000_000 + b"<c:SimplePart", 1),
    "10 MB in one value": cpa().replace(b">HER<", b">HER<").replace(b">79768<", b">" + b"7" * 3_900_000 + b"<"),
    "another root": b"<a/>",
    "the root without its namespace": b'<CollaborationProtocolAgreement cpaid="1"/>',
    "an ebMS envelope": b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>',
    "an instruction in the middle": cpa().replace(b"<c:SimplePart", b"<?php x ?><c:SimplePart", 1),
    "no parties": cpa()[: cpa().index(b"<c:PartyInfo")] + b"</c:CollaborationProtocolAgreement>",
    "a value that holds elements": cpa().replace(b">79768<", b"><c:PartyId>79768</c:PartyId><", 1),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_refused_with_a_sentence_that_quotes_nothing(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Misconfigured) as caught:
            read_cpa(RUBBISH[name], source="rubbish.xml")
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BYTES
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert said.startswith("rubbish.xml")
    assert len(said) < 300
    assert "hostname" not in said
    assert "777" not in said
    assert caught.value.hint


def test_no_byte_that_is_cut_or_turned_brings_anything_but_a_refusal_or_an_agreement() -> None:
    whole, read, refused = cpa(), 0, 0
    for place in range(0, len(whole), 97):
        for broken in (whole[:place] + whole[place + 7 :], whole[:place] + b"<" + whole[place + 1 :]):
            try:
                agreed(
                    read_cpa(broken, source="x.xml"),
                    hosted={A},
                    processes=shipped_processes(),
                    kind_of=lambda _: None,
                    services={"DIALOG": "Interop"},
                )
                read += 1
            except Misconfigured:
                refused += 1
    print(f"{read} read, {refused} refused")
    assert read + refused >= 200
    assert refused >= 100
