"""The route of what instances say."""

import json
from collections.abc import Sequence

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import Api, create_app
from stepwell.engine import Engine, NewInstance
from stepwell.server_settings import Settings
from stepwell.store.note_operations import LogLine, Note, WriteNotes
from stepwell.store.operations import ClaimDue, RegisterWorker, Release
from tests.api.asgi import ask
from tests.api.conftest import NOW
from tests.api.histories import Histories

SAID = {"at": "2026-11-23T10:00:00.000Z", "step": "charge-1", "attempt": 1, "level": "INFO"}
LOGS = "stepwell/workflows/order/instances/a/logs"


async def write(engine: Engine, lines: Sequence[str], progress: str | None = None) -> None:
    """Let an instance `a`, made if need be and held by a worker, say some lines."""
    worker = await engine.store.run(RegisterWorker("tests", 2**62, NOW))
    await engine.create("local", "order", NewInstance("a"))
    (claim,) = (await engine.store.run(ClaimDue(worker, NOW, 1))).turns
    said = [LogLine(NOW, "charge-1", 1, "INFO", text) for text in lines]
    notes = [] if progress is None else [Note("progress", NOW, progress)]
    await engine.store.run(WriteNotes(claim.row, claim.turn, claim.log_n, said, notes, 0))


async def test_log_has_what_the_code_said(client: httpx.AsyncClient, engine: Engine) -> None:
    """Lines in their order, with step and attempt, and the progress as it was given."""
    await write(engine, ["one", "<b>two</b>\x1b[31m"], '{"percent":50}')

    answer = (await client.get(LOGS)).json()

    assert answer["result"] == {
        "status": "running",
        "progress": {"value": {"percent": 50}, "at": "2026-11-23T10:00:00.000Z"},
        "lines": [
            {
                "n": 1,
                "at": "2026-11-23T10:00:00.000Z",
                "step": "charge-1",
                "attempt": 1,
                "level": "INFO",
                "text": "one",
            },
            {
                "n": 2,
                "at": "2026-11-23T10:00:00.000Z",
                "step": "charge-1",
                "attempt": 1,
                "level": "INFO",
                "text": "<b>two</b>\x1b[31m",
            },
        ],
        "next": 2,
    }


async def test_status_has_the_progress(client: httpx.AsyncClient, engine: Engine) -> None:
    """Status, counts and progress in one answer, without the log."""
    await write(engine, [], '{"percent":50}')

    answer = (await client.get(LOGS.removesuffix("/logs"))).json()["result"]

    assert answer["progress"] == {"value": {"percent": 50}, "at": "2026-11-23T10:00:00.000Z"}
    shown = ("id", "status", "started_on", "ended_on", "trigger_source", "step_count", "error", "output")
    assert [answer[name] for name in shown] == ["a", "running", "2026-11-23T10:00:00.000Z", None, "api", 0, None, None]


async def test_status_tells_how_the_instance_ended(
    client: httpx.AsyncClient, engine: Engine, histories: Histories
) -> None:
    """The output is the JSON value itself; nothing was said of progress."""
    await histories.complete("order", "done", '{"n":[1]}')

    answer = (await client.get("stepwell/workflows/order/instances/done")).json()["result"]

    assert (answer["status"], answer["output"], answer["error"], answer["progress"]) == (
        "complete",
        {"n": [1]},
        None,
        None,
    )
    assert answer["ended_on"] is not None


async def test_log_is_read_page_by_page(client: httpx.AsyncClient, engine: Engine) -> None:
    """`next` of one page is `after` of the next."""
    await write(engine, ["one", "two", "three"])

    first = (await client.get(LOGS, params={"limit": 2})).json()["result"]
    second = (await client.get(LOGS, params={"limit": 2, "after": first["next"]})).json()["result"]
    third = (await client.get(LOGS, params={"after": second["next"]})).json()["result"]

    assert [[line["text"] for line in page["lines"]] for page in (first, second, third)] == [
        ["one", "two"],
        ["three"],
        [],
    ]
    assert third["next"] == 3


