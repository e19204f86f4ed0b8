"""Write docs/reference/http.md from the OpenAPI document of a server: `make reference`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepwell.api.openapi import build

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "http.md"

Schema = Mapping[str, Any]

_HEAD = """\
# HTTP

Made by `make reference` from what a server says of itself at `/openapi.json`. A server shows the same at `/docs`, with
an example of each answer, and each request in curl, Python, TypeScript, Go and the command line.

An answer in JSON is an envelope: `success`, `errors`, `messages`, and the `result`, which is what is told of here. What
Cloudflare has not is marked as *Stepwell's own*. A token goes into `Authorization: Bearer ...`, or into `X-Auth-Key`
beside an `X-Auth-Email`; `stepwell dev` asks for none. All codes of errors: [errors.md](errors.md).
"""
# No bound: the largest number that every reader of JSON keeps exact.
_MOST = 2**53 - 1
_BOUNDS = {"minimum": "from {}", "maximum": "to {}", "minLength": "at least {} long", "maxLength": "at most {} long"}


def reference() -> str:
    """Return the page."""
    document = build()
    found = [*_operations(document)]
    common = set.intersection(*({*_refusals(operation)} for _, operation in found))
    parts = [_HEAD, "## Parts of a path\n", _table(("part", "type", "meaning"), _path_parts(found))]
    parts += ["## What any route may answer with\n", _errors(sorted(common))]
    for tag in document["tags"]:
        parts += [f"## {tag['name']}\n", f"{tag['description']}\n"]
        parts += [_operation(way, operation, common) for way, operation in found if operation["tags"] == [tag["name"]]]
    parts += ["## Types\n", *(_component(*named) for named in document["components"]["schemas"].items())]
    return "\n".join(parts)


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def _operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    for pattern, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {pattern}", operation


def _path_parts(operations: Iterable[tuple[str, Schema]]) -> Iterator[Sequence[str]]:
    """Yield what paths are made of, each meaning once."""
    given = [part for _, operation in operations for part in operation["parameters"] if part["in"] == "path"]
    told = dict.fromkeys((f"`{part['name']}`", _type(part["schema"]), part["description"]) for part in given)
    yield from sorted(told)


def _operation(way: str, operation: Schema, common: set[tuple[int, int, str, str]]) -> str:
    parts = [f"### {operation['summary']}\n", f"`{way}`\n", f"{operation['description']}{_whose(operation)}\n"]
    parts += [*_named("Permission, one of", operation["x-permissions"])]
    parts += [*_named("Commands", operation.get("x-cli", ()))]
    asked = [_parameter(one) for one in operation["parameters"] if one["in"] != "path"]
    parts += [_table(("parameter", "in", "type", "meaning"), asked)] * bool(asked)
    parts += [*_body(operation.get("requestBody"))]
    parts += [*_answers(operation)]
    if own := sorted({*_refusals(operation)} - common):
        parts.append(_errors(own))
    return "\n".join(parts)


def _whose(operation: Schema) -> str:
    docs = operation.get("externalDocs")
    if docs:
        return f" [Cloudflare's page]({docs['url']})."
    return " *Stepwell's own.*" if operation.get("x-stepwell-extension") else ""


def _named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{what}: {', '.join(f'`{name}`' for name in names)}\n"


def _parameter(one: Schema) -> Sequence[str]:
    needed = "" if one.get("required") else ", optional"
    return f"`{one['name']}`", one["in"], _type(one["schema"]) + needed, one["description"]


def _body(body: Schema | None) -> Iterator[str]:
    if body is not None:
        ((kind, content),) = body["content"].items()
        needed = "" if body["required"] else ", optional"
        yield f"Body, `{kind}`{needed}: {_type(content['schema'])}. {body['description']}\n"
        yield f"```json\n{json.dumps(content['example'], indent=2)}\n```\n"


def _answers(operation: Schema) -> Iterator[str]:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            forms = [f"`{kind}`: {_result(form['schema'])}" for kind, form in answer.get("content", {}).items()]
            yield f"Answer, `{status}`: {', or '.join(forms) or answer['description']}.\n"


def _result(schema: Schema) -> str:
    """Return the type of an answer, or of what is in its envelope."""
    inner = schema.get("properties", {})
    return _type(inner["result"] if {"success", "result"} <= {*inner} else schema)


def _refusals(operation: Schema) -> Iterator[tuple[int, int, str, str]]:
    for status, answer in operation["responses"].items():
        for one in answer.get("x-errors", ()):
            yield int(status), one["code"], one.get("key", ""), one["when"]


def _errors(rows: Iterable[tuple[int, int, str, str]]) -> str:
    told = [(str(status), f"`{code}`", when, f"`{key}`" if key else "") for status, code, key, when in rows]
    return _table(("status", "code", "when", "the message begins with"), told)


def _component(name: str, schema: Schema) -> str:
    parts = [f"### {name}\n", f"{schema['description']}\n"] if schema.get("description") else [f"### {name}\n"]
    needed = schema.get("required", ())
    rows = [
        (f"`{member}`", _type(inner) + ("" if member in needed else ", optional"), inner.get("description", ""))
        for member, inner in schema.get("properties", {}).items()
    ]
    return "\n".join([*parts, _table(("member", "type", "meaning"), rows) if rows else f"{_type(schema)}\n"])


def _type(schema: Schema) -> str:
    """Return what a value has to be, with links to types that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, parts)))
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    kinds = schema.get("type", "any JSON")
    bounds = [form.format(f"{schema[key]:,}") for key, form in _BOUNDS.items() if schema.get(key, _MOST) < _MOST]
    return ", ".join([kinds if isinstance(kinds, str) else " or ".join(kinds), *bounds])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines, ""])


if __name__ == "__main__":
    write()
