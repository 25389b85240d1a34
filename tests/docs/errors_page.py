"""Makes docs/errors.md from the catalogue: `python -m tests.docs.errors_page`."""

from datetime import timedelta
from pathlib import Path

from broker.diagnosis import CAUSES, conditions, standing
from broker.diagnosis.causes import USUAL
from broker.diagnosis.receipt_codes import RECEIPT_ACTS
from broker.message import Ball, Text
from tests.judging import shipped_codes

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"

_HEAD = """\
# Error ids

Made from the catalogue in `broker/diagnosis` by `python -m tests.docs.errors_page`; a test holds it to that.

An id keeps its meaning for ever: hang alarms, routines and searches on it, not on the words. Id and
words stand in the API (`errorId`, `cause`, `act`) and in the command line; the log gives the id. *Ball* says whose turn
it is as a rule; a message says for itself (`ball`), since what waited for the partner ends with a person.

## When waiting becomes a fault

| what waits | is a fault after |
|---|---|
| a received document that the EPJ has not collected (MB-5102) | {collected} |
| one that cancels a visit (MB-5103): `cancellation = true` in its process file | {cancelled} |
| a stored document that the EPJ has not judged, where a receipt is owed (MB-5104) | {judged} |
| an outcome that the EPJ has not confirmed (MB-5105) | {confirmed} |
| an application receipt (MB-3402) | `overdue` in the process file |

Some alarms belong to no message. `/conditions` at the operators' socket tells those that hold now:

| alarm | holds |
|---|---|
| MB-6003, MB-6005: the disk | with less than `limits.reserve` free, and with less than {low} times that |
| MB-6006: our clock | {clock} off the middle one of the partners' clocks (HTTP Date of their latest answers) |
| MB-4105, MB-4101 to MB-4104: our certificates | {own} before they end, and when they can't be used |
| MB-2012, MB-2003: a partner's certificate | {partners} before it ends, and after |
| MB-5103: cancellations that the EPJ has not collected | after {cancelled} |
| MB-3502: a partner fell silent | after twice its usual longest silence; see below |
| MB-3501, MB-3215: a sender held, an endpoint left alone | until the time that is told |
| MB-9001: a data file is wrong | until it is mended; the last good one is used |

A partner's habit is read from the last four weeks: it must have sent documents on five weekdays. Its longest silence
but one counts, and at least a weekday. Weekends do not count; public holidays do, so expect the alarm at Easter.
"""

_CHAPTERS = {
    "MB-1": ("At the EPJ's door", "What is posted to us and not taken. Nothing of it is kept."),
    "MB-2": ("Address and agreement", "The message waits (K2) and goes by itself when the record is mended."),
    "MB-32": ("Transport", "Between us and the partner's message service (K4 and K5)."),
    "MB-33": ("The partner's MessageError", "Its message service has read the envelope and refuses it (K5)."),
    "MB-34": ("Application receipt", "The envelope has arrived; the receiver's EPJ is asked (K6 and K7)."),
    "MB-35": ("What partners send us", "Alarms that belong to a partner, not to a message of ours."),
    "MB-4": ("Our own keys", "Nothing can be signed (K3), or soon."),
    "MB-5": ("Held, and the EPJ", "What waits for people or systems in our own house (M6, M7, K8)."),
    "MB-6": ("What we keep", "Disk, store and clock."),
    "MB-9": ("The broker itself", "Settings, and faults of our own."),
}

_BALLS = {
    Ball.US: "us",
    Ball.PARTNER: "the partner",
    Ball.EPJ: "the EPJ",
    Ball.PERSON: "a person on our side",
}


def made() -> str:
    """Return the page."""
    lines = [
        _HEAD.format(
            collected=_span(standing.NOT_COLLECTED),
            cancelled=_span(standing.CANCELLATION),
            judged=_span(standing.NOT_JUDGED),
            confirmed=_span(standing.NOT_CONFIRMED),
            low=conditions.LOW,
            clock=_span(conditions.CLOCK_LIMIT),
            own=_span(conditions.OWN_ENDS_SOON),
            partners=_span(conditions.PARTNERS_ENDS_SOON),
        )
    ]
    left = dict(CAUSES)
    for start, (title, what) in _CHAPTERS.items():
        lines += [f"## {title}\n", f"{what}\n"]
        for id in sorted(id for id in left if id.startswith(start)):
            cause = left.pop(id)
            usual = " No fault: it only waits." if id in USUAL else ""
            lines += [
                f"### {id}\n",
                f"`{cause.slug}`. Ball: {_BALLS[cause.ball]}.{usual}\n",
                f"- nb: {_sentence(cause.name.nb)} *{cause.act.nb}*",
                f"- en: {_sentence(cause.name.en)} *{cause.act.en}*\n",
            ]
    assert not left, f"in no chapter: {sorted(left)}"
    lines += [
        "## What to do about a negative AppRec, by its code\n",
        "MB-3401 says so for the codes of list 8221 that the receipt gives; any other code is for the receiver to"
        " explain.\n",
        "| code | its text in the list | what to do |",
        "|---|---|---|",
    ]
    texts = shipped_codes().texts("8221")
    lines += [f"| {code} | {texts[code]} | {_cell(act)} |" for code, act in sorted(RECEIPT_ACTS.items())]
    return "\n".join(lines) + "\n"


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    for unit, name in ((1440, "days"), (60, "hours")):
        if minutes >= unit and minutes % unit == 0:
            return f"{minutes // unit} {name if minutes > unit else name[:-1]}"
    return f"{minutes} minutes"


def _sentence(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:]}."


def _cell(text: Text) -> str:
    return f"{text.nb}<br>{text.en}"


if __name__ == "__main__":
    PAGE.write_text(made(), "utf-8")
