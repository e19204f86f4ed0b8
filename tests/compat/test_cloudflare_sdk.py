"""Cloudflare's own Python package, unchanged, against a real server, whose answers have to fit its models."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, get_args, get_origin

import pytest
from cloudflare import AsyncCloudflare, BadRequestError, NotFoundError, RateLimitError
from cloudflare._models import BaseModel
from cloudflare.types.accounts import Account
from cloudflare.types.user import UserGetResponse
from cloudflare.types.user.token_verify_response import TokenVerifyResponse
from cloudflare.types.workflows import (
    InstanceBulkResponse,
    InstanceCreateResponse,
    InstanceGetResponse,
    InstanceListResponse,
    InstanceStepResponse,
    VersionGetResponse,
    VersionGraphResponse,
    VersionListResponse,
    WorkflowDeleteResponse,
    WorkflowGetResponse,
    WorkflowListResponse,
    WorkflowUpdateResponse,
)
from cloudflare.types.workflows.instances import EventCreateResponse, StatusEditResponse
from msgspec.structs import replace
from pydantic import TypeAdapter

from stepwell.engine import Engine
from stepwell.graph.source import graph_of
from stepwell.store.schedule_operations import FireSchedules
from tests.api.conftest import NOW
from tests.api.histories import VERSION_ID, Histories
from tests.graph.cloudflare import TYPES, problems, types_in

EVERYTHING = """import asyncio
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            for n in range(3):
                await step.do(f"a {n}", self.inner, step)
        except ValueError:
            await step.sleep("b", "1 hour")
        match event["payload"]:
            case 1:
                await step.sleep_until("c", 5)
        task = asyncio.create_task(self.inner(step))
        if await step.wait_for_event("d", "e"):
            return
        await asyncio.gather(task, step.do("f", work))

    async def inner(self, step):
        await step.do("g", work)
"""
ACCOUNT = "0123456789abcdef0123456789abcdef"
NO_VERSION = "01234567-89ab-4def-8123-456789abcdef"
STATUSES = ["queued", "running", "waiting", "complete", "errored"]


@pytest.fixture
async def sdk(port: int, histories: Histories) -> AsyncIterator[AsyncCloudflare]:
    """A client of the server, made as its documentation says."""
    base_url = f"http://127.0.0.1:{port}/client/v4"
    async with AsyncCloudflare(base_url=base_url, api_token="x", max_retries=0) as client:
        yield client


def _undeclared(value: Any, model: Any) -> list[str]:
    """Return the members of an answer that a model, at any depth, does not declare."""
    if isinstance(value, list):
        return [name for item in value for name in _undeclared(item, get_args(model)[0])]
    if not isinstance(value, dict):
        return []
    if get_origin(model) is dict:
        return [name for item in value.values() for name in _undeclared(item, get_args(model)[1])]
    kind = _model_of(value, model)
    if kind is None:
        return []
    fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    unknown = [name for name in value if name not in fields]
    return unknown + [
        name for member in value if member in fields for name in _undeclared(value[member], fields[member])
    ]


def _model_of(value: dict[str, Any], model: Any) -> type[BaseModel] | None:
    """Return the model of an object: of a union, the one of its `type`, else the only one."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model
    models = [part for part in get_args(model) if isinstance(part, type) and issubclass(part, BaseModel)]
    for candidate in models:
        if len(models) == 1 or value.get("type") in get_args(candidate.model_fields["type"].annotation):
            return candidate
    assert not models or get_origin(model) is dict, f"{value} fits no model of {model}"
    return None


def _check(answer: Any, model: type[BaseModel], *, but: frozenset[str] = frozenset()) -> None:
    """Hold an answer against its model: strictly typed, nothing missing, nothing that the model lacks."""
    problems = _problems(answer, model)
    assert [problem for problem in problems if problem not in but] == []


