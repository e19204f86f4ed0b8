"""The contract of every store: tokens."""

from stepwell.store import Store
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken, TokenRow
from tests.store.scenes import NOW

READER = TokenRow("aa", "acme", "ci", "0" * 64, None, ["Workers Tail Read", "deploy"], NOW)
WRITER = TokenRow("bb", "acme", "", "1" * 64, "ann@example.com", ["Workers Scripts Write"], NOW + 1, NOW + 9)


async def test_token_is_found_by_its_id(store: Store) -> None:
    """Everything that was added is there, and nothing under another id."""
    await store.run(AddToken(READER))
    await store.run(AddToken(WRITER))

    assert await store.run(FindToken("aa")) == READER
    assert await store.run(FindToken("bb")) == WRITER
    assert await store.run(FindToken("cc")) is None


async def test_tokens_are_listed_by_account_and_creation(store: Store) -> None:
    """All tokens, those of an account together, the oldest first."""
    other = TokenRow("cc", "aardvark", "", "2" * 64, None, ["deploy"], NOW + 5)
    for token in (WRITER, READER, other):
        await store.run(AddToken(token))

    assert await store.run(ListTokens()) == [other, READER, WRITER]


async def test_token_is_revoked_once(store: Store) -> None:
    """The moment of the first time stays; a token that is not there is not revoked."""
    await store.run(AddToken(READER))

    done = [await store.run(RevokeToken(id, NOW + at)) for id, at in (("aa", 7), ("aa", 8), ("zz", 9))]

    found = await store.run(FindToken("aa"))
    assert done == [True, False, False]
    assert found is not None
    assert found.revoked_at == NOW + 7
