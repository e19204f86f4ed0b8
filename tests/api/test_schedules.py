"""Schedules over the API: what a PUT gives a workflow, the instances that they create, and our own routes."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from stepwell.engine import Engine
from stepwell.store.schedule_operations import FireSchedules
from tests.api.conftest import NOW
from tests.api.histories import Histories

MADE_OF = {"script_name": "shop", "class_name": "Order"}
CRON = "*/30 * * * *"
# The half hour behind NOW, and the id of its instance.
AT = NOW + 30 * 60_000
FIRED = f"{CRON}-{AT}"
OWN = "http://localhost:8787/client/v4/accounts/local/stepwell/schedules"
ONE = f"{OWN}/order/{quote(CRON, safe='')}"


async def put(client: httpx.AsyncClient, *crons: str) -> httpx.Response:
    """Give the workflow these schedules."""
    return await client.put("workflows/order", json={**MADE_OF, "schedules": [{"cron": cron} for cron in crons]})


async def fire(engine: Engine) -> None:
    """Fire what is due half an hour from now."""
    await engine.store.run(FireSchedules(AT + 5, 0))


async def test_workflow_shows_its_schedules(client: httpx.AsyncClient) -> None:
    """Each expression has the moment of its next instance, in the list as in the workflow; a paused one has none."""
    await put(client, CRON, "0 9 * * MON")
    await client.patch(f"{OWN}/order/0%209%20*%20*%20MON", json={"paused": True})

    one = (await client.get("workflows/order")).json()["result"]
    (listed,) = (await client.get("workflows")).json()["result"]

    expected = [
        {"cron": CRON, "next_instance": "2026-11-23T10:30:00.000Z"},
        {"cron": "0 9 * * MON", "next_instance": ""},
    ]
    assert (one["schedules"], listed["schedules"]) == (expected, expected)


async def test_put_without_schedules_takes_them_away(client: httpx.AsyncClient) -> None:
    """What a PUT does not say is as if it had never been."""
    await put(client, CRON)
    await client.put("workflows/order", json=MADE_OF)

    assert (await client.get("workflows/order")).json()["result"]["schedules"] == []


async def test_expression_that_is_there_twice_is_one_schedule(client: httpx.AsyncClient) -> None:
    """However it is spaced."""
    await put(client, CRON, "*/30  * * * *")

    assert len((await client.get("workflows/order")).json()["result"]["schedules"]) == 1


async def test_number_of_a_weekday_is_remarked_on(client: httpx.AsyncClient) -> None:
    """Who writes one reads in the answer what it means."""
    answer = await put(client, "0 9 * * 1")

    ((code, text),) = [(said["code"], said["message"]) for said in answer.json()["messages"]]
    assert (code, text.startswith('"0 9 * * 1" means "At 09:00 on Sunday": 1 is Sunday')) == (19003, True)


async def test_instance_has_its_firing(client: httpx.AsyncClient, engine: Engine) -> None:
    """The log has expression and moment, empty params, and `cron` as its trigger; so has the list."""
    await put(client, CRON)
    await fire(engine)

    instance = (await client.get(f"workflows/order/instances/{quote(FIRED, safe='')}")).json()["result"]
    (listed,) = (await client.get("workflows/order/instances")).json()["result"]

    assert instance["schedule"] == {"cron": CRON, "scheduledTime": AT}
    assert (instance["params"], instance["trigger"]) == ({}, {"source": "cron"})
    assert (listed["id"], listed["trigger_source"]) == (FIRED, "cron")


async def test_instance_of_no_schedule_has_no_firing(client: httpx.AsyncClient, histories: Histories) -> None:
    """The member is not there, as Cloudflare has it."""
    await histories.queued("order", "a")

    assert "schedule" not in (await client.get("workflows/order/instances/a")).json()["result"]


@pytest.mark.parametrize(
    "id",
    [
        pytest.param(quote(FIRED, safe=""), id="escaped"),
        pytest.param(quote(FIRED, safe="/*"), id="slash as it is"),
        pytest.param(FIRED.replace(" ", "%20"), id="spaces alone escaped"),
    ],
)
async def test_instance_is_addressed_however_its_id_is_escaped(
    client: httpx.AsyncClient, engine: Engine, id: str
) -> None:
    """Every route of an instance finds it: by itself, with a tail behind it, and in a batch."""
    await put(client, CRON)
    await fire(engine)
    place = f"workflows/order/instances/{id}"

    sent = await client.post(f"{place}/events/go", json={})
    paused = await client.patch(f"{place}/status", json={"status": "pause"})
    status = await client.get(f"{OWN.removesuffix('/schedules')}/workflows/order/instances/{id}")
    ended = await client.post("workflows/order/instances/batch/terminate", json=[FIRED])
    deleted = await client.delete(place)

    assert sent.json()["result"]["instanceId"] == FIRED
    assert (paused.status_code, status.json()["result"]["status"]) == (200, paused.json()["result"]["status"])
    assert ended.json()["result"]["instancesTerminated"] == 1
    assert deleted.json()["result"]["instanceId"] == FIRED
    assert (await client.get(place)).status_code == 404


async def test_schedule_is_shown_with_what_has_become_of_it(client: httpx.AsyncClient, engine: Engine) -> None:
    """Its meaning, its next five firings, and its last instance with its status."""
    await put(client, CRON)
    await fire(engine)

    answer = (await client.get(OWN)).json()

    assert answer["result"] == [
        {
            "workflow_name": "order",
            "cron": CRON,
            "description": "Every 30th minute of every hour",
            "time_zone": "UTC",
            "overlap": "allow",
            "paused_on": None,
            "next": [f"2026-11-23T{time}:00.000Z" for time in ("11:00", "11:30", "12:00", "12:30", "13:00")],
            "last": {"id": FIRED, "status": "queued", "scheduled_on": "2026-11-23T10:30:00.000Z"},
            "skipped": 0,
            "skipped_on": None,
        }
    ]
    assert answer["result_info"]["total_count"] == 1
    assert (await client.get(ONE)).json()["result"] == answer["result"][0]
    assert (await client.get(f"{OWN}?workflow=other")).json()["result"] == []


@pytest.mark.parametrize("id", [ONE, f"{OWN}/order/*/30%20*%20*%20*%20*"])
async def test_schedule_is_changed(client: httpx.AsyncClient, id: str) -> None:
    """What is said changes, the rest stays, and the expression may be escaped or not."""
    await put(client, CRON)

    first = (await client.patch(id, json={"overlap": "skip", "time_zone": "Asia/Kathmandu"})).json()["result"]
    second = (await client.patch(id, json={"paused": True, "overlap": None})).json()["result"]

    # Five hours and three quarters ahead: half past there is a quarter past here.
    assert (first["next"][0], first["overlap"]) == ("2026-11-23T10:15:00.000Z", "skip")
    assert (second["time_zone"], second["overlap"], second["paused_on"], second["next"]) == (
        "Asia/Kathmandu",
        "skip",
        "2026-11-23T10:00:00.000Z",
        [],
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(
            {"time_zone": "Berlin"},
            'time_zone must be the name of a time zone such as "Europe/Berlin", got "Berlin"',
            id="zone",
        ),
        pytest.param(
            {"overlap": "queue"},
            "Invalid enum value 'queue' - at `$.overlap`; it must be one of allow, cancel, skip",
            id="overlap",
        ),
        pytest.param({"pause": True}, "unknown field `pause`", id="member"),
        pytest.param([], "Expected `object`", id="form"),
    ],
)
async def test_wrong_change_is_refused(client: httpx.AsyncClient, body: Any, problem: str) -> None:
    """What a schedule cannot be told is 400 with the reason, and nothing changes."""
    await put(client, CRON)
    before = (await client.get(ONE)).json()["result"]

    answer = await client.patch(ONE, json=body)

    assert answer.status_code == 400
    assert problem in answer.json()["errors"][0]["message"]
    assert (await client.get(ONE)).json()["result"] == before


async def test_schedule_is_run_by_hand(client: httpx.AsyncClient) -> None:
    """It has an instance at once, whose id is no firing's and whose log has this moment."""
    await put(client, CRON)

    created = (await client.post(f"{ONE}/run")).json()["result"]

    instance = (await client.get(f"workflows/order/instances/{created['id']}")).json()["result"]
    assert (created["id"][:7], created["status"], instance["trigger"]) == ("manual-", "queued", {"source": "api"})
    assert instance["schedule"] == {"cron": CRON, "scheduledTime": NOW}


async def test_schedule_that_is_not_there_is_told(client: httpx.AsyncClient) -> None:
    """An expression that the workflow does not have is 404; one that none can be is 400."""
    missing = await client.get(f"{OWN}/order/0%200%20*%20*%20*")
    odd = await client.get(f"{OWN}/order/0%200%20*%20*%20%3F")

    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, 10500)
    assert missing.json()["errors"][0]["message"] == (
        'workflows.api.error.schedule.not_found: workflow "order" has no schedule "0 0 * * *"'
    )
    assert odd.status_code == 400
    assert 'cron "0 0 * * ?" in the path must be' in odd.json()["errors"][0]["message"]
