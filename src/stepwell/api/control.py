"""Control of instances, one or many: pause, resume, terminate, restart, delete.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/subresources/status/methods/edit/
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal, assert_never

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api import body, envelope
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.control import Control, FromStep
from stepwell.core.instance import UNFINISHED
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.errors import InstanceFinished, InstanceNotFound, StepwellError
from stepwell.models import (
    BatchDeletion,
    BatchTermination,
    ChangedStatus,
    DeletedInstance,
    InstanceId,
    InstanceProblem,
    TerminationStart,
    TerminationState,
)

# Which instances a termination of all may be asked for by. Source: as above.
TERMINABLE = ("queued", "running", "paused", "waitingForPause", "waiting")


class FromStepBody(msgspec.Struct, forbid_unknown_fields=True):
    """The step to restart from."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.STEP_NAME_LENGTH)]
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    type: Literal["do", "sleep", "waitForEvent"] = "do"


class StatusBody(msgspec.Struct, tag_field="status", forbid_unknown_fields=True):
    """What is to become of an instance. A member that goes with another status is refused, not passed over."""


class PauseBody(StatusBody, tag="pause"):
    """Let attempts in flight end, and begin nothing else."""


class ResumeBody(StatusBody, tag="resume"):
    """Go on after a pause."""


class TerminateBody(StatusBody, tag="terminate"):
    """End the instance at once."""

    rollback: bool = False


class RestartBody(StatusBody, tag="restart"):
    """Begin again, as a whole or from a step."""

    from_: FromStepBody | None = msgspec.field(default=None, name="from")


AnyStatusBody = PauseBody | ResumeBody | TerminateBody | RestartBody


class BatchDeletionBody(msgspec.Struct):
    """The instances to delete."""

    instances: Annotated[list[str], body.MANY]


async def change_status(engine: Engine, request: ApiRequest) -> Response:
    """Pause, resume, terminate or restart an instance."""
    asked: AnyStatusBody = await request.decode(AnyStatusBody)  # type: ignore[arg-type]  # a union
    status = await _change(engine.control, request, asked)
    return envelope.success(ChangedStatus(status, iso(engine.clock.now())))


async def resume_rollback(engine: Engine, request: ApiRequest) -> Response:
    """Go on with a rollback that has failed. Stepwell's own route."""
    status = await engine.control.resume_rollback(request.account, request.workflow, request.instance)
    return envelope.success(ChangedStatus(status, iso(engine.clock.now())))


async def delete_instance(engine: Engine, request: ApiRequest) -> Response:
    """Delete an instance, whatever it is doing."""
    at = await engine.control.delete(request.account, request.workflow, request.instance)
    return envelope.success(DeletedInstance(request.instance, iso(at)))


async def delete_batch(engine: Engine, request: ApiRequest) -> Response:
    """Delete instances by their ids; those that are not there are told, each in its place."""
    ids = (await request.decode(BatchDeletionBody)).instances
    _check_ids(ids, engine.settings.batch_instances)
    outcomes = await _each(ids, lambda id: engine.control.delete(request.account, request.workflow, id))
    deleted, problems = [], []
    for id, outcome in zip(ids, outcomes, strict=True):
        if isinstance(outcome, InstanceNotFound):
            problems.append(InstanceProblem(id, outcome.code, f"{envelope.KEY}{outcome}"))
        else:
            deleted.append(InstanceId(id))
    return envelope.success(BatchDeletion(deleted, problems))


async def terminate_batch(engine: Engine, request: ApiRequest) -> Response:
    """Terminate instances by their ids; those that are not there, or have ended, are passed over."""
    ids = await request.decode(list[str], b"[]")
    _check_ids(ids, engine.settings.batch_instances)
    outcomes = await _each(ids, lambda id: engine.control.terminate(request.account, request.workflow, id))
    terminated = {id for id, outcome in zip(ids, outcomes, strict=True) if not isinstance(outcome, StepwellError)}
    return envelope.success(BatchTermination(instances_terminated=len(terminated)))


async def terminate_all(engine: Engine, request: ApiRequest) -> Response:
    """Begin to terminate all instances of a workflow, or those of a status."""
    status = request.query.choice("status", TERMINABLE)
    statuses = sorted(UNFINISHED) if status is None else [status]
    started = await engine.terminations.start(request.account, request.workflow, statuses)
    return envelope.success(TerminationStart("ok" if started else "already_running"))


async def get_termination(engine: Engine, request: ApiRequest) -> Response:
    """Tell whether all instances of a workflow are being terminated."""
    is_running = await engine.terminations.is_running(request.account, request.workflow)
    return envelope.success(TerminationState("running" if is_running else "not_running"))


async def _change(control: Control, request: ApiRequest, asked: AnyStatusBody) -> str:
    where = request.account, request.workflow, request.instance
    match asked:
        case PauseBody():
            return await control.pause(*where)
        case ResumeBody():
            return await control.resume(*where)
        case TerminateBody(rollback=rollback):
            return await control.terminate(*where, rollback=rollback)
        case RestartBody(from_=step):
            return await control.restart(*where, None if step is None else FromStep(step.name, step.count, step.type))
        case _:
            assert_never(asked)


def _check_ids(ids: Sequence[str], most: int) -> None:
    body.check_many(ids, most, "name")
    for position, id in enumerate(ids):
        if not limits.is_addressed_instance_id(id):
            expected = limits.ADDRESSED_INSTANCE_ID_RULE
            raise invalid("instances", f'instance.invalid_id: "{id:.300}" at position {position} must be {expected}')


async def _each(
    ids: Sequence[str], work: Callable[[str], Awaitable[object]]
) -> list[object | InstanceNotFound | InstanceFinished]:
    """Do something to each instance once; return an outcome for each place. Raises what is wrong with all of them."""
    different = list(dict.fromkeys(ids))
    outcomes = await asyncio.gather(*map(work, different), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, InstanceNotFound | InstanceFinished):
            raise outcome
    by_id = dict(zip(different, outcomes, strict=True))
    return [by_id[id] for id in ids]
