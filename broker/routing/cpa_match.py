"""Which of our processes and functions the actions of an agreement file are: by Service, Action and the two Roles.

A process is met where its Service stands in roles of both parties, and an Action of it is sent by one and taken by the
other. Where the file has the process's own roles, those count; where it has one other pair, the agreement says so in
its terms. An Action that is met by none is named and left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.routing.choose import RECEIPTS
from broker.routing.cpa import Action, CpaParty, Role
from broker.routing.party import PartyKind, Terms
from broker.routing.process import Function, Process, Processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """One message that the file lists: a function of ours, or "AppRec", in one direction."""

    process: str
    function: str  # its key
    out: bool  # we send it
    service: str
    our_role: str
    their_role: str
    sent: Action  # of whoever sends it
    taken: Action  # of whoever takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What of a file is ours."""

    matched: tuple[Matched, ...]
    terms: Mapping[str, Terms]
    without_receipts: tuple[str, ...]  # processes
    ambiguous: tuple[str, ...]  # Services


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A role of ours and one of theirs under one Service, with the actions that both have, by name."""

    ours: Role
    theirs: Role
    out: Mapping[str, tuple[Action, Action]]
    in_: Mapping[str, tuple[Action, Action]]


def matches(
    us: CpaParty,
    them: CpaParty,
    *,
    processes: Processes,
    services: Mapping[str, str],
    kinds: tuple[PartyKind | None, PartyKind | None],
) -> Match:
    """Return what of an agreement between the two any of our processes has.

    `services` are the names that the file has for a process's Service, `kinds` what kind of party we and they are.
    """
    matched = list[Matched]()
    terms = dict[str, Terms]()
    without, ambiguous = list[str](), list[str]()
    for process in processes.by_name.values():
        wanted = {services[process.name]} if process.name in services else {one.service for one in process.functions}
        for service in sorted(wanted):
            pairs = [pair for pair in _pairs(us, them, service) if _any(process, pair)]
            if not pairs:
                continue
            pair = _chosen(process, pairs)
            if pair is None:
                ambiguous.append(service)
                continue
            found = list(_matched(process, pair, kinds))
            if not found:
                continue
            matched += found
            if not any(one.function == RECEIPTS for one in found):
                without.append(process.name)
            if (said := _terms(process, pair, found)) != Terms():
                terms[process.name] = said
    return Match(
        matched=tuple(matched), terms=terms, without_receipts=tuple(without), ambiguous=tuple(dict.fromkeys(ambiguous))
    )


def unmatched(us: CpaParty, found: Match) -> Iterator[tuple[str, str]]:
    """Yield Service and Action of what our party has in the file and no process has, each once."""
    met = {id(action) for one in found.matched for action in (one.sent, one.taken)}
    told = set[tuple[str, str]]()
    for role in us.roles:
        for action in (*role.sends, *role.takes):
            key = (role.service, action.name)
            if id(action) not in met and key not in told:
                told.add(key)
                yield key


def _pairs(us: CpaParty, them: CpaParty, service: str) -> Iterator[_Pair]:
    for ours in us.roles:
        for theirs in them.roles:
            if ours.service == theirs.service == service:
                yield _Pair(
                    ours=ours,
                    theirs=theirs,
                    out=_common(ours.sends, theirs.takes),
                    in_=_common(theirs.sends, ours.takes),
                )


def _common(sends: tuple[Action, ...], takes: tuple[Action, ...]) -> dict[str, tuple[Action, Action]]:
    """Return the actions that one sends and the other takes. OtherPartyActionBinding, where it stands, is held to."""
    return {
        sent.name: (sent, taken)
        for sent in reversed(sends)
        for taken in reversed(takes)
        if sent.name == taken.name and sent.other in (None, taken.id) and taken.other in (None, sent.id)
    }


def _any(process: Process, pair: _Pair) -> bool:
    names = {one.action.casefold() for one in process.functions}
    return any(name.casefold() in names for name in (*pair.out, *pair.in_))


def _chosen(process: Process, pairs: list[_Pair]) -> _Pair | None:
    """Return the pair with the process's own roles, else the only one; None where it can't be told."""
    own = [
        pair for pair in pairs if any(_fits(one, pair, out=out) for one in process.functions for out in (True, False))
    ]
    found = own or pairs
    return found[0] if len({(pair.ours.name, pair.theirs.name) for pair in found}) == 1 else None


def _fits(function: Function, pair: _Pair, *, out: bool) -> bool:
    """Say whether the roles of a pair are those of the function, when we send it or they do."""
    sender, taker = (pair.ours, pair.theirs) if out else (pair.theirs, pair.ours)
    return function.from_role in ("", sender.name) and function.to_role in ("", taker.name)


def _matched(process: Process, pair: _Pair, kinds: tuple[PartyKind | None, PartyKind | None]) -> Iterator[Matched]:
    own = any(_fits(one, pair, out=out) for one in process.functions for out in (True, False))
    receipts = {True: False, False: False}
    for out, actions, kind in ((True, pair.out, kinds[0]), (False, pair.in_, kinds[1])):
        for function in process.functions:
            # Roles tell who sends what, where the file has the process's own; else the kind of party does.
            if own and not _fits(function, pair, out=out):
                continue
            if function.sent_by is not None and kind not in (None, function.sent_by):
                continue
            if (met := _met(actions, function.action)) is not None:
                receipts[not out] = True
                yield _one(process, function.key, pair, met, out=out)
    for out, actions in ((True, pair.out), (False, pair.in_)):
        if receipts[out] and (met := _met(actions, process.apprec_action)) is not None:
            yield _one(process, RECEIPTS, pair, met, out=out)


def _met(actions: Mapping[str, tuple[Action, Action]], name: str) -> tuple[Action, Action] | None:
    """Return the action of that name, however its letters are cased."""
    if name in actions:
        return actions[name]
    found = [met for other, met in actions.items() if other.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def _one(process: Process, function: str, pair: _Pair, met: tuple[Action, Action], *, out: bool) -> Matched:
    return Matched(
        process=process.name,
        function=function,
        out=out,
        service=pair.ours.service,
        our_role=pair.ours.name,
        their_role=pair.theirs.name,
        sent=met[0],
        taken=met[1],
    )


def _terms(process: Process, pair: _Pair, found: list[Matched]) -> Terms:
    """Return what the file says otherwise than the process."""
    functions = {one.key: one for one in process.functions}
    actions = {
        name: one.sent.name
        for one in found
        for name, usual in [
            (RECEIPTS, process.apprec_action)
            if one.function == RECEIPTS
            else (functions[one.function].name, functions[one.function].action)
        ]
        if one.sent.name != usual
    }
    roles = {
        (first, second)
        for one in found
        if one.function != RECEIPTS
        for function in [functions[one.function]]
        for first, second in [
            (function.from_role, function.to_role) if one.out else (function.to_role, function.from_role)
        ]
    }
    as_usual = roles == {(pair.ours.name, pair.theirs.name)}
    types = {one.service_type for one in process.functions}
    return Terms(
        service=pair.ours.service if pair.ours.service not in {one.service for one in process.functions} else None,
        service_type=pair.ours.service_type if types != {pair.ours.service_type} else None,
        actions=actions,
        our_role=None if as_usual else pair.ours.name,
        their_role=None if as_usual else pair.theirs.name,
    )
