"""The OpenAPI 3.1 description of the EPJ's door: its operations, its shapes and the error catalogue, put together."""

from typing import Final

from broker import __version__
from broker.diagnosis import CAUSES, causes
from broker.message import Fault, Text
from broker.web.inputs import WAIT
from broker.web.operations import OPEN, OPERATIONS, PREFIX, Operation
from broker.web.problems import RETRY_AFTER, Problem, plain, said_of
from broker.web.schemas import SHAPES, Json, ref

_REQUEST: Final = "01a20230-7c4e-7000-8a5f-000000000009"
_XML_EXAMPLE: Final = '<MsgHead xmlns="http://www.kith.no/xmlstds/msghead/2006-05-24">…</MsgHead>'
_BYTES: Final[Json] = {"schema": {"type": "string", "description": "The bytes as they are"}}

_ABOUT: Final = """\
The API of a broker for dialogue messages between municipalities and health care: post a document, and be told every
outcome; receive documents, and answer with a verdict.

**A message without an application receipt is not sent, and the duty is still the sender's.** `202` means that the
broker has taken that duty over. No answer, or `5xx`, means that you don't know: post the same bytes again.

Fields are added, never given another meaning. A client must bear fields, event types and error ids that it does not
know. Times are UTC. Ids are opaque. Requests and answers are not compressed.

Every answer carries `X-Request-Id`: quote it when you ask operations. What goes wrong is told as a problem (RFC 9457),
in bokmål unless `Accept-Language` asks for English."""

_TAGS: Final = {
    "Out": "What your system posts, and what becomes of it.",
    "In": "What comes for your HER-ids. Fetch, store, say stored, judge.",
    "Feed": "Events in one order, at least once.",
    "Health": "For whoever watches the process. No token.",
    "Description": "This document. No token.",
}

_QUERY: Final[dict[str, Json]] = {
    "unread": {
        "name": "unread",
        "description": "true: only what is neither stored nor judged",
        "schema": {"type": "boolean", "default": True},
    },
    "her": {
        "name": "her",
        "description": "Only for this HER-id of yours",
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    },
    "number": {
        "name": "number",
        "description": "Which of them",
        "schema": {"type": "integer", "minimum": 1, "maximum": 99, "default": 1},
    },
    "after_item": {
        "name": "after",
        "description": "Only what came after the item of this id",
        "schema": {"type": "string"},
    },
    "after": {
        "name": "after",
        "description": "Only events with a higher offset; 0 from the beginning",
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0},
    },
    "limit": {
        "name": "limit",
        "description": "So many at the most",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
    "wait": {
        "name": "wait",
        "description": "Hold back an empty answer for up to 60 seconds, PT30S or 30; what comes ends the wait",
        "schema": {"type": "string", "pattern": f"^({WAIT})$", "default": "0"},
    },
}
_HEADERS: Final[dict[str, Json]] = {
    "Idempotency-Key": {
        "description": "A name of your own for this post: the same bytes get the same answer, others 422",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~][!-~]{0,254}$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
    "Location": {"description": "Where the message stands", "schema": {"type": "string"}, "required": True},
    "Idempotency-Replayed": {
        "description": "true where the same was posted before",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Content-Digest": {
        "description": "sha-256 of the bytes (RFC 9530)",
        "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        "required": True,
    },
    "Content-Security-Policy": {
        "description": "Nothing is loaded but the page's own style",
        "schema": {"type": "string"},
        "required": True,
    },
    "X-Request-Id": {
        "description": "Quote it when you ask operations",
        "schema": {"type": "string", "format": "uuid"},
        "required": True,
    },
    "Cache-Control": {
        "description": "Nothing is kept on its way",
        "schema": {"type": "string", "enum": ["no-store"]},
        "required": True,
    },
    "Content-Language": {
        "description": "Language of the problem's words",
        "schema": {"type": "string", "enum": ["nb", "en"]},
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds; only where `retryable` is true",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}, "required": True},
}
_EVERY: Final = ("X-Request-Id", "Cache-Control")
_LANGUAGE: Final[Json] = {
    "name": "Accept-Language",
    "in": "header",
    "description": "Language of problems: nb (default) or en",
    "schema": {"type": "string"},
    "example": "en",
}
_MEANING: Final = {
    202: "In our custody",
    204: "Done",
    400: "The request cannot be understood",
    401: "No valid token",
    403: "The token is not bound to that HER-id",
    404: "There is no such thing, or it is not yours",
    408: "The body came too slowly",
    409: "Something else was said before",
    410: "The content was erased when its time was over",
    413: "Too large",
    415: "Not the media type that is taken here, or compressed",
    422: "The content is refused; nothing was taken",
    431: "The header is too large",
    500: "The kept content is damaged",
    503: "Not now",
}


def document() -> Json:
    """Return the whole description."""
    paths: dict[str, Json] = {}
    for operation in (*OPERATIONS, *OPEN):
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DigiHelse broker: API for EPJ systems",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "webhooks": {"wake": {"post": _wake()}},
        "components": {
            "schemas": {**SHAPES, **_problem_shapes()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that the municipality gives out, bound to HER-ids of theirs",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "A client certificate that the municipality has listed, where it has set this up",
                },
            },
        },
    }


