"""The contract of every store: the facts of the log, of which the latest are kept."""

from typing import Any

from stepwell.store import Store
from stepwell.store.fact_operations import Fact, ListFacts, NoteFacts
from tests.store.scenes import NOW


def fact(message: str, **of: Any) -> Fact:
    """Return a fact of the account `acme`."""
    told = {"event": "turn.lost", "process": "server", "account": "acme", **of}
    return Fact(NOW, "warning", message=message, host="web-1:1", **told)


async def messages(store: Store, account: str | None = "acme", **what: Any) -> str:
    """Return the messages of one character that are listed, in their order."""
    found = await store.run(ListFacts(account, what.pop("limit", 100), **what))
    return "".join(noted.fact.message for noted in found)


async def test_facts_are_listed_the_latest_first(store: Store) -> None:
    """As they were told, a page at a time."""
    whole = fact("a", workflow="orders", instance="o-1")
    await store.run(NoteFacts([whole, fact("b")]))
    await store.run(NoteFacts([fact("c")]))

    (first,) = await store.run(ListFacts("acme", 1))

    assert first.fact == fact("c")
    assert await messages(store, before=first.row) == "ba"
    assert (await store.run(ListFacts("acme", 9)))[-1].fact == whole


async def test_facts_are_found_by_what_they_are_of(store: Store) -> None:
    """Those of other accounts, and of none, are for whom all are."""
    of = [{"event": "worker.died"}, {"process": "worker 1"}, {"workflow": "orders", "instance": "i"}, {"workflow": "x"}]
    await store.run(NoteFacts([fact(message, **each) for message, each in zip("abcd", of, strict=True)]))
    await store.run(NoteFacts([fact("e", account="other"), fact("f", account=None)]))

    assert [await messages(store, **each) for each in of] == ["a", "b", "c", "d"]
    assert [await messages(store, account) for account in ("acme", "other", None)] == ["dcba", "e", "fedcba"]


async def test_facts_before_the_last_ones_are_forgotten(store: Store) -> None:
    """However many come at once."""
    await store.run(NoteFacts([fact("a"), fact("b")], 3))
    await store.run(NoteFacts([fact("c"), fact("d")], 3))
    few = await messages(store)
    await store.run(NoteFacts([fact(message) for message in "efghij"], 3))

    assert (few, await messages(store)) == ("dcb", "jih")
