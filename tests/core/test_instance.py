"""Statuses, and which record leads from one to the next."""

from itertools import product
from typing import get_args

import pytest

from stepwell.core.failures import Failure
from stepwell.core.instance import (
    FINAL,
    ImpossibleHistory,
    InstanceState,
    Status,
    advance,
    fold,
    fold_as_far_as_possible,
)
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    Created,
    EventReceived,
    Failed,
    Key,
    Moved,
    Patched,
    PauseAsked,
    Paused,
    Queued,
    Record,
    Recorded,
    Restarted,
    Resumed,
    RollbackEnded,
    RollbackResumed,
    RollbackStarted,
    Running,
    SleepEnded,
    SleepStarted,
    SlotGiven,
    StepCancelled,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    Terminated,
    WaitEnded,
    Waiting,
    WaitStarted,
)
from stepwell.core.retries import DEFAULTS

CHARGE = Key(StepKind.DO, "charge", 1)
ERROR = Failure("ValueError", "no")

ALLOWED: dict[tuple[Status | None, type[Record]], Status] = {
    (None, Created): Status.QUEUED,
    (Status.QUEUED, Running): Status.RUNNING,
    (Status.RUNNING, Running): Status.RUNNING,
    (Status.WAITING, Running): Status.RUNNING,
    (Status.RUNNING, Waiting): Status.WAITING,
    (Status.WAITING, Queued): Status.QUEUED,
    (Status.RUNNING, Queued): Status.QUEUED,
    (Status.RUNNING, Completed): Status.COMPLETE,
    (Status.RUNNING, Failed): Status.ERRORED,
    (Status.RUNNING, PauseAsked): Status.WAITING_FOR_PAUSE,
    (Status.WAITING, PauseAsked): Status.WAITING_FOR_PAUSE,
    (Status.WAITING_FOR_PAUSE, Paused): Status.PAUSED,
    (Status.WAITING_FOR_PAUSE, Running): Status.WAITING_FOR_PAUSE,
    (Status.WAITING_FOR_PAUSE, Completed): Status.COMPLETE,
    (Status.WAITING_FOR_PAUSE, Failed): Status.ERRORED,
    (Status.WAITING_FOR_PAUSE, Resumed): Status.RUNNING,
    (Status.PAUSED, Resumed): Status.QUEUED,
    (Status.QUEUED, Terminated): Status.TERMINATED,
    (Status.RUNNING, Terminated): Status.TERMINATED,
    (Status.WAITING, Terminated): Status.TERMINATED,
    (Status.WAITING_FOR_PAUSE, Terminated): Status.TERMINATED,
    (Status.PAUSED, Terminated): Status.TERMINATED,
    (Status.ROLLING_BACK, Terminated): Status.TERMINATED,
    (Status.ROLLING_BACK, Running): Status.ROLLING_BACK,
    (Status.ROLLING_BACK, Failed): Status.ERRORED,
    (Status.QUEUED, RollbackStarted): Status.ROLLING_BACK,
    (Status.RUNNING, RollbackStarted): Status.ROLLING_BACK,
    (Status.WAITING, RollbackStarted): Status.ROLLING_BACK,
    (Status.WAITING_FOR_PAUSE, RollbackStarted): Status.ROLLING_BACK,
    (Status.PAUSED, RollbackStarted): Status.ROLLING_BACK,
    (Status.ERRORED, RollbackResumed): Status.ROLLING_BACK,
    (Status.TERMINATED, RollbackResumed): Status.ROLLING_BACK,
    **{(status, Restarted): Status.QUEUED for status in Status},
}
CHANGES: dict[type[Record], Record] = {
    Created: Created(1, "api", "{}"),
    Running: Running(1),
    Waiting: Waiting(1),
    Queued: Queued(1),
    Completed: Completed(1, "null"),
    Failed: Failed(1, ERROR),
    PauseAsked: PauseAsked(1),
    Paused: Paused(1),
    Resumed: Resumed(1),
    Terminated: Terminated(1, "api"),
    Restarted: Restarted(1, "api"),
    RollbackStarted: RollbackStarted(1, ERROR),
    RollbackResumed: RollbackResumed(1),
}
OTHERS: list[Record] = [
    AttemptStarted(1, CHARGE, 2),
    AttemptFailed(1, CHARGE, 1, ERROR, 5),
    SlotGiven(1, CHARGE, "desk", 1, 1),
    Patched(1, "tax"),
    Moved(1, "v2", "v1"),
    AttemptLost(1, CHARGE, 1),
    AttemptInterrupted(1, CHARGE, 1),
    StepSucceeded(1, CHARGE, 1, "1"),
    StepFailed(1, CHARGE, 1, ERROR),
    StepCancelled(1, CHARGE),
    SleepEnded(1, Key(StepKind.SLEEP, "nap", 1)),
    WaitEnded(1, Key(StepKind.WAIT, "answer", 1)),
    EventReceived(1, "go", "1"),
    StepForced(1, CHARGE, Action.RETRY, "ann", 1),
    RollbackEnded(1),
]


