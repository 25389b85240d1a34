"""Harness: the demo, run as a test. SABOTAGE plants what it must not pass.

    python -m tests.scenario.whole_path FOLDER

SABOTAGE=careless-epj gives the simulators no rules, so that they neither reject nor withhold; other-bytes lets an EPJ
post a document with one byte more than was written.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from broker.demo import run
from broker.demo.cases import Case
from broker.demo.simulator import Rule
from broker.demo.site import DemoSite, write_orders

_hand_over = run.Show.hand_over


def _careless(site: DemoSite, rules: Mapping[str, Rule]) -> None:
    # The answer in a conversation is still sent: what is planted is the verdicts alone.
    write_orders(site, {msg_id: Rule(reply=rule.reply) for msg_id, rule in rules.items()})


def _with_one_byte_more(show: run.Show, case: Case) -> None:
    other = replace(case, content=case.content + b"\n") if case.name == "epj-1-1-utf-8" else case
    _hand_over(show, other)


SABOTAGES = ("careless-epj", "other-bytes")


def main() -> int:
    """Run the demo in the folder named by the first argument."""
    sabotage = os.environ.get("SABOTAGE", "")
    if sabotage and sabotage not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    with ExitStack() as planted:
        if sabotage == "careless-epj":
            planted.enter_context(patch.object(run, "write_orders", _careless))
        if sabotage == "other-bytes":
            planted.enter_context(patch.object(run.Show, "hand_over", _with_one_byte_more))
        return run.main(stay=False, folder=Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
