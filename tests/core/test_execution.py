"""Replay: what a turn asks, what the history answers, and what becomes of it."""

from typing import Any

import pytest

from stepwell.core.failures import Failure
from stepwell.core.keys import Scope
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Completed,
    EventReceived,
    Failed,
    Key,
    PayloadRef,
    Record,
    Recorded,
    SleepEnded,
    SleepStarted,
    StepCancelled,
    StepConfig,
    StepFailed,
    StepKind,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.retries import DEFAULTS
from stepwell.core.step_answers import AwaitResult, RunAttempt, WaitUntil
from stepwell.errors import (
    InstanceTooLarge,
    InvalidEventType,
    InvalidStepConfig,
    InvalidStepName,
    SleepInThePast,
    StepLimitReached,
)
from tests.core.histories import NOW, OOPS, begin, call, do, replay, sleep, wait

DO, SLEEP, WAIT = StepKind.DO, StepKind.SLEEP, StepKind.WAIT
TWICE = StepConfig(1, 1000, "constant", "10 minutes")
ONCE = StepConfig(0, 1000, "constant", "10 minutes")
DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS


def _event(at: int, event_type: str = "approved") -> EventReceived:
    return EventReceived(at, event_type, "1")


def _ended(records: list[Record]) -> list[tuple[str, int | None]]:
    """Return which waits ended, and with which event."""
    return [(record.key.label, record.event_seq) for record in records if isinstance(record, WaitEnded)]


# ---- keys


def test_calls_are_counted_by_kind_and_name() -> None:
    """`do`, `sleep` and `wait` share names without clashing; each name has its own count."""
    execution, scope = replay(), Scope()

    calls = [(DO, "a"), (DO, "b"), (SLEEP, "a"), (DO, "a"), (WAIT, "a"), (SLEEP, "a"), (DO, "")]
    keys = [execution.next_key(kind, name, scope) for kind, name in calls]

    assert keys == [
        Key(DO, "a", 1),
        Key(DO, "b", 1),
        Key(SLEEP, "a", 1),
        Key(DO, "a", 2),
        Key(WAIT, "a", 1),
        Key(SLEEP, "a", 2),
        Key(DO, "", 1),
    ]


def test_replay_gives_the_same_keys() -> None:
    """A new turn counts from the beginning and meets what is on record."""
    records = AttemptStarted(NOW, do("a"), 1, TWICE), StepSucceeded(NOW, do("a"), 1, "1")
    execution, scope = replay(*records), Scope()

    first, second = execution.next_key(DO, "a", scope), execution.next_key(DO, "a", scope)

    assert (first, execution.ask_step(first, None, NOW)) == (do("a", 1), AwaitResult())
    assert (second, execution.ask_step(second, None, NOW)) == (do("a", 2), RunAttempt())


def test_call_inside_a_body_does_not_shift_the_calls_of_run() -> None:
    """The count of a call made in a step's body is never given to a call of `run`, whether the body runs or not."""
    live, run = replay(), Scope()
    outer = live.next_key(DO, "a", run)
    live.ask_step(outer, None, NOW)
    live.start_attempt(outer, NOW)
    inner = live.next_key(DO, "a", Scope(outer))
    live.ask_step(inner, None, NOW)
    live.start_attempt(inner, NOW)
    live.succeeded(inner, "1", NOW)
    live.succeeded(outer, "2", NOW)
    next_live = live.next_key(DO, "a", run)

    # The replay does not run the body of `outer`.
    replayed, again = replay(*live.take()), Scope()
    keys = [replayed.next_key(DO, "a", again), replayed.next_key(DO, "a", again)]

    assert (outer, inner, next_live) == (do("a", 1), do("a", 2), do("a", 3))
    assert keys == [do("a", 1), do("a", 3)]


def test_each_attempt_of_a_body_finds_its_calls_again() -> None:
    """The second attempt of a body gets the keys that the first one got, however far the counts have gone since."""
    execution, run = replay(), Scope()
    outer = execution.next_key(DO, "outer", run)
    inner = execution.next_key(SLEEP, "nap", Scope(outer))
    other = execution.next_key(SLEEP, "nap", run)

    second = Scope(outer)
    again = execution.next_key(SLEEP, "nap", second)
    further = execution.next_key(SLEEP, "nap", second)

    assert (inner, other, again, further) == (
        sleep("nap", 1),
        sleep("nap", 2),
        sleep("nap", 1),
        sleep("nap", 3),
    )


