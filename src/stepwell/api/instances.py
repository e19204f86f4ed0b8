"""Instances: create one or many, list them, get logs and status, look at a step, send an event.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/
"""

import asyncio

from starlette.responses import Response

from stepwell import answers, limits
from stepwell.api import envelope, new_instance, wishes
from stepwell.api.instance_list import InstanceList
from stepwell.api.kept import InstanceAnswer, InstanceQuestion, KeptAnswers
from stepwell.api.paging import StepPage, cut
from stepwell.api.query import needed
from stepwell.api.request import ApiRequest
from stepwell.api.step_bytes import StepBytes
from stepwell.api.streams import unless_gone
from stepwell.core.steplog import iso
from stepwell.core.stepview import StepQuery
from stepwell.engine import Engine, InstanceView
from stepwell.models import EventReceipt, ResultInfo
from stepwell.store.operations import GetInstance, InstanceHistory
from stepwell.waits import wait_for_change

STEP_TYPES = ("step", "waitForEvent")

_SHOWN_AT_ONCE = 1_000


async def create_instance(engine: Engine, request: ApiRequest) -> Response:
    """Create an instance; it is due at once."""
    body = await request.body()
    key = wishes.idempotency_key(request.http.headers, "create", request.workflow, body)
    new = new_instance.decode(body, new_instance.caller_of(request.http.headers))
    row = await engine.create(request.account, request.workflow, new, key)
    return envelope.success(answers.created_instance(row))


async def create_batch(engine: Engine, request: ApiRequest) -> Response:
    """Create many instances; those whose ids are taken are left out of the answer."""
    most = engine.settings.batch_instances
    wanted = new_instance.decode_batch(await request.body(), most, new_instance.caller_of(request.http.headers))
    rows = await engine.create_batch(request.account, request.workflow, wanted)
    info = ResultInfo(len(rows), most, len(rows), page=1, total_pages=1)
    return envelope.success([answers.created_instance(row) for row in rows], info)


async def list_instances(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of instances, newest first unless asked otherwise."""
    wanted = InstanceList.asked_by(request.query)
    rows, info = await wanted.read(engine, request.account, request.workflow)
    return envelope.success([answers.listed_instance(row) for row in rows], info)


async def get_instance(engine: Engine, request: ApiRequest) -> Response:
    """Answer with logs and status of an instance; when it has changed or has ended, if the caller prefers to wait."""
    page = StepPage.asked_by(request.query)
    is_simple = request.query.choice("simple", ("true", "false")) == "true"
    question = InstanceQuestion(request.account, request.workflow, request.instance, not is_simple, page)
    waited_s, found = await _wait(engine, request, with_steps=not is_simple)
    if is_simple and found is not None:
        answer = await _answer_found(engine, request.served.kept, question, found)
    else:
        answer = await _answer(engine, request.served.kept, question)
    headers = {"etag": wishes.tag(answer.row, with_steps=not is_simple)}
    if waited_s is not None:
        headers["preference-applied"] = f"wait={waited_s}"
    return envelope.encoded(answer.body, headers)


async def get_step(engine: Engine, request: ApiRequest) -> Response:
    """Answer with how one step stands, and its whole output; or with its bytes, if it is a stream."""
    given = request.query
    name = needed(given.text("name", limits.LOGGED_NAME_LENGTH), "name", "a name as the log shows it, such as charge-1")
    type = needed(given.choice("type", STEP_TYPES), "type", "one of: " + ", ".join(STEP_TYPES))
    query = StepQuery(name, type, given.number("attempt"))
    view = await engine.step(request.account, request.workflow, request.instance, query)
    return envelope.success(answers.step_state(view)) if view.stream is None else StepBytes(engine, view.stream)


async def send_event(engine: Engine, request: ApiRequest) -> Response:
    """Store an event for an instance; the body is its payload."""
    payload = await request.json_text("event payload")
    event_type = request.path["event_type"]
    target = request.workflow, request.instance
    key = wishes.idempotency_key(request.http.headers, "event", *target, event_type, payload)
    at = await engine.send_event(request.account, *target, event_type, payload, key)
    return envelope.success(EventReceipt(request.instance, iso(at)))


async def _answer(engine: Engine, kept: KeptAnswers, question: InstanceQuestion) -> InstanceAnswer:
    """Return what is kept, while it is so, or make it anew."""
    last = kept.find(question)
    where = question.account, question.workflow, question.instance
    known = None if last is None else last.row
    view = await engine.get_if_changed(*where, with_steps=question.with_steps, known=known)
    if view is None:
        assert last is not None
        return last
    return await _answer_anew(kept, question, view)


async def _answer_found(
    engine: Engine, kept: KeptAnswers, question: InstanceQuestion, found: InstanceHistory
) -> InstanceAnswer:
    """Return the answer that is made of what was just found, without steps; it may be kept."""
    last = kept.find(question)
    if last is not None and last.row == found.row:
        return last
    return await _answer_anew(kept, question, await engine.view(found, with_steps=False))


async def _answer_anew(kept: KeptAnswers, question: InstanceQuestion, view: InstanceView) -> InstanceAnswer:
    if len(view.log.entries) <= _SHOWN_AT_ONCE:
        body = _show(view, question.page)
    else:
        # A long log takes tens of milliseconds; others are to be answered meanwhile.
        body = await asyncio.to_thread(_show, view, question.page)
    answer = InstanceAnswer(view.row, body)
    kept.keep(question, answer)
    return answer


def _show(view: InstanceView, page: StepPage) -> bytes:
    shown = cut(view.log.entries, view.row.step_count, page)
    return envelope.encode(answers.instance(view, shown.entries), shown.info)


async def _wait(engine: Engine, request: ApiRequest, *, with_steps: bool) -> tuple[int | None, InstanceHistory | None]:
    """Wait as long as the caller prefers, unless too many do so already; return for how long at most he may have.

    Who is shown no steps does not wait for them either. Where there was nothing to wait for, what was found comes
    along.
    """
    wait_s = wishes.wait_s(request.http.headers, engine.settings.longest_poll)
    if wait_s is None or (give_back := request.served.waits.take(engine.settings, request.token)) is None:
        return None, None
    try:
        asked = GetInstance(request.account, request.workflow, request.instance, with_steps=False)
        seen = wishes.seen(request.http.headers)
        change = wait_for_change(engine.store, asked, seen=seen, timeout_s=wait_s, of_turns=with_steps)
        return wait_s, await unless_gone(request.http, change)
    finally:
        give_back()
