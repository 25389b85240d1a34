"""The JSON of the API as JSON Schema (2020-12), one entry for each shape, each with an example that holds.

`x-extensible-enum` lists the words that stand there today; a client must bear a new one.
"""

from typing import Any, Final

from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint
from broker.message import Ball, EventKind, Verdict, Wake
from broker.web.shapes import APPREC_STATES, TRANSPORT_STATES

Json = dict[str, Any]

_NOTE: Final = "description"


def ref(name: str) -> Json:
    """Return a reference to a shape."""
    return {"$ref": f"#/components/schemas/{name}"}


def _text(note: str = "", **more: Any) -> Json:
    return {"type": "string", **({_NOTE: note} if note else {}), **more}


def _whole(note: str = "", **more: Any) -> Json:
    return {"type": "integer", **({_NOTE: note} if note else {}), **more}


def _flag(note: str) -> Json:
    return {"type": "boolean", _NOTE: note}


def _list(of: Json, note: str = "") -> Json:
    return {"type": "array", "items": of, **({_NOTE: note} if note else {})}


def _or_null(of: Json) -> Json:
    if "$ref" in of:
        return {"oneOf": [of, {"type": "null"}]}
    return {**of, "type": [of["type"], "null"]}


def _words(words: Any, note: str = "") -> Json:
    return _text(note, **{"x-extensible-enum": sorted({str(word) for word in words})})


def _shape(note: str, example: Json, **properties: Json) -> Json:
    """Return an object of which every property is always there."""
    return {
        "type": "object",
        _NOTE: note,
        "required": list(properties),
        "properties": properties,
        "examples": [example],
    }


_HER = _whole("HER-id of a communication party", minimum=1, maximum=2**31 - 1)
_ID = _text("Our id; opaque")
_AT = _text("RFC 3339, UTC, milliseconds", format="date-time")
_MSG_ID = _text("MsgHead/MsgId, or Id of an AppRec")
_SHA256 = _text("SHA-256 of the document's bytes, hex", pattern="^[0-9a-f]{64}$")
_STOP_POINT = _words(StopPoint, "The last checkpoint passed: K1 to K8 outwards, M1 to M9 inwards")
_ERROR_ID = _text("Permanent id of the cause, as in the catalogue of errors", pattern="^MB-[0-9]{4}$")
_BALL = _words(Ball, "Who must act next")

_ID_1, _ID_2, _ID_3 = (f"01a20230-7c4e-7000-8a5f-0000000000{number:02}" for number in (1, 2, 3))
_MSG_1 = "7a4f0c1e-3d2b-4c55-9c63-5f0d1c6f2a10"
_WHEN, _DIGEST = "2026-11-21T12:00:00.000Z", "5f" * 32
_SENTENCE = {
    "nb": "Fullført: Hjemmetjenesten (HER-id 8000201) kvitterte OK.",
    "en": "Completed: Hjemmetjenesten (HER-id 8000201) receipted it OK.",
}
_CODE = {"errorCode": "E35", "oid": "2.16.578.1.12.4.1.1.8221", "text": "Pasienten finnes ikke i mottakersystemet"}
_EVENT = {
    "offset": 4711,
    "at": _WHEN,
    "type": "message.apprec_ok",
    "messageId": _ID_1,
    "msgId": _MSG_1,
    "herId": 8000109,
    "counterpartHerId": 8000201,
    "deliveryId": _ID_2,
    "itemId": None,
    "stopPoint": "K7",
    "errorId": None,
    "codes": [],
    "reason": None,
}
_ITEM = {
    "id": _ID_3,
    "receiverHerId": 8000109,
    "senderHerId": 8000209,
    "msgId": _MSG_1,
    "type": "DIALOG_HELSEFAGLIG",
    "process": "HELSEFAGLIG",
    "function": "Notat",
    "conversationId": _MSG_1,
    "refToParent": None,
    "receivedAt": _WHEN,
    "size": 3120,
    "sha256": _DIGEST,
    "state": "waiting",
    "appRecOwed": True,
    "payloads": [],
}
_RECEIVER = {
    "receiverHerId": 8000201,
    "deliveryId": _ID_2,
    "transportDeliveryState": "Acknowledged",
    "appRecStatus": "Ok",
    "receiptState": "ok",
    "outcome": "completed",
    "stopPoint": "K7",
    "sentence": _SENTENCE,
    "errorId": None,
    "cause": None,
    "act": None,
    "nextAttemptAt": None,
    "ball": "epj",
    "late": False,
    "codes": [],
    "appRecId": _ID_3,
    "closedBecause": None,
}
_RECEIVED_BY = {
    "receiverHerId": 8000109,
    "itemId": _ID_3,
    "state": "receipted",
    "appRecStatus": "Ok",
    "stopPoint": "M9",
    "sentence": _SENTENCE,
    "errorId": None,
    "cause": None,
    "act": None,
    "ball": "us",
    "appRecId": _ID_2,
}
_ATTEMPT = {
    "deliveryId": _ID_2,
    "ebMessageId": f"{_ID_3}@fjordvik.example",
    "number": 1,
    "startedAt": _WHEN,
    "endedAt": _WHEN,
    "endpoint": "https://dalbygda.example:443/ebms",
    "httpStatus": 200,
    "result": "acknowledged",
    "errorId": None,
}
_ERROR = _CODE | {"details": "Not in our records"}
_APPREC = {
    "receiverHerId": 8000201,
    "status": "Rejected",
    "document": "PEFwcFJlYy8+",
    "errors": [_ERROR],
}

