"""The pages of the reference show what the OpenAPI document says."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping

import pytest
from starlette.requests import Request

from stepwell.api import reference
from stepwell.api.openapi.document import OPERATIONS
from stepwell.api.openapi.operation import NO_OPERATION
from stepwell.api.query import Query
from stepwell.api.reference import pages
from stepwell.api.refusals import RouteNotFound
from stepwell.api.request import ApiRequest, Served
from stepwell.api.stream_tokens import StreamTokens
from stepwell.engine import Engine
from tests.api.described import BY_ID, DOCUMENT


def asked(engine: Engine, path: Mapping[str, str], host: str = "flows.example.com") -> ApiRequest:
    """Return a request as handlers of pages see it."""
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/docs",
        "query_string": b"",
        "headers": [(b"host", host.encode("latin-1"))],
    }
    return ApiRequest("local", path, Query(b""), Request(scope), Served(engine, StreamTokens(engine.clock)))


async def html_of(engine: Engine, id: str, host: str = "flows.example.com") -> tuple[str, Mapping[str, str]]:
    """Return the page of an operation, and its headers."""
    answer = await reference.show_operation(engine, asked(engine, {"operation_id": id}, host))
    return bytes(answer.body).decode(), answer.headers


async def test_document_is_served(engine: Engine) -> None:
    """The handler answers with the document as JSON."""
    answer = await reference.show_document(engine, asked(engine, {}))

    assert answer.headers["content-type"] == "application/json"
    assert json.loads(bytes(answer.body)) == DOCUMENT


async def test_overview_leads_to_every_operation(engine: Engine) -> None:
    """The list has a link to the page of each operation, and to the document."""
    answer = await reference.list_operations(engine, asked(engine, {}))

    links = re.findall(r'href="/docs/([^"]+)"', bytes(answer.body).decode())
    assert sorted(links) == sorted(BY_ID)
    assert 'href="/openapi.json"' in bytes(answer.body).decode()


@pytest.mark.parametrize("id", BY_ID)
async def test_page_of_an_operation_has_all_its_parts(engine: Engine, id: str) -> None:
    """Each page shows route, permissions, parameters, answer, errors and examples."""
    method, pattern, operation = BY_ID[id]

    html, headers = await html_of(engine, id)

    assert headers["content-type"] == "text/html; charset=utf-8"
    text = html.replace("<wbr>", "")
    assert f">{method}</span> <code>{pattern}</code>" in text
    parts = re.findall(r"<h2>([^<]+)</h2>", html)
    assert {"Security", "Returns", "Errors", "Examples"} <= set(parts)
    assert ("Parameters" in parts) is bool(operation["parameters"])
    assert ("Body" in parts) is ("requestBody" in operation)
    shown = re.findall(r'<code class="name">([\w-]+)</code>', html)
    assert {given["name"] for given in operation["parameters"]} <= set(shown)
    assert all(f'<span class="tag">{name}</span>' in html for name in operation["x-permissions"])


@pytest.mark.parametrize("id", [None, *BY_ID])
async def test_page_loads_nothing_from_elsewhere(engine: Engine, id: str | None) -> None:
    """A page has no script and no resource; it leads to this server and to Cloudflare's documentation alone."""
    if id is None:
        answer = await reference.list_operations(engine, asked(engine, {}))
        html = bytes(answer.body).decode()
    else:
        html, _ = await html_of(engine, id)

    assert re.findall(r"<(?:script|img|link|iframe|object|form)\b|\bsrc=|\bon\w+=|\bstyle=", html) == []
    elsewhere = [link for link in re.findall(r'href="([^"]*)"', html) if not link.startswith(("/", "#"))]
    assert [link for link in elsewhere if not link.startswith("https://developers.cloudflare.com/")] == []


async def test_page_forbids_what_it_does_not_need(engine: Engine) -> None:
    """The policy allows the page's one style by its hash, and nothing else."""
    html, headers = await html_of(engine, "workflows-list")

    style = html.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def test_examples_talk_to_the_server_that_was_asked(engine: Engine) -> None:
    """The name under which the server was reached is part of each example; a forged one is not."""
    html, _ = await html_of(engine, "workflows-list", "flows.example.com:8787")
    forged, _ = await html_of(engine, "workflows-list", "x$(reboot)\"'><script>alert(1)</script>")

    assert html.count("http://flows.example.com:8787/client/v4") >= 4
    assert "reboot" not in forged
    assert "http://localhost:8787/client/v4" in forged


def test_markup_in_the_document_is_escaped() -> None:
    """Whatever a description, a name or an example says, it does not become markup."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    text = json.dumps(DOCUMENT).replace('"summary": "', f'"summary": "{attack}').replace("order-1", attack)
    text = text.replace('"description": "', f'"description": "{attack}').replace("Workers Tail Read", attack)
    hostile = json.loads(text)

    html = [pages.overview(hostile), *(pages.operation(hostile, id, "http://localhost") or "" for id in BY_ID)]

    assert re.findall(r"<(?:script|img)\b", "".join(html)) == []


async def test_unknown_operation_is_not_found(engine: Engine) -> None:
    """A page that is not there is a refusal, like a route that is not there."""
    with pytest.raises(RouteNotFound, match="no operation is called that"):
        await html_of(engine, "nothing")

    assert OPERATIONS["GET /docs/{operation_id}"].refused == (NO_OPERATION,)
    assert (NO_OPERATION.error.http_status, NO_OPERATION.error.code) == (404, 7003)
