"""What can be asked of a store about tokens: who may use the API, and for what."""

import msgspec

from stepwell.store.operations import Operation


class TokenRow(msgspec.Struct, frozen=True, array_like=True):
    """A token. `hash` is of its secret; `email` is the address that a key comes with; times in milliseconds."""

    id: str
    account: str
    name: str
    hash: str
    email: str | None
    permissions: list[str]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


class AddToken(Operation[None], frozen=True):
    """Add a token. Its id is one that no token has had."""

    token: TokenRow


class FindToken(Operation[TokenRow | None], frozen=True):
    """Return a token, also one that has been revoked or has expired; None: there is none of this id."""

    id: str


class ListTokens(Operation[list[TokenRow]], frozen=True):
    """Return all tokens, by account and creation."""


class RevokeToken(Operation[bool], frozen=True):
    """Let a token be good for nothing from now on; False if it was so before, or there is none of this id."""

    id: str
    now: int
