"""Who comes in too often: requests are counted by the address that they come from, and by their token.

By address before anything is read of the store, by token once it is known to be good, so that nobody uses up another's.
Both are off unless settings say otherwise, and cost nothing then.
"""

from msgspec import Struct, field
from starlette.types import Scope

from stepwell.api.heads import Head
from stepwell.api.peers import Proxies
from stepwell.api.request_rate import Buckets, Rate, rate_of
from stepwell.engine import Engine
from stepwell.tokens import Caller

# What balancers ask all the time, and what costs nothing.
_UNCOUNTED = b"/healthz"


class Arrivals(Struct):
    """What is counted of a server's requests."""

    engine: Engine
    proxies: Proxies
    of_addresses: Buckets = field(default_factory=Buckets)
    of_tokens: Buckets = field(default_factory=Buckets)

    def count_address(self, scope: Scope, head: Head) -> None:
        """Count a request by its address, and say in the answer's head what is left. Raises TooManyRequests."""
        told = self.engine.settings
        if not told.requests_per_minute_of_address or scope["raw_path"] == _UNCOUNTED:
            return
        if (address := self.proxies.caller(scope)) is not None:
            rate = rate_of("address", told.requests_per_minute_of_address, told.request_burst_of_address)
            self._take(self.of_addresses, address, rate, head)

    def count_token(self, caller: Caller | None, head: Head) -> None:
        """Count a request by its token, in the same way."""
        told = self.engine.settings
        if told.requests_per_minute_of_token and caller is not None:
            rate = rate_of("token", told.requests_per_minute_of_token, told.request_burst_of_token)
            self._take(self.of_tokens, caller.token, rate, head)

    @staticmethod
    def _take(buckets: Buckets, key: str, rate: Rate, head: Head) -> None:
        headers = buckets.take(key, rate)
        head.extend((name.encode(), value.encode()) for name, value in headers.items())
