"""Searches and labels over HTTP: Stepwell's own routes; Cloudflare's answer as they do."""

from functools import partial
from typing import Any

import httpx
import pytest

from stepwell import searches
from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.records import AttemptStarted, SleepStarted
from stepwell.core.steplog import iso
from stepwell.store.search_operations import SearchInstances
from stepwell.store.sql import search as sql_search
from tests.api.conftest import NOW
from tests.api.histories import CONFIG, VERSION_ID, WORKFLOW_ID, Histories, do, sleep

ROUTE = "stepwell/workflows/order/instances"


async def search(client: httpx.AsyncClient, **query: Any) -> Any:
    """Return what the route answers."""
    answer = await client.get(ROUTE, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """Return the ids of what is found."""
    return [instance["id"] for instance in (await search(client, **query))["result"]]


async def create(client: httpx.AsyncClient, id: str, **labels: str) -> httpx.Response:
    """Create an instance with labels."""
    return await client.post(ROUTE, json={"instance_id": id, "params": {"n": 1}, "labels": labels})


async def test_instance_is_created_with_labels(client: httpx.AsyncClient) -> None:
    """The answer is Cloudflare's with the labels; our own status has them, and nothing of Cloudflare's."""
    answer = await create(client, "a", customer="ann", env="prod")

    assert answer.json()["result"] == {
        "id": "a",
        "status": "queued",
        "version_id": VERSION_ID,
        "workflow_id": WORKFLOW_ID,
        "trigger_source": "api",
        "labels": {"customer": "ann", "env": "prod"},
    }
    own = (await client.get(f"{ROUTE}/a")).json()["result"]
    theirs = [(await client.get(f"workflows/order/instances{tail}")).text for tail in ("", "/a")]
    assert own["labels"] == {"customer": "ann", "env": "prod"}
    assert not any("ann" in text or "labels" in text for text in theirs)


async def test_cloudflares_route_takes_no_labels(client: httpx.AsyncClient) -> None:
    """A member that Cloudflare does not have is ignored there, as any."""
    await client.post("workflows/order/instances", json={"instance_id": "a", "labels": {"customer": "ann"}})

    assert (await client.get(f"{ROUTE}/a")).json()["result"]["labels"] == {}


async def test_create_with_labels_is_done_once_under_its_key(client: httpx.AsyncClient) -> None:
    """An `Idempotency-Key` counts here, too."""
    asked = {"labels": {"a": "1"}}
    answers = [
        (await client.post(ROUTE, json=asked, headers={"idempotency-key": "k"})).json()["result"] for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert len(await ids(client)) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({"labels": {"a b": "1"}}, "the name of a label must be 1 to 64 letters", id="name"),
        pytest.param({"labels": {"a": "\x1b"}}, "the value of the label a must be a text", id="value"),
        pytest.param({"labels": {"a": "\N{RIGHT-TO-LEFT OVERRIDE}"}}, "the value of the label a must", id="direction"),
        pytest.param({"labels": {"a": "x" * 257}}, "the value of the label a must be", id="long"),
        pytest.param({"labels": {f"a{n}": "1" for n in range(17)}}, "there are 17 labels; at most 16", id="many"),
        pytest.param({"labels": {"a": 1}}, "Expected `str`, got `int`", id="number"),
        pytest.param({"labels": ["a"]}, "Expected `object`, got `array`", id="list"),
    ],
)
async def test_bad_labels_are_400(client: httpx.AsyncClient, body: Any, message: str) -> None:
    """The message names the label, its value and the rule; nothing is created."""
    answer = await client.post(ROUTE, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 10002)
    assert message in answer.json()["errors"][0]["message"]
    assert await ids(client) == []


async def test_row_tells_what_lists_show(client: httpx.AsyncClient, histories: Histories, clock: VirtualClock) -> None:
    """Whatever Cloudflare's list says of an instance, and duration, labels, error and what it does now."""
    await create(client, "a", env="prod")
    turn = await histories.take("a")
    await turn.write(AttemptStarted(turn.now(), do("charge"), 1, CONFIG))
    clock.move_to(NOW + 1_000)

    (row,) = (await search(client))["result"]

    theirs = (await client.get("workflows/order/instances")).json()["result"][0]
    assert {name: row[name] for name in theirs} == theirs
    assert {name: row[name] for name in row.keys() - theirs.keys()} == {
        "workflow_name": "order",
        "duration_ms": 1_000,
        "step_count": 1,
        "labels": {"env": "prod"},
        "error": None,
        "current": {
            "step": "charge-1",
            "type": "step",
            "state": "running",
            "since": "2026-11-23T10:00:00.010Z",
            "until": None,
            "attempt": 1,
            "event_type": None,
            "others": 0,
        },
    }


async def test_row_of_a_sleeper_tells_until_when(client: httpx.AsyncClient, histories: Histories) -> None:
    """What is waited for, and until when."""
    await create(client, "a")
    turn = await histories.take("a")
    await turn.write(SleepStarted(turn.now(), sleep("nap"), NOW + 5_000))
    await turn.park(NOW + 5_000)

    (row,) = (await search(client))["result"]

    told = {name: row["current"][name] for name in ("step", "type", "state", "until")}
    assert told == {"step": "nap-1", "type": "sleep", "state": "waiting", "until": "2026-11-23T10:00:05.000Z"}


