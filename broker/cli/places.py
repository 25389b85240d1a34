"""Where a broker's store, socket and address records are, by its settings: read alone, quickly, for who only looks.

Only these keys are understood here. `broker.config` reads all of them, and says what is wrong with any.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from broker.routing.tables import read_toml

_PREFIX = "BROKER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a command that looks must know."""

    data: Path
    addresses: Path
    processes: Path | None = None  # None: those that come with the software

    @property
    def socket(self) -> Path:
        """Return where the running broker answers its operators."""
        return self.data / "operator.sock"


def find_places(config: Path, environment: Mapping[str, str]) -> Places:
    """Return the places of a settings file, or of the environment before it. Raises Misconfigured."""
    try:
        text = config.read_text("utf-8")
    except OSError as error:
        hint = "name the file: --config broker.toml"
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(config), hint=hint) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"not UTF-8 at byte {error.start}", where=str(config)) from None
    values = read_toml(text, source=str(config)).values()

    def place(key: str) -> Path:
        if given := environment.get(_PREFIX + key.upper()):
            return Path(os.path.abspath(Path(given).expanduser()))
        value = values.get(key, key)
        if not isinstance(value, str) or not value:
            raise Misconfigured("must be a path in quotes", where=f"{config}: {key}")
        return Path(os.path.abspath(config.absolute().parent / Path(value).expanduser()))

    own = "processes" in values or f"{_PREFIX}PROCESSES" in environment
    return Places(data=place("data"), addresses=place("addresses"), processes=place("processes") if own else None)
