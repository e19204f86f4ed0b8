"""A history folds into the log that people see."""

import pytest

from stepwell.core.failures import Failure
from stepwell.core.open_calls import fold_calls
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    EventReceived,
    Failed,
    PayloadRef,
    Record,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.steplog import (
    AttemptEntry,
    Entry,
    SleepEntry,
    StepEntry,
    WaitEntry,
    fold_log,
    iso,
    log_output,
)
from tests.core.histories import NOW, OOPS, do, history, sleep, wait

CONFIG = StepConfig(1, "1 second", "constant", "10 minutes")
SECRET = StepConfig(1, "1 second", "constant", "10 minutes", "output")
STARTED = AttemptStarted(NOW + 1, do("a"), 1, CONFIG)
SLEEPING = SleepStarted(NOW + 1, sleep("nap"), NOW + 500)
WAITING = WaitStarted(NOW + 1, wait("approval"), "approved", NOW + 5001, 5000)
# Its number after `Created`, `Running` and WAITING.
EVENT_SEQ = 4
EVENT = EventReceived(NOW + 2, "approved", '{"by":"ann"}')


def _entry(*records: Record) -> Entry:
    (entry,) = fold_log(history(*records)).entries
    return entry


def _step(end: int | None, success: bool | None, output: str | None, *attempts: AttemptEntry) -> StepEntry:
    return StepEntry("a-1", NOW + 1, CONFIG, end, success, output, list(attempts))


@pytest.mark.parametrize(
    ("records", "entry"),
    [
        pytest.param((STARTED,), _step(None, None, None, AttemptEntry(NOW + 1)), id="running"),
        pytest.param(
            (STARTED, StepSucceeded(NOW + 9, do("a"), 1, '{"x":1}')),
            _step(NOW + 9, True, '{"x":1}', AttemptEntry(NOW + 1, NOW + 9, True, None)),
            id="succeeded",
        ),
        pytest.param(
            (STARTED, StepSucceeded(NOW + 9, do("a"), 1, "null")),
            _step(NOW + 9, True, None, AttemptEntry(NOW + 1, NOW + 9, True, None)),
            id="succeeded-without-a-value",
        ),
        pytest.param(
            (STARTED, AttemptFailed(NOW + 9, do("a"), 1, OOPS, NOW + 1009)),
            _step(None, None, None, AttemptEntry(NOW + 1, NOW + 9, False, OOPS)),
            id="between-attempts",
        ),
        pytest.param(
            (
                STARTED,
                AttemptFailed(NOW + 9, do("a"), 1, OOPS, NOW + 1009),
                AttemptStarted(NOW + 1009, do("a"), 2),
                StepFailed(NOW + 1010, do("a"), 2, Failure("KeyError", "k")),
            ),
            _step(
                NOW + 1010,
                False,
                None,
                AttemptEntry(NOW + 1, NOW + 9, False, OOPS),
                AttemptEntry(NOW + 1009, NOW + 1010, False, Failure("KeyError", "k")),
            ),
            id="failed-in-its-second-attempt",
        ),
        pytest.param(
            (
                STARTED,
                AttemptFailed(NOW + 9, do("a"), 1, OOPS),
                StepFailed(NOW + 9, do("a"), 1, Failure("NonRetryableDelayError", "late")),
            ),
            _step(NOW + 9, False, None, AttemptEntry(NOW + 1, NOW + 9, False, OOPS)),
            id="attempt-keeps-its-own-error",
        ),
        pytest.param(
            (STARTED, AttemptLost(NOW + 9, do("a"), 1)),
            _step(
                None,
                None,
                None,
                AttemptEntry(
                    NOW + 1,
                    NOW + 9,
                    False,
                    Failure(
                        "WorkflowInternalError",
                        "The attempt was lost: its worker process ended before the attempt did.",
                    ),
                ),
            ),
            id="lost",
        ),
        pytest.param(
            (STARTED, AttemptInterrupted(NOW + 9, do("a"), 1)),
            _step(
                None,
                None,
                None,
                AttemptEntry(
                    NOW + 1,
                    NOW + 9,
                    False,
                    Failure(
                        "AttemptInterrupted",
                        "The engine ended the attempt (reload, stop, pause, restart or end of the instance). "
                        "It does not count as a failure.",
                    ),
                ),
            ),
            id="interrupted",
        ),
        pytest.param(
            (STARTED, StepCancelled(NOW + 9, do("a"))),
            _step(
                NOW + 9,
                False,
                None,
                AttemptEntry(NOW + 1, NOW + 9, False, Failure("CancelledError", "The workflow cancelled the call.")),
            ),
            id="cancelled",
        ),
        pytest.param(
            (STARTED, StepCancelled(NOW + 9, do("a")), AttemptStarted(NOW + 10, do("a"), 2)),
            _step(
                None,
                None,
                None,
                AttemptEntry(NOW + 1, NOW + 9, False, Failure("CancelledError", "The workflow cancelled the call.")),
                AttemptEntry(NOW + 10),
            ),
            id="called-again-after-it-was-cancelled",
        ),
    ],
)
def test_step_is_shown(records: tuple[Record, ...], entry: StepEntry) -> None:
    """A step shows its attempts, and its own end once it has ended for good."""
    assert _entry(*records) == entry


