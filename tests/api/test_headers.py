"""What the head of every answer has, whatever is asked and whoever makes the answer."""

import asyncio

import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.api.app import Api
from stepwell.api.peers import Proxies
from stepwell.engine import Engine
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask, ask_socket
from tests.api.histories import Histories
from tests.api.test_auth import BUILT, OF_PAGE, path_of
from tests.api.test_events import serving

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
DOCUMENT = "text/html; charset=utf-8"
# What is the same for everybody, and is kept under its hash.
FILE = "public, max-age=31536000, immutable"


def check(answer: Answer) -> None:
    """Hold an answer to what all of them have."""
    headers = answer.headers
    policy = headers["content-security-policy"]
    kept = headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "'unsafe-eval'" not in policy
    # The document holds nothing that is anybody's, and is asked for again each time.
    assert (
        kept == "no-store" or (headers.get("content-type") in (DOCUMENT, None) and kept == "no-cache") or kept == FILE
    )
    assert "strict-transport-security" not in headers
    assert not {"server", "access-control-allow-origin", "x-powered-by"} & set(headers)
    assert answer.request_id


async def test_every_answer_has_the_headers(guarded: ASGIApp, app: ASGIApp, tokens: Tokens) -> None:
    """Each path by each method, let in and refused, as a plain request and as an upgrade."""
    bearer = ("authorization", f"Bearer {await tokens.create('local', list(Permission))}")
    evil = [("host", "evil.example")]

    for path in dict.fromkeys(map(path_of, BUILT)):
        for method in METHODS:
            check(await ask(guarded, path, method, headers=OF_PAGE))
            check(await ask(guarded, path, method, headers=[*OF_PAGE, bearer]))
        check(await ask(app, path))
        check(await ask(app, path, headers=evil))
        check(await ask(app, path, "POST", headers=[*OF_PAGE[:1], ("origin", "https://evil.example")]))
        check(await ask_socket(guarded, path, OF_PAGE))
        check(await ask_socket(app, path, evil))


async def test_answers_with_data_have_the_headers(guarded: ASGIApp, tokens: Tokens, histories: Histories) -> None:
    """Also where there is something to show: values, bytes, drawings, streams, logs, pages, and what does not exist."""
    await histories.complete("order", "a")
    await histories.draw(None)
    headers = [*OF_PAGE, ("authorization", f"Bearer {await tokens.create('local', list(Permission))}")]
    prefix, own = "/client/v4/accounts/local/workflows/order", "/client/v4/accounts/local/stepwell/workflows/order"

    for path in (
        f"{prefix}/instances/a",
        f"{prefix}/instances/a/step?name=charge-1",
        f"{own}/instances/a/events",
        f"{own}/instances/a/logs?follow=true",
        f"{own}/instances/a/logs",
        f"{own}/instances/a/graph?format=svg",
        f"{prefix}/versions",
        "/nowhere",
        "/ui/static/0/app.js",
        "//",
        "/%00",
    ):
        check(await ask(guarded, path, headers=headers))
    check(await ask(guarded, "/nowhere", headers=[*headers, ("accept", "text/html")]))


async def test_browser_over_tls_comes_back_over_tls(engine: Engine, histories: Histories) -> None:
    """A trusted proxy says that it came so; nobody else is believed, and plain HTTP is told nothing."""
    app: Api = create_app(engine, account="local", hosts=None, proxies=Proxies.of(["127.0.0.1"]))

    async def said(scheme: str | None, peer: str = "127.0.0.1") -> str | None:
        headers = [("host", "h"), *([] if scheme is None else [("x-forwarded-proto", scheme)])]
        return (await ask(app, "/", headers=headers, peer=peer)).headers.get("strict-transport-security")

    assert await said("https") == await said("http, https") == "max-age=31536000"
    assert [await said(one) for one in (None, "http", "https, http")] == [None] * 3
    assert await said("https", "192.0.2.1") is None
    engine.settings = replace(engine.settings, strict_transport="subdomains")
    assert await said("https") == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"x" * 70_000 + b"\r\n\r\n", id="large head"),
        pytest.param(
            b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", id="no handshake"
        ),
    ],
)
async def test_what_the_server_itself_refuses_has_them(app: Api, histories: Histories, sent: bytes) -> None:
    """What never reaches a route is JSON that is not kept, and is taken for nothing else."""
    async with serving(app) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().lower()
        writer.close()

    assert "\r\nx-content-type-options: nosniff\r\n" in head
    assert "\r\ncache-control: no-store\r\n" in head
    assert "\r\ncontent-type: application/json\r\n" in head
