"""`GET .../versions`, and one version with its settings and its graph."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

FIRST = {
    "id": VERSION_ID,
    "class_name": "Order",
    "created_on": "2026-11-23T10:00:00.000Z",
    "modified_on": "2026-11-23T10:00:00.000Z",
    "workflow_id": WORKFLOW_ID,
}
MADE_OF = {"script_name": "shop", "class_name": "Order"}


async def _put(client: httpx.AsyncClient, **settings: Any) -> str:
    answer = await client.put("workflows/order", json={**MADE_OF, **settings})
    version: str = answer.json()["result"]["version_id"]
    return version


async def test_version_has_cloudflares_fields(client: httpx.AsyncClient) -> None:
    """A version without settings has exactly the fields that Cloudflare always sends."""
    answer = await client.get(f"workflows/order/versions/{VERSION_ID}")

    shown = {**FIRST, "has_dag": False, "language": "python"}
    assert answer.json() == {"success": True, "errors": [], "messages": [], "result": shown}


async def test_version_shows_its_settings(client: httpx.AsyncClient) -> None:
    """Limits, concurrency and retention of a version are shown, durations in milliseconds."""
    version = await _put(
        client,
        limits={"steps": 25_000},
        concurrency={"limit": 3},
        default_retention={"success_retention": "5 minutes", "error_retention": 7},
    )

    result = (await client.get(f"workflows/order/versions/{version.upper()}")).json()["result"]

    assert result["limits"] == {"steps": 25_000}
    assert result["concurrency"] == {"limit": 3}
    assert result["default_retention"] == {"success_retention": 300_000, "error_retention": 7}


async def test_half_a_retention_is_shown_as_half(client: httpx.AsyncClient) -> None:
    """What was not said is left out."""
    version = await _put(client, default_retention={"error_retention": 0})

    result = (await client.get(f"workflows/order/versions/{version}")).json()["result"]

    assert result["default_retention"] == {"error_retention": 0}


async def test_versions_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    """The newest version comes first, as tools take it for the latest; 50 to a page."""
    newer = [await _put(client), await _put(client)]

    answer = (await client.get("workflows/order/versions")).json()

    assert [version["id"] for version in answer["result"]] == [newer[1], newer[0], VERSION_ID]
    assert answer["result_info"] == {"count": 3, "per_page": 50, "total_count": 3, "page": 1, "total_pages": 1}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        pytest.param("per_page=2", 2, id="first page"),
        pytest.param("per_page=2&page=2", 1, id="last page"),
        pytest.param("per_page=2&page=3", 0, id="past the end"),
        pytest.param("page=9007199254740991&per_page=100", 0, id="far past the end"),
        pytest.param("page=1.0&per_page=100.0", 3, id="numbers as SDKs send them"),
    ],
)
async def test_query_chooses_versions(client: httpx.AsyncClient, query: str, count: int) -> None:
    """Pages are cut as asked; past the end there is an empty one, on which SDKs end."""
    await _put(client)
    await _put(client)

    answer = (await client.get(f"workflows/order/versions?{query}")).json()

    assert (len(answer["result"]), answer["result_info"]["count"]) == (count, count)
    assert answer["result_info"]["total_count"] == 3


@pytest.mark.parametrize("query", ["per_page=0", "per_page=101", "page=0", "page=x", "page=1&page=2"])
async def test_wrong_query_of_versions_is_refused(app: ASGIApp, histories: Histories, query: str) -> None:
    """A page that cannot be is 400."""
    assert (await ask(app, f"workflows/order/versions?{query}")).refusal()[:2] == (400, 10002)


@pytest.mark.parametrize("form", ["graph", "dag"])
async def test_code_that_nobody_has_read_has_no_graph(client: httpx.AsyncClient, form: str) -> None:
    """The answer has its shape, and null."""
    answer = await client.get(f"workflows/order/versions/{VERSION_ID}/{form}")

    assert answer.json() == {"success": True, "errors": [], "messages": [], "result": {**FIRST, form: None}}


@pytest.mark.parametrize("tail", ["", "/graph", "/dag"])
async def test_unknown_version_is_404(app: ASGIApp, histories: Histories, tail: str) -> None:
    """A version that the workflow does not have is 404 with code 10300, also one of another workflow."""
    await histories.register("mail")

    for workflow, version in (("order", WORKFLOW_ID), ("mail", VERSION_ID)):
        status, code, message = (await ask(app, f"workflows/{workflow}/versions/{version}{tail}")).refusal()

        assert (status, code) == (404, 10300)
        assert message == f'workflows.api.error.version.not_found: no version "{version}" of workflow "{workflow}"'


async def test_version_of_an_unknown_workflow_is_404(app: ASGIApp, histories: Histories) -> None:
    """The workflow is looked for first."""
    answers = [await ask(app, f"workflows/none/versions{tail}") for tail in ("", f"/{VERSION_ID}")]

    assert [answer.refusal()[:2] for answer in answers] == [(404, 10200), (404, 10200)]


@pytest.mark.parametrize("id", ["1", "latest", VERSION_ID[:-1], f"{VERSION_ID}0", "%00"])
async def test_version_id_that_is_none_is_refused(app: ASGIApp, histories: Histories, id: str) -> None:
    """What is no UUID is 400."""
    status, code, message = (await ask(app, f"workflows/order/versions/{id}")).refusal()

    assert (status, code) == (400, 10002)
    assert message.startswith('workflows.api.error.body: version_id "')
