"""A history, and what only the store knows, fold into the reasons why an instance does not go on."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from stepwell.core.failures import Failure
from stepwell.core.instance import Status
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    Created,
    EventReceived,
    Failed,
    Key,
    PauseAsked,
    Paused,
    Record,
    Restarted,
    Resumed,
    RollbackEnded,
    RollbackResumed,
    RollbackStarted,
    Running,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepKind,
    StepSucceeded,
    Terminated,
    WaitEnded,
    Waiting,
    WaitStarted,
)
from stepwell.core.steplog import TERMINATED
from stepwell.core.why import (
    AttemptRunning,
    CodeRunning,
    End,
    EventAwaited,
    NotLoaded,
    NoWorker,
    PausedSince,
    Pausing,
    Queued,
    Reason,
    Resting,
    RetryAwaited,
    RollingBack,
    SharedSlotAwaited,
    SharedSlotWait,
    Situation,
    Sleeping,
    TurnsLost,
    WorkerBlocked,
    explain,
)
from tests.core.histories import NOW, OOPS, do, history, sleep, wait

CONFIG = StepConfig(5, "10 seconds", "constant", "10 minutes")
MINUTE = 60_000
LATER = NOW + 60 * MINUTE
HELD = Situation(None, "worker 1", True, 0, 0, ["worker 1", "worker 2"], "shop", "Order", True, "v1")
DUE = replace(HELD, due_at=NOW + 5, owner=None)
DEAD = replace(HELD, is_owner_alive=False, workers=[])
UNDO = Key(StepKind.ROLLBACK, "charge", 1)

STARTED = AttemptStarted(NOW + 1, do("charge"), 1, CONFIG)
RUNNING = AttemptRunning("charge-1", 1, NOW + 1, NOW + 1 + 10 * MINUTE, "worker 1")
FAILED = AttemptFailed(NOW + 2, do("charge"), 1, OOPS, LATER)
RETRYING = RetryAwaited("charge-1", 1, OOPS, LATER)
NAP = SleepStarted(NOW + 1, sleep("nap"), LATER)
SLEEPING = Sleeping("nap-1", LATER)
APPROVAL = WaitStarted(NOW + 1, wait("approval"), "approved", LATER, 60 * MINUTE)
APPROVING = EventAwaited("approval-1", "approved", LATER)
INNER = SleepStarted(NOW + 2, sleep("inner"), LATER, do("charge"), 1)
ROLLING = RollbackStarted(NOW + 3, OOPS)
ROLLED = RollingBack(NOW + 3, OOPS, None)
RESTING = Waiting(NOW + 10)


BLOCKED = replace(HELD, blocked_since=NOW + 4, blocked_stack='File "a.py", line 3, in f\n  g()')


AT_DESK = SharedSlotWait("charge-1", "desk", NOW + 2, None, 3, 1, 1, is_set=True)


def parked(due_at: int | None) -> Situation:
    """Return the situation of an instance that was put back."""
    return replace(HELD, due_at=due_at, owner=None)


def why(records: Sequence[Record], situation: Situation, now: int = NOW + 10) -> list[Reason]:
    """Return the reasons of an instance that has begun and then met these."""
    return list(explain(history(*records), situation, now, 1_000).reasons)


@pytest.mark.parametrize(
    ("records", "situation", "reasons"),
    [
        pytest.param([APPROVAL, RESTING], parked(LATER), [APPROVING], id="event"),
        pytest.param(
            [
                EventReceived(NOW, "aproved", "1"),
                EventReceived(NOW, "paid", "1"),
                EventReceived(NOW, "aproved", "1"),
                WaitStarted(NOW + 1, wait("payment"), "paid", LATER, 60 * MINUTE),
                WaitEnded(NOW + 2, wait("payment"), 4),
                APPROVAL,
                RESTING,
            ],
            parked(LATER),
            [replace(APPROVING, unmet=("aproved",))],
            id="event, and another one has come",
        ),
        pytest.param([NAP, RESTING], parked(LATER), [SLEEPING], id="sleep"),
        pytest.param([STARTED, FAILED, RESTING], parked(LATER), [RETRYING], id="retry"),
        pytest.param([NAP, APPROVAL, RESTING], parked(LATER), [SLEEPING, APPROVING], id="several"),
        pytest.param([STARTED, NAP], HELD, [RUNNING, SLEEPING], id="attempt and sleep"),
        pytest.param(
            [STARTED, AttemptLost(NOW + 2, do("charge"), 1), AttemptStarted(NOW + 3, do("charge"), 2)],
            HELD,
            [AttemptRunning("charge-1", 2, NOW + 3, NOW + 3 + 10 * MINUTE, "worker 1")],
            id="attempt after a lost one",
        ),
        pytest.param(
            [
                *(STARTED, AttemptLost(NOW + 2, do("charge"), 1), AttemptStarted(NOW + 3, do("charge"), 2)),
                *(AttemptFailed(NOW + 4, do("charge"), 2, OOPS, LATER), RESTING),
            ],
            parked(LATER),
            [RetryAwaited("charge-1", 2, OOPS, LATER)],
            id="lost attempt has failed too",
        ),
        pytest.param(
            [STARTED, StepSucceeded(NOW + 2, do("charge"), 1, "1")],
            HELD,
            [CodeRunning(NOW + 2)],
            id="code after a step",
        ),
        pytest.param([], HELD, [CodeRunning(NOW)], id="code alone"),
        pytest.param([NAP], HELD, [SLEEPING, CodeRunning(NOW + 1)], id="held though only a long sleep is on record"),
        pytest.param(
            [SleepStarted(NOW + 1, sleep("nap"), NOW + 500)], HELD, [Sleeping("nap-1", NOW + 500)], id="short sleep"
        ),
        pytest.param([NAP, SleepEnded(LATER, sleep("nap"))], HELD, [CodeRunning(LATER)], id="sleep is over"),
        pytest.param(
            [APPROVAL, EventReceived(NOW + 2, "approved", "1"), WaitEnded(NOW + 3, wait("approval"), 4)],
            HELD,
            [CodeRunning(NOW + 3)],
            id="wait is over",
        ),
        pytest.param([NAP, StepCancelled(NOW + 2, sleep("nap"))], HELD, [CodeRunning(NOW + 2)], id="cancelled"),
    ],
)
def test_what_is_waited_for_is_a_reason(
    records: Sequence[Record], situation: Situation, reasons: Sequence[Reason]
) -> None:
    """Waits, retries and attempts, in the order of their calls; what is over is none."""
    assert why(records, situation) == reasons


@pytest.mark.parametrize(
    ("records", "situation", "reasons"),
    [
        pytest.param(
            [STARTED],
            BLOCKED,
            [WorkerBlocked("worker 1", NOW + 4, ['File "a.py", line 3, in f', "  g()"]), RUNNING],
            id="attempt",
        ),
        pytest.param(
            [],
            replace(BLOCKED, blocked_stack=None),
            [WorkerBlocked("worker 1", NOW + 4, []), CodeRunning(NOW)],
            id="code, at a place that nobody knows",
        ),
        pytest.param(
            [STARTED, PauseAsked(NOW + 20)],
            replace(BLOCKED, blocked_stack=None),
            [WorkerBlocked("worker 1", NOW + 4, []), Pausing(NOW + 20, ["charge-1"]), RUNNING],
            id="being paused",
        ),
        pytest.param(
            [STARTED],
            replace(BLOCKED, is_owner_alive=False),
            [TurnsLost(1), Queued(NOW + 1, 0)],
            id="worker has died since",
        ),
        pytest.param([NAP, RESTING], replace(BLOCKED, due_at=LATER, owner=None), [SLEEPING], id="held no more"),
    ],
)
def test_worker_that_is_blocked_is_the_first_reason(
    records: Sequence[Record], situation: Situation, reasons: Sequence[Reason]
) -> None:
    """Since when, and where; what the instance was about stands below, and nothing of it once it is not held."""
    assert why(records, situation) == reasons


@pytest.mark.parametrize(
    ("records", "situation", "reasons"),
    [
        pytest.param([NAP, RESTING], DUE, [Queued(NOW + 5, 0)], id="due"),
        pytest.param(
            [], replace(parked(None), shared=(AT_DESK,)), [SharedSlotAwaited(AT_DESK)], id="for a shared limit"
        ),
        pytest.param(
            [NAP], replace(parked(LATER), shared=(AT_DESK,)), [SharedSlotAwaited(AT_DESK), SLEEPING], id="and sleeps"
        ),
        pytest.param([], replace(DUE, shared=(AT_DESK,)), [Queued(NOW + 5, 0)], id="has got its slot"),
        pytest.param([], replace(HELD, shared=(AT_DESK,)), [SharedSlotAwaited(AT_DESK)], id="held, for a shared limit"),
        pytest.param(
            [STARTED], replace(HELD, shared=(AT_DESK,)), [RUNNING, SharedSlotAwaited(AT_DESK)], id="beside an attempt"
        ),
        pytest.param(
            [],
            replace(DEAD, shared=(AT_DESK,)),
            [TurnsLost(1), Queued(NOW, 0), NoWorker("v1")],
            id="for a shared limit, and its worker died",
        ),
        pytest.param([], replace(DUE, before=3), [Queued(NOW + 5, 3)], id="behind others"),
        pytest.param([], replace(DUE, workers=[]), [Queued(NOW + 5, 0), NoWorker("v1")], id="nobody is there"),
        pytest.param(
            [],
            replace(DUE, is_loaded=False),
            [Queued(NOW + 5, 0), NotLoaded("shop", "Order", ["worker 1", "worker 2"])],
            id="nobody has the class",
        ),
        pytest.param([STARTED], DEAD, [TurnsLost(1), Queued(NOW + 1, 0), NoWorker("v1")], id="worker has died"),
        pytest.param([STARTED], replace(HELD, lost_turns=2), [TurnsLost(2), RUNNING], id="workers have died before"),
        pytest.param(
            [Waiting(NOW + 10)],
            parked(NOW + 10 + MINUTE),
            [NotLoaded("shop", "Order", ["worker 1", "worker 2"])],
            id="put back at once",
        ),
        pytest.param(
            [NAP, Waiting(NOW + 10)],
            parked(NOW + 10 + MINUTE),
            [SLEEPING, NotLoaded("shop", "Order", ["worker 1", "worker 2"])],
            id="put back at once with a sleep",
        ),
        pytest.param(
            [Waiting(NOW + 5 * MINUTE)], parked(NOW + 10 * MINUTE), [CodeRunning(NOW)], id="put back after a long turn"
        ),
        pytest.param(
            [STARTED, AttemptInterrupted(NOW + 2, do("charge"), 1)],
            parked(NOW + MINUTE),
            [Resting(NOW + MINUTE)],
            id="put back after a defect",
        ),
    ],
)
def test_what_keeps_it_as_a_whole_is_a_reason(
    records: Sequence[Record], situation: Situation, reasons: Sequence[Reason]
) -> None:
    """What is due waits for a worker; what rests says what for."""
    assert why(records, situation) == reasons


@pytest.mark.parametrize(
    ("records", "situation", "reasons"),
    [
        pytest.param(
            [NAP, RESTING, PauseAsked(NOW + 20), Paused(NOW + 21)],
            replace(DUE, due_at=None),
            [PausedSince(NOW + 20)],
            id="paused",
        ),
        pytest.param(
            [STARTED, NAP, PauseAsked(NOW + 20)], HELD, [Pausing(NOW + 20, ["charge-1"]), RUNNING], id="being paused"
        ),
        pytest.param(
            [NAP, RESTING, PauseAsked(NOW + 20), Paused(NOW + 21), Resumed(NOW + 120), Running(NOW + 121), RESTING],
            parked(LATER + 100),
            [Sleeping("nap-1", LATER + 100)],
            id="sleep after a pause",
        ),
        pytest.param(
            [
                *(STARTED, RESTING, PauseAsked(NOW + 20)),
                *(AttemptFailed(NOW + 30, do("charge"), 1, OOPS, LATER), Paused(NOW + 31)),
                *(Resumed(NOW + 120), Running(NOW + 121), RESTING),
            ],
            parked(LATER + 90),
            [RetryAwaited("charge-1", 1, OOPS, LATER + 90)],
            id="retry that began in a pause",
        ),
        pytest.param([STARTED, NAP, ROLLING], HELD, [ROLLED, CodeRunning(NOW + 3)], id="rollback has not begun"),
        pytest.param(
            [STARTED, NAP, ROLLING, AttemptStarted(NOW + 4, UNDO, 1, CONFIG)],
            HELD,
            [
                RollingBack(NOW + 3, OOPS, "charge-1"),
                AttemptRunning("charge-1", 1, NOW + 4, NOW + 4 + 10 * MINUTE, "worker 1"),
            ],
            id="rollback runs",
        ),
        pytest.param(
            [
                *(STARTED, RollbackStarted(NOW + 3, TERMINATED, "api"), Running(NOW + 4)),
                *(AttemptStarted(NOW + 4, UNDO, 1, CONFIG), AttemptFailed(NOW + 5, UNDO, 1, OOPS, LATER)),
            ],
            parked(LATER),
            [
                RollingBack(NOW + 3, Failure("Terminated", "Instance terminated during rollback"), "charge-1"),
                RETRYING,
            ],
            id="rollback waits for its next attempt",
        ),
        pytest.param(
            [
                *(STARTED, ROLLING, AttemptStarted(NOW + 4, UNDO, 1, CONFIG), StepFailed(NOW + 5, UNDO, 1, OOPS)),
                *(RollbackEnded(NOW + 6, OOPS), Failed(NOW + 7, OOPS), RollbackResumed(NOW + 8)),
            ],
            DUE,
            [RollingBack(NOW + 3, OOPS, "charge-1"), Queued(NOW + 5, 0)],
            id="rollback is gone on with",
        ),
        pytest.param([NAP, Restarted(NOW + 9, "api")], DUE, [Queued(NOW + 5, 0)], id="restarted as a whole"),
        pytest.param(
            [NAP, APPROVAL, Restarted(NOW + 9, "api", 4, 1), Running(NOW + 10), RESTING],
            parked(LATER),
            [SLEEPING],
            id="restarted from the wait",
        ),
    ],
)
def test_control_is_a_reason(records: Sequence[Record], situation: Situation, reasons: Sequence[Reason]) -> None:
    """Pauses, rollbacks and restarts, and what they leave of the waits."""
    assert why(records, situation) == reasons


@pytest.mark.parametrize(
    ("records", "reasons"),
    [
        pytest.param(
            [STARTED, INNER], [RUNNING, Sleeping("inner-1", LATER)], id="inside of an attempt that is in flight"
        ),
        pytest.param([STARTED, INNER, FAILED], [RETRYING, CodeRunning(NOW + 2)], id="its attempt has failed"),
        pytest.param(
            [
                *(STARTED, INNER, StepCancelled(NOW + 3, sleep("inner")), FAILED),
                AttemptStarted(NOW + 4, do("charge"), 2),
            ],
            [
                AttemptRunning("charge-1", 2, NOW + 4, NOW + 4 + 10 * MINUTE, "worker 1"),
                Sleeping("inner-1", LATER),
            ],
            id="cancelled by one attempt and wanted by the next",
        ),
        pytest.param(
            [
                *(STARTED, AttemptStarted(NOW + 2, do("inner"), 1, CONFIG, do("charge"), 1)),
                *(AttemptFailed(NOW + 3, do("inner"), 1, OOPS, LATER), StepCancelled(NOW + 4, do("inner"))),
                *(FAILED, AttemptStarted(NOW + 5, do("charge"), 2)),
            ],
            [
                AttemptRunning("charge-1", 2, NOW + 5, NOW + 5 + 10 * MINUTE, "worker 1"),
                RetryAwaited("inner-1", 1, OOPS, LATER),
            ],
            id="retry cancelled by one attempt and wanted by the next",
        ),
    ],
)
def test_what_a_body_waits_for_counts_while_it_runs(records: Sequence[Record], reasons: Sequence[Reason]) -> None:
    """The waits of a body are none once its attempt has ended, until the next attempt makes them again."""
    assert why(records, HELD) == reasons


@pytest.mark.parametrize(
    ("last", "status", "end"),
    [
        pytest.param(Completed(NOW + 9, "1"), Status.COMPLETE, End(NOW + 9, None), id="complete"),
        pytest.param(Failed(NOW + 9, OOPS), Status.ERRORED, End(NOW + 9, OOPS), id="errored"),
        pytest.param(Terminated(NOW + 9, "api"), Status.TERMINATED, End(NOW + 9, None), id="terminated"),
    ],
)
def test_what_has_ended_has_no_reasons(last: Record, status: Status, end: End) -> None:
    """It has how it ended, whatever was open then."""
    found = explain(history(NAP, last), replace(DUE, due_at=None, workers=[]), NOW + 10, 1_000)

    assert (found.status, list(found.reasons), found.end) == (status, [], end)


def test_instance_that_has_not_begun_is_queued() -> None:
    """Its creation is all that there is."""
    found = explain(history()[:1], replace(DUE, due_at=NOW), NOW + 10, 1_000)

    assert isinstance(history()[0].record, Created)
    assert (found.status, list(found.reasons), found.end) == (Status.QUEUED, [Queued(NOW, 0)], None)
