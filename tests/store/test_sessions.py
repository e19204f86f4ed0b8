"""The contract of every store: the sessions of a token are bounded."""

from stepwell.store import Store
from stepwell.store.session_operations import BeginSession, ListSessions, SeeSession, SessionRow
from tests.store.scenes import NOW


async def begin(store: Store, id: str, at: int, token: str = "t") -> None:
    """Sign in with a token of which three sessions are let in."""
    await store.run(BeginSession("acme", SessionRow(id, "acme", token, "hash", at, at), most=3))


async def test_session_too_many_ends_the_one_used_longest_ago(store: Store) -> None:
    """One that is used stays, however old it is; those of other tokens are not touched."""
    await begin(store, "other", NOW, token="another")
    for at, id in enumerate("abc"):
        await begin(store, id, NOW + at)
    await store.run(SeeSession("a", NOW + 10))

    await begin(store, "d", NOW + 20)
    one_more = {row.id for row in await store.run(ListSessions())}
    await begin(store, "e", NOW + 20)

    assert one_more == {"other", "a", "c", "d"}
    assert {row.id for row in await store.run(ListSessions())} == {"other", "a", "d", "e"}
