"""A store in a folder of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.store.sqlite import SqliteStore, open_store
from tests.store.values import SITE_KEY


@pytest.fixture
def broken() -> list[BaseException]:
    """What `on_broken` was called with."""
    return []


@pytest.fixture
async def store(tmp_path: Path, broken: list[BaseException]) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path / "store", site_key=SITE_KEY, on_broken=broken.append)
    yield opened
    await opened.close()
