"""Versions of a workflow: list them, show one.

Source: developers.cloudflare.com/api/resources/workflows/subresources/versions/
"""

from starlette.responses import Response

from stepwell import answers
from stepwell.api import envelope
from stepwell.api.paging import total_pages
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.models import ResultInfo
from stepwell.store.workflow_operations import VersionRow

PER_PAGE = 50
MOST_PER_PAGE = 100


async def list_versions(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of versions, newest first; an empty page past the last one."""
    page = request.query.number("page") or 1
    per_page = request.query.number("per_page", MOST_PER_PAGE) or PER_PAGE
    found = await engine.versions(request.account, request.workflow, limit=per_page, offset=(page - 1) * per_page)
    info = ResultInfo(len(found.rows), per_page, found.total, page=page, total_pages=total_pages(found.total, per_page))
    return envelope.success([answers.version(row) for row in found.rows], info)


async def get_version(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a version and its settings."""
    return envelope.success(answers.version(await _version(engine, request)))


async def get_graph(engine: Engine, request: ApiRequest) -> Response:
    """Answer that there is no graph of a version."""
    return envelope.success(answers.version_graph(await _version(engine, request)))


async def get_dag(engine: Engine, request: ApiRequest) -> Response:
    """Answer that there is no graph of a version, in its older form."""
    return envelope.success(answers.version_dag(await _version(engine, request)))


async def _version(engine: Engine, request: ApiRequest) -> VersionRow:
    return await engine.version(request.account, request.workflow, request.path["version_id"].lower())
