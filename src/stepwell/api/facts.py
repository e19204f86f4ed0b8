"""What the logs of the servers have said last, of all hosts. Stepwell's own route.

A token is told the facts of its account; those of no account, and of others, are for the operator, as `/metrics` is.
"""

from starlette.responses import Response

from stepwell import limits
from stepwell.api import envelope
from stepwell.api.paging import after_entry, entry_cursor
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.fact_log import shown_fact
from stepwell.models import ResultInfo
from stepwell.store.fact_operations import ListFacts

PER_PAGE = 50
MOST_PER_PAGE = 500
NAME_LENGTH = 300


async def list_facts(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of facts, the latest first."""
    query = request.query
    per_page = query.number("per_page", MOST_PER_PAGE) or PER_PAGE
    found = await engine.store.run(
        ListFacts(
            None if request.sees_all else request.account,
            # One more than is shown tells whether there is a next page.
            per_page + 1,
            event=query.text("event", NAME_LENGTH),
            workflow=query.text("workflow", limits.WORKFLOW_NAME_LENGTH),
            instance=query.text("instance", limits.ADDRESSED_INSTANCE_ID_LENGTH),
            process=query.text("process", NAME_LENGTH),
            before=after_entry(query.cursor()),
        )
    )
    shown = [shown_fact(noted, sees_all=request.sees_all) for noted in found[:per_page]]
    cursor = entry_cursor(found[per_page - 1].row) if len(found) > per_page else ""
    return envelope.success(shown, ResultInfo(count=len(shown), per_page=per_page, cursor=cursor))
