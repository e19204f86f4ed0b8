"""What is served beside Cloudflare's routes for machines: a sign of life."""

from starlette.responses import Response

from stepwell.api.request import ApiRequest
from stepwell.engine import Engine


async def tell_health(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer that the server answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")
