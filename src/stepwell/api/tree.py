"""The instances that an instance awaits, and those that they await, as a tree. Stepwell's own route."""

import msgspec
from starlette.responses import Response

from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.children import Children
from stepwell.engine import Engine


class TreeMember(msgspec.Struct):
    """An instance; `depth` is how many lie between it and the one that was asked for, that one included."""

    workflow: str
    id: str
    status: str
    depth: int


class InstanceTree(msgspec.Struct):
    """A tree, each instance right behind the one that awaits it, or behind what lies below its elder siblings.

    `is_whole` is False where there are more than are told.
    """

    instances: list[TreeMember]
    is_whole: bool


async def get_tree(engine: Engine, request: ApiRequest) -> Response:
    """Answer with an instance and what it awaits, the nearest first, up to a thousand of them."""
    family = await Children(engine).family(request.account, request.workflow, request.instance)
    members = [TreeMember(one.workflow, one.id, one.status, depth) for one, depth in family.walk()]
    return envelope.success(InstanceTree(members, family.is_whole))
