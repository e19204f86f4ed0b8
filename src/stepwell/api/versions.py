"""Versions of a workflow: list them, show one; and, by our own routes, what one is made of.

Source: developers.cloudflare.com/api/resources/workflows/subresources/versions/
"""

from starlette.responses import Response

from stepwell import answers, graphs, version_code
from stepwell.api import envelope
from stepwell.api.paging import NumberedPage
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine

PER_PAGE = 50
MOST_PER_PAGE = 100


async def list_versions(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of versions, newest first; an empty page past the last one."""
    page = NumberedPage.asked_by(request.query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    found = await engine.versions(request.account, request.workflow, limit=page.per_page, offset=page.offset)
    return envelope.success([answers.version(row) for row in found.rows], page.info(len(found.rows), found.total))


async def get_version(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a version and its settings."""
    return envelope.success(answers.version(await engine.version(request.account, request.workflow, _id(request))))


async def get_graph(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of a version; null if its code could not be read."""
    row, graph, _ = await graphs.of_version(engine, request.account, request.workflow, _id(request))
    return envelope.success(answers.version_graph(row, graph))


async def get_dag(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of a version in its older form."""
    row, graph, _ = await graphs.of_version(engine, request.account, request.workflow, _id(request))
    return envelope.success(answers.version_dag(row, graph))


async def get_code(engine: Engine, request: ApiRequest) -> Response:
    """Answer with what a version is made of."""
    return envelope.success(await version_code.show_code(engine, request.account, request.workflow, _id(request)))


async def get_source(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the source of a version."""
    is_whole = request.query.choice("whole", ("true", "false")) == "true"
    show = version_code.show_whole_source if is_whole else version_code.show_source
    return envelope.success(await show(engine, request.account, request.workflow, _id(request)))


def _id(request: ApiRequest) -> str:
    return request.path["version_id"].lower()
