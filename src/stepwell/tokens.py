"""Tokens: who may use the API, for which account, and for what.

A secret is `sw_<id>_<random>`; the store has its id and a hash. The random part has 256 bits, so a plain SHA-256 is as
good as a slow hash. What a token may do is told by permission names: Cloudflare's, `deploy` for
uploads of code, `audit` for the audit log, `webhooks` for these, and `metrics` for `/metrics`.

Source: developers.cloudflare.com/fundamentals/api/reference/permissions/
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from stepwell import limits
from stepwell.clock import Clock
from stepwell.errors import InvalidInput, NotAuthenticated
from stepwell.store import Store
from stepwell.store.audit_operations import Way
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken, TokenRow


class Permission(StrEnum):
    """What a token may be good for. Each of the first three lets its holder read; the third also write."""

    TAIL_READ = "Workers Tail Read"
    SCRIPTS_READ = "Workers Scripts Read"
    SCRIPTS_WRITE = "Workers Scripts Write"
    DEPLOY = "deploy"
    AUDIT = "audit"
    WEBHOOKS = "webhooks"
    METRICS = "metrics"


READING = frozenset({Permission.TAIL_READ, Permission.SCRIPTS_READ, Permission.SCRIPTS_WRITE})
READING_CODE = frozenset({Permission.SCRIPTS_READ, Permission.SCRIPTS_WRITE})
WRITING = frozenset({Permission.SCRIPTS_WRITE})
DEPLOYING = frozenset({Permission.DEPLOY})
AUDITING = frozenset({Permission.AUDIT})
NOTIFYING = frozenset({Permission.WEBHOOKS})
MEASURING = frozenset({Permission.METRICS})

_PREFIX = "sw"
_SECRET = re.compile(rf"{_PREFIX}_([0-9a-f]{{16}})_[A-Za-z0-9_-]{{43}}", re.ASCII)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_NAME_LENGTH = 100
# Compared against where there is no token: that takes as long as where there is one.
_NO_HASH = "0" * 64


class Caller(Struct, frozen=True):
    """Who makes a request: the token's id, its account, what it is good for, its name, and until when it is good.

    `way`: whether the token came with the request, or as a browser's session.
    """

    token: str
    account: str
    permissions: frozenset[Permission]
    name: str = ""
    expires_at: int | None = None
    way: Way = "token"
    # The id of the session.
    session: str | None = None

    @property
    def known_as(self) -> str:
        """What histories call the caller."""
        return self.name or self.token


class Tokens(Struct, frozen=True):
    """The tokens of a store."""

    store: Store
    clock: Clock

    async def create(
        self,
        account: str,
        permissions: Sequence[Permission],
        *,
        name: str = "",
        email: str | None = None,
        lifetime_ms: int | None = None,
    ) -> str:
        """Make a token and return its secret, which is nowhere else.

        With an `email` it can also be sent as a key together with that address. Raises InvalidInput.
        """
        _check(account, permissions, name, email)
        id, now = secrets.token_hex(8), self.clock.now()
        secret = f"{_PREFIX}_{id}_{secrets.token_urlsafe(32)}"
        expires_at = None if lifetime_ms is None else now + lifetime_ms
        named = [str(permission) for permission in dict.fromkeys(permissions)]
        await self.store.run(AddToken(TokenRow(id, account, name, _hash(secret), email, named, now, expires_at)))
        return secret

    async def list(self) -> list[TokenRow]:
        """Return all tokens."""
        return await self.store.run(ListTokens())

    async def revoke(self, id: str) -> bool:
        """Let a token be good for nothing from now on; False if it was so before, or there is none of this id."""
        return await self.store.run(RevokeToken(id, self.clock.now()))

    async def is_good(self, id: str) -> bool:
        """Tell whether a token that was good when it was sent is so now: neither revoked nor expired."""
        row = await self.store.run(FindToken(id))
        return row is not None and self._problem(row) is None

    async def authenticate(self, secret: str, email: str | None = None) -> Caller:
        """Return whose secret it is; with an `email`, if it is the token's as well. Raises NotAuthenticated."""
        found = _SECRET.fullmatch(secret)
        row = None if found is None else await self.store.run(FindToken(found[1]))
        is_its_secret = hmac.compare_digest(_hash(secret), row.hash if row is not None else _NO_HASH)
        is_its_email = email is None or _is_its_email(row, email)
        if row is None or not (is_its_secret and is_its_email):
            raise NotAuthenticated("the token is not known here; `stepwell token create` makes one")
        if (problem := self._problem(row)) is not None:
            raise NotAuthenticated(f"the token has {problem}; `stepwell token create` makes another")
        return _caller(row)

    def caller_of(self, row: TokenRow) -> Caller | None:
        """Return who has a token; None: it is good for nothing any more."""
        return _caller(row) if self._problem(row) is None else None

    def _problem(self, row: TokenRow) -> str | None:
        """Return what has become of a token; None: it is good."""
        if row.revoked_at is not None:
            return "been revoked"
        return "expired" if row.expires_at is not None and row.expires_at <= self.clock.now() else None


def _caller(row: TokenRow) -> Caller:
    return Caller(row.id, row.account, frozenset(map(Permission, row.permissions)), row.name, row.expires_at)


def _check(account: str, permissions: Sequence[Permission], name: str, email: str | None) -> None:
    if not limits.is_account(account):
        raise InvalidInput("account", f'account must be {limits.ACCOUNT_RULE}, got "{account:.100}"')
    if not permissions:
        raise InvalidInput("permissions", f"a token needs a permission: {', '.join(Permission)}")
    if len(name) > _NAME_LENGTH or not name.isprintable():
        raise InvalidInput("name", f"name must be up to {_NAME_LENGTH} printable characters, got {name!r:.120}")
    if email is not None and _EMAIL.fullmatch(email) is None:
        raise InvalidInput("email", f'email must be an address such as "ann@example.com", got {email!r:.120}')


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def _is_its_email(row: TokenRow | None, email: str) -> bool:
    if row is None or row.email is None:
        return False
    return hmac.compare_digest(email.lower().encode(errors="surrogateescape"), row.email.lower().encode())
