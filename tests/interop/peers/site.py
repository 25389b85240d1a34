"""What a peer is told when it starts: its keys, its parties, what each agreed, and how it is to misbehave."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.interop.peers.xmldsig import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a party does besides what its engine does. Hours are those of the engine; see `Site.hour`."""

    answers: tuple[int, ...] = ()  # to the first copies, before anything is looked at; 0: kept, and the connection cut
    ack_hours: float = 0.0  # how late the first answer of its own comes
    ack: str = ""  # how the Acknowledgment is wrong: unsigned, digests, other-key, other-message
    ack_twice: bool = False  # a second one that differs
    lose_acks: int = 0  # so many are never sent
    mute: bool = False  # takes everything and never answers of its own
    hold: str = ""  # "messages": one that came is written down, and not answered before the word `go`;
    # "answers": only what it says of its own waits for the word; "signals": one that came is not looked at before it
    closed: bool = False  # nobody listens at first
    distrusts: bool = False  # it holds another certificate of ours
    receipts: bool = True  # a document is answered by an AppRec


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One party of the engine, and its agreement with the broker's party. Seconds are real ones."""

    her: int
    organisation: int
    ours: int
    our_organisation: int
    cpa: str
    port: int
    url: str  # where the broker takes envelopes
    tls: bool = False  # it listens with the site's certificate for its address
    sync: bool = False
    signed: bool = True
    encrypted: bool = True
    ack: bool = True
    retries: int = 3
    interval: float = 0.7
    live: float = 30.0  # seconds of TimeToLive
    service: str = "HelsefagligDialog"
    service_type: str = "string"
    actions: tuple[str, ...] = ("Notat", "Apprec")
    role: str = "Helsepersonell"  # both sides'
    plan: Plan = field(default=Plan())


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One process: an engine with its parties."""

    engine: str
    folder: str
    signing: Key
    encryption: Key
    other: Key  # one that nobody trusts
    tls: Key
    our_signing: Path
    our_encryption: Path
    parties: tuple[Terms, ...]
    hour: float = 0.5  # seconds that stand for an hour of the engine

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str, indent=1), "utf-8")


def read_site(path: Path) -> Site:
    """Return what stands in a config file."""
    given = json.loads(path.read_text("utf-8"))
    for name in ("signing", "encryption", "other", "tls"):
        given[name] = Key(key=Path(given[name]["key"]), certificate=Path(given[name]["certificate"]))
    for name in ("our_signing", "our_encryption"):
        given[name] = Path(given[name])
    given["parties"] = tuple(_terms(one) for one in given["parties"])
    return Site(**given)


def _terms(given: dict[str, object]) -> Terms:
    plan = given["plan"]
    assert isinstance(plan, dict)
    plan["answers"] = tuple(plan["answers"])
    actions = given["actions"]
    assert isinstance(actions, list)
    return Terms(**given | {"plan": Plan(**plan), "actions": tuple(actions)})  # type: ignore[arg-type]
