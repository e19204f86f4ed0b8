"""The graph of a version, and what an instance has done of it, with all that is known. Stepwell's own routes."""

from starlette.responses import Response

from stepwell import graphs
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine


async def get_graph_of_version(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of a version."""
    version = request.path["version_id"].lower()
    return envelope.success(await graphs.show_version(engine, request.account, request.workflow, version))


async def get_graph_of_instance(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of an instance's version, and how each of its nodes stands."""
    return envelope.success(await graphs.show_instance(engine, request.account, request.workflow, request.instance))
