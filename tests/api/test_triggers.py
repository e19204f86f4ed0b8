"""`/triggers/{script_name}`: the event triggers of a script."""

import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import Histories

TARGET = {"type": "workflow", "workflow_name": "order", "script_name": "shop"}
PUSHED = {"type": "cf.artifacts.repo.pushed", "targets": [TARGET]}
PUSHED_A = {**PUSHED, "filter": {"namespace": "n", "repo_name": "a"}}
FORKED = {"type": "cf.artifacts.repo.forked", "targets": [TARGET]}
STORED = [{"code": 19001, "message": "event triggers: stored, and without effect yet"}]


async def test_script_has_no_triggers_at_first(client: httpx.AsyncClient) -> None:
    """A script that nobody has given triggers has none; it need not be known."""
    answer = await client.get("triggers/attic")

    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "errors": [], "messages": [], "result": {"script_name": "attic", "triggers": []}},
    )


async def test_put_replaces_all_triggers(client: httpx.AsyncClient) -> None:
    """What is put is what there is then, and it is told that it does nothing yet."""
    await client.put("triggers/shop", json=[FORKED])

    answer = await client.put("triggers/shop", json=[PUSHED, PUSHED_A])

    shown = {"script_name": "shop", "triggers": [PUSHED, PUSHED_A]}
    assert (answer.json()["result"], answer.json()["messages"]) == (shown, STORED)
    assert (await client.get("triggers/shop")).json()["result"] == shown


async def test_empty_put_leaves_none(client: httpx.AsyncClient) -> None:
    """An empty array is allowed, and leaves nothing to be told."""
    await client.put("triggers/shop", json=[PUSHED])

    answer = await client.put("triggers/shop", json=[])

    assert (answer.json()["result"]["triggers"], answer.json()["messages"]) == ([], [])


async def test_patch_replaces_those_of_the_same_type_and_filter(client: httpx.AsyncClient) -> None:
    """The others stay; a filter that filters nothing is none."""
    await client.put("triggers/shop", json=[PUSHED, PUSHED_A])
    two = {**PUSHED, "targets": [TARGET, TARGET]}

    answer = await client.patch("triggers/shop", json=[{**two, "filter": {}}, FORKED])

    assert answer.json()["result"]["triggers"] == [PUSHED_A, two, FORKED]
    assert answer.json()["messages"] == STORED


async def test_delete_tells_how_many(client: httpx.AsyncClient) -> None:
    """All triggers of the script are deleted and counted."""
    await client.put("triggers/shop", json=[PUSHED, FORKED])

    answers = [(await client.delete("triggers/shop")).json()["result"] for _ in range(2)]

    assert answers == [{"deleted": 2}, {"deleted": 0}]


async def test_triggers_of_scripts_are_apart(client: httpx.AsyncClient) -> None:
    """Each script has its own, also one whose name has to be escaped."""
    await client.put("triggers/shop", json=[PUSHED])
    await client.put("triggers/my%20%2F%20shop", json=[FORKED])

    results = [(await client.get(f"triggers/{name}")).json()["result"] for name in ("shop", "my%20%2F%20shop")]

    assert [(result["script_name"], result["triggers"]) for result in results] == [
        ("shop", [PUSHED]),
        ("my / shop", [FORKED]),
    ]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param({"triggers": []}, "Expected `array`, got `object`", id="object"),
        pytest.param(
            [{**PUSHED, "type": "push"}], "Invalid enum value 'push' - at `$[0].type`; it must be one of cf.", id="type"
        ),
        pytest.param([{"type": PUSHED["type"]}], "missing required field `targets`", id="no targets"),
        pytest.param([{**PUSHED, "targets": []}], "length >= 1 - at `$[0].targets`", id="empty targets"),
        pytest.param(
            [{**PUSHED, "targets": [{**TARGET, "type": "queue"}]}],
            "'queue' - at `$[0].targets[0].type`; it must be one of workflow",
            id="target",
        ),
        pytest.param([{**PUSHED, "filter": {"repo_name": ""}}], "at `$[0].filter.repo_name`", id="empty filter"),
        pytest.param([PUSHED] * 101, "length <= 100", id="101 triggers"),
        pytest.param(
            [{**PUSHED, "targets": [{**TARGET, "workflow_name": "none"}]}],
            'the target workflow "none" of the script "shop" does not exist',
            id="unknown target",
        ),
    ],
)
async def test_wrong_triggers_are_refused(
    app: ASGIApp, histories: Histories, method: str, body: Any, problem: str
) -> None:
    """What cannot be is 400 with code 10002, and changes nothing."""
    await ask(app, "triggers/shop", "PUT", json.dumps([FORKED]).encode())

    status, code, message = (await ask(app, "triggers/shop", method, json.dumps(body).encode())).refusal()

    stored = (await ask(app, "triggers/shop")).json()["result"]["triggers"]
    assert (status, code) == (400, 10002)
    assert problem in message
    assert stored == [FORKED]


@pytest.mark.parametrize("name", ["x" * 256, "a%00b", "%0A"])
async def test_odd_script_name_is_refused(app: ASGIApp, histories: Histories, name: str) -> None:
    """A script's name has 1 to 255 printable characters."""
    assert (await ask(app, f"triggers/{name}")).refusal()[:2] == (400, 10002)
