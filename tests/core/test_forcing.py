"""What is decided of a step by hand: what fits, and what it brings about in a turn and in each replay."""

from collections.abc import Sequence

import pytest

from stepwell.core.execution import Execution
from stepwell.core.failures import Failure
from stepwell.core.forcing import Fit, Misfit, fit
from stepwell.core.keys import Scope
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptStarted,
    EventReceived,
    Key,
    PauseAsked,
    Record,
    Recorded,
    Resumed,
    RollbackStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.step_answers import AwaitResult, RunAttempt, WaitUntil
from stepwell.core.steplog import SleepEntry, StepEntry, WaitEntry, fold_log
from stepwell.core.stepview import StepQuery, view_step
from tests.core.histories import NOW, OOPS, call, do, history, replay, sleep, wait

CONFIG = StepConfig(5, "1 hour", "constant", "10 minutes")
LATER = NOW + 3_600_000
UNDO = Key(StepKind.ROLLBACK, "charge", 1)
STARTED = AttemptStarted(NOW + 1, do("charge"), 1, CONFIG)
FAILED = AttemptFailed(NOW + 2, do("charge"), 1, OOPS, LATER)
NAP = SleepStarted(NOW + 1, sleep("nap"), LATER)
APPROVAL = WaitStarted(NOW + 1, wait("approval"), "approved", LATER, 3_600_000)
INNER = SleepStarted(NOW + 2, sleep("inner"), LATER, do("charge"), 1)
ROLLING = RollbackStarted(NOW + 3, OOPS)
NO = Failure("ValueError", "no")

RETRY = StepForced(NOW + 9, do("charge"), Action.RETRY, "ann", 1)
SKIP = StepForced(NOW + 9, sleep("nap"), Action.SKIP, "ann")
COMPLETE = StepForced(NOW + 9, do("charge"), Action.COMPLETE, "ann", value="7")
FAIL = StepForced(NOW + 9, do("charge"), Action.FAIL, "ann", error=NO)
GIVE = StepForced(NOW + 9, wait("approval"), Action.COMPLETE, "ann", value='{"by":"ann"}')
REFUSE = StepForced(NOW + 9, wait("approval"), Action.FAIL, "ann", error=NO)


# ---- what fits


@pytest.mark.parametrize(
    ("records", "step", "action", "expected"),
    [
        pytest.param([STARTED, FAILED], ("charge-1", "step"), Action.RETRY, Fit(do("charge"), 1), id="retry"),
        pytest.param([STARTED, FAILED], ("charge-1", "step"), Action.COMPLETE, Fit(do("charge"), 1), id="complete"),
        pytest.param([STARTED], ("charge-1", "step"), Action.FAIL, Fit(do("charge"), 1), id="fail in flight"),
        pytest.param([NAP], ("nap-1", "sleep"), Action.SKIP, Fit(sleep("nap"), 0), id="skip"),
        pytest.param([STARTED, INNER], ("inner-1", "sleep"), Action.SKIP, Fit(sleep("inner"), 0), id="skip inside"),
        pytest.param(
            [APPROVAL], ("approval-1", "waitForEvent"), Action.COMPLETE, Fit(wait("approval"), 0), id="complete a wait"
        ),
        pytest.param(
            [STARTED, ROLLING, AttemptStarted(NOW + 4, UNDO, 1, CONFIG), AttemptFailed(NOW + 5, UNDO, 1, OOPS, LATER)],
            ("charge-1", "rollback"),
            Action.RETRY,
            Fit(UNDO, 1),
            id="retry a rollback",
        ),
        pytest.param(
            [STARTED],
            ("charge-2", "step"),
            Action.FAIL,
            Misfit('it has begun no step "charge-2"; its log has the names, each with its count'),
            id="unknown",
        ),
        pytest.param(
            [STARTED],
            ("charge", "step"),
            Action.FAIL,
            Misfit('it has begun no step "charge"; its log has the names, each with its count'),
            id="without its count",
        ),
        pytest.param(
            [STARTED],
            ("charge-\u00b2", "step"),
            Action.FAIL,
            Misfit('it has begun no step "charge-\u00b2"; its log has the names, each with its count'),
            id="a count that is none",
        ),
        pytest.param(
            [STARTED],
            ("charge-1", "waitForEvent"),
            Action.FAIL,
            Misfit('it has begun no waitForEvent "charge-1"; its log has the names, each with its count'),
            id="of another type",
        ),
        pytest.param(
            [STARTED, StepSucceeded(NOW + 2, do("charge"), 1, "1")],
            ("charge-1", "step"),
            Action.COMPLETE,
            Misfit('step "charge-1" has ended'),
            id="ended",
        ),
        pytest.param(
            [STARTED],
            ("charge-1", "step"),
            Action.RETRY,
            Misfit('step "charge-1" does not wait for an attempt: attempt 1 is in flight'),
            id="retry in flight",
        ),
        pytest.param(
            [STARTED, FAILED, RETRY],
            ("charge-1", "step"),
            Action.RETRY,
            Misfit('step "charge-1" does not wait for an attempt: the next one is due'),
            id="retry twice",
        ),
        pytest.param(
            [STARTED, INNER, FAILED],
            ("inner-1", "sleep"),
            Action.SKIP,
            Misfit('nothing waits for sleep "inner-1" now: what called it has ended, or is rolled back'),
            id="inside of an attempt that has ended",
        ),
        pytest.param(
            [STARTED, NAP, ROLLING],
            ("nap-1", "sleep"),
            Action.SKIP,
            Misfit('nothing waits for sleep "nap-1" now: what called it has ended, or is rolled back'),
            id="rolled back",
        ),
    ],
)
def test_action_fits_how_the_step_stands(
    records: Sequence[Record], step: tuple[str, str], action: Action, expected: Fit | Misfit
) -> None:
    """What does not fit is refused with a sentence."""
    assert fit(history(*records), step, action) == expected


