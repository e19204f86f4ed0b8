"""What a process has seen its store write, counted for `/metrics`.

It is read from the operations once they are durable, in the writer's thread: a worker tells nothing more for it, and a
batch is counted while nobody waits for it any more. What a turn's records say of steps is met with what the claim said
of the instance. After a restart it begins anew, as counters do.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct, field

from stepwell import limits
from stepwell.core.instance import FINAL
from stepwell.errors import StoreError, TurnLost, WorkflowTimeoutError
from stepwell.metrics import OTHER, SHORT_S, Bounded, Counter, Histogram, Labels, Metric, Number, Observed
from stepwell.store.operations import Claim, ClaimDue, Claims, Commit, Operation, RecordRow, Release, Released

# Turns and steps whose beginning is remembered. Workers hold 500 turns each; of what was forgotten the end is counted
# all the same, but not how long it took.
_MOST_TURNS = 20_000
_MOST_RETRIED = 20_000
_UNKNOWN = (OTHER, OTHER)
_BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_WORKFLOW = ("account", "workflow")
_STEP = (*_WORKFLOW, "step", "kind")

# What a step or an attempt is called by in its instance: kind, name, count.
_Key = tuple[str, str, int]


class _Error(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    """What is read of a record of a step."""

    key: _Key
    attempt: int = 0
    retry_at: int | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Body).decode
# Whatever else a worker writes there is no series.
_WITH_ATTEMPTS = ("do", "rollback")
_ENDINGS = frozenset(
    {
        *("attempt_failed", "attempt_lost", "attempt_interrupted"),
        *("step_succeeded", "step_failed", "step_cancelled"),
    }
)


class _Turn(Struct):
    """A turn that a worker of this process holds: whose, since when its instance is there, the attempts in flight."""

    workflow: Labels
    created_at: int | None
    began: dict[_Key, int] = field(default_factory=dict)


class Tally:
    """The metrics of what is written, by this process alone."""

    def __init__(self, most_workflows: int = limits.METRICS_WORKFLOWS, most_steps: int = limits.METRICS_STEPS) -> None:
        """So many workflows, and steps of all of them, have series of their own; `most_steps` 0: no step has."""
        self.workflows = Bounded(most_workflows)
        self._steps = _Steps(most_steps)
        # By row.
        self._turns: dict[int, _Turn] = {}
        # Readers count faults, too.
        self._faults = threading.Lock()
        self.created = Counter("stepwell_instances_created_total", "Instances that were created.", _WORKFLOW)
        self.ended = Counter(
            "stepwell_instances_ended_total",
            "Instances that ended, by outcome: complete, errored or terminated.",
            (*_WORKFLOW, "outcome"),
        )
        self.duration = Histogram(
            "stepwell_instance_duration_seconds",
            "How long instances took from their creation to their end; of what is terminated from outside it is not "
            "known.",
            (*_WORKFLOW, "outcome"),
        )
        self.lateness = Histogram(
            "stepwell_claim_lateness_seconds",
            "How long after it was due an instance was claimed: new, or back from a sleep, a wait or a retry.",
        )
        self.turns_lost = Counter(
            "stepwell_turns_lost_total", "Turns that were taken from a worker which died or lost its lease.", _WORKFLOW
        )
        self.leases_lost = Counter(
            "stepwell_host_leases_lost_total",
            "How often the lease of this host was over before it was renewed (PostgreSQL): others took what it held.",
        )
        self.commit = Histogram(
            "stepwell_store_commit_seconds", "How long it took to make a batch of writes durable.", bounds=SHORT_S
        )
        self.batch = Histogram(
            "stepwell_store_batch_operations", "How many operations were written together.", bounds=_BATCHES
        )
        self.records = Counter("stepwell_store_records_total", "Records that turns have written.")
        self.errors = Counter(
            "stepwell_store_errors_total",
            "Reads and writes that the store could not do, by the name of the error.",
            ("error",),
        )
        kinds: list[type[StoreError]] = [StoreError, *StoreError.__subclasses__()]
        for error in kinds:
            self.errors.add((error.__name__,), 0)

    def metrics(self) -> list[Metric]:
        """Return all of them."""
        return [one for part in (self, self._steps) for one in vars(part).values() if isinstance(one, Metric)]

    def wrote(self, operations: Sequence[Operation[Any]], outcomes: Sequence[object], took_s: float) -> None:
        """Count a batch that is durable: its operations and what became of each."""
        self.commit.observe(took_s)
        self.batch.observe(len(operations))
        for operation, outcome in zip(operations, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._failed(operation, outcome)
            elif isinstance(operation, Commit):
                self._recorded(operation, self._turns.get(operation.row))
            elif isinstance(operation, Release) and isinstance(outcome, Released) and outcome.done:
                self._ended(operation, self._turns.pop(operation.row, None))
            elif isinstance(operation, ClaimDue) and isinstance(outcome, Claims):
                self._claimed(outcome.turns, operation.now)

    def came(self, created: Iterable[tuple[str, str]], terminated: Iterable[tuple[str, str]]) -> None:
        """Count instances that were created, and those that were terminated from outside, by account and workflow."""
        for workflow in created:
            self.created.add(self.workflows.of(workflow))
        for workflow in terminated:
            self.ended.add((*self.workflows.of(workflow), "terminated"))

    def failed(self, error: object) -> None:
        """Count what the store could not do, if it is that; from any thread."""
        if isinstance(error, StoreError):
            with self._faults:
                self.errors.add((type(error).__name__,))

    def _failed(self, operation: Operation[Any], error: Exception) -> None:
        self.failed(error)
        if isinstance(error, TurnLost) and isinstance(operation, Commit | Release):
            self._turns.pop(operation.row, None)

    def _claimed(self, turns: Iterable[Claim], now: int) -> None:
        for claim in turns:
            workflow = self.workflows.of((claim.account, claim.workflow))
            if workflow not in self.turns_lost:
                self._begin(workflow)
            if claim.due_at is None:
                self.turns_lost.add(workflow)
            else:
                self.lateness.observe(max(0, now - claim.due_at) / 1000)
            _keep(self._turns, claim.row, _Turn(workflow, claim.created_at), _MOST_TURNS)

    def _begin(self, workflow: Labels) -> None:
        """Let series be there before there is anything to count: else the first of it would be seen by nobody."""
        self.turns_lost.add(workflow, 0)
        for status in FINAL:
            self.ended.add((*workflow, status), 0)

    def _ended(self, operation: Release, known: _Turn | None) -> None:
        turn = self._recorded(operation, known)
        if operation.status in FINAL:
            ended = (*turn.workflow, operation.status)
            self.ended.add(ended)
            if turn.created_at is not None and operation.ended_at is not None:
                self.duration.observe((operation.ended_at - turn.created_at) / 1000, ended)

    def _recorded(self, operation: Commit | Release, known: _Turn | None) -> _Turn:
        """Count the records of a turn, and return it; None: it is not known any more, or was not claimed here."""
        turn = _Turn(_UNKNOWN, None) if known is None else known
        self.records.add(more=len(operation.records))
        for record in operation.records:
            if record.kind == "attempt_started":
                self._steps.began(operation.row, turn, record)
            elif record.kind in _ENDINGS:
                self._steps.ended(operation.row, turn, record)
        return turn


class _Steps:
    """The metrics of steps and their attempts."""

    def __init__(self, most_steps: int) -> None:
        self._names = Bounded(most_steps, limits.METRICS_STEPS_OF_WORKFLOW)
        # Of what has series of its own, by workflow, kind and name.
        self._own: dict[tuple[Labels, str, str], _Series] = {}
        # When the first attempt began of steps that are tried again, maybe in another turn.
        self._retried: dict[tuple[int, _Key], int] = {}
        self.steps = Counter(
            "stepwell_steps_total",
            "Steps that came to their end, by outcome: succeeded, failed or cancelled. The kind is do or rollback.",
            (*_STEP, "outcome"),
        )
        self.step_duration = Histogram(
            "stepwell_step_duration_seconds",
            "How long steps took that succeeded or failed, from the beginning of the first attempt, with all retries "
            "and the waits between them.",
            _STEP,
        )
        self.attempts = Counter(
            "stepwell_step_attempts_total",
            "Attempts of steps that ended, by outcome: succeeded, failed, timed_out, cancelled, interrupted (by a "
            "reload or a stop; they do not count), or lost with their worker.",
            (*_STEP, "outcome"),
        )
        self.attempt_duration = Histogram(
            "stepwell_step_attempt_duration_seconds",
            "How long attempts took that succeeded, failed or timed out.",
            _STEP,
        )

    def began(self, row: int, turn: _Turn, record: RecordRow) -> None:
        """Remember when an attempt began."""
        body = _decode(record.body)
        turn.began[body.key] = record.at
        if body.attempt == 1:
            # The step may have begun before, in the life before a restart.
            self._retried.pop((row, body.key), None)

    def ended(self, row: int, turn: _Turn, record: RecordRow) -> None:
        """Count what a record of a turn says of the end of an attempt, of a step, or of both."""
        body = _decode(record.body)
        key = body.key
        kind, name, _ = key
        if kind not in _WITH_ATTEMPTS:
            return
        step = self._own.get((turn.workflow, kind, name)) or self._series(turn.workflow, kind, name)
        began_at = turn.began.pop(key, None)
        if (attempt := _outcome_of_attempt(record.kind, body, began_at)) is not None:
            step.attempts[attempt].value += 1
            if began_at is not None and attempt in _TIMED:
                step.attempt_duration.observe((record.at - began_at) / 1000)
        if (outcome := _OUTCOMES_OF_STEP.get(record.kind)) is not None:
            step.steps[outcome].value += 1
            first_at = self._retried.pop((row, key), began_at) if self._retried else began_at
            if first_at is not None and outcome != "cancelled":
                step.step_duration.observe((record.at - first_at) / 1000)
        elif began_at is not None and (row, key) not in self._retried:
            _keep(self._retried, (row, key), began_at, _MOST_RETRIED)

    def _series(self, workflow: Labels, kind: str, name: str) -> "_Series":
        labels = (*self._names.of((*workflow, name)), kind)
        series = _Series(self, labels)
        if labels[-2] != OTHER:
            self._own[workflow, kind, name] = series
        return series


class _Series:
    """The series of a step, each made when there is something to count. Looking them up each time took a fifth more."""

    def __init__(self, metrics: _Steps, labels: Labels) -> None:
        self.attempts = _ByOutcome(metrics.attempts, labels)
        self.steps = _ByOutcome(metrics.steps, labels)
        self._metrics = metrics
        self._labels = labels

    @cached_property
    def attempt_duration(self) -> Observed:
        return self._metrics.attempt_duration.series(self._labels)

    @cached_property
    def step_duration(self) -> Observed:
        return self._metrics.step_duration.series(self._labels)


class _ByOutcome(dict[str, Number]):
    def __init__(self, counter: Counter, labels: Labels) -> None:
        super().__init__()
        self._counter = counter
        self._labels = labels

    def __missing__(self, outcome: str) -> Number:
        number = self[outcome] = self._counter.series((*self._labels, outcome))
        return number


_TIMED = ("succeeded", "failed", "timed_out")
_OUTCOMES_OF_STEP = {"step_succeeded": "succeeded", "step_failed": "failed", "step_cancelled": "cancelled"}
_OUTCOMES_OF_ATTEMPT = {
    "step_succeeded": "succeeded",
    "step_cancelled": "cancelled",
    "attempt_lost": "lost",
    "attempt_interrupted": "interrupted",
}


def _outcome_of_attempt(kind: str, body: _Body, began_at: int | None) -> str | None:
    """Return how an attempt ended by a record; None: the step alone has ended, between two attempts."""
    if kind in ("step_failed", "step_cancelled") and began_at is None:
        return None
    if body.error is not None:
        return "timed_out" if body.error.name == WorkflowTimeoutError.name else "failed"
    return _OUTCOMES_OF_ATTEMPT[kind]


def _keep(kept: dict[Any, Any], key: object, value: object, most: int) -> None:
    """Keep a value under a key; what was kept first goes where there is no room."""
    if len(kept) >= most and key not in kept:
        del kept[next(iter(kept))]
    kept[key] = value
