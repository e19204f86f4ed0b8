"""Instances that are searched for, as the API shows them in lists. Stepwell's own; moments are as in the log."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from stepwell import answers, models
from stepwell.core.doing import Doing, doing_now
from stepwell.core.records import StepKind
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store import codec
from stepwell.store.search_operations import Found, FoundInstance, SearchInstances, Wanted

# Of an error a list shows the first line, up to so many characters.
_LINE_CHARACTERS = 200
_DECODED_AT_ONCE = 500

# How a list calls what the log calls a step, a rollback, a sleep or a waitForEvent, by its kind.
_TYPES = {
    StepKind.DO: "step",
    StepKind.ROLLBACK: "rollback",
    StepKind.SLEEP: "sleep",
    StepKind.WAIT: "waitForEvent",
}


class CurrentStep(msgspec.Struct):
    """What an instance does now: the step that runs, or waits to be tried again, or the sleep or wait that it is in.

    `attempt` is that which runs, or failed last, as the log counts; 0 of a sleep or a wait. `until` is when a wait, a
    sleep or the delay of a retry is over at the latest. `others` counts what is open beside it.
    """

    step: str
    type: str
    state: str
    since: str
    until: str | None
    attempt: int
    event_type: str | None
    others: int


class SearchedInstance(models.ListedInstance):
    """What Cloudflare's list says of an instance, and what else people look for in one.

    `duration_ms` is from its start to its end, or until now; `error` is there if it is errored, its message's first
    line; `current` if it has begun and not ended, as far as its last records tell.
    """

    workflow_name: str
    duration_ms: int | None
    step_count: int
    labels: dict[str, str]
    error: models.ErrorText | None
    current: CurrentStep | None


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a search is wanted: `after` is where an earlier one had looked to."""

    limit: int = 50
    after: tuple[int, int] | None = None
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of a search, and where the next one goes on; None: this was the last.

    `is_partial`: there was no time to look for as many as were wanted.
    """

    instances: Sequence[SearchedInstance] = field(default_factory=list)
    looked_to: tuple[int, int] | None = None
    is_partial: bool = False


async def search(engine: Engine, account: str, workflow: str | None, wanted: Wanted, page: Page) -> SearchPage:
    """Return a page of a workflow's instances, or of all workflows' (None), by creation. Raises WorkflowNotFound."""
    now = engine.clock.now()
    # One more than is shown tells whether there is a next page.
    asked = SearchInstances(account, workflow, wanted, now, page.limit + 1, page.after, page.ascending)
    found = await engine.store.run(asked)
    if sum(len(one.tail) for one in found.instances) <= _DECODED_AT_ONCE:
        return _shown(found, page, now)
    # Many records take a while; others are to be answered meanwhile.
    return await asyncio.to_thread(_shown, found, page, now)


def _shown(found: Found, page: Page, now: int) -> SearchPage:
    kept = found.instances[: page.limit]
    shown = [_listed(one, now) for one in kept]
    if len(found.instances) > page.limit:
        return SearchPage(shown, (kept[-1].row.created_at, kept[-1].row.row))
    return SearchPage(shown, found.looked_to, is_partial=found.looked_to is not None)


def _listed(found: FoundInstance, now: int) -> SearchedInstance:
    row = found.row
    until = now if row.ended_at is None else row.ended_at
    return SearchedInstance(
        **msgspec.structs.asdict(answers.listed_instance(row)),
        workflow_name=row.workflow,
        duration_ms=None if row.started_at is None else max(until - row.started_at, 0),
        step_count=row.step_count,
        labels=found.labels,
        error=None if found.error is None else models.ErrorText(found.error.name, _first_line(found.error.message)),
        current=_current(doing_now(codec.from_rows(found.tail))),
    )


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0].rstrip()
    return line if len(line) <= _LINE_CHARACTERS else f"{line[:_LINE_CHARACTERS]}..."


def _current(doing: Doing | None) -> CurrentStep | None:
    if doing is None:
        return None
    return CurrentStep(
        step=doing.key.label,
        type=_TYPES[doing.key.kind],
        state=_state(doing),
        since=iso(doing.since),
        until=None if doing.until is None else iso(doing.until),
        attempt=doing.attempt,
        event_type=doing.event_type or None,
        others=doing.others,
    )


def _state(doing: Doing) -> str:
    if doing.is_running:
        return "running"
    return "retrying" if doing.key.has_attempts else "waiting"
