"""The CPA that the demo leaves for a guest says what the records of both its sites say, and nothing is noted."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.config import load
from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.guest import prepare
from broker.demo.site import DemoSite, make_sites
from broker.lookup.address_files import AddressFiles
from broker.lookup.process_files import ProcessFiles
from broker.lookup.randomness import SystemRandomness
from broker.routing.agreements import differing
from broker.routing.choose import RECEIPTS
from broker.routing.cpa import read_cpa
from broker.routing.cpa_terms import Agreed, agreed
from broker.routing.party import Directory
from broker.routing.process import Processes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, DemoSite], bytes]:
    folder = tmp_path_factory.mktemp("demo")
    now = datetime.now(UTC)  # noqa: TID251 - the certificates of the sites begin a moment ago
    sites = make_sites(folder, now=now, randomness=SystemRandomness())
    prepare(folder, sites, new_id=SystemRandomness().id, now=now)
    return sites, (folder / "try" / "cpa.xml").read_bytes()


def meaning(site: DemoSite, content: bytes) -> tuple[Agreed, Directory, Processes]:
    settings = load(Path(site.config))
    processes, records = ProcessFiles(settings.processes).current(), AddressFiles(settings.addresses).current()
    cpa = read_cpa(content, source="cpa.xml")
    return agreed(cpa, hosted=settings.hosted, processes=processes, kind_of=records.kind_of), records, processes


@pytest.mark.parametrize("key", [FJORDVIK, DALBYGDA])
def test_it_contradicts_no_record_and_leaves_nothing_to_note(key: str, made: tuple[dict[str, DemoSite], bytes]) -> None:
    sites, content = made
    found, records, processes = meaning(sites[key], content)
    # The tables of the records stand beside it still, so each of its terms is compared with theirs.
    assert records.agreement(found.agreement.ours, found.agreement.theirs) is not None
    assert differing(records, found, processes) == ()
    assert found.remarks == ()
    assert found.agreement.processes == {}


@pytest.mark.parametrize(
    ("old", "new"), [(b"<tp:Retries>10<", b"<tp:Retries>9<"), (b'"mshSignalsOnly"', b'"none"'), (b'/ebms"', b'/other"')]
)
def test_another_term_would_be_seen(old: bytes, new: bytes, made: tuple[dict[str, DemoSite], bytes]) -> None:
    sites, content = made
    content = content.replace(old, new)
    found, records, processes = meaning(sites[FJORDVIK], content)
    assert differing(records, found, processes) != ()


def test_it_has_every_message_of_both_dialogues_and_their_receipts(made: tuple[dict[str, DemoSite], bytes]) -> None:
    sites, content = made
    found, _, processes = meaning(sites[FJORDVIK], content)
    wanted = {
        (name, function, out)
        for name in ("DIALOG", "HELSEFAGLIG")
        for function in (*(one.key for one in processes.by_name[name].functions), RECEIPTS)
        for out in (True, False)
    }
    assert {(one.process, one.function, one.out) for one in found.exchanged} == wanted
