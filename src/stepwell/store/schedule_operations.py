"""What can be asked of a store about schedules: the cron expressions of workflows, and the instances that they create.

A workflow's schedules are those of its newest version: an operation that makes one replaces them. What is changed
here stays with an expression for as long as the workflow has it.
"""

from typing import Literal

import msgspec

from stepwell.store.operations import InstanceRow, Operation

Overlap = Literal["allow", "skip", "cancel"]


class ScheduleRow(msgspec.Struct, frozen=True, array_like=True):
    """A schedule. `next_at` None: it does not fire by itself, as it is paused or never would; 0: not reckoned yet.

    `last_at` is the moment that its newest instance was for; `last_id` and `last_status` are that one's, None if it is
    gone. `skipped_at` is the moment that the last skipped firing was for.
    """

    workflow: str
    cron: str
    time_zone: str
    overlap: Overlap
    paused_at: int | None
    next_at: int | None
    last_at: int | None
    last_id: str | None
    last_status: str | None
    skipped: int
    skipped_at: int | None


class Schedules(msgspec.Struct, frozen=True, array_like=True):
    """A page of schedules and how many there are in all."""

    rows: list[ScheduleRow]
    total: int


class ListSchedules(Operation[Schedules], frozen=True):
    """Return schedules of an account, by workflow and expression; `workflow`: of that one alone."""

    account: str
    limit: int
    offset: int = 0
    workflow: str | None = None


class GetSchedule(Operation[ScheduleRow], frozen=True):
    """Return a schedule. Raises WorkflowNotFound or ScheduleNotFound."""

    account: str
    workflow: str
    cron: str


class ChangeSchedule(Operation[ScheduleRow], frozen=True):
    """Change of a schedule what is not None, and return it as it is then.

    One that is no longer paused, or gets another time zone, fires next after `now`. Raises WorkflowNotFound or
    ScheduleNotFound.
    """

    account: str
    workflow: str
    cron: str
    now: int
    paused: bool | None = None
    overlap: Overlap | None = None
    time_zone: str | None = None


class RunSchedule(Operation[InstanceRow], frozen=True):
    """Create an instance of a schedule now, under this id, whether it is paused and whatever its overlap says.

    Where the workflow's flow has another one in its place, that is the answer, and not the schedule's. Raises
    WorkflowNotFound, ScheduleNotFound or InstanceAlreadyExists.
    """

    account: str
    workflow: str
    cron: str
    id: str
    now: int


class Fired(msgspec.Struct, frozen=True, array_like=True):
    """What became of the schedules that were due.

    `skipped` counts those that were left out, as an instance has not ended, by `overlap` or by the workflow's flow;
    `missed` counts those whose last firing was too old. `is_full`: there may be more of them. `next_at` is when the
    next one is due after now; None: none is.
    """

    created: int
    skipped: int
    missed: int
    is_full: bool
    next_at: int | None


class FireSchedules(Operation[Fired], frozen=True):
    """Create the instances of up to `limit` schedules that are due, earliest first, and say when each fires next.

    A schedule that has missed several firings makes up for the last of them alone, and only if that is at most
    `catch_up_ms` ago. Each firing has one instance, whoever asks, and however often: its id says which firing it is
    of, and a schedule that somebody else is at is passed over.
    """

    now: int
    catch_up_ms: int
    limit: int = 100