def test_first_record_of_a_key_names_its_caller() -> None:
    """A call inside a body says whose it is, and which one there where that is not its own count."""
    execution, run = replay(), Scope()
    execution.ask_sleep(execution.next_key(SLEEP, "nap", run), 5, NOW)
    outer = execution.next_key(DO, "outer", run)

    execution.ask_sleep(execution.next_key(SLEEP, "nap", Scope(outer)), 7, NOW)

    assert execution.take() == [
        SleepStarted(NOW, sleep("nap", 1), NOW + 5),
        SleepStarted(NOW, sleep("nap", 2), NOW + 7, do("outer"), 1),
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 257, id="too-long"),
        pytest.param("a\tb", id="control-character"),
        pytest.param(None, id="none"),
    ],
)
def test_wrong_name_is_refused_and_uses_no_count(name: Any) -> None:
    """A refused call leaves the counts as they were."""
    execution, scope = replay(), Scope()

    with pytest.raises(InvalidStepName, match="must be text of up to 256 characters without control characters"):
        execution.next_key(DO, name, scope)

    assert execution.next_key(DO, "a", scope) == do("a", 1)


# ---- the step limit


def test_step_limit_counts_steps_and_nothing_else() -> None:
    """Sleeps and waits are free; the step beyond the limit is refused, and so is every later one."""
    execution, scope = replay(step_limit=2), Scope()
    keys = [execution.next_key(kind, "a", scope) for kind in (DO, SLEEP, WAIT, DO, SLEEP)]

    with pytest.raises(StepLimitReached, match=r"^The limit of 2 steps has been reached\."):
        execution.next_key(DO, "a", scope)
    with pytest.raises(StepLimitReached):
        execution.next_key(DO, "b", scope)

    assert (len(keys), execution.next_key(WAIT, "b", scope)) == (5, wait("b"))


def test_step_limit_counts_what_is_on_record() -> None:
    """Steps of earlier turns count, those inside of bodies too, so that a replay meets the limit where the run did."""
    records = (
        AttemptStarted(NOW, do("outer"), 1, TWICE),
        AttemptStarted(NOW, do("inner"), 1, TWICE, do("outer")),
        StepSucceeded(NOW, do("inner"), 1, "1"),
        StepSucceeded(NOW, do("outer"), 1, "1"),
    )
    execution, scope = replay(*records, step_limit=2), Scope()

    assert execution.next_key(DO, "outer", scope) == do("outer")
    with pytest.raises(StepLimitReached):
        execution.next_key(DO, "one more", scope)


# ---- attempts


def test_first_attempt_is_recorded_with_its_config() -> None:
    """The config is merged and frozen when a step first runs."""
    execution = replay()
    key = call(execution, DO, "a")

    answer = execution.ask_step(key, {"timeout": "5 minutes"}, NOW)
    attempt = execution.start_attempt(key, NOW + 1)

    config = StepConfig(5, 10_000, "exponential", "5 minutes")
    assert (answer, attempt.number, attempt.config) == (RunAttempt(), 1, config)
    assert execution.take() == [AttemptStarted(NOW + 1, do("a"), 1, config)]


def test_config_on_record_wins_over_changed_code() -> None:
    """A step that has begun goes on with the config that it began with, whatever the code says now."""
    execution = replay(AttemptStarted(NOW, do("a"), 1, TWICE), AttemptFailed(NOW, do("a"), 1, OOPS, NOW), now=NOW)
    key = call(execution, DO, "a")

    execution.ask_step(key, {"retries": {"limit": 99, "delay": 1}, "timeout": 1}, NOW)
    attempt = execution.start_attempt(key, NOW)
    execution.failed(key, OOPS, 1000, NOW + 5)

    assert attempt.config == TWICE
    assert execution.take()[-1] == StepFailed(NOW + 5, do("a"), 2, OOPS)


