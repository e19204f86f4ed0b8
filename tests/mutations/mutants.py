"""Ways in which Stepwell could break its promises, each a small change of its source, and the test that tells.

`docs/contract.md` shows them by the promise that they break.
"""

from dataclasses import dataclass
from pathlib import Path

SOURCES = Path("src/stepwell")


@dataclass(frozen=True)
class Mutant:
    """A defect: in `file`, below src/stepwell, `old` is `new`. `caught_by` is the test that fails, by its node id.

    `promise` is the number of the invariant in ARCHITECTURE.md, `what` says in words what is wrong then.
    """

    name: str
    promise: int
    what: str
    file: str
    old: str
    new: str
    caught_by: str

    def apply(self, sources: Path) -> None:
        """Make the change in a copy of the source."""
        path = sources / self.file
        text = path.read_text("utf-8")
        assert text.count(self.old) == 1, f"{self.name}: what it changes is {text.count(self.old)} times in {self.file}"
        path.write_text(text.replace(self.old, self.new), "utf-8")


MUTANTS = (
    Mutant(
        "told-before-durable",
        1,
        "a step's result reaches the author while it is still on its way to the store",
        "recorder.py",
        "        self._unacknowledged.extend(records)\n",
        "        self._unacknowledged.extend(records)\n        self._events.heard(records, [])\n",
        "tests/engine/test_invariants.py::test_commit_before_return",
    ),
    Mutant(
        "result-set-aside-is-lost",
        2,
        "a result on record that the code has not asked for yet in a replay never reaches it",
        "calls.py",
        "                self._aside.add(key)\n                continue\n",
        "                continue\n",
        "tests/engine/test_one_order.py::test_recorded_step_that_new_code_no_longer_calls",
    ),
    Mutant(
        "two-results-at-once",
        3,
        "the next result is delivered before the tasks have run that the one before it woke",
        "calls.py",
        "deliver(self, waiter.future, result)\n            return True\n",
        "deliver(self, waiter.future, result)\n                continue\n            return True\n",
        "tests/engine/test_one_order.py::test_two_results_in_one_commit_and_a_nested_gather_in_one_branch",
    ),
    Mutant(
        "clock-set-back-rings-no-timer",
        3,
        "a time-out of the author's is not met again in a replay where a clock was set back meanwhile",
        "calls.py",
        "return took_s < 0 and self._rings_timer(math.inf)",
        "return False",
        "tests/engine/test_one_order.py::test_timeout_round_a_step_is_replayed_though_the_clock_was_set_back",
    ),
    Mutant(
        "closed-turn-goes-on",
        4,
        "code of a turn that has ended may still call steps",
        "port.py",
        "        if self._host.is_over or not isinstance(scope, CallScope) or scope.is_closed:\n",
        "        if not isinstance(scope, CallScope):\n",
        "tests/engine/test_closing.py::test_cancellation_that_is_swallowed_brings_the_author_no_further",
    ),
    Mutant(
        "parks-over-an-event",
        5,
        "an instance is put to sleep though an event has come since its turn last looked",
        "store/sql/turns.py",
        "        and (seq = :seen or cast(:ended_at as bigint) is not null)\n",
        "        and (seq >= :seen or cast(:ended_at as bigint) is not null)\n",
        "tests/store/test_turns.py::test_no_wakeup_is_lost",
    ),
    Mutant(
        "lost-answer-told-of-nothing",
        5,
        "an event is never heard of which only a lost answer had told, as later answers came",
        "recorder.py",
        "            if not self._resending:\n                self._take(",
        "            if True:\n                self._take(",
        "tests/engine/test_turns.py::test_event_that_a_lost_answer_told_of_is_told_again",
    ),
    Mutant(
        "old-turn-commits",
        6,
        "a worker that has lost its turn may still record what it does",
        "store/sql/turns.py",
        "        and turn = :turn\n        and n = :n\n        and owner is not null\n    returning seq\n",
        "        and turn >= :turn\n        and n = :n\n        and owner is not null\n    returning seq\n",
        "tests/store/test_turns.py::test_fenced_out_turn_can_write_nothing",
    ),
    Mutant(
        "row-forgets-steps",
        8,
        "the row of an instance does not count its steps",
        "store/sql/turns.py",
        "        step_count = :step_count,\n        lost_turns = lost_turns",
        "        step_count = 0 * :step_count,\n        lost_turns = lost_turns",
        "tests/store/test_row_is_the_fold.py::test_row_is_the_fold_of_the_history",
    ),
    Mutant(
        "values-as-json",
        10,
        "the author gets what is stored as plain JSON, whatever type it had",
        "delivery.py",
        "values.decode(text, classes, f'the result of step \"{result.key.label}\"')",
        "values.decode_json(text)",
        "tests/engine/test_authoring.py::test_result_is_the_same_at_once_and_on_replay",
    ),
    Mutant(
        "errors-lose-their-class",
        10,
        "the author meets another class of error than the one that was raised",
        "delivery.py",
        "                _raise(future, rebuild(error, classes))\n            case SleepEnded",
        "                _raise(future, RuntimeError(error.message))\n            case SleepEnded",
        "tests/engine/test_errors.py::test_error_is_caught_as_what_it_was",
    ),
    Mutant(
        "large-values-in-the-history",
        11,
        "values of any size lie in the history, and are read with it",
        "limits.py",
        "INLINE_VALUE_BYTES = 4096",
        "INLINE_VALUE_BYTES = 4096 * 4096",
        "tests/engine/test_invariants.py::test_bounded_memory",
    ),
    Mutant(
        "interrupted-counts",
        13,
        "an attempt that was interrupted counts as one that failed",
        "core/execution.py",
        "self._close(key, self._pause.moment(at, at), counts=False)",
        "self._close(key, self._pause.moment(at, at), counts=True)",
        "tests/engine/test_invariants.py::test_interrupted_is_not_failed",
    ),
    Mutant(
        "sent-again-is-done-again",
        14,
        "a commit that is sent again is written once more, if a part of it was there",
        "store/sql/turns.py",
        "    return list(records[present:])\n",
        "    return list(records)\n",
        "tests/store/test_turns.py::test_commit_sent_again_with_more_writes_only_the_rest",
    ),
    Mutant(
        "core-reads-the-clock",
        7,
        "core asks the machine for the time, and a replay decides otherwise",
        "core/execution.py",
        "            until = now + self.rules.sleep_ms(key.name, duration)\n",
        "            until = __import__('time').time_ns() // 1_000_000 + self.rules.sleep_ms(key.name, duration)\n",
        "tests/engine/test_sleeps.py::test_duration_in_words_is_read",
    ),
    Mutant(
        "answered-before-durable",
        9,
        "a caller is answered before what he asked for is durable",
        "store/sqlite/file.py",
        'connection.execute("pragma synchronous = full")',
        'connection.execute("pragma synchronous = off")',
        "tests/store/test_sqlite_file.py::test_one_way_doors_are_shut",
    ),
    Mutant(
        "event-is-met-twice",
        3,
        "an event that a wait has got is given to the next one, too",
        "core/inbox.py",
        "            buffered.remove(seq)\n",
        "            pass\n",
        "tests/engine/test_events.py::test_events_are_given_in_the_order_in_which_they_came",
    ),
    Mutant(
        "event-wakes-nobody",
        5,
        "an event is kept, and its instance is not made due",
        "store/sql/events.py",
        "        due_at = record.at if target.due_at is None else min(record.at, target.due_at)\n",
        "        due_at = target.due_at\n",
        "tests/store/test_turns.py::test_reply_lost_after_the_release_costs_nothing",
    ),
    Mutant(
        "terminate-keeps-the-turn",
        6,
        "a turn goes on that a terminate has ended",
        "store/sql/control.py",
        '_LET_GO = "owner = null, turn = turn + 1,',
        '_LET_GO = "owner = owner, turn = turn + 0,',
        "tests/engine/test_control.py::test_terminate_abandons_what_is_in_flight",
    ),
    Mutant(
        "stuck-worker-is-left",
        12,
        "a worker whose loop an author blocks for good is never replaced",
        "worker_child.py",
        "        elif silent_s >= settings.stuck_after_s:\n",
        "        elif silent_s >= 1000 * settings.stuck_after_s:\n",
        "tests/crash/test_worker_faults.py::test_worker_that_stays_blocked_is_killed_with_its_place_in_the_log",
    ),
    Mutant(
        "lost-attempt-does-not-count",
        13,
        "an attempt whose worker died is tried again for ever",
        "core/execution.py",
        "AttemptLost(key=key, at=at):\n                self._close(key, self._pause.moment(at, at), counts=True)",
        "AttemptLost(key=key, at=at):\n                self._close(key, self._pause.moment(at, at), counts=False)",
        "tests/engine/test_retries.py::test_lost_attempt_counts",
    ),
    Mutant(
        "key-is-forgotten",
        14,
        "a request that is sent again under its Idempotency-Key is done again",
        "store/sql/once.py",
        "    if done is not None:\n        return done\n",
        "    if done is not None and not done.answer:\n        return done\n",
        "tests/store/test_once.py::test_operation_is_done_once_and_answers_the_same",
    ),
    Mutant(
        "resume-revives",
        8,
        "an instance that was terminated is resumed",
        "core/instance.py",
        "Status.PAUSED: Status.QUEUED}",
        "Status.PAUSED: Status.QUEUED, Status.TERMINATED: Status.QUEUED}",
        "tests/core/test_instance.py::test_status_changes_only_as_the_table_says",
    ),
    Mutant(
        "pause-costs-time",
        13,
        "what waits does not stand still in a pause, and times out in it",
        "core/pause.py",
        "return 0 if asked_at is None else max(at - asked_at, 0)",
        "return 0 if asked_at is None else 0 * max(at - asked_at, 0)",
        "tests/engine/test_pauses.py::test_sleep_stands_still_in_a_pending_pause",
    ),
    Mutant(
        "restart-keeps-the-count",
        8,
        "an instance that is restarted is still counted as one that has ended",
        "store/sql/control.py",
        ", -1)\n    forget_error(transaction, target.row, target.status)\n    take_back_labels",
        ", 0)\n    forget_error(transaction, target.row, target.status)\n    take_back_labels",
        "tests/store/test_counts.py::test_what_is_restarted_has_not_ended",
    ),
    Mutant(
        "one-slot-too-many",
        6,
        "one instance more runs than its workflow's limit allows",
        "store/sql/admission.py",
        "int(held) < self._most",
        "int(held) <= self._most",
        "tests/store/test_slots.py::test_limits_hold_whatever_is_done",
    ),
    Mutant(
        "waits-ever-longer",
        6,
        "a host that has lost its connection several times waits ever longer, and others take what it has",
        "store/postgres/pulse.py",
        "                self._waits = delays()\n",
        "",
        "tests/store/test_postgres_hosts.py::test_pulse_that_has_lost_its_connection_often_comes_back_as_soon_as_ever",
    ),
    Mutant(
        "power-cut-loses",
        9,
        "the log is not synced before an answer",
        "store/sqlite/file.py",
        'connection.execute("pragma synchronous = full")',
        'connection.execute("pragma synchronous = normal")',
        "tests/crash/test_power_loss.py::test_power_cut_leaves_what_was_acknowledged",
    ),
    Mutant(
        "stopped-host-holds",
        12,
        "a host that is stopped in the middle of a transaction keeps the others from what it has locked",
        "store/postgres/ledger.py",
        "idle_in_transaction_session_timeout = {kept_ms}",
        "idle_in_transaction_session_timeout = 0",
        "tests/store/test_postgres_faults.py::test_host_that_is_stopped_in_a_transaction_stops_no_other",
    ),
    Mutant(
        "leases-outlive-their-process",
        12,
        "what a process held that was killed stays its own until the lease is over",
        "store/sqlite/file.py",
        'connection.execute("update workers set lease_until = 0")',
        'connection.execute("update workers set lease_until = lease_until")',
        "tests/crash/test_points.py::test_drop_behind_some_commits_changes_nothing",
    ),
    Mutant(
        "counted-and-not-there",
        8,
        "`stepwell doctor` finds nothing wrong where a slot is counted that nobody has",
        "store/sql/upkeep.py",
        '        yield ("slots", of, "", *wrong)\n',
        "        continue\n",
        "tests/store/test_upkeep.py::test_what_is_miscounted_is_found_and_put_right",
    ),
    Mutant(
        "asleep-for-ever",
        5,
        "an instance that nothing will make due is not found",
        "core/stalled.py",
        "        return None if is_new else Stall(",
        "        return None if is_new or True else Stall(",
        "tests/core/test_stalled.py::test_what_has_no_good_reason_is_stalled",
    ),
    Mutant(
        "refused-is-forgotten",
        9,
        "what the store has refused to write for a moment is not sent again",
        "recorder.py",
        "self._resending = True\n            self._complain",
        "self._resending = True\n            del self._unacknowledged[:1]\n            self._complain",
        "tests/simulation/test_simulation.py::test_nothing_is_lost_whatever_goes_wrong",
    ),
    Mutant(
        "dead-lease-is-renewed",
        6,
        "a worker whose lease has been ended renews it, and goes on beside those who have taken what it held",
        "store/sql/writes.py",
        "    where row = :worker\n        and lease_until > 0\n    returning row\n",
        "    where row = :worker\n    returning row\n",
        "tests/simulation/test_simulation.py::test_nothing_is_lost_whatever_goes_wrong",
    ),
)
