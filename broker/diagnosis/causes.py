"""The error ids, and what is said of each. An id is never given a new meaning.

1xxx the door to the EPJ, 2xxx address and agreement, 32xx transport, 33xx the partner's MessageError, 34xx the
application receipt, 35xx what partners send us, 4xxx our own keys, 5xxx the EPJ, 6xxx what we keep, 9xxx ourselves.
"""

from dataclasses import dataclass
from typing import Final

from broker.message import Ball, Text

MALFORMED_XML: Final = "MB-1001"
DOCUMENT_REFUSED: Final = "MB-1002"
UNSUPPORTED_TYPE: Final = "MB-1003"
TOO_LARGE: Final = "MB-1004"
WRONG_MEDIA_TYPE: Final = "MB-1006"
BAD_REQUEST: Final = "MB-1007"
NOT_FOUND: Final = "MB-1008"
METHOD_NOT_ALLOWED: Final = "MB-1009"
TOO_SLOW: Final = "MB-1010"
NOT_AUTHENTICATED: Final = "MB-1011"
KEY_REUSED: Final = "MB-1102"
MSG_ID_TAKEN: Final = "MB-1104"
OTHER_VERDICT: Final = "MB-1105"
VERDICT_REFUSED: Final = "MB-1106"
HER_ID_NOT_PERMITTED: Final = "MB-1201"

RECEIVER_UNKNOWN: Final = "MB-2001"
NO_AGREEMENT: Final = "MB-2002"
PARTNER_EXPIRED: Final = "MB-2003"
REGISTRY_UNAVAILABLE: Final = "MB-2004"
PARTNER_NOT_YET_VALID: Final = "MB-2005"
PARTNER_WRONG_USAGE: Final = "MB-2006"
PARTNER_NO_CERTIFICATE: Final = "MB-2007"
NO_ENDPOINT: Final = "MB-2008"
PARTY_CLOSED: Final = "MB-2009"
PROCESS_NOT_RECEIVED: Final = "MB-2010"
PROCESS_GONE: Final = "MB-2011"
PARTNER_EXPIRES_SOON: Final = "MB-2012"
PARTNER_NOT_TRUSTED: Final = "MB-2021"
PARTNER_REVOKED: Final = "MB-2022"
REVOCATION_UNKNOWN: Final = "MB-2023"
AGREEMENT_DIFFERS: Final = "MB-2013"
AGREEMENT_NOT_IN_FORCE: Final = "MB-2014"

QUEUED: Final = "MB-3200"
DNS_FAILED: Final = "MB-3201"
NOT_REACHED: Final = "MB-3202"
TLS_FAILED: Final = "MB-3203"
TIMED_OUT_BEFORE: Final = "MB-3204"
TIMED_OUT_AFTER: Final = "MB-3205"
ACKNOWLEDGMENT_AWAITED: Final = "MB-3206"
SERVER_ERROR: Final = "MB-3210"
ASKED_TO_WAIT: Final = "MB-3211"
HTTP_REFUSED: Final = "MB-3212"
NO_SIGNAL: Final = "MB-3213"
ACKNOWLEDGMENT_NOT_TRUSTED: Final = "MB-3214"
LANE_CLOSED: Final = "MB-3215"
GAVE_UP: Final = "MB-3216"
PLAIN_HTTP: Final = "MB-3217"
HTML_ANSWERED: Final = "MB-3218"
HTML_REFUSED: Final = "MB-3219"
TLS_EXPIRED: Final = "MB-3220"
TLS_NOT_TRUSTED: Final = "MB-3221"
TLS_WRONG_NAME: Final = "MB-3222"
TLS_OTHER_KEY: Final = "MB-3223"
TLS_OURS_REFUSED: Final = "MB-3224"

MESSAGE_ERROR: Final = "MB-3301"
SOAP_FAULT: Final = "MB-3311"

RECEIPT_AWAITED: Final = "MB-3400"
RECEIPT_REJECTED: Final = "MB-3401"
RECEIPT_OVERDUE: Final = "MB-3402"
RECEIPT_WRONG_PARTY: Final = "MB-3403"
RECEIPT_SAYS_DUPLICATE: Final = "MB-3404"
RECEIPT_CONTRADICTS: Final = "MB-3405"
ASK_THE_RECEIVER: Final = "MB-3406"

SENDER_HELD: Final = "MB-3501"
PARTNER_SILENT: Final = "MB-3502"

OWN_EXPIRED: Final = "MB-4101"
OWN_NOT_YET_VALID: Final = "MB-4102"
OWN_WRONG_USAGE: Final = "MB-4103"
OWN_MISSING: Final = "MB-4104"
OWN_EXPIRES_SOON: Final = "MB-4105"

HELD_BY_PERSON: Final = "MB-5001"
EPJ_NOT_COLLECTING: Final = "MB-5102"
CANCELLATION_NOT_COLLECTED: Final = "MB-5103"
EPJ_NOT_JUDGING: Final = "MB-5104"
EPJ_NOT_CONFIRMING: Final = "MB-5105"
BODY_DAMAGED: Final = "MB-6001"
BODY_ERASED: Final = "MB-6002"
DISK_FULL: Final = "MB-6003"
STORE_LOCKED: Final = "MB-6004"
DISK_LOW: Final = "MB-6005"
CLOCK_OFF: Final = "MB-6006"
CONFIG_INVALID: Final = "MB-9001"
NOT_ACCEPTING: Final = "MB-9101"
UNEXPECTED: Final = "MB-9102"

# Where a delivery stands when all is well: it waits, and nobody need act.
USUAL: Final = frozenset({QUEUED, ACKNOWLEDGMENT_AWAITED, RECEIPT_AWAITED})

# The errorCodes of ebMS 2.0 (4.2.3.4.1 and 4.2.3.4.2), each with an id of its own.
MESSAGE_ERRORS: Final = {
    "SecurityFailure": "MB-3302",
    "TimeToLiveExpired": "MB-3303",
    "ValueNotRecognized": "MB-3304",
    "Inconsistent": "MB-3305",
    "NotSupported": "MB-3306",
    "OtherXml": "MB-3307",
    "MimeProblem": "MB-3308",
    "DeliveryFailure": "MB-3309",
    "Unknown": "MB-3310",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One error id: what it means, whose turn it is, and what to do.

    `name` is a phrase that can stand in the middle of a sentence or alone as a title; `act` is a whole sentence.
    """

    id: str
    slug: str  # the last part of a problem's `type`
    ball: Ball
    name: Text
    act: Text


def message_error_id(code: str) -> str:
    """Return the error id of a partner's MessageError by its errorCode; a code of their own gets the common one."""
    return MESSAGE_ERRORS.get(code, MESSAGE_ERROR)


def cause(id: str, slug: str, ball: Ball, nb: str, en: str, *, act: tuple[str, str]) -> Cause:
    """Return an entry of the catalogue: its name, and `act`, in bokmål and English."""
    return Cause(id=id, slug=slug, ball=ball, name=Text(nb=nb, en=en), act=Text(nb=act[0], en=act[1]))