async def test_error_is_its_first_line(client: httpx.AsyncClient, histories: Histories) -> None:
    """A list has no room for more."""
    await create(client, "a")
    turn = await histories.take("a")
    await turn.fail(Failure("ValueError", "x" * 300 + "\nand more"))

    (row,) = (await search(client, error_text="AND MORE"))["result"]

    assert row["error"] == {"name": "ValueError", "message": "x" * 200 + "..."}
    assert row["current"] is None


async def test_filters_go_together(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each of them alone finds more than all of them."""
    await histories.errored("order", "bad-1")
    await histories.complete("order", "good-1")
    await create(client, "bad-2", env="prod", by="ann")

    assert await ids(client, status=["errored", "queued"]) == ["bad-2", "bad-1"]
    assert await ids(client, prefix="bad") == ["bad-2", "bad-1"]
    assert await ids(client, label=["env=prod", "by=ann"]) == ["bad-2"]
    assert await ids(client, label="env=prod", status="errored") == []
    assert await ids(client, error="ValueError", error_text="CARD", prefix="bad") == ["bad-1"]
    assert await ids(client, version=VERSION_ID, trigger="api", direction="asc", duration_max="1 minute") == [
        "bad-1",
        "good-1",
    ]
    assert await ids(client, duration_min="1 hour") == []
    assert await ids(client, ended_start="2026-11-23T10:00:00Z", ended_end="2026-11-23T10:00:01Z") == [
        "good-1",
        "bad-1",
    ]
    assert await ids(client, date_end="2026-11-23T09:00:00Z") == []


async def test_pages_lead_to_the_end(client: httpx.AsyncClient) -> None:
    """`has_more` says whether there is another page; what comes meanwhile is on none of them."""
    for number in range(5):
        await create(client, f"a-{number}")
    first = await search(client, per_page=2)
    await create(client, "later")
    second = await search(client, per_page=2, cursor=first["result_info"]["cursor"])
    third = await search(client, per_page=2, cursor=second["result_info"]["cursor"])

    found = [[one["id"] for one in page["result"]] for page in (first, second, third)]
    assert found == [["a-4", "a-3"], ["a-2", "a-1"], ["a-0"]]
    assert [page["result_info"]["has_more"] for page in (first, second, third)] == [True, True, False]
    assert third["result_info"] == {
        "count": 1,
        "per_page": 2,
        "cursor": "",
        "has_more": False,
        "is_partial": False,
        "looked_to": None,
    }


async def test_page_that_was_cut_short_says_how_far_it_has_looked(
    client: httpx.AsyncClient, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the moment for people to read, and the cursor to go on from there."""
    monkeypatch.setattr(sql_search, "FEW", 0)
    monkeypatch.setattr(sql_search, "_FIRST_PART", 1)
    monkeypatch.setattr(sql_search, "_LARGEST_PART", 1)
    monkeypatch.setattr(searches, "SearchInstances", partial(SearchInstances, look_ms=0))
    for number in range(5):
        await histories.errored("order", f"a-{number}")
    created = (await histories.engine.get("local", "order", "a-3")).row.created_at

    first = await search(client, error_text="nowhere", per_page=1)

    assert (first["result"], first["result_info"]["is_partial"]) == ([], True)
    assert first["result_info"]["looked_to"] == iso(created)
    second = await search(client, error_text="nowhere", per_page=1, cursor=first["result_info"]["cursor"])
    assert second["result_info"]["looked_to"] < iso(created)


async def test_all_workflows_are_searched_together(client: httpx.AsyncClient, histories: Histories) -> None:
    """Newest first, whatever the workflow."""
    await histories.complete("order", "a")
    await histories.register("refund")
    await histories.complete("refund", "b")
    await histories.complete("order", "c")

    answer = (await client.get("stepwell/instances", params={"status": "complete"})).json()

    assert [(one["workflow_name"], one["id"]) for one in answer["result"]] == [
        ("order", "c"),
        ("refund", "b"),
        ("order", "a"),
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("label=ann", "there is no = in 'ann'", id="label without a sign"),
        pytest.param("label=a%20b=1", "the name of a label must be", id="label's name"),
        pytest.param("label=a=", "the value of the label a must be", id="label's value"),
        pytest.param("label=a=1&label=a=2", 'asks for two values of a: "1" and "2"', id="two values"),
        pytest.param("&".join(f"label=a{n}=1" for n in range(17)), "is given 17 times; at most 16", id="many labels"),
        pytest.param("status=done", "query parameter status must be one of", id="status"),
        pytest.param("duration_min=soon", "query parameter duration_min must be a number of milli", id="duration"),
        pytest.param("ended_start=soon", "query parameter ended_start must be a date and time", id="moment"),
        pytest.param("trigger=me", "query parameter trigger must be one of", id="trigger"),
        pytest.param("cursor=x", "query parameter cursor must be", id="cursor"),
        pytest.param(f"error_text={'x' * 257}", "query parameter error_text must be a text of 1 to 256", id="text"),
    ],
)
async def test_bad_query_is_400(client: httpx.AsyncClient, query: str, message: str) -> None:
    """The message names the parameter, its value and the rule."""
    answer = await client.get(f"{ROUTE}?{query}")

    assert answer.status_code == 400, answer.text
    assert message in answer.json()["errors"][0]["message"]
