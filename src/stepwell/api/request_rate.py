"""How often requests may come, of one token and from one address, to this process.

A bucket for each: so many requests at once, and so many a minute from then on. Of a bucket only the moment is kept at
which it is full again, so each request costs the same. There are never more than so many, whatever addresses come: the
one that was asked for longest ago goes first, and is a full one when it is asked for again.

Source: developers.cloudflare.com/fundamentals/api/reference/limits/ (what is counted, code, headers)
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from stepwell.api.refusals import TooManyRequests

# About 2 MB of them.
MOST_BUCKETS = 10_000
_MINUTE_S = 60.0
# Below this a difference is one of rounding.
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Rate:
    """So many requests a minute, after so many at once. `name` is that of settings and headers."""

    name: str
    per_minute: int
    burst: int

    @cached_property
    def each_s(self) -> float:
        """How long it takes until there is one more."""
        return _MINUTE_S / self.per_minute

    @cached_property
    def policy(self) -> str:
        """What clients are told of the limit itself: how many requests, in how many seconds."""
        return f'"{self.name}";q={self.burst};w={math.ceil(self.burst * self.each_s - _ROUNDING_S)}'

    def headers(self, full_in_s: float) -> Mapping[str, str]:
        """Return what tells clients how many are left, where the bucket is full in so many seconds."""
        left = max(0, int((self.burst * self.each_s - full_in_s + _ROUNDING_S) / self.each_s))
        in_s = math.ceil(full_in_s - _ROUNDING_S)
        return {"ratelimit": f'"{self.name}";r={left};t={in_s}', "ratelimit-policy": self.policy}


@lru_cache(64)
def rate_of(name: str, per_minute: int, burst: int) -> Rate:
    """Return a rate: of the same numbers the same one, as each request asks for it."""
    return Rate(name, per_minute, burst)


@dataclass(slots=True)
class Buckets:
    """The buckets of all tokens, or of all addresses."""

    now: Callable[[], float] = time.monotonic
    # When each is full again; the one that was asked for last is the last.
    _full_at: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._full_at)

    def take(self, key: str, rate: Rate) -> Mapping[str, str]:
        """Take a request out of a bucket; return the headers that tell of the rest. Raises TooManyRequests."""
        now = self.now()
        before = max(self._full_at.pop(key, now), now)
        after = before + rate.each_s
        wait_s = after - now - rate.burst * rate.each_s
        is_empty = wait_s > _ROUNDING_S
        if len(self._full_at) >= MOST_BUCKETS:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[key] = full_at = before if is_empty else after
        headers = rate.headers(full_at - now)
        if is_empty:
            raise TooManyRequests(rate.name, rate.per_minute, rate.burst, math.ceil(wait_s), headers)
        return headers
