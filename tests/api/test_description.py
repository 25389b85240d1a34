"""The OpenAPI description is true to the server, and the page made of it stands on its own."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import web

from broker.diagnosis import CAUSES
from broker.web import docs, epj, frame, openapi, shapes
from broker.web.operations import OPEN, OPERATIONS
from tests.api.served import served
from tests.api.try_all import try_all
from tests.unit.web.rig import Rig, rig

DESCRIBED = openapi.document()


# --- the server does what the description says ---


async def test_every_operation_answers_as_it_is_described(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        tried = await try_all(door, DESCRIBED, tmp_path, examples=2)
    print(tried.said[-1500:])
    print(f"{tried.operations} operations, {tried.cases} requests")
    assert tried.passed, tried.said[-6000:]
    assert tried.operations == len(OPERATIONS) + len(OPEN) >= 20
    assert tried.cases >= 400


def _renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    item = shapes.item

    def other(of: Any, about: Any, payloads: Any = ()) -> shapes.Json:
        said = item(of, about, payloads)
        return said | {"stage": said.pop("state")}

    monkeypatch.setattr(shapes, "item", other)


def _another_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inbox(_self: object, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    monkeypatch.setattr(epj.EpjDoor, "inbox", inbox)


def _no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    dress = frame.dress

    def bare(response: web.StreamResponse) -> None:
        dress(response)
        del response.headers["Cache-Control"]

    monkeypatch.setattr(frame, "dress", bare)


@pytest.mark.parametrize("plant", [_renamed, _another_status, _no_header])
async def test_a_server_that_answers_otherwise_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    async with served(tmp_path) as door:
        tried = await try_all(door, DESCRIBED, tmp_path, only="listInbox")
    print(tried.said[-3000:])
    assert tried.operations == 1
    assert not tried.passed
    assert "FAILURES" in tried.said  # and not an error of the tool


# --- the description itself ---


def _described(error_id: str) -> list[tuple[str, str, int]]:
    return [
        (path, method, int(status))
        for path, methods in DESCRIBED["paths"].items()
        for method, operation in methods.items()
        for status, said in operation["responses"].items()
        if error_id in said.get("content", {}).get("application/problem+json", {}).get("examples", {})
    ]


def test_every_example_holds() -> None:
    components = {"components": DESCRIBED["components"]}
    looked_at = 0

    def check(schema: Any, value: Any) -> None:
        nonlocal looked_at
        looked_at += 1
        jsonschema_rs.Draft202012Validator({**components, **schema}, validate_formats=True).validate(value)

    for shape in DESCRIBED["components"]["schemas"].values():
        assert shape["examples"]
        for example in shape["examples"]:
            check(shape, example)
    for methods in DESCRIBED["paths"].values():
        for operation in methods.values():
            for given in (operation.get("requestBody", {}), *operation["responses"].values()):
                for media in given.get("content", {}).values():
                    for named in media.get("examples", {}).values():
                        check(media["schema"], named["value"])
                    if "example" in media:
                        check(media["schema"], media["example"])
            for parameter in operation["parameters"]:
                if "example" in parameter:
                    check(parameter["schema"], parameter["example"])
    assert looked_at >= 150


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DESCRIBED)))
    assert names <= set(DESCRIBED["components"]["schemas"])
    assert len(names) >= 15


def test_every_error_of_the_door_is_described_with_its_type() -> None:
    said = DESCRIBED["components"]["schemas"]["Problem"]
    for error_id in ("MB-1001", "MB-1002", "MB-1003", "MB-1004", "MB-1006", "MB-1007", "MB-1008", "MB-1010", "MB-1011"):
        assert _described(error_id), error_id
    for error_id in ("MB-1102", "MB-1104", "MB-1105", "MB-1106", "MB-1201", "MB-2001", "MB-6001", "MB-9101", "MB-9102"):
        assert _described(error_id), error_id
    for error_id in said["properties"]["errorId"]["x-extensible-enum"]:
        assert f"/problems/{CAUSES[error_id].slug}" in said["properties"]["type"]["x-extensible-enum"]
        assert CAUSES[error_id].name.en in said["description"]


# --- as it is served ---


async def test_the_description_is_served_without_a_token(tmp_path: Path) -> None:
    async with rig(tmp_path) as doors:
        reply = await doors.ask("GET", "/api/openapi.json", token=None)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.json() == json.loads(json.dumps(DESCRIBED))


class _Page(HTMLParser):
    """What a browser would fetch, follow and run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.risky: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in ("src", "style", "action", "srcset") or name.startswith("on"):
                self.risky.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as doors:
        reply = await _page(doors)
    policy = reply.headers["Content-Security-Policy"]
    assert policy == docs.POLICY
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    page = _Page()
    page.feed(reply.body.decode())
    assert page.open == []
    assert page.risky == []
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(page.tags)
    assert len(set(page.ids)) == len(page.ids) >= 40
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    assert {link for link in page.links if not link.startswith("#")} == {"/api/openapi.json"}


async def _page(doors: Rig) -> Any:
    reply = await doors.ask("GET", "/api/docs", token=None)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return reply


def test_the_page_names_every_operation_answer_and_shape() -> None:
    said = docs.page(DESCRIBED)
    for operation in (*OPERATIONS, *OPEN):
        assert f'id="{operation.id}"' in said
        assert operation.path in said
    for name in DESCRIBED["components"]["schemas"]:
        assert f'id="shape-{name}"' in said


def test_what_stands_in_the_description_is_text_in_the_page() -> None:
    planted = json.loads(json.dumps(DESCRIBED).replace("Post a document", "<script>1</script>"))
    said = docs.page(planted)
    assert "<script>" not in said
    assert "&lt;script&gt;1&lt;/script&gt;" in said
