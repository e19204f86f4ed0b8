"""`GET .../workflows` and `GET .../workflows/{name}`."""

import httpx
import pytest

from tests.api.histories import WORKFLOW_ID, Histories

ORDER: dict[str, object] = {
    "id": WORKFLOW_ID,
    "name": "order",
    "class_name": "Order",
    "script_name": "shop",
    "created_on": "2026-11-23T10:00:00.000Z",
    "modified_on": "2026-11-23T10:00:00.000Z",
    "triggered_on": None,
    "instances": {
        "complete": 0,
        "errored": 0,
        "paused": 0,
        "queued": 0,
        "rollingBack": 0,
        "running": 0,
        "terminated": 0,
        "waiting": 0,
        "waitingForPause": 0,
    },
    "schedules": [],
}


async def test_workflow_has_cloudflares_fields(client: httpx.AsyncClient) -> None:
    """A workflow has exactly Cloudflare's fields, with a count for each of the nine statuses."""
    answer = await client.get("workflows/order")

    assert answer.json() == {"success": True, "errors": [], "messages": [], "result": ORDER}


async def test_workflow_counts_its_instances(client: httpx.AsyncClient, histories: Histories) -> None:
    """The counts are those of the instances that there are."""
    for status in ("running", "waiting", "complete", "errored", "queued"):
        await getattr(histories, status)("order", status)

    result = (await client.get("workflows/order")).json()["result"]

    assert result["instances"] == {
        "complete": 1,
        "errored": 1,
        "paused": 0,
        "queued": 1,
        "rollingBack": 0,
        "running": 1,
        "terminated": 0,
        "waiting": 1,
        "waitingForPause": 0,
    }
    assert result["triggered_on"] == "2026-11-23T10:00:00.400Z"


async def test_workflows_are_listed_with_their_place(client: httpx.AsyncClient) -> None:
    """The list shows whole workflows, ten to a page."""
    answer = await client.get("workflows")

    assert answer.json()["result"] == [ORDER]
    assert answer.json()["result_info"] == {
        "count": 1,
        "per_page": 10,
        "total_count": 1,
        "page": 1,
        "total_pages": 1,
    }


@pytest.mark.parametrize(
    ("query", "names", "total"),
    [
        pytest.param("", ["alpha", "beta_1", "betax1", "order"], 4, id="all"),
        pytest.param("per_page=2", ["alpha", "beta_1"], 4, id="first page"),
        pytest.param("per_page=3&page=2", ["order"], 4, id="last page"),
        pytest.param("per_page=2&page=3", [], 4, id="past the end"),
        pytest.param("page=9007199254740991&per_page=100", [], 4, id="far past the end"),
        pytest.param("search=BETA", ["beta_1", "betax1"], 2, id="part of the name"),
        pytest.param("search=beta_", ["beta_1"], 1, id="underscore is itself"),
        pytest.param("search=%25", [], 0, id="percent is itself"),
        pytest.param("search=" + "x" * 64, [], 0, id="64 characters"),
    ],
)
async def test_query_chooses_workflows(
    client: httpx.AsyncClient, histories: Histories, query: str, names: list[str], total: int
) -> None:
    """Search and page numbers choose what Cloudflare says they do."""
    for name in ("beta_1", "alpha", "betax1"):
        await histories.register(name)

    answer = (await client.get(f"workflows?{query}")).json()

    assert [workflow["name"] for workflow in answer["result"]] == names
    assert (answer["result_info"]["count"], answer["result_info"]["total_count"]) == (len(names), total)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("page=0", 'page must be an integer from 1 to 9007199254740991, got "0"', id="page 0"),
        pytest.param("page=x", 'page must be an integer from 1 to 9007199254740991, got "x"', id="page x"),
        pytest.param("per_page=0", 'per_page must be an integer from 1 to 100, got "0"', id="per_page 0"),
        pytest.param("per_page=101", 'per_page must be an integer from 1 to 100, got "101"', id="per_page 101"),
        pytest.param("search=", 'search must be a text of 1 to 64 characters, got ""', id="search empty"),
        pytest.param(
            "search=" + "x" * 65,
            f'search must be a text of 1 to 64 characters, got "{"x" * 65}"',
            id="search of 65 characters",
        ),
        pytest.param(
            "search=a&search=b",
            'search is given 2 times ("a", "b"); give a text of 1 to 64 characters, once',
            id="search twice",
        ),
    ],
)
async def test_value_out_of_bounds_is_refused(client: httpx.AsyncClient, query: str, problem: str) -> None:
    """A wrong value is 400 with code 10002; the message names parameter, value and what is allowed."""
    answer = await client.get(f"workflows?{query}")

    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [{"code": 10002, "message": f"workflows.api.error.body: query parameter {problem}"}],
    )
