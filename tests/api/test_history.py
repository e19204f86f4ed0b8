"""`GET .../history`: the records of an instance."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import Histories

HISTORY = "stepwell/workflows/order/instances/i/history"


async def test_history_has_each_record_and_no_value(client: httpx.AsyncClient, histories: Histories) -> None:
    """Numbered, with kind and step; params, results and payloads are not in it."""
    await histories.waiting("order", "i")
    await histories.engine.send_event("local", "order", "i", "approved", '"secret"')

    answer = await client.get(HISTORY)

    records = answer.json()["result"]["records"]
    assert [one["seq"] for one in records] == list(range(1, len(records) + 1))
    assert [records[0]["kind"], records[-1]["kind"]] == ["created", "event_received"]
    assert records[-1]["event_type"] == "approved"
    assert answer.json()["result"] == {"records": records, "next": len(records), "is_whole": True}
    assert "secret" not in answer.text


async def test_history_is_read_in_pages(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each page goes on where the last one ended, and the last one says that it is."""
    await histories.complete("order", "i")
    whole = (await client.get(HISTORY, params={"limit": 1000})).json()["result"]["records"]

    found: list[object] = []
    pages: list[dict[str, Any]] = []
    after = 0
    while not pages or not pages[-1]["is_whole"]:
        pages.append((await client.get(HISTORY, params={"limit": 4, "after": after})).json()["result"])
        found += pages[-1]["records"]
        after = pages[-1]["next"]

    assert found == whole
    assert len(pages) > 3


async def test_history_is_chosen_by_kinds(client: httpx.AsyncClient, histories: Histories) -> None:
    """Of a wait it is said which event it got."""
    await histories.complete("order", "i")

    records = (await client.get(f"{HISTORY}?kind=event_received&kind=wait_ended")).json()["result"]["records"]

    got = next(one for one in records if one["kind"] == "wait_ended" and one["event_seq"])
    assert {one["kind"] for one in records} == {"event_received", "wait_ended"}
    assert got["event_seq"] in [one["seq"] for one in records if one["kind"] == "event_received"]


@pytest.mark.parametrize("query", ["kind=nothing", "limit=0", "limit=1001", "after=x"])
async def test_wrong_question_is_refused(client: httpx.AsyncClient, histories: Histories, query: str) -> None:
    """With the place of what is wrong."""
    await histories.waiting("order", "i")

    assert (await client.get(f"{HISTORY}?{query}")).status_code == 400


async def test_history_of_an_unknown_instance_is_404(app: ASGIApp, histories: Histories) -> None:
    """As everything of it."""
    assert (await ask(app, HISTORY)).refusal()[:2] == (404, 10400)
