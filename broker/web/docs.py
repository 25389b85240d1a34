"""The API's description as one page for people: made from the OpenAPI document, of HTML and a style, and nothing else.

No script, no font, no picture, and nothing from elsewhere: the policy forbids all but the style within.
"""

import base64
import json
import re
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from typing import Any, Final

from broker.web.schemas import Json

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #5b6470; --line: #d5dae1; --shade: #f4f6f8;
  --link: #0b5394; --get: #0b5394; --post: #1d6b36; --bad: #9a2a1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #14181d; --faint: #a0a9b4; --line: #343c46;
  --shade: #1d232a; --link: #8ec1f5; --get: #8ec1f5; --post: #85d39b; --bad: #f0a193; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; display: grid;
  grid-template-columns: 17rem minmax(0, 1fr); }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow: auto; padding: 1.25rem 1rem;
  border-right: 1px solid var(--line); background: var(--shade); font-size: .9rem; }
nav p { margin: 1rem 0 .25rem; font-weight: 600; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .2rem 0; min-height: 24px; }
main { padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 62rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { margin: 3rem 0 .5rem; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { margin: 2.25rem 0 .25rem; font-size: 1.15rem; }
h4 { margin: 1.25rem 0 .25rem; font-size: .95rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
code, pre { font: .875rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
td code { white-space: nowrap; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 4px; padding: .75rem; overflow: auto;
  margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .925rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th { color: var(--faint); font-size: .825rem; }
td:first-child, th:first-child { white-space: nowrap; }
.scroll { overflow-x: auto; }
.call { background: var(--shade); border: 1px solid var(--line); border-radius: 4px; padding: .5rem .75rem;
  margin: .5rem 0; }
.verb { font-weight: 700; margin-right: .5rem; }
.GET { color: var(--get); } .POST { color: var(--post); }
.faint { color: var(--faint); }
.bad { color: var(--bad); }
summary { cursor: pointer; min-height: 24px; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; border-right: 0;
  border-bottom: 1px solid var(--line); } }
@media print { nav { display: none; } body { display: block; } }
"""

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(sha256(_STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(described: Json) -> str:
    """Return the page of an OpenAPI document."""
    info = described["info"]
    operations = [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    operations += [
        ("the address of your webhook", method, operation)
        for methods in described.get("webhooks", {}).values()
        for method, operation in methods.items()
    ]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        _menu(described, operations),
        "<main>",
        f'<h1>{escape(info["title"])}</h1><p class="faint">Version {escape(info["version"])} · ',
        '<a href="/api/openapi.json">OpenAPI 3.1</a></p>',
        _prose(info["description"]),
    ]
    for tag in described["tags"]:
        parts.append(f'<h2 id="{_anchor(tag["name"])}">{escape(tag["name"])}</h2>{_prose(tag["description"])}')
        parts += [_operation(*one) for one in operations if tag["name"] in one[2]["tags"]]
    parts.append('<h2 id="shapes">Shapes</h2><p>Unless it says optional, a field is always there.</p>')
    parts += [_shape(name, shape) for name, shape in described["components"]["schemas"].items()]
    parts.append("</main></body></html>\n")
    return "\n".join(parts)


def _menu(described: Json, operations: Iterable[tuple[str, str, Json]]) -> str:
    known = list(operations)
    parts = ['<nav aria-label="Contents">']
    for tag in described["tags"]:
        links = "".join(
            f'<li><a href="#{_anchor(one["operationId"])}">{escape(one["summary"])}</a></li>'
            for _, _, one in known
            if tag["name"] in one["tags"]
        )
        parts.append(f'<p><a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a></p><ul>{links}</ul>')
    parts.append('<p><a href="#shapes">Shapes</a></p></nav>')
    return "".join(parts)


def _operation(path: str, method: str, of: Json) -> str:
    verb = method.upper()
    parts = [
        f'<section><h3 id="{_anchor(of["operationId"])}">{escape(of["summary"])}</h3>',
        f'<div class="call"><code><span class="verb {verb}">{verb}</span>{escape(path)}</code></div>',
        _prose(of["description"]),
    ]
    if of["parameters"]:
        rows = (
            (
                f"<code>{escape(one['name'])}</code>",
                one["in"],
                escape(_kind(one["schema"])),
                escape(one["description"]) + (" <b>Required.</b>" if one.get("required") else ""),
            )
            for one in of["parameters"]
        )
        parts += ["<h4>Parameters</h4>", _table(("Name", "In", "Form", "Meaning"), rows)]
    if "requestBody" in of:
        parts += [
            "<h4>Body</h4>",
            _prose(of["requestBody"].get("description", "")),
            _body(of["requestBody"]["content"]),
        ]
    parts += ["<h4>Answers</h4>", _answers(of["responses"]), "</section>"]
    return "".join(parts)


def _answers(responses: Json) -> str:
    rows = []
    examples = []
    for status, said in responses.items():
        content = said.get("content", {})
        shapes = ", ".join(dict.fromkeys(_kind_html(media["schema"]) for media in content.values()))
        headers = ", ".join(f"<code>{escape(name)}</code>" for name in said.get("headers", {}) if name not in _COMMON)
        mark = "bad" if status >= "4" else ""
        meaning = re.sub(r"\bMB-\d{4}\b", r"<code>\g<0></code>", escape(said["description"]))
        rows.append((f'<b class="{mark}">{status}</b>', meaning, shapes, headers))
        if status < "4":
            examples += [media["example"] for media in content.values() if "example" in media]
    shown = "".join(f"<details open><summary>Example</summary>{_code(one)}</details>" for one in examples[:1])
    return _table(("Status", "Meaning", "Body", "Headers"), rows) + shown


_COMMON: Final = ("X-Request-Id", "Cache-Control", "Content-Language")  # of every answer; the introduction tells


def _body(content: Json) -> str:
    types = ", ".join(f"<code>{escape(name)}</code>" for name in content)
    media = next(iter(content.values()))
    form = _kind_html(media["schema"]) if "$ref" in media["schema"] else escape(media["schema"]["description"])
    return f"<p>{types}: {form}</p>{_code(media['example'])}"


def _shape(name: str, of: Json) -> str:
    needed = of.get("required", ())
    rows = (
        (
            f"<code>{escape(key)}</code>",
            _kind_html(value) + ("" if key in needed else " (optional)"),
            _meaning(value),
        )
        for key, value in of.get("properties", {}).items()
    )
    example = f"<details><summary>Example</summary>{_code(of['examples'][0])}</details>"
    return (
        f'<section><h3 id="shape-{_anchor(name)}">{escape(name)}</h3>{_prose(of["description"])}'
        f"{_table(('Field', 'Form', 'Meaning'), rows)}{example}</section>"
    )


def _meaning(of: Json) -> str:
    about = escape(of.get("description", ""))
    words = of.get("x-extensible-enum") or of.get("enum")
    if not words:
        return about
    listed = ", ".join(f"<code>{escape(str(word))}</code>" for word in words)
    if len(words) > 12:
        return f"{about}<details><summary>{len(words)} words today</summary>{listed}</details>"
    return f"{about}{': ' if about else ''}{listed}"


_FAR: Final = 2**31 - 1


def _kind(of: Json) -> str:
    kind = of.get("type", "")
    kinds = kind if isinstance(kind, list) else [kind]
    said = " or ".join(kinds)
    most = of.get("maximum", _FAR)  # a limit that nobody comes to is no help to a reader
    limits = [f"{of['minimum']}" if "minimum" in of else "", f"{most}" if most < _FAR else ""]
    if any(limits):
        said += f" {limits[0]}…{limits[1]}"
    if "default" in of:
        said += f" ({json.dumps(of['default'])} if not given)"
    return said


def _kind_html(of: Json) -> str:
    """Return the form of a value, with links to shapes."""
    if "$ref" in of:
        name = of["$ref"].rpartition("/")[2]
        return f'<a href="#shape-{_anchor(name)}">{escape(name)}</a>'
    if "oneOf" in of:
        return " or ".join(_kind_html(one) for one in of["oneOf"])
    if of.get("type") == "array":
        return f"list of {_kind_html(of['items'])}"
    if of.get("type") == "object" and of.get("properties"):
        return f"{{ {', '.join(f'<code>{escape(name)}</code>' for name in of['properties'])} }}"
    return escape(of.get("format") or _kind(of)) or "a word"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>' if body else ""
    )


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _prose(text: str) -> str:
    """Return paragraphs, tables, **bold** and `code` of the little Markdown that the description uses."""
    parts = []
    for block in filter(None, (part.strip() for part in text.split("\n\n"))):
        if block.startswith("|"):
            cells = [[_inline(cell.strip()) for cell in line.strip("|").split("|")] for line in block.splitlines()]
            parts.append(_table(tuple(cells[0]), (tuple(row) for row in cells[2:])))
        else:
            parts.append(f"<p>{_inline(block)}</p>")
    return "".join(parts)


def _inline(text: str) -> str:
    marked = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text), flags=re.DOTALL)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", marked)


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)
