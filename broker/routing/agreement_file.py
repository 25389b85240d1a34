"""The note beside an agreement file that was taken into use: when, for which Services, what it replaced, when it ended.

The CPA itself is kept as it came, byte for byte; the note names it with its digest, so a file that was changed since is
seen. One note is one version of an agreement; versions stand side by side.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from broker.errors import Misconfigured
from broker.routing.cpa import Cpa, read_cpa
from broker.routing.party import Agreement, Terms
from broker.routing.records import read_agreement
from broker.routing.tables import Table, read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One version of an agreement: the file, and what we did with it."""

    cpa: Cpa
    file: str  # the CPA's name in the folder
    sha256: str
    taken_at: datetime
    retired_at: datetime | None = None
    services: Mapping[str, str]  # Service by the name of a process, where the file has another than the process
    replaced: tuple[Agreement, ...] = ()  # tables of records that it took the place of
    source: str


def read_taken(text: str, source: str, load: Callable[[str], bytes]) -> Taken:
    """Return the version of one note. `load` returns the bytes of a file beside it. Raises Misconfigured, OSError."""
    table = read_toml(text, source=source)
    file, digest = table.text("cpa"), table.text("sha256")
    services = table.table("services")
    if "/" in file or file.startswith("."):
        table.wrong("cpa", "the name of a file in the same folder")
    content = load(file)
    if sha256(content).hexdigest() != digest:
        raise Misconfigured(
            "is not the file that was taken into use", where=f"{source}: {file}", hint="put it back, or import it anew"
        )
    taken = Taken(
        cpa=read_cpa(content, source=file),
        file=file,
        sha256=digest,
        taken_at=_instant(table, "taken_at"),
        retired_at=_instant(table, "retired_at") if "retired_at" in table else None,
        services={name: services.text(name) for name in services.names()},
        replaced=tuple(read_agreement(entry, entry.whole("theirs", least=1)) for entry in table.tables("replaced")),
        source=source,
    )
    table.done()
    return taken


def write_taken(taken: Taken) -> str:
    """Return the note of a version."""
    lines = [
        "# Written by `broker agreements`. The file that it names is the agreement as it came.",
        f"cpa = {_quoted(taken.file)}",
        f"sha256 = {_quoted(taken.sha256)}",
        f"taken_at = {_quoted(_written(taken.taken_at))}",
    ]
    if taken.retired_at is not None:
        lines.append(f"retired_at = {_quoted(_written(taken.retired_at))}")
    if taken.services:
        lines += ["", "[services]", *(f"{name} = {_quoted(service)}" for name, service in taken.services.items())]
    for agreement in taken.replaced:
        lines += ["", "[[replaced]]", f"theirs = {agreement.theirs}", *_table(agreement)]
    return "\n".join(lines) + "\n"


def _table(agreement: Agreement) -> list[str]:
    lines = [
        f"with = {agreement.ours}",
        f"cpa_id = {_quoted(agreement.cpa_id)}",
        f"retries = {agreement.retries}",
        f"retry_interval = {_quoted(iso(agreement.retry_interval))}",
        f"persist_duration = {_quoted(iso(agreement.persist_duration))}",
        f"key_transport = {_quoted(agreement.key_transport)}",
        f"cipher = {_quoted(agreement.cipher)}",
        f"payloads = {agreement.payloads}",
        *(
            f"{key} = {'true' if getattr(agreement, key) else 'false'}"
            for key in ("sync", "signed", "encrypted", "ack_requested", "ack_signed")
        ),
    ]
    if agreement.chase is not None:
        lines.append(f"chase = {_quoted(agreement.chase)}")
    for name, terms in agreement.processes.items():
        lines += [f"[replaced.process.{name}]", *_terms(terms)]
        if terms.actions:
            lines.append(f"[replaced.process.{name}.actions]")
            lines += [f"{_quoted(key)} = {_quoted(action)}" for key, action in terms.actions.items()]
    return lines


def _terms(terms: Terms) -> list[str]:
    keys = ("service", "service_type", "our_role", "their_role", "chase")
    return [f"{key} = {_quoted(value)}" for key in keys if (value := getattr(terms, key)) is not None]


def iso(span: timedelta) -> str:
    """Return a duration as ISO 8601 has it: P2D, PT5M, PT90.5S."""
    days, rest = divmod(span, timedelta(days=1))
    if not rest:
        return f"P{days}D"
    if not rest.microseconds and not rest.seconds % 60:
        hours, minutes = divmod(rest.seconds // 60, 60)
        return f"P{f'{days}D' if days else ''}T{f'{hours}H' if hours else ''}{f'{minutes}M' if minutes else ''}"
    fraction = f".{rest.microseconds:06d}".rstrip("0") if rest.microseconds else ""
    return f"P{f'{days}D' if days else ''}T{rest.seconds}{fraction}S"


def _instant(table: Table, key: str) -> datetime:
    try:
        at = datetime.fromisoformat(table.text(key))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        table.wrong(key, 'a time with its zone, such as "2026-01-01T00:00:00Z"')
    return at


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string too