async def test_log_of_an_instance_that_said_nothing_is_empty(client: httpx.AsyncClient, histories: Histories) -> None:
    """A new instance has no lines and no progress."""
    await client.post("workflows/order/instances", json={"instance_id": "a"})

    assert (await client.get(LOGS)).json()["result"] == {"status": "queued", "progress": None, "lines": [], "next": 0}


async def test_log_of_what_there_is_not_is_404(app: ASGIApp, histories: Histories) -> None:
    """Unknown workflows and instances are named."""
    assert (await ask(app, LOGS)).refusal()[:2] == (404, 10400)
    assert (await ask(app, LOGS.replace("order", "nothing"))).refusal()[:2] == (404, 10200)


async def test_query_of_the_log_is_checked(app: ASGIApp, histories: Histories) -> None:
    """A wrong value is refused with what is allowed."""
    for query in ("limit=0", "limit=1001", "after=x", "follow=yes"):
        assert (await ask(app, f"{LOGS}?{query}")).refusal()[:2] == (400, 10002)


async def test_follower_sees_each_line_until_the_end(port: int, engine: Engine) -> None:
    """`follow=true` sends lines of JSON as they come, and ends with the instance."""
    await write(engine, ["one"])
    url = f"http://127.0.0.1:{port}/client/v4/accounts/any/{LOGS}?follow=true"
    seen: list[str] = []

    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["x-content-type-options"] == "nosniff"
        async for line in answer.aiter_lines():
            seen.append(json.loads(line)["text"])
            if seen == ["one"]:
                await engine.store.run(WriteNotes(1, 1, 1, [LogLine(NOW, None, None, "INFO", "two")], [], 0))
                await engine.store.run(Release(1, 1, 1, 2, [], 0, "complete", None, NOW, NOW))

    assert seen == ["one", "two"]


async def test_stream_ends_when_its_instance_is_deleted(
    port: int, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever follows is let go, and nobody is told of an error."""
    await write(engine, ["one"])
    url = f"http://127.0.0.1:{port}/client/v4/accounts/any/{LOGS}?follow=true"
    seen: list[str] = []

    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        async for line in answer.aiter_lines():
            seen.append(json.loads(line)["text"])
            await engine.control.delete("local", "order", "a")

    assert seen == ["one"]
    assert caplog.records == []


async def test_stop_of_the_server_ends_a_follower(port: int, app: Api, engine: Engine) -> None:
    """So does it whoever comes later; the instance goes on."""
    await write(engine, ["one"])
    url = f"http://127.0.0.1:{port}/client/v4/accounts/any/{LOGS}?follow=true"
    seen: list[str] = []

    async with httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("GET", url) as answer:
            async for line in answer.aiter_lines():
                seen.append(json.loads(line)["text"])
                app.end_streams()
        late = await client.get(url)

    assert (seen, late.status_code, late.text) == (["one"], 200, "")


async def test_stream_that_is_asked_for_by_head_takes_no_place(port: int, engine: Engine) -> None:
    """It has a head and no lines, and does not go on: whoever comes next finds its place free."""
    await write(engine, ["one"])
    engine.settings = Settings(log_streams=1)
    url = f"http://127.0.0.1:{port}/client/v4/accounts/any/{LOGS}?follow=true"

    async with httpx.AsyncClient(trust_env=False) as client:
        heads = [await client.head(url) for _ in range(3)]

    assert [(head.status_code, head.headers["content-type"]) for head in heads] == [(200, "application/x-ndjson")] * 3


async def test_streams_are_bounded(histories: Histories, engine: Engine) -> None:
    """One follower too many is told so, and how to go on."""
    await write(engine, ["one"])
    engine.settings = Settings(log_streams=0)
    app = create_app(engine, account="local", hosts=None)

    status, code, message = (await ask(app, f"{LOGS}?follow=true")).refusal()

    assert (status, code) == (429, 10429)
    assert "0 streams are open already" in message


async def test_log_of_one_step(client: httpx.AsyncClient, engine: Engine) -> None:
    """Only what that step has said; `next` leads on as without it."""
    await write(engine, ["one", "two"])

    found = [(await client.get(LOGS, params={"step": step})).json()["result"] for step in ("charge-1", "ship-1")]

    assert [([line["text"] for line in log["lines"]], log["next"]) for log in found] == [(["one", "two"], 2), ([], 0)]
