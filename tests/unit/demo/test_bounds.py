"""The simulator knows the HTTP API and nothing else of the broker; only then is it a witness."""

import subprocess
import sys

ALLOWED = (
    "broker",
    "broker.demo",
    "broker.demo.ledger",
    "broker.demo.simulator",
    "broker.lookup",
    "broker.lookup.clock",
)


def test_the_simulator_loads_no_part_of_the_broker_but_its_clock() -> None:
    program = "import sys, broker.demo.simulator; print(*(name for name in sys.modules if name.startswith('broker')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(loaded) == sorted(ALLOWED)
