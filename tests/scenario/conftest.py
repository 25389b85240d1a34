"""Both ways of signalling, for every scenario: in the HTTP answer, and as a POST of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenario.pair import Pair, pair


@pytest.fixture(params=["sync", "async"])
async def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path, sync=request.param == "sync") as both:
        yield both
