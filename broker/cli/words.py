"""The words of the command line in bokmål and English, and which of the two are shown."""

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["nb", "en"]

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "act": ("Gjør dette", "What to do"),
    "agreements": ("avtaler", "agreements"),
    "at": ("tid", "time"),
    "attempts": ("Forsøk", "Attempts"),
    "ball": ("ballen", "ball"),
    "ball.epj": ("fagsystem", "EPJ"),
    "ball.partner": ("motpart", "partner"),
    "ball.person": ("person", "person"),
    "ball.us": ("oss", "us"),
    "codes": ("koder", "codes"),
    "endpoint": ("mål", "endpoint"),
    "error": ("feil", "error"),
    "event": ("hendelse", "event"),
    "events": ("Hendelser", "Events"),
    "from": ("fra", "from"),
    "http": ("http", "http"),
    "in": ("inn", "in"),
    "kind": ("slag", "kind"),
    "left": ("dager igjen", "days left"),
    "message": ("Melding", "Message"),
    "more": ("… {count} like ganger til", "… {count} more of the same"),
    "name": ("navn", "name"),
    "next": ("neste", "next"),
    "none": ("Ingen funn.", "Nothing found."),
    "nothing": ("Ingenting venter.", "Nothing is waiting."),
    "note": ("merk", "note"),
    "number": ("nr", "no"),
    "out": ("ut", "out"),
    "outcome": ("utgang", "outcome"),
    "problem": ("FEIL", "FAULT"),
    "receipt": ("kvittering", "receipt"),
    "result": ("utfall", "result"),
    "revocation": ("Ikke trukket tilbake, ifølge", "Not revoked, by the word of"),
    "since": ("tatt imot", "taken"),
    "stop": ("stopp", "stop"),
    "to": ("til", "to"),
    "transport": ("transport", "transport"),
    "type": ("type", "type"),
}

# Those of what is told of all messages at once.
WORDS_OF_ALL: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": ("fra fagsystem", "from EPJ"),
    "acknowledged": ("transportkvittert", "acknowledged"),
    "age.above": ("over 3d", "over 3d"),
    "alike": ("andre meldinger står likt. Se", "other messages stand likewise. See"),
    "ball.at": ("Ballen", "Ball"),
    "calm": ("Ingen problemer.", "No problems."),
    "cause": ("årsak", "cause"),
    "closed": ("stengt", "closed"),
    "closed.lanes": ("Stengte baner", "Closed lanes"),
    "count": ("antall", "count"),
    "disk": ("Disk", "Disk"),
    "free": ("ledig", "free"),
    "heard": ("sist hørt", "last heard"),
    "last": ("Sist", "Last"),
    "last.acknowledged": ("sist kvittert", "last acknowledged"),
    "last.hour": ("Siste time", "Last hour"),
    "held": ("holdt av en person", "held by a person"),
    "lane": ("bane", "lane"),
    "messages": ("meldinger", "messages"),
    "more": ("til. Se", "more. See"),
    "never": ("aldri", "never"),
    "no.attempts": ("Ingen forsøk er gjort.", "No attempt was made."),
    "no.events": ("Ingen hendelser.", "No events."),
    "not.running": ("kjører ikke; lest av lageret", "not running; read from the store"),
    "now": ("nå", "now"),
    "oldest": ("eldste", "oldest"),
    "open": ("åpne", "open"),
    "open.lane": ("åpen", "open"),
    "partner": ("motpart", "counterpart"),
    "person": ("trenger en person", "need a person"),
    "problem.of": ("Problem", "Problem"),
    "problems": ("Problemer", "Problems"),
    "received": ("mottatt", "received"),
    "receipted": ("AppRec ok", "AppRec ok"),
    "rejected": ("AppRec avvist", "AppRec rejected"),
    "running": ("kjører", "running"),
    "size": ("størrelse", "size"),
    "stored": ("lagret av fagsystem", "stored by EPJ"),
    "took": ("tok", "took"),
    "total": ("sum", "total"),
    "troubled": ("i vansker", "in trouble"),
    "uses": ("ganger brukt siden start", "uses since the start"),
    "uncollected.K7": ("utfall venter på", "outcomes wait for"),
    "uncollected.M6": ("i innboksen til", "in the inbox of"),
}


def language(environment: Mapping[str, str], wanted: str | None = None) -> Language:
    """Return the language to speak: the one asked for, else bokmål on a Norwegian system, else English."""
    if wanted in ("nb", "en"):
        return "nb" if wanted == "nb" else "en"
    spoken = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    return "nb" if spoken[:2] in ("nb", "nn", "no") else "en"


def say(key: str, language: Language) -> str:
    """Return a word of the list."""
    return (WORDS.get(key) or WORDS_OF_ALL[key])[0 if language == "nb" else 1]


def span(seconds: float, language: Language) -> str:
    """Return a length of time as a table has room for: 45s, 12m, 2h31m (bokmål 2t31m), 3d4h."""
    whole, hour = max(0, int(seconds)), "t" if language == "nb" else "h"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}{hour}{whole % 3600 // 60}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}{hour}"
