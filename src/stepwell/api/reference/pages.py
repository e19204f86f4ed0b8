"""The pages of the reference, in the shape of Cloudflare's own."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from stepwell.api.openapi.schemas import Schema
from stepwell.api.reference import samples
from stepwell.api.reference.call import call_of
from stepwell.api.reference.shell import code, page, prose, section
from stepwell.api.reference.tree import Components, member, members, type_of

Document = Mapping[str, Any]
Operation = Mapping[str, Any]

_HOME = '<a href="/docs">Stepwell API</a>'
_OWN = '<span class="tag">Stepwell\'s own</span>'
_PLACES = {"path": "Path parameters", "query": "Query parameters", "header": "Headers"}


def overview(document: Document) -> str:
    """Return the page that lists all operations, by tag."""
    groups = [_group(document, tag) for tag in document["tags"]]
    about = f"<h1>{escape(document['info']['title'])} API {escape(document['info']['version'])}</h1>"
    about += f"<p>{prose(document['info']['description'])}</p>"
    links = '<p><a href="/openapi.json">openapi.json</a> has all of this for programs. '
    links += (
        f'<a href="{escape(document["externalDocs"]["url"])}">Cloudflare\'s reference</a> describes their side.</p>'
    )
    return page("Reference", _HOME, about + links + "".join(groups))


def operation(document: Document, id: str, server: str) -> str | None:
    """Return the page of an operation; None if there is none of this id. `server` is what its examples talk to."""
    for method, pattern, found in _operations(document):
        if found["operationId"] == id:
            way = f"{_HOME} / {escape(found['tags'][0])} / {escape(found['summary'])}"
            return page(found["summary"], way, _operation(document, method, pattern, found, server))
    return None


def _operations(document: Document) -> Iterator[tuple[str, str, Operation]]:
    for pattern, methods in document["paths"].items():
        for method, found in methods.items():
            yield method.upper(), pattern, found


def _group(document: Document, tag: Schema) -> str:
    lines = [
        f'<li>{_method(method)} <a href="/docs/{escape(found["operationId"])}">{escape(found["summary"])}</a>'
        f'<br><code class="muted">{_path(pattern)}</code></li>'
        for method, pattern, found in _operations(document)
        if found["tags"][0] == tag["name"]
    ]
    return section(tag["name"], f"<p>{prose(tag['description'])}</p>", f'<ul class="plain">{"".join(lines)}</ul>')


def _operation(document: Document, method: str, pattern: str, found: Operation, server: str) -> str:
    components = document["components"]["schemas"]
    call = call_of(server, method, pattern, found)
    main = [
        _security(document, found),
        _parameters(found, components),
        _body(found, components),
        _returns(found, components),
        _errors(found),
    ]
    beside = [
        section("Examples", *_placeholders(found), *_samples(samples.all_of(call, found.get("x-cli", [])))),
        _response(found),
    ]
    return (
        f"{_head(method, pattern, found)}"
        f'<div class="columns"><div>{"".join(main)}</div><div class="beside">{"".join(beside)}</div></div>'
    )


def _head(method: str, pattern: str, found: Operation) -> str:
    own = f" {_OWN}" if found.get("x-stepwell-extension") else ""
    docs = found.get("externalDocs")
    link = f' <a href="{escape(docs["url"])}">Cloudflare\'s page</a>' if docs else ""
    return (
        f"<h1>{escape(found['summary'])}</h1><p>{_method(method)} <code>{_path(pattern)}</code>{own}</p>"
        f"<p>{prose(found['description'])}{link}</p>"
    )


def _method(method: str) -> str:
    return f'<span class="method {escape(method.lower())}">{escape(method)}</span>'


def _path(pattern: str) -> str:
    """Return a path that may be broken behind each slash."""
    return escape(pattern).replace("/", "/<wbr>")


# ---- what is asked


def _security(document: Document, found: Operation) -> str:
    if not found["security"]:
        return section("Security", "<p>Asks for no token.</p>")
    about = {name: scheme["description"] for name, scheme in document["components"]["securitySchemes"].items()}
    permissions = "".join(f'<span class="tag">{escape(name)}</span>' for name in found["x-permissions"])
    return section(
        "Security",
        f"<h3>API token</h3><p>{prose(about['api_token'])}</p>",
        code("Authorization: Bearer EXAMPLE-TOKEN"),
        f"<h3>API email and API key</h3><p>{prose(about['api_key'])}</p>",
        code("X-Auth-Email: user@example.com\nX-Auth-Key: EXAMPLE-KEY"),
        "<p>A server that was started without tokens asks for none.</p>",
    ) + section("Accepted permissions (at least one required)", f"<p>{permissions or 'Any token will do.'}</p>")


def _parameters(found: Operation, components: Components) -> str:
    parts = []
    for place, title in _PLACES.items():
        lines = [_parameter(given, components) for given in found["parameters"] if given["in"] == place]
        if lines:
            parts.append(f'<h3>{title}</h3><ul class="tree">{"".join(lines)}</ul>')
    return section("Parameters", *parts)


def _parameter(given: Schema, components: Components) -> str:
    notes = [
        "" if given.get("required") else "optional",
        "deprecated" if given.get("deprecated") else "",
        "Stepwell's own" if given.get("x-stepwell-extension") else "",
    ]
    schema = {**given["schema"], "description": given["description"]}
    return member(given["name"], schema, components, note=", ".join(note for note in notes if note))


def _body(found: Operation, components: Components) -> str:
    body = found.get("requestBody")
    if body is None:
        return ""
    (content,) = body["content"].values()
    schema = content["schema"]
    kind = type_of(schema, components)
    needed = "" if body["required"] else ' <span class="muted">optional</span>'
    inner = schema["items"] if schema.get("type") == "array" else schema
    bounds = [f"{schema[word]} {word}" for word in ("minItems", "maxItems") if word in schema]
    facts = "".join(f'<span class="tag">{escape(fact)}</span>' for fact in bounds)
    about = f'<p><span class="type">{escape(kind)}</span>{needed} {facts}</p><p>{prose(body["description"])}</p>'
    return section("Body", about, members(inner, components))


# ---- what is answered


def _returns(found: Operation, components: Components) -> str:
    status, answer = _answered(found)
    forms = (
        _form(f"{status} <code>{escape(kind)}</code>", form["schema"], components) for kind, form in answer.items()
    )
    return section("Returns", *forms)


def _answered(found: Operation) -> tuple[str, Mapping[str, Any]]:
    """Return the status with which all is well, and the forms of its answer."""
    status, response = next(iter(found["responses"].items()))
    return status, response["content"]


def _form(title: str, schema: Schema, components: Components) -> str:
    return f"<h3>{title}</h3>" + (
        members(schema, components) or f'<p class="type">{escape(type_of(schema, components))}</p>'
    )


def _errors(found: Operation) -> str:
    lines = [
        f"<tr><td>{status}</td><td>{error['code']}</td><td>{prose(error['when'])}"
        + (f'<br><code class="muted">{escape(error["key"])}</code>' if "key" in error else "")
        + "</td></tr>"
        for status, response in found["responses"].items()
        for error in response.get("x-errors", ())
    ]
    heads = ("Status", "Code", "When, and how the message begins")
    head = "<tr>" + "".join(f'<th scope="col">{name}</th>' for name in heads) + "</tr>"
    return section(
        "Errors", f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _placeholders(found: Operation) -> Iterator[str]:
    for given in found["parameters"]:
        if given.get("x-placeholder"):
            yield f"<p><code>{escape(given['example'])}</code> is a placeholder: put one of your own there.</p>"


def _samples(shown: Mapping[str, str]) -> Iterator[str]:
    is_open = " open"
    for language, text in shown.items():
        yield f'<details name="example"{is_open}><summary>{escape(language)}</summary>{code(text)}</details>'
        is_open = ""


def _response(found: Operation) -> str:
    content = _answered(found)[1].get("application/json", {})
    if "example" not in content:
        return ""
    return section("Response example", code(json.dumps(content["example"], indent=2, ensure_ascii=False)))
