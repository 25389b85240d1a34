"""A process: a kind of conversation, what is sent in it and what it owes, as values read from processes/*.toml.

Text into values is `routing.process_files`. No message code stands in Python: adding a process is adding a file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from broker.errors import Refused, Unaddressable
from broker.message import DocumentHead, Owed
from broker.retry import ReceiptPolicy
from broker.routing.party import PartyKind


class Conversation(StrEnum):
    """Whether MsgInfo/ConversationRef stands in a document."""

    NONE = "none"  # it can only be the first of its conversation
    OPTIONAL = "optional"
    REQUIRED = "required"  # it answers something


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One kind of message within a process, by who sends it and what its Dialogmelding holds."""

    name: str  # "Foresporsel", "Svar", "Avtale" ...
    types: frozenset[str]  # MsgInfo/Type values (list 8279)
    sent_by: PartyKind | None  # None: either
    content: frozenset[str]  # what the Dialogmelding holds: {"Foresporsel"}, {"Notat"}, both, or empty for any
    codes: frozenset[str]  # codes of the first TypeForesp or TemaKodet that tell it from its like; empty: any
    dialogue: str  # namespace of the business document in the first Document; "" for any
    companions: frozenset[str]  # namespaces of further Documents, carried byte-exact without a schema
    required_companions: frozenset[str]
    attachments: frozenset[str]  # MIME types; empty: none allowed
    conversation: Conversation
    ack: frozenset[str]  # allowed values of MsgInfo/Ack: "J", "N", "F", "" for absent
    owed: Owed | None  # fixed by the process; None: the document's Ack decides (absent: NEVER)
    service: str
    service_type: str
    action: str
    from_role: str
    to_role: str
    code_systems: Mapping[str, frozenset[str]]  # element local name -> allowed code lists, e.g. TypeForesp: {"7601"}
    patient_required: bool = False
    cancellation: bool = False  # it cancels a visit: uncollected, it may send someone on the road in vain
    synchronous: bool = False  # needs the synchronous leg, which this broker does not have: refused with T10

    @property
    def key(self) -> str:
        """Return what names the function within its process: "Svar", or "Svar/citizen" where each side has its own."""
        return self.name if self.sent_by is None else f"{self.name}/{self.sent_by}"

    def owes(self, ack: Owed | None) -> Owed:
        """Return when the receiver owes an AppRec, by the process or else by the document's Ack."""
        return self.owed if self.owed is not None else ack or Owed.NEVER


class Mismatch(StrEnum):
    """Why no function takes a document, in the order in which it is looked for."""

    TYPE = "type"  # no process has that MsgInfo/Type
    DIALOGUE = "dialogue"  # the type goes with another version of Dialogmelding, or another document
    SENDER = "sender"  # this kind of party does not send that
    CONTENT = "content"  # neither Foresporsel nor Notat, or not the one that the process has
    CODE = "code"  # the first TypeForesp or TemaKodet is none that tells a function of the process
    SYNCHRONOUS = "synchronous"  # a lookup: it needs an answer within seconds, on a leg that is not here


class NoFunction(Refused):
    """No process has a function for that document (AppRec T10)."""

    code, apprec = "NotSupported", "T10"

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(f"no function of any process takes it, by its {mismatch}")
        self.mismatch = mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process file."""

    name: str  # "EKONTAKT"
    version: str
    title: str
    source: str  # where the facts come from
    functions: tuple[Function, ...]
    apprec_version: str  # "1.0" or "1.1"
    apprec_action: str
    receipt: ReceiptPolicy
    sign_document: bool = False
    envelope_only: bool = False  # carries types that it does not know the inside of


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """All processes at one moment."""

    by_name: Mapping[str, Process]

    def function_for(self, head: DocumentHead, sender: PartyKind | None) -> tuple[Process, Function]:
        """Return what a document is by its Type, its first Document, and what kind of party sends it.

        Where several fit, one that names the document's code goes before one that takes any, and then the order of
        names and of the file counts; a sender of unknown kind (None) may be of any. Raises NoFunction (T10).
        """
        tests: tuple[tuple[Mismatch, Callable[[Function], bool]], ...] = (
            (Mismatch.TYPE, lambda function: head.type in function.types),
            (Mismatch.DIALOGUE, lambda function: function.dialogue in ("", head.dialogue)),
            (Mismatch.SENDER, lambda function: None in (sender, function.sent_by) or sender is function.sent_by),
            (Mismatch.CONTENT, lambda function: not function.content or head.content in function.content),
            (Mismatch.CODE, lambda function: not function.codes or head.code in function.codes),
        )
        fits = [(process, function) for process in self.by_name.values() for function in process.functions]
        for mismatch, test in tests:
            fits = [(process, function) for process, function in fits if test(function)]
            if not fits:
                raise NoFunction(mismatch)
        process, function = min(fits, key=lambda fit: not fit[1].codes)
        if function.synchronous:
            raise NoFunction(Mismatch.SYNCHRONOUS)
        return process, function

    def named(self, process: str, function: str) -> tuple[Process, Function]:
        """Return what a message kept goes by. Raises Unaddressable (MB-2011) where its process file has gone."""
        found = self.by_name.get(process)
        for one in found.functions if found is not None else ():
            if found is not None and one.key == function:
                return found, one
        raise Unaddressable(
            f"no process file has {process}/{function} any more", error_id="MB-2011", hint="put the process file back"
        )

    def cancels(self, process: str, function: str) -> bool:
        """Say whether a message of this function cancels a visit; one whose process file has gone does not."""
        found = self.by_name.get(process)
        return found is not None and any(one.cancellation for one in found.functions if one.key == function)

    def receipt_function(self, namespace: str) -> tuple[Process, Function] | None:
        """Return the process and function whose document element is in `namespace`: that of an AppRec's version."""
        for process in self.by_name.values():
            for function in process.functions:
                if function.dialogue == namespace:
                    return process, function
        return None
