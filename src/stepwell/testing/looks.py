"""What of an instance a test waits for: a status, or the result of a step."""

from typing import Any, NamedTuple

from stepwell import values
from stepwell.core.failures import rebuild
from stepwell.core.instance import FINAL, InstanceState, Status, advance
from stepwell.core.records import (
    AttemptStarted,
    Key,
    Recorded,
    Restarted,
    StepCancelled,
    StepFailed,
    StepSucceeded,
    WaitEnded,
    WaitStarted,
)
from stepwell.core.standing import standing
from stepwell.engine import Engine
from stepwell.errors import InstanceNotFound, NoStepResult, StatusUnreachable, WorkflowTimeoutError
from stepwell.store import codec
from stepwell.store.operations import GetInstance, InstanceRow, ReadHistory
from stepwell.testing.waiting import FAR_MS, Found
from stepwell.values import Classes


class Address(NamedTuple):
    """Where an instance is, or will be."""

    engine: Engine
    account: str
    workflow: str
    id: str

    def __str__(self) -> str:
        return f"{self.workflow}/{self.id}"


class _Look:
    """Looks at an instance again and again, each time at the records that are new."""

    keeps_turns = True
    ends: tuple[str, str] | None = None

    def __init__(self, address: Address) -> None:
        self._address = address
        self._row: InstanceRow | None = None
        self._history: list[Recorded] = []

    @property
    def has_moment(self) -> bool:
        """Whether time, or a worker that holds it, will do something with the instance."""
        if self._row is None or self._row.due_at is None:
            return self._row is not None and self._row.status == Status.RUNNING
        return self._row.due_at - self._address.engine.clock.now() <= FAR_MS

    async def _new_records(self) -> list[Recorded]:
        """Read the row and what is new of the history; the instance may not be there yet, or not any more."""
        engine, account, workflow, id = self._address
        try:
            self._row = (await engine.store.run(GetInstance(account, workflow, id, with_steps=False))).row
        except InstanceNotFound:
            self._row, self._history = None, []
            return []
        seen = self._history[-1].seq if self._history else 0
        rows = await engine.store.run(ReadHistory(self._row.row, seen))
        new = codec.from_rows(rows)
        self._history += new
        return new

    async def _ending(self) -> str:
        """Say with which status the instance has ended, with which error, and which event was waited for in vain."""
        assert self._row is not None
        error = (await self._address.engine.get(*self._address[1:], with_steps=False)).log.error
        if error is None:
            return f'"{self._row.status}"'
        unmet = self._unmet() if error.name == WorkflowTimeoutError.name else None
        said = f'"{self._row.status}", with {error.name}: {error.message}'
        return said if unmet is None else f"{said}. {_in_vain(unmet)}"

    def _unmet(self) -> WaitStarted | None:
        """Return the last wait that nothing has met."""
        waits = {record.key: record for _, record in self._history if isinstance(record, WaitStarted)}
        ended = (record for _, record in reversed(self._history) if isinstance(record, WaitEnded))
        return next((waits[record.key] for record in ended if record.event_seq is None and record.key in waits), None)


class StatusLook(_Look):
    """Looks for a status: one that an instance has, or has had since the first look."""

    def __init__(self, address: Address, status: str) -> None:
        super().__init__(address)
        if status not in set(Status):
            raise ValueError(f"a status is one of {', '.join(Status)}; got {status!r:.100}")
        self._wanted = Status(status)
        self._state = InstanceState()
        self._has_looked = False
        # A turn that is kept open never waits.
        self.keeps_turns = self._wanted in FINAL
        self.ends = (address.workflow, address.id) if self.keeps_turns else None

    async def look(self) -> Found[None] | None:
        """Tell whether the status is, or was, there. Raises StatusUnreachable."""
        passed = set()
        for _, record in await self._new_records():
            self._state = advance(self._state, record)
            passed.add(self._state.status)
        status = None if self._row is None else self._state.status
        if self._wanted in {Status.QUEUED, status} or (self._has_looked and self._wanted in passed):
            return Found(None)
        self._has_looked = True
        if status in FINAL:
            raise StatusUnreachable(
                f'{self._address} cannot become "{self._wanted}" any more: it has ended as {await self._ending()}',
                str(status),
                self._wanted,
            )
        return None

    @property
    def missing(self) -> str:
        """What is not there."""
        if self._row is None:
            return f'{self._address}, which is to become "{self._wanted}", is not there'
        return f'{self._address} is "{self._row.status}", not "{self._wanted}"'


class StepLook(_Look):
    """Looks for the result of a step."""

    def __init__(self, address: Address, key: Key, classes: Classes) -> None:
        super().__init__(address)
        self._key = key
        self._classes = classes

    async def look(self) -> Found[Any] | None:
        """Return the result of the step, or raise its error, if it has one. Raises NoStepResult."""
        new = await self._new_records()
        if any(isinstance(recorded.record, Restarted) for recorded in new):
            self._history = list(standing(self._history))
            new = self._history
        for _, record in new:
            match record:
                case StepSucceeded(key=self._key, stream=None):
                    text = await self._address.engine.payload(record.value)
                    return Found(values.decode(text, self._classes, f'the result of step "{self._key.label}"'))
                case StepSucceeded(key=self._key, stream=stream) if stream is not None:
                    return Found(b"".join([piece async for piece in self._address.engine.pieces(stream)]))
                case StepFailed(key=self._key):
                    raise rebuild(record.error, self._classes)
                case StepCancelled(key=self._key):
                    raise self._none("its code has cancelled it")
        if self._row is not None and Status(self._row.status) in FINAL:
            raise self._none(f"it has ended as {await self._ending()}")
        return None

    @property
    def missing(self) -> str:
        """What is not there."""
        if self._row is None:
            return f"{self._address}, whose step {self._key.label} is waited for, is not there"
        return f'step {self._key.label} of {self._address}, which is "{self._row.status}", has no result'

    def _none(self, why: str) -> NoStepResult:
        begun = (record.key.label for _, record in self._history if isinstance(record, AttemptStarted))
        return NoStepResult(self._key.label, str(self._address), why, list(dict.fromkeys(begun)))


def _in_vain(wait: WaitStarted) -> str:
    return (
        f'The event "{wait.event_type}" ({wait.key.label}) did not come: `send_event` sends it, and `mock_event` '
        "does so beforehand"
    )
