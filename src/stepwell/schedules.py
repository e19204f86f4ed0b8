"""The schedules of an account, as our own routes show and change them."""

import asyncio
import uuid
from collections.abc import Sequence

import msgspec

from stepwell import cron
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.errors import InvalidInput
from stepwell.store.operations import InstanceRow
from stepwell.store.schedule_operations import (
    ChangeSchedule,
    GetSchedule,
    ListSchedules,
    Overlap,
    RunSchedule,
    ScheduleRow,
)

_SHOWN_FIRINGS = 5


class LastInstance(msgspec.Struct):
    """The newest instance of a schedule, and the moment that it was for."""

    id: str
    status: str
    scheduled_on: str


class ScheduleShown(msgspec.Struct):
    """A schedule of a workflow: when it creates instances, and what has become of it."""

    workflow_name: str
    cron: str
    description: str
    time_zone: str
    overlap: Overlap
    paused_on: str | None
    next: list[str]
    last: LastInstance | None
    skipped: int
    skipped_on: str | None


class ScheduleChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a schedule; what is left out, or null, stays."""

    paused: bool | None = None
    overlap: Overlap | None = None
    time_zone: str | None = None


async def page(
    engine: Engine, account: str, *, limit: int, offset: int = 0, workflow: str | None = None
) -> tuple[Sequence[ScheduleShown], int]:
    """Return a page of the account's schedules, or of a workflow's, and how many there are in all."""
    found = await engine.store.run(ListSchedules(account, limit, offset, workflow))
    return await _shown(engine, found.rows), found.total


async def get(engine: Engine, account: str, workflow: str, expression: str) -> ScheduleShown:
    """Return a schedule. Raises WorkflowNotFound or ScheduleNotFound."""
    row = await engine.store.run(GetSchedule(account, workflow, expression))
    return (await _shown(engine, [row]))[0]


async def change(
    engine: Engine, account: str, workflow: str, expression: str, changes: ScheduleChanges
) -> ScheduleShown:
    """Change a schedule; return it as it is then. Raises InvalidInput, WorkflowNotFound or ScheduleNotFound.

    What is changed stays for as long as the workflow has the expression, whatever its versions.
    """
    zone = changes.time_zone
    if zone is not None and not await asyncio.to_thread(cron.is_zone, zone):
        raise InvalidInput(
            "time_zone", f'body: time_zone must be the name of a time zone such as "Europe/Berlin", got "{zone:.100}"'
        )
    said = (changes.paused, changes.overlap, zone)
    row = await engine.store.run(ChangeSchedule(account, workflow, expression, engine.clock.now(), *said))
    return (await _shown(engine, [row]))[0]


async def run_now(engine: Engine, account: str, workflow: str, expression: str) -> InstanceRow:
    """Create an instance of a schedule at once, whose id no firing has. Raises WorkflowNotFound or ScheduleNotFound."""
    id = f"manual-{uuid.uuid4()}"
    return await engine.store.run(RunSchedule(account, workflow, expression, id, engine.clock.now()))


async def _shown(engine: Engine, rows: Sequence[ScheduleRow]) -> list[ScheduleShown]:
    # Time zones are read from files, and a rare firing is looked for long: others are to be answered meanwhile.
    now = engine.clock.now()
    return await asyncio.to_thread(lambda: [_show(row, now) for row in rows])


def _show(row: ScheduleRow, now: int) -> ScheduleShown:
    last = None
    if row.last_id is not None and row.last_status is not None and row.last_at is not None:
        last = LastInstance(row.last_id, row.last_status, iso(row.last_at))
    return ScheduleShown(
        workflow_name=row.workflow,
        cron=row.cron,
        description=cron.in_words(row.cron),
        time_zone=row.time_zone,
        overlap=row.overlap,
        paused_on=_moment(row.paused_at),
        next=[] if row.next_at is None else _next(row, max(now, row.next_at - 1)),
        last=last,
        skipped=row.skipped,
        skipped_on=_moment(row.skipped_at),
    )


def _next(row: ScheduleRow, after: int) -> list[str]:
    return list(map(iso, cron.upcoming(row.cron, after, row.time_zone, _SHOWN_FIRINGS)))


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(at)
