"""`.../stepwell/limits`: how many may run, how many do, and who waits; and 429 for what is too much."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.core.records import Created
from stepwell.store import codec
from stepwell.store.operations import CreateInstance, RegisterWorkflow
from tests.api.asgi import ask
from tests.api.histories import Histories

LIMITS = "stepwell/limits"
FLOW = '{"limit":1,"key":"customer","limit_per_key":1,"rate":{"limit":5,"period":60000},"ageing":60000}'


async def _limited(histories: Histories, *keys: str) -> None:
    """Register `mail`, of which one may run, and create an instance with each key."""
    await histories.register("order")
    store, now = histories.engine.store, histories.clock.now()
    await store.run(RegisterWorkflow("local", "mail", "post", "Mail", "aa", "w", "v", now, flow=FLOW))
    for n, key in enumerate(keys):
        record = codec.to_row(Created(now, "api", "{}"))
        await store.run(CreateInstance("local", "mail", f"m{n}", "api", record, now, None, key))


async def test_limits_are_shown_with_who_waits(client: httpx.AsyncClient, histories: Histories) -> None:
    """Of a workflow all that limits it, how many run and wait, and by key, those first whose turn is next."""
    await _limited(histories, "ann", "ann", "bob")

    shown = (await client.get("stepwell/workflows/mail/limits")).json()["result"]

    queues = shown.pop("queues")
    assert shown == {
        "workflow_name": "mail",
        "concurrency": 1,
        "key": "customer",
        "concurrency_per_key": 1,
        "rate": {"limit": 5, "period_ms": 60_000},
        "rate_per_key": None,
        "priority": None,
        "singleton": None,
        "running": 1,
        "queued": 2,
    }
    assert [(queue["key"], queue["running"], queue["queued"]) for queue in queues] == [("bob", 0, 1), ("ann", 1, 1)]


async def test_account_is_limited(client: httpx.AsyncClient, histories: Histories) -> None:
    """An account's limit is answered with those of its workflows, all of which have one then; null takes it away."""
    await _limited(histories)

    limited = (await client.patch(LIMITS, json={"concurrency": 7})).json()["result"]
    free = (await client.patch(LIMITS, json={"concurrency": None})).json()["result"]

    assert (limited["concurrency"], limited["running"]) == (7, 0)
    assert [workflow["workflow_name"] for workflow in limited["workflows"]] == ["mail", "order"]
    assert free["concurrency"] is None


@pytest.mark.parametrize("body", ['{"concurrency": 0}', '{"concurrency": "many"}', "{}", "[1]"])
async def test_limit_that_is_none_is_refused(client: httpx.AsyncClient, body: str) -> None:
    """What cannot limit an account is refused with its place, and limits nothing."""
    answer = await client.patch(LIMITS, content=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)
    assert (await client.get(LIMITS)).json()["result"]["concurrency"] is None


async def test_limit_of_a_put_takes_effect(client: httpx.AsyncClient, histories: Histories) -> None:
    """`concurrency.limit` limits the workflow from then on; a PUT without it takes the limit away."""
    await histories.register("order")
    where = "stepwell/workflows/order/limits"
    made_of = await _made_of(client)

    await client.put("workflows/order", json={**made_of, "concurrency": {"limit": 3}})
    limited = (await client.get(where)).json()["result"]["concurrency"]
    await client.put("workflows/order", json=made_of)

    assert (limited, (await client.get(where)).json()["result"]["concurrency"]) == (3, None)


async def test_workflow_may_have_no_more_than_its_account(client: httpx.AsyncClient, histories: Histories) -> None:
    """A PUT with a higher limit than the account's is refused with both."""
    await histories.register("order")
    await client.patch(LIMITS, json={"concurrency": 2})

    answer = await client.put("workflows/order", json={**await _made_of(client), "concurrency": {"limit": 3}})

    assert answer.status_code == 400
    assert "concurrency.limit must be at most 2" in answer.json()["errors"][0]["message"]


async def test_limits_of_an_unknown_workflow_are_404(app: ASGIApp, histories: Histories) -> None:
    """As everything of it."""
    await histories.register("order")

    assert (await ask(app, "stepwell/workflows/mail/limits")).refusal()[:2] == (404, 10200)


async def _made_of(client: httpx.AsyncClient) -> dict[str, Any]:
    found = (await client.get("workflows/order")).json()["result"]
    return {"script_name": found["script_name"], "class_name": found["class_name"]}


DESK = f"{LIMITS}/steps/desk"


async def test_limit_that_steps_share_is_set_and_taken_back(client: httpx.AsyncClient, histories: Histories) -> None:
    """It is answered with how it stands, listed, and gone again, as no code declares it."""
    await histories.register("order")

    made = (await client.put(DESK, json={"concurrency": 3, "rate": {"limit": 5, "period_ms": 60_000}})).json()["result"]
    listed = (await client.get(LIMITS)).json()["result"]["shared"]
    left = (await client.delete(DESK)).json()["result"]["shared"]

    assert made == {
        "name": "desk",
        "concurrency": 3,
        "rate": {"limit": 5, "period_ms": 60_000},
        "source": "api",
        "running": 0,
        "queued": 0,
        "next_queued_on": None,
    }
    assert (listed, left) == ([made], [])


async def test_limit_that_code_declares_is_that_again(client: httpx.AsyncClient, histories: Histories) -> None:
    """What is set wins over what a class declares, until it is taken back."""
    await histories.register("order")
    flow = '{"ageing":60000,"shared":{"desk":{"concurrency":2}}}'
    await histories.engine.store.run(RegisterWorkflow("local", "mail", "post", "Mail", "aa", "w", "v", 1, flow=flow))

    def said(answer: httpx.Response) -> list[tuple[int, str]]:
        return [(limit["concurrency"], limit["source"]) for limit in answer.json()["result"]["shared"]]

    declared = said(await client.get(LIMITS))
    await client.put(DESK, json={"concurrency": 7})
    given = said(await client.get(LIMITS))

    assert (declared, given, said(await client.delete(DESK))) == ([(2, "code")], [(7, "api")], [(2, "code")])
    # It limits no instance.
    assert (await client.get(LIMITS)).json()["result"]["workflows"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "a limit that steps share must have a concurrency or a rate"),
        ('{"concurrency": 0}', "Expected `int` >= 1 - at `$.concurrency`"),
        ('{"rate": {"limit": 1, "period_ms": 0}}', "Expected `int` >= 1 - at `$.rate.period_ms`"),
        ('{"rate": {"limit": 1, "period_ms": 99999999999999}}', "Expected `int` <= 31622400000"),
        ('{"rate": 5}', "Expected `object | null`, got `int` - at `$.rate`"),
    ],
)
async def test_wrong_limit_that_steps_share_is_refused(client: httpx.AsyncClient, body: str, message: str) -> None:
    """The place and what may be there are told, and nothing is set."""
    answer = await client.put(DESK, content=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)
    assert message in answer.json()["errors"][0]["message"]
    assert (await client.get(LIMITS)).json()["result"]["shared"] == []


async def test_limit_that_steps_do_not_share_is_404(app: ASGIApp, client: httpx.AsyncClient) -> None:
    """One that nobody knows cannot be taken back; a name that none can have is refused with its rule."""
    assert (await ask(app, "stepwell/limits/steps/desk", method="DELETE")).refusal()[:2] == (404, 10501)
    refused = await client.put(f"{LIMITS}/steps/a%20b", json={"concurrency": 1})
    assert 'limit_name "a b" in the path must be 1 to 64 letters' in refused.json()["errors"][0]["message"]
