"""What is served beside Cloudflare's routes: a page for people, and a sign of life for machines."""

from starlette.responses import Response

from stepwell import limits
from stepwell.api.request import ApiRequest
from stepwell.dashboard import page
from stepwell.engine import Engine


async def tell_health(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer that the server answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def show_page(engine: Engine, request: ApiRequest) -> Response:
    """Answer with workflows and their latest instances, or with the log of one instance."""
    workflow = request.query.text("workflow", limits.WORKFLOW_NAME_LENGTH)
    instance = request.query.text("instance", limits.ADDRESSED_INSTANCE_ID_LENGTH)
    if workflow is None or instance is None:
        html = await page.overview(engine, request.account)
    else:
        html = await page.log(engine, request.account, workflow, instance)
    return Response(html, headers=page.HEADERS, media_type="text/html")