def _problems(answer: Any, model: type[BaseModel]) -> list[str]:
    from pydantic import ValidationError

    try:
        TypeAdapter(model).validate_json(json.dumps(answer), strict=True)
    except ValidationError as error:
        return [".".join(str(part) for part in problem["loc"]) for problem in error.errors()]
    return _undeclared(answer, model)


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        pytest.param('{"orderId": 7}', {"orderId": 7}, id="JSON in a string"),
        pytest.param("plain text", "plain text", id="text that is no JSON"),
        pytest.param({"orderId": 7}, {"orderId": 7}, id="the value itself"),
    ],
)
async def test_sdk_creates_an_instance(sdk: AsyncCloudflare, params: Any, shown: Any) -> None:
    """`instances.create` takes params as its type says, and as a value."""
    raw = await sdk.workflows.instances.with_raw_response.create(
        "order", account_id=ACCOUNT, instance_id="order-1", params=params
    )

    created = await raw.parse()
    found = await sdk.workflows.instances.get("order-1", account_id=ACCOUNT, workflow_name="order")
    _check(json.loads(await raw.read())["result"], InstanceCreateResponse)
    assert (created.id, created.status, created.trigger_source) == ("order-1", "queued", "api")
    assert found.params == shown


async def test_sdk_creates_an_instance_of_nothing(sdk: AsyncCloudflare) -> None:
    """`instances.create` without anything gives an id and `{}`."""
    created = await sdk.workflows.instances.create("order", account_id=ACCOUNT)

    found = await sdk.workflows.instances.get(created.id, account_id=ACCOUNT, workflow_name="order")

    assert (len(created.id), found.params) == (36, {})


@pytest.mark.parametrize("status", STATUSES)
async def test_sdk_gets_an_instance(sdk: AsyncCloudflare, histories: Histories, status: str) -> None:
    """`instances.get` gives logs and status, strictly as its model declares them.

    One departure, Cloudflare's own: its model does not let `output` be null, as it is until there is one.
    """
    await getattr(histories, status)("order", "order-1")

    raw = await sdk.workflows.instances.with_raw_response.get("order-1", account_id=ACCOUNT, workflow_name="order")

    found = await raw.parse()
    answer = json.loads(await raw.read())["result"]
    is_null = answer["output"] is None
    _check(answer, InstanceGetResponse, but=frozenset({"output.str", "output.float"} if is_null else ()))
    _check({**answer, "output": "text"}, InstanceGetResponse)
    assert (found.status, len(found.steps), found.step_count) == (
        status,
        len(answer["steps"]),
        len(answer["steps"]),
    )


async def test_sdk_understands_every_entry(sdk: AsyncCloudflare, histories: Histories) -> None:
    """Entries arrive as the classes of their types, with times as datetimes."""
    await histories.complete("order", "order-1")

    found = await sdk.workflows.instances.get("order-1", account_id=ACCOUNT, workflow_name="order", order="desc")

    assert [type(entry).__name__ for entry in found.steps] == [
        "StepUnionMember3",
        "StepUnionMember3",
        "StepUnionMember1",
        "StepUnionMember0",
        "StepUnionMember0",
        "StepUnionMember0",
        "StepUnionMember0",
        "StepUnionMember0",
    ]
    assert found.end is not None
    assert found.end.isoformat() == "2026-11-23T10:00:00.240000+00:00"
    assert (found.success, found.output) == (True, '{"paid":true}')


