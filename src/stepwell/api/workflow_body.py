"""The body that creates or changes a workflow, and what is told of it.

Source: developers.cloudflare.com/api/resources/workflows/methods/update/
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from stepwell import limits
from stepwell.api import body, envelope
from stepwell.api.query import LARGEST_NUMBER
from stepwell.api.refusals import invalid
from stepwell.api.retention import Retention
from stepwell.engine import WorkflowPut
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
        tuple(schedule.cron for schedule in asked.schedules or ()),
    )
    return WorkflowPut(asked.script_name, asked.class_name, settings)


def _steps(asked: StepLimit, most: int) -> int | None:
    if asked.steps is not None and asked.steps > most:
        raise invalid("limits.steps", f"limits.steps must be from 1 to {most:,}, got {asked.steps:,}")
    return asked.steps


def remarks(settings: VersionSettings) -> list[Problem]:
    """Return what a client should know of settings: which of them do nothing yet."""
    has_retention = (settings.success_retention_ms, settings.error_retention_ms) != (None, None)
    given = {
        "schedules": bool(settings.schedules),
        "concurrency": settings.concurrency is not None,
        "default_retention": has_retention,
    }
    return [envelope.without_effect(name) for name, is_given in given.items() if is_given]
