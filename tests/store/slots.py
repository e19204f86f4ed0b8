"""Random work at the gates of limited workflows, and what has to hold after each step of it."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

from stepwell.core.failures import Failure
from stepwell.core.records import (
    Completed,
    Created,
    Failed,
    PauseAsked,
    Paused,
    Restarted,
    Resumed,
    RollbackStarted,
    Terminated,
)
from stepwell.flow import Flow, Rate, from_text, to_text
from stepwell.store import codec
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    TerminateInstance,
)
from stepwell.store.flow_operations import ForgetLimits, ForgetQueues, LimitAccount, QueuePlace
from stepwell.store.operations import (
    Claim,
    ClaimDue,
    Claims,
    CreateInstance,
    EndLease,
    InstanceRow,
    Operation,
    RegisterWorker,
    RegisterWorkflow,
    Release,
)
from stepwell.store.sql.rows import Connection, every
from tests.store.scenes import NOW, happening, waiting

ACCOUNT = "acme"
WORKFLOWS = ("orders", "mails")
KEYS = ("ann", "bob", "eve")

FLOWS = (
    Flow(limit=5),
    Flow(limit=1),
    Flow(limit=2),
    Flow(limit=3, key="k", limit_per_key=1),
    Flow(key="k", limit_per_key=2),
    Flow(limit=2, key="k", priority="p"),
    Flow(rate=Rate(2, 1_000)),
    Flow(limit=2, key="k", rate_per_key=Rate(1, 500)),
    Flow(limit=2, key="k", rate=Rate(3, 1_000), rate_per_key=Rate(2, 1_000)),
    Flow(key="k", singleton="queue"),
    Flow(limit=2, key="k", singleton="queue"),
    Flow(key="k", singleton="skip"),
)

_OFTEN = ["create"] * 6 + ["claim"] * 6 + ["end"] * 4 + ["park"] * 3 + ["tick"] * 3
_SELDOM = ["fail", "interrupt", "event", "pause", "resume", "terminate", "undo", "restart", "delete", "lose", "forget"]


def _steps(*more: str) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    kinds = st.sampled_from([*_OFTEN, *_SELDOM, *more])
    return st.lists(st.tuples(kinds, st.integers(0, 50), st.integers(0, 50)), min_size=5, max_size=60)


# What is done, and to which of those that there are; and the same while code declares limits and takes them away again.
STEPS = _steps()
STEPS_OF_CHANGING_CODE = _steps("change", "change", "forget", "forget")


class Seen(NamedTuple):
    """An instance, as its row has it."""

    row: int
    workflow: int
    key: str
    slot: int
    queued_at: int | None
    due_at: int | None
    owner: int | None
    started_at: int | None
    ended_at: int | None
    status: str


_ROWS = """
    select row, workflow, key, slot, queued_at, due_at, owner, started_at, ended_at, status
    from instances
    where workflow in (select row from workflows)
    """
_GATES = "select workflow, limits, most, held, queued from gates"
_QUEUES = "select workflow, key, held, holder from queues"
_ACCOUNT = f"select concurrency from account_settings where account = '{ACCOUNT}'"

Write = Callable[[Sequence[Operation[Any]]], Sequence[object]]


@dataclass
class Work:
    """A store at whose gates random work is done, and what is known of it."""

    write: Write
    connection: Connection
    flows: dict[str, Flow | None]
    now: int = NOW
    turns: dict[int, tuple[Claim, int]] = field(default_factory=dict)
    workers: list[int] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    starts: dict[tuple[int, str | None], list[int]] = field(default_factory=dict)
    declared_before: dict[str, Flow | None] = field(default_factory=dict)
    before: dict[int, Seen] = field(default_factory=dict)
    held_before: dict[Any, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def set_up(self) -> None:
        """Register the workflows, and a worker."""
        for name, flow in self.flows.items():
            self.declare(name, flow)
        self.add_worker()

    def declare(self, name: str, flow: Flow | None) -> None:
        """Let a workflow's code declare a flow."""
        n = next(self._numbers)
        ids = (f"{name}-id", f"{name}-version-{n}")
        text = to_text(flow, name)
        # Each of its own class: what a class declares holds for all its workflows.
        self._done(RegisterWorkflow(ACCOUNT, name, "shop", name.title(), f"{n:064}", *ids, self.now, flow=text))
        self.flows[name] = flow

    def add_worker(self) -> None:
        """Add a worker."""
        answers = self.write([RegisterWorker("worker", self.now + 10**9, self.now)])
        assert isinstance(answers[0], int)
        self.workers.append(answers[0])

    def do(self, step: tuple[str, int, int]) -> None:
        """Do a step, and look whether all holds."""
        name, which, how = step
        getattr(self, f"_{name}")(which, how)
        self.check()

    # ---- the steps

    def _create(self, which: int, how: int) -> None:
        name = WORKFLOWS[which % len(WORKFLOWS)]
        id = f"i{next(self._numbers)}"
        flow = self.flows[name]
        key = KEYS[how % len(KEYS)] if flow is not None and flow.key else ""
        bias = (how % 3) * 100 if flow is not None and flow.priority else 0
        record = codec.to_row(Created(self.now, "api", "{}"))
        creation = CreateInstance(ACCOUNT, name, id, "api", record, self.now, None, key, bias)
        (made,) = self.write([creation])
        assert isinstance(made, InstanceRow), made
        self.ids[made.id] = name
        if flow is not None and made.id == id:
            assert every(self.connection, f"select key, bias from instances where id = '{id}'") == [(key, bias)]

    def _claim(self, which: int, how: int) -> None:
        worker = self.workers[which % len(self.workers)]
        (claims,) = self.write([ClaimDue(worker, self.now, 1 + how % 5)])
        assert isinstance(claims, Claims)
        for claim in claims.turns:
            self.turns[claim.row] = claim, worker

    def _end(self, which: int, how: int) -> None:
        self._release(which, [codec.to_row(Completed(self.now, "1"))], "complete", None, has_ended=True)

    def _fail(self, which: int, how: int) -> None:
        failed = codec.to_row(Failed(self.now, Failure("ValueError", "no")))
        self._release(which, [failed], "errored", None, has_ended=True)

    def _park(self, which: int, how: int) -> None:
        self._release(which, [waiting(self.now)], "waiting", self.now + how * 20 if how % 4 else None)

    def _interrupt(self, which: int, how: int) -> None:
        self._release(which, [], None, self.now)

    def _release(
        self, which: int, records: list[Any], status: str | None, due_at: int | None, *, has_ended: bool = False
    ) -> None:
        """Let a turn end; one that is to be paused, or is rolled back, does not wait."""
        if not self.turns:
            return
        row = sorted(self.turns)[which % len(self.turns)]
        claim, _ = self.turns.pop(row)
        seen = next(each for each in self._rows() if each.row == row) if row in self.before else None
        if seen is None or seen.owner is None:
            return
        (seq, status_now) = every(self.connection, f"select seq, status from instances where row = {row}")[0]
        if status == "waiting" and status_now != "running":
            records, status = [], None
        if status == "complete" and status_now == "rollingBack":
            return
        if status_now == "waitingForPause" and status is None:
            records, status, due_at = [codec.to_row(Paused(self.now))], "paused", None
        ended_at = self.now if has_ended else None
        self.write([Release(row, claim.turn, 1, seq, records, 0, status or status_now, due_at, ended_at, self.now)])

    def _tick(self, which: int, how: int) -> None:
        self.now += which * 20

    def _event(self, which: int, how: int) -> None:
        self._to_one(which, lambda name, id: happening(id, at=self.now, workflow=name))

    def _pause(self, which: int, how: int) -> None:
        records = codec.to_row(PauseAsked(self.now)), codec.to_row(Paused(self.now))
        self._to_one(which, lambda name, id: PauseInstance(ACCOUNT, name, id, *records))

    def _resume(self, which: int, how: int) -> None:
        record = codec.to_row(Resumed(self.now))
        self._to_one(which, lambda name, id: ResumeInstance(ACCOUNT, name, id, record))

    def _terminate(self, which: int, how: int) -> None:
        record = codec.to_row(Terminated(self.now, "api"))
        self._to_one(which, lambda name, id: TerminateInstance(ACCOUNT, name, id, record, None))

    def _undo(self, which: int, how: int) -> None:
        """Terminate with rollback, as if a step had one."""
        terminated = codec.to_row(Terminated(self.now, "api"))
        undo = codec.to_row(RollbackStarted(self.now, Failure("Terminated", ""), "api"))
        self._to_one(which, lambda name, id: TerminateInstance(ACCOUNT, name, id, terminated, undo))

    def _restart(self, which: int, how: int) -> None:
        record = codec.to_row(Restarted(self.now, "api"))
        self._to_one(which, lambda name, id: RestartInstance(ACCOUNT, name, id, "api", record))

    def _delete(self, which: int, how: int) -> None:
        self._to_one(which, lambda name, id: DeleteInstance(ACCOUNT, name, id, self.now))

    def _to_one(self, which: int, operation: Callable[[str, str], Operation[Any]]) -> None:
        if self.ids:
            id = sorted(self.ids)[which % len(self.ids)]
            self.write([operation(self.ids[id], id)])

    def _lose(self, which: int, how: int) -> None:
        """Let a worker die; another one takes its place."""
        worker = self.workers.pop(which % len(self.workers))
        self.write([EndLease(worker)])
        self.turns = {row: held for row, held in self.turns.items() if held[1] != worker}
        self.add_worker()

    def _forget(self, which: int, how: int) -> None:
        """Forget what nothing refers to, some queues at a time."""
        self.write([ForgetLimits(self.now)])
        (place,) = self.write([ForgetQueues(self.now, None, 1 + how)])
        while isinstance(place, QueuePlace):
            (place,) = self.write([ForgetQueues(self.now, place, 1 + how)])
        assert place is None

    def _change(self, which: int, how: int) -> None:
        """Let code declare limits that it did not, or none any more."""
        name = WORKFLOWS[which % len(WORKFLOWS)]
        now, before = self.flows[name], self.declared_before.get(name)
        self.declared_before[name] = now
        self.declare(name, before)

    def limit(self, concurrency: int | None) -> None:
        """Limit the account."""
        self._done(LimitAccount(ACCOUNT, concurrency, self.now))

    def _done(self, operation: Operation[Any]) -> None:
        (answer,) = self.write([operation])
        assert not isinstance(answer, Exception), answer

    # ---- what has to hold

    def _rows(self) -> list[Seen]:
        return [Seen(*columns) for columns in every(self.connection, _ROWS)]

    def check(self) -> None:
        """Look whether all holds."""
        rows = self._rows()
        held = Counter[Any]()
        gates = {gate[0]: gate[1:] for gate in every(self.connection, _GATES)}
        for seen in rows:
            if seen.workflow not in gates:
                assert seen.queued_at is None
                continue
            self._check_row(seen)
            held[seen.workflow] += seen.slot
            held[seen.workflow, seen.key] += seen.slot
            held["account"] += seen.slot
        most_in_account = next((most for (most,) in every(self.connection, _ACCOUNT)), None)
        queues = {(workflow, key): (count, holder) for workflow, key, count, holder in every(self.connection, _QUEUES)}
        for workflow, (text, most, count, queued) in gates.items():
            limits = from_text(text)
            here = [seen for seen in rows if seen.workflow == workflow]
            # The counters are what the rows say.
            assert count == held[workflow]
            assert queued == sum(seen.queued_at is not None for seen in here)
            for key in {seen.key for seen in here}:
                assert queues.get((workflow, key), (0, 0))[0] == held[workflow, key]
                self._not_above(held, (workflow, key), limits.limit_per_key)
            self._not_above(held, workflow, most)
            self._check_starts(workflow, limits, here)
            self._check_singletons(limits, here)
            has_room = most is None or held[workflow] < most
            if has_room and (most_in_account is None or held["account"] < most_in_account):
                self._nobody_is_forgotten(limits, here, held, queues)
            self._check_order(limits, here)
        self._not_above(held, "account", most_in_account)
        self.before = {seen.row: seen for seen in rows}
        self.held_before = held

    def _check_row(self, seen: Seen) -> None:
        """A slot is of one that is unfinished and not at rest; who is held has one; nobody waits who has one."""
        if seen.slot:
            assert seen.ended_at is None
            assert seen.queued_at is None
            assert seen.owner is not None or seen.due_at is not None
        if seen.owner is not None:
            assert seen.slot
        if seen.queued_at is not None:
            assert seen.ended_at is None
            assert seen.owner is None
            assert seen.status not in ("waiting", "paused")

    def _not_above(self, held: Counter[Any], what: Any, most: int | None) -> None:
        """Above a limit is only what was there before the limit."""
        assert most is None or held[what] <= max(most, self.held_before.get(what, 0)), what

    def _nobody_is_forgotten(self, limits: Flow, here: list[Seen], held: Counter[Any], queues: dict[Any, Any]) -> None:
        """Where there is room, the first of each key waits for its key, or for the time at which it may start."""
        for key in {seen.key for seen in here if seen.queued_at is not None}:
            queue = [seen for seen in here if seen.key == key and seen.queued_at is not None]
            head = min(queue, key=lambda seen: (seen.queued_at, seen.row))
            is_full = limits.limit_per_key is not None and held[head.workflow, key] >= limits.limit_per_key
            holder = queues[head.workflow, key][1]
            is_taken = holder != head.row and any(each.row == holder and each.ended_at is None for each in here)
            # It, or the first of another key whose turn comes before, wakes itself when the rate allows the next start.
            sleepers = here if limits.rate else queue
            wakes = any(each.due_at is not None for each in sleepers if each.queued_at is not None)
            assert is_full or is_taken or wakes, head

    def _check_starts(self, workflow: int, limits: Flow, here: list[Seen]) -> None:
        """In no period there are more starts than the rate allows."""
        for seen in here:
            known = self.before.get(seen.row)
            if seen.slot and seen.started_at is None and (known is None or not known.slot):
                for place, rate in (((workflow, None), limits.rate), ((workflow, seen.key), limits.rate_per_key)):
                    starts = self.starts.setdefault(place, [])
                    starts.append(self.now)
                    if rate is not None:
                        assert isinstance(rate.period, int)
                        assert sum(at > self.now - rate.period for at in starts) <= rate.limit, place

    def _check_singletons(self, limits: Flow, here: list[Seen]) -> None:
        """Of a key, one instance is between its start and its end."""
        if limits.singleton is not None:
            begun = Counter(
                seen.key
                for seen in here
                if seen.ended_at is None and (seen.slot or (seen.started_at is not None and seen.status != "queued"))
            )
            assert max(begun.values(), default=0) <= 1, begun

    def _check_order(self, limits: Flow, here: list[Seen]) -> None:
        """Who got a slot had waited, with its priority, at least as long as all of its key who wait still."""
        for seen in here:
            known = self.before.get(seen.row)
            if seen.slot and known is not None and known.queued_at is not None:
                place = (known.queued_at, known.row)
                waiting = [
                    (each.queued_at, each.row)
                    for each in here
                    if each.key == seen.key and each.queued_at is not None and each.row in self.before
                ]
                assert all(place <= each for each in waiting)
