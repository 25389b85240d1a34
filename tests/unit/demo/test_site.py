"""What the demo makes is what the broker reads: every file goes through the reader that will meet it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.config import load
from broker.demo.cases import DALBYGDA, FJORDVIK, PORTAL
from broker.demo.simulator import Rule, read_orders
from broker.demo.site import DemoSite, hold, make_sites, write_orders
from broker.errors import Misconfigured
from broker.lookup.address_files import AddressFiles
from broker.lookup.clients_file import ClientsFile
from broker.lookup.clock import SystemClock
from broker.lookup.key_files import KeyFiles
from broker.lookup.process_files import ProcessFiles
from broker.lookup.randomness import SystemRandomness
from broker.lookup.shipped import shipped


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DemoSite]:
    return make_sites(tmp_path_factory.mktemp("demo"), now=SystemClock().now(), randomness=SystemRandomness())


def test_every_pair_of_parties_at_two_sites_has_one_agreement_seen_alike_from_both(
    sites: dict[str, DemoSite],
) -> None:
    directories = {key: AddressFiles(site.folder / "addresses").current() for key, site in sites.items()}
    units = {key: [site.unit.her, *([site.guest.her] if site.guest else [])] for key, site in sites.items()}
    pairs = 0
    for one in sites:
        for other in sites:
            for ours in units[one] if one != other else ():
                for theirs in units[other]:
                    here, there = directories[one].agreement(ours, theirs), directories[other].agreement(theirs, ours)
                    assert here is not None
                    assert there is not None
                    assert (here.cpa_id, here.sync, here.retries) == (there.cpa_id, there.sync, there.retries)
                    assert directories[one].endpoint(theirs) == f"{sites[other].partner}/ebms"
                    pairs += 1
    assert pairs == 16


def test_each_site_has_pinned_the_certificates_that_its_partner_signs_and_opens_with(
    sites: dict[str, DemoSite],
) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the certificates were made a moment ago
    for one in sites.values():
        directory = AddressFiles(one.folder / "addresses").current()
        for other in sites.values():
            number = directory.parties[other.unit.organisation_her].organisation_number or ""
            keys = KeyFiles(other.folder / "keys", {other.unit.her: number})
            assert keys.signing(other.unit.her, now).certificate in directory.signing(other.unit.her)
            assert keys.opening(other.unit.her)[0].certificate in directory.encryption(other.unit.her)


def test_the_processes_are_the_shipped_ones_but_for_their_receipt_clock(sites: dict[str, DemoSite]) -> None:
    usual = ProcessFiles(shipped("processes")).current().by_name
    ours = ProcessFiles(sites[FJORDVIK].folder / "processes").current().by_name
    assert ours.keys() == usual.keys() >= {"EKONTAKT", "AVTALEUTSENDING", "DIALOG", "HELSEFAGLIG"}
    for name, process in ours.items():
        assert process.functions == usual[name].functions
        assert process.receipt.duplicate_codes == usual[name].receipt.duplicate_codes
        if name != "APPREC":
            assert process.receipt.overdue < timedelta(minutes=3) < usual[name].receipt.overdue
            assert max(process.receipt.chase_at) < process.receipt.overdue


def test_the_settings_are_complete_and_the_clocks_quick(sites: dict[str, DemoSite]) -> None:
    for site in sites.values():
        settings = load(site.config)
        assert settings.environment == "test"
        assert set(settings.hosted) == {site.unit.her, *([site.guest.her] if site.guest else [])}
        assert f"http://{settings.epj.host}:{settings.epj.port}" == site.api
        assert f"http://{settings.partner.host}:{settings.partner.port}" == site.partner
        assert settings.data == site.folder / "data"
        assert settings.back_off.most < timedelta(seconds=10)
        assert settings.breaker.open_for < timedelta(seconds=10)


def test_the_tokens_are_those_of_the_clients_and_nobody_else_may_read_them(sites: dict[str, DemoSite]) -> None:
    for site in sites.values():
        write_orders(site, {"m1": Rule(status="Rejected", codes=("E35",))})
        clients = ClientsFile(site.folder / "clients.toml")
        client = clients.by_token(site.token)
        assert client is not None
        assert client.hers == {site.unit.her}
        assert site.orders.stat().st_mode & 0o077 == 0
        orders = read_orders(site.orders)
        assert (orders.token, orders.api, orders.ledger) == (site.token, site.api, site.ledger)
        assert orders.rules == {"m1": Rule(status="Rejected", codes=("E35",))}
        assert site.token not in repr(orders)
    guest = sites[DALBYGDA].guest_token
    assert guest is not None
    assert sites[PORTAL].guest_token is None


def test_all_ports_differ_and_lie_below_those_of_outgoing_connections(sites: dict[str, DemoSite]) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [int(url.rsplit(":", 1)[1]) for site in sites.values() for url in (site.api, site.partner)]
    assert len(set(ports)) == 6
    assert all(port < first for port in ports)


def test_a_folder_that_is_not_the_demos_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Kjære dagbok")
    with pytest.raises(Misconfigured, match="not empty"), hold(tmp_path):
        pass
    assert (tmp_path / "diary.txt").read_text() == "Kjære dagbok"


def test_the_folder_of_an_earlier_run_is_emptied_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    with hold(tmp_path / "demo"):
        (tmp_path / "demo" / "old").mkdir()
        with pytest.raises(Misconfigured, match="another demo is running"), hold(tmp_path / "demo"):
            pass
        assert (tmp_path / "demo" / "old").exists()
    with hold(tmp_path / "demo"):
        assert not (tmp_path / "demo" / "old").exists()
