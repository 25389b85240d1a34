"""What the simulators of two sites have written down, read as it grows, and whether it balances."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.demo.site import DemoSite

_ENDS = {"message.apprec_ok", "message.apprec_rejected", "message.apprec_partial"}


@dataclass
class Tail:
    """One ledger; each look reads only what is new."""

    path: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    def look(self) -> Sequence[dict[str, Any]]:
        """Return all whole entries, oldest first."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._read += len(whole) + len(newline)
            self.entries += (json.loads(line) for line in whole.splitlines())
        return self.entries

    def of(self, kind: str, *, since: float = 0.0) -> Iterator[dict[str, Any]]:
        """Yield the entries of a kind written later than `since` (seconds of the system clock)."""
        return (entry for entry in self.look() if entry["what"] == kind and seconds(entry) > since)


def seconds(entry: dict[str, Any]) -> float:
    """Return when an entry was written."""
    return datetime.fromisoformat(entry["at"]).timestamp()


@dataclass
class Books:
    """The ledgers of all sites, and the letters laid out between them."""

    tails: dict[str, Tail]
    laid: list[tuple[str, str, str]] = field(default_factory=list)  # MsgId, sender, receiver
    by_hand: dict[str, dict[str, Any]] = field(default_factory=dict)  # what no simulator posted, by MsgId

    @classmethod
    def of(cls, sites: Sequence[DemoSite]) -> "Books":
        """Return the books of `sites`, with nothing laid out."""
        return cls({site.key: Tail(site.ledger) for site in sites})

    def open(self) -> list[str]:
        """Return the MsgIds that have not come to their end on both sides."""
        ended = {key: _ended(tail) for key, tail in self.tails.items()}
        judged = {key: {entry["msg_id"] for entry in tail.of("judged")} for key, tail in self.tails.items()}
        return [id for id, sender, receiver in self.laid if id not in ended[sender] or id not in judged[receiver]]

    def complaints(self) -> list[str]:
        """Say what does not balance: each letter taken, received once with the same bytes, ended once."""
        found: list[str] = []
        for key, tail in self.tails.items():
            entries = tail.look()
            posted = {entry["msg_id"]: entry for entry in entries if entry["what"] == "posted"} | self.by_hand
            mine = {id: receiver for id, sender, receiver in self.laid if sender == key}
            ends = Counter(entry["msg_id"] for entry in entries if entry["what"] == "heard" and entry["type"] in _ENDS)
            for id, receiver in mine.items():
                took = [each for each in self.tails[receiver].of("received") if each["msg_id"] == id]
                if id not in posted or posted[id]["status"] != 202:
                    found.append(f"{id}: never taken by {key}")
                elif len(took) != 1:
                    found.append(f"{id}: taken by {key}, received {len(took)} times by {receiver}")
                elif took[0]["sha256"] != posted[id]["sha256"]:
                    found.append(f"{id}: received with other bytes")
                elif ends[id] != 1:
                    found.append(f"{id}: {ends[id]} ends were told to {key}")
            found += [
                f"{key}: trouble {each['where']} {each['status']}" for each in entries if each["what"] == "trouble"
            ]
        return found


def _ended(tail: Tail) -> set[str]:
    return {entry["msg_id"] for entry in tail.of("heard") if entry["type"] in _ENDS}
