"""What the running broker does by itself, once in a while: erases what has been kept long enough."""

import asyncio
from datetime import timedelta

from broker import acts, retention, telemetry
from broker.errors import BrokerError, StoreBroken
from broker.ports import Doors


async def keep_house(doors: Doors, policy: retention.Policy, every: timedelta) -> None:
    """Finish what a stop cut off, then erase what is due, now and every so often. Raises StoreBroken; else runs on."""
    while True:
        try:
            await acts.finish_releases(doors)
            await retention.erase_due(doors.store, doors.clock, policy)
        except StoreBroken:
            raise
        except BrokerError as why:
            telemetry.store_busy(why=why.why)
        except Exception as fault:
            telemetry.unexpected("retention", fault)
        await asyncio.sleep(every.total_seconds())
