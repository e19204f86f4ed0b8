"""What can be asked of a store about jobs: one change of all instances that match a search, bit by bit.

What is done to some of them, and how far the job is then, is one transaction. So each of them is changed once, whoever
stops in the middle and whoever goes on: the place of a job is its fence.
"""

from typing import Literal

import msgspec

from stepwell.store.operations import Operation
from stepwell.store.search_operations import Wanted

Verb = Literal["pause", "resume", "terminate", "restart", "delete"]
VERBS: tuple[Verb, ...] = ("pause", "resume", "terminate", "restart", "delete")

# So many are counted of what is left.
MOST_LEFT = 10_000
# Of so many it is kept why they failed; the others are counted.
MOST_FAILURES = 100


class JobChange(msgspec.Struct, frozen=True, array_like=True):
    """An instance that a job is to change; its row tells it from a later one of the same id."""

    row: int
    workflow: str
    id: str


class JobFailure(msgspec.Struct, frozen=True, array_like=True):
    """An instance that could not be changed, and why."""

    workflow: str
    id: str
    message: str


class JobRow(msgspec.Struct, frozen=True, array_like=True):
    """A job as it is stored.

    `workflow` None: those of all workflows. It goes from the newest instance to the oldest; `place` is (created_at,
    row) of the last one that was looked at. `upto` is the last row that there was when it began: what is created later
    is not meant. `passed_over` counts those for which there was nothing to do. `left` is how many it has not looked at
    yet, whether they match or not, up to a bound; it is told when a job begins or is asked for.
    """

    id: str
    account: str
    verb: Verb
    workflow: str | None
    wanted: Wanted
    created_at: int
    created_by: str
    upto: int
    place: tuple[int, int] | None
    done: int
    passed_over: int
    failed: int
    failures: list[JobFailure]
    ended_at: int | None
    is_cancelled: bool
    left: int = 0


class StartJob(Operation[JobRow], frozen=True):
    """Add a job under a new id, and forget those of the account that ended before a moment.

    Raises WorkflowNotFound.
    """

    account: str
    id: str
    verb: Verb
    workflow: str | None
    wanted: Wanted
    now: int
    by: str
    forget_before: int = 0


class AdvanceJob(Operation[JobRow | None], frozen=True):
    """Change some instances for a job that is at `place`, count them, and let it be at `to`; None: it is done.

    `failures` are those that could not be changed. An instance that is another one by now, whose status is none of
    those that are searched for any more, or for which there is nothing to do, is passed over. Answer the job as it is
    then. None, and nothing is done: it is not at that place, has ended, or another host is at it.
    """

    account: str
    id: str
    place: tuple[int, int] | None
    to: tuple[int, int] | None
    changes: list[JobChange]
    now: int
    failures: tuple[JobFailure, ...] = ()


class CancelJob(Operation[JobRow], frozen=True):
    """End a job, unless it has ended; answer it as it is then. What it has done stays. Raises JobNotFound."""

    account: str
    id: str
    now: int


class GetJob(Operation[JobRow], frozen=True):
    """Return a job. Raises JobNotFound."""

    account: str
    id: str


class Jobs(msgspec.Struct, frozen=True, array_like=True):
    """A page of jobs, without their failures, and how many there are."""

    jobs: list[JobRow]
    total: int


class ListJobs(Operation[Jobs], frozen=True):
    """Return a page of the jobs of an account, newest first."""

    account: str
    limit: int
    offset: int = 0


class JobPlace(msgspec.Struct, frozen=True, array_like=True):
    """A job that has not ended."""

    account: str
    id: str


class ListOpenJobs(Operation[list[JobPlace]], frozen=True):
    """Return the jobs that have not ended, of all accounts."""