def test_config_of_a_step_on_record_is_not_checked() -> None:
    """A wrong config in changed code cannot hurt a step that has begun."""
    execution = replay(AttemptStarted(NOW, do("a"), 1, TWICE), StepSucceeded(NOW, do("a"), 1, "1"))

    assert execution.ask_step(call(execution, DO, "a"), {"timeout": "soon"}, NOW) == AwaitResult()


def test_wrong_config_uses_no_attempt() -> None:
    """A refused config leaves no record."""
    execution = replay()

    with pytest.raises(InvalidStepConfig):
        execution.ask_step(call(execution, DO, "a"), {"retries": {"limit": 1}}, NOW)

    assert execution.take() == []


def test_success_is_the_outcome() -> None:
    """The value is recorded with its attempt and waits to be delivered."""
    execution = replay()
    key = begin(execution, "a")

    execution.succeeded(key, '{"x":1}', NOW + 5)

    assert execution.take()[1:] == [StepSucceeded(NOW + 5, do("a"), 1, '{"x":1}')]
    assert execution.outcomes == {do("a"): StepSucceeded(NOW + 5, do("a"), 1, '{"x":1}')}
    assert execution.ask_step(key, None, NOW + 6) == AwaitResult()


@pytest.mark.parametrize("is_replayed", [pytest.param(False, id="live"), pytest.param(True, id="on replay")])
def test_result_without_room_is_refused_in_the_same_place(*, is_replayed: bool) -> None:
    """Params (2), an event (1) and results count, in bytes; one beyond 12 leaves no record, and a smaller one fits."""
    execution = replay(instance_bytes=12)
    execution.receive(Recorded(3, _event(NOW)))
    execution.succeeded(begin(execution, "a"), '"é"', NOW)
    if is_replayed:
        execution = replay(_event(NOW), *execution.take(), instance_bytes=12)
    key = begin(execution, "b")
    execution.take()

    with pytest.raises(
        InstanceTooLarge, match=r'^Step "b-1": .* would hold 13 bytes .* At most 12 are allowed \(the se'
    ):
        execution.succeeded(key, '"1234"', NOW)
    assert execution.take() == []
    execution.succeeded(key, '"123"', NOW)

    assert execution.take() == [StepSucceeded(NOW, key, 1, '"123"')]


def test_rollback_has_room_where_the_instance_is_full() -> None:
    """Nothing could be undone otherwise."""
    execution = replay(instance_bytes=3)
    execution.succeeded(begin(execution, "a"), "1", NOW)
    execution.start_rollback(OOPS, NOW)
    undo = Key(StepKind.ROLLBACK, "a", 1)
    execution.ask_rollback(undo, None, NOW)
    execution.start_attempt(undo, NOW)

    execution.succeeded(undo, '"12345"', NOW)

    assert execution.take()[-1] == StepSucceeded(NOW, undo, 1, '"12345"')


def test_value_that_lies_apart_counts_whole() -> None:
    """Of a large value the history has the size, and the first characters, which do not count."""
    large = PayloadRef(7, 995, '"xxx')
    execution = replay(
        AttemptStarted(NOW, do("a"), 1, TWICE), StepSucceeded(NOW, do("a"), 1, large), instance_bytes=1_000
    )
    key = begin(execution, "b")

    with pytest.raises(InstanceTooLarge, match="would hold 1,001 bytes"):
        execution.succeeded(key, "1234", NOW)
    execution.succeeded(key, "123", NOW)


def test_new_result_is_told_until_it_is_taken() -> None:
    """A turn knows whether a result is recorded that it has not sent yet."""
    execution = replay()
    key = begin(execution, "a")
    before = execution.has_new_results

    execution.succeeded(key, "1", NOW)
    after = execution.has_new_results
    execution.take()

    assert (before, after, execution.has_new_results, execution.take()) == (False, True, False, [])


def test_failed_attempt_is_tried_again_after_its_delay() -> None:
    """Between the attempts the step waits for time; then it is due."""
    execution = replay()
    key = begin(execution, "a", {"retries": {"limit": 2, "delay": 1000, "backoff": "linear"}})

    execution.failed(key, OOPS, 1000, NOW + 5)
    early = execution.settle(NOW + 1004)
    due = execution.settle(NOW + 1005)
    attempt = execution.start_attempt(key, NOW + 1005)

    assert execution.take()[1] == AttemptFailed(NOW + 5, do("a"), 1, OOPS, NOW + 1005)
    assert (early, due, attempt.number, execution.next_due()) == ([], [do("a")], 2, None)


