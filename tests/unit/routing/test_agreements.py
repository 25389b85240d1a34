"""Which agreement counts, what was agreed before, and how records and agreement contradict each other."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from broker.errors import Inconsistent, Misconfigured, Unaddressable, ValueNotRecognized
from broker.retry import Chase
from broker.routing import choose
from broker.routing.agreement_file import Taken, iso, read_taken, write_taken
from broker.routing.agreement_words import differences, retries, terms
from broker.routing.agreements import Version, laid_over, understood
from broker.routing.cpa import read_cpa
from broker.routing.findings import findings
from broker.routing.party import Agreement, Directory, Party, PartyKind, Switch, Terms
from broker.routing.tables import duration
from broker.sealing.certificates import Use, load_certificates
from tests.interop.cpa_cases import meaning
from tests.interop.cpa_files import KEYS, A, B, but, cpa
from tests.scenario.pair import shipped_processes
from tests.unit.routing.samples import certificate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ENDPOINT = "http://127.0.0.1:8888/ebms"
A_CERT, B_CERT = (load_certificates((KEYS / name).read_bytes())[0] for name in ("a.crt", "b.crt"))
TABLE = Agreement(cpa_id="table:1", ours=A, theirs=B, said=frozenset({"with", "cpa_id"}))
FULL = {"endpoint": ENDPOINT, "signing": (B_CERT,), "encryption": (B_CERT,)}


def records(*, table: Agreement | None = None, **partner: object) -> Directory:
    ours = Party(her_id=A, name="Vi", kind=PartyKind.EPJ, organisation_number=None)
    theirs = Party(
        her_id=B,
        name="De",
        kind=PartyKind.EPJ,
        organisation_number=None,
        agreements=(table,) if table else (),
        **{**FULL, **partner},  # type: ignore[arg-type]  # by name
    )
    return Directory(parties={A: ours, B: theirs})


def version(
    content: bytes | None = None, *, taken_at: datetime = NOW - DAY, directory: Directory | None = None, **taken: object
) -> Version:
    content = content or cpa()
    held = Taken(
        cpa=read_cpa(content, source="x.xml"),
        file="x.xml",
        sha256=sha256(content).hexdigest(),
        taken_at=taken_at,
        services={"DIALOG": "Interop"},
        source=f"agreements/{taken_at:%Y%m%d}.toml",
        **taken,  # type: ignore[arg-type]  # by name
    )
    return understood(held, directory or records(), hosted={A}, processes=shipped_processes())


def over(directory: Directory, *versions: Version, at: datetime = NOW) -> Directory:
    laid, faults = laid_over(directory, versions, processes=shipped_processes(), at=at)
    assert faults == ()
    return laid


def in_use(directory: Directory) -> str | None:
    agreement = directory.agreement(A, B)
    return agreement.cpa_id if agreement else None


def conflicts(directory: Directory) -> list[str]:
    return [text.en for text in directory.conflict(A, B)]


def test_an_imported_agreement_takes_the_place_of_the_table() -> None:
    laid = over(records(table=replace(TABLE, cpa_id="interop:1")), version())
    found = laid.agreement(A, B)
    assert found is not None
    assert (found.cpa_id, found.retries, found.sends) == ("interop:1", 3, frozenset({("DIALOG", "Foresporsel/epj")}))
    assert conflicts(laid) == []
    turned = laid.agreement(B, A)
    assert turned is not None
    assert (turned.sends, turned.takes) == (found.takes, found.sends)


def test_the_last_version_that_was_taken_counts_when_its_start_has_come() -> None:
    old = version(cpa("--cpaid", "old"), taken_at=NOW - 9 * DAY)
    coming = version(cpa("--cpaid", "new", "--start", "2026-11-23T12:00:00Z"), taken_at=NOW - DAY)
    assert in_use(over(records(), old, coming)) == "old"
    assert in_use(over(records(), old, coming, at=NOW + DAY)) == "new"
    assert over(records(), old, coming).former_agreement(A, B, "old") is None


def test_until_the_start_of_a_version_that_was_taken_early_the_table_counts_also_when_it_was_removed() -> None:
    coming = version(cpa("--start", "2026-11-23T12:00:00Z"), replaced=(TABLE,))
    for directory in (records(table=TABLE), records()):
        laid = over(directory, coming)
        assert in_use(laid) == "table:1"
        assert conflicts(laid) == []
    begun = over(records(), coming, at=NOW + DAY)
    assert in_use(begun) == "interop:1"
    assert begun.former_agreement(A, B, "table:1") is not None


def test_where_both_are_hosted_here_a_table_of_either_record_gives_way() -> None:
    directory = records()
    mirrored = replace(TABLE, cpa_id="interop:1", ours=B, theirs=A, chase=Chase.ASK)
    parties = {**directory.parties, A: replace(directory.parties[A], agreements=(mirrored,))}
    laid = over(replace(directory, parties=parties), version())
    for ours, theirs in ((A, B), (B, A)):
        found = laid.agreement(ours, theirs)
        assert found is not None
        assert (found.cpa_id, found.ours, found.sends is not None) == ("interop:1", ours, True)


def test_what_was_replaced_is_good_for_its_persist_duration_and_then_named_as_expired() -> None:
    old = version(cpa("--cpaid", "old"), taken_at=NOW - 9 * DAY)
    new = version(cpa("--cpaid", "new", "--sync"), taken_at=NOW)
    laid = over(records(), old, new, at=NOW)

    def named(cpa_id: str, at: datetime) -> Agreement:
        return choose.agreement_of(laid, cpa_id=cpa_id, receiver=A, sender=B, at=at)

    assert named("new", NOW).sync
    assert not named("old", NOW + timedelta(minutes=9)).sync
    with pytest.raises(Inconsistent, match="expired agreement"):
        named("old", NOW + timedelta(minutes=10))
    with pytest.raises(Inconsistent, match="another agreement"):
        named("other", NOW)


def test_a_table_that_was_replaced_is_good_for_its_persist_duration_too() -> None:
    laid = over(records(), version(replaced=(TABLE,), taken_at=NOW))
    assert choose.agreement_of(laid, cpa_id="table:1", receiver=A, sender=B, at=NOW + DAY).cpa_id == "table:1"
    with pytest.raises(Inconsistent, match="expired agreement"):
        choose.agreement_of(laid, cpa_id="table:1", receiver=A, sender=B, at=NOW + 2 * DAY)


def test_a_retired_agreement_leaves_none_and_is_still_good_for_a_while() -> None:
    laid = over(records(), version(retired_at=NOW))
    assert in_use(laid) is None
    assert choose.agreement_of(laid, cpa_id="interop:1", receiver=A, sender=B, at=NOW).cpa_id == "interop:1"
    with pytest.raises(ValueNotRecognized):
        choose.agreement_of(laid, cpa_id="never", receiver=A, sender=B, at=NOW)


def test_of_two_parties_of_ours_the_agreement_holds_both_ways() -> None:
    laid = over(records(), version(cpa("--cpaid", "old"), taken_at=NOW - DAY), version(taken_at=NOW))
    former = laid.former_agreement(B, A, "old")
    assert former is not None
    assert (former.agreement.ours, former.agreement.theirs) == (B, A)


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        (records(table=TABLE), ["CPAId"]),
        (
            records(table=replace(TABLE, cpa_id="interop:1", sync=True, said=None)),
            ["acknowledgment comes", "Persist", "RetryI"],
        ),
        (records(endpoint="https://elsewhere.example/"), ["https://elsewhere.example/ in the record"]),
        (records(signing=(A_CERT,)), ["signing certificate"]),
        (
            records(table=replace(TABLE, cpa_id="interop:1", processes={"DIALOG": Terms(our_role="Lege")})),
            ["our_role of DIALOG"],
        ),
        (
            records(table=replace(TABLE, cpa_id="interop:1", processes={"DIALOG": Terms(actions={"Svar": "X"})})),
            ["actions.Svar of DIALOG"],
        ),
    ],
)  # fmt: skip
def test_every_difference_between_records_and_agreement_is_named_and_parks(
    directory: Directory, said: list[str]
) -> None:
    laid = over(directory, version())
    found = conflicts(laid)
    assert len(found) == len(said)
    assert all(any(word in text for text in found) for word in said)
    process = shipped_processes().by_name["DIALOG"]
    with pytest.raises(Unaddressable) as caught:
        choose.route(laid, process=process, function=process.functions[0], sender=A, receiver=B, now=NOW)
    assert caught.value.error_id == "MB-2013"
    assert [each.error_id for each in findings(laid, ours={A}, processes=["DIALOG"], at=NOW) if each.problem] == [
        "MB-2013"
    ] * len(said)


def test_a_table_with_the_same_terms_contradicts_nothing_and_says_what_a_cpa_has_no_word_for() -> None:
    table = replace(
        TABLE,
        cpa_id="interop:1",
        chase=Chase.ASK,
        key_transport="rsa-oaep",
        cipher="aes256-gcm",
        payloads=3,
        retries=99,  # not said: a default of the reader
        processes={"DIALOG": Terms(chase=Chase.NONE, service="Interop")},
        said=frozenset({"with", "cpa_id", "chase", "key_transport", "cipher", "process"}),
    )
    laid = over(records(table=table), version())
    found = laid.agreement(A, B)
    assert found is not None
    assert conflicts(laid) == []
    assert (found.chase, found.key_transport, found.cipher, found.retries) == (Chase.ASK, "rsa-oaep", "aes256-gcm", 3)
    assert found.payloads == 3
    assert (found.processes["DIALOG"].chase, found.processes["DIALOG"].service) == (Chase.NONE, "Interop")


def test_what_the_record_lacks_is_the_agreements() -> None:
    laid = over(records(endpoint=None, signing=(), encryption=()), version())
    assert (laid.endpoint(B), laid.signing(B), laid.encryption(B)) == (ENDPOINT, (B_CERT,), ())
    assert conflicts(laid) == []


def test_an_address_without_tls_is_taken_only_where_the_record_allows_it() -> None:
    far = version(cpa("--b-url", "http://ebms.example/"))
    laid = over(records(endpoint=None), far)
    assert laid.endpoint(B) is None
    assert ["plain-http" in text for text in conflicts(laid)] == [True]
    allowed = over(records(endpoint=None, switches=frozenset({Switch.PLAIN_HTTP})), far)
    assert allowed.endpoint(B) == "http://ebms.example/"
    assert conflicts(allowed) == []


def test_an_unsigned_agreement_needs_the_record_to_allow_plaintext() -> None:
    unsigned = version(cpa("--unsigned"))
    assert ["plaintext-in" in text for text in conflicts(over(records(), unsigned))] == [True]
    assert conflicts(over(records(switches=frozenset({Switch.PLAINTEXT})), unsigned)) == []


def test_the_partners_old_certificate_holds_while_messages_under_the_old_agreement_are_taken() -> None:
    old = version(cpa("--cpaid", "old", b_cert=KEYS / "a.crt"), taken_at=NOW - DAY)
    new = version(cpa("--cpaid", "new"), taken_at=NOW)
    bare = records(signing=())
    assert over(bare, old, new, at=NOW).signing(B) == (B_CERT, A_CERT)
    assert over(bare, old, new, at=NOW + timedelta(minutes=10)).signing(B) == (B_CERT,)


def test_an_agreement_of_a_party_without_a_record_is_named() -> None:
    lone = Directory(parties={A: records().parties[A]})
    _, faults = laid_over(lone, [version()], processes=shipped_processes(), at=NOW)
    assert [f"HER-id {B}" in fault.why for fault in faults] == [True]


# --- the choice ---


def route_of(directory: Directory, function: str, *, now: datetime = NOW) -> choose.Route:
    process = shipped_processes().by_name["DIALOG"]
    found = next(one for one in process.functions if one.name == function)
    return choose.route(directory, process=process, function=found, sender=A, receiver=B, now=now)


def sealed_for_them() -> Directory:
    return records(encryption=(certificate(Use.ENCRYPT),))


def test_a_message_goes_by_the_service_action_and_roles_of_the_agreement() -> None:
    headers = route_of(over(sealed_for_them(), version()), "Foresporsel").headers
    assert (headers.service, headers.action, headers.from_role, headers.to_role) == (
        "Interop", "Foresporsel", "Behandler", "Register",
    )  # fmt: skip


def test_what_the_agreement_does_not_list_is_neither_sent_nor_taken() -> None:
    laid = over(sealed_for_them(), version())
    with pytest.raises(Unaddressable) as caught:
        route_of(laid, "Svar")
    assert caught.value.error_id == "MB-2010"
    agreement = laid.agreement(A, B)
    assert agreement is not None

    def named(action: str) -> object:
        return choose.function_named(
            shipped_processes(), agreement, service="Interop", action=action, from_role="Register", to_role="Behandler"
        )

    assert named("Svar") is not None
    assert named("Foresporsel") is None
    assert named("Apprec") is None


def test_after_its_end_nothing_is_sealed_and_before_its_start_it_is_as_if_there_were_none() -> None:
    for at, error_id in (
        (datetime(2035, 1, 1, tzinfo=UTC), "MB-2014"),
        (datetime(2019, 12, 31, tzinfo=UTC), "MB-2002"),
    ):
        with pytest.raises(Unaddressable) as caught:
            route_of(over(sealed_for_them(), version(), at=at), "Foresporsel", now=at)
        assert caught.value.error_id == error_id


@pytest.mark.parametrize("timestamp", [datetime(2035, 1, 1, tzinfo=UTC), datetime(2019, 12, 31, tzinfo=UTC)])
def test_what_was_made_outside_start_and_end_is_inconsistent(timestamp: datetime) -> None:
    agreement = over(records(), version()).agreement(A, B)
    assert agreement is not None
    with pytest.raises(Inconsistent) as refused:
        choose.require_in_force(agreement, timestamp)
    assert refused.value.location == "//Header/MessageHeader/CPAId"
    choose.require_in_force(agreement, NOW)


def test_an_agreement_that_ends_within_a_month_is_spoken_of() -> None:
    laid = over(records(), version(cpa("--end", "2026-12-01T00:00:00Z")))
    said = [each.text.en for each in findings(laid, ours={A}, processes=["DIALOG"], at=NOW)]
    assert f"the agreement with {A} ends in 8 days" in said


# --- the note beside a file ---


def test_a_note_is_read_as_it_was_written() -> None:
    content = cpa()
    whole = replace(
        TABLE,
        retry_interval=timedelta(seconds=90.5),
        persist_duration=timedelta(days=1, hours=12),
        chase=Chase.ASK,
        sync=True,
        payloads=2,
        processes={"DIALOG": Terms(service='S "x"', service_type="", actions={"Svar": "Å"}, chase=Chase.NONE)},
    )
    taken = version(content, retired_at=NOW, replaced=(whole,)).taken
    read = read_taken(write_taken(taken), taken.source, lambda _: content)
    assert read == taken
    assert read.replaced[0].processes == whole.processes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (but(('cpa = "x.xml"', 'cpa = "../x.xml"')), "same folder"),
        (but(("sha256", "sha512")), "sha256"),
        (but(('taken_at = "20', 'taken_at = "99-')), "a time with its zone"),
        (but(("[services]", "[servises]")), "no such key"),
    ],
)
def test_a_note_that_is_wrong_says_how_it_should_be(change: object, why: str) -> None:
    text = write_taken(version().taken)
    assert callable(change)
    with pytest.raises(Misconfigured, match=why):
        read_taken(change(text.encode()).decode(), "x.toml", lambda _: cpa())


def test_a_file_that_was_changed_since_it_was_taken_is_named() -> None:
    with pytest.raises(Misconfigured, match="not the file that was taken into use"):
        read_taken(write_taken(version().taken), "x.toml", lambda _: cpa("--retries", "4"))


@pytest.mark.parametrize(
    "span", [DAY, DAY / 2, DAY * 1.5, timedelta(seconds=90), timedelta(seconds=0.25), timedelta(minutes=61)]
)
def test_a_duration_is_read_as_it_was_written(span: timedelta) -> None:
    assert duration(iso(span)) == span


# --- words ---


def test_terms_and_differences_are_said_in_both_languages() -> None:
    old, new = meaning(cpa()), meaning(cpa("--sync", "--retries", "4", "--cpaid", "new"))
    assert differences(old, old) == ()
    changed = {each.key: (each.old, each.new) for each in differences(old, new)}
    assert changed.keys() == {"cpa_id", "sync", "retries"}
    assert all(old and new and old.en != new.en and old.nb != new.nb for old, new in changed.values())
    by_key: Mapping[str, str] = {each.key: each.value.en for each in terms(new)}
    assert by_key["out:DIALOG:Foresporsel/epj"].endswith("Behandler -> Register")
    assert by_key["in:DIALOG:Svar/epj"].endswith("Register -> Behandler")
    said = retries(new.agreement)
    assert said.en == "sent up to 5 times, 5 seconds apart, and never later than 10 minutes after sealing"
    assert said.nb == "sendes inntil 5 ganger med 5 sekunder imellom, aldri senere enn 10 minutter etter forseglingen"
    assert retries(meaning(cpa("--best-effort")).agreement).en == "sent once, within 2 days"
