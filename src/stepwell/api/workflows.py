"""Workflows: list them, show, create, change and delete one.

Source: developers.cloudflare.com/api/resources/workflows/methods/list/
"""

from starlette.responses import Response

from stepwell import answers
from stepwell.api import envelope, workflow_body
from stepwell.api.paging import NumberedPage
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.limits import WORKFLOW_NAME_LENGTH
from stepwell.models import DeletedWorkflow

PER_PAGE = 10
MOST_PER_PAGE = 100


async def list_workflows(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of workflows; an empty page past the last one is how SDKs find the end."""
    page = NumberedPage.asked_by(request.query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    search = request.query.text("search", WORKFLOW_NAME_LENGTH)
    found = await engine.workflows(request.account, limit=page.per_page, offset=page.offset, search=search)
    return envelope.success([answers.workflow(row) for row in found.rows], page.info(len(found.rows), found.total))


async def get_workflow(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a workflow and its counts."""
    row = await engine.workflow(request.account, request.workflow)
    return envelope.success(answers.workflow(row))


async def put_workflow(engine: Engine, request: ApiRequest) -> Response:
    """Create or change a workflow, which has a new version then."""
    put = workflow_body.decode(await request.body(), engine.settings.most_steps_per_instance)
    row = await engine.put_workflow(request.account, request.workflow, put)
    return envelope.success(answers.changed_workflow(row), messages=workflow_body.remarks(put.settings))


async def delete_workflow(engine: Engine, request: ApiRequest) -> Response:
    """Delete a workflow with its instances."""
    await engine.delete_workflow(request.account, request.workflow)
    return envelope.success(DeletedWorkflow())
