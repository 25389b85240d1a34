"""Healthy traffic in a process of its own: valid documents posted at a steady rate, whatever becomes of the others.

    python -m tests.rubbish.healthy API TOKEN RATE

Prints the number of answers each second. At SIGUSR1 and at SIGTERM it prints one line of JSON on what was since the
last one, and at SIGTERM ends.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from broker.demo.cases import DALBYGDA, FJORDVIK, UNITS
from tests.rig.letters import letter


@dataclass
class Account:
    """What was seen. Seconds: from sending to answer, and how late this process itself was to send."""

    statuses: Counter[int] = field(default_factory=Counter)
    taken: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def tell(self) -> None:
        """Print it, and begin anew."""
        told = {
            "statuses": self.statuses,
            "p50": quantile(self.taken, 0.5),
            "p99": quantile(self.taken, 0.99),
            "most": max(self.taken, default=0.0),
            "late": quantile(self.late, 0.99),
        }
        print(json.dumps(told), flush=True)
        self.statuses, self.taken, self.late = Counter(), [], []


def quantile(values: list[float], part: float) -> float:
    """Return the value below which `part` of all lie."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)] if values else 0.0


async def main(api: str, token: str, rate: float) -> None:
    """Post until told to stop."""
    loop, stopped, account = asyncio.get_running_loop(), asyncio.Event(), Account()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, account.tell)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/xml"}
    connector = aiohttp.TCPConnector(limit=64)
    async with (
        aiohttp.ClientSession(api, headers=headers, connector=connector) as session,
        asyncio.TaskGroup() as posts,
    ):
        began, number = loop.time(), 0
        while not stopped.is_set():
            due = began + number / rate
            try:
                async with asyncio.timeout_at(due):
                    await stopped.wait()
            except TimeoutError:
                account.late.append(loop.time() - due)
                posts.create_task(_post(session, account))
            number += 1
            if number % int(rate) == 0:
                print(sum(account.statuses.values()), flush=True)
    account.tell()


async def _post(session: aiohttp.ClientSession, account: Account) -> None:
    _, content = letter(UNITS[FJORDVIK], UNITS[DALBYGDA])
    began = asyncio.get_running_loop().time()
    try:
        async with session.post("/api/v1/messages", data=content) as answer:
            await answer.read()
            account.statuses[answer.status] += 1
    except (aiohttp.ClientError, TimeoutError):
        account.statuses[0] += 1
    account.taken.append(asyncio.get_running_loop().time() - began)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
