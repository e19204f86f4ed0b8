"""`PUT .../workflows/{name}`: create or change a workflow."""

import json
import re
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.store.operations import RegisterWorkflow
from tests.api.asgi import ask
from tests.api.conftest import NOW
from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MADE_OF = {"script_name": "shop", "class_name": "Order"}


async def test_put_changes_a_workflow(client: httpx.AsyncClient, clock: VirtualClock) -> None:
    """The answer has exactly Cloudflare's fields, and the id of the new version."""
    clock.move_to(NOW + 5)

    answer = await client.put("workflows/order", json=MADE_OF)

    version = answer.json()["result"].pop("version_id")
    assert UUID.fullmatch(version)
    assert answer.status_code == 200
    assert json.loads(answer.content) == {
        "success": True,
        "errors": [],
        "messages": [],
        "result": {
            "id": WORKFLOW_ID,
            "name": "order",
            "class_name": "Order",
            "script_name": "shop",
            "created_on": "2026-11-23T10:00:00.000Z",
            "modified_on": "2026-11-23T10:00:00.005Z",
            "triggered_on": None,
            "version_id": version,
            "is_deleted": 0,
            "terminator_running": 0,
        },
    }


async def test_new_instances_have_the_new_version(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each PUT is a version of its own, which new instances have; those that there are keep theirs."""
    await histories.queued("order", "old")
    first = (await client.put("workflows/order", json=MADE_OF)).json()["result"]["version_id"]
    second = (await client.put("workflows/order", json=MADE_OF)).json()["result"]["version_id"]

    new = (await client.post("workflows/order/instances", json={})).json()["result"]["version_id"]
    old = (await client.get("workflows/order/instances/old")).json()["result"]["versionId"]

    assert len({VERSION_ID, first, second}) == 3
    assert (new, old) == (second, VERSION_ID)


async def test_put_makes_a_workflow(client: httpx.AsyncClient) -> None:
    """A name that is new becomes a workflow, of which instances can be created."""
    made = (await client.put("workflows/order-eu", json=MADE_OF)).json()["result"]

    created = await client.post("workflows/order-eu/instances", json={})
    assert UUID.fullmatch(made["id"])
    assert (made["name"], created.json()["result"]["version_id"]) == ("order-eu", made["version_id"])
    assert (await client.get("workflows/order-eu")).json()["result"]["class_name"] == "Order"


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"limits": {"steps": 5}}, [], id="limit of steps"),
        pytest.param({"limits": {}, "schedules": [], "concurrency": {}, "default_retention": {}}, [], id="empty"),
        pytest.param(dict.fromkeys(["limits", "schedules", "concurrency", "default_retention"]), [], id="null"),
        pytest.param({"concurrency": {"limit": 1}}, [], id="concurrency"),
        pytest.param({"schedules": [{"cron": "0 * * * *"}]}, [], id="schedules"),
        pytest.param({"default_retention": {"error_retention": 1}}, [], id="retention"),
    ],
)
async def test_what_has_no_effect_yet_is_told(
    client: httpx.AsyncClient, settings: dict[str, Any], messages: list[str]
) -> None:
    """What is stored and does nothing yet is named in the answer's messages, and nothing else is."""
    answer = await client.put("workflows/order", json={**MADE_OF, **settings, "unknown": 1})

    assert answer.json()["messages"] == [
        {"code": 19001, "message": f"{name}: stored, and without effect yet"} for name in messages
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param({"limits": {"steps": 0}}, "Expected `int` >= 1 - at `$.limits.steps`", id="no steps"),
        pytest.param({"limits": {"steps": 25_001}}, "limits.steps must be from 1 to 25,000, got 25,001", id="too many"),
        pytest.param({"limits": {"steps": 10**400}}, "limits.steps must be from 1 to 25,000", id="far too many"),
        pytest.param({"limits": {"steps": "5"}}, "got `str` - at `$.limits.steps`", id="steps as text"),
        pytest.param({"concurrency": {"limit": 0}}, "Expected `int` >= 1 - at `$.concurrency.limit`", id="concurrency"),
        pytest.param({"schedules": "0 * * * *"}, "got `str` - at `$.schedules`", id="schedules as text"),
        pytest.param({"schedules": [{}]}, "missing required field `cron`", id="no cron"),
        pytest.param({"schedules": [{"cron": ""}]}, "length >= 1 - at `$.schedules[0].cron`", id="empty cron"),
        pytest.param({"schedules": [{"cron": "x" * 257}]}, "length <= 256 - at `$.sch", id="long cron"),
        pytest.param(
            {"schedules": [{"cron": "0 * * * *"}, {"cron": "0 24 * * *"}]},
            'schedules[1].cron: the cron expression "0 24 * * *" is wrong: field 2, the hour, must be of 0-23 and '
            '* , - /; got "24"',
            id="wrong hour",
        ),
        pytest.param(
            {"schedules": [{"cron": f"{n % 60} {n // 60} * * *"} for n in range(101)]},
            "schedules: an account may have 100 cron expressions; the other workflows have 0, and here are 101",
            id="101 crons",
        ),
        pytest.param(
            {"default_retention": {"success_retention": "soon"}},
            'default_retention.success_retention must be a number of milliseconds or a duration such as "5 minutes", '
            'got "soon"',
            id="retention in the wrong words",
        ),
        pytest.param({"default_retention": {"error_retention": -1}}, "error_retention must be", id="below zero"),
        pytest.param(
            {"default_retention": {"error_retention": 10**18}},
            "error_retention must be at most 3153600000000 milliseconds",
            id="retention for ever",
        ),
        pytest.param({"script_name": ""}, "length >= 1 - at `$.script_name`", id="empty script"),
        pytest.param({"script_name": "x" * 256}, "length <= 255 - at `$.script_name`", id="long script"),
        pytest.param({"class_name": None}, "got `null` - at `$.class_name`", id="no class"),
    ],
)
async def test_wrong_settings_are_refused(
    app: ASGIApp, histories: Histories, settings: dict[str, Any], problem: str
) -> None:
    """A setting that cannot be is 400 with code 10002 and the place; no version is made."""
    answer = await ask(app, "workflows/order", "PUT", json.dumps({**MADE_OF, **settings}).encode())

    status, code, message = answer.refusal()
    versions = (await ask(app, "workflows/order/versions")).json()
    assert (status, code) == (400, 10002)
    assert problem in message
    assert versions["result_info"]["total_count"] == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"script_name":"shop"}', b'{"class_name":"Order"}'])
