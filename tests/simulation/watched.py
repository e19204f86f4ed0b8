"""The one store of a simulated world. It sees for itself, at each operation, that what has to hold does."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from stepwell.core.records import Key, StepSucceeded
from stepwell.core.standing import standing
from stepwell.errors import TurnLost
from stepwell.store.control_operations import PauseInstance, RestartInstance, ResumeInstance, TerminateInstance
from stepwell.store.flow_operations import ListGates
from stepwell.store.label_operations import SetLabels
from stepwell.store.note_operations import WriteNotes
from stepwell.store.operations import (
    AppendEvent,
    Claim,
    ClaimDue,
    Claims,
    Commit,
    GetInstance,
    GetWorkflow,
    Operation,
    RecordRow,
    Release,
)
from stepwell.store.sql.rows import Connection, Row, every, first, only
from tests.engine.stores import CheckedStore
from tests.simulation.loop import SimulatedLoop

A = TypeVar("A")

_CONTROL = (PauseInstance, ResumeInstance, TerminateInstance, RestartInstance, AppendEvent)
_FENCED = (Commit, Release, WriteNotes, SetLabels)
# Nothing that goes wrong holds up an instance for longer: clocks that are an hour off one way and then the other are
# the most. The shortest wait that runs out lasts a day.
LATEST_MS = 5 * 3_600_000
_PLACE = """
    select turn, n, seq, owner, status, due_at
    from instances
    where row = :row
    """
_OPEN = """
    select i.row, i.owner, i.due_at, w.lease_until
    from instances as i
    left join workers as w on w.row = i.owner
    where i.ended_at is null
    """


class _Place(NamedTuple):
    turn: int
    n: int
    seq: int
    owner: int | None
    status: str
    due_at: int | None


class WatchedStore(CheckedStore):
    """A store in memory that is asked by several processes. `trace` has what they have asked of it."""

    def __init__(self, loop: SimulatedLoop, trace: list[str]) -> None:
        super().__init__()
        self.loop = loop
        self.trace = trace
        # Workers that turns have been taken from.
        self.robbed: set[int] = set()
        # Workers whose lease somebody has ended; and who is told of a worker from which a turn is taken.
        self.ended: set[int] = set()
        self.robs: Callable[[int], None] = _nothing
        # How many instances of a workflow may run; those that are not there have no limit.
        self.most_running: dict[str, int] = {}
        self.asked: Counter[str] = Counter()

    def note(self, lane: str, what: object, became: str = "") -> None:
        """Write into the trace what somebody does, and what becomes of it."""
        said = _shown(what) if isinstance(what, Operation) else str(what)
        self.trace.append(f"{self.loop.time():>16.4f} {lane:<9} {said} {became}".rstrip())

    def do(self, lane: str, operation: Operation[A]) -> A | BaseException:
        """Do an operation, and hold what becomes of it against what has to be; return the answer, or the error."""
        self.asked[type(operation).__name__] += 1
        before = self.place(operation.row) if isinstance(operation, _FENCED) else None
        opened = every(self.connection, _OPEN) if isinstance(operation, ClaimDue) else []
        future = self.run(operation)
        answer: A | BaseException = future.exception() or future.result()
        self.note(lane, operation, _outcome(answer))
        if before is not None and isinstance(operation, _FENCED):
            self._check_fence(operation, before, answer)
        if isinstance(answer, Claims) and isinstance(operation, ClaimDue):
            self._check_claims(operation, answer, opened)
        if isinstance(operation, _CONTROL) and not isinstance(answer, BaseException):
            self.check(operation.account, operation.workflow, operation.id)
        return answer

    def place(self, row: int) -> _Place | None:
        """Return where an instance stands, in the fields that the fence is about."""
        found = first(self.connection, _PLACE, (row,))
        return None if found is None else _Place(*found)

    @property
    def connection(self) -> Connection:
        """The connection to the database in memory."""
        found: Connection = self.inner._shell._ledger._database.connection  # type: ignore[attr-defined]  # nobody else needs it
        return found

    def row_of(self, id: str) -> int:
        """Return the row of an instance whose id no other has."""
        (row,) = only(self.connection, "select row from instances where id = :id", (id,))
        return int(row)

    def successes(self, row: int) -> set[Key]:
        """Return the steps of an instance that has been claimed whose success is on record, and stands."""
        history, _ = self._folded(self.inner.run(GetInstance(*self._names[row])).result())
        return {record.key for _, record in standing(history) if isinstance(record, StepSucceeded)}

    def check_turns(self) -> None:
        """See that no turn has recorded anything behind the next one, and that each has numbered its records."""
        records = every(self.connection, "select instance, seq, turn, n from records where turn > 0 order by 1, 2")
        last: dict[int, tuple[int, int]] = {}
        for instance, seq, turn, n in records:
            of_turn, of_n = last.get(instance, (0, 0))
            is_next = (turn, n) == (of_turn, of_n + 1) or (turn > of_turn and n == 1)
            assert is_next, f"record {seq} of row {instance} is of turn {turn}, {n}; before it: {of_turn}, {of_n}"
            last[instance] = (turn, n)

    def check_slots(self, account: str) -> None:
        """See that nobody has a slot, or waits for one."""
        gates = self.inner.run(ListGates(account)).result()
        left = [(gate.workflow, gate.held, gate.queued) for gate in gates.gates if gate.held or gate.queued]
        left += [(limit.name, limit.held, limit.waiting) for limit in gates.shared if limit.held or limit.waiting]
        assert left == [], f"slots are left: {left}"

    def _check_fence(self, operation: Any, before: _Place, answer: object) -> None:
        if before.turn == operation.turn:
            return
        where = f"{_shown(operation)} of a turn that is over, now {before}"
        assert isinstance(answer, TurnLost), f"{where}: {_outcome(answer)}"
        assert self.place(operation.row) == before, f"{where} has changed it to {self.place(operation.row)}"

    def _check_claims(self, operation: ClaimDue, claims: Claims, opened: Sequence[Row]) -> None:
        before = {row: others for row, *others in opened}
        for claim in claims.turns:
            owner, due_at, lease_until = before[claim.row]
            if owner is not None:
                assert lease_until <= operation.now, f"{claim.id} was taken from worker {owner}, whose lease holds"
                self.robbed.add(owner)
                self.robs(owner)
            elif due_at is not None:
                late_ms = operation.now - due_at
                assert late_ms <= LATEST_MS, f"{claim.id} was claimed {late_ms / 1000} s after it was due"
            self._check_running(claim)

    def _check_running(self, claim: Claim) -> None:
        most = self.most_running.get(claim.workflow)
        if most is not None:
            counts = self.inner.run(GetWorkflow(claim.account, claim.workflow)).result().counts
            running = counts.get("running", 0) + counts.get("waitingForPause", 0)
            assert running <= most, f"{running} instances of {claim.workflow} run; {most} may"


def _nothing(_: int) -> None:
    """Nobody wants to hear of it."""


def _shown(operation: Any) -> str:
    name = type(operation).__name__
    match operation:
        case Commit(row=row, turn=turn, n=n, records=records):
            return f"{name} row {row} turn {turn} n {n}: {_kinds(records)}"
        case Release(row=row, turn=turn, n=n, records=records, status=status, due_at=due_at):
            return f"{name} row {row} turn {turn} n {n}: {_kinds(records)}; {status}, due {due_at}"
        case ClaimDue(worker=worker, now=now, limit=limit):
            return f"{name} worker {worker} at {now}, up to {limit}"
        case _:
            named = ("worker", "row", "turn", "id", "limit", "lease_until", "operation")
            said = [f"{field} {getattr(operation, field)}" for field in named if hasattr(operation, field)]
            return " ".join([name, *said])[:200]


def _kinds(records: Sequence[RecordRow]) -> str:
    return ", ".join(record.kind for record in records) or "nothing"


def _outcome(answer: object) -> str:
    if isinstance(answer, BaseException):
        return f"-> {type(answer).__name__}"
    if isinstance(answer, Claims):
        return f"-> {[(claim.row, claim.turn) for claim in answer.turns]}, next {answer.next_due_at}"
    return f"-> {answer!s:.60}"
