"""The clients, both of them, against servers in all their forms."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from stepwell.sdk import AlreadyExists, Conflict, InvalidRequest, NotEnded, NotFound, Unauthorized
from stepwell.sdk.graph import StepDoNode, StepWaitNode
from stepwell.sdk.models import (
    Attempt,
    CreatedInstance,
    ErrorText,
    Instance,
    ListedInstance,
    RollbackStep,
    Step,
    Trigger,
    Version,
    Wait,
    Workflow,
)
from tests.sdk.asked import AnyClient, ask, close, take
from tests.sdk.places import KINDS, PLACES, Servers, inside

_numbers = count()
# Longer than anything here takes, also on a machine that others keep busy.
PATIENCE_S = 50


# Its scope puts the tests of a place behind one another, so that fewer processes of the tests start each server.
@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The form of a server, and the kind of a client."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
async def client(place: tuple[str, str], request: pytest.FixtureRequest) -> AsyncIterator[AnyClient]:
    """A client of each kind, of a server in each form."""
    form, kind = place
    if form == "asgi":
        async with inside() as client:
            yield client
        return
    client = await asyncio.to_thread(request.getfixturevalue("servers").client, form, kind)
    yield client
    await close(client)


async def _waiting(client: AnyClient, params: Any = None) -> str:
    """Return the id of a new order that waits for its approval."""
    id = f"order-{next(_numbers)}"
    await ask(client.workflows.instances.create, "order", instance_id=id, params=params)
    await _until(client, id, lambda found: found.status == "waiting" and found.step_count == 3)
    return id


async def _until(client: AnyClient, id: str, is_so: Any) -> Instance:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(found := await ask(client.workflows.instances.get, "order", id)):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
    assert isinstance(found, Instance)
    return found


async def test_instance_is_created_approved_and_read(client: AnyClient) -> None:
    """From its creation to its output, with every part of its log typed."""
    instances = client.workflows.instances
    id = f"order-{next(_numbers)}"

    created = await ask(instances.create, "order", instance_id=id, params={"orderId": 7})
    await _until(client, id, lambda found: found.status == "waiting")
    receipt = await ask(instances.send_event, "order", id, "approved", {"by": "ann"})
    found = await ask(instances.wait, "order", id, timeout=PATIENCE_S)

    assert isinstance(created, CreatedInstance)
    assert (created.id, created.trigger_source) == (id, "api")
    assert receipt.instance_id == id
    assert (found.status, found.has_ended, found.success, found.output) == ("complete", True, True, '{"by":"ann"}')
    assert (found.params, found.trigger, found.version_id) == (
        {"orderId": 7},
        Trigger(source="api"),
        created.version_id,
    )
    assert found.queued <= found.start <= found.end
    assert found.end.tzinfo == UTC
    charge, _, approval = found.steps
    assert [type(step) for step in found.steps] == [Step, Step, Wait]
    assert (charge.name, charge.success, charge.output) == ("charge-1", True, '{"charged":{"orderId":7}}')
    assert (charge.config.retries.limit, charge.config.retries.backoff) == (5, "exponential")
    assert [attempt.success for attempt in charge.attempts] == [True]
    assert (approval.name, approval.event_type, approval.finished) == ("approval-1", "approved", True)


async def test_instance_is_read_as_the_query_says(client: AnyClient) -> None:
    """`order` turns the steps round; `simple` leaves them out and counts them."""
    id = await _waiting(client)

    desc = await ask(client.workflows.instances.get, "order", id, order="desc")
    simple = await ask(client.workflows.instances.get, "order", id, order="desc", simple=True)

    assert [step.name for step in desc.steps] == ["approval-1", "film-1", "charge-1"]
    assert (simple.steps, simple.step_count) == ([], 3)


async def test_failure_is_told_with_its_attempts(client: AnyClient) -> None:
    """The error of each attempt, and the one that ended the instance."""
    created = await ask(client.workflows.instances.create, "failing")

    found = await ask(client.workflows.instances.wait, "failing", created.id, timeout=PATIENCE_S)

    (charge,) = found.steps
    assert len(created.id) == 36
    assert (found.status, found.error.message) == ("errored", "the card was refused")
    assert [type(attempt) for attempt in charge.attempts] == [Attempt, Attempt]
    assert charge.attempts[0].error == ErrorText(name="ValueError", message="the bank is closed")


@pytest.mark.parametrize("params", [None, 5, "plain text", [1, {"a": None}], {"big": 2**70}])
async def test_params_arrive_as_they_were_given(client: AnyClient, params: Any) -> None:
    """Any JSON value; none is `{}`."""
    created = await ask(client.workflows.instances.create, "order", params=params)

    found = await ask(client.workflows.instances.get, "order", created.id)

    assert found.params == ({} if params is None else params)


async def test_wait_ends_when_its_time_is_over(client: AnyClient) -> None:
    """NotEnded has the instance as it stands."""
    id = await _waiting(client)

    with pytest.raises(NotEnded) as error:
        await ask(client.workflows.instances.wait, "order", id, timeout=0.01)

    assert error.value.instance.status == "waiting"


async def test_wait_sees_the_end_that_comes_meanwhile(client: AnyClient) -> None:
    """Who waits is told, without steps if he wants none."""
    id = await _waiting(client)

    waiting = asyncio.create_task(ask(client.workflows.instances.wait, "order", id, timeout=PATIENCE_S, simple=True))
    await asyncio.sleep(0)
    await ask(client.workflows.instances.send_event, "order", id, "approved", "yes")

    found = await waiting
    assert (found.status, found.output, found.steps, found.step_count) == ("complete", "yes", [], 3)


async def test_output_of_a_step_is_whole(client: AnyClient) -> None:
    """A value is a value, a stream its bytes; both come in parts, too."""
    id = await _waiting(client, {"orderId": 7})
    instances = client.workflows.instances

    value = await ask(instances.step, "order", id, "charge-1")
    stream = await ask(instances.step, "order", id, "film-1", attempt=1)
    wait = await ask(instances.step, "order", id, "approval-1", "waitForEvent")

    assert (value.status, value.output) == ("complete", {"charged": {"orderId": 7}})
    assert stream.output == b"\x00abc" + bytes(100_000)
    assert (wait.status, wait.output, wait.event_type) == ("waiting", None, "approved")
    assert b"".join(await ask(instances.step_output, "order", id, "film-1")) == stream.output
    assert b"".join(await ask(instances.step_output, "order", id, "charge-1")) == b'{"charged":{"orderId":7}}'
    with pytest.raises(Conflict):
        await ask(instances.step_output, "order", id, "approval-1", "waitForEvent")


async def test_events_come_from_the_creation_to_the_end(client: AnyClient) -> None:
    """Who comes late is told all, who comes back what is behind, and who chooses only that."""
    id = await _waiting(client)
    await ask(client.workflows.instances.send_event, "order", id, "approved", 1)
    await ask(client.workflows.instances.wait, "order", id, timeout=PATIENCE_S)

    events = await ask(client.workflows.instances.subscribe, "order", id)
    behind = await ask(client.workflows.instances.subscribe, "order", id, cursor=events[4].event_id)
    chosen = await ask(
        client.workflows.instances.subscribe, "order", id, types=["step_completed", "workflow_completed"]
    )

    assert (events[0].type, events[-1].type, events[-1].output) == ("workflow_queued", "workflow_completed", 1)
    assert {event.instance_id for event in events} == {id}
    assert behind == events[5:]
    assert [event.type for event in chosen] == ["step_completed", "step_completed", "workflow_completed"]
    assert [event.step_name for event in chosen] == ["charge-1", "film-1", None]


# Inside a program an answer comes when it is whole: there a subscription ends with its instance.
@pytest.mark.parametrize(
    "place", [place for place in PLACES if place[0] != "asgi"], ids="-".join, indirect=True, scope="module"
)
async def test_subscription_may_be_left(client: AnyClient) -> None:
    """The client goes on."""
    id = await _waiting(client)

    events = await take(3, client.workflows.instances.subscribe, "order", id)

    assert [event.type for event in events] == ["workflow_queued", "workflow_started", "workflow_running"]
    assert (await ask(client.workflows.instances.get, "order", id)).status == "waiting"


@pytest.mark.parametrize("place", [p for p in PLACES if p[0] != "asgi"], ids="-".join, indirect=True, scope="module")
async def test_events_come_by_the_websocket_of_cloudflare(client: AnyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events in the same way, of a server that has no other stream; one that is left is closed."""
    id = await _waiting(client)
    left = await _waiting(client)
    await ask(client.workflows.instances.send_event, "order", id, "approved", 1)
    expected = await ask(client.workflows.instances.subscribe, "order", id)
    monkeypatch.setattr("stepwell.sdk.settings._CLOUDFLARE", "127.0.0.1")
    found = client.settings
    there = type(client)(found.base_url, account_id=found.account, api_token=found.token)
    instances = there.workflows.instances

    events = await ask(instances.subscribe, "order", id)
    behind = await ask(instances.subscribe, "order", id, cursor=events[4].event_id)
    chosen = await ask(instances.subscribe, "order", id, types=["step_completed", "workflow_completed"])
    few = await take(3, instances.subscribe, "order", left)
    with pytest.raises(NotFound) as nobody:
        await ask(instances.subscribe, "order", "nobody")

    assert events == expected
    assert behind == events[5:]
    assert [event.step_name for event in chosen] == ["charge-1", "film-1", None]
    assert [event.type for event in few] == ["workflow_queued", "workflow_started", "workflow_running"]
    assert (nobody.value.status, nobody.value.error_code) == (404, 10400)
    await close(there)


