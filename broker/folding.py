"""When the same trouble has been told often enough: what is written out, and what is only counted. Pure.

The first lines of a key in a window are always written. What comes after them is counted, and told as one line when
the window is over. Lines about what goes well are never brought here: each of them is a checkpoint of a message.
"""

from dataclasses import dataclass, field
from typing import Final

Key = tuple[str, tuple[tuple[str, object], ...]]  # the event, and the fields that name the error and the counterpart

MOST: Final = 10  # lines of one key in one window
WINDOW: Final = 60.0  # seconds
KEYS: Final = 500  # windows open at once: a counterpart may be named by whoever knocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """So many lines of this key were not written in the window that is over."""

    key: Key
    count: int


@dataclass(slots=True)
class _Window:
    ends: float
    told: int = 0


@dataclass(slots=True)
class Folds:
    """The windows that are open. `now` is any clock in seconds that does not go back."""

    most: int = MOST
    window: float = WINDOW
    keys: int = KEYS
    _open: dict[Key, _Window] = field(default_factory=dict)  # in the order in which they end

    def tell(self, key: Key, now: float) -> bool:
        """Count one line, and say whether it is to be written."""
        window = self._open.get(key)
        if window is None:
            window = self._open[key] = _Window(ends=now + self.window)
        window.told += 1
        return window.told <= self.most

    def over(self, now: float, *, all: bool = False) -> list[Folded]:
        """Close the windows that are over (or all), and return what they kept back. To be asked before `tell`."""
        folded = []
        while self._open:
            key, window = next(iter(self._open.items()))
            if not all and window.ends > now and len(self._open) < self.keys:
                break
            del self._open[key]
            if window.told > self.most:
                folded.append(Folded(key=key, count=window.told - self.most))
        return folded
