"""Sessions: browsers that somebody has signed in with a token.

What a session's cookie holds is drawn anew at each sign-in, says nothing of the token, and is good for nothing else;
the store has its id and a hash, so a session outlives a restart and is good at every host. It ends when somebody signs
out, with its token, when it was not used for a while, and some time after it began whatever was done. A page that is
open uses it.
"""

import hashlib
import hmac
import logging
import re
import secrets

from msgspec import Struct
from msgspec.structs import replace

from stepwell.durations import MINUTE_MS
from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.server_settings import Settings
from stepwell.store import Store
from stepwell.store.session_operations import (
    BeginSession,
    EndSessions,
    FindSession,
    SeeSession,
    SessionRow,
)
from stepwell.tokens import Caller, Tokens

_PREFIX = "ss"
_SECRET = re.compile(rf"{_PREFIX}_([0-9a-f]{{16}})_[A-Za-z0-9_-]{{43}}", re.ASCII)
# When a session was last used is kept no more exactly than that: a write for each request would be too many.
SEEN_EVERY_MS = MINUTE_MS

_log = logging.getLogger(__name__)


class Sessions(Struct, frozen=True):
    """The sessions of a store, by its tokens. `told`: how long they last."""

    tokens: Tokens
    told: Settings

    async def begin(self, caller: Caller, instead_of: str | None = None) -> str:
        """Sign in whoever has shown a token, in place of the session of an id; return what the cookie holds."""
        id, now = secrets.token_hex(8), self.tokens.clock.now()
        secret = f"{_PREFIX}_{id}_{secrets.token_urlsafe(32)}"
        row = SessionRow(id, caller.account, caller.token, _hash(secret), now, now)
        await self._store.run(BeginSession(caller.account, row, instead_of))
        return secret

    async def find(self, secret: str) -> Caller | None:
        """Return who is signed in by what a cookie holds, and keep that it was used; None: nobody is any more."""
        shape = _SECRET.fullmatch(secret)
        found = None if shape is None else await self._store.run(FindSession(shape[1]))
        if found is None or not hmac.compare_digest(_hash(secret), found.session.hash):
            return None
        caller = self.tokens.caller_of(found.token)
        if caller is None or self._has_ended(found.session):
            return None
        await self._see(found.session)
        return replace(caller, way="session", session=found.session.id)

    async def is_good(self, token: str, session: str | None) -> bool:
        """Tell whether a token that was good is so now, and the session, if it came by one; that is used."""
        if session is None:
            return await self.tokens.is_good(token)
        found = await self._store.run(FindSession(session))
        if found is None or self.tokens.caller_of(found.token) is None or self._has_ended(found.session):
            return False
        await self._see(found.session)
        return True

    async def end(self, caller: Caller) -> None:
        """Sign out whoever is signed in."""
        await self._store.run(EndSessions(caller.account, caller.token, caller.session))

    @property
    def _store(self) -> Store:
        return self.tokens.store

    def _has_ended(self, session: SessionRow) -> bool:
        now, told = self.tokens.clock.now(), self.told
        return now - session.seen_at > told.session_idle or now - session.created_at > told.session_lifetime

    async def _see(self, session: SessionRow) -> None:
        now = self.tokens.clock.now()
        if now - session.seen_at < min(SEEN_EVERY_MS, self.told.session_idle // 2):
            return
        try:
            await self._store.run(SeeSession(session.id, now))
        except StoreError as error:
            # What is asked may be a reading, which a disk that is full does not keep from being answered.
            _log.warning(
                "cannot keep that a session of the dashboard is used: %s",
                error,
                extra=fact("store.refused", error=error),
            )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
