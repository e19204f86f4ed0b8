"""The body that creates or changes a workflow, and what is told of it.

Source: developers.cloudflare.com/api/resources/workflows/methods/update/
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from stepwell import cron, limits
from stepwell.api import body, envelope
from stepwell.api.query import LARGEST_NUMBER
from stepwell.api.refusals import invalid
from stepwell.api.retention import Retention
from stepwell.engine import WorkflowPut
from stepwell.errors import InvalidInput
from stepwell.models import Problem
from stepwell.store.operations import VersionSettings

Steps = Annotated[int, Meta(ge=1)]
Concurrency = Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]
Cron = Annotated[str, Meta(min_length=1, max_length=limits.CRON_LENGTH)]
ScriptName = Annotated[str, Meta(min_length=1, max_length=limits.SCRIPT_NAME_LENGTH)]
ClassName = Annotated[str, Meta(min_length=1, max_length=limits.CLASS_NAME_LENGTH)]


class StepLimit(msgspec.Struct):
    """How many steps an instance may have."""

    steps: Steps | None = None


class ConcurrencyLimit(msgspec.Struct):
    """How many instances may run at a time."""

    limit: Concurrency | None = None


class Schedule(msgspec.Struct):
    """When an instance is to be created."""

    cron: Cron


class WorkflowBody(msgspec.Struct):
    """What a client says of a workflow: all of it; what is not said is as if it had never been.

    Members that are not here are ignored.
    """

    script_name: ScriptName
    class_name: ClassName
    limits: StepLimit | None = None
    schedules: list[Schedule] | None = None
    concurrency: ConcurrencyLimit | None = None
    default_retention: Retention | None = None


def decode(text: bytes, most_steps: int) -> WorkflowPut:
    """Return what a body asks for; `most_steps` is what an instance may be allowed. Raises InvalidInput."""
    asked = body.decode(text or b"{}", WorkflowBody)
    success, error = (asked.default_retention or Retention()).in_ms("default_retention")
    settings = VersionSettings(
        _steps(asked.limits or StepLimit(), most_steps),
        None if asked.concurrency is None else asked.concurrency.limit,
        success,
        error,
        _crons(asked.schedules or []),
    )
    return WorkflowPut(asked.script_name, asked.class_name, settings)


def _steps(asked: StepLimit, most: int) -> int | None:
    if asked.steps is not None and asked.steps > most:
        raise invalid("limits.steps", f"limits.steps must be from 1 to {most:,}, got {asked.steps:,}")
    return asked.steps


def _crons(asked: list[Schedule]) -> tuple[str, ...]:
    expressions = []
    for place, schedule in enumerate(asked):
        try:
            expressions.append(cron.check(schedule.cron))
        except InvalidInput as error:
            field = f"schedules[{place}].cron"
            raise invalid(field, f"{field}: {error}") from None
    return tuple(dict.fromkeys(expressions))


def remarks(settings: VersionSettings) -> list[Problem]:
    """Return what a client should know of settings: what does something else than it may think."""
    return [Problem(envelope.WEEKDAYS, cron.warning(text)) for text in settings.schedules if cron.counts_weekdays(text)]
