"""One peer process: `python -m tests.interop.peers --config FILE`; orders by stdin, and what happens to stdout."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.interop.peers.base import Peer
from tests.interop.peers.engines import ENGINES
from tests.interop.peers.ledger import Ledger, tell
from tests.interop.peers.site import read_site


async def obey(peer: Peer, order: dict[str, Any]) -> Any:
    """Do one order. Returns what it has to say."""
    party = peer.parties[order["party"]]
    match order["do"]:
        case "send":
            content = await asyncio.to_thread(Path(order["file"]).read_bytes)
            return await peer.send(party, content, twist=order["twist"])
        case "repeat":
            answers = await asyncio.gather(*(peer.repeat(party, order["id"]) for _ in range(order["times"])))
            return [status for status, _ in answers]
        case "ask":
            return await peer.ask(party, kind=order["kind"], ref=order["ref"])
        case "open":
            return await peer.open(party.her)
        case "close":
            return peer.close(party.her)
        case "go":
            return peer.go(party.her)
        case other:
            raise AssertionError(other)


async def serve(config: Path) -> None:
    """Run a peer until SIGTERM, or until nobody holds the other end of its stdin."""
    site = read_site(config)
    peer, stopped = Peer(ENGINES[site.engine](), site, Ledger(Path(site.folder))), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))

    async def listen() -> None:
        while line := await reader.readline():
            order = json.loads(line)
            peer.spawn(answer(order))
        stopped.set()

    async def answer(order: dict[str, Any]) -> None:
        tell({"what": "done", "order": order["order"], "said": await obey(peer, order)})

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(peer.run(stopped))
        listening = tasks.create_task(listen())
        await running
        listening.cancel()


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.stderr.write("usage: python -m tests.interop.peers --config FILE\n")
        return 2
    asyncio.run(serve(Path(sys.argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