@pytest.mark.parametrize(
    ("limit", "attempts"),
    [pytest.param(0, 1, id="none"), pytest.param(1, 2, id="one"), pytest.param(3, 4, id="three")],
)
def test_limit_counts_retries_after_the_first_attempt(limit: int, attempts: int) -> None:
    """A step with a limit of n has n + 1 attempts; then the last one's error is the step's."""
    execution = replay()
    key = begin(execution, "a", {"retries": {"limit": limit, "delay": 0}})
    was_last = [execution.is_last_attempt(key)]

    execution.failed(key, OOPS, 0, NOW)
    while execution.settle(NOW):
        execution.start_attempt(key, NOW)
        was_last.append(execution.is_last_attempt(key))
        execution.failed(key, OOPS, 0, NOW)

    assert was_last == [False] * (attempts - 1) + [True]
    assert execution.outcomes == {do("a"): StepFailed(NOW, do("a"), attempts, OOPS)}


def test_giving_up_may_come_with_another_error_than_the_attempts() -> None:
    """The attempt keeps its own error; the step fails for good with the other."""
    execution = replay()
    key = begin(execution, "a")
    late = Failure("NonRetryableDelayError", "late")

    execution.attempt_failed(key, OOPS, NOW)
    execution.gave_up(key, late, NOW)

    assert execution.take()[1:] == [
        AttemptFailed(NOW, do("a"), 1, OOPS, None),
        StepFailed(NOW, do("a"), 1, late),
    ]


def test_delay_of_a_retry_goes_on_in_a_later_turn() -> None:
    """A replay before the retry is due waits for the rest of the time; one after it begins at once."""
    records = AttemptStarted(NOW, do("a"), 1, TWICE), AttemptFailed(NOW, do("a"), 1, OOPS, NOW + 1000)
    early, late = replay(*records, now=NOW + 400), replay(*records, now=NOW + 1000)

    early_answer = early.ask_step(call(early, DO, "a"), None, NOW + 400)
    late_answer = late.ask_step(call(late, DO, "a"), None, NOW + 1000)

    assert (early_answer, late_answer) == (WaitUntil(NOW + 1000), RunAttempt())
    assert (early.next_due(), early.settle(NOW + 1000)) == (NOW + 1000, [do("a")])


# ---- lost, interrupted, cancelled


def test_lost_attempt_counts_and_the_next_begins_at_once() -> None:
    """An attempt that is open when a turn begins died with its worker."""
    execution = replay(AttemptStarted(NOW, do("a"), 1, TWICE), now=NOW + 50)

    answer = execution.ask_step(call(execution, DO, "a"), None, NOW + 50)
    attempt = execution.start_attempt(do("a"), NOW + 50)

    assert (answer, attempt.number) == (RunAttempt(), 2)
    assert execution.take() == [AttemptLost(NOW + 50, do("a"), 1), AttemptStarted(NOW + 50, do("a"), 2)]


def test_lost_attempt_is_followed_by_another_even_beyond_the_limit() -> None:
    """A step that may be tried once is tried again after its worker died, and then fails for good."""
    execution = replay(AttemptStarted(NOW, do("a"), 1, ONCE))

    answer = execution.ask_step(call(execution, DO, "a"), None, NOW)
    execution.start_attempt(do("a"), NOW)
    execution.failed(do("a"), OOPS, 1000, NOW)

    assert answer == RunAttempt()
    assert execution.take()[-1] == StepFailed(NOW, do("a"), 2, OOPS)


def test_interrupted_attempt_does_not_count() -> None:
    """What the engine ended is tried again at once, with the same number and all its retries."""
    execution = replay(AttemptStarted(NOW, do("a"), 1, ONCE), AttemptInterrupted(NOW + 5, do("a"), 1), now=NOW + 5)

    answer = execution.ask_step(call(execution, DO, "a"), None, NOW + 5)
    attempt = execution.start_attempt(do("a"), NOW + 5)

    assert (answer, attempt.number) == (RunAttempt(), 1)
    assert execution.take() == [AttemptStarted(NOW + 5, do("a"), 2)]