async def test_sdk_gets_an_instance_without_its_steps(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`simple="true"` leaves the steps out and counts them."""
    await histories.complete("order", "order-1")

    found = await sdk.workflows.instances.get("order-1", account_id=ACCOUNT, workflow_name="order", simple="true")

    assert (found.steps, found.step_count) == ([], 8)


async def test_sdk_lists_instances_to_the_end(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`instances.list` pages by itself, and ends."""
    ids = [await histories.queued("order", f"i{number}") for number in range(7)]

    listed = [instance.id async for instance in sdk.workflows.instances.list("order", account_id=ACCOUNT, per_page=3)]

    assert listed == ids[::-1]


async def test_sdk_lists_instances_from_a_cursor_to_an_end(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`instances.list` that begins with a cursor, and so goes on with cursor and page, ends too."""
    for number in range(7):
        await histories.queued("order", f"i{number}")
    first = await sdk.workflows.instances.with_raw_response.list("order", account_id=ACCOUNT, per_page=3)
    cursor = json.loads(await first.read())["result_info"]["cursor"]

    listed = [
        instance.id
        async for instance in sdk.workflows.instances.list("order", account_id=ACCOUNT, per_page=3, cursor=cursor)
    ]

    assert listed == ["i3", "i2", "i1"]


async def test_sdk_filters_instances(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`instances.list` takes status, order and datetimes, and its answers keep its model."""
    for status in STATUSES[::-1]:
        await getattr(histories, status)("order", status)
    queued = (await sdk.workflows.instances.get("queued", account_id=ACCOUNT, workflow_name="order")).queued

    raw = await sdk.workflows.instances.with_raw_response.list(
        "order",
        account_id=ACCOUNT,
        status="queued",
        direction="asc",
        date_start=queued,
        date_end=queued,
        per_page=1.0,
    )

    (answer,) = json.loads(await raw.read())["result"]
    _check(answer, InstanceListResponse)
    assert answer["id"] == "queued"


async def test_sdk_sends_an_event(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`instances.events.create` is acknowledged in its model's shape."""
    await histories.queued("order", "order-1")

    raw = await sdk.workflows.instances.events.with_raw_response.create(
        "approved", account_id=ACCOUNT, workflow_name="order", instance_id="order-1", body={"by": "ann"}
    )

    _check(json.loads(await raw.read())["result"], EventCreateResponse)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param({"status": "pause"}, "paused", id="pause"),
        pytest.param({"status": "resume"}, "waiting", id="resume"),
        pytest.param({"status": "terminate"}, "terminated", id="terminate"),
        pytest.param({"status": "restart"}, "queued", id="restart"),
        pytest.param({"status": "restart", "from_": {"name": "approval", "type": "waitForEvent"}}, "queued", id="from"),
    ],
)
async def test_sdk_controls_an_instance(
    sdk: AsyncCloudflare, histories: Histories, asked: dict[str, Any], status: str
) -> None:
    """`instances.status.edit` does what it asks for, is answered in its model's shape, and the log keeps its model."""
    await histories.waiting("order", "order-1")

    raw = await sdk.workflows.instances.status.with_raw_response.edit(
        "order-1", account_id=ACCOUNT, workflow_name="order", **asked
    )

    _check(json.loads(await raw.read())["result"], StatusEditResponse)
    found = await sdk.workflows.instances.with_raw_response.get("order-1", account_id=ACCOUNT, workflow_name="order")
    answer = json.loads(await found.read())["result"]
    _check({**answer, "output": "text"}, InstanceGetResponse)
    assert answer["status"] == status


@pytest.mark.parametrize("fails", [True, False])
async def test_sdk_understands_a_rollback(sdk: AsyncCloudflare, histories: Histories, fails: bool) -> None:
    """An instance that was rolled back tells the outcome, and has entries of the type `rollback`, as its model says."""
    await histories.rolled_back("order", "order-1", fails=fails)

    raw = await sdk.workflows.instances.with_raw_response.get("order-1", account_id=ACCOUNT, workflow_name="order")

    answer = json.loads(await raw.read())["result"]
    refused = {"name": "ValueError", "message": "the card was refused"}
    _check({**answer, "output": "text"}, InstanceGetResponse)
    assert answer["error"] == {"name": "LookupError", "message": "no seats"}
    assert answer["rollback"] == {"outcome": "failed" if fails else "complete", "error": refused if fails else None}
    assert [(entry["type"], entry["name"]) for entry in answer["steps"]] == [
        ("step", "book-1"),
        ("step", "pay-1"),
        ("rollback", "pay-1"),
        ("rollback", "book-1"),
    ]


async def test_sdk_is_not_made_to_repeat_a_refused_change(sdk: AsyncCloudflare, histories: Histories) -> None:
    """A change that cannot be arrives as BadRequestError with Cloudflare's code, which no SDK repeats."""
    await histories.complete("order", "order-1")

    with pytest.raises(BadRequestError) as refused:
        await sdk.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="terminate"
        )

    assert refused.value.errors[0].code == 10401


