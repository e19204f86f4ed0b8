"""Jobs over HTTP: one change of all instances that match a search. Stepwell's own routes."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.engine import Engine
from stepwell.store.job_operations import AdvanceJob, JobFailure, StartJob
from stepwell.store.search_operations import Wanted
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask
from tests.api.histories import JOB_ID, Histories

JOBS = "stepwell/jobs"


async def start(client: httpx.AsyncClient, **asked: Any) -> Any:
    """Begin a job; return what the route answers."""
    answer = await client.post(JOBS, json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def ended(client: httpx.AsyncClient, id: str) -> Any:
    """Return a job once it has ended."""
    async with asyncio.timeout(10):
        while (job := (await client.get(f"{JOBS}/{id}")).json()["result"])["status"] == "running":  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0)
    return job


async def test_job_is_begun_and_tells_how_far_it_is(client: httpx.AsyncClient, histories: Histories) -> None:
    """What it does, to which instances, who began it; and at its end how many are changed."""
    for id in ("a", "b"):
        await histories.waiting("order", id)
    await histories.complete("order", "c")

    begun = await start(client, action="terminate", workflow_name="order", filter={"status": ["waiting"]})
    done = await ended(client, begun["id"])

    assert {name: begun[name] for name in ("action", "workflow_name", "filter", "status", "created_by")} == {
        "action": "terminate",
        "workflow_name": "order",
        "filter": {"status": ["waiting"]},
        "status": "running",
        "created_by": "local",
    }
    assert (begun["ended_on"], begun["looked_to"], begun["done"]) == (None, None, 0)
    assert (done["status"], done["done"], done["passed_over"], done["failed"]) == ("complete", 2, 0, 0)
    found = (await client.get("workflows/order/instances")).json()["result"]
    assert {one["id"]: one["status"] for one in found} == {"a": "terminated", "b": "terminated", "c": "complete"}


async def test_job_tells_how_many_it_has_not_looked_at(
    client: httpx.AsyncClient, histories: Histories, engine: Engine
) -> None:
    """Those that do not match, too, and none that were created later; nothing is left of one that has ended."""
    for id in ("a", "b", "c"):
        await histories.queued("order", id)
    first = await start(client, action="pause", workflow_name="order", filter={"status": ["errored"]})
    await histories.register("invoice")
    await histories.queued("invoice", "later")
    wanted = Wanted(statuses=("waiting",))
    now = engine.clock.now()
    everywhere = await engine.store.run(StartJob("local", JOB_ID, "pause", None, wanted, now, "ann"))
    place = (await engine.get("local", "order", "b")).row
    await engine.store.run(AdvanceJob("local", JOB_ID, None, (place.created_at, place.row), [], now))

    ended_one = await ended(client, first["id"])
    listed = {job["id"]: job["left"] for job in (await client.get(JOBS)).json()["result"]}

    assert (first["left"], ended_one["left"]) == (3, 0)
    assert everywhere.left == 4
    assert listed == {first["id"]: 0, JOB_ID: 1}


async def test_job_that_is_sent_again_is_begun_once(client: httpx.AsyncClient, histories: Histories) -> None:
    """Under one key, also for all workflows; another request under it is refused."""
    await histories.queued("order", "a")
    for workflow in ("order", None):
        asked = {"action": "pause", "workflow_name": workflow}
        headers = {"idempotency-key": f"once-{workflow}"}

        first, again = [(await client.post(JOBS, json=asked, headers=headers)).json()["result"] for _ in range(2)]
        other = await client.post(JOBS, json=asked | {"action": "delete"}, headers=headers)

        assert first["id"] == again["id"]
        assert (other.status_code, other.json()["errors"][0]["code"]) == (400, 10002)
    assert len((await client.get(JOBS)).json()["result"]) == 2


async def test_job_takes_what_a_search_takes(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each member means what the parameter of that name does, and is shown again."""
    await histories.register("order")
    asked = {
        "status": ["errored", "paused"],
        "label": ["a=1", "b=x y"],
        "prefix": "i-",
        "version": "v",
        "trigger": "api",
        "error": "ValueError",
        "error_text": "& no=funds",
        "duration_min": "1 second",
        "duration_max": "5 minutes",
        "date_start": "2026-11-23T10:00:00.000Z",
        "date_end": "2026-11-24T10:00:00.000Z",
        "ended_start": "2026-11-23T10:00:00.000Z",
        "ended_end": "2026-11-24T10:00:00.000Z",
    }

    begun = await start(client, action="pause", filter=asked)
    cancelled = (await client.post(f"{JOBS}/{begun['id']}/cancel")).json()["result"]

    assert (begun["filter"], begun["workflow_name"]) == (asked, None)
    assert cancelled["status"] in {"cancelled", "complete"}