def test_all_attempts_in_flight_are_interrupted() -> None:
    """At the end of a turn each open attempt is closed, and only these."""
    execution = replay()
    done, open_one, failed = begin(execution, "a"), begin(execution, "b"), begin(execution, "c")
    execution.succeeded(done, "1", NOW)
    execution.failed(failed, OOPS, 1000, NOW)
    execution.take()

    execution.interrupt_attempts(NOW + 5)

    assert execution.take() == [AttemptInterrupted(NOW + 5, open_one, 1)]


def test_forgotten_call_is_waited_for_no_more() -> None:
    """When a body ends, the attempts that it had begun are interrupted and its timers mean nothing."""
    execution = replay()
    step = begin(execution, "a")
    nap = call(execution, SLEEP, "nap")
    execution.ask_sleep(nap, 1000, NOW)

    execution.forget(step, NOW + 1)
    execution.forget(nap, NOW + 1)

    assert execution.take()[-1] == AttemptInterrupted(NOW + 1, step, 1)
    assert (execution.next_due(), execution.settle(NOW + 1000), execution.take()) == (None, [], [])


@pytest.mark.parametrize("kind", [pytest.param(SLEEP, id="sleep"), pytest.param(WAIT, id="wait")])
def test_cancelled_call_is_on_record_and_its_timer_is_dead(kind: StepKind) -> None:
    """The author's cancellation is an outcome like any other."""
    execution = replay()
    key = call(execution, kind, "a")
    if kind is SLEEP:
        execution.ask_sleep(key, 1000, NOW)
    else:
        execution.ask_wait(key, "approved", 1000, NOW)

    result = execution.cancel(key, NOW + 1)

    assert result == StepCancelled(NOW + 1, key)
    assert (execution.take()[-1], execution.next_due()) == (StepCancelled(NOW + 1, key), None)


def test_cancelled_step_is_on_record_once_it_has_begun() -> None:
    """A step in flight is cancelled for good; replays find it so."""
    execution = replay()
    key = begin(execution, "a")

    result = execution.cancel(key, NOW + 1)
    replayed = replay(*execution.take())

    assert result == StepCancelled(NOW + 1, key)
    assert replayed.ask_step(call(replayed, DO, "a"), None, NOW + 2) == AwaitResult()


def test_step_cancelled_before_its_first_attempt_leaves_no_trace() -> None:
    """A replay cancels such a call in the same place, so nothing has to be kept."""
    execution = replay()
    key = call(execution, DO, "a")
    execution.ask_step(key, None, NOW)

    assert (execution.cancel(key, NOW), execution.take()) == (None, [])


def test_cancellation_that_comes_after_the_result_changes_nothing() -> None:
    """What is on record has decided; the canceller is told."""
    execution = replay()
    key = begin(execution, "a")
    execution.succeeded(key, "1", NOW)
    execution.take()

    assert execution.cancel(key, NOW + 1) == StepSucceeded(NOW, key, 1, "1")
    assert execution.take() == []


def test_next_attempt_of_a_body_may_call_again_what_the_last_one_cancelled() -> None:
    """A cancellation inside a body is forgotten when the body is tried again; other results are kept."""
    execution = replay(
        AttemptStarted(NOW, do("outer"), 1, TWICE),
        SleepStarted(NOW, sleep("kept"), NOW + 1, do("outer")),
        SleepStarted(NOW, sleep("cancelled"), NOW + 500, do("outer")),
        SleepEnded(NOW + 1, sleep("kept")),
        StepCancelled(NOW + 2, sleep("cancelled")),
        AttemptFailed(NOW + 2, do("outer"), 1, OOPS, NOW + 2),
    )
    execution.ask_step(call(execution, DO, "outer"), None, NOW + 2)

    execution.start_attempt(do("outer"), NOW + 2)

    assert execution.outcomes == {sleep("kept"): SleepEnded(NOW + 1, sleep("kept"))}


# ---- sleeps


