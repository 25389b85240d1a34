"""Whether the EPJs' ledgers balance. They are written by the EPJs' own processes, and fsynced; no broker is asked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from broker.demo.ledger import Confirmed, Entry, Heard, Judged, Posted, Received, Trouble, read_ledger
from tests.kill.load import Post

ENDS = frozenset({"message.apprec_ok", "message.apprec_rejected", "message.apprec_partial", "message.completed"})
_TAKEN = 202


class Books:
    """Both ledgers, by MsgId, as they stand when it is made."""

    def __init__(self, ledgers: Mapping[str, Path]) -> None:
        self.entries: dict[str, list[Entry]] = {side: list(read_ledger(path)) for side, path in ledgers.items()}
        self.taken: dict[str, list[Posted]] = defaultdict(list)
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.judged: dict[str, list[Judged]] = defaultdict(list)
        self.ended: dict[str, list[Heard]] = defaultdict(list)
        self.posted_by_case: dict[str, list[Posted]] = defaultdict(list)
        self.confirmed: dict[str, int] = {}
        for side, entries in self.entries.items():
            for entry in entries:
                self._enter(side, entry)

    def _enter(self, side: str, entry: Entry) -> None:
        match entry:
            case Posted():
                self.posted_by_case[entry.case].append(entry)
                if entry.status == _TAKEN and entry.msg_id is not None:
                    self.taken[entry.msg_id].append(entry)
            case Received():
                self.received[entry.msg_id].append(entry)
            case Judged():
                self.judged[entry.msg_id].append(entry)
            case Heard() if entry.type in ENDS and entry.msg_id is not None:
                self.ended[entry.msg_id].append(entry)
            case Confirmed():
                self.confirmed[side] = entry.through
            case _:
                return

    def amid(self) -> int:
        """Return how many documents are between their 202 and their outcome."""
        return sum(1 for msg_id in self.taken if msg_id not in self.ended)

    def settled(self, posts: Iterable[Post]) -> bool:
        """Say whether every document has its outcome, told and confirmed."""
        return all(
            post.msg_id in self.ended
            and self.confirmed.get(post.sender, 0) >= self.ended[post.msg_id][-1].offset
            and (post.rule is None or post.msg_id in self.judged)
            for post in posts
        )

    def counts(self) -> dict[str, int]:
        """Return what stands in the ledgers, by kind."""
        every = [entry for entries in self.entries.values() for entry in entries]
        return dict(sorted(Counter(type(entry).__name__.lower() for entry in every).items())) | {
            "answered as posted before": sum(1 for entry in every if isinstance(entry, Posted) and entry.replayed),
            "verdicts answered as given before": sum(
                1 for entry in every if isinstance(entry, Judged) and entry.replayed
            ),
        }

    def complaints(self, posts: Sequence[Post]) -> list[str]:
        """Return all that does not balance."""
        found = [complaint for post in posts for complaint in self._about(post)]
        known = {post.msg_id for post in posts}
        found += [f"{msg_id} came from nobody" for msg_id in self.received if msg_id not in known]
        for side, entries in self.entries.items():
            offsets = [entry.offset for entry in entries if isinstance(entry, Heard)]
            if any(later <= offset for offset, later in pairwise(offsets)):
                found.append(f"{side}'s feed did not rise")
            found += [
                f"{side}: {entry.where} was answered with {entry.status}"
                for entry in entries
                if isinstance(entry, Trouble)
            ]
        return found

    def _about(self, post: Post) -> Iterator[str]:
        taken, received = self.taken[post.msg_id], self.received[post.msg_id]
        if len(taken) != 1 or len(self.posted_by_case[post.name]) != 1:
            yield f"{post.name}: taken {len(taken)} times, posted {len(self.posted_by_case[post.name])} times"
        if any(one.told_sha256 != post.digest for one in taken):
            yield f"{post.name}: other bytes were taken than were posted"
        if len({one.item for one in received}) != 1:
            yield f"{post.name}: delivered under {len({one.item for one in received})} ids"
        if any(one.sha256 != post.digest for one in received):
            yield f"{post.name}: other bytes were delivered than were posted"
        ended = [one.type for one in self.ended[post.msg_id]]
        if ended != [post.ending]:
            yield f"{post.name}: ended with {ended}, not with {post.ending}"
        said = [(one.status, one.codes) for one in self.judged[post.msg_id]]
        wanted = [] if post.rule is None else [(post.rule.status, post.rule.codes)]
        if said != wanted:
            yield f"{post.name}: judged {said}, not {wanted}"
        if post.rule is not None and any(one.codes != post.rule.codes for one in self.ended[post.msg_id]):
            yield f"{post.name}: ended with other codes than were given"
