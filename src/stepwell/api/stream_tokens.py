"""Short-lived tokens for the stream of one instance, for browsers, whose WebSockets send no headers of the caller's.

A token says when it ends, and by which token of the API and which session it was asked for, and is signed with a key
that lives in the server's process alone: nothing is stored, and a token ends with the server that made it. It stands in
an address, so no address is logged with its query.
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
_TOKEN = re.compile(r"(\d{1,15})\.([0-9a-f]{16}(?:-[0-9a-f]{16})?|-)\.([A-Za-z0-9_-]{43})", re.ASCII)
# Who asked for it, where nobody needs a token to ask.
_NOBODY = "-"

# By which token something was asked for, and by which session, if by one.
Behind = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class StreamTokens:
    """Makes the tokens of a server, and knows them again."""

    clock: Clock
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    def make(self, by: Behind, *address: str) -> tuple[str, int]:
        """Return a token for the stream of this account, workflow and instance, and when it ends."""
        expires_at, id = self.clock.now() + LIFETIME_MS, "-".join(filter(None, by)) or _NOBODY
        return f"{expires_at}.{id}.{self._sign(expires_at, id, address)}", expires_at

    def check(self, token: str, *address: str) -> Behind:
        """Return by what a token was asked for that opens the stream at this address.

        Raises Unauthorized if it does not, or has ended.
        """
        found = _TOKEN.fullmatch(token)
        expires_at, id, signature = (0, "", "") if found is None else (int(found[1]), found[2], found[3])
        if not hmac.compare_digest(signature, self._sign(expires_at, id, address)):
            raise Unauthorized("the token in the query is not for the stream of this instance; ask /subscribe/token")
        if expires_at <= self.clock.now():
            raise Unauthorized("the token in the query has expired; ask /subscribe/token for another")
        by, _, session = id.partition("-")
        return by or None, session or None

    def _sign(self, expires_at: int, id: str, address: tuple[str, ...]) -> str:
        # Names hold no NUL, so no two addresses are the same text.
        text = "\0".join((*address, str(expires_at), id))
        digest = hmac.digest(self._key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
