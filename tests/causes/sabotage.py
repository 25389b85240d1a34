"""The planted faults of this harness: each makes what is told wrong, and must turn the run red."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from broker.diagnosis import CAUSES, Standing, causes, standing
from broker.diagnosis.standing import stand
from broker.web import looking, shapes

Change = Callable[[str | None], str | None]


def _neighbour(id: str | None) -> str | None:
    ids = sorted(CAUSES)
    return ids[(ids.index(id) + 1) % len(ids)] if id is not None and id in CAUSES else id


def _unexpected(id: str | None) -> str | None:
    return id and causes.UNEXPECTED


def _otherwise(change: Change) -> Any:
    true = standing._error_id

    def lie(*of: Any) -> str | None:
        return change(true(*of))

    return mock.patch.object(standing, "_error_id", lie)


def _other_words() -> Any:
    def lie(*of: Any, **how: Any) -> Standing:
        said = stand(*of, **how)
        return replace(said, act=said.cause)

    return mock.patch.object(looking, "stand", lie)


def _one_language() -> Any:
    return mock.patch.object(shapes, "_text", lambda text: {"nb": text.nb, "en": ""})


_FAULTS: dict[str, Callable[[], Any]] = {
    "swap-causes": lambda: _otherwise(_neighbour),
    "all-unexpected": lambda: _otherwise(_unexpected),
    "operators-differ": _other_words,
    "one-language": _one_language,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Give the program with the fault in it, or as it is where `name` is empty."""
    if not name:
        yield
        return
    with _FAULTS[name]():
        yield
