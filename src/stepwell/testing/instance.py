"""One instance, as a test sees it: what it is, what can be done to it, and what of it is waited for."""

from dataclasses import dataclass
from typing import Any

from stepwell import reasons, values
from stepwell.control import FromStep
from stepwell.core.failures import Failure, rebuild
from stepwell.core.steplog import InstanceLog
from stepwell.core.why import Why
from stepwell.engine import Engine, InstanceView
from stepwell.errors import StatusUnreachable
from stepwell.forcing import Decision
from stepwell.store.label_operations import ReadLabels
from stepwell.testing.looks import Address, StatusLook, StepLook
from stepwell.testing.stand_ins import StepLike, key_of
from stepwell.testing.waiting import Waiting
from stepwell.values import Classes

ACCOUNT = "local"


@dataclass(frozen=True, slots=True)
class TestInstance:
    """One instance, as a test sees it. It need not be there yet."""

    __test__ = False

    engine: Engine
    workflow: str
    id: str
    classes: Classes
    waiting: Waiting

    # ---- what is waited for; the clock moves on by itself, as far as that takes

    async def wait_for_status(self, status: str) -> None:
        """Return once the instance has this status, or has had it since this was called; `queued` returns at once.

        Raises StatusUnreachable if it has ended with another one, or NothingCanHappen.
        """
        await self.waiting.until(StatusLook(self._address, status))

    async def wait_for_step_result(self, step: StepLike) -> Any:
        """Return what a step (a name, or name and index) has returned, or raise its error, once it has come to that.

        Raises NoStepResult if the instance ends before, or NothingCanHappen.
        """
        return await self.waiting.until(StepLook(self._address, key_of(step), self.classes))

    async def wait_for_output(self) -> Any:
        """Let the instance come to its end, and return its output. Raises what `wait_for_status` raises."""
        await self.wait_for_status("complete")
        return await self.output()

    async def get_output(self) -> Any:
        """Return what `run` returned. Raises StatusUnreachable unless the instance is complete."""
        await self._require("output", "complete")
        return await self.output()

    async def get_error(self) -> Exception:
        """Return the error that ended the instance. Raises StatusUnreachable unless it is errored."""
        await self._require("error", "errored")
        failure = await self.error()
        assert failure is not None
        return rebuild(failure, self.classes)

    # ---- what it is

    async def view(self) -> InstanceView:
        """Return everything about the instance."""
        return await self.engine.get(ACCOUNT, self.workflow, self.id)

    async def status(self) -> str:
        """Return the status."""
        return (await self.view()).row.status

    async def output(self) -> Any:
        """Return what `run` returned, or None."""
        output = (await self.view()).log.output
        return None if output is None else values.decode(await self.engine.payload(output), self.classes)

    async def error(self) -> Failure | None:
        """Return the error that ended the instance, if one did."""
        return (await self.view()).log.error

    async def log(self) -> InstanceLog:
        """Return the step log."""
        return (await self.view()).log

    async def labels(self) -> dict[str, str]:
        """Return its labels, by name."""
        return (await self.engine.store.run(ReadLabels((await self.view()).row.row))).labels

    async def why(self) -> Why:
        """Return why it does not go on."""
        return await reasons.explain(self.engine, ACCOUNT, self.workflow, self.id)

    # ---- what is done to it

    async def send_event(self, event_type: str, payload: Any = None) -> None:
        """Send an event."""
        await self.engine.send_event(
            ACCOUNT, self.workflow, self.id, event_type, values.encode_json(payload, "payload")
        )

    async def force(self, decision: Decision) -> None:
        """Decide by hand what becomes of a step."""
        await self.engine.forcing.force(ACCOUNT, self.workflow, self.id, decision)

    async def pause(self) -> str:
        """Pause the instance; return its status then."""
        return await self.engine.control.pause(ACCOUNT, self.workflow, self.id)

    async def resume(self) -> str:
        """Let it go on; return its status then."""
        return await self.engine.control.resume(ACCOUNT, self.workflow, self.id)

    async def terminate(self, *, rollback: bool = False) -> str:
        """End it at once, or once its steps are rolled back; return its status then."""
        return await self.engine.control.terminate(ACCOUNT, self.workflow, self.id, rollback=rollback)

    async def resume_rollback(self) -> str:
        """Go on with its rollback, which has failed; return its status then."""
        return await self.engine.control.resume_rollback(ACCOUNT, self.workflow, self.id)

    async def restart(self, name: str | None = None, count: int = 1, type: str = "do") -> str:
        """Begin it again, as a whole or from a step; return its status then."""
        step = None if name is None else FromStep(name, count, type)
        return await self.engine.control.restart(ACCOUNT, self.workflow, self.id, step)

    async def delete(self) -> None:
        """Delete it."""
        await self.engine.control.delete(ACCOUNT, self.workflow, self.id)

    @property
    def _address(self) -> Address:
        return Address(self.engine, ACCOUNT, self.workflow, self.id)

    async def _require(self, what: str, status: str) -> None:
        has = await self.status()
        if has != status:
            raise StatusUnreachable(
                f'cannot retrieve the {what} of {self.workflow}/{self.id}: it is "{has}", and must be "{status}". '
                f'`await instance.wait_for_status("{status}")` lets it get there, if it can',
                has,
                status,
            )
