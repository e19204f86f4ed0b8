"""Stores for tests: the real one in memory, which checks what is written, and can be made to fail."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any, TypeVar

from stepwell.core.instance import InstanceState, advance
from stepwell.core.records import RESULTS, AttemptStarted, Key, Recorded, SleepStarted, StepSucceeded, WaitStarted
from stepwell.core.standing import standing
from stepwell.errors import InstanceNotFound, StoreUnavailable, WorkflowNotFound
from stepwell.stalls import state_of
from stepwell.store import codec
from stepwell.store.operations import (
    ClaimDue,
    Claims,
    Commit,
    GetInstance,
    InstanceHistory,
    Operation,
    RecordRow,
    Release,
)
from stepwell.testing import stores
from stepwell.testing.stores import CountingStore, is_turn_write

A = TypeVar("A")


class CheckedStore(CountingStore):
    """A store in memory that holds an instance's row against its history after each write of a worker.

    What was there at the last look has to be there, and is not worked out again. `succeeded` has the steps whose
    success is on record.
    """

    def __init__(self, *told: Any, **options: Any) -> None:
        super().__init__(*told, **options)
        self.succeeded: set[Key] = set()
        self._names: dict[int, tuple[str, str, str]] = {}
        self._seen: dict[int, tuple[list[RecordRow], list[Recorded], InstanceState]] = {}

    def history(self, account: str, workflow: str, instance: str) -> list[Recorded]:
        """Return an instance's records."""
        return codec.from_rows(self.inner.run(GetInstance(account, workflow, instance)).result().records)

    def wrote(self, operation: ClaimDue | Commit | Release, answer: object) -> None:
        """Count what was done, and check it."""
        super().wrote(operation, answer)
        if isinstance(answer, Claims):
            for claim in answer.turns:
                self._names[claim.row] = (claim.account, claim.workflow, claim.id)
                self._check_instance(claim.row)
        elif not isinstance(operation, ClaimDue):
            self._check_instance(operation.row)

    def _check_instance(self, row: int) -> None:
        with suppress(InstanceNotFound, WorkflowNotFound):
            self.check(*self._names[row])

    def check(self, account: str, workflow: str, instance: str) -> None:
        """Hold an instance's row against its history, and look for results that are on record twice."""
        found = self.inner.run(GetInstance(account, workflow, instance)).result()
        history, state = self._folded(found)
        assert state_of(found.row) == state
        records = [recorded.record for recorded in standing(history)]
        successes = [record.key for record in records if isinstance(record, StepSucceeded)]
        assert not [key for key, count in Counter(successes).items() if count > 1]
        self.succeeded |= set(successes)
        starts = (AttemptStarted, SleepStarted, WaitStarted)
        nested = {record.key for record in records if isinstance(record, starts) and record.parent is not None}
        # A rollback that has failed may be gone on with.
        forward = [record for record in records if isinstance(record, RESULTS) and record.key.kind != "rollback"]
        outcomes = Counter(record.key for record in forward)
        assert not [key for key, count in outcomes.items() if count > 1 and key not in nested]

    def _folded(self, found: InstanceHistory) -> tuple[list[Recorded], InstanceState]:
        """Return an instance's records, and the state after them."""
        rows, history, state = self._seen.get(found.row.row, ([], [], InstanceState()))
        assert found.records[: len(rows)] == rows
        added = codec.from_rows(found.records[len(rows) :])
        for recorded in added:
            state = advance(state, recorded.record)
        history = [*history, *added]
        self._seen[found.row.row] = (found.records, history, state)
        return history, state


class DyingStore(CheckedStore, stores.DyingStore):
    """A store that checks what is written, and whose workers all die after its n-th write."""


class RefusingStore(CheckedStore):
    """A store that can be told to refuse writes, to lose the answers to a turn's, or to keep answers for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.loses_answers = False
        # How many answers to claims are still to be lost.
        self.loses_claims = 0
        self.holds_answers = False
        self._held: list[tuple[asyncio.Future[Any], Any]] = []

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation as told."""
        if not is_turn_write(operation):
            return super().run(operation)
        if self.refuses:
            return refused("the disk is full")
        answer: asyncio.Future[A] = super().run(operation)
        if isinstance(operation, ClaimDue):
            self.loses_claims -= 1
            return refused("the connection was lost") if self.loses_claims >= 0 else answer
        if self.loses_answers:
            return refused("the connection was lost")
        if self.holds_answers:
            held: asyncio.Future[A] = asyncio.get_running_loop().create_future()
            self._held.append((held, answer.result()))
            return held
        return answer

    @property
    def held(self) -> int:
        """How many answers are kept."""
        return len(self._held)

    def let_answers_go(self, *, losing: int = 0) -> None:
        """Give the answers that were kept, all at once; the first ones are lost."""
        held, self._held = self._held, []
        for future, _ in held[:losing]:
            future.set_exception(StoreUnavailable("the connection was lost"))
        for future, answer in held[losing:]:
            future.set_result(answer)


def refused(reason: str) -> "asyncio.Future[Any]":
    """Return the answer of a store that cannot do what was asked for now."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(StoreUnavailable(reason))
    return future
