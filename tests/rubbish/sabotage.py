"""The faults that can be planted, in a reader's process and in the daemon, to show that the harness sees them.

python -m tests.rubbish.sabotage serve --config broker.toml     the daemon, with SABOTAGE planted
"""

import os
import sys
import threading
from dataclasses import replace
from typing import Any

from lxml import etree

from broker.envelope import mime, xml
from broker.errors import Refused

NAMES = ("", "allow-doctype", "no-limit", "stall", "patient")


def plant(name: str) -> None:
    """Change this process so that it has the fault. Raises KeyError for a name that is none."""
    {
        "": lambda: None,
        "allow-doctype": _allow_doctype,
        "no-limit": _no_limit,
        "stall": _stall,
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


def _stall() -> None:
    """What is refused holds up everybody for a while."""
    from broker import inbound

    told: Any = inbound
    honest = told._fault

    def stalling(why: Refused) -> Any:
        threading.Event().wait(0.5)  # blocks the loop, which is the fault
        return honest(why)

    told._fault = stalling


def _patient() -> None:
    """A body may come as slowly as it likes."""
    from broker.web import app

    told: Any = app
    honest = told.Pace
    told.Pace = lambda **given: replace(honest(), idle=1e6, whole=1e6, slowest=1e-6)
    from broker import daemon

    served: Any = daemon
    served.Pace = told.Pace


if __name__ == "__main__":
    from broker.cli.main import main

    plant(os.environ.get("SABOTAGE", ""))
    main(sys.argv[1:])
