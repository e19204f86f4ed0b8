"""Schedules: what creates instances, and when. Stepwell's own routes; Cloudflare has them in PUT workflow alone."""

from starlette.responses import Response

from stepwell import answers, schedules
from stepwell.api import envelope
from stepwell.api.paging import NumberedPage
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.limits import WORKFLOW_NAME_LENGTH
from stepwell.schedules import ScheduleChanges

PER_PAGE = 50
MOST_PER_PAGE = 100


async def list_schedules(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of the account's schedules, or of a workflow's."""
    page = NumberedPage.asked_by(request.query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    workflow = request.query.text("workflow", WORKFLOW_NAME_LENGTH)
    place = {"limit": page.per_page, "offset": page.offset}
    shown, total = await schedules.page(engine, request.account, workflow=workflow, **place)
    return envelope.success(shown, page.info(len(shown), total))


async def get_schedule(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a schedule."""
    return envelope.success(await schedules.get(engine, request.account, request.workflow, request.cron))


async def change_schedule(engine: Engine, request: ApiRequest) -> Response:
    """Pause a schedule, resume it, or change its time zone or what happens to overlapping firings."""
    changes = await request.decode(ScheduleChanges)
    return envelope.success(await schedules.change(engine, request.account, request.workflow, request.cron, changes))


async def run_schedule(engine: Engine, request: ApiRequest) -> Response:
    """Create an instance of a schedule now."""
    row = await schedules.run_now(engine, request.account, request.workflow, request.cron)
    return envelope.success(answers.created_instance(row))
