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
    "since": ("tatt imot", "taken"),
    "stop": ("stopp", "stop"),
    "to": ("til", "to"),
    "transport": ("transport", "transport"),
    "type": ("type", "type"),
}


def language(environment: Mapping[str, str], wanted: str | None = None) -> Language:
    """Return the language to speak: the one asked for, else bokmål on a Norwegian system, else English."""
    if wanted in ("nb", "en"):
        return "nb" if wanted == "nb" else "en"
    spoken = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    return "nb" if spoken[:2] in ("nb", "nn", "no") else "en"


def say(key: str, language: Language) -> str:
    """Return a word of the list."""
    return WORDS[key][0 if language == "nb" else 1]
