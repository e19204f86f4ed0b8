"""What subscribers are told of each kind of record."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest

from stepwell.core.failures import Failure
from stepwell.core.instance import ImpossibleHistory
from stepwell.core.notices import Notice, Notices
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
    PayloadRef,
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
    StepConfig,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    Terminated,
    WaitEnded,
    Waiting,
    WaitStarted,
)
from tests.core.histories import BEGUN, NOW, OOPS, do, sleep, wait

CONFIG = StepConfig(limit=5, delay=10_000, backoff="exponential", timeout="10 minutes")
SECRET = StepConfig(limit=5, delay=10_000, backoff="exponential", timeout="10 minutes", sensitive="output")
A, NAP, ASK = do("a"), sleep("nap"), wait("ask")
STARTED = AttemptStarted(NOW, A, 1, CONFIG)
UNDO = Key(StepKind.ROLLBACK, "a", 1)
INTERRUPTED = Failure(
    "AttemptInterrupted",
    "The engine ended the attempt (reload, stop, pause, restart or end of the instance). "
    "It does not count as a failure.",
)
LOST = Failure("WorkflowInternalError", "The attempt was lost: its worker process ended before the attempt did.")
CANCELLED = Failure("CancelledError", "The workflow cancelled the call.")


def told(*records: Record) -> list[Notice]:
    """Return the notices of a whole history."""
    notices = Notices()
    return [notice for seq, record in enumerate(records, 1) for notice in notices.of(Recorded(seq, record))]


def shown(notices: Sequence[Notice]) -> list[tuple[Any, ...]]:
    """Return the type of each notice, and what it has besides number and time."""
    members = ("key", "attempt", "config", "params", "output", "error", "retry_ms", "duration_ms", "event_type")
    return [
        (notice.type.value, {name: found for name in members if (found := getattr(notice, name)) is not None})
        for notice in notices
    ]


ROLLING = (*BEGUN, STARTED, RollbackStarted(NOW, OOPS))
# What has happened before, the record, and what is told of it.
CASES = [
    pytest.param((), Created(NOW, "api", "{}"), [("workflow_queued", {})], id="created"),
    pytest.param(
        (Created(NOW, "api", '{"a":1}'),),
        Running(NOW),
        [("workflow_started", {"params": '{"a":1}'}), ("workflow_running", {})],
        id="running first",
    ),
    pytest.param((*BEGUN, Waiting(NOW)), Running(NOW), [("workflow_running", {})], id="running again"),
    pytest.param(BEGUN, Running(NOW, lost=True), [], id="running after a lost turn"),
    pytest.param(
        (*BEGUN, Waiting(NOW)), SlotGiven(NOW, do("charge"), "desk", NOW, NOW), [], id="slot of a shared limit"
    ),
    pytest.param(BEGUN, Patched(NOW, "tax"), [], id="newer way"),
    pytest.param(BEGUN, Moved(NOW, "v2", "v1"), [], id="moved"),
    pytest.param((*BEGUN, Waiting(NOW)), Queued(NOW), [("workflow_queued", {})], id="queued for a slot"),
    pytest.param(BEGUN, Waiting(NOW), [("workflow_waiting", {})], id="waiting"),
    pytest.param(BEGUN, PauseAsked(NOW), [("workflow_waiting_for_pause", {})], id="pause asked"),
    pytest.param((*BEGUN, PauseAsked(NOW)), Running(NOW), [], id="running before a pause is complete"),
    pytest.param((*BEGUN, PauseAsked(NOW)), Paused(NOW), [("workflow_paused", {})], id="paused"),
    pytest.param((*BEGUN, PauseAsked(NOW)), Resumed(NOW), [("workflow_running", {})], id="resumed before the pause"),
    pytest.param(
        (*BEGUN, PauseAsked(NOW), Paused(NOW)), Resumed(NOW), [("workflow_queued", {})], id="resumed after the pause"
    ),
    pytest.param(BEGUN, Completed(NOW, "[1]"), [("workflow_completed", {"output": "[1]"})], id="completed"),
    pytest.param(BEGUN, Failed(NOW, OOPS), [("workflow_errored", {"error": OOPS})], id="failed"),
    pytest.param(BEGUN, Terminated(NOW, "api"), [("workflow_terminated", {})], id="terminated"),
    pytest.param((*BEGUN, Completed(NOW, "1")), Restarted(NOW, "api"), [("workflow_queued", {})], id="restarted"),
    pytest.param((BEGUN[0],), Restarted(NOW, "api"), [("workflow_queued", {})], id="restarted while queued"),
    pytest.param(
        (*BEGUN, Restarted(NOW, "api")),
        Running(NOW),
        [("workflow_started", {"params": "{}"}), ("workflow_running", {})],
        id="running after a restart",
    ),
    pytest.param(
        (*BEGUN, STARTED, Restarted(NOW, "api", from_seq=3)),
        Running(NOW),
        [("workflow_running", {})],
        id="running after a restart from a step",
    ),
    pytest.param(
        BEGUN,
        STARTED,
        [("step_started", {"key": A, "config": CONFIG}), ("attempt_started", {"key": A, "attempt": 1})],
        id="first attempt",
    ),
    pytest.param(
        (*BEGUN, STARTED, AttemptFailed(NOW, A, 1, OOPS, NOW)),
        AttemptStarted(NOW, A, 2),
        [("attempt_started", {"key": A, "attempt": 2})],
        id="second attempt",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        AttemptFailed(NOW, A, 1, OOPS, NOW + 10_000),
        [("attempt_errored", {"key": A, "attempt": 1, "error": OOPS, "retry_ms": 10_000})],
        id="attempt failed",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        AttemptFailed(NOW, A, 1, OOPS),
        [("attempt_errored", {"key": A, "attempt": 1, "error": OOPS})],
        id="last attempt failed",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        AttemptLost(NOW, A, 1),
        [("attempt_errored", {"key": A, "attempt": 1, "error": LOST, "retry_ms": 0})],
        id="attempt lost",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        AttemptInterrupted(NOW, A, 1),
        [("attempt_errored", {"key": A, "attempt": 1, "error": INTERRUPTED})],
        id="attempt interrupted",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        StepSucceeded(NOW, A, 1, "7"),
        [("attempt_completed", {"key": A, "attempt": 1}), ("step_completed", {"key": A, "output": "7"})],
        id="step succeeded",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        StepSucceeded(NOW, A, 1, PayloadRef(9, 5_000, '"xx')),
        [
            ("attempt_completed", {"key": A, "attempt": 1}),
            ("step_completed", {"key": A, "output": PayloadRef(9, 5_000, '"xx')}),
        ],
        id="step succeeded with a large value",
    ),
    pytest.param(
        (*BEGUN, AttemptStarted(NOW, A, 1, SECRET)),
        StepSucceeded(NOW, A, 1, "7"),
        [("attempt_completed", {"key": A, "attempt": 1}), ("step_completed", {"key": A, "output": '"[REDACTED]"'})],
        id="sensitive step succeeded",
    ),
    pytest.param(
        (
            *BEGUN,
            AttemptStarted(NOW, A, 1, SECRET),
            AttemptInterrupted(NOW, A, 1),
            Restarted(NOW, "api", from_seq=9),
            Running(NOW),
            AttemptStarted(NOW, A, 2),
        ),
        StepSucceeded(NOW, A, 2, "7"),
        [("attempt_completed", {"key": A, "attempt": 2}), ("step_completed", {"key": A, "output": '"[REDACTED]"'})],
        id="sensitive step succeeded at a later attempt",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        StepFailed(NOW, A, 1, OOPS),
        [("attempt_errored", {"key": A, "attempt": 1, "error": OOPS}), ("step_errored", {"key": A})],
        id="step failed with its attempt",
    ),
    pytest.param(
        (*BEGUN, STARTED, AttemptFailed(NOW, A, 1, OOPS)),
        StepFailed(NOW, A, 1, OOPS),
        [("step_errored", {"key": A})],
        id="step failed after its attempt",
    ),
    pytest.param(
        (*BEGUN, STARTED),
        StepCancelled(NOW, A),
        [("attempt_errored", {"key": A, "attempt": 1, "error": CANCELLED}), ("step_errored", {"key": A})],
        id="step cancelled",
    ),
    pytest.param(
        BEGUN,
        SleepStarted(NOW, NAP, NOW + 60_000),
        [("sleep_started", {"key": NAP, "duration_ms": 60_000})],
        id="sleep started",
    ),
    pytest.param(
        BEGUN,
        SleepStarted(NOW, NAP, NOW - 5),
        [("sleep_started", {"key": NAP, "duration_ms": 0})],
        id="sleep until a moment that is over",
    ),
    pytest.param(
        (*BEGUN, SleepStarted(NOW, NAP, NOW)),
        SleepEnded(NOW, NAP),
        [("sleep_completed", {"key": NAP})],
        id="sleep over",
    ),
    pytest.param(
        (*BEGUN, SleepStarted(NOW, NAP, NOW)),
        StepCancelled(NOW, NAP),
        [("sleep_completed", {"key": NAP, "error": CANCELLED})],
        id="sleep cancelled",
    ),
    pytest.param(
        BEGUN,
        WaitStarted(NOW, ASK, "approved", NOW, 1_000),
        [("wait_started", {"key": ASK, "event_type": "approved"})],
        id="wait started",
    ),
    pytest.param(BEGUN, EventReceived(NOW, "approved", "1"), [], id="event received"),
    pytest.param(BEGUN, WaitEnded(NOW, ASK, 4), [("wait_completed", {"key": ASK})], id="wait got its event"),
    pytest.param(BEGUN, WaitEnded(NOW, ASK), [("wait_timed_out", {"key": ASK})], id="wait timed out"),
    pytest.param(
        BEGUN, StepCancelled(NOW, ASK), [("wait_completed", {"key": ASK, "error": CANCELLED})], id="wait cancelled"
    ),
    pytest.param((*BEGUN, STARTED), StepForced(NOW, A, Action.RETRY, "ann", 1), [], id="decided by hand"),
    pytest.param((*BEGUN, STARTED), RollbackStarted(NOW, OOPS), [("rollback_started", {})], id="rollback started"),
    pytest.param(
        ROLLING,
        AttemptStarted(NOW, UNDO, 1, CONFIG),
        [
            ("rollback_step_started", {"key": UNDO, "config": CONFIG}),
            ("rollback_attempt_started", {"key": UNDO, "attempt": 1}),
        ],
        id="rollback of a step",
    ),
    pytest.param(
        (*ROLLING, AttemptStarted(NOW, UNDO, 1, CONFIG)),
        AttemptFailed(NOW, UNDO, 1, OOPS, NOW + 7),
        [("rollback_attempt_errored", {"key": UNDO, "attempt": 1, "error": OOPS, "retry_ms": 7})],
        id="attempt of a rollback failed",
    ),
    pytest.param(
        (*ROLLING, AttemptStarted(NOW, UNDO, 1, CONFIG)),
        StepSucceeded(NOW, UNDO, 1, "5"),
        [("rollback_attempt_completed", {"key": UNDO, "attempt": 1}), ("rollback_step_completed", {"key": UNDO})],
        id="rollback of a step succeeded",
    ),
    pytest.param(
        (*ROLLING, AttemptStarted(NOW, UNDO, 1, CONFIG)),
        StepFailed(NOW, UNDO, 1, OOPS),
        [
            ("rollback_attempt_errored", {"key": UNDO, "attempt": 1, "error": OOPS}),
            ("rollback_step_errored", {"key": UNDO, "error": OOPS}),
        ],
        id="rollback of a step failed",
    ),
    pytest.param(ROLLING, RollbackEnded(NOW), [("rollback_completed", {})], id="rollback complete"),
    pytest.param(ROLLING, RollbackEnded(NOW, OOPS), [("rollback_errored", {"error": OOPS})], id="rollback failed"),
    pytest.param(
        (*ROLLING, RollbackEnded(NOW, OOPS), Failed(NOW, OOPS)),
        RollbackResumed(NOW),
        [("rollback_started", {})],
        id="rollback gone on with",
    ),
]


@pytest.mark.parametrize(("before", "record", "expected"), CASES)
def test_record_is_told(before: Sequence[Record], record: Record, expected: list[tuple[str, dict[str, Any]]]) -> None:
    """Each kind of record gives its notices, in the light of what was before it."""
    notices = told(*before, record)[len(told(*before)) :]

    assert shown(notices) == expected


def test_every_kind_of_record_has_a_case() -> None:
    """A new kind of record needs a line above."""
    assert {type(case.values[1]) for case in CASES} == set(get_args(Record))


def test_numbers_are_those_of_the_places_in_the_history() -> None:
    """A number is 16 times the record's seq and the place among its notices, so it is the same for ever."""
    notices = told(Created(NOW, "api", "{}"), Running(NOW + 1), STARTED, Completed(NOW + 2, "1"))

    assert [(notice.id, notice.at) for notice in notices] == [
        (16, NOW),
        (32, NOW + 1),
        (33, NOW + 1),
        (48, NOW),
        (49, NOW),
        (64, NOW + 2),
    ]


def test_attempts_that_a_restart_abandoned_are_open_no_more() -> None:
    """The failure of a step after a restart ends its own attempt, not one from before."""
    notices = told(*BEGUN, STARTED, Restarted(NOW, "api"), Running(NOW), StepFailed(NOW, do("b"), 1, OOPS))

    assert [notice.type.value for notice in notices[-1:]] == ["step_errored"]


def test_history_has_ended_until_it_is_restarted() -> None:
    """The end that counts is the last one."""
    notices = Notices()
    ends = []

    for seq, record in enumerate((*BEGUN, Completed(NOW, "1"), Restarted(NOW, "api"), Running(NOW)), 1):
        notices.of(Recorded(seq, record))
        ends.append(notices.has_ended)

    assert ends == [False, False, True, False, False]


def test_history_that_cannot_be_is_refused() -> None:
    """A damaged history is an error, never a wrong notice."""
    with pytest.raises(ImpossibleHistory):
        told(Running(NOW))
