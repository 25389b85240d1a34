"""Every operation of the EPJ's door: path, handler, what it takes, and each answer it may give. The one list of both.

The routes are made from it, and so is the OpenAPI document: a route without a description cannot be.
"""

from dataclasses import dataclass
from typing import Final

from broker.diagnosis import causes

PREFIX: Final = "/api/v1"

# The error ids that an operation may answer with, by status. 503 MB-9102: we cannot know whether anything was taken.
Problems = dict[int, tuple[str, ...]]

_ALWAYS: Final[Problems] = {
    401: (causes.NOT_AUTHENTICATED,),
    431: (causes.BAD_REQUEST,),
    503: (causes.NOT_ACCEPTING, causes.UNEXPECTED),
}
_QUERY: Final[Problems] = {400: (causes.BAD_REQUEST,)}
_OF_HER: Final[Problems] = {403: (causes.HER_ID_NOT_PERMITTED,)}
_NAMED: Final[Problems] = {404: (causes.NOT_FOUND,)}
_BODY: Final[Problems] = {
    400: (causes.BAD_REQUEST,),
    408: (causes.TOO_SLOW,),
    413: (causes.TOO_LARGE,),
    415: (causes.WRONG_MEDIA_TYPE,),
}
_KEPT: Final[Problems] = {410: (causes.NOT_FOUND,), 500: (causes.BODY_DAMAGED,)}
_DOCUMENT: Final = (
    causes.DOCUMENT_REFUSED,
    causes.MALFORMED_XML,
    causes.UNSUPPORTED_TYPE,
    causes.RECEIVER_UNKNOWN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    handler: str  # of the class that serves it
    tag: str
    summary: str
    about: str
    answer: int
    gives: str | None = None  # the shape of the answer; "xml", "bytes" and "text" are bytes and text; None: no body
    takes: str | None = None  # the shape of the body, or "xml"
    query: tuple[str, ...] = ()  # names of parameters
    headers: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()  # headers of the wished answer, beside those of every answer
    problems: tuple[Problems, ...] = ()
    also: tuple[tuple[int, str], ...] = ()  # other statuses with a shape of their own

    @property
    def refuses(self) -> Problems:
        """Return the error ids by status."""
        found = dict(_ALWAYS) if self.path.startswith(PREFIX) else {431: _ALWAYS[431]}
        for more in self.problems:
            for status, ids in more.items():
                found[status] = tuple(dict.fromkeys((*found.get(status, ()), *ids)))
        return dict(sorted(found.items()))


OPERATIONS: Final = (
    # --- out ---
    Operation(
        id="postMessage",
        method="POST",
        path=f"{PREFIX}/messages",
        handler="post",
        tag="Out",
        summary="Post a document",
        about=(
            "Takes a MsgHead 1.2 (or an AppRec) into custody, byte for byte. 202 comes when it is on disk;"
            " it does not mean that anyone has got it. The same bytes again give the same answer, marked `replayed`."
        ),
        takes="xml",
        headers=("Idempotency-Key",),
        answer=202,
        gives="Taken",
        sets=("Location", "Idempotency-Replayed"),
        problems=(
            _BODY,
            _OF_HER,
            {409: (causes.MSG_ID_TAKEN,), 422: (*_DOCUMENT, causes.KEY_REUSED)},
        ),
    ),
    Operation(
        id="validateMessage",
        method="POST",
        path=f"{PREFIX}/messages/validate",
        handler="validate",
        tag="Out",
        summary="Ask what a post would be told",
        about="The dry run: every check of a post, and nothing is kept.",
        takes="xml",
        answer=200,
        gives="Checked",
        problems=(_BODY, _OF_HER, {422: _DOCUMENT}),
    ),
    Operation(
        id="getMessage",
        method="GET",
        path=f"{PREFIX}/messages/{{id}}",
        handler="message",
        tag="Out",
        summary="See where a message stands",
        about="At each receiver: transport, application receipt, outcome, cause, and whose turn it is.",
        answer=200,
        gives="Message",
        problems=(_NAMED,),
    ),
    Operation(
        id="getMessageEvents",
        method="GET",
        path=f"{PREFIX}/messages/{{id}}/events",
        handler="message_events",
        tag="Out",
        summary="All that happened to a message",
        about="Oldest first.",
        answer=200,
        gives="Events",
        problems=(_NAMED,),
    ),
    Operation(
        id="getMessageAttempts",
        method="GET",
        path=f"{PREFIX}/messages/{{id}}/attempts",
        handler="attempts",
        tag="Out",
        summary="Every try at the transport",
        about="With endpoint, HTTP status and error id.",
        answer=200,
        gives="Attempts",
        problems=(_NAMED,),
    ),
    Operation(
        id="getMessageDocument",
        method="GET",
        path=f"{PREFIX}/messages/{{id}}/document",
        handler="document",
        tag="Out",
        summary="The document, byte for byte",
        about="No charset is named: the document's own declaration holds. 410 when it was erased after its time.",
        answer=200,
        gives="xml",
        sets=("Content-Digest",),
        problems=(_NAMED, _KEPT),
    ),
    Operation(
        id="getMessageAppRecs",
        method="GET",
        path=f"{PREFIX}/messages/{{id}}/apprec",
        handler="apprecs",
        tag="Out",
        summary="The AppRecs that decided, as they came",
        about="With their errors. `details` is the receiver's free text.",
        answer=200,
        gives="AppRecs",
        problems=(_NAMED, _KEPT),
    ),
    # --- in ---
    Operation(
        id="listInbox",
        method="GET",
        path=f"{PREFIX}/inbox",
        handler="inbox",
        tag="In",
        summary="List what came",
        about="In the order in which it came. With `wait`, an empty list is held back until something comes.",
        query=("unread", "her", "after_item", "limit", "wait"),
        answer=200,
        gives="Inbox",
        problems=(_QUERY, _OF_HER),
    ),
    Operation(
        id="getInboxItem",
        method="GET",
        path=f"{PREFIX}/inbox/{{id}}",
        handler="item",
        tag="In",
        summary="See one inbox item",
        about="By the item's id.",
        answer=200,
        gives="InboxItem",
        problems=(_NAMED,),
    ),
    Operation(
        id="getInboxDocument",
        method="GET",
        path=f"{PREFIX}/inbox/{{id}}/document",
        handler="item_document",
        tag="In",
        summary="The received document",
        about="Byte for byte as the sender's system made it.",
        answer=200,
        gives="xml",
        sets=("Content-Digest",),
        problems=(_NAMED, _KEPT),
    ),
    Operation(
        id="getInboxPayload",
        method="GET",
        path=f"{PREFIX}/inbox/{{id}}/payload",
        handler="item_payload",
        tag="In",
        summary="What came beside the document",
        about="One of the item's `payloads`, as it was once decrypted. Most items have none.",
        query=("number",),
        answer=200,
        gives="bytes",
        sets=("Content-Digest",),
        problems=(_QUERY, _NAMED, _KEPT),
    ),
    Operation(
        id="storedInboxItem",
        method="POST",
        path=f"{PREFIX}/inbox/{{id}}/stored",
        handler="stored",
        tag="In",
        summary="Say that it is stored",
        about="Only when the document is safe with you. May be repeated.",
        answer=204,
        problems=(_NAMED, _KEPT, {409: (causes.MSG_ID_TAKEN,)}),
    ),
    Operation(
        id="judgeInboxItem",
        method="POST",
        path=f"{PREFIX}/inbox/{{id}}/apprec",
        handler="verdict",
        tag="In",
        summary="Give your verdict",
        about="From which the AppRec is made, signed, sent and followed. Implies stored. The first verdict stands.",
        takes="Verdict",
        answer=202,
        gives="Judged",
        problems=(
            _BODY,
            _NAMED,
            _KEPT,
            {409: (causes.OTHER_VERDICT,), 422: (causes.VERDICT_REFUSED,)},
        ),
    ),
    # --- the feed ---
    Operation(
        id="readFeed",
        method="GET",
        path=f"{PREFIX}/events",
        handler="feed",
        tag="Feed",
        summary="Read the feed",
        about=(
            "Everything that happens to your HER-ids, in one order: the main contract. Remember the last offset"
            " that you have stored. With `wait`, an empty answer is held back until something comes."
        ),
        query=("after", "limit", "wait"),
        answer=200,
        gives="Feed",
        problems=(_QUERY,),
    ),
    Operation(
        id="confirmOutcomes",
        method="POST",
        path=f"{PREFIX}/events/confirm",
        handler="confirm",
        tag="Feed",
        summary="Confirm outcomes",
        about="Outcomes up to an offset are stored with you. Until then they count as not brought home.",
        takes="Through",
        answer=200,
        gives="Confirmed",
        problems=(_BODY, {409: (causes.MSG_ID_TAKEN,)}),
    ),
    Operation(
        id="getWebhook",
        method="GET",
        path=f"{PREFIX}/webhook",
        handler="webhook",
        tag="Feed",
        summary="See how your webhook stands",
        about=(
            "Whether the last wake arrived, and when the next is tried. The municipality sets a webhook up; 404 where"
            " there is none."
        ),
        answer=200,
        gives="WebhookState",
        problems=(_NAMED,),
    ),
)

# What the door answers without a token.
OPEN: Final = (
    Operation(
        id="alive",
        method="GET",
        path="/healthz",
        handler="alive",
        tag="Health",
        summary="Does the process answer?",
        about="Touches nothing.",
        answer=200,
        gives="Alive",
    ),
    Operation(
        id="ready",
        method="GET",
        path="/readyz",
        handler="ready",
        tag="Health",
        summary="Would a message be taken now?",
        about="Proves a write to the store, and that there are address records.",
        answer=200,
        gives="Ready",
        also=((503, "Ready"),),
    ),
    Operation(
        id="metrics",
        method="GET",
        path="/metrics",
        handler="metrics",
        tag="Health",
        summary="Metrics",
        about="In the text format of Prometheus.",
        answer=200,
        gives="text",
    ),
    Operation(
        id="openapi",
        method="GET",
        path="/api/openapi.json",
        handler="openapi",
        tag="Description",
        summary="This description",
        about="OpenAPI 3.1.",
        answer=200,
        gives="json",
    ),
    Operation(
        id="docs",
        method="GET",
        path="/api/docs",
        handler="docs",
        tag="Description",
        summary="This description as a page",
        about="Needs no network and no JavaScript.",
        answer=200,
        gives="html",
        sets=("Content-Security-Policy",),
    ),
)
