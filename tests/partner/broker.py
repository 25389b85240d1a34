"""The broker of this harness: the real one; or, with SABOTAGE=no-lanes, one whose claim knows no lanes."""

import os
import sys
from collections.abc import Collection, Mapping
from datetime import datetime

from broker.cli.main import main
from broker.ports import Claimed
from broker.store.sqlite import SqliteStore


def _no_lanes() -> None:
    claim = SqliteStore.claim

    async def careless(
        self: SqliteStore,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        per_lane: int,
        busy: Mapping[int, int],
        closed: Collection[int],
    ) -> Claimed:
        return await claim(self, now=now, until=until, limit=limit, per_lane=limit, busy={}, closed=())

    SqliteStore.claim = careless  # type: ignore[method-assign] # the planted fault


if __name__ == "__main__":
    if os.environ.get("SABOTAGE") == "no-lanes":
        _no_lanes()
    sys.exit(main())
