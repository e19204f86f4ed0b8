"""`stepwell token`: make, list and revoke tokens, and sign browsers out, in the store itself."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click

from stepwell.audit import AuditedStore, asking, by_command
from stepwell.cli import times
from stepwell.cli.failures import NOT_FOUND, Failure
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import say
from stepwell.clock import SystemClock
from stepwell.core.steplog import iso
from stepwell.store.session_operations import EndSessions, ListSessions, SessionRow
from stepwell.store.token_operations import TokenRow
from stepwell.tokens import Permission, Tokens

_SCOPES = {
    "read": Permission.SCRIPTS_READ,
    "write": Permission.SCRIPTS_WRITE,
    "deploy": Permission.DEPLOY,
    "audit": Permission.AUDIT,
    "metrics": Permission.METRICS,
    "webhooks": Permission.WEBHOOKS,
}

_COLUMNS = (
    Column("id", lambda token: token["id"]),
    Column("account", lambda token: token["account"]),
    Column("state", lambda token: token["state"]),
    Column("permissions", lambda token: ", ".join(token["permissions"]), rank=1),
    Column("email", lambda token: token["email"] or "-", rank=4),
    Column("expires", lambda token: times.exact(token["expires_on"]) if token["expires_on"] else "never", rank=3),
    Column("name", lambda token: token["name"] or "-", rank=2),
)

_SESSION_COLUMNS = (
    Column("token", lambda session: session["token"]),
    Column("name", lambda session: session["name"] or "-", rank=1),
    Column("account", lambda session: session["account"], rank=2),
    Column("since", lambda session: times.exact(session["created_on"]), rank=3),
    Column("last used", lambda session: times.exact(session["seen_on"])),
    Column("id", lambda session: session["id"], rank=4),
)


def create(store: str, account: str, scopes: Sequence[str], permissions: Sequence[str], **more: Any) -> int:
    """Make a token and print its secret and nothing else; return the exit code."""
    wanted = [*(_SCOPES[scope] for scope in scopes), *map(Permission, permissions)] or [Permission.SCRIPTS_READ]
    expires = more.pop("expires", None)
    lifetime_ms = None if expires is None else times.to_ms(expires)
    if expires is not None and not lifetime_ms:
        raise click.BadParameter(f'{expires!r:.60} is no duration; give one such as "90 days"', param_hint="--expires")

    async def work(tokens: Tokens) -> int:
        click.echo(await tokens.create(account, wanted, lifetime_ms=lifetime_ms, **more))
        return 0

    return _with_tokens(store, work)


def show(store: str, out: Output) -> int:
    """Print all tokens, without their secrets; return the exit code."""

    async def work(tokens: Tokens) -> int:
        if not out.show_all([_described(row) for row in await tokens.list()], _COLUMNS):
            say("There is no token yet; `stepwell token create` makes one")
        return 0

    return _with_tokens(store, work)


def revoke(store: str, id: str) -> int:
    """Let a token be good for nothing from now on; return the exit code: 4 if there is none of this id."""

    async def work(tokens: Tokens) -> int:
        if await tokens.revoke(id):
            say(f"{id} is good for nothing any more")
            return 0
        raise Failure(f"no token {id!r:.60} that is still good", NOT_FOUND, "`stepwell token list` shows all")

    return _with_tokens(store, work)


def show_sessions(store: str, out: Output) -> int:
    """Print the sessions of browsers whose tokens are good; return the exit code."""

    async def work(tokens: Tokens) -> int:
        names = {row.id: row.name for row in await tokens.list() if _state(row) == "good"}
        rows = [row for row in await tokens.store.run(ListSessions()) if row.token in names]
        if not out.show_all([_described_session(row, names[row.token]) for row in rows], _SESSION_COLUMNS):
            say("No browser is signed in")
        return 0

    return _with_tokens(store, work)


def sign_out(store: str, id: str) -> int:
    """End all sessions of a token; return the exit code: 4 if it has none."""

    async def work(tokens: Tokens) -> int:
        account = next((row.account for row in await tokens.list() if row.id == id), "")
        if await tokens.store.run(EndSessions(account, id)):
            say(f"browsers that {id} had signed in are signed out")
            return 0
        raise Failure(
            f"no browser is signed in by a token {id!r:.60}", NOT_FOUND, "`stepwell token sessions` shows all"
        )

    return _with_tokens(store, work)


def _with_tokens(store: str, work: Callable[[Tokens], Awaitable[int]]) -> int:
    with asking(by_command(SystemClock().now())):
        return with_store(store, lambda opened: work(Tokens(AuditedStore(opened), SystemClock())))


def _state(row: TokenRow) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= SystemClock().now() else "good"


def _described(row: TokenRow) -> Item:
    return {
        "id": row.id,
        "account": row.account,
        "name": row.name,
        "state": _state(row),
        "permissions": row.permissions,
        "email": row.email,
        "created_on": iso(row.created_at),
        "expires_on": None if row.expires_at is None else iso(row.expires_at),
    }


def _described_session(row: SessionRow, name: str) -> Item:
    return {
        "id": row.id,
        "token": row.token,
        "name": name,
        "account": row.account,
        "created_on": iso(row.created_at),
        "seen_on": iso(row.seen_at),
    }