def test_sleep_ends_at_its_moment() -> None:
    """A sleep is over when its time has come, never earlier."""
    execution = replay()
    execution.ask_sleep(call(execution, SLEEP, "nap"), "5 seconds", NOW)

    execution.settle(NOW + 4999)
    early = execution.take()
    execution.settle(NOW + 5000)

    assert early == [SleepStarted(NOW, sleep("nap"), NOW + 5000)]
    assert execution.take() == [SleepEnded(NOW + 5000, sleep("nap"))]


def test_sleep_on_record_keeps_its_moment() -> None:
    """A replay waits for the rest of the time, whatever duration the code gives now."""
    execution = replay(SleepStarted(NOW, sleep("nap"), NOW + 5000), now=NOW + 3000)

    execution.ask_sleep(call(execution, SLEEP, "nap"), "no duration at all", NOW + 3000)

    assert (execution.next_due(), execution.take()) == (NOW + 5000, [])


def test_sleeps_end_in_the_order_of_their_moments() -> None:
    """However late the clock is looked at, what was due first ends first."""
    execution = replay()
    for name, ms in (("c", 30), ("a", 10), ("b", 20), ("a too", 10)):
        execution.ask_sleep(call(execution, SLEEP, name), ms, NOW)

    execution.settle(NOW + 25)

    ended = [record.key.name for record in execution.take() if isinstance(record, SleepEnded)]
    assert (ended, execution.next_due()) == (["a", "a too", "b"], NOW + 30)


@pytest.mark.parametrize(
    "duration",
    [
        pytest.param("soon", id="no-duration"),
        pytest.param(-1, id="negative"),
        pytest.param(YEAR_MS + 1, id="more-than-365-days"),
        pytest.param("1 year", id="a-year-has-a-quarter-day-more"),
        pytest.param(None, id="none"),
    ],
)
def test_wrong_duration_of_a_sleep_is_refused(duration: object) -> None:
    """A sleep lasts up to 365 days; a refused one leaves no record."""
    execution = replay()

    with pytest.raises(InvalidStepConfig, match=r'^Step "nap": the duration must be .*, at most 365 days, got'):
        execution.ask_sleep(call(execution, SLEEP, "nap"), duration, NOW)

    assert execution.take() == []


def test_longest_sleep_has_365_days() -> None:
    """The limit itself is allowed."""
    execution = replay()

    execution.ask_sleep(call(execution, SLEEP, "nap"), "365 days", NOW)

    assert execution.next_due() == NOW + YEAR_MS


def test_sleep_until_ends_at_its_moment() -> None:
    """The moment itself is recorded; the present one is allowed and over at once."""
    execution = replay()
    execution.ask_sleep_until(call(execution, SLEEP, "later"), NOW + 7, NOW)
    execution.ask_sleep_until(call(execution, SLEEP, "now"), NOW, NOW)

    execution.settle(NOW)

    assert execution.take() == [
        SleepStarted(NOW, sleep("later"), NOW + 7),
        SleepStarted(NOW, sleep("now"), NOW),
        SleepEnded(NOW, sleep("now")),
    ]


def test_sleep_until_in_the_past_is_refused_unless_it_is_on_record() -> None:
    """A replay after the moment finds the sleep begun, so the same call does not turn into an error."""
    fresh = replay(now=NOW + 10)
    replayed = replay(SleepStarted(NOW, sleep("nap"), NOW + 5), now=NOW + 10)

    with pytest.raises(SleepInThePast, match=r'^Sleep "nap": the moment 1790000000005 is 5 ms in the past '):
        fresh.ask_sleep_until(call(fresh, SLEEP, "nap"), NOW + 5, NOW + 10)
    replayed.ask_sleep_until(call(replayed, SLEEP, "nap"), NOW + 5, NOW + 10)
    replayed.settle(NOW + 10)

    assert (fresh.take(), replayed.take()) == ([], [SleepEnded(NOW + 10, sleep("nap"))])


def test_sleep_until_more_than_365_days_away_is_refused() -> None:
    """The limit of sleeps holds for moments too: seconds given for milliseconds are seen."""
    execution = replay()

    with pytest.raises(InvalidStepConfig, match="at most 365 days away, in milliseconds"):
        execution.ask_sleep_until(call(execution, SLEEP, "nap"), NOW + YEAR_MS + 1, NOW)


# ---- events


