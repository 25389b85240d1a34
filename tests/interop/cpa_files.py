"""Agreement files for tests: what the generator of the real engine's agreement writes, with every flag, as bytes."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interop.capture import FOLDER

A, B = 8141253, 79768  # HER-ids: ours and the engine's
KEYS = FOLDER / "keys"


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("mkcpa", FOLDER / "mkcpa.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_MKCPA = _generator()


def cpa(*flags: str, a_cert: Path = KEYS / "a.crt", b_cert: Path = KEYS / "b.crt") -> bytes:
    """Return what `mkcpa.py FLAGS` writes."""
    options = _MKCPA.arguments(["--a-cert", str(a_cert), "--b-cert", str(b_cert), *flags])
    made: str = _MKCPA.cpa(options)
    return made.encode()


Change = Callable[[bytes], bytes]


def but(*pairs: tuple[str, str], times: int | None = None) -> Change:
    """Return a change of a file: each text for another, everywhere or so many times; each must be there."""

    def change(data: bytes) -> bytes:
        text = data.decode()
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new) if times is None else text.replace(old, new, times)
        return text.encode()

    return change
