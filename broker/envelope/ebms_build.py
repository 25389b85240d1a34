"""Writing an ebMS 2.0 envelope. It decides the one form in which we say each thing: the one that every engine takes.

Elements stand in the order of the schema, because one engine checks it before all else; `actor` is written, because
another one ignores an Acknowledgment without it; the prefix of SOAP is bound on the document element.
"""

from datetime import UTC, datetime

from broker.envelope.ebms import (
    ACTOR_TO_PARTY_MSH,
    VERSION,
    Acknowledgment,
    EbError,
    Envelope,
    ErrorList,
    Header,
    PartyId,
    StatusResponse,
)
from broker.envelope.markup import attribute, text
from broker.envelope.names import DS, EB, SOAP, XLINK, cid
from broker.envelope.xmldsig import ACTOR_NEXT, write_reference

_ROOT = f'SOAP:Envelope xmlns:SOAP="{SOAP}" xmlns:eb="{EB}" xmlns:ds="{DS}" xmlns:xlink="{XLINK}"'
_VERSIONED = f'eb:version="{VERSION}"'
_ENTRY = f'{_VERSIONED} SOAP:mustUnderstand="1"'  # an entry of the SOAP:Header


def build(envelope: Envelope, *, actor: bool = True) -> bytes:
    """Return the envelope in UTF-8, unsigned. The caller has seen to it that the values agree with each other.

    `actor` false leaves toPartyMSH unsaid on AckRequested and Acknowledgment, which means the same (6.3.1.1).
    Raises ValueError for a character that XML does not have.
    """
    to_party = f' SOAP:actor="{ACTOR_TO_PARTY_MSH}"' if actor else ""
    header = _message_header(envelope.header)
    if envelope.sync_reply:
        header += f'<eb:SyncReply {_ENTRY} SOAP:actor="{ACTOR_NEXT}"/>'
    if envelope.ack_requested is not None:
        signed = "true" if envelope.ack_requested.signed else "false"
        header += f'<eb:AckRequested {_ENTRY}{to_party} eb:signed="{signed}"/>'
    if envelope.acknowledgment is not None:
        header += _acknowledgment(envelope.acknowledgment, to_party)
    if envelope.error_list is not None:
        header += _error_list(envelope.error_list)
    body = ""
    if envelope.manifest:
        body += f"<eb:Manifest {_VERSIONED}>{''.join(map(_part, envelope.manifest))}</eb:Manifest>"
    if envelope.status_request is not None:
        asked = _text("RefToMessageId", envelope.status_request.ref_to_message_id)
        body += f"<eb:StatusRequest {_VERSIONED}>{asked}</eb:StatusRequest>"
    if envelope.status_response is not None:
        body += _status_response(envelope.status_response)
    body = f"<SOAP:Body>{body}</SOAP:Body>" if body else "<SOAP:Body/>"
    return f"<{_ROOT}><SOAP:Header>{header}</SOAP:Header>{body}</SOAP:Envelope>".encode()


def stamp(moment: datetime) -> str:
    """Return a time as we write it: UTC with Z, milliseconds only where there are any."""
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _message_header(values: Header) -> str:
    said = (
        _party("From", values.from_, values.from_role),
        _party("To", values.to, values.to_role),
        _text("CPAId", values.cpa_id),
        _text("ConversationId", values.conversation_id),
        _typed("Service", values.service, values.service_type),
        _text("Action", values.action),
        f"<eb:MessageData>{_message_data(values)}</eb:MessageData>",
        "<eb:DuplicateElimination/>" if values.duplicate_elimination else "",
        *(_description(one.text, one.lang or "en") for one in values.descriptions),
    )
    return f"<eb:MessageHeader {_ENTRY}>{''.join(said)}</eb:MessageHeader>"


def _message_data(values: Header) -> str:
    data = _text("MessageId", values.message_id) + _text("Timestamp", stamp(values.timestamp))
    if values.ref_to_message_id is not None:
        data += _text("RefToMessageId", values.ref_to_message_id)
    if values.time_to_live is not None:
        data += _text("TimeToLive", stamp(values.time_to_live))
    return data


def _party(name: str, ids: tuple[PartyId, ...], role: str | None) -> str:
    names = "".join(_typed("PartyId", one.value, one.type) for one in ids)
    return f"<eb:{name}>{names}{'' if role is None else _text('Role', role)}</eb:{name}>"


def _acknowledgment(values: Acknowledgment, actor: str) -> str:
    said = (
        _text("Timestamp", stamp(values.timestamp)),
        _text("RefToMessageId", values.ref_to_message_id),
        _party("From", values.from_, None) if values.from_ else "",
        *(write_reference(reference, soap_prefix="SOAP") for reference in values.references),
    )
    return f"<eb:Acknowledgment {_ENTRY}{actor}>{''.join(said)}</eb:Acknowledgment>"


def _error_list(values: ErrorList) -> str:
    errors = "".join(map(_error, values.errors))
    return f'<eb:ErrorList {_ENTRY} eb:highestSeverity="{values.highest_severity}">{errors}</eb:ErrorList>'


def _error(values: EbError) -> str:
    place = f' eb:location="{attribute(values.location)}"' if values.location else ""
    error = (
        f'eb:Error eb:codeContext="{attribute(values.context)}" eb:errorCode="{attribute(values.code)}"'
        f' eb:severity="{values.severity}"{place}'
    )
    return f"<{error}>{_description(values.description, 'en')}</eb:Error>" if values.description else f"<{error}/>"


def _part(content_id: str) -> str:
    return f'<eb:Reference xlink:type="simple" xlink:href="{attribute(cid(content_id))}"/>'


def _status_response(values: StatusResponse) -> str:
    said = _text("RefToMessageId", values.ref_to_message_id)
    if values.timestamp is not None:
        said += _text("Timestamp", stamp(values.timestamp))
    return f'<eb:StatusResponse {_VERSIONED} eb:messageStatus="{values.status}">{said}</eb:StatusResponse>'


def _description(value: str, lang: str) -> str:
    return f'<eb:Description xml:lang="{attribute(lang)}">{text(value)}</eb:Description>'


def _text(name: str, value: str) -> str:
    return f"<eb:{name}>{text(value)}</eb:{name}>"


def _typed(name: str, value: str, type_: str | None) -> str:
    if type_ is None:
        return _text(name, value)
    return f'<eb:{name} eb:type="{attribute(type_)}">{text(value)}</eb:{name}>'
