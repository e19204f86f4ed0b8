"""What the oracle says in its words, as an engine is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stepwell import searches
from stepwell.children import Children
from stepwell.core.stepview import StepQuery
from stepwell.engine import NewInstance
from stepwell.store.account_operations import Trigger, TriggerTarget
from stepwell.store.once import IdempotencyKey
from stepwell.store.operations import Retention, VersionSettings
from stepwell.store.search_operations import Wanted as Searched
from stepwell.subscriptions import Wanted
from stepwell.testing import ACCOUNT
from stepwell.tokens import Tokens
from tests.model.account import Search, Wish
from tests.model.instance import Kept
from tests.model.programs import told_of
from tests.model.sides import Side
from tests.model.snapshot import PER_PAGE, SCRIPT


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


async def found(side: Side, workflow: str | None, wanted: Searched) -> list[str]:
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


def triggers(wanted: Sequence[tuple[str, str]]) -> list[Trigger]:
    """Return event triggers, of which each has a type and starts a workflow."""
    return [
        Trigger(type=type, targets=[TriggerTarget(type="workflow", workflow_name=name, script_name=SCRIPT)])
        for type, name in wanted
    ]


async def is_as_known(side: Side, workflow: str, id: str) -> bool:
    """Tell whether an instance that has just been read is told to be as it was."""
    known = (await side.engine.get(ACCOUNT, workflow, id)).row
    return await side.engine.get_if_changed(ACCOUNT, workflow, id, with_steps=True, known=known) is None


async def step(side: Side, workflow: str, id: str, query: StepQuery) -> tuple[bool, str | None]:
    """Return whether a step has ended, and of what a stream of it consists."""
    view = await side.engine.step(ACCOUNT, workflow, id, query)
    text = None
    if view.stream is not None:
        text = told_of(b"".join([piece async for piece in side.engine.pieces(view.stream)]))
    return view.status not in ("running", "waiting"), text


async def family(side: Side, workflow: str, id: str) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of an instance's family, of its parents and of its children."""
    children = Children(side.engine)
    members = (await children.family(ACCOUNT, workflow, id)).members
    found = await children.relatives((await side.engine.get(ACCOUNT, workflow, id, with_steps=False)).row)
    return [each.id for each in members], [each.id for each in found.parents], [each.id for each in found.children]


async def notices(side: Side, workflow: str, id: str) -> list[str]:
    """Return the types of all that a subscriber of an instance is told; the last one is "over" if that is all."""
    subscription = await side.engine.subscriptions.open(ACCOUNT, workflow, id, Wanted())
    told: list[str] = []

    async def listen() -> None:
        while (one := await subscription.next()) is not None:
            told.append(one.notice.type.value)
        told.append("over")

    listening = asyncio.get_running_loop().create_task(listen())
    await side.test.run_until_idle()
    subscription.close() if told[-1] != "over" else None
    listening.cancel()
    await asyncio.wait([listening])
    return told


async def decision(side: Side, workflow: str, id: str) -> str:
    """Return what was decided last of an instance's steps."""
    row = (await side.engine.get(ACCOUNT, workflow, id, with_steps=False)).row.row
    return str((await side.engine.forcing.decisions(row))[0].action)


def settings(concurrency: int | None, kept: Kept, crons: tuple[str, ...]) -> VersionSettings:
    """Return the settings of a version."""
    return VersionSettings(None, concurrency, kept.success_ms, kept.error_ms, crons)


def wanted(search: Search) -> Searched:
    """Return what an engine is told of a search."""
    return Searched(
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
