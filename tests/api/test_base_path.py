"""A server below a path of a proxy: all that it answers keeps to that path, whether the proxy takes it away or not."""

import re

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.dashboard import shell
from stepwell.engine import Engine
from stepwell.tokens import Permission, Tokens
from tests.api.histories import Histories

BASE = "/shop/flows"
HOST = "http://stepwell.example"
PAGE = {"origin": HOST, "x-stepwell-page": "1"}


@pytest.fixture
def below(engine: Engine, histories: Histories, tokens: Tokens) -> ASGIApp:
    """An application below a path that asks for tokens."""
    return create_app(engine, account=None, hosts=None, tokens=tokens, base=BASE)


@pytest.fixture
def asked(below: ASGIApp) -> httpx.AsyncClient:
    """A client of it."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(below), base_url=HOST)


@pytest.mark.parametrize("path", [BASE, f"{BASE}/", f"{BASE}/workflows/a", "/workflows/a"])
async def test_document_leads_below_the_path(asked: httpx.AsyncClient, path: str) -> None:
    """Its files and links are there, and the page is told, also where the proxy takes the path away."""
    text = (await asked.get(path)).text

    assert '<html lang="en" data-base="/shop/flows">' in text
    links = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(links) == 5
    assert [link for link in links if not link.startswith(f"{BASE}/")] == []
    assert (await asked.get(links[0])).status_code == 200


@pytest.mark.parametrize("path", [f"{BASE}x/healthz", "/shop/healthz", f"{BASE}{BASE}/healthz"])
async def test_other_path_is_not_taken_for_it(asked: httpx.AsyncClient, path: str) -> None:
    """Only the whole of it, once, and whole parts."""
    assert (await asked.get(path)).status_code == 404


async def test_session_is_sent_below_the_path_alone(asked: httpx.AsyncClient, tokens: Tokens) -> None:
    """Another program at the same name gets no token, and the end of the session is that of the same cookie."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])

    signed_in = await asked.post(f"{BASE}/ui/session", json={"token": secret}, headers=PAGE)
    shown = await asked.get(f"{BASE}/client/v4/accounts/acme/workflows")
    signed_out = await asked.delete(f"{BASE}/ui/session", headers=PAGE)

    assert shown.json()["result"] == []
    for answer in (signed_in, signed_out):
        assert "; Path=/shop/flows;" in answer.headers["set-cookie"]


async def test_reference_leads_below_the_path(asked: httpx.AsyncClient) -> None:
    """Programs that read the document ask there, pages link there, and samples say so."""
    document = (await asked.get(f"{BASE}/openapi.json")).json()
    pages = [(await asked.get(f"{BASE}/docs{page}")).text for page in ("", "/stepwell-hosts")]

    assert document["servers"] == [{"url": BASE}]
    for page in pages:
        assert [link for link in re.findall(r'href="(/[^"]*)"', page) if not link.startswith(f"{BASE}/")] == []
    assert f"{HOST}{BASE}/client/v4/" in pages[1]


def test_document_without_a_path_is_as_before() -> None:
    """Nothing is said of a path where there is none."""
    assert "data-base" not in shell.document()
