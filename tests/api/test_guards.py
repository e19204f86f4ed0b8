"""Who may ask at all."""

import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.engine import Engine
from tests.api.asgi import ask
from tests.api.histories import Histories


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost", id="name"),
        pytest.param("localhost:8787", id="name and port"),
        pytest.param("LocalHost:8787", id="capitals"),
        pytest.param("127.0.0.1:8787", id="address"),
        pytest.param("[::1]:8787", id="address of version 6"),
        pytest.param("[::1]", id="address of version 6 without port"),
        pytest.param("shop.localhost:1", id="name below localhost"),
    ],
)
async def test_loopback_host_is_taken(app: ASGIApp, host: str) -> None:
    """Every name of this machine's loopback is answered."""
    answer = await ask(app, "/healthz", headers={"host": host})

    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("host", "evil.example")], id="another name"),
        pytest.param([("host", "evil.example:8787")], id="another name and port"),
        pytest.param([("host", "localhost.evil.example")], id="prefix"),
        pytest.param([("host", "evillocalhost")], id="suffix without a dot"),
        pytest.param([("host", "192.168.1.7:8787")], id="another address"),
        pytest.param([("host", "127.0.0.1.nip.io")], id="name that looks like an address"),
        pytest.param([("host", "")], id="empty"),
        pytest.param([], id="none"),
        pytest.param([("host", "localhost"), ("host", "evil.example")], id="two"),
    ],
)
async def test_other_host_is_refused(app: ASGIApp, headers: list[tuple[str, str]]) -> None:
    """A name that was pointed at this machine is 403; the message says which are allowed, how to add one."""
    answer = await ask(app, "workflows", headers=headers)

    status, code, message = answer.refusal()

    assert (status, code) == (403, 10000)
    assert "this server answers to: *.localhost, 127.0.0.1, [::1], localhost." in message
    assert "--allow-host" in message


async def test_any_host_is_taken_where_none_are_listed(engine: Engine, histories: Histories) -> None:
    """A server for the network answers under every name."""
    app = create_app(engine, account="local", hosts=None)

    answer = await ask(app, "workflows", headers={"host": "anything.example"})

    assert answer.status == 200


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("https://evil.example", id="another site"),
        pytest.param("null", id="sandboxed page"),
        pytest.param("http://localhost:3000", id="another port"),
        pytest.param("http://localhost:8787.evil.example", id="prefix"),
    ],
)
async def test_change_from_another_sites_page_is_refused(app: ASGIApp, histories: Histories, origin: str) -> None:
    """A page of another origin cannot post to this server, although browsers would send the request."""
    headers = {"host": "localhost:8787", "origin": origin}

    answer = await ask(app, "workflows/order/instances", "POST", b"{}", headers)
    listed = await ask(app, "workflows/order/instances")

    assert answer.refusal()[:2] == (403, 10000)
    assert listed.json()["result"] == []


async def test_change_from_this_servers_page_is_taken(app: ASGIApp, histories: Histories) -> None:
    """A page of the same origin may post."""
    headers = {"host": "localhost:8787", "origin": "http://localhost:8787"}

    answer = await ask(app, "workflows/order/instances", "POST", b"{}", headers)

    assert answer.status == 200


async def test_reading_is_not_bound_to_an_origin(app: ASGIApp, histories: Histories) -> None:
    """A GET changes nothing and needs no check: browsers keep its answer from other pages."""
    headers = {"host": "localhost:8787", "origin": "https://evil.example"}

    answer = await ask(app, "workflows", headers=headers)

    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, None)