def _wake() -> Json:
    """Return what we post to a client's webhook."""
    headers = {
        "webhook-id": "The same for every try of this wake",
        "webhook-timestamp": "Seconds since 1970-01-01 UTC, of this try; refuse what is more than 5 minutes away",
        "webhook-signature": "v1, and base64 of HMAC-SHA256 over id.timestamp.body; while secrets change, two of them",
    }
    return {
        "operationId": "wake",
        "tags": ["Feed"],
        "summary": "What your webhook gets",
        "description": (
            "Standard Webhooks 1.0. Answer 2xx within 15 seconds, then ask the feed or the inbox. Anything else, a"
            " redirect too, is tried again until it arrives; 410 ends it until the broker starts again."
        ),
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
            for name, about in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("Wake"), "example": SHAPES["Wake"]["examples"][0]}},
        },
        "responses": {"2XX": {"description": "Taken"}, "410": {"description": "No more, please"}},
    }


def _operation(of: Operation) -> Json:
    described: Json = {
        "operationId": of.id,
        "tags": [of.tag],
        "summary": of.summary,
        "description": of.about,
        "parameters": _parameters(of),
        "responses": _responses(of),
        "security": [{"token": []}, {"certificate": []}] if of.path.startswith(PREFIX) else [],
    }
    if of.takes == "xml":
        content = _BYTES | {"example": _XML_EXAMPLE}
        described["requestBody"] = {
            "required": True,
            "description": "The document as it is, in the encoding that it names; at most 35 MB",
            "content": {"application/xml": content, "text/xml": content},
        }
    elif of.takes:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": ref(of.takes), "example": SHAPES[of.takes]["examples"][0]}},
        }
    return described


def _parameters(of: Operation) -> list[Json]:
    found: list[Json] = []
    if "{id}" in of.path:
        found.append(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "Our id of the item" if "/inbox/" in of.path else "Our id of the message, or its MsgId",
                "schema": {"type": "string", "minLength": 1},
                "example": SHAPES["InboxItem" if "/inbox/" in of.path else "Taken"]["examples"][0]["id"],
            }
        )
    found += [{"in": "query", **_QUERY[name]} for name in of.query]
    found += [{"name": name, "in": "header", **_HEADERS[name]} for name in of.headers]
    if of.path.startswith(PREFIX):
        found.append(_LANGUAGE)
    return found


def _responses(of: Operation) -> dict[str, Json]:
    said: dict[str, Json] = {
        str(of.answer): {
            "description": _MEANING.get(of.answer, "As asked"),
            "headers": _headers(*_EVERY, *of.sets),
            **_content(of.gives),
        }
    }
    for status, shape in of.also:
        said[str(status)] = {"description": "Not now", "headers": _headers(*_EVERY), **_content(shape)}
    for status, ids in of.refuses.items():
        more = {401: ("WWW-Authenticate",), 408: ("Retry-After",), 503: ("Retry-After",)}.get(status, ())
        said[str(status)] = {
            "description": f"{_MEANING[status]}: {', '.join(ids)}",
            "headers": _headers(*_EVERY, "Content-Language", *more),
            "content": {
                "application/problem+json": {
                    "schema": ref("Problem"),
                    "examples": {
                        error_id: {"summary": CAUSES[error_id].name.en, "value": _example(status, error_id)}
                        for error_id in ids
                    },
                }
            },
        }
    return said