@pytest.mark.parametrize(
    ("records", "entry"),
    [
        pytest.param((SLEEPING,), SleepEntry("nap-1", NOW + 1, NOW + 500), id="sleeping"),
        pytest.param(
            (SLEEPING, SleepEnded(NOW + 650, sleep("nap"))),
            SleepEntry("nap-1", NOW + 1, NOW + 500, True),
            id="over-and-its-end-is-the-planned-one",
        ),
        pytest.param(
            (SLEEPING, StepCancelled(NOW + 9, sleep("nap"))),
            SleepEntry("nap-1", NOW + 1, NOW + 9, True, Failure("CancelledError", "The workflow cancelled the call.")),
            id="cancelled",
        ),
        pytest.param(
            (SLEEPING, StepCancelled(NOW + 9, sleep("nap")), SleepEnded(NOW + 650, sleep("nap"))),
            SleepEntry("nap-1", NOW + 1, NOW + 650, True),
            id="waited-for-again-after-it-was-cancelled",
        ),
    ],
)
def test_sleep_is_shown(records: tuple[Record, ...], entry: SleepEntry) -> None:
    """A sleep shows its planned end, and whether it is over."""
    assert _entry(*records) == entry


@pytest.mark.parametrize(
    ("records", "entry"),
    [
        pytest.param(
            (WAITING,), WaitEntry("approval-1", NOW + 1, NOW + 5001, "approved", 5000), id="waiting-until-its-deadline"
        ),
        pytest.param(
            (WAITING, EVENT, WaitEnded(NOW + 3, wait("approval"), EVENT_SEQ)),
            WaitEntry(
                "approval-1",
                NOW + 1,
                NOW + 3,
                "approved",
                5000,
                True,
                None,
                '{"type":"approved","timestamp":"2026-09-21T14:13:20.002Z","payload":{"by":"ann"}}',
            ),
            id="got-an-event",
        ),
        pytest.param(
            (WAITING, WaitEnded(NOW + 5003, wait("approval"))),
            WaitEntry(
                "approval-1",
                NOW + 1,
                NOW + 5003,
                "approved",
                5000,
                True,
                Failure("WorkflowTimeoutError", "Execution timed out after 5000ms"),
            ),
            id="timed-out",
        ),
        pytest.param(
            (WAITING, StepCancelled(NOW + 9, wait("approval"))),
            WaitEntry(
                "approval-1",
                NOW + 1,
                NOW + 9,
                "approved",
                5000,
                True,
                Failure("CancelledError", "The workflow cancelled the call."),
            ),
            id="cancelled",
        ),
    ],
)
def test_wait_is_shown(records: tuple[Record, ...], entry: WaitEntry) -> None:
    """A wait shows its deadline, then when and how it ended; the event with type, time and payload."""
    assert _entry(*records) == entry


