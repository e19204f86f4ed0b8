"""What can be asked of a store about sessions: browsers that somebody has signed in with a token."""

import msgspec

from stepwell.limits import SESSIONS_PER_TOKEN
from stepwell.store.operations import Operation
from stepwell.store.token_operations import TokenRow


class SessionRow(msgspec.Struct, frozen=True, array_like=True):
    """A session. `token` is the id of its token, `hash` is of what its cookie holds; times in milliseconds."""

    id: str
    account: str
    token: str
    hash: str
    created_at: int
    seen_at: int


class FoundSession(msgspec.Struct, frozen=True, array_like=True):
    """A session, with its token as that is now."""

    session: SessionRow
    token: TokenRow


class BeginSession(Operation[None], frozen=True):
    """Add a session, in place of one of another id if that is there. Its id is one that none has had.

    Where its token has more than `most` then, those end that were used longest ago.
    """

    account: str
    session: SessionRow
    instead_of: str | None = None
    most: int = SESSIONS_PER_TOKEN


class FindSession(Operation[FoundSession | None], frozen=True):
    """Return a session, however old it is, and its token, whatever became of that; None: there is none of this id."""

    id: str


class ListSessions(Operation[list[SessionRow]], frozen=True):
    """Return all sessions, by account and beginning."""


class SeeSession(Operation[None], frozen=True):
    """Keep when a session was last used; one that has ended stays so."""

    id: str
    now: int


class EndSessions(Operation[bool], frozen=True):
    """End a session of a token, or all of them if none is named; False if there was none."""

    account: str
    token: str
    id: str | None = None


class ForgetSessions(Operation[int], frozen=True):
    """Forget sessions that were last used, or have begun, before a moment each; answer how many are gone."""

    seen_before: int
    begun_before: int
