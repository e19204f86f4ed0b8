"""Cloudflare's clients for Node where requests come too often: they wait as long as they are told, or say so."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from stepwell.engine import Engine
from tests.compat.node.clients import ACCOUNT, HERE, INSTALL_S, Node
from tests.compat.test_wrangler import Wrangler

# The first test installs the clients, if that has not been done.
pytestmark = pytest.mark.timeout(60 + INSTALL_S)


@pytest.fixture
def api(port: int, engine: Engine) -> str:
    """The base URL of a server that takes a request a second from an address."""
    engine.settings = replace(engine.settings, requests_per_minute_of_address=60, request_burst_of_address=1)
    return f"http://127.0.0.1:{port}/client/v4"


async def test_typescript_client_waits_as_long_as_it_is_told(api: str, node: Node, tmp_path: Path) -> None:
    """A request that comes too soon is sent again when there is room for it; without tries left it is named."""
    shutil.copy(HERE / "too_often.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(node.packages)

    ran = await asyncio.to_thread(node.run, tmp_path / "too_often.mjs", ACCOUNT, api, cwd=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")
    said = json.loads(ran.stdout)
    # Its own first pause is half a second at most.
    assert said.pop("took_ms") > 900
    assert said == {"kind": "RateLimitError", "status": 429, "codes": [971], "policy": '"address";q=1;w=1'}


@pytest.mark.long
async def test_wrangler_says_that_it_asks_too_often(api: str, engine: Engine, node: Node, tmp_path: Path) -> None:
    """It does not wait by itself, but says what the server has said, and for how long."""
    engine.settings = replace(engine.settings, requests_per_minute_of_address=1)
    wrangler = Wrangler(node, api, "x", tmp_path)

    first, second = [await asyncio.to_thread(wrangler.run, "workflows", "list") for _ in range(2)]

    assert (first.returncode, first.stderr) == (0, "")
    assert second.returncode == 1
    assert "each address has 1 requests a minute" in second.stderr
    assert "[code: 971]" in second.stderr
    assert re.search(r'"Retry-After" header indicating you should wait \d\d second\(s\)', second.stderr)