def _headers(*names: str) -> dict[str, Json]:
    return {name: _HEADERS[name] for name in names}


def _content(gives: str | None) -> Json:
    match gives:
        case None:
            return {}
        case "xml":
            return {"content": {"application/xml": {**_BYTES, "example": _XML_EXAMPLE}}}
        case "bytes":
            return {"content": {"application/octet-stream": _BYTES}}
        case "text" | "html":
            return {"content": {"text/plain" if gives == "text" else "text/html": {"schema": {"type": "string"}}}}
        case "json":
            return {"content": {"application/json": {"schema": {"type": "object"}}}}
        case _:
            example = SHAPES[gives]["examples"][0]
            return {"content": {"application/json": {"schema": ref(gives), "example": example}}}


def _problem(status: int, error_id: str) -> Problem:
    if error_id == causes.UNEXPECTED:
        return Problem(status=status, error_id=error_id, detail=CAUSES[error_id].name, accepted=None, retryable=True)
    if error_id in (causes.DOCUMENT_REFUSED, causes.VERDICT_REFUSED):
        fault = Fault(
            rule="xsd.missing-element",
            line=12,
            path="MsgHead/MsgInfo",
            reason=Text(nb="MsgId mangler.", en="MsgId is missing."),
            hint=Text(nb="Legg til MsgId.", en="Add MsgId."),
        )
        detail = Text(nb="1 feil. Ingenting er tatt imot.", en="1 fault. Nothing was taken.")
        return Problem(status=status, error_id=error_id, detail=detail, faults=(fault,))
    return plain(status, error_id, retryable=status in (408, 503))


def _example(status: int, error_id: str) -> Json:
    return said_of(_problem(status, error_id), language="en", request_id=_REQUEST)


def _problem_shapes() -> dict[str, Json]:
    ids = sorted(
        {error_id for operation in OPERATIONS for found in operation.refuses.values() for error_id in found}
        | {causes.METHOD_NOT_ALLOWED}
    )
    said = _example(422, causes.DOCUMENT_REFUSED)
    table = "\n".join(f"| {id} | `/problems/{CAUSES[id].slug}` | {CAUSES[id].name.en} |" for id in ids)
    fault: Json = {
        "type": "object",
        "description": "One thing wrong with a document. Never what stood there.",
        "required": ["line", "path", "rule", "reason", "hint"],
        "properties": {
            "line": {"type": ["integer", "null"], "minimum": 1},
            "path": {"type": "string", "description": "Element names only"},
            "rule": {"type": "string", "description": "Stable id of the rule"},
            "reason": {"type": "string"},
            "hint": {"type": "string"},
        },
        "examples": said["faults"],
    }
    problem: Json = {
        "type": "object",
        "description": (
            "Problem details (RFC 9457). `errorId` never changes its meaning; hang your logic on it, and show people"
            f" `title`, `detail` and `act`. Where `retryable` is true, `Retry-After` says when ({RETRY_AFTER} s).\n\n"
            f"| errorId | type | meaning |\n|---|---|---|\n{table}"
        ),
        "required": [
            *("type", "title", "status", "detail", "instance", "errorId", "accepted", "retryable", "requestId", "act"),
        ],
        "properties": {
            "type": {"type": "string", "x-extensible-enum": [f"/problems/{CAUSES[id].slug}" for id in ids]},
            "title": {"type": "string", "description": "The cause, in the language asked for"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "instance": {"type": ["string", "null"], "description": "urn:uuid: and the request's id"},
            "errorId": {"type": "string", "x-extensible-enum": ids},
            "accepted": {
                "type": ["boolean", "null"],
                "description": "Whether anything was taken; null: we cannot know, so post the same again",
            },
            "retryable": {"type": "boolean", "description": "The same request may pass later"},
            "requestId": {"type": ["string", "null"]},
            "act": {"type": "string", "description": "What to do"},
            "faults": {"type": "array", "items": ref("Fault"), "description": "All of them, for MB-1002 and MB-1106"},
        },
        "examples": [said],
    }
    return {"Fault": fault, "Problem": problem}
