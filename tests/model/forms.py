"""What the oracle says in its words, as an engine is told."""

from collections.abc import Awaitable, Callable
from typing import Any

from stepwell import searches
from stepwell.engine import NewInstance
from stepwell.store.once import IdempotencyKey
from stepwell.store.operations import Retention, VersionSettings
from stepwell.store.search_operations import Wanted
from stepwell.testing import ACCOUNT
from stepwell.tokens import Tokens
from tests.model.account import Search, Wish
from tests.model.instance import Kept
from tests.model.sides import Side
from tests.model.snapshot import PER_PAGE


def of_job(verb: str, id: str) -> Callable[[Side], Awaitable[Any]]:
    """Return what asks a side something of a job."""
    return lambda side: getattr(side.engine.jobs, verb)(ACCOUNT, id)


def tokens(side: Side) -> Tokens:
    """Return the tokens of a side."""
    return Tokens(side.engine.store, side.engine.clock)


def split(step: tuple[str, str]) -> tuple[str, int, str]:
    """Return name, count and kind of a step that a restart or a fork begins at."""
    name, kind = step
    return name, 1, kind


async def found(side: Side, workflow: str | None, wanted: Wanted) -> list[str]:
    """Return the ids of what is found, page by page."""
    ids: list[str] = []
    page = searches.Page(PER_PAGE)
    while True:
        answer = await searches.search(side.engine, ACCOUNT, workflow, wanted, page)
        ids += [each.id for each in answer.instances]
        if answer.looked_to is None:
            return ids
        page = searches.Page(PER_PAGE, answer.looked_to)


def new_instance(wish: Wish) -> NewInstance:
    """Return what an engine is told of an instance to create."""
    retention = Retention(wish.kept.success_ms, wish.kept.error_ms) if wish.kept != Kept() else None
    return NewInstance(wish.id, wish.params, retention=retention, labels=dict(wish.labels))


def settings(concurrency: int | None, kept: Kept, crons: tuple[str, ...]) -> VersionSettings:
    """Return the settings of a version."""
    return VersionSettings(None, concurrency, kept.success_ms, kept.error_ms, crons)


def wanted(search: Search) -> Wanted:
    """Return what an engine is told of a search."""
    return Wanted(
        statuses=search.statuses,
        labels=dict(search.labels),
        id_prefix=search.prefix,
        trigger=search.trigger,
        error_name=search.error,
        least_ms=search.least_ms,
    )


def sent(key: str | None, *said: object) -> tuple[str, str] | None:
    """Return an Idempotency-Key with all that is said under it."""
    return None if key is None else (key, repr(said))


def as_key(sent: tuple[str, str] | None) -> IdempotencyKey | None:
    """Return the same as an engine is told."""
    return None if sent is None else IdempotencyKey(*sent)
