"""The operations on schedules: whose they are, what is said of them, and their firing.

A firing and what is due after it are one transaction, so an instance is there if and only if its schedule has moved on.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from stepwell import cron
from stepwell.core.records import Created, Firing, Terminated
from stepwell.durations import MINUTE_MS
from stepwell.errors import InstanceAlreadyExists, InvalidInput, ScheduleNotFound
from stepwell.store import codec
from stepwell.store.operations import CreateInstance, InstanceRow
from stepwell.store.schedule_operations import (
    ChangeSchedule,
    Fired,
    FireSchedules,
    GetSchedule,
    ListSchedules,
    RunSchedule,
    ScheduleRow,
    Schedules,
)
from stepwell.store.sql.control import end
from stepwell.store.sql.expressions import reckon, tell_due
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Statement, every, first, only
from stepwell.store.sql.transaction import ANYTHING, Transaction

Create = Callable[[Transaction, CreateInstance], InstanceRow]

_ROW = """
    select w.name, s.cron, s.time_zone, s.overlap, s.paused_at, s.next_at, s.last_at, i.id, i.status, s.skipped,
        s.skipped_at
    from schedules as s
    join workflows as w on w.row = s.workflow
    left join instances as i on i.row = s.last_instance and i.workflow = s.workflow
    """
_ONE = f"""
    {_ROW}
    where w.account = :account
        and w.name = :workflow
        and s.cron = :cron
    """
_PAGE = f"""
    {_ROW}
    where w.account = :account
        and w.name = coalesce(cast(:workflow as text), w.name)
    order by w.name, s.cron
    limit :limit
    offset :offset
    """
_TOTAL = """
    select count(*)
    from schedules as s
    join workflows as w on w.row = s.workflow
    where w.account = :account
        and w.name = coalesce(cast(:workflow as text), w.name)
    """
_COLUMNS = """
    select s.workflow, w.account, w.name, s.cron, s.time_zone, s.overlap, s.next_at, s.paused_at, s.unfinished
    from schedules as s
    join workflows as w on w.row = s.workflow
    """
_FIND = f"""
    {_COLUMNS}
    where w.account = :account
        and w.name = :workflow
        and s.cron = :cron
    """
_NAMED = Statement(_FIND, postgres=f"{_FIND} for update of s")
_EARLIEST = f"""
    {_COLUMNS}
    where s.next_at <= :now
    order by s.next_at, s.workflow, s.cron
    limit :limit
    """
# Another host that fires one, or deletes its workflow, is not waited for: there is nothing left to do then.
_DUE = Statement(_EARLIEST, postgres=f"{_EARLIEST} for update of s skip locked for key share of w skip locked")
_NEXT = """
    select min(next_at)
    from schedules
    where next_at > :now
    """
_CHANGE = """
    update schedules
    set time_zone = :time_zone,
        overlap = :overlap,
        next_at = :next_at,
        paused_at = :paused_at
    where workflow = :workflow
        and cron = :cron
    """
# The moment that it was due at is the one that it was fired for.
_MOVE_ON = """
    update schedules
    set next_at = :next_at
    where workflow = :workflow
        and cron = :cron
        and next_at = :due_at
    """
_REMEMBER = """
    update schedules
    set last_at = :last_at,
        last_instance = :last_instance,
        unfinished = :unfinished
    where workflow = :workflow
        and cron = :cron
    """
_COUNT_SKIPPED = """
    update schedules
    set skipped = skipped + 1,
        skipped_at = :skipped_at
    where workflow = :workflow
        and cron = :cron
    """
_STILL_UNFINISHED = """
    select row
    from instances
    where row in (select {rows})
        and workflow = :workflow
        and ended_at is null
    order by row
    """
_UNFINISHED = Statement(
    _STILL_UNFINISHED.format(rows="value from json_each(:rows)"),
    postgres=_STILL_UNFINISHED.format(
        rows="cast(value as bigint) from json_array_elements_text(cast(:rows as json)) as value"
    ),
)
# Of a schedule whose instances may overlap, so many are known, the newest: one that was let overlap for long may have
# any number.
_KNOWN_AT_MOST = 1_000


class _Schedule(NamedTuple):
    workflow: int
    account: str
    name: str
    cron: str
    time_zone: str
    overlap: str
    next_at: int | None
    paused_at: int | None
    unfinished: str


def list_schedules(connection: Connection, operation: ListSchedules) -> Schedules:
    """Do ListSchedules."""
    of = (operation.account, operation.workflow)
    rows = every(connection, _PAGE, (*of, operation.limit, operation.offset))
    (total,) = only(connection, _TOTAL, of)
    return Schedules([ScheduleRow(*columns) for columns in rows], total)


def get_schedule(connection: Connection, operation: GetSchedule) -> ScheduleRow:
    """Do GetSchedule."""
    return _read(connection, operation.account, operation.workflow, operation.cron)


def change_schedule(transaction: Transaction, operation: ChangeSchedule) -> ScheduleRow:
    """Do ChangeSchedule."""
    named = (operation.account, operation.workflow, operation.cron)
    before = _find(transaction, *named)
    time_zone = operation.time_zone or before.time_zone
    is_paused = before.paused_at is not None if operation.paused is None else operation.paused
    if is_paused:
        paused_at, next_at = before.paused_at or operation.now, None
    elif before.paused_at is None and time_zone == before.time_zone:
        paused_at, next_at = None, before.next_at
    else:
        paused_at, next_at = None, reckon(before.cron, operation.now, time_zone)
    said = (time_zone, operation.overlap or before.overlap, next_at, paused_at)
    transaction.execute(_CHANGE, (*said, before.workflow, before.cron))
    transaction.tidings.changed.add(ANYTHING)
    tell_due(transaction, next_at)
    return _read(transaction.connection, *named)


def run_schedule(transaction: Transaction, operation: RunSchedule, create: Create) -> InstanceRow:
    """Do RunSchedule. `create` creates an instance."""
    schedule = _find(transaction, operation.account, operation.workflow, operation.cron)
    unfinished = _unfinished(transaction, schedule)
    return _create(transaction, schedule, (operation.id, "api", operation.now, operation.now), unfinished, create)


def fire_schedules(transaction: Transaction, operation: FireSchedules, create: Create) -> Fired:
    """Do FireSchedules. `create` creates an instance."""
    connection, now = transaction.connection, operation.now
    due = [_Schedule(*columns) for columns in every(connection, _DUE, (now, operation.limit))]
    done = [_fire(transaction, schedule, operation, create) for schedule in due]
    (next_at,) = only(connection, _NEXT, (now,))
    counts = (done.count("created"), done.count("skipped"), done.count("missed"))
    return Fired(*counts, len(due) == operation.limit, next_at)


def _fire(transaction: Transaction, schedule: _Schedule, operation: FireSchedules, create: Create) -> str:
    """Do what a schedule that is due asks for, and let it be due again; return what became of its firing."""
    now, due_at = operation.now, schedule.next_at
    at = _latest(schedule, now)
    next_at = reckon(schedule.cron, now, schedule.time_zone)
    transaction.execute(_MOVE_ON, (next_at, schedule.workflow, schedule.cron, due_at))
    if at is None:
        return "reckoned"
    if now - at > max(operation.catch_up_ms, MINUTE_MS):
        return "missed"
    unfinished = _unfinished(transaction, schedule)
    if unfinished and schedule.overlap == "skip":
        return _skip(transaction, schedule, at)
    if schedule.overlap == "cancel":
        end(transaction, unfinished, codec.to_row(Terminated(now, "cron")))
        unfinished = []
    # One that is there already was made for this very firing.
    id = f"{schedule.cron}-{at}"
    with suppress(InstanceAlreadyExists):
        if _create(transaction, schedule, (id, "cron", now, at), unfinished, create).id != id:
            return _skip(transaction, schedule, at)
    return "created"


def _skip(transaction: Transaction, schedule: _Schedule, at: int) -> str:
    transaction.execute(_COUNT_SKIPPED, (at, schedule.workflow, schedule.cron))
    transaction.tidings.changed.add(ANYTHING)
    return "skipped"


def _latest(schedule: _Schedule, now: int) -> int | None:
    """Return the last moment up to now that a schedule is due for; None: there is none, or this machine cannot know."""
    if not schedule.next_at:
        return None
    try:
        return cron.latest(schedule.cron, schedule.next_at, now, schedule.time_zone)
    except InvalidInput:
        return None


def _create(
    transaction: Transaction,
    schedule: _Schedule,
    new: tuple[str, str, int, int],
    unfinished: Sequence[int],
    create: Create,
) -> InstanceRow:
    """Create an instance of a schedule; `new` is its id, its trigger, now, and the moment that it is for.

    Where the workflow's flow skips it, the one that is there is returned: that is not the schedule's.
    """
    id, trigger, now, at = new
    record = codec.to_row(Created(now, trigger, "{}", Firing(schedule.cron, at)))
    row = create(transaction, CreateInstance(schedule.account, schedule.name, id, trigger, record, now))
    if row.id != id:
        return row
    known = json.dumps([*unfinished, row.row][-_KNOWN_AT_MOST:])
    transaction.execute(_REMEMBER, (at, row.row, known, schedule.workflow, schedule.cron))
    return row


def _unfinished(transaction: Transaction, schedule: _Schedule) -> list[int]:
    """Return the rows of a schedule's instances that have not ended."""
    values = (schedule.unfinished, schedule.workflow)
    return [row for (row,) in every(transaction.connection, _UNFINISHED, values)]


def _find(transaction: Transaction, account: str, workflow: str, expression: str) -> _Schedule:
    """Return a schedule that is then changed. Raises WorkflowNotFound or ScheduleNotFound."""
    found = first(transaction.connection, _NAMED, (account, workflow, expression))
    if found is None:
        find_workflow(transaction.connection, account, workflow)
        raise ScheduleNotFound(workflow, expression)
    return _Schedule(*found)


def _read(connection: Connection, account: str, workflow: str, expression: str) -> ScheduleRow:
    """Return a schedule. Raises WorkflowNotFound or ScheduleNotFound."""
    found = first(connection, _ONE, (account, workflow, expression))
    if found is None:
        find_workflow(connection, account, workflow)
        raise ScheduleNotFound(workflow, expression)
    return ScheduleRow(*found)
