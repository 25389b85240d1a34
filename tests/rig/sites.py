"""Sites for load and faults: those of the demo, with waits of a second or less, and settings of the harness's own."""

import re
from datetime import datetime
from pathlib import Path

from broker.demo.site import DemoSite, make_sites, write_orders
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness

_QUICK = {
    r'^first = "PT1S"': 'first = "PT0.2S"',
    r'^most = "PT3S"': 'most = "PT0.6S"',
    r"^failures = 3": "failures = 1000",  # a broker that comes back is to be found at once
    r'^reload = "PT2S"': 'reload = "PT1S"',
}
_PATIENT = {r"^retries = 10": "retries = 200", r'^retry_interval = "PT5S"': 'retry_interval = "PT2S"'}


def quick_sites(folder: Path, *, settings: str = "", now: datetime | None = None) -> dict[str, DemoSite]:
    """Make the three sites in `folder`; `settings` are tables that are added to each broker's file."""
    sites = make_sites(folder, now=now or SystemClock().now(), randomness=SystemRandomness())
    for site in sites.values():
        _change(site.config, _QUICK)
        with site.config.open("a", encoding="utf-8") as config:
            config.write(f"\n{settings}\n")
        for record in (site.folder / "addresses").glob("*.toml"):
            _change(record, _PATIENT)
        write_orders(site, {})
    return sites


def _change(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text("utf-8")
    for old, new in changes.items():
        text = re.sub(old, new, text, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
