"""`POST .../instances/batch`: many instances in one request."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.store.operations import RegisterWorkflow
from tests.api.asgi import ask
from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

BATCH = "workflows/order/instances/batch"


async def _listed(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("workflows/order/instances?direction=asc&per_page=100")
    return [instance["id"] for instance in answer.json()["result"]]


async def test_batch_is_created_in_its_order(client: httpx.AsyncClient) -> None:
    """Each instance is answered as one that is created alone, on one page."""
    answer = await client.post(BATCH, json=[{"instance_id": "a", "params": {"n": 1}}, {"instance_id": "b"}])

    made = {"status": "queued", "version_id": VERSION_ID, "workflow_id": WORKFLOW_ID, "trigger_source": "api"}
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "errors": [],
            "messages": [],
            "result": [{"id": "a", **made}, {"id": "b", **made}],
            "result_info": {"count": 2, "per_page": 100, "total_count": 2, "page": 1, "total_pages": 1},
        },
    )
    assert await _listed(client) == ["a", "b"]
    assert (await client.get("workflows/order/instances/a")).json()["result"]["params"] == {"n": 1}


@pytest.mark.parametrize("count", [1, 100])
async def test_batch_of_any_allowed_size_is_created(client: httpx.AsyncClient, count: int) -> None:
    """From 1 to 100 instances; those without an id get new ones."""
    answer = await client.post(BATCH, json=[{}] * count)

    ids = [instance["id"] for instance in answer.json()["result"]]
    assert len(set(ids)) == count
    assert await _listed(client) == ids


async def test_ids_that_are_taken_are_left_out(client: httpx.AsyncClient, histories: Histories) -> None:
    """An id that an instance or an earlier one of the batch has is passed over; the first of its kind stands."""
    await histories.queued("order", "old", '{"n":0}')

    answer = await client.post(
        BATCH, json=[{"instance_id": id, "params": {"n": n}} for n, id in enumerate(["a", "old", "a", "b"], 1)]
    )

    assert [instance["id"] for instance in answer.json()["result"]] == ["a", "b"]
    assert answer.json()["result_info"]["count"] == 2
    params = [(await client.get(f"workflows/order/instances/{id}")).json()["result"]["params"] for id in ("old", "a")]
    assert params == [{"n": 0}, {"n": 1}]


async def test_batch_sent_again_creates_nothing(client: httpx.AsyncClient) -> None:
    """A batch whose answer was lost can be sent again."""
    batch = [{"instance_id": f"i-{n}"} for n in range(3)]
    await client.post(BATCH, json=batch)

    again = await client.post(BATCH, json=batch)

    assert (again.status_code, again.json()["result"]) == (200, [])
    assert len(await _listed(client)) == 3


async def test_batches_at_once_share_out_the_ids(client: httpx.AsyncClient) -> None:
    """Of two batches with the same ids each id is created by one."""
    batch = [{"instance_id": f"i-{n}"} for n in range(20)]

    answers = await asyncio.gather(*(client.post(BATCH, json=batch) for _ in range(3)))

    created = [instance["id"] for answer in answers for instance in answer.json()["result"]]
    assert sorted(created) == sorted(one["instance_id"] for one in batch)


async def test_first_of_two_with_one_id_stands_however_large(client: httpx.AsyncClient, histories: Histories) -> None:
    """Params that take a while to be checked do not let a later instance of the same id come first."""
    schema = '{"type":"object"}'
    await histories.engine.store.run(
        RegisterWorkflow("local", "typed", "shop", "Typed", "a", "w", "v", histories.clock.now(), schema)
    )
    batch = [{"instance_id": "a", "params": {"large": "x" * 20_000}}, {"instance_id": "a", "params": {}}]

    await client.post("workflows/typed/instances/batch", json=batch)

    params = (await client.get("workflows/typed/instances/a")).json()["result"]["params"]
    assert params == {"large": "x" * 20_000}


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        pytest.param({"instance_id": "a.b"}, 'instance_id "a.b" must be', id="id"),
        pytest.param({"instance_id": "batch"}, "reserved", id="reserved id"),
        pytest.param({"instance_id": 5}, "got `int` - at `$[2].instance_id`", id="type of an id"),
        pytest.param({"params": "x" * 2**20}, "params is 1,048,578 bytes", id="size of params"),
        pytest.param({"instance_retention": {"error_retention": "soon"}}, "error_retention must be", id="retention"),
        pytest.param([], "Expected `object`, got `array` - at `$[2]`", id="no object"),
    ],
)
async def test_all_are_checked_before_the_first_is_created(
    app: ASGIApp, histories: Histories, client: httpx.AsyncClient, wrong: Any, problem: str
) -> None:
    """One that breaks a rule keeps the whole batch from being created."""
    body = json.dumps([{"instance_id": "a"}, {}, wrong]).encode()

    status, code, message = (await ask(app, BATCH, "POST", body)).refusal()

    assert (status, code) == (400, 10002)
    assert problem in message
    assert await _listed(client) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"[]", "must be an array of 1 to 100 instances, got 0", id="empty"),
        pytest.param(b"", "must be an array of 1 to 100 instances, got 0", id="no body"),
        pytest.param(b"[" + b",".join([b"{}"] * 101) + b"]", "1 to 100 instances, got 101", id="101"),
        pytest.param(b'{"instances":[{}]}', "Expected `array`, got `object`", id="object"),
        pytest.param(b"[{}", "is not JSON", id="cut off"),
    ],
)
async def test_wrong_batch_is_refused(app: ASGIApp, histories: Histories, body: bytes, problem: str) -> None:
    """A body that is no array of 1 to 100 instances is 400 with code 10002."""
    status, code, message = (await ask(app, BATCH, "POST", body)).refusal()

    assert (status, code) == (400, 10002)
    assert problem in message


async def test_batch_of_an_unknown_workflow_is_404(app: ASGIApp, histories: Histories) -> None:
    """The workflow has to be there."""
    assert (await ask(app, "workflows/none/instances/batch", "POST", b"[{}]")).refusal()[:2] == (404, 10200)
