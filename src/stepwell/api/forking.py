"""Forks of instances. Stepwell's own route."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import limits
from stepwell.api import body, envelope
from stepwell.api.control import FromStepBody
from stepwell.api.new_instance import params_of
from stepwell.api.request import ApiRequest
from stepwell.control import FromStep
from stepwell.engine import Engine, check_id
from stepwell.forks import Fork, Forks

_NOTHING = msgspec.Raw(b"null")
_Output = Annotated[str, Meta(min_length=1, max_length=limits.LOGGED_NAME_LENGTH)]


class ForkBody(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Where a fork begins, and what is other than in its source; `params` null: the same."""

    from_: FromStepBody | None = None
    instance_id: str | None = None
    params: msgspec.Raw = _NOTHING
    outputs: dict[_Output, msgspec.Raw] = {}
    version_id: str | None = None


class ForkedInstance(msgspec.Struct):
    """A fork, and what it is one of."""

    id: str
    workflow_name: str
    version_id: str
    status: str
    forked_from: str


async def fork_instance(engine: Engine, request: ApiRequest) -> Response:
    """Make a new instance from a step of another one."""
    asked = body.decode((await request.body()) or b"{}", ForkBody)
    check_id(asked.instance_id)
    step = None if asked.from_ is None else FromStep(asked.from_.name, asked.from_.count, asked.from_.type)
    outputs = {label: body.json_text(value, "outputs") for label, value in asked.outputs.items()}
    params = None if bytes(asked.params) == b"null" else params_of(asked.params)
    fork = Fork(step, asked.instance_id, params, outputs, asked.version_id)
    engine.count_creations(request.account, request.workflow, 1)
    row = await Forks(engine.store, engine.clock).fork(request.account, request.workflow, request.instance, fork)
    return envelope.success(ForkedInstance(row.id, row.workflow, row.version, row.status, request.instance))