@pytest.mark.parametrize(("status", "kind"), list(product([None, *Status], CHANGES)))
def test_status_changes_only_as_the_table_says(status: Status | None, kind: type[Record]) -> None:
    """Each change of status is in the table; any other is refused as damage."""
    state = InstanceState(status)

    if (expected := ALLOWED.get((status, kind))) is not None:
        assert advance(state, CHANGES[kind]).status == expected
    else:
        with pytest.raises(ImpossibleHistory, match=kind.__name__):
            advance(state, CHANGES[kind])


def test_history_folds_into_the_facts_of_the_row() -> None:
    """Status, step count and times of an instance come from its records alone."""
    history: list[Record] = [
        Created(100, "api", "{}"),
        EventReceived(110, "go", "1"),
        Running(200),
        AttemptStarted(210, CHARGE, 1, DEFAULTS),
        AttemptFailed(220, CHARGE, 1, ERROR, 230),
        AttemptStarted(230, CHARGE, 2),
        StepSucceeded(240, CHARGE, 2, "1"),
        SleepStarted(250, Key(StepKind.SLEEP, "nap", 1), 900),
        WaitStarted(250, Key(StepKind.WAIT, "answer", 1), "go", 900, 650),
        Waiting(260),
        Running(900),
        SleepEnded(900, Key(StepKind.SLEEP, "nap", 1)),
        Completed(950, "1"),
    ]

    assert fold(history) == InstanceState(
        Status.COMPLETE, 3, created_at=100, queued_at=100, started_at=200, ended_at=950
    )


def test_nothing_but_control_leaves_a_final_status() -> None:
    """An instance that has ended stays as it is, unless it is restarted, or its rollback gone on with."""
    assert {Status.COMPLETE, Status.ERRORED, Status.TERMINATED} == FINAL
    for status, record in product(FINAL, CHANGES.values()):
        if isinstance(record, Restarted | RollbackResumed):
            continue
        with pytest.raises(ImpossibleHistory):
            advance(InstanceState(status), record)


def test_restart_as_a_whole_begins_anew() -> None:
    """After a restart as a whole nothing is left but when the instance was created."""
    ended = InstanceState(Status.COMPLETE, 3, created_at=100, queued_at=100, started_at=200, ended_at=950)

    assert advance(ended, Restarted(1000, "api")) == InstanceState(Status.QUEUED, 0, created_at=100, queued_at=1000)


def test_restart_from_a_step_keeps_the_start() -> None:
    """After a restart from a step the instance has begun when it had, and has the steps that stay."""
    ended = InstanceState(Status.ERRORED, 3, created_at=100, queued_at=100, started_at=200, ended_at=950)

    again = advance(ended, Restarted(1000, "api", from_seq=7, step_count=1))

    assert again == InstanceState(Status.QUEUED, 1, created_at=100, queued_at=100, started_at=200)


def test_damaged_history_is_folded_as_far_as_it_goes() -> None:
    """What can be read of a damaged history still gives the row's facts."""
    history: list[Record] = [
        Created(1, "api", "{}"),
        Running(2),
        SleepStarted(3, CHARGE, 9),
        Created(4, "api", "{}"),
        Running(5),
    ]

    state = fold_as_far_as_possible(Recorded(seq, record) for seq, record in enumerate(history, 1))

    assert (state.status, state.step_count) == (Status.RUNNING, 1)


@pytest.mark.parametrize("record", [pytest.param(record, id=type(record).__name__) for record in OTHERS])
def test_what_happens_to_a_step_that_has_begun_changes_nothing(record: Record) -> None:
    """Neither status nor times nor the count of steps tell of attempts, results and events."""
    before = InstanceState(Status.RUNNING, 1, 1, 1, None)

    assert advance(before, record) == before


def test_every_kind_of_record_is_tested_here() -> None:
    """A new kind of record has to say what it does to the status."""
    kinds = {*CHANGES, *(type(record) for record in OTHERS), SleepStarted, WaitStarted}

    assert kinds == set(get_args(Record))