async def test_jobs_are_listed_newest_first(client: httpx.AsyncClient, histories: Histories, engine: Engine) -> None:
    """A page at a time, with the number of all; why some failed is told of each alone."""
    ids = [(await start(client, action="pause", workflow_name="order"))["id"] for _ in range(3)]
    histories.clock.move_to(histories.clock.now() + 1_000)
    ids.append((await start(client, action="delete", workflow_name="order"))["id"])
    advance = AdvanceJob("local", ids[3], None, (1, 1), [], 1, (JobFailure("order", "a", "torn"),))
    await engine.store.run(advance)

    page = (await client.get(JOBS, params={"per_page": 2})).json()
    one = (await client.get(f"{JOBS}/{ids[3]}")).json()["result"]

    assert [job["id"] for job in page["result"]] == [ids[3], max(ids[:3])]
    assert (page["result_info"]["total_count"], page["result_info"]["total_pages"]) == (4, 2)
    assert page["result"][0]["failures"] == []
    assert (one["failed"], one["failures"]) == (
        1,
        [{"workflow_name": "order", "instance_id": "a", "message": "torn"}],
    )


async def test_job_knows_who_began_it(guarded: ASGIApp, tokens: Tokens) -> None:
    """It is the token's name."""
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE], name="ci")
    headers = [("authorization", f"Bearer {secret}")]

    answer = await ask(
        guarded, "/client/v4/accounts/local/stepwell/jobs", "POST", b'{"action": "pause"}', headers=headers
    )

    assert answer.json()["result"]["created_by"] == "ci"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "missing required field `action`", id="no action"),
        pytest.param({"action": "stop"}, "'stop'", id="action"),
        pytest.param({"action": "delete", "statuses": ["errored"]}, "unknown field `statuses`", id="unknown member"),
        pytest.param(
            {"action": "delete", "filter": {"statuses": ["errored"]}}, "unknown field `statuses`", id="unknown filter"
        ),
        pytest.param({"action": "delete", "filter": {"status": ["failed"]}}, "'failed'", id="status"),
        pytest.param({"action": "delete", "filter": {"label": ["a"]}}, "the filter's label must be a name", id="label"),
        pytest.param(
            {"action": "delete", "filter": {"duration_min": "soon"}}, "the filter's duration_min must be", id="duration"
        ),
        pytest.param(
            {"action": "delete", "filter": {"date_end": ""}}, "the filter's date_end must be a date", id="empty"
        ),
        pytest.param({"action": "delete", "filter": {"prefix": ""}}, "of length >= 1", id="empty text"),
        pytest.param(
            {"action": "delete", "filter": {"date_start": "0001-01-01T00:00:00+14:00"}},
            "the filter's date_start must be a date",
            id="before all dates",
        ),
        pytest.param(
            {"action": "delete", "filter": {"ended_end": "9999-12-31T23:59:59-14:00"}},
            "the filter's ended_end must be a date",
            id="after all dates",
        ),
    ],
)
async def test_wrong_job_is_refused(client: httpx.AsyncClient, body: Any, message: str) -> None:
    """What is not known is never passed over: all instances would be meant. Nothing begins."""
    answer = await client.post(JOBS, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)
    assert message in answer.json()["errors"][0]["message"]
    assert (await client.get(JOBS)).json()["result"] == []


async def test_missing_job_is_404(client: httpx.AsyncClient) -> None:
    """So is the workflow of one that is to begin; an id that can be none is refused with the rule."""
    missing = "00000000-0000-4000-8000-000000000000"
    answers = [
        await client.get(f"{JOBS}/{missing}"),
        await client.post(f"{JOBS}/{missing}/cancel"),
        await client.post(JOBS, json={"action": "pause", "workflow_name": "none"}),
        await client.get(f"{JOBS}/1"),
    ]

    assert [(answer.status_code, answer.json()["errors"][0]["code"]) for answer in answers] == [
        (404, 10506),
        (404, 10506),
        (404, 10200),
        (400, 10002),
    ]
