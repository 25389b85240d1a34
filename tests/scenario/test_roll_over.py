"""One side changes its certificates while messages go both ways: none is lost, and planted faults are seen."""

from pathlib import Path

import pytest

from tests.scenario.pair import Pair, pair
from tests.scenario.roll_over import FAULTS, FLOOR, RollOver, planted


async def test_no_message_is_lost_while_certificates_are_rolled_over(brokers: Pair, tmp_path: Path) -> None:
    result = await RollOver(brokers, tmp_path / "keys").run()
    print(f"{result.posted} messages posted, {result.posted - len(result.lost)} completed")
    assert result.posted >= FLOOR
    assert result.lost == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_planted_into_the_roll_over_loses_messages_and_is_seen(fault: str, tmp_path: Path) -> None:
    async with pair(tmp_path / "stores") as both:
        with planted(fault):
            result = await RollOver(both, tmp_path / "keys").run()
    print(f"{fault}: {len(result.lost)} of {result.posted} messages not completed")
    assert result.lost
