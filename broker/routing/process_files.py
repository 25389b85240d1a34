"""Process files: TOML text to a Process. It decides what a process file may say; processes/README.md explains it.

Each mistake is Misconfigured, and names the file and the line or the key, with the right form.
"""

from collections.abc import Iterable, Mapping

from broker.errors import Misconfigured
from broker.message import Owed
from broker.retry import Chase, ReceiptPolicy
from broker.routing.party import PartyKind
from broker.routing.process import Conversation, Function, Process, Processes
from broker.routing.tables import Table, read_toml

_ACKS = frozenset({"J", "F", "N", ""})  # code list 7304, and "" for a document without Ack
_CONTENTS = frozenset({"Foresporsel", "Notat"})
_APPREC_VERSIONS = frozenset({"1.0", "1.1"})


def read_process(text: str, source: str) -> Process:
    """Return the process that `text` describes; `source` is the name of the file, for error texts."""
    file = read_toml(text, source=source)
    name = file.text("name")
    if not name.replace("_", "").isalnum() or not name.isupper():
        file.wrong("name", 'a name of capital letters, digits and "_", such as "EKONTAKT"')
    defaults = file.table("defaults")
    functions = tuple(_function(table.over(defaults)) for table in file.tables("function"))
    apprec = file.table("apprec")
    version = apprec.text("version")
    if version not in _APPREC_VERSIONS:
        apprec.wrong("version", '"1.0" or "1.1"')
    process = Process(
        name=name,
        version=file.text("version"),
        title=file.text("title"),
        source=file.text("source"),
        functions=functions,
        apprec_version=version,
        apprec_action=apprec.text("action"),
        receipt=_receipt(file.table("receipt")),
        sign_document=file.flag("sign_document", False),
        envelope_only=file.flag("envelope_only", False),
    )
    apprec.done()
    file.done()
    if not functions:
        file.wrong("function", "at least one table [[function]]")
    return process


def processes(read: Iterable[Process]) -> Processes:
    """Return the processes together. Raises Misconfigured where two have one name."""
    by_name: dict[str, Process] = {}
    for process in sorted(read, key=lambda process: process.name):
        if process.name in by_name:
            raise Misconfigured(
                "two process files have this name", where=process.name, hint="give each process a name of its own"
            )
        by_name[process.name] = process
    return Processes(by_name=by_name)


def _receipt(table: Table) -> ReceiptPolicy:
    usual = ReceiptPolicy()
    policy = ReceiptPolicy(
        alarms=table.durations("alarms", usual.alarms),
        chase=table.choice("chase", Chase, usual.chase),
        chase_at=table.durations("chase_at", usual.chase_at),
        overdue=table.duration("overdue", usual.overdue),
        duplicate_codes=frozenset(table.texts("duplicate_codes", tuple(sorted(usual.duplicate_codes)))),
    )
    if any(step >= policy.overdue for step in (*policy.alarms, *policy.chase_at)):
        table.wrong("overdue", "a duration longer than every one in alarms and chase_at")
    table.done()
    return policy


def _function(table: Table) -> Function:
    function = Function(
        name=table.text("name"),
        types=frozenset(table.texts("types")),
        sent_by=table.choice_or_none("sent_by", PartyKind),
        content=_listed(table, "content", _CONTENTS),
        codes=frozenset(table.texts("codes", ())),
        dialogue=table.text("dialogue", ""),
        companions=frozenset(table.texts("companions", ())),
        required_companions=frozenset(table.texts("required_companions", ())),
        attachments=frozenset(table.texts("attachments", ())),
        conversation=table.choice("conversation", Conversation),
        ack=_listed(table, "ack", _ACKS),
        owed=table.choice_or_none("owed", Owed),
        service=table.text("service"),
        service_type=table.text("service_type", "string"),
        action=table.text("action"),
        from_role=table.text("from_role", ""),
        to_role=table.text("to_role", ""),
        code_systems=_code_systems(table.table("code_systems")),
        patient_required=table.flag("patient_required", False),
        cancellation=table.flag("cancellation", False),
        synchronous=table.flag("synchronous", False),
    )
    if not function.types:
        table.wrong("types", "at least one value of MsgInfo/Type")
    if not function.ack:
        table.wrong("ack", 'at least one value; [""] where Ack must be left out')
    if not function.required_companions <= function.companions:
        table.wrong("required_companions", "a part of companions")
    table.done()
    return function


def _listed(table: Table, key: str, allowed: frozenset[str]) -> frozenset[str]:
    values = frozenset(table.texts(key, ()))
    if not values <= allowed:
        table.wrong(key, "a list of these: " + ", ".join(f'"{value}"' for value in sorted(allowed)))
    return values


def _code_systems(table: Table) -> Mapping[str, frozenset[str]]:
    systems = {element: frozenset(table.texts(element)) for element in table.names()}
    for element, lists in systems.items():
        if not lists or not all(number.isdecimal() for number in lists):
            table.wrong(element, 'a list of numbers of code lists, such as ["7601"]')
    return systems
