"""Why an instance does not go on. Stepwell's own route."""

from starlette.responses import Response

from stepwell import reasons
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine


async def get_why(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the reasons, or with how the instance ended."""
    found = await reasons.explain(engine, request.account, request.workflow, request.instance)
    return envelope.success(reasons.instance_why(found))