def test_event_too_large_for_its_record_is_shown_by_its_beginning() -> None:
    """The text of an event is cut like any other, and says that it was."""
    preview = '"' + "x" * 1023
    event = EventReceived(NOW + 2, "approved", PayloadRef(7, 5000, preview))

    entry = _entry(WAITING, event, WaitEnded(NOW + 3, wait("approval"), EVENT_SEQ))

    head = '{"type":"approved","timestamp":"2026-09-21T14:13:20.002Z","payload":"'
    assert isinstance(entry, WaitEntry)
    assert entry.output == head + "x" * (1024 - len(head)) + "[truncated output]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param('"text"', '"text"', id="text"),
        pytest.param("null", None, id="nothing"),
        pytest.param('"null"', '"null"', id="the-word-null"),
        pytest.param("1" * 1024, "1" * 1024, id="longest"),
        pytest.param("1" * 1025, "1" * 1024 + "[truncated output]", id="cut"),
        pytest.param("😀" * 1025, "😀" * 1024 + "[truncated output]", id="cut-by-characters"),
        pytest.param(PayloadRef(7, 5000, "1" * 1024), "1" * 1024 + "[truncated output]", id="lies-apart"),
        pytest.param(PayloadRef(7, 5000, "1" * 3), "111[truncated output]", id="lies-apart-with-a-short-beginning"),
    ],
)
def test_output_is_cut_after_1024_characters(value: str | PayloadRef, shown: str | None) -> None:
    """The log shows the beginning of a long value and says that it was cut."""
    assert log_output(value) == shown


def test_sensitive_output_is_redacted() -> None:
    """What a step with `sensitive` returned is not in the log."""
    entry = _entry(AttemptStarted(NOW, do("a"), 1, SECRET), StepSucceeded(NOW + 1, do("a"), 1, '"password"'))

    assert isinstance(entry, StepEntry)
    assert (entry.success, entry.output) == (True, "[REDACTED]")


def test_entries_are_in_the_order_of_their_calls() -> None:
    """Entries stay where they began, whatever ends first, with names counted per kind."""
    log = fold_log(
        history(
            STARTED,
            SleepStarted(NOW + 1, sleep("a"), NOW + 2),
            WaitStarted(NOW + 1, wait("a"), "x", NOW + 2000, 1999),
            AttemptStarted(NOW + 1, do("a", 2), 1, CONFIG),
            SleepEnded(NOW + 2, sleep("a")),
            StepSucceeded(NOW + 3, do("a", 2), 1, "2"),
            StepSucceeded(NOW + 4, do("a"), 1, "1"),
        )
    )

    assert [(entry.type, entry.name) for entry in log.called] == [
        ("step", "a-1"),
        ("sleep", "a-1"),
        ("waitForEvent", "a-1"),
        ("step", "a-2"),
    ]


def test_log_tells_what_the_instance_was_given_and_returned() -> None:
    """Trigger, params, output and state come from the history."""
    log = fold_log(history(Completed(NOW + 9, '{"paid":true}')))

    assert (log.trigger, log.params, log.output, log.error) == ("api", "{}", '{"paid":true}', None)
    assert (log.state.status, log.state.ended_at) == ("complete", NOW + 9)


def test_log_tells_the_error_that_ended_the_instance() -> None:
    """An instance that failed has its error and no output."""
    log = fold_log(history(Failed(NOW + 9, OOPS)))

    assert (log.output, log.error) == (None, Failure("ValueError", "oops"))


def test_attempts_in_flight_are_named() -> None:
    """Who asks what an instance was doing gets the steps whose attempt has not ended."""
    calls = fold_calls(
        history(
            STARTED,
            AttemptStarted(NOW + 1, do("b"), 1, CONFIG),
            AttemptStarted(NOW + 1, do("c"), 1, CONFIG),
            StepSucceeded(NOW + 2, do("a"), 1, "1"),
            AttemptFailed(NOW + 2, do("b"), 1, OOPS, NOW + 100),
            SLEEPING,
        )
    )

    assert [call.key.label for call in calls.live() if call.is_in_flight] == ["c-1"]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(0, "1970-01-01T00:00:00.000Z", id="epoch"),
        pytest.param(1_790_000_000_007, "2026-09-21T14:13:20.007Z", id="milliseconds"),
        pytest.param(4_102_444_800_000, "2100-01-01T00:00:00.000Z", id="whole-second"),
    ],
)
def test_moment_is_written_in_utc_with_three_decimals(at: int, text: str) -> None:
    """Every time of the API has three decimals and a Z."""
    assert iso(at) == text
