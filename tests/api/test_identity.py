"""What Cloudflare's tools ask before anything else: token, user, accounts, memberships."""

from typing import Any

import pytest
from starlette.types import ASGIApp

from stepwell import __version__
from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask

USER = "/client/v4/user"
WHOAMI = "/client/v4/accounts/{}/stepwell/whoami"
ACCOUNT = {"id": "local", "name": "local", "type": "standard", "settings": {"enforce_twofactor": False}}


async def _result(app: ASGIApp, target: str) -> Any:
    answer = await ask(app, target)
    assert answer.status == 200
    return answer.json()["result"]


async def test_token_is_active(app: ASGIApp) -> None:
    """Whoever gets that far is told so, in Cloudflare's words."""
    answer = (await ask(app, f"{USER}/tokens/verify")).json()

    assert answer["messages"] == [{"code": 10000, "message": "This API Token is valid and active"}]
    assert answer["result"].keys() == {"id", "status"}
    assert (len(answer["result"]["id"]), answer["result"]["status"]) == (32, "active")


async def test_user_is_the_owner(app: ASGIApp) -> None:
    """There is one user; it is the same at each request, and no token."""
    user, again = await _result(app, USER), await _result(app, f"{USER}/")

    assert user == again
    assert (user["email"], user["suspended"]) == ("owner@stepwell.invalid", False)
    assert user["id"] != (await _result(app, f"{USER}/tokens/verify"))["id"]


@pytest.mark.parametrize("query", ["", "?page=1", "?page=1&per_page=50", "?unknown=1"])
async def test_accounts_are_listed(app: ASGIApp, query: str) -> None:
    """The accounts that the caller may use, on one page."""
    answer = (await ask(app, f"/client/v4/accounts{query}")).json()

    assert answer["result"] == [ACCOUNT]
    assert (answer["result_info"]["total_count"], answer["result_info"]["total_pages"]) == (1, 1)


async def test_memberships_are_listed(app: ASGIApp) -> None:
    """The caller is a member of each of his accounts."""
    (member,) = await _result(app, "/client/v4/memberships?page=1")

    assert (member["account"], member["status"]) == (ACCOUNT, "accepted")
    assert member["roles"] == ["Super Administrator - All Privileges"]


@pytest.mark.parametrize("target", ["/client/v4/accounts?page=2", "/client/v4/memberships?page=2&per_page=1"])
async def test_page_past_the_end_is_empty(app: ASGIApp, target: str) -> None:
    """Tools ask for pages until one is empty."""
    assert await _result(app, target) == []


@pytest.mark.parametrize("target", ["/client/v4/accounts?per_page=51", "/client/v4/memberships?page=0"])
async def test_wrong_page_is_refused(app: ASGIApp, target: str) -> None:
    """A page that cannot be is 400."""
    assert (await ask(app, target)).refusal()[:2] == (400, 10002)


async def test_any_id_is_the_fixed_account(app: ASGIApp) -> None:
    """Where an account is fixed, each id means it, and is shown as it was given."""
    id = "0123456789abcdef0123456789abcdef"

    assert await _result(app, f"/client/v4/accounts/{id}") == {**ACCOUNT, "id": id, "name": id}


async def test_default_account_is_local(engine: Engine) -> None:
    """Where no account is fixed and none is in the path, it is the default one."""
    app = create_app(engine, account=None, hosts=None)

    assert await _result(app, "/client/v4/accounts") == [ACCOUNT]


async def test_caller_is_told_what_his_token_is_good_for(guarded: ASGIApp, tokens: Tokens, clock: VirtualClock) -> None:
    """Also one that may not even read; and which release answers, at what time."""
    secret = await tokens.create("acme", [Permission.DEPLOY], name="ci", lifetime_ms=1_000)

    answer = await ask(guarded, WHOAMI.format("acme"), headers={"host": "x", "authorization": f"Bearer {secret}"})
    elsewhere = await ask(guarded, WHOAMI.format("other"), headers={"host": "x", "authorization": f"Bearer {secret}"})

    assert answer.json()["result"] == {
        "account": "acme",
        "token": {"id": secret.split("_")[1], "name": "ci", "expires_on": iso(clock.now() + 1_000)},
        "permissions": ["deploy"],
        "version": __version__,
        "now": iso(clock.now()),
    }
    assert elsewhere.refusal()[:2] == (403, 10000)


async def test_server_without_tokens_lets_everybody_do_all(app: ASGIApp) -> None:
    """There is no token to tell of, and all permissions hold."""
    told = await _result(app, WHOAMI.format("local"))

    assert (told["account"], told["token"], told["permissions"]) == ("local", None, sorted(Permission))