# ---- what it brings about


def wanted(execution: Execution) -> None:
    """Call everything that a history of these tests may have begun."""
    begun = set(execution._steps)
    if do("charge") in begun:
        execution.ask_step(call(execution, StepKind.DO, "charge"), None, NOW + 10)
    if sleep("nap") in execution._sleeps:
        execution.ask_sleep(sleep("nap"), "1 hour", NOW + 10)
    if wait("approval") in execution.inbox:
        execution.ask_wait(wait("approval"), "approved", "1 hour", NOW + 10)


@pytest.mark.parametrize(
    ("records", "forced", "brought"),
    [
        pytest.param([NAP], SKIP, [SleepEnded(NOW + 10, sleep("nap"))], id="skip"),
        pytest.param([STARTED, FAILED], COMPLETE, [StepSucceeded(NOW + 10, do("charge"), 1, "7")], id="complete"),
        pytest.param([STARTED, FAILED], FAIL, [StepFailed(NOW + 10, do("charge"), 1, NO)], id="fail"),
        pytest.param([APPROVAL], GIVE, [WaitEnded(NOW + 10, wait("approval"), 4)], id="complete a wait"),
        pytest.param([APPROVAL], REFUSE, [WaitEnded(NOW + 10, wait("approval"), None, NO)], id="fail a wait"),
    ],
)
def test_decision_is_the_same_live_and_on_replay(
    records: Sequence[Record], forced: StepForced, brought: list[Record]
) -> None:
    """A turn that hears of it and one that reads it write the same; then it brings about nothing more."""
    live = replay(*records, now=NOW + 10)
    wanted(live)
    live.receive(Recorded(len(records) + 3, forced))
    replayed = replay(*records, forced, now=NOW + 10)
    wanted(replayed)

    for execution in (live, replayed):
        assert execution.settle(NOW + 10) == []
        assert execution.take() == brought
        assert execution.settle(LATER) == []
    decided = replay(*records, forced, *brought, now=NOW + 11)
    wanted(decided)
    assert decided.settle(LATER) == []
    assert decided.take() == []


def test_forced_retry_is_due_at_once() -> None:
    """Live its timer rings, on replay an attempt is the answer."""
    live = replay(STARTED, FAILED, now=NOW + 10)
    key = call(live, StepKind.DO, "charge")
    assert live.ask_step(key, None, NOW + 10) == WaitUntil(LATER)
    live.receive(Recorded(5, RETRY))
    assert live.settle(NOW + 10) == [key]

    replayed = replay(STARTED, FAILED, RETRY, now=NOW + 10)
    assert replayed.ask_step(call(replayed, StepKind.DO, "charge"), None, NOW + 10) == RunAttempt()


