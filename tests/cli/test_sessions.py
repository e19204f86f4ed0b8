"""`stepwell token sessions` and `sign-out`, beside a server that goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import SOURCE, run
from tests.cli.test_signing_in import TokenServer


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[TokenServer]:
    """A server that asks for tokens."""
    (tmp_path / "flows.py").write_text(SOURCE)
    with TokenServer(tmp_path, "--account", "acme") as started:
        yield started


@contextmanager
def _signed_in(server: TokenServer, secret: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"origin": server.url, "x-stepwell-page": "1"}) as browser:
        assert browser.post("/ui/session", json={"token": secret}).status_code == 200
        yield browser


def test_browsers_are_listed_and_signed_out(guarded: TokenServer) -> None:
    """All of one token, at once; another one's stay, and so does the token, which signs in again."""
    ann, bob = [guarded.token("--name", name, "--scope", "read") for name in ("ann", "bob")]
    with _signed_in(guarded, ann) as first, _signed_in(guarded, ann) as second, _signed_in(guarded, bob) as other:
        listed = run("token", "sessions", "--store", guarded.store, "-o", "json")
        out = run("token", "sign-out", ann.split("_")[1], "--store", guarded.store)
        statuses = [browser.get("/ui/overview").status_code for browser in (first, second, other)]
        again = run("token", "sign-out", ann.split("_")[1], "--store", guarded.store)
        left = run("token", "sessions", "--store", guarded.store, "-o", "json")

        assert [(each["name"], each["account"]) for each in json.loads(listed.stdout)] == [
            ("ann", "acme"),
            ("ann", "acme"),
            ("bob", "acme"),
        ]
        assert (out.exit_code, statuses) == (0, [401, 401, 200])
        assert (again.exit_code, "no browser is signed in by a token" in again.stderr) == (4, True)
        assert [each["name"] for each in json.loads(left.stdout)] == ["bob"]
        run("token", "revoke", bob.split("_")[1], "--store", guarded.store)
        assert json.loads(run("token", "sessions", "--store", guarded.store, "-o", "json").stdout) == []
        assert first.post("/ui/session", json={"token": ann}).status_code == 200
        assert first.get("/ui/overview").status_code == 200
