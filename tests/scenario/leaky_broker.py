"""A broker with a planted leak: it prints every document that it takes. The canary harness must see it."""

import sys

from broker import intake
from broker.cli.main import main
from broker.intake import Taken
from broker.message import Client
from broker.ports import Doors

_accept = intake.accept


async def leaking(raw: bytes, client: Client, doors: Doors, key: str | None = None) -> Taken:
    """Take a document, and print it."""
    print(raw.decode("latin-1"), flush=True)
    return await _accept(raw, client, doors, key)


if __name__ == "__main__":
    intake.accept = leaking
    sys.exit(main())