def test_event_meets_the_wait_of_its_type() -> None:
    """An event ends the wait for its type, and no other."""
    execution = replay()
    execution.ask_wait(call(execution, WAIT, "other"), "rejected", DAY_MS, NOW)
    execution.ask_wait(call(execution, WAIT, "approval"), "approved", DAY_MS, NOW)

    execution.receive(Recorded(9, _event(NOW + 5)))
    execution.settle(NOW + 5)

    assert execution.take() == [
        WaitStarted(NOW, wait("other"), "rejected", NOW + DAY_MS, DAY_MS),
        WaitStarted(NOW, wait("approval"), "approved", NOW + DAY_MS, DAY_MS),
        WaitEnded(NOW + 5, wait("approval"), 9),
    ]


def test_event_that_came_before_the_wait_is_kept_for_it() -> None:
    """Events wait in the instance until the workflow asks for their type."""
    execution = replay(_event(NOW))

    execution.ask_wait(call(execution, WAIT, "approval"), "approved", DAY_MS, NOW + 5)
    execution.settle(NOW + 5)

    assert _ended(execution.take()) == [("approval-1", 3)]


def test_oldest_event_comes_first() -> None:
    """Events of a type are delivered in the order in which they came, each to one wait."""
    execution, scope = replay(_event(NOW), _event(NOW), _event(NOW)), Scope()

    for _ in range(2):
        execution.ask_wait(execution.next_key(WAIT, "approval", scope), "approved", DAY_MS, NOW)
        execution.settle(NOW)

    assert _ended(execution.take()) == [("approval-1", 3), ("approval-2", 4)]


def test_waits_are_served_in_the_order_in_which_they_began() -> None:
    """Several waits for one type get the events first come, first served, also where a replay asks in another order."""
    live = replay()
    for name in ("first", "second"):
        live.ask_wait(call(live, WAIT, name), "approved", DAY_MS, NOW)
    replayed = replay(*live.take(), _event(NOW), _event(NOW))

    for name in ("second", "first"):
        replayed.ask_wait(call(replayed, WAIT, name), "approved", DAY_MS, NOW)
    replayed.settle(NOW)

    assert _ended(replayed.take()) == [("first-1", 5), ("second-1", 6)]


def test_event_that_was_delivered_is_not_delivered_again() -> None:
    """What a wait got is on record, and a replay does not give the event to the next wait."""
    execution = replay(
        WaitStarted(NOW, wait("approval"), "approved", NOW + DAY_MS, DAY_MS),
        _event(NOW),
        WaitEnded(NOW, wait("approval"), 4),
    )
    scope = Scope()
    for _ in range(2):
        execution.ask_wait(execution.next_key(WAIT, "approval", scope), "approved", DAY_MS, NOW)

    execution.settle(NOW)

    assert _ended(execution.take()) == []


def test_wait_times_out_at_its_deadline() -> None:
    """A wait without an event ends at its deadline, and never earlier."""
    execution = replay()
    key = call(execution, WAIT, "approval")
    execution.ask_wait(key, "approved", "1 second", NOW)

    execution.settle(NOW + 999)
    early = _ended(execution.take())
    execution.settle(NOW + 1000)

    assert (early, _ended(execution.take())) == ([], [("approval-1", None)])
    assert execution.inbox.timeout_ms(key) == 1000


def test_wait_that_timed_out_does_not_swallow_the_next_event() -> None:
    """The event goes to the next wait that still waits."""
    execution = replay()
    execution.ask_wait(call(execution, WAIT, "impatient"), "approved", 1000, NOW)
    execution.ask_wait(call(execution, WAIT, "patient"), "approved", DAY_MS, NOW)
    execution.settle(NOW + 1000)
    execution.take()

    execution.receive(Recorded(9, _event(NOW + 2000)))
    execution.settle(NOW + 2000)

    assert _ended(execution.take()) == [("patient-1", 9)]


def test_event_in_time_beats_a_deadline_that_is_decided_late() -> None:
    """An event that was received before the deadline counts, even if the engine was down in between."""
    execution = replay(
        WaitStarted(NOW, wait("approval"), "approved", NOW + 1000, 1000), _event(NOW + 1000), now=NOW + DAY_MS
    )
    execution.ask_wait(call(execution, WAIT, "approval"), "approved", 1000, NOW + DAY_MS)

    execution.settle(NOW + DAY_MS)

    assert _ended(execution.take()) == [("approval-1", 4)]


