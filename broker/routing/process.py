"""A process: a kind of conversation, what is sent in it and what it owes, as values read from processes/*.toml.

Text into values is `routing.process_files`. No message code stands in Python: adding a process is adding a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.message import Owed
from broker.retry import ReceiptPolicy
from broker.routing.party import PartyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One kind of message within a process, by who sends it and what its Dialogmelding holds."""

    name: str  # "Foresporsel", "Svar", "Avtale" ...
    types: frozenset[str]  # MsgInfo/Type values (list 8279)
    sent_by: PartyKind | None  # None: either
    content: frozenset[str]  # what the Dialogmelding holds: {"Foresporsel"}, {"Notat"}, both, or empty for any
    dialogue: str  # namespace of the business document in the first Document
    companions: frozenset[str]  # namespaces of further Documents, carried byte-exact without a schema
    required_companions: frozenset[str]
    attachments: frozenset[str]  # MIME types; empty: none allowed
    conversation: str  # "none" (first message), "required", "optional": ConversationRef
    ack: frozenset[str]  # allowed values of MsgInfo/Ack: "J", "N", "F", "" for absent
    owed: Owed | None  # fixed by the process; None: the document's Ack decides (absent: NEVER)
    service: str
    service_type: str
    action: str
    from_role: str
    to_role: str
    code_systems: Mapping[
        str, frozenset[str]
    ]  # element local name -> allowed code-list numbers, e.g. TypeForesp: {"7601"}
    patient_required: bool = False
    synchronous: bool = False  # needs the synchronous leg, which this broker does not have: refused with T10


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
