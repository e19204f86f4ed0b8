"""Short-lived tokens for the stream of one instance, for browsers, whose WebSockets send no headers of the caller's.

A token says when it ends, and is signed with a key that lives in the server's process alone: nothing is stored, and a
token ends with the server that made it. It stands in an address, so no address is logged with its query.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field

from stepwell.api.refusals import Unauthorized
from stepwell.clock import Clock
from stepwell.durations import MINUTE_MS

LIFETIME_MS = MINUTE_MS

# In characters.
LONGEST = 100

_KEY_BYTES = 32
_TOKEN = re.compile(r"(\d{1,15})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamTokens:
    """Makes the tokens of a server, and knows them again."""

    clock: Clock
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    def make(self, *address: str) -> tuple[str, int]:
        """Return a token for the stream of this account, workflow and instance, and when it ends."""
        expires_at = self.clock.now() + LIFETIME_MS
        return f"{expires_at}.{self._sign(expires_at, address)}", expires_at

    def check(self, token: str, *address: str) -> None:
        """Raise Unauthorized if a token is not one for the stream at this address, or has ended."""
        found = _TOKEN.fullmatch(token)
        expires_at, signature = (0, "") if found is None else (int(found[1]), found[2])
        if not hmac.compare_digest(signature, self._sign(expires_at, address)):
            raise Unauthorized("the token in the query is not for the stream of this instance; ask /subscribe/token")
        if expires_at <= self.clock.now():
            raise Unauthorized("the token in the query has expired; ask /subscribe/token for another")

    def _sign(self, expires_at: int, address: tuple[str, ...]) -> str:
        # Names hold no NUL, so no two addresses are the same text.
        text = "\0".join((*address, str(expires_at)))
        digest = hmac.digest(self._key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
