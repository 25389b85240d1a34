"""Runs schemathesis, in a process of its own, over every operation of a door that is served here."""

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.served import TOKEN, Served

# What no schema can say of a valid request: whether a document keeps to its standard (422), whether another stands
# there already (409).
_CONFIG = """
seed = 20261122
hooks = "{hooks}"
[generation]
deterministic = true
max-examples = {examples}
database = "none"
[auth]
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of it."""

    said: str
    passed: bool
    operations: int
    cases: int


def strict(described: dict[str, Any]) -> dict[str, Any]:
    """Return the description as the test holds the server to it: no other field, no other word than those listed."""

    def tightened(value: Any) -> Any:
        if isinstance(value, list):
            return [tightened(one) for one in value]
        if not isinstance(value, dict):
            return value
        made = {key: tightened(one) for key, one in value.items()}
        for media_type in ("application/xml", "text/xml"):  # the hooks have whole documents instead of the example
            if isinstance(made.get(media_type), dict):
                made[media_type].pop("example", None)
        if made.get("type") == "object" and made.get("properties"):
            made.setdefault("additionalProperties", False)
        if words := made.pop("x-extensible-enum", None):
            made["enum"] = words + ([None] if "null" in made["type"] else [])
        return made

    made: dict[str, Any] = tightened(described)
    for taken in ("Verdict", "Through"):  # what a client sends may hold more
        _loosen(made["components"]["schemas"][taken])
    return made


def _loosen(shape: Any) -> None:
    if isinstance(shape, dict):
        shape.pop("additionalProperties", None)
        for one in shape.values():
            _loosen(one)
    elif isinstance(shape, list):
        for one in shape:
            _loosen(one)


async def try_all(door: Served, described: dict[str, Any], folder: Path, *, examples: int = 0, only: str = "") -> Tried:
    """Try every operation as `described`, or one by its id, and return what schemathesis said.

    Without `examples`, which are made up anew for each, the given ones and the edges of every schema are tried.
    """
    schema, config = folder / "openapi.json", folder / "schemathesis.toml"
    schema.write_text(json.dumps(strict(described)), "utf-8")
    config.write_text(_CONFIG.format(hooks="tests.api.hooks", examples=examples or 1), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(schema)),
        *("--url", door.url, "--header", f"Authorization: Bearer {TOKEN}", "--checks", "all", "--mode", "all"),
        *("--no-color", "--max-failures", "1" if only else "40", "--suppress-health-check", "all"),
        *("--phases", "examples,coverage,fuzzing,stateful" if examples else "examples,coverage"),
        *(("--include-operation-id", only, "--no-shrink") if only else ()),
        cwd=folder,
        env=os.environ
        | {"API_KNOWN": str(door.known), "API_LETTERS": str(door.letters), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    said = out.decode("utf-8", "replace")
    return Tried(
        said=said,
        passed=process.returncode == 0,
        operations=_number(r"Tested: (\d+)", said),
        cases=_number(r"(\d+) generated", said),
    )


def _number(pattern: str, said: str) -> int:
    found = re.search(pattern, said)
    return int(found[1]) if found else 0
