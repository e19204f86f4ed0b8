"""What an instance does now, by the end of its history."""

import pytest

from stepwell.core.doing import Doing, doing_now
from stepwell.core.failures import Failure
from stepwell.core.records import (
    Action,
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Key,
    PauseAsked,
    Record,
    Restarted,
    Resumed,
    RollbackStarted,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepForced,
    StepKind,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from tests.core.histories import NOW, OOPS, do, history, sleep, wait

CONFIG = StepConfig(5, 1_000, "exponential", 60_000)
UNDO = Key(StepKind.ROLLBACK, "a", 1)


def began(key: Key, attempt: int = 1, *, at: int = NOW, parent: Key | None = None) -> Record:
    """An attempt began."""
    return AttemptStarted(at, key, attempt, CONFIG if attempt == 1 else None, parent)


def failed(key: Key, *, retry_at: int = NOW + 50) -> Record:
    """An attempt failed."""
    return AttemptFailed(NOW + 10, key, 1, OOPS, retry_at)


def done(key: Key) -> Record:
    """A step returned."""
    return StepSucceeded(NOW, key, 1, "1")


def running(key: Key, attempt: int = 1, *, since: int = NOW, others: int = 0, parent: Key | None = None) -> Doing:
    """Return that an attempt runs."""
    return Doing(key, since, attempt=attempt, is_running=True, parent=parent, others=others)


A, B = do("a"), do("b")
NAP, CALL = sleep("nap"), wait("call")
SLEEP = SleepStarted(NOW, NAP, NOW + 100)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param((), None, id="nothing yet"),
        pytest.param((began(A),), running(A), id="an attempt"),
        pytest.param((began(A), done(A)), None, id="a step that is over"),
        pytest.param((began(A), began(B, at=NOW + 1)), running(B, since=NOW + 1, others=1), id="the latest of two"),
        pytest.param((began(A), SLEEP), running(A, others=1), id="what runs before what waits"),
        pytest.param((began(A), failed(A)), Doing(A, NOW, NOW + 50, attempt=1), id="a retry"),
        pytest.param((began(A), failed(A), began(A, 2, at=NOW + 50)), running(A, 2, since=NOW + 50), id="tried again"),
        pytest.param((began(A), AttemptLost(NOW + 9, A, 1)), Doing(A, NOW, attempt=1), id="lost"),
        pytest.param((began(A), AttemptInterrupted(NOW + 9, A, 1)), Doing(A, NOW, attempt=1), id="interrupted"),
        pytest.param((failed(A),), Doing(A, NOW + 10, NOW + 50, attempt=1), id="a retry whose beginning is far back"),
        pytest.param((SLEEP,), Doing(NAP, NOW, NOW + 100), id="a sleep"),
        pytest.param((SLEEP, SleepEnded(NOW + 100, NAP)), None, id="a sleep that is over"),
        pytest.param(
            (SLEEP, WaitStarted(NOW, CALL, "go", NOW + 50, 50)),
            Doing(CALL, NOW, NOW + 50, event_type="go", others=1),
            id="what is over first",
        ),
        pytest.param((WaitStarted(NOW, CALL, "go", NOW + 50, 50), WaitEnded(NOW, CALL, None)), None, id="timed out"),
        pytest.param((began(A), began(B, parent=A)), running(B, parent=A, others=1), id="a step inside a step"),
        pytest.param(
            (began(A), began(B, parent=A), failed(A)), Doing(A, NOW, NOW + 50, attempt=1), id="and the outer one failed"
        ),
        pytest.param((began(A), began(B, parent=A), StepCancelled(NOW, A)), None, id="or was cancelled"),
        pytest.param((SLEEP, PauseAsked(NOW + 10), Resumed(NOW + 40)), Doing(NAP, NOW, NOW + 130), id="behind a pause"),
        pytest.param((SLEEP, Resumed(NOW + 40)), Doing(NAP, NOW, NOW + 100), id="behind a pause that is far back"),
        pytest.param((began(A), Restarted(NOW, "api")), None, id="restarted"),
        pytest.param(
            (began(A), began(B), Restarted(NOW, "api", 4, 1)), Doing(A, NOW, attempt=1), id="restarted from a step"
        ),
        pytest.param(
            (began(A), RollbackStarted(NOW, Failure("E", "no")), began(UNDO)), running(UNDO), id="rolled back"
        ),
        pytest.param(
            (SLEEP, StepForced(NOW + 7, NAP, Action.SKIP, "ann")), Doing(NAP, NOW, NOW + 7), id="skipped by hand"
        ),
    ],
)
def test_end_of_a_history_tells(records: tuple[Record, ...], expected: Doing | None) -> None:
    """What runs and began last, or else what will be over first; and how much else is open."""
    assert doing_now(history(*records)) == expected


@pytest.mark.parametrize("left_out", range(6))
def test_any_end_of_a_history_tells_something(left_out: int) -> None:
    """Records whose beginnings are far back are no error."""
    whole = history(
        began(A), began(B, parent=A), done(B), failed(A), began(A, 2), SLEEP, PauseAsked(NOW), Resumed(NOW), done(A)
    )

    assert doing_now(whole[left_out:]) == Doing(NAP, NOW, NOW + 100)