@pytest.mark.parametrize("decision", [COMPLETE, FAIL])
def test_attempt_in_flight_is_interrupted_first(decision: StepForced) -> None:
    """Its interruption is on record before the outcome, and the turn is told once to end it."""
    execution = replay()
    key = call(execution, StepKind.DO, "charge")
    execution.ask_step(key, None, NOW + 1)
    execution.start_attempt(key, NOW + 1)
    execution.take()
    execution.receive(Recorded(4, decision))

    execution.settle(NOW + 10)

    interrupted, outcome = execution.take()
    assert interrupted == AttemptInterrupted(NOW + 10, key, 1)
    assert isinstance(outcome, StepSucceeded | StepFailed)
    assert execution.forcing.take_cut() == [key]
    assert execution.forcing.take_cut() == []


def test_attempt_in_flight_is_ended_by_hand_in_a_pause() -> None:
    """Or it would hold up the pause; what waits has to wait on."""
    execution = replay(APPROVAL)
    key = call(execution, StepKind.DO, "charge")
    execution.ask_step(key, None, NOW + 1)
    execution.start_attempt(key, NOW + 1)
    wanted(execution)
    execution.take()
    outside: list[Record] = [PauseAsked(NOW + 5), COMPLETE, GIVE]
    for seq, record in enumerate(outside, 5):
        execution.receive(Recorded(seq, record))

    execution.settle(NOW + 10)

    assert execution.take() == [
        AttemptInterrupted(NOW + 10, key, 1),
        StepSucceeded(NOW + 10, key, 1, "7"),
    ]


def test_retry_is_that_of_the_attempt_that_it_names() -> None:
    """A turn that has begun the next attempt meanwhile takes no notice, however the records are ordered."""
    second: list[Record] = [
        AttemptStarted(NOW + 8, do("charge"), 2),
        AttemptFailed(NOW + 8, do("charge"), 2, OOPS, LATER),
    ]

    for records in ([STARTED, FAILED, *second, RETRY], [STARTED, FAILED, RETRY, *second]):
        execution = replay(*records, now=NOW + 10)
        assert execution.ask_step(call(execution, StepKind.DO, "charge"), None, NOW + 10) == WaitUntil(LATER)


@pytest.mark.parametrize(
    ("records", "forced"),
    [
        pytest.param([STARTED, StepSucceeded(NOW + 3, do("charge"), 1, "1")], FAIL, id="step"),
        pytest.param([NAP, SleepEnded(NOW + 3, sleep("nap"))], SKIP, id="sleep"),
        pytest.param(
            [APPROVAL, EventReceived(NOW + 2, "approved", "1"), WaitEnded(NOW + 3, wait("approval"), 4)],
            REFUSE,
            id="wait",
        ),
        pytest.param([STARTED, StepCancelled(NOW + 3, do("charge"))], COMPLETE, id="cancelled"),
    ],
)
def test_outcome_that_came_first_counts(records: list[Record], forced: StepForced) -> None:
    """The decision has no effect, whether its record lies before or behind the outcome."""
    for history_ in ([*records, forced], [*records[:-1], forced, records[-1]]):
        execution = replay(*history_, now=NOW + 10)
        wanted(execution)

        execution.settle(LATER)

        assert execution.take() == []


def test_decision_about_a_cancelled_call_is_over() -> None:
    """Also when the next attempt of the body that cancelled it calls it again."""
    inner = do("inner")
    complete = StepForced(NOW + 3, inner, Action.COMPLETE, "ann", value="7")
    execution = replay(
        *(STARTED, AttemptStarted(NOW + 2, inner, 1, CONFIG, do("charge"), 1), complete, StepCancelled(NOW + 4, inner)),
        *(AttemptFailed(NOW + 5, do("charge"), 1, OOPS, NOW + 6), AttemptStarted(NOW + 6, do("charge"), 2)),
        now=NOW + 10,
    )
    execution.take()

    execution.ask_step(inner, None, NOW + 10)
    execution.settle(NOW + 10)

    assert execution.take() == []


def test_first_decision_counts() -> None:
    """A second one about the same step has no effect."""
    execution = replay(STARTED, FAILED, COMPLETE, FAIL, now=NOW + 10)
    wanted(execution)

    execution.settle(NOW + 10)

    assert execution.take() == [StepSucceeded(NOW + 10, do("charge"), 1, "7")]


