"""What becomes of a step, decided by hand: tried again now, slept no longer, completed with a value, failed.

Whether an action fits is decided upon the history as it is read here. What happens to the step before its turn meets
the decision counts: then the decision has no effect.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from stepwell import limits, values
from stepwell.clock import Clock
from stepwell.core.failures import Failure
from stepwell.core.forcing import Fit, Misfit, fit
from stepwell.core.records import Action, Key, Recorded, StepForced, StepKind
from stepwell.core.rules import size_of
from stepwell.core.standing import standing
from stepwell.errors import InstanceFinished, InvalidInput, RestartedMeanwhile
from stepwell.store import Store, codec
from stepwell.store.forcing_operations import ForceStep, ListDecisions
from stepwell.store.operations import GetInstance

StepType = Literal["step", "sleep", "waitForEvent", "rollback"]

# Who acts where no token says who.
LOCAL = "local"


class Decision(Struct, frozen=True):
    """What is decided of the step of a name, as logs have it, and a type; `value` is JSON text."""

    step: str
    action: Action
    type: StepType = "step"
    value: str | None = None
    error: Failure | None = None
    by: str = LOCAL


class Forcing(Struct, frozen=True):
    """Decides by hand.

    `result_bytes`, `payload_bytes` and `instance_bytes`: what a step's result, an event's payload and all values of an
    instance may have.
    """

    store: Store
    clock: Clock
    result_bytes: int = limits.STEP_RESULT_BYTES
    payload_bytes: int = limits.PAYLOAD_BYTES
    instance_bytes: int = limits.INSTANCE_BYTES

    async def force(self, account: str, workflow: str, instance: str, decision: Decision) -> int:
        """Decide what becomes of a step; return when. Durable when this returns.

        Raises WorkflowNotFound, InstanceNotFound, InstanceFinished or, if it does not fit, InvalidInput.
        """
        while True:
            found = await self.store.run(GetInstance(account, workflow, instance))
            if found.row.ended_at is not None:
                raise InstanceFinished(workflow, instance, found.row.status, f"{decision.action} a step")
            history = codec.from_rows(found.records)
            # A long history takes a while; others are to be answered meanwhile.
            fitting = await asyncio.to_thread(fit, history, (decision.step, decision.type), decision.action)
            if isinstance(fitting, Misfit):
                what = f'instance "{instance}" of workflow "{workflow}"'
                raise InvalidInput("step", f"step.cannot_force: cannot {decision.action}: {what}: {fitting.reason}")
            now = self.clock.now()
            record = self._record(decision, fitting, now)
            self._check_room(record, history)
            place = (account, workflow, instance)
            try:
                await self.store.run(ForceStep(*place, codec.to_row(record), found.row.row, found.row.restarted_seq))
            except RestartedMeanwhile:
                continue
            return now

    async def decisions(self, row: int) -> list[StepForced]:
        """Return what was decided of the steps of an instance, by its row: the latest hundred, latest first."""
        found = await self.store.run(ListDecisions(row))
        records = [recorded.record for recorded in codec.from_rows(found)]
        return [record for record in records if isinstance(record, StepForced)]

    def _check_room(self, record: StepForced, history: Sequence[Recorded]) -> None:
        """Refuse a result for which the instance has no room: its turn would end for it. An event is always taken."""
        if not isinstance(record.value, str) or record.key.kind != StepKind.DO:
            return
        size = sum(size_of(each) for _, each in standing(history)) + len(record.value.encode())
        if size > self.instance_bytes:
            raise InvalidInput(
                "value",
                f"body: with this value the instance would hold {size:,} bytes; at most {self.instance_bytes:,} are "
                "allowed (the setting instance_size)",
            )

    def _record(self, decision: Decision, fitting: Fit, now: int) -> StepForced:
        attempt = fitting.attempt if decision.action is Action.RETRY else None
        value = None if decision.value is None else self._stored(decision.value, fitting.key)
        return StepForced(now, fitting.key, decision.action, decision.by, attempt, value, decision.error)

    def _stored(self, value: str, key: Key) -> str:
        """Return a value as it is stored: of a wait the payload as it came, of a step as its result would be.

        Raises InvalidInput for one that is too large.
        """
        is_wait = key.kind is StepKind.WAIT
        most, text = (
            (self.payload_bytes, value) if is_wait else (self.result_bytes, values.encode(values.decode_json(value)))
        )
        if (size := len(text.encode())) > most:
            raise InvalidInput("value", f"body: value is {size:,} bytes as JSON; at most {most:,} are allowed")
        return text
