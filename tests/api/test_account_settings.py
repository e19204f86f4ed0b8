"""`GET` and `PATCH .../workflows/settings`: how long an account keeps its instances."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import Histories

SETTINGS = "workflows/settings"
WEEK = 604_800_000


async def test_default_is_a_week(client: httpx.AsyncClient) -> None:
    """An account that nobody has changed has seven days, in milliseconds."""
    answer = await client.get(SETTINGS)

    assert answer.json() == {
        "success": True,
        "errors": [],
        "messages": [],
        "result": {"default_retention": {"success_retention": WEEK, "error_retention": WEEK}},
    }


@pytest.mark.parametrize(
    ("change", "success", "error"),
    [
        pytest.param({"success_retention": "1 day"}, 86_400_000, WEEK, id="words"),
        pytest.param({"error_retention": 5, "success_retention": 0}, WEEK, 5, id="milliseconds"),
        pytest.param({"error_retention": None}, WEEK, WEEK, id="null"),
        pytest.param({}, WEEK, WEEK, id="nothing"),
    ],
)
async def test_change_is_answered_and_kept(
    client: httpx.AsyncClient, change: dict[str, Any], success: int, error: int
) -> None:
    """What is not named stays, and what is 0 is as the server has it; the answer has all of it."""
    answer = await client.patch(SETTINGS, json={"default_retention": change})

    kept = (await client.get(SETTINGS)).json()["result"]
    assert answer.json()["result"] == kept
    assert kept == {"default_retention": {"success_retention": success, "error_retention": error}}
    assert answer.json()["messages"] == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "missing required field `default_retention`", id="no body"),
        pytest.param(b"{}", "missing required field `default_retention`", id="nothing"),
        pytest.param(b"[]", "Expected `object`, got `array`", id="array"),
        pytest.param(
            b'{"default_retention":{"error_retention":"soon"}}',
            'default_retention.error_retention must be a number of milliseconds or a duration such as "5 minutes"',
            id="wrong words",
        ),
        pytest.param(
            b'{"default_retention":{"error_retention":"9999999 years"}}', "must be at most 3153600000000", id="too long"
        ),
        pytest.param(b'{"default_retention":{"error_retention":true}}', "got `bool`", id="bool"),
    ],
)
async def test_wrong_settings_are_refused(app: ASGIApp, histories: Histories, body: bytes, problem: str) -> None:
    """What cannot be is 400 with code 10002."""
    status, code, message = (await ask(app, SETTINGS, "PATCH", body)).refusal()

    assert (status, code) == (400, 10002)
    assert problem in message
