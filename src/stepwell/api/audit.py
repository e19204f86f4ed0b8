"""The audit log: who has done what, when, and from where. Stepwell's own route.

It tells of people and of the machines that they use, so it asks for a permission of its own.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from stepwell import audit_log, limits
from stepwell.api import envelope
from stepwell.api.paging import after_entry, entry_cursor
from stepwell.api.request import ApiRequest
from stepwell.api.streams import Stream
from stepwell.audit import MOST_AGENT, cleaned
from stepwell.engine import Engine
from stepwell.models import ResultInfo
from stepwell.store.audit_operations import AUDIT_ACTIONS, Asked, ListAudit
from stepwell.tokens import Caller

PER_PAGE = 50
MOST_PER_PAGE = 500
FORMATS = ("json", "ndjson", "csv")
TOKEN_ID_LENGTH = 64

# Browsers ask with a session, and what they get is for a file: never to be taken for a page.
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_MEDIA = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


def asked_by(http: Request, caller: Caller | None, name: str, address: str, now: int) -> Asked:
    """Return who makes a request, and from where."""
    way = "open" if caller is None else caller.way
    agent = cleaned(http.headers.get("user-agent", ""), MOST_AGENT)
    return Asked(way, name, now, None if caller is None else caller.token, address, agent)


async def list_audit(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of entries, newest first, or with all of them as a file."""
    per_page = request.query.number("per_page", MOST_PER_PAGE) or PER_PAGE
    form = request.query.choice("format", FORMATS) or "json"
    # One more than is shown tells whether there is a next page.
    wanted = _wanted(request, per_page + 1 if form == "json" else audit_log.AT_ONCE)
    if form != "json":
        return _file(engine, request, wanted, form)
    found = await engine.store.run(wanted)
    entries = [audit_log.shown(entry) for entry in found[:per_page]]
    cursor = entry_cursor(found[per_page - 1].row) if len(found) > per_page else ""
    return envelope.success(entries, ResultInfo(count=len(entries), per_page=per_page, cursor=cursor))


def _wanted(request: ApiRequest, limit: int) -> ListAudit:
    query = request.query
    return ListAudit(
        request.account,
        limit,
        action=query.choice("action", AUDIT_ACTIONS),
        token=query.text("token", TOKEN_ID_LENGTH),
        workflow=query.text("workflow", limits.WORKFLOW_NAME_LENGTH),
        instance=query.text("instance", limits.ADDRESSED_INSTANCE_ID_LENGTH),
        from_ms=query.moment("date_start"),
        to_ms=query.moment("date_end"),
        before=after_entry(query.cursor()),
    )


def _file(engine: Engine, request: ApiRequest, wanted: ListAudit, form: str) -> Response:
    ended = asyncio.Event()
    place = request.take_stream(ended.set)
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="audit.{form}"'}
    return Stream(_parts(engine, wanted, form, ended), _MEDIA[form], headers, place.end)


async def _parts(engine: Engine, wanted: ListAudit, form: str, ended: asyncio.Event) -> AsyncIterator[bytes]:
    if form == "csv":
        yield audit_log.csv_head()
    async for entries in audit_log.pages(engine.store, wanted):
        if ended.is_set():
            return
        yield audit_log.as_csv(audit_log.members_of(entries)) if form == "csv" else audit_log.as_lines(entries)