async def test_body_without_script_or_class_is_refused(app: ASGIApp, histories: Histories, body: bytes) -> None:
    """Script and class have to be named."""
    assert (await ask(app, "workflows/order", "PUT", body)).refusal()[:2] == (400, 10002)


@pytest.mark.parametrize(
    ("made_of", "problem"),
    [
        pytest.param(
            {"script_name": "attic", "class_name": "Order"},
            'script_name: no worker has loaded a script "attic" in this account; there is "post", "shop"',
            id="script",
        ),
        pytest.param(
            {"script_name": "shop", "class_name": "Attic"},
            'class_name: the script "shop" has no workflow class "Attic"; it has "Order"',
            id="class",
        ),
        pytest.param(
            {"script_name": "post", "class_name": "Mail"},
            'workflow "order" belongs to the script "shop", not to "post"; delete the workflow first, '
            "or use another name",
            id="another script's",
        ),
    ],
)
async def test_what_it_cannot_be_made_of_is_refused(
    app: ASGIApp, histories: Histories, made_of: dict[str, str], problem: str
) -> None:
    """400 with code 10002, which SDKs do not repeat; the message has what is known, or the owner and the remedy."""
    await histories.engine.store.run(RegisterWorkflow("local", "mail", "post", "Mail", "m", "w", "v", NOW))

    answer = await ask(app, "workflows/order", "PUT", json.dumps(made_of).encode())

    assert answer.refusal() == (400, 10002, f"workflows.api.error.body: {problem}")


async def test_name_that_no_workflow_can_have_is_refused(app: ASGIApp, histories: Histories) -> None:
    """The rule for names holds; `settings` is a word of its own."""
    body = json.dumps(MADE_OF).encode()

    answers = [await ask(app, f"workflows/{name}", "PUT", body) for name in ("-x", "x" * 65, "a.b", "settings")]

    assert [answer.refusal()[:2] for answer in answers] == [(400, 10002)] * 3 + [(405, 7001)]


async def test_params_of_a_new_name_are_checked(engine: Engine, app: ASGIApp) -> None:
    """Params of a workflow that a PUT has made are held against the type of its class."""
    schema = '{"type":"object","required":["item"]}'
    await engine.store.run(RegisterWorkflow("local", "order", "shop", "Order", "a", "w", "v", NOW, schema))
    await ask(app, "workflows/order-eu", "PUT", json.dumps(MADE_OF).encode())

    bad, good = [
        await ask(app, "workflows/order-eu/instances", "POST", body) for body in (b"{}", b'{"params":{"item":1}}')
    ]

    assert (bad.status, good.status) == (400, 200)


async def test_params_are_held_against_the_newest_type(engine: Engine, app: ASGIApp) -> None:
    """Params that only fit the code before are refused, and those that only fit the new code are not."""

    async def deploy(version: str, schema: str) -> None:
        await engine.store.run(RegisterWorkflow("local", "order", "shop", "Order", version, "w", version, NOW, schema))

    async def create(params: bytes) -> int:
        return (await ask(app, "workflows/order/instances", "POST", b'{"params":' + params + b"}")).status

    await deploy("v1", '{"type":"object"}')
    before = [await create(b'"x"'), await create(b"{}")]
    await deploy("v2", '{"type":"string"}')
    after = [await create(b'"x"'), await create(b"{}")]
    # The same code, with another schema under the same version.
    await deploy("v2", '{"type":"object"}')
    renewed = [await create(b"{}")]

    assert (before, after, renewed) == ([400, 200], [200, 400], [200])