async def test_one_call_may_have_its_own_time_out(client: AnyClient) -> None:
    """On the same connections; the client itself stays as it was."""
    hasty = client.with_options(timeout=0.000_001, max_retries=0)
    patient = hasty.with_options(timeout=None)

    assert [workflow.name for workflow in await ask(patient.workflows.list)][:1] == ["failing"]
    assert (client.settings.timeout_s, client.settings.max_retries) == (60.0, 2)
    assert (hasty.settings.timeout_s, hasty.settings.max_retries) == (0.000_001, 0)
    assert (patient.settings.timeout_s, patient.settings.max_retries) == (None, 0)
    await close(hasty)
    assert (await ask(client.workflows.get, "order")).name == "order"


async def test_lists_page_by_themselves(client: AnyClient) -> None:
    """All come, in the order that was asked for, whatever a page holds; the bounds and the status hold."""
    instances = client.workflows.instances
    created = [(await ask(instances.create, "failing")).id for _ in range(5)]
    for id in created:
        await ask(instances.wait, "failing", id, timeout=PATIENCE_S)

    newest = await take(5, instances.list, "failing", per_page=2)
    errored = await ask(instances.list, "failing", per_page=2, status="errored", direction="asc")
    none = await ask(instances.list, "failing", date_end=datetime(2020, 1, 1, tzinfo=UTC))
    workflows = await ask(client.workflows.list, per_page=1)

    assert [one.id for one in newest] == created[::-1]
    assert [one.id for one in errored][-5:] == created
    assert isinstance(newest[0], ListedInstance)
    assert newest[0].ended_on is not None
    assert none == []
    assert [workflow.name for workflow in workflows] == ["failing", "order"]


