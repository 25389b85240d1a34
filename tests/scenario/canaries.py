"""Words that can be found again: planted in documents, looked for in every place where no document may be."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Cage:
    """All canaries of one run, by the field that each sits in."""

    cores: dict[str, str] = field(default_factory=dict)  # core -> field

    def mint(self, where: str) -> str:
        """Return a new word for the field `where`: a core of ASCII that every text encoding keeps, in Norwegian."""
        core = f"fugl{secrets.token_hex(6)}"
        self.cores[core] = where
        return f"Blå{core}ært"

    def adopt(self, value: str, where: str) -> str:
        """Look for `value` too, which has a form of its own: a number, an address."""
        self.cores[value] = where
        return value


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary where none may be. Named by field and place; the word itself is not told."""

    field: str
    form: str
    place: str


def forms(core: str) -> dict[str, bytes]:
    """Return `core` as it looks in the encodings that something might be kept or logged in."""
    plain = core.encode("ascii")
    found = {
        "text": plain,  # UTF-8, Latin-1, JSON, percent-encoded: all keep the ASCII of the core
        "utf-16-le": core.encode("utf-16-le"),
        "utf-16-be": core.encode("utf-16-be"),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "reversed": plain[::-1],
    }
    for offset in range(3):
        found[f"base64+{offset}"] = _inside_base64(plain, offset)
    return found


def _inside_base64(plain: bytes, offset: int) -> bytes:
    """Return the characters that `plain` alone decides when it stands `offset` bytes into a group of three."""
    coded = base64.b64encode(bytes(offset) + plain)
    first = -(-offset * 8 // 6)
    last = (offset + len(plain)) * 8 // 6
    return coded[first:last]


def sightings(cage: Cage, places: Iterable[tuple[str, bytes]]) -> Iterator[Sighting]:
    """Yield every canary found in `places` (name, content), in whatever form."""
    wanted = [(where, form, word) for core, where in cage.cores.items() for form, word in forms(core).items()]
    for place, content in places:
        # Base64 may be wrapped: the second look is without line ends.
        joined = content.replace(b"\r", b"").replace(b"\n", b"")
        for where, form, word in wanted:
            if word in content or word in joined:
                yield Sighting(where, form, place)
