"""What has to be true when everything has come to its end, whatever was done to the servers: store against ledgers."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from stepwell.core.records import (
    AttemptStarted,
    Completed,
    EventReceived,
    Failed,
    Key,
    PauseAsked,
    Paused,
    Payload,
    PayloadRef,
    Recorded,
    Restarted,
    StepSucceeded,
    WaitEnded,
)
from stepwell.core.standing import standing
from stepwell.stalls import state_of
from stepwell.store import codec
from stepwell.store.operations import InstanceHistory
from tests.soak.calls import ACKNOWLEDGED, UNKNOWN, Began, Call
from tests.store.scenes import folded

# The steps of each workflow: those of a stage run side by side, behind all of the stage before.
STAGES = {
    "sequence": (("one",), ("two",), ("three",)),
    "parallel": (("a", "b", "c", "d"), ("last",)),
    "waiting": (("one",), ("two",)),
    "family": (("last",),),
}
# How many characters of what a body gives are its own; what it is filled up with is to lie apart in the store.
_OWN = 32
PADDING = "." * 6_000


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept: which, of which instance, and what is to be seen of it."""

    promise: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an instance: what the store has, who recorded what, which bodies began, what clients asked for.

    `places` has turn and number of each record, `began` the place in the ledger of each line; `output` is what it has
    returned, if it is complete.
    """

    found: InstanceHistory
    places: Sequence[tuple[int, int]]
    began: Sequence[tuple[int, Began]]
    calls: Sequence[Call]
    output: Any = None
    # Lines of processes that were paused: they may begin what they had decided on when others have long done it.
    late: Set[int] = frozenset()
    # What those have returned that it has made.
    children: Sequence[Any] = ()
    # Of one that was made by another: the calls about that one.
    calls_of_parent: Sequence[Call] | None = None

    def count(self, act: str, *outcomes: str) -> int:
        """Return how many calls of a kind had one of these outcomes."""
        return sum(call.act == act and call.outcome in outcomes for call in self.calls)


@dataclass
class Findings:
    """What was found: promises that were broken, and how much there was to look at."""

    broken: list[Broken] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def check_instance(facts: Facts) -> Iterator[Broken]:
    """Yield what is wrong with an instance that is there."""
    records = codec.from_rows(facts.found.records)
    try:
        for check in _CHECKS:
            for promise, text in check(facts, records):
                yield Broken(promise, facts.found.row.id, text)
    except Exception as error:  # whatever a history has that no healthy one has
        yield Broken("history is sound", facts.found.row.id, repr(error))


def check_absent(id: str, calls: Sequence[Call]) -> Iterator[Broken]:
    """Yield what is wrong with it that an instance is not there."""
    if any(call.act == "delete" and call.outcome in (ACKNOWLEDGED, UNKNOWN) for call in calls):
        return
    if any(call.act == "create" and call.outcome == ACKNOWLEDGED for call in calls):
        yield Broken("create", id, "it was acknowledged, and the instance is not there")


def check_reads(calls: Sequence[Call]) -> Iterator[Broken]:
    """Yield what was looked for in vain between its creation and the end."""
    deleted = {call.id for call in calls if call.act == "delete"}
    for call in calls:
        if call.act == "get" and call.outcome == "refused" and call.id not in deleted:
            yield Broken("create", call.id, f"it was acknowledged, and a read has said: {call.told}")


Wrong = Iterator[tuple[str, str]]


def _status(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    status = facts.found.row.status
    if facts.count("delete", ACKNOWLEDGED):
        yield "delete", f"it was acknowledged, and the instance is there, {status}"
        return
    if facts.calls_of_parent is not None:
        # It is terminated with one that is deleted.
        may_end = any(call.act == "delete" for call in facts.calls_of_parent)
        expected = {"complete", "terminated"} if may_end else {"complete"}
    elif any(call.act == "terminate" for call in facts.calls):
        expected = {"terminated"}
    else:
        expected = {"errored"} if _told(facts).get("breaks") else {"complete"}
    if status not in expected:
        act = "terminate" if expected == {"terminated"} else "every instance ends as it should"
        yield act, f"it is {status}, not {' or '.join(sorted(expected))}; its last record is {records[-1]}"


def _told(facts: Facts) -> Mapping[str, Any]:
    return next((call.told for call in facts.calls if call.act == "create" and isinstance(call.told, dict)), {})


def _row(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    row = facts.found.row
    if state_of(row) != folded(facts.found):
        yield "the row is the fold", f"{state_of(row)} is not {folded(facts.found)}"
    if [record.seq for record in records] != list(range(1, row.seq + 1)):
        yield "history is sound", "its records are not numbered from 1 to the row's seq"


def _turns(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    of_turns = [place for place in facts.places if place[0] > 0]
    if of_turns != sorted(set(of_turns)):
        yield "a lost turn records nothing", f"its records are of the turns {of_turns}"
    pids: dict[int, set[int]] = defaultdict(set)
    by_value = {began.value: began.pid for _, began in facts.began}
    for seq, record in records:
        if isinstance(record, StepSucceeded) and (pid := by_value.get(_value(record.value))) is not None:
            pids[facts.places[seq - 1][0]].add(pid)
    if several := {turn: those for turn, those in pids.items() if len(those) > 1}:
        yield "one worker in a turn", f"workers of several have recorded: {several}"


def _successes(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    produced = {(began.step, began.value) for _, began in facts.began}
    done: set[Key] = set()
    for _, record in standing(records):
        if isinstance(record, AttemptStarted) and record.key in done:
            yield "no step runs again", f"an attempt of {record.key.label} is on record behind its success"
        if isinstance(record, StepSucceeded):
            if record.key in done:
                yield "a step succeeds once", f"{record.key.label} has two successes"
            done.add(record.key)
            if record.key.name in _steps(facts) and (record.key.name, _value(record.value)) not in produced:
                yield "a body runs at least once", f"no body has given what {record.key.label} has on record"


def _bodies(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    if any(call.act == "restart" for call in facts.calls):
        return
    stage_of = {name: stage for stage, names in enumerate(STAGES[facts.found.row.workflow]) for name in names}
    first_behind = [
        min((number for number, began in facts.began if stage_of[began.step] > stage), default=None)
        for stage in range(len(STAGES[facts.found.row.workflow]))
    ]
    for number, began in facts.began:
        sealed = first_behind[stage_of[began.step]]
        if sealed is not None and number > sealed and number not in facts.late:
            yield "no step runs again", f"the body of {began.step} began (attempt {began.attempt}) behind a later step"
    keys = {(began.step, began.key) for _, began in facts.began}
    if len(keys) > len({step for step, _ in keys}):
        yield "a step has one key", f"its steps were told the idempotency keys {sorted(keys)}"


def _output(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    end = records[-1].record
    if isinstance(end, Failed) and end.error.message != "as it was asked to":
        yield "every instance ends as it should", f"it failed: {end.error}"
    if not isinstance(end, Completed | Failed):
        return
    values = {
        record.key.name: _value(record.value) for _, record in standing(records) if isinstance(record, StepSucceeded)
    }
    steps = _steps(facts)
    if missing := [step for step in steps if step not in values]:
        yield "a step succeeds once", f"no success is on record of {missing}"
    elif isinstance(end, Completed):
        expected = [values[step] for step in steps]
        output = facts.output
        # Of an event it is told elsewhere; which child was which is not known here.
        of_steps = output[2:] if facts.found.row.workflow == "family" else output[: len(expected)]
        if facts.found.row.workflow == "waiting":
            expected[1] += PADDING
        if of_steps != expected:
            yield "the output is what was recorded", f"{output} is not {expected}"
        if facts.found.row.workflow == "family" and sorted(output[:2]) != sorted(facts.children):
            yield "the output is what was recorded", f"{output[:2]} is not what the children returned: {facts.children}"


def _events(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    sent = {call.told["n"]: call for call in facts.calls if call.act == "event" and isinstance(call.told, dict)}
    got = Counter(
        json.loads(str(record.value))["n"]
        for _, record in records
        if isinstance(record, EventReceived) and record.event_type == "go"
    )
    acknowledged, unknown = facts.count("event", ACKNOWLEDGED), facts.count("event", UNKNOWN)
    for n in sent:
        if acknowledged and not got[n]:
            yield "event", f"{n} was acknowledged, and is not in the history"
        if got[n] > acknowledged + unknown:
            yield "an event is received once", f"{n} is in the history {got[n]} times"
    ended = [record for _, record in records if isinstance(record, WaitEnded) and record.key.name == "go"]
    is_done = facts.found.row.workflow == "waiting" and facts.output is not None
    if is_done and (len(ended) != 1 or facts.output[-1].get("n") not in sent):
        yield "an event is consumed once", f"{len(ended)} waits have ended, and the output is {facts.output}"


def _controls(facts: Facts, records: Sequence[Recorded]) -> Wrong:
    restarts = sum(isinstance(record, Restarted) for _, record in records)
    least, unknown = facts.count("restart", ACKNOWLEDGED), facts.count("restart", UNKNOWN)
    if not least <= restarts <= least + unknown:
        yield "restart", f"{least} were acknowledged, {unknown} may have been made, and there are {restarts}"
    paused = any(call.act == "pause" and call.told in ("paused", "waitingForPause") for call in facts.calls)
    if paused and not any(isinstance(record, PauseAsked) for _, record in records):
        yield "pause", "it was acknowledged, and is not in the history"
    is_paused = False
    for seq, record in records:
        if is_paused and facts.places[seq - 1][0] > 0:
            yield "nothing begins in a pause", f"a turn has recorded {record}"
        is_paused = isinstance(record, Paused) or (is_paused and facts.places[seq - 1][0] > 0)


_CHECKS: tuple[Callable[[Facts, Sequence[Recorded]], Wrong], ...] = (
    _status,
    _row,
    _turns,
    _successes,
    _bodies,
    _output,
    _events,
    _controls,
)


def _steps(facts: Facts) -> list[str]:
    return [name for names in STAGES[facts.found.row.workflow] for name in names]


def _value(stored: Payload) -> str:
    """Return what a body wrote into the ledger that it would give, from what the store has of what it gave."""
    if isinstance(stored, PayloadRef):
        return stored.preview[1 : 1 + _OWN]
    return str(json.loads(stored))[:_OWN]