async def test_workflows_and_versions_are_read(client: AnyClient, request: pytest.FixtureRequest) -> None:
    """Counts, versions, and the graph of a version's code with its nodes by type."""
    workflow = await ask(client.workflows.get, "order")
    (found,) = await ask(client.workflows.list, search="ORD")
    version, *_ = await ask(client.workflows.versions.list, "order", per_page=1)
    same = await ask(client.workflows.versions.get, "order", version.id)
    graph = (await ask(client.workflows.versions.graph, "order", version.id)).graph

    assert isinstance(workflow, Workflow)
    assert (workflow.name, workflow.class_name, found.id) == ("order", "Order", workflow.id)
    assert set(workflow.instances) > {"complete", "errored"}
    assert isinstance(same, Version)
    assert (same, same.workflow_id) == (version, workflow.id)
    if "asgi" in request.node.name:
        assert graph is None  # a test's engine reads no source
    else:
        assert [type(node) for node in graph.workflow.nodes] == [StepDoNode, StepDoNode, StepWaitNode]


async def test_instance_is_controlled(client: AnyClient) -> None:
    """Pause, resume, restart, terminate with rollback, delete."""
    instances = client.workflows.instances
    id = await _waiting(client)

    paused = await ask(instances.pause, "order", id)
    resumed = await ask(instances.resume, "order", id)
    await ask(instances.restart, "order", id)
    await _until(client, id, lambda found: found.status == "waiting" and found.step_count == 3)
    again = await ask(instances.restart, "order", id, from_step="film")
    await _until(client, id, lambda found: found.status == "waiting" and found.step_count == 3)
    await ask(instances.terminate, "order", id, rollback=True)
    ended = await ask(instances.wait, "order", id, timeout=PATIENCE_S)
    deleted = await ask(instances.delete, "order", id)

    assert (paused.status, resumed.status in ("waiting", "queued"), again.status) == ("paused", True, "queued")
    assert (ended.status, ended.rollback.outcome) == ("terminated", "complete")
    assert any(isinstance(entry, RollbackStep) for entry in ended.steps)
    assert deleted.instance_id == id
    with pytest.raises(NotFound):
        await ask(instances.get, "order", id)


