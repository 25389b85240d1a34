"""What judging a document needs, as it is shipped: schemas, processes and code lists; and the sample documents."""

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from broker.routing.party import PartyKind
from broker.routing.process import Processes
from broker.routing.process_files import processes, read_process
from broker.validation.codes import Codes, read_codes
from broker.validation.documents import Judged, judge
from broker.validation.rules import Environment
from broker.validation.xsd import SchemaSet

ROOT = Path(__file__).parent.parent
DOCUMENTS = ROOT / "tests" / "documents"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PORTAL = 8000301  # the citizens' portal of the samples; all their other parties are EPJ systems


@cache
def shipped_schemas() -> SchemaSet:
    files = {str(file.relative_to(ROOT / "schemas")): file.read_bytes() for file in (ROOT / "schemas").rglob("*.xsd")}
    return SchemaSet.from_bytes(files)


@cache
def shipped_processes() -> Processes:
    return processes(read_process(file.read_text("utf-8"), file.name) for file in (ROOT / "processes").glob("*.toml"))


@cache
def shipped_codes() -> Codes:
    return read_codes({file.name: file.read_text("utf-8") for file in (ROOT / "schemas" / "codes").glob("*.toml")})


def kind_of(her_id: int) -> PartyKind | None:
    return PartyKind.CITIZEN if her_id == PORTAL else PartyKind.EPJ


def sample(name: str) -> bytes:
    return (DOCUMENTS / name).read_bytes()


def judged(
    data: bytes,
    *,
    environment: Environment = "test",
    at: datetime = NOW,
    with_processes: Processes | None = None,
) -> Judged:
    return judge(
        data,
        schemas=shipped_schemas(),
        processes=shipped_processes() if with_processes is None else with_processes,
        codes=shipped_codes(),
        environment=environment,
        kind_of=kind_of,
        at=at,
    )


def reference() -> Path:
    """Return the folder of official schemas and public samples; skip where the machine does not have it."""
    folder = os.environ.get("DIGIHELSE_REFERENCE")
    if not folder:
        pytest.skip("DIGIHELSE_REFERENCE does not point to the public samples")
    return Path(folder)
