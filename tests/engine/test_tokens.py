"""Tokens: what is kept of them, and what is not."""

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stepwell.clock import VirtualClock
from stepwell.errors import InvalidInput, NotAuthenticated
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens


async def test_secret_is_nowhere_but_with_its_owner(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store's files have no part of the random half, and the log has nothing of it."""
    caplog.set_level(logging.DEBUG)
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
    tokens = Tokens(store, VirtualClock())

    secret = await tokens.create("local", [Permission.SCRIPTS_READ], name="ci")
    caller = await tokens.authenticate(secret)
    await store.close()

    content = await asyncio.to_thread(lambda: b"".join(file.read_bytes() for file in tmp_path.iterdir()))
    assert re.fullmatch(r"sw_[0-9a-f]{16}_[\w-]{43}", secret)
    assert caller.token.encode() in content
    assert secret[-43:-20].encode() not in content
    assert secret[-43:-20] not in caplog.text


async def test_token_tells_account_and_permissions() -> None:
    """Each permission once, in whatever order they were given."""
    tokens = Tokens(SqliteStore.in_memory(), VirtualClock())

    secret = await tokens.create("acme", [Permission.DEPLOY, Permission.TAIL_READ, Permission.DEPLOY])
    caller = await tokens.authenticate(secret)

    assert (caller.account, caller.permissions) == ("acme", frozenset({Permission.DEPLOY, Permission.TAIL_READ}))
    (row,) = await tokens.list()
    assert (row.id, row.permissions) == (caller.token, ["deploy", "Workers Tail Read"])
    await tokens.store.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"account": ""}, "account", id="no account"),
        pytest.param({"account": "a/b"}, "account", id="account with a slash"),
        pytest.param({"permissions": []}, "permissions", id="no permission"),
        pytest.param({"name": "a\x1b[31m"}, "name", id="name that a terminal obeys"),
        pytest.param({"name": "a" * 101}, "name", id="long name"),
        pytest.param({"email": "ann"}, "email", id="no address"),
    ],
)
async def test_token_that_cannot_be_is_refused(change: dict[str, Any], field: str) -> None:
    """The error names the field, and nothing is made."""
    tokens = Tokens(SqliteStore.in_memory(), VirtualClock())
    given = {"account": "local", "permissions": [Permission.DEPLOY], **change}

    with pytest.raises(InvalidInput) as refused:
        await tokens.create(given.pop("account"), given.pop("permissions"), **given)

    assert refused.value.field == field
    assert await tokens.list() == []
    await tokens.store.close()


async def test_token_without_an_address_is_no_key() -> None:
    """A key is bound to an address; no address that a request names stands for none."""
    tokens = Tokens(SqliteStore.in_memory(), VirtualClock())
    secret = await tokens.create("local", [Permission.DEPLOY])

    for email in ("", "\0", "ann@example.com"):
        with pytest.raises(NotAuthenticated):
            await tokens.authenticate(secret, email)
    await tokens.store.close()


async def test_token_that_was_revoked_or_has_expired_is_nobodys() -> None:
    """Whoever looks a token up by other ways than by its secret is told so, too."""
    clock = VirtualClock()
    tokens = Tokens(SqliteStore.in_memory(), clock)
    await tokens.create("acme", [Permission.DEPLOY], name="ann", lifetime_ms=1_000)
    (good,) = await tokens.list()

    caller = tokens.caller_of(good)
    revoked = tokens.caller_of(msgspec.structs.replace(good, revoked_at=clock.now()))
    clock.move_to(clock.now() + 1_000)

    assert caller is not None
    assert (caller.account, caller.name, caller.session) == ("acme", "ann", None)
    assert (revoked, tokens.caller_of(good)) == (None, None)
    await tokens.store.close()
