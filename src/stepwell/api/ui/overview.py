"""What the first page shows, in one answer: all workflows, what failed lately, and what came last."""

import asyncio
from itertools import chain
from operator import attrgetter

import msgspec
from starlette.responses import Response

from stepwell import answers, models, searches
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine, InstanceFilter
from stepwell.store.search_operations import Wanted

MOST_WORKFLOWS = 100
# So many workflows are asked for their instances.
ASKED = 8
FAILED, LATEST = 5, 10


class LatestInstance(models.ListedInstance):
    """An instance, and whose it is."""

    workflow_name: str


class Overview(msgspec.Struct):
    """What goes on."""

    workflows: list[models.Workflow]
    errored: list[searches.SearchedInstance]
    recent: list[LatestInstance]


async def get_overview(engine: Engine, request: ApiRequest) -> Response:
    """Answer what goes on in an account."""
    rows = (await engine.workflows(request.account, limit=MOST_WORKFLOWS)).rows
    errored = [row for row in rows if row.counts.get("errored")]
    used = sorted((row for row in rows if row.triggered_at), key=attrgetter("triggered_at"), reverse=True)
    failed, latest = await asyncio.gather(
        _failed(engine, request.account, [row.name for row in errored[:ASKED]]),
        _latest(engine, request.account, [row.name for row in used[:ASKED]]),
    )
    return envelope.success(Overview([answers.workflow(row) for row in rows], failed, latest))


async def _failed(engine: Engine, account: str, workflows: list[str]) -> list[searches.SearchedInstance]:
    """Return what has failed in some workflows, with why, by its end."""
    wanted, page = Wanted(statuses=("errored",)), searches.Page(limit=FAILED)
    pages = await asyncio.gather(*(searches.search(engine, account, name, wanted, page) for name in workflows))
    found = chain.from_iterable(page.instances for page in pages)
    return sorted(found, key=lambda one: one.ended_on or "", reverse=True)[:FAILED]


async def _latest(engine: Engine, account: str, workflows: list[str]) -> list[LatestInstance]:
    """Return the instances that were created last in some workflows."""
    wanted = InstanceFilter(limit=LATEST)
    pages = await asyncio.gather(*(engine.list(account, name, wanted) for name in workflows))
    rows = sorted(chain.from_iterable(page.rows for page in pages), key=attrgetter("created_at"), reverse=True)
    return [
        LatestInstance(**msgspec.structs.asdict(answers.listed_instance(row)), workflow_name=row.workflow)
        for row in rows[:LATEST]
    ]