async def test_sdk_gets_a_workflow(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`workflows.get` gives counts, strictly as its model declares them."""
    await histories.complete("order", "order-1")

    raw = await sdk.workflows.with_raw_response.get("order", account_id=ACCOUNT)

    found = await raw.parse()
    _check(json.loads(await raw.read())["result"], WorkflowGetResponse)
    assert (found.name, found.instances["complete"]) == ("order", 1)


async def test_sdk_lists_workflows_to_the_end(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`workflows.list` pages by itself, ends, and its answers keep its model."""
    for number in range(5):
        await histories.register(f"w{number}")

    listed = [workflow.name async for workflow in sdk.workflows.list(account_id=ACCOUNT, per_page=2)]

    raw = await sdk.workflows.with_raw_response.list(account_id=ACCOUNT)
    assert listed == ["order", "w0", "w1", "w2", "w3", "w4"]
    for answer in json.loads(await raw.read())["result"]:
        _check(answer, WorkflowListResponse)


async def test_sdk_knows_missing_things(sdk: AsyncCloudflare) -> None:
    """What is not there arrives as NotFoundError with Cloudflare's code."""
    with pytest.raises(NotFoundError) as no_instance:
        await sdk.workflows.instances.get("none", account_id=ACCOUNT, workflow_name="order")
    with pytest.raises(NotFoundError) as no_workflow:
        await sdk.workflows.get("none", account_id=ACCOUNT)

    codes = [error.value.errors[0].code for error in (no_instance, no_workflow)]

    assert codes == [10400, 10200]


async def test_sdk_knows_a_duplicate(sdk: AsyncCloudflare, histories: Histories) -> None:
    """An id that is taken arrives as BadRequestError with Cloudflare's code, and is not tried again."""
    await histories.queued("order", "order-1")

    with pytest.raises(BadRequestError) as duplicate:
        await sdk.workflows.instances.create("order", account_id=ACCOUNT, instance_id="order-1")

    assert duplicate.value.errors[0].code == 10405


async def test_sdk_reaches_ids_of_cron_instances(sdk: AsyncCloudflare) -> None:
    """An id with spaces, stars and a slash, as the package escapes it, reaches its route."""
    with pytest.raises(NotFoundError) as missing:
        await sdk.workflows.instances.get("*/30 * * * *-1786001400000", account_id=ACCOUNT, workflow_name="order")

    assert missing.value.errors[0].code == 10400
    assert '"*/30 * * * *-1786001400000"' in str(missing.value.errors[0].message)


async def test_sdk_gets_the_instance_of_a_firing(sdk: AsyncCloudflare, engine: Engine) -> None:
    """An instance that a schedule has made is found by its id, has its firing, and is controlled."""
    every = {"cron": "*/30 * * * *"}
    await sdk.workflows.update("order", account_id=ACCOUNT, script_name="shop", class_name="Order", schedules=[every])  # type: ignore[list-item]  # as its type says
    await engine.store.run(FireSchedules(NOW + 1_800_000, 0))
    named: Any = {"account_id": ACCOUNT, "workflow_name": "order"}
    id = f"*/30 * * * *-{NOW + 1_800_000}"

    instance = await sdk.workflows.instances.get(id, **named)
    changed = await sdk.workflows.instances.status.edit(id, **named, status="terminate")
    raw = await sdk.workflows.with_raw_response.get("order", account_id=ACCOUNT)

    assert instance.to_dict()["schedule"] == {"cron": "*/30 * * * *", "scheduledTime": NOW + 1_800_000}
    assert (instance.trigger.source, changed.status) == ("cron", "terminated")
    found = json.loads(await raw.read())["result"]
    _check(found, WorkflowGetResponse)
    assert found["schedules"] == [{"cron": "*/30 * * * *", "next_instance": "2026-11-23T11:00:00.000Z"}]


async def test_sdk_creates_a_batch(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`instances.bulk` gives one page of what was created, strictly as its model declares it, and ends."""
    await histories.queued("order", "taken")
    wanted = [{"instance_id": id, "params": '{"n": 1}'} for id in ("a", "taken", "b")]

    created = [
        instance
        async for instance in sdk.workflows.instances.bulk("order", account_id=ACCOUNT, body=wanted)  # type: ignore[arg-type]  # as its type says
    ]

    assert [instance.id for instance in created] == ["a", "b"]
    for instance in created:
        _check(instance.to_dict(mode="json"), InstanceBulkResponse)
    assert (await sdk.workflows.instances.get("b", account_id=ACCOUNT, workflow_name="order")).params == {"n": 1}


async def test_sdk_refuses_an_empty_batch(sdk: AsyncCloudflare) -> None:
    """An empty batch arrives as BadRequestError, and is not tried again."""
    with pytest.raises(BadRequestError) as refused:
        await sdk.workflows.instances.bulk("order", account_id=ACCOUNT, body=[])

    assert refused.value.errors[0].code == 10002


@pytest.mark.parametrize(
    ("name", "type", "stands"),
    [
        pytest.param("charge-1", "step", ("complete", {"chargeId": "c_1"}), id="object"),
        pytest.param("charge-2", "step", ("complete", None), id="nothing"),
        pytest.param("card-1", "step", ("complete", "[REDACTED]"), id="sensitive"),
        pytest.param("cancelled-1", "step", ("errored", None), id="cancelled"),
        pytest.param("approval-1", "waitForEvent", ("complete", {"by": "ann"}), id="event"),
        pytest.param("silence-1", "waitForEvent", ("errored", None), id="time-out"),
    ],
)
async def test_sdk_gets_a_step(
    sdk: AsyncCloudflare, histories: Histories, name: str, type: Any, stands: tuple[str, Any]
) -> None:
    """`instances.step` gives the whole output as a value, strictly as its model declares it."""
    await histories.complete("order", "order-1")

    raw = await sdk.workflows.instances.with_raw_response.step(
        "order-1", account_id=ACCOUNT, workflow_name="order", name=name, type=type, attempt=1
    )
    found = await sdk.workflows.instances.step(
        "order-1", account_id=ACCOUNT, workflow_name="order", name=name, type=type
    )

    _check(json.loads(await raw.read())["result"], InstanceStepResponse)
    assert (found.status, found.output) == stands


async def test_sdk_misses_a_step(sdk: AsyncCloudflare, histories: Histories) -> None:
    """A step that is not there arrives as NotFoundError with its code and name."""
    await histories.complete("order", "order-1")

    with pytest.raises(NotFoundError) as missing:
        await sdk.workflows.instances.step(
            "order-1", account_id=ACCOUNT, workflow_name="order", name="charge", type="step"
        )

    assert missing.value.errors[0].code == 10400
    assert '"charge"' in str(missing.value.errors[0].message)


async def test_sdk_updates_a_workflow(sdk: AsyncCloudflare) -> None:
    """`workflows.update` makes a version with all settings of its type."""
    raw = await sdk.workflows.with_raw_response.update(
        "order",
        account_id=ACCOUNT,
        script_name="shop",
        class_name="Order",
        limits={"steps": 20_000},
        concurrency={"limit": 5},
        schedules=[{"cron": "0 * * * *"}],
        default_retention={"success_retention": "1 day", "error_retention": 0},
    )

    updated = await raw.parse()
    _check(json.loads(await raw.read())["result"], WorkflowUpdateResponse)
    version = await sdk.workflows.versions.get(updated.version_id, account_id=ACCOUNT, workflow_name="order")
    assert (version.limits, version.concurrency) != (None, None)
    assert version.to_dict()["limits"] == {"steps": 20_000}
    assert version.to_dict()["default_retention"] == {"success_retention": 86_400_000, "error_retention": 0}


async def test_sdk_is_not_made_to_repeat_a_refused_update(sdk: AsyncCloudflare) -> None:
    """A script that nobody has loaded arrives as BadRequestError, which no SDK repeats."""
    with pytest.raises(BadRequestError) as refused:
        await sdk.workflows.update("order", account_id=ACCOUNT, script_name="attic", class_name="Order")

    assert refused.value.errors[0].code == 10002
    assert 'there is "shop"' in str(refused.value.errors[0].message)


async def test_sdk_deletes_a_workflow(sdk: AsyncCloudflare, histories: Histories) -> None:
    """`workflows.delete` is acknowledged in its model's shape; then the workflow is missing."""
    await histories.running("order", "order-1")

    raw = await sdk.workflows.with_raw_response.delete("order", account_id=ACCOUNT)

    _check(json.loads(await raw.read())["result"], WorkflowDeleteResponse)
    with pytest.raises(NotFoundError) as missing:
        await sdk.workflows.instances.get("order-1", account_id=ACCOUNT, workflow_name="order")
    assert missing.value.errors[0].code == 10200


async def test_sdk_lists_versions_to_the_end(sdk: AsyncCloudflare) -> None:
    """`versions.list` pages by itself, newest first, and ends; its answers keep their model."""
    newer = [
        (await sdk.workflows.update("order", account_id=ACCOUNT, script_name="shop", class_name="Order")).version_id
        for _ in range(4)
    ]

    listed = [version async for version in sdk.workflows.versions.list("order", account_id=ACCOUNT, per_page=2)]

    raw = await sdk.workflows.versions.with_raw_response.list("order", account_id=ACCOUNT)
    assert [version.id for version in listed] == [*newer[::-1], VERSION_ID]
    for answer in json.loads(await raw.read())["result"]:
        _check(answer, VersionListResponse)


async def test_sdk_gets_a_version_and_its_graph(sdk: AsyncCloudflare) -> None:
    """`versions.get` and `versions.graph` keep their models; Python code has no graph."""
    versions = sdk.workflows.versions.with_raw_response

    raw = await versions.get(VERSION_ID, account_id=ACCOUNT, workflow_name="order")
    graph = await versions.graph(VERSION_ID, account_id=ACCOUNT, workflow_name="order")

    _check(json.loads(await raw.read())["result"], VersionGetResponse)
    _check(json.loads(await graph.read())["result"], VersionGraphResponse)
    assert (await graph.parse()).graph is None


async def test_sdk_reads_a_graph(sdk: AsyncCloudflare, histories: Histories) -> None:
    """A graph with every type of node keeps the models, at any depth."""
    made = graph_of({"flow.py": EVERYTHING}, "flow.py", "Flow")
    await histories.draw(made)

    raw = await sdk.workflows.versions.with_raw_response.graph(VERSION_ID, account_id=ACCOUNT, workflow_name="order")

    shown = json.loads(await raw.read())["result"]
    _check(shown, VersionGraphResponse)
    assert list(problems(shown["graph"])) == []
    assert types_in(shown) == {*TYPES} - {"start"}


async def test_sdk_misses_a_version(sdk: AsyncCloudflare) -> None:
    """A version that is not there arrives as NotFoundError with Cloudflare's code."""
    with pytest.raises(NotFoundError) as missing:
        await sdk.workflows.versions.get(NO_VERSION, account_id=ACCOUNT, workflow_name="order")

    assert missing.value.errors[0].code == 10300


async def test_sdk_knows_who_calls(sdk: AsyncCloudflare) -> None:
    """Token, user, accounts and memberships keep their models, and their lists end."""
    token = await sdk.user.tokens.with_raw_response.verify()
    user = await sdk.user.with_raw_response.get()
    accounts = [account async for account in sdk.accounts.list()]
    members = [member async for member in sdk.memberships.list()]

    _check(json.loads(await token.read())["result"], TokenVerifyResponse)
    _check(json.loads(await user.read())["result"], UserGetResponse)
    _check(accounts[0].to_dict(mode="json"), Account)
    assert [account.id for account in accounts] == ["local"]
    assert [member.status for member in members] == ["accepted"]


async def test_sdk_waits_as_long_as_it_is_told(port: int, engine: Engine) -> None:
    """A request that comes too soon is sent again when there is room for it; without tries left it is named."""
    engine.settings = replace(engine.settings, requests_per_minute_of_address=60, request_burst_of_address=1)
    base_url = f"http://127.0.0.1:{port}/client/v4"
    time = asyncio.get_running_loop().time

    async with AsyncCloudflare(base_url=base_url, api_token="x", max_retries=1) as client:
        began = time()
        found = [await client.accounts.get(account_id=ACCOUNT) for _ in range(2)]
        took_s = time() - began
        with pytest.raises(RateLimitError) as error:
            await client.with_options(max_retries=0).accounts.get(account_id=ACCOUNT)

    assert None not in found
    # Its own first pause is half a second at most.
    assert took_s > 0.9
    assert error.value.errors[0].code == 971
    assert error.value.response.headers["ratelimit-policy"] == '"address";q=1;w=1'
