"""Words that can be found again: planted in documents, looked for in every place where no document may be."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

WORD = "kanarifugl"  # what every minted core begins with
NUMBER = "018130"  # what every adopted number begins with: all our persons are born on one day


@dataclass
class Cage:
    """All canaries of one run, by the field that each sits in."""

    cores: dict[str, str] = field(default_factory=dict)  # core -> field

    def mint(self, where: str) -> str:
        """Return a new word for the field `where`: a core of ASCII that every text encoding keeps, in Norwegian."""
        core = f"{WORD}{secrets.token_hex(6)}"
        self.cores[core] = where
        return f"Blå{core}ært"

    def adopt(self, number: str, where: str) -> str:
        """Look for a fødselsnummer too. Raises ValueError for one that does not begin as ours do."""
        if not number.startswith(NUMBER):
            raise ValueError("a number of another day")
        self.cores[number] = where
        return number


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary where none may be. Named by field and place; the word itself is not told."""

    field: str
    form: str
    place: str


def forms(core: str) -> dict[str, bytes]:
    """Return `core` as it looks in the encodings that something might be kept or logged in.

    The forms of a longer core begin with those of a shorter one that it begins with.
    """
    plain = core.encode("ascii")
    found = {
        "text": plain,  # UTF-8, Latin-1, JSON, percent-encoded: all keep the ASCII of the core
        "utf-16-le": core.encode("utf-16-le"),
        "utf-16-be": core.encode("utf-16-be"),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
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
    families = [(forms(begin), [core for core in cage.cores if core.startswith(begin)]) for begin in (WORD, NUMBER)]
    wanted = {core: forms(core) for core in cage.cores}
    for place, content in places:
        joined = content.replace(b"\r", b"").replace(b"\n", b"")  # base64 may be wrapped
        for begins, cores in families:
            # What all of them begin with is looked for first: there are hundreds of them, and megabytes of places.
            for form in [form for form, begin in begins.items() if begin in joined]:
                for core in cores:
                    if wanted[core][form] in joined:
                        yield Sighting(cage.cores[core], form, place)