def test_event_after_the_deadline_is_too_late_even_if_time_was_not_looked_at() -> None:
    """The deadline has decided, and the event waits for the next wait."""
    execution = replay(
        WaitStarted(NOW, wait("approval"), "approved", NOW + 1000, 1000), _event(NOW + 1001), now=NOW + DAY_MS
    )
    scope = Scope()
    execution.ask_wait(execution.next_key(WAIT, "approval", scope), "approved", 1000, NOW + DAY_MS)
    execution.settle(NOW + DAY_MS)

    execution.ask_wait(execution.next_key(WAIT, "approval", scope), "approved", 1000, NOW + DAY_MS)
    execution.settle(NOW + DAY_MS)

    assert _ended(execution.take()) == [("approval-1", None), ("approval-2", 4)]


def test_deadline_on_record_wins_over_changed_code() -> None:
    """A wait that has begun keeps its type and its deadline."""
    execution = replay(WaitStarted(NOW, wait("approval"), "approved", NOW + 1000, 1000), now=NOW + 500)

    execution.ask_wait(call(execution, WAIT, "approval"), "no.type", "no timeout", NOW + 500)

    assert (execution.next_due(), execution.take()) == (NOW + 1000, [])


@pytest.mark.parametrize(
    ("event_type", "timeout", "error"),
    [
        pytest.param("order.approved", "1 day", InvalidEventType, id="dot-in-the-type"),
        pytest.param("", "1 day", InvalidEventType, id="no-type"),
        pytest.param(None, "1 day", InvalidEventType, id="none"),
        pytest.param("approved", 999, InvalidStepConfig, id="below-a-second"),
        pytest.param("approved", YEAR_MS + 1, InvalidStepConfig, id="above-365-days"),
        pytest.param("approved", "soon", InvalidStepConfig, id="no-duration"),
        pytest.param("approved", None, InvalidStepConfig, id="no-timeout"),
    ],
)
def test_wrong_wait_is_refused(event_type: object, timeout: object, error: type[Exception]) -> None:
    """A wait has a type that events can have and 1 second to 365 days; a refused one leaves no record."""
    execution = replay()

    with pytest.raises(error):
        execution.ask_wait(call(execution, WAIT, "approval"), event_type, timeout, NOW)

    assert execution.take() == []


@pytest.mark.parametrize("timeout", [pytest.param(1000, id="shortest"), pytest.param(YEAR_MS, id="longest")])
def test_wait_may_last_from_a_second_to_365_days(timeout: int) -> None:
    """Both limits are allowed."""
    execution = replay()

    execution.ask_wait(call(execution, WAIT, "approval"), "approved", timeout, NOW)

    assert execution.next_due() == NOW + timeout


# ---- the instance


def test_end_is_recorded() -> None:
    """The end of `run` is the end of the instance."""
    completed, errored = replay(), replay()

    completed.completed("[1]", NOW + 5)
    errored.errored(OOPS, NOW + 5)

    assert (completed.take(), completed.state.status) == ([Completed(NOW + 5, "[1]")], "complete")
    assert (errored.take(), errored.state.status) == ([Failed(NOW + 5, OOPS)], "errored")


def test_state_reached_live_is_the_state_of_the_replay() -> None:
    """New records and history go the same way, so the count of steps agrees."""
    live = replay()
    begin(live, "a")
    live.ask_sleep(call(live, SLEEP, "nap"), 5, NOW)
    live.ask_wait(call(live, WAIT, "approval"), "approved", 1000, NOW)

    replayed = replay(*live.take())

    assert live.state == replayed.state
    assert live.state.step_count == 3


def test_defaults_are_those_of_the_server() -> None:
    """A step without a config gets what the server was told, and on a later replay what is on record."""
    server = StepConfig(1, 5, "constant", "1 minute")
    execution = replay(defaults=server)
    begin(execution, "a")

    replayed = replay(*execution.take(), defaults=DEFAULTS)
    replayed.ask_step(call(replayed, DO, "a"), None, NOW)

    assert replayed.start_attempt(do("a"), NOW).config == server
