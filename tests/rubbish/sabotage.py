"""The faults that can be planted, in a reader's process and in the daemon, to show that the harness sees them.

python -m tests.rubbish.sabotage serve --config broker.toml     the daemon, with SABOTAGE planted
"""

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from lxml import etree

from broker.envelope import mime, xml

NAMES = ("", "allow-doctype", "no-limit", "on-the-loop", "patient")


def plant(name: str) -> None:
    """Change this process so that it has the fault. Raises KeyError for a name that is none."""
    {
        "": lambda: None,
        "allow-doctype": _allow_doctype,
        "no-limit": _no_limit,
        "on-the-loop": _on_the_loop,
        "patient": _patient,
    }[name]()


def _allow_doctype() -> None:
    """Declarations are read, entities resolved, files opened."""
    told: Any = xml

    def trusting(encoding: str, *, huge: bool) -> etree.XMLParser:
        return etree.XMLParser(
            encoding=encoding, resolve_entities=True, load_dtd=True, no_network=False, huge_tree=huge
        )

    told._parser = trusting
    told._refuse_doctype = lambda data, start: None
    told._refuse_instructions = lambda data, root: None


def _no_limit() -> None:
    """Nothing is too large, too deep or too much."""
    told_xml: Any = xml
    told_mime: Any = mime
    parser = told_xml._parser
    told_xml._parser = lambda encoding, *, huge: parser(encoding, huge=True)
    told_xml._HUGE_ABOVE = 0
    told_xml._refuse_markup = lambda data: None
    honest = mime.gunzip
    told_mime.gunzip = lambda data: honest(data, max_bytes=10**9, max_ratio=10**6)


def _on_the_loop() -> None:
    """What is dear runs where everybody waits for it."""
    from broker.lookup import cpu

    def blocking(self: cpu.CpuPool, work: Callable[..., object], /, *args: object, **kwargs: object) -> Awaitable[Any]:
        async def run() -> object:
            return work(*args, **kwargs)

        return run()

    pool: Any = cpu.CpuPool
    pool.__call__ = blocking


def _patient() -> None:
    """A body may come as slowly as it likes."""
    from broker.web import app

    told: Any = app
    honest = told.Pace
    told.Pace = lambda **given: replace(honest(), idle=1e6, whole=1e6, slowest=0)
    from broker import daemon

    served: Any = daemon
    served.Pace = told.Pace


if __name__ == "__main__":
    from broker.cli.main import main

    plant(os.environ.get("SABOTAGE", ""))
    main(sys.argv[1:])
