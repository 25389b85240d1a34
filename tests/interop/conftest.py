"""What tests need that run commands in their own process."""

import logging
from collections.abc import Iterator

import pytest

from broker import telemetry


@pytest.fixture
def restored_log() -> Iterator[None]:
    """Give the log back as it was: commands quieten that of their process."""
    log, handlers, level = telemetry._log, logging.getLogger().handlers[:], logging.getLogger().level
    yield
    telemetry._log = log
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