async def test_restart_from_a_step_keeps_what_came_before(client: AnyClient) -> None:
    """A step is named by its name, and by more where there are several."""
    id = await _waiting(client)
    before = await ask(client.workflows.instances.get, "order", id)

    await ask(client.workflows.instances.restart, "order", id, from_step={"name": "film", "count": 1, "type": "do"})

    after = await _until(client, id, lambda found: found.status == "waiting" and found.step_count == 3)
    begun = await ask(client.stepwell.instances.history, "order", id, kinds=["attempt_started"])
    assert after.steps[0] == before.steps[0]
    # Not by its times: a clock may stand still between the two.
    assert [record.step for record in begun] == ["charge-1", "film-1", "film-1"]


async def test_batches_are_created_ended_and_deleted(client: AnyClient) -> None:
    """What cannot be is left out, or told for each."""
    instances = client.workflows.instances
    ids = [f"batch-{next(_numbers)}" for _ in range(3)]

    created = await ask(instances.create_batch, "order", [{"instance_id": id, "params": {"n": 1}} for id in ids] + [{}])
    again = await ask(instances.create_batch, "order", [{"instance_id": id} for id in ids])
    ended = await ask(instances.terminate_batch, "order", [*ids, "nobody"])
    deleted = await ask(instances.delete_batch, "order", [*ids[:2], "nobody"])

    assert [one.id for one in created[:3]] == ids
    assert (len(created), again) == (4, [])
    assert ended.instances_terminated == 3
    assert [one.id for one in deleted.deleted] == ids[:2]
    assert [problem.id for problem in deleted.errors] == ["nobody"]
    assert (await ask(instances.termination, "order")).status in ("running", "not_running")


async def test_all_of_a_status_are_ended(client: AnyClient) -> None:
    """The server goes on with it."""
    id = await _waiting(client)

    begun = await ask(client.workflows.instances.terminate_all, "order", status="waiting")

    ended = await ask(client.workflows.instances.wait, "order", id, timeout=PATIENCE_S)
    assert (begun.status, ended.status) == ("ok", "terminated")


async def test_refusals_are_of_their_kind(client: AnyClient) -> None:
    """Each has the server's code and message, and the status of HTTP."""
    instances = client.workflows.instances
    id = await _waiting(client)
    await ask(instances.terminate, "order", id)

    with pytest.raises(NotFound) as no_workflow:
        await ask(client.workflows.get, "nothing")
    with pytest.raises(NotFound) as no_instance:
        await ask(instances.get, "order", "nothing")
    with pytest.raises(AlreadyExists) as taken:
        await ask(instances.create, "order", instance_id=id)
    with pytest.raises(Conflict) as ended:
        await ask(instances.send_event, "order", id, "approved")
    with pytest.raises(InvalidRequest) as wrong:
        await ask(instances.list, "order", status="dancing")

    errors = [error.value for error in (no_workflow, no_instance, taken, ended, wrong)]
    assert [(error.status, error.error_code) for error in errors] == [
        (404, 10200),
        (404, 10400),
        (400, 10405),
        (400, 10401),
        (400, 10002),
    ]
    assert 'no workflow "nothing"' in errors[0].message
    assert [len(error.request_id or "") for error in errors] == [16] * 5


async def test_workflow_is_changed_and_deleted(client: AnyClient, request: pytest.FixtureRequest) -> None:
    """A PUT makes a workflow of a class; its deletion ends all."""
    script = "tests" if "asgi" in request.node.name else "orders"
    name = f"more-{next(_numbers)}"

    made = await ask(client.workflows.update, name, script_name=script, class_name="Order", limits={"steps": 9})
    version = await ask(client.workflows.versions.get, name, made.version_id)
    await ask(client.workflows.delete, name)

    assert (made.name, version.limits.steps) == (name, 9)
    with pytest.raises(NotFound):
        await ask(client.workflows.get, name)


@pytest.mark.parametrize("kind", KINDS)
async def test_token_that_is_not_good_is_told(servers: Servers, kind: str) -> None:
    """Unauthorized, and what would help."""
    known = await asyncio.to_thread(servers.client, "serve", kind)
    other = KINDS[kind](known.settings.base_url, account_id=known.settings.account, api_token="wrong")

    with pytest.raises(Unauthorized) as refused:
        await ask(other.workflows.get, "order")

    assert (refused.value.status, refused.value.error_code) == (401, 10000)
    await close(known)
    await close(other)