SHAPES: Final[dict[str, Json]] = {
    "Text": _shape(
        "One sentence in both languages.",
        _SENTENCE,
        nb=_text("Bokmål"),
        en=_text("English"),
    ),
    "Code": _shape(
        "A coded error of an AppRec.",
        _CODE,
        errorCode=_text("Code of list 8221, or the receiver's own"),
        oid=_text("OID of the code list"),
        text=_text("The list's own words; empty for a foreign code"),
    ),
    "Taken": _shape(
        "The document is in our custody: body and record are on disk.",
        {
            "id": _ID_1,
            "msgId": _MSG_1,
            "sha256": _DIGEST,
            "receivedAt": _WHEN,
            "receivers": [{"receiverHerId": 8000201, "deliveryId": _ID_2}],
            "replayed": False,
        },
        id=_ID,
        msgId=_MSG_ID,
        sha256=_SHA256,
        receivedAt=_AT,
        receivers=_list(
            _shape(
                "One receiver.",
                {"receiverHerId": 8000201, "deliveryId": _ID_2},
                receiverHerId=_HER,
                deliveryId=_ID,
            )
        ),
        replayed=_flag("The same was posted before; nothing is doubled"),
    ),
    "Checked": _shape(
        "The document has no faults; nothing was kept.",
        {
            "ok": True,
            "type": "DIALOG_HELSEFAGLIG",
            "process": "HELSEFAGLIG",
            "function": "Notat",
            "receivers": [{"receiverHerId": 8000201}],
        },
        ok=_flag("Always true: faults are a problem"),
        type=_text("MsgInfo/Type, or APPREC"),
        process=_or_null(_text("Name of the process that it goes by")),
        function=_or_null(_text("Name of the function within it")),
        receivers=_list(_shape("One receiver.", {"receiverHerId": 8000201}, receiverHerId=_HER)),
    ),
    "Receiver": _shape(
        "How a message stands at one of its receivers. A message without an application receipt is not sent.",
        _RECEIVER,
        receiverHerId=_HER,
        deliveryId=_ID,
        transportDeliveryState=_words(TRANSPORT_STATES.values(), "What is known of the envelope"),
        appRecStatus=_or_null(_words(APPREC_STATES.values(), "The application receipt; null until there is one")),
        receiptState=_words(Receipt),
        outcome=_words(Outcome),
        stopPoint=_STOP_POINT,
        sentence=ref("Text"),
        errorId=_or_null(_ERROR_ID),
        cause=_or_null(ref("Text")),
        act=_or_null(ref("Text")),
        nextAttemptAt=_or_null(_AT),
        ball=_BALL,
        late=_flag("The receipt came after its deadline"),
        codes=_list(ref("Code"), "Of the AppRec that decided"),
        appRecId=_or_null(_text("Our id of the AppRec that decided")),
        closedBecause=_or_null(_text("Why a person here closed it, in that person's words")),
    ),
    "ReceivedBy": _shape(
        "How a received message stands at the party of yours that it came to.",
        _RECEIVED_BY,
        receiverHerId=_HER,
        itemId=_ID,
        state=_words(ItemStage),
        appRecStatus=_or_null(_words(Verdict, "Your verdict; null until there is one")),
        stopPoint=_STOP_POINT,
        sentence=ref("Text"),
        errorId=_or_null(_ERROR_ID),
        cause=_or_null(ref("Text")),
        act=_or_null(ref("Text")),
        ball=_BALL,
        appRecId=_or_null(_text("Our id of the AppRec that answers it")),
    ),
    "Message": _shape(
        "One message, posted or received, with its receivers.",
        {
            "id": _ID_1,
            "msgId": _MSG_1,
            "direction": "out",
            "type": "DIALOG_HELSEFAGLIG",
            "process": "HELSEFAGLIG",
            "conversationId": _MSG_1,
            "sha256": _DIGEST,
            "size": 3120,
            "receivedAt": _WHEN,
            "senderHerId": 8000109,
            "stopPoint": "K7",
            "sentence": _SENTENCE,
            "receivers": [_RECEIVER],
        },
        id=_ID,
        msgId=_MSG_ID,
        direction=_text("Seen from this broker", enum=["out", "in"]),
        type=_text("MsgInfo/Type, or APPREC"),
        process=_text("Name of the process that it goes by"),
        conversationId=_text("eb:ConversationId"),
        sha256=_SHA256,
        size=_whole("Bytes", minimum=0),
        receivedAt=_AT,
        senderHerId=_HER,
        stopPoint=_or_null(_STOP_POINT),
        sentence=_or_null(ref("Text")),
        receivers={
            "type": "array",
            _NOTE: "Receiver for what was posted, ReceivedBy for what came in",
            "items": {"oneOf": [ref("Receiver"), ref("ReceivedBy")]},
        },
    ),
    "Event": _shape(
        "One thing that happened. Ids and codes only.",
        _EVENT,
        offset=_whole("Place in the one order of all events; gaps mean nothing", minimum=1),
        at=_AT,
        type=_words(EventKind, "A client must bear types that it does not know"),
        messageId=_or_null(_ID),
        msgId=_or_null(_MSG_ID),
        herId=_or_null(_HER),
        counterpartHerId=_or_null(_HER),
        deliveryId=_or_null(_ID),
        itemId=_or_null(_ID),
        stopPoint=_or_null(_STOP_POINT),
        errorId=_or_null(_ERROR_ID),
        codes=_list(_text()),
        reason=_or_null(_text("Of message.closed: why, in the words of the person who closed it")),
    ),
    "Events": _shape("All events of a message, oldest first.", {"events": [_EVENT]}, events=_list(ref("Event"))),
    "Feed": _shape(
        "Events of your HER-ids after the offset asked for.",
        {"events": [_EVENT], "next": 4711},
        events=_list(ref("Event")),
        next=_whole("What to ask for next, once these are stored with you", minimum=0),
    ),
    "Attempt": _shape(
        "One try at the transport.",
        _ATTEMPT,
        deliveryId=_ID,
        ebMessageId=_text("eb:MessageId"),
        number=_whole("Within the delivery, from 1", minimum=1),
        startedAt=_AT,
        endedAt=_AT,
        endpoint=_text("scheme://host:port/path"),
        httpStatus=_or_null(_whole()),
        result=_words(("acknowledged", "sent", "refused", "failed")),
        errorId=_or_null(_ERROR_ID),
    ),
    "Attempts": _shape("Every try, oldest first.", {"attempts": [_ATTEMPT]}, attempts=_list(ref("Attempt"))),
    "AppRec": _shape(
        "One AppRec as it came.",
        _APPREC,
        receiverHerId=_HER,
        status=_words(Verdict),
        document=_text("The AppRec's bytes", contentEncoding="base64", contentMediaType="application/xml"),
        errors=_list(
            _shape(
                "One error of it.",
                _ERROR,
                errorCode=_text("Code of list 8221, or the receiver's own"),
                oid=_text("OID of the code list"),
                text=_text("The list's own words"),
                details=_text("The receiver's free text: health data"),
            )
        ),
    ),
    "AppRecs": _shape("The AppRecs that decided.", {"appRecs": [_APPREC]}, appRecs=_list(ref("AppRec"))),
    "InboxItem": _shape(
        "A received document that waits for you, or that you have judged.",
        _ITEM,
        id=_ID,
        receiverHerId=_HER,
        senderHerId=_HER,
        msgId=_MSG_ID,
        type=_text("MsgInfo/Type, or APPREC"),
        process=_text("Name of the process that it goes by"),
        function=_text("Key of the function within it"),
        conversationId=_text("eb:ConversationId"),
        refToParent=_or_null(_text("MsgHead/ConversationRef/RefToParent")),
        receivedAt=_AT,
        size=_whole("Bytes", minimum=0),
        sha256=_SHA256,
        state=_words(ItemStage),
        appRecOwed=_flag("The sender waits for your verdict"),
        payloads=_list(
            {
                "type": "object",
                "required": ["number", "contentType", "size", "sha256"],
                "properties": {
                    "number": _whole("Asks for it, in getInboxPayload", minimum=1),
                    "contentType": _text("As the sender labelled it; that may be wrong"),
                    "size": _whole("Bytes", minimum=0),
                    "sha256": _SHA256,
                },
            },
            "What came in the same envelope beside the document; most often nothing",
        ),
    ),
    "Inbox": _shape("Items in the order in which they came.", {"items": [_ITEM]}, items=_list(ref("InboxItem"))),
    "Judged": _shape(
        "The verdict stands, and its AppRec is in our custody.",
        {"itemId": _ID_3, "appRecMessageId": _ID_2, "replayed": False},
        itemId=_ID,
        appRecMessageId=_or_null(_text("Our id of the AppRec; follow it like any message")),
        replayed=_flag("The same verdict was given before"),
    ),
    "Confirmed": _shape("How many outcomes were confirmed.", {"confirmed": 1}, confirmed=_whole(minimum=0)),
    "Through": _shape(
        "Outcomes up to and with this offset are stored with you.",
        {"through": 4711},
        through=_whole("An offset of the feed", minimum=0, maximum=2**63 - 1),
    ),
    "Verdict": {
        "type": "object",
        _NOTE: "What your system says of a received document. A rejection names at least one code of list 8221.",
        "required": ["appRecStatus"],
        "properties": {
            "appRecStatus": {
                _NOTE: "AppRec status; 1, 2, 3 are the values of list 8258",
                "enum": ["Ok", "Rejected", "OkErrorInMessagePart", "1", "2", "3", 1, 2, 3],
            },
            "appRecErrorList": {
                "type": ["array", "null"],
                "maxItems": 50,
                "items": {
                    "type": "object",
                    "required": ["errorCode"],
                    "properties": {
                        "errorCode": _text("Code of list 8221", pattern="^[A-Za-z0-9]{1,10}$"),
                        "details": {
                            "type": ["string", "null"],
                            "maxLength": 4000,
                            _NOTE: "Free text to the sender: health data. Characters of XML 1.0 only",
                            "pattern": "^[\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd]*$",
                        },
                    },
                },
            },
        },
        "examples": [
            {"appRecStatus": "Ok"},
            {"appRecStatus": "Rejected", "appRecErrorList": [{"errorCode": "E35", "details": "Not in our records"}]},
        ],
    },
    "WebhookState": _shape(
        "How your webhook stands.",
        {
            "origin": "https://epj.fjordvik.example:443",
            "state": "failing",
            "triedAt": _WHEN,
            "httpStatus": 500,
            "failures": 2,
            "nextAttemptAt": _WHEN,
            "waiting": 1,
            "why": {"nb": "mottakeren svarte 500", "en": "the receiver answered 500"},
        },
        origin=_text("scheme://host:port"),
        state=_words(Wake, "disabled: the receiver answered 410; until the broker starts again"),
        triedAt=_or_null(_AT),
        httpStatus=_or_null(_whole("Of the last try")),
        failures=_whole("In a row", minimum=0),
        nextAttemptAt=_or_null(_AT),
        waiting=_whole("Events that the next wake will name", minimum=0),
        why=_or_null(ref("Text")),
    ),
    "Wake": _shape(
        "What a webhook gets: ids and kinds only. Fetch what happened from the feed and the inbox.",
        {
            "type": "feed.changed",
            "timestamp": "2026-11-21T12:00:00Z",
            "data": {
                "events": [
                    {
                        "type": "inbox.document",
                        "herId": 8000109,
                        "messageId": _ID_1,
                        "deliveryId": None,
                        "itemId": _ID_3,
                    }
                ],
                "more": 0,
            },
        },
        type=_words(("feed.changed", "broker.started"), "broker.started: look, nobody knows what you were told before"),
        timestamp=_text("When it was made", format="date-time"),
        data={
            "type": "object",
            "required": ["events", "more"],
            "properties": {
                "events": _list(
                    {
                        "type": "object",
                        "required": ["type", "herId", "messageId", "deliveryId", "itemId"],
                        "properties": {
                            "type": _words(EventKind),
                            "herId": _HER,
                            "messageId": _or_null(_ID),
                            "deliveryId": _or_null(_ID),
                            "itemId": _or_null(_ID),
                        },
                    },
                    "Up to 100",
                ),
                "more": _whole("How many others there are", minimum=0),
            },
        },
    ),
    "Alive": _shape("The process answers.", {"status": "alive"}, status=_text(enum=["alive"])),
    "Ready": _shape(
        "Whether a message would be taken now.",
        {"status": "ready", "checks": {"store": "ok", "addresses": "ok"}},
        status=_text(enum=["ready", "not ready"]),
        checks={
            "type": "object",
            _NOTE: "ok, or the error id",
            "additionalProperties": {"type": "string"},
        },
    ),
}
