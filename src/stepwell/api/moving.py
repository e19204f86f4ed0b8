"""Instances that are moved to another version of their code. Stepwell's own route."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import limits
from stepwell.api import envelope
from stepwell.api.refusals import Forbidden
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine

_Id = Annotated[str, Meta(min_length=1, max_length=limits.ADDRESSED_INSTANCE_ID_LENGTH)]


class MoveBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which instances are moved to which version; None: the newest. `force`: also those that would break on it."""

    instances: Annotated[list[_Id], Meta(min_length=1, max_length=limits.BATCH_INSTANCES)]
    version_id: str | None = None
    force: bool = False


async def move_instances(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - whoever moves has the store
    """Move each instance that would go on; say of each what became of it."""
    moves = request.served.moves
    if moves is None:
        raise Forbidden("instances are moved by a server that keeps what it serves: `stepwell serve`")
    asked = await request.decode(MoveBody)
    ids = list(dict.fromkeys(asked.instances))
    done = await moves.move(request.account, request.workflow, ids, asked.version_id, is_forced=asked.force)
    return envelope.success(done)
