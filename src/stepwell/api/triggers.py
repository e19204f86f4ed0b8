"""Event triggers: the events that start workflows, by script.

They are stored and served; the events come from Cloudflare's Artifacts, which Stepwell does not have.

Source: developers.cloudflare.com/workflows/build/trigger-workflows/
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import answers, limits
from stepwell.api import body, envelope
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.models import DeletedTriggers
from stepwell.store.account_operations import Trigger, TriggerFilter, TriggerTarget

EventType = Literal[
    "cf.artifacts.repo.created",
    "cf.artifacts.repo.deleted",
    "cf.artifacts.repo.forked",
    "cf.artifacts.repo.imported",
    "cf.artifacts.repo.pushed",
    "cf.artifacts.repo.cloned",
    "cf.artifacts.repo.fetched",
    "cf.artifacts.repo.token.created",
    "cf.artifacts.repo.token.revoked",
]
Name = Annotated[str, Meta(min_length=1, max_length=limits.SCRIPT_NAME_LENGTH)]


class FilterBody(msgspec.Struct):
    """Which of the events of a type are meant."""

    namespace: Name | None = None
    repo_name: Name | None = None


class TargetBody(msgspec.Struct):
    """The workflow that an event starts."""

    type: Literal["workflow"]
    workflow_name: Name
    script_name: Name


class TriggerBody(msgspec.Struct):
    """An event that starts workflows."""

    type: EventType
    targets: Annotated[list[TargetBody], Meta(min_length=1, max_length=limits.TRIGGERS_PER_SCRIPT)]
    filter: FilterBody | None = None


Triggers = Annotated[list[TriggerBody], Meta(max_length=limits.TRIGGERS_PER_SCRIPT)]


async def get_triggers(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the triggers of a script."""
    script = request.path["script_name"]
    triggers = await engine.triggers(request.account, script)
    return envelope.success(answers.script_triggers(script, triggers))


async def replace_triggers(engine: Engine, request: ApiRequest) -> Response:
    """Let a script have these triggers and no others."""
    script, wanted = request.path["script_name"], decode(await request.body())
    triggers = await engine.replace_triggers(request.account, script, wanted)
    return _stored(script, triggers)


async def merge_triggers(engine: Engine, request: ApiRequest) -> Response:
    """Add triggers to those of a script; one of the same type and filter is replaced."""
    script, wanted = request.path["script_name"], decode(await request.body())
    triggers = await engine.merge_triggers(request.account, script, wanted)
    return _stored(script, triggers)


async def delete_triggers(engine: Engine, request: ApiRequest) -> Response:
    """Delete the triggers of a script."""
    deleted = await engine.delete_triggers(request.account, request.path["script_name"])
    return envelope.success(DeletedTriggers(deleted))


def decode(text: bytes) -> list[Trigger]:
    """Return the triggers that a body names. Raises InvalidInput."""
    return [_trigger(trigger) for trigger in body.decode(text, Triggers)]


def _trigger(named: TriggerBody) -> Trigger:
    targets = [
        TriggerTarget(type=t.type, workflow_name=t.workflow_name, script_name=t.script_name) for t in named.targets
    ]
    wanted = named.filter or FilterBody()
    # A filter that filters nothing is none.
    has_filter = (wanted.namespace, wanted.repo_name) != (None, None)
    chosen = TriggerFilter(wanted.namespace, wanted.repo_name) if has_filter else None
    return Trigger(type=named.type, filter=chosen, targets=targets)


def _stored(script: str, triggers: Sequence[Trigger]) -> Response:
    messages = [envelope.without_effect("event triggers")] if triggers else []
    return envelope.success(answers.script_triggers(script, triggers), messages=messages)
