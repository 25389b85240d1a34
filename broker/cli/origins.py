"""`broker check --config`: every setting that counts, and where it came from. What may be a secret is not shown."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from broker.config import PREFIX, load
from broker.routing.tables import read_toml

_SECRET: Final = re.compile(r"secret|password|passphrase|token", re.IGNORECASE)
_MASK: Final = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One setting: its key as the file spells it, its value as text, and where that stands."""

    key: str
    value: str
    source: str  # a file's path, a variable's name, or "default"


def origins(config: Path) -> list[Origin]:
    """Return all settings in the order of their declaration. Raises Misconfigured."""
    settings = load(config)
    written = dict(_flat(read_toml(config.read_text("utf-8"), source=str(config)).values()))
    variables = {name.upper(): name for name in os.environ}
    return [
        Origin(key=key, value=_shown(key, value), source=_source(key, config, written, variables))
        for key, value in _flat(settings.model_dump())
    ]


def _source(key: str, config: Path, written: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    steps = key.upper().split(".")
    for count in range(len(steps), 0, -1):  # a variable may set the key, or the table that it stands in
        if found := variables.get(PREFIX + "__".join(steps[:count])):
            return found
    return str(config) if key in written else "default"


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _shown(key: str, value: Any) -> str:
    if isinstance(value, Path):  # where a secret stands is none
        return str(value)
    if value is None:
        return "-"
    if _SECRET.search(key):
        return _MASK
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    text = str(value)
    return _MASK if "://" in text and "@" in urlsplit(text).netloc else text
