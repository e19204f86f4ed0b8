"""The plain page at `/`."""

import base64
import hashlib
import re

import httpx
import pytest

from stepwell.dashboard import page
from tests.api.histories import Histories, do

PAGE = "http://localhost:8787/"


async def test_page_lists_workflows_and_instances(client: httpx.AsyncClient, histories: Histories) -> None:
    """The page shows each workflow with its counts, and links its latest instances."""
    await histories.complete("order", "a-1")

    answer = await client.get(PAGE)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h2>order</h2><p>1 complete</p>" in answer.text
    assert '<a href="/?workflow=order&amp;instance=a-1">a-1</a>' in answer.text


async def test_page_shows_the_log_of_an_instance(client: httpx.AsyncClient, histories: Histories) -> None:
    """The page of an instance has its facts and one line for each entry of the log."""
    await histories.complete("order", "a")

    text = (await client.get(f"{PAGE}?workflow=order&instance=a")).text

    assert re.findall(r"<tr><td>([^<]*-\d)</td><td>(\w+)</td>", text) == [
        ("charge-1", "step"),
        ("charge-2", "step"),
        ("card-1", "step"),
        ("retried-1", "step"),
        ("cancelled-1", "step"),
        ("cool down-1", "sleep"),
        ("approval-1", "waitForEvent"),
        ("silence-1", "waitForEvent"),
    ]
    assert "<td>status</td><td>complete</td>" in text


@pytest.mark.parametrize("status", ["queued", "running", "waiting", "errored"])
async def test_page_shows_instances_in_every_status(
    client: httpx.AsyncClient, histories: Histories, status: str
) -> None:
    """There is a page for an instance in any status."""
    await getattr(histories, status)("order", "a")

    answer = await client.get(f"{PAGE}?workflow=order&instance=a")

    assert f"<td>status</td><td>{status}</td>" in answer.text


async def test_markup_in_names_and_values_is_escaped(client: httpx.AsyncClient, histories: Histories) -> None:
    """Nothing that an author or a client wrote becomes markup."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>'\""
    turn = await histories.turn("order", "a", '"<b>params</b>"')
    await turn.step(do(attack), '"<i>output</i>"')
    await turn.complete('"<u>done</u>"')

    text = (await client.get(f"{PAGE}?workflow=order&instance=a")).text

    assert re.findall(r"<(?:script|img|b|i|u)\b", text) == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;-1" in text


async def test_page_forbids_what_it_does_not_need(client: httpx.AsyncClient) -> None:
    """The policy allows the page's one style by its hash, and nothing else."""
    answer = await client.get(PAGE)

    style = answer.text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def test_page_of_an_unknown_instance_is_404(client: httpx.AsyncClient) -> None:
    """A link to an instance that is gone is 404."""
    answer = await client.get(f"{PAGE}?workflow=order&instance=gone")

    assert answer.status_code == 404


async def test_page_and_answer_show_values_as_ordinary_json(client: httpx.AsyncClient, histories: Histories) -> None:
    """How a value is stored is nowhere to be seen: the instance's output and a step's are JSON for people."""
    stored = '{"$":"object","c":"shop:Receipt","v":{"total":{"$":"decimal","v":"1.50"},"raw":{"$":"bytes","v":"YWJj"}}}'
    turn = await histories.turn("order", "a")
    await turn.step(do("charge"), stored)
    await turn.complete(stored)

    page = (await client.get(f"{PAGE}?workflow=order&instance=a")).text
    answer = (await client.get("workflows/order/instances/a")).json()["result"]

    shown = '{"total":"1.50","raw":"[bytes(3)]"}'
    assert (answer["output"], answer["steps"][0]["output"]) == (shown, shown)
    assert page.count(shown.replace('"', "&quot;")) == 2


async def test_page_of_a_long_log_shows_its_end(client: httpx.AsyncClient, histories: Histories) -> None:
    """It is bounded, and says so."""
    turn = await histories.turn("order", "a")
    for number in range(page.MOST_ENTRIES + 1):
        await turn.step(do(f"s{number}"), "1")

    text = (await client.get(f"{PAGE}?workflow=order&instance=a")).text

    assert (">s0-1<" in text, ">s1-1<" in text, ">s1000-1<" in text) == (False, True, True)
    assert "<p>The latest 1,000 of 1,001; the API has all of them.</p>" in text
