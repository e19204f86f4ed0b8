"""The route that says why an instance does not go on."""

from typing import Any

import httpx
import msgspec
import pytest

from stepwell import reasons
from stepwell.core import why
from stepwell.core.failures import Failure
from stepwell.core.instance import Status
from tests.api.conftest import NOW
from tests.api.histories import Histories

SINCE = "2026-11-23T10:00:00.000Z"
UNTIL = "2026-11-23T11:00:00.000Z"
LATER = NOW + 3_600_000
NO = Failure("ValueError", "no")
ERROR = {"name": "ValueError", "message": "no"}


async def ask(client: httpx.AsyncClient, id: str = "a") -> Any:
    """Return what the route answers."""
    return (await client.get(f"stepwell/workflows/order/instances/{id}/why")).json()


async def test_reasons_of_an_instance_are_told(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each with its type, in the order in which the steps were called; moments as in the log."""
    await histories.waiting("order", "a")

    answer = await ask(client)

    assert answer["result"] == {
        "status": "waiting",
        "reasons": [
            {"type": "sleep", "step": "cool down-1", "until": "2026-11-23T10:01:00.020Z"},
            {
                "type": "waitForEvent",
                "step": "approval-1",
                "event_type": "approved",
                "until": "2026-11-23T10:01:00.021Z",
                "unmet": [],
            },
        ],
        "end": None,
    }


async def test_end_of_an_instance_is_told(client: httpx.AsyncClient, histories: Histories) -> None:
    """No reasons, but how it ended."""
    await histories.errored("order", "a")

    answer = await ask(client)

    assert answer["result"] == {
        "status": "errored",
        "reasons": [],
        "end": {
            "at": "2026-11-23T10:00:00.050Z",
            "error": {"name": "ValueError", "message": "the card was refused"},
        },
    }


async def test_instance_that_is_not_there_is_told(client: httpx.AsyncClient) -> None:
    """As on every route."""
    answer = await ask(client, "nothing")

    assert answer["errors"] == [
        {
            "code": 10400,
            "message": 'workflows.api.error.instance.not_found: no instance "nothing" in workflow "order"',
        }
    ]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        pytest.param(
            why.RetryAwaited("a-1", 2, NO, LATER),
            {"type": "retry", "step": "a-1", "failed_attempts": 2, "error": ERROR, "until": UNTIL},
            id="retry",
        ),
        pytest.param(
            why.AttemptRunning("a-1", 2, NOW, LATER, "worker 1"),
            {"type": "attempt", "step": "a-1", "attempt": 2, "since": SINCE, "until": UNTIL, "worker": "worker 1"},
            id="attempt",
        ),
        pytest.param(
            why.WorkerBlocked("worker 1", NOW, ['File "a.py", line 3, in f', "  g()"]),
            {
                "type": "workerBlocked",
                "worker": "worker 1",
                "since": SINCE,
                "stack": ['File "a.py", line 3, in f', "  g()"],
            },
            id="worker blocked",
        ),
        pytest.param(
            why.WorkerBlocked("worker 1", NOW, []),
            {"type": "workerBlocked", "worker": "worker 1", "since": SINCE, "stack": []},
            id="worker blocked somewhere",
        ),
        pytest.param(why.CodeRunning(NOW), {"type": "code", "since": SINCE}, id="code"),
        pytest.param(why.Queued(NOW, 3), {"type": "queued", "since": SINCE, "before": 3}, id="queued"),
        pytest.param(why.NoWorker("v1"), {"type": "noWorker", "version": "v1"}, id="no worker"),
        pytest.param(
            why.NotLoaded("shop", "Order", ["worker 1"]),
            {"type": "notLoaded", "script_name": "shop", "class_name": "Order", "workers": ["worker 1"]},
            id="not loaded",
        ),
        pytest.param(why.TurnsLost(2), {"type": "turnsLost", "count": 2}, id="turns lost"),
        pytest.param(why.Resting(LATER), {"type": "resting", "until": UNTIL}, id="resting"),
        pytest.param(why.PausedSince(NOW), {"type": "paused", "since": SINCE}, id="paused"),
        pytest.param(
            why.Pausing(NOW, ["a-1"]), {"type": "waitingForPause", "since": SINCE, "in_flight": ["a-1"]}, id="pausing"
        ),
        pytest.param(
            why.RollingBack(NOW, NO, None),
            {"type": "rollingBack", "since": SINCE, "error": ERROR, "step": None},
            id="rolling back",
        ),
    ],
)
def test_each_reason_is_shown_whole(reason: why.Reason, shown: dict[str, Any]) -> None:
    """Every fact of a reason is in the answer."""
    found = reasons.instance_why(why.Why(Status.RUNNING, (reason,)))

    assert msgspec.to_builtins(found)["reasons"] == [shown]