def test_wait_that_was_completed_by_hand_takes_no_event() -> None:
    """The event that comes in the same moment is kept for the next wait."""
    execution, scope = replay(APPROVAL, GIVE, EventReceived(NOW + 9, "approved", "1"), now=NOW + 10), Scope()
    execution.ask_wait(execution.next_key(StepKind.WAIT, "approval", scope), "approved", "1 hour", NOW + 10)
    execution.settle(NOW + 10)
    assert execution.take() == [WaitEnded(NOW + 10, wait("approval"), 4)]

    execution.ask_wait(execution.next_key(StepKind.WAIT, "approval", scope), "approved", "1 hour", NOW + 11)
    execution.settle(NOW + 11)

    assert execution.take()[1:] == [WaitEnded(NOW + 11, wait("approval", 2), 5)]


def test_decision_in_a_pause_is_met_after_it() -> None:
    """Nothing is decided before; then it is, at once."""
    paused = replay(NAP, STARTED, FAILED, PauseAsked(NOW + 5), SKIP, RETRY, COMPLETE, now=NOW + 10)
    wanted(paused)
    assert paused.settle(LATER * 2) == []
    assert paused.take() == []

    paused.receive(Recorded(10, Resumed(NOW + 20)))

    assert paused.settle(NOW + 20) == []
    assert paused.take() == [StepSucceeded(NOW + 20, do("charge"), 1, "7"), SleepEnded(NOW + 20, sleep("nap"))]


def test_decision_about_what_is_rolled_back_has_no_effect() -> None:
    """As nothing that `run` called ends any more."""
    execution = replay(STARTED, FAILED, now=NOW + 10)
    wanted(execution)
    execution.receive(Recorded(5, ROLLING))
    execution.receive(Recorded(6, COMPLETE))

    execution.settle(NOW + 10)

    assert execution.take() == []


def test_step_that_is_asked_for_later_gets_its_decision_then() -> None:
    """It is kept until the code calls the step."""
    execution = replay(STARTED, FAILED, COMPLETE, now=NOW + 10)
    execution.settle(NOW + 10)
    assert execution.take() == []

    key = call(execution, StepKind.DO, "charge")
    assert execution.ask_step(key, None, NOW + 10) == WaitUntil(LATER)
    execution.settle(NOW + 10)

    assert execution.take() == [StepSucceeded(NOW + 10, key, 1, "7")]
    assert execution.ask_step(key, None, NOW + 10) == AwaitResult()


# ---- what logs show


def test_logs_show_what_came_of_it() -> None:
    """A step with its value, a sleep with its new end, a wait with the payload or the error."""
    interrupted = AttemptInterrupted(NOW + 10, do("charge"), 1)
    records: list[Record] = [STARTED, NAP, APPROVAL, COMPLETE, SKIP, GIVE, interrupted]
    records += [
        StepSucceeded(NOW + 10, do("charge"), 1, "7"),
        SleepEnded(NOW + 10, sleep("nap")),
        WaitEnded(NOW + 10, wait("approval"), 8),
    ]

    step, nap, approval = fold_log(history(*records)).entries

    assert isinstance(step, StepEntry)
    assert (step.success, step.output, [attempt.success for attempt in step.attempts]) == (True, "7", [False])
    assert isinstance(nap, SleepEntry)
    assert (nap.end, nap.finished) == (NOW + 9, True)
    assert isinstance(approval, WaitEntry)
    assert approval.output == ('{"type":"approved","timestamp":"2026-09-21T14:13:20.009Z","payload":{"by":"ann"}}')
    view = view_step(history(*records), StepQuery("approval-1", "waitForEvent"))
    assert view is not None
    assert (view.status, view.value) == ("complete", '{"by":"ann"}')


def test_logs_show_the_error_of_a_wait_that_was_failed() -> None:
    """In place of a time-out."""
    records = history(APPROVAL, REFUSE, WaitEnded(NOW + 10, wait("approval"), None, NO))

    (entry,) = fold_log(records).entries
    view = view_step(records, StepQuery("approval-1", "waitForEvent"))

    assert isinstance(entry, WaitEntry)
    assert (entry.finished, entry.error) == (True, NO)
    assert view is not None
    assert (view.status, view.error) == ("errored", NO)
