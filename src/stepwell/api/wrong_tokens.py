"""Tokens that are not good: an address that sends many is told to slow down, and its right ones are taken all the same.

Nobody finds a secret of 256 bits by trying, so this is against noise: programs that go on with a token that was
revoked, and what they cost. Behind ten wrong ones from an address the next is 429 and not 401, with a `Retry-After`
that doubles from a second to a minute. Until then other wrong ones are refused too, those that were tried before
without a look into the store. A token that is good is never refused, whatever else comes from its address: so nobody
locks out anybody by guessing.
"""

import hashlib
import math
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct, field
from starlette.types import Scope

from stepwell.api.peers import Proxies
from stepwell.api.refusals import TooManyWrongTokens, Unauthorized
from stepwell.errors import NotAuthenticated
from stepwell.tokens import Caller, Tokens

# What an address may send that is answered as if it were the first.
FREE = 10
LONGEST_S = 60
# An address that has sent no wrong one for so long is as good as any.
FORGOTTEN_AFTER_S = 600.0
# About 3 MB together; those that came longest ago go first.
MOST_ADDRESSES = 10_000
MOST_SECRETS = 4_096


K = TypeVar("K")
V = TypeVar("V")


class _Wrong(Struct, frozen=True):
    """How many came from an address, when the last one did that was counted, and until when others are not."""

    count: int
    last_at: float
    waits_until: float


class WrongTokens(Struct):
    """Which came, and from where."""

    proxies: Proxies = field(default_factory=Proxies)
    now: Callable[[], float] = time.monotonic
    _addresses: dict[str, _Wrong] = field(default_factory=dict)
    # What is wrong with each, by its hash.
    _problems: dict[bytes, str] = field(default_factory=dict)

    async def authenticate(self, tokens: Tokens, scope: Scope, secret: str, email: str | None = None) -> Caller:
        """Return whose secret a request has. Raises Unauthorized or TooManyWrongTokens."""
        # Costs nothing as long as all are right.
        wait_s = self._wait_s(self.proxies.caller(scope)) if self._addresses else 0
        if wait_s and (problem := self._problems.get(_digest(secret, email))) is not None:
            raise TooManyWrongTokens(problem, wait_s)
        try:
            return await tokens.authenticate(secret, email)
        except NotAuthenticated as error:
            problem = str(error)
        _put(self._problems, _digest(secret, email), problem, MOST_SECRETS)
        wait_s = wait_s or self._count(self.proxies.caller(scope))
        raise TooManyWrongTokens(problem, wait_s) if wait_s else Unauthorized(problem)

    def _wait_s(self, address: str | None) -> int:
        """Return for how long an address has to wait, in whole seconds."""
        found = self._addresses.get(address or "")
        return 0 if found is None else max(0, math.ceil(found.waits_until - self.now()))

    def _count(self, address: str | None) -> int:
        """Count a wrong one; return for how long its address has to wait then."""
        if address is None:
            return 0
        now, before = self.now(), self._addresses.get(address)
        is_known = before is not None and now - before.last_at < FORGOTTEN_AFTER_S
        count = before.count + 1 if before is not None and is_known else 1
        wait_s = 0 if count <= FREE else min(2 ** min(count - FREE - 1, 10), LONGEST_S)
        _put(self._addresses, address, _Wrong(count, now, now + wait_s), MOST_ADDRESSES)
        return wait_s


def _put(kept: dict[K, V], key: K, value: V, most: int) -> None:
    kept.pop(key, None)
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value


def _digest(secret: str, email: str | None) -> bytes:
    return hashlib.sha256(f"{email}\0{secret}".encode(errors="surrogateescape")).digest()
