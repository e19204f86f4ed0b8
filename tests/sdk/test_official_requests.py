"""What our clients send is what Cloudflare's own package for Python sends for the same call."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import cloudflare
import httpx
import httpx2
import pytest
from cloudflare import Cloudflare

from stepwell import AsyncClient, Client
from stepwell.sdk import NotFound
from tests.sdk.asked import ask

ACCOUNT = "0123456789abcdef0123456789abcdef"
VERSION = "01234567-89ab-4def-8123-456789abcdef"
BASE = "https://api.cloudflare.com/client/v4"
MOMENT = datetime(2026, 11, 26, 10, 0, 0, 5000, tzinfo=UTC)
REFUSAL = {"success": False, "errors": [{"code": 1, "message": "no"}], "messages": [], "result": None}

_METHOD = re.compile(r'<code title="(\w+) ([^"]+)">client\.([\w.]+)\.<a href="[^"]*">(\w+)</a>')


@dataclass(frozen=True)
class Sent:
    """A request, as far as the server that gets it is concerned."""

    method: str
    path: str
    query: frozenset[tuple[str, str]]
    body: Any
    authorization: str | None
    content_type: str | None

    @classmethod
    def of(cls, request: httpx.Request | httpx2.Request) -> "Sent":
        """Return what a request of either library says."""
        path, _, query = request.url.raw_path.decode().partition("?")
        body = request.read()
        return cls(
            request.method,
            path,
            frozenset(parse_qsl(query, strict_parsing=True)) if query else frozenset(),
            json.loads(body) if body else None,
            request.headers.get("authorization"),
            request.headers.get("content-type") if body else None,
        )


# The name of the official method; how ours is called; how theirs is.
Case = tuple[str, Callable[[Any], Any], Callable[[Cloudflare], Any]]
CASES: list[Case] = [
    ("workflows.list", lambda w: ask(w.list), lambda c: c.workflows.list(account_id=ACCOUNT)),
    (
        "workflows.list",
        lambda w: ask(w.list, search="or der", per_page=5),
        lambda c: c.workflows.list(account_id=ACCOUNT, search="or der", per_page=5),
    ),
    ("workflows.get", lambda w: ask(w.get, "order"), lambda c: c.workflows.get("order", account_id=ACCOUNT)),
    (
        "workflows.update",
        lambda w: ask(
            w.update,
            "order",
            class_name="Order",
            script_name="shop",
            limits={"steps": 10},
            concurrency={"limit": 5},
            schedules=[{"cron": "0 9 * * *"}],
            default_retention={"success_retention": "1 day", "error_retention": 5},
        ),
        lambda c: c.workflows.update(
            "order",
            account_id=ACCOUNT,
            class_name="Order",
            script_name="shop",
            limits={"steps": 10},
            concurrency={"limit": 5},
            schedules=[{"cron": "0 9 * * *"}],
            default_retention={"success_retention": "1 day", "error_retention": 5},
        ),
    ),
    (
        "workflows.update",
        lambda w: ask(w.update, "order", class_name="Order", script_name="shop"),
        lambda c: c.workflows.update("order", account_id=ACCOUNT, class_name="Order", script_name="shop"),
    ),
    ("workflows.delete", lambda w: ask(w.delete, "order"), lambda c: c.workflows.delete("order", account_id=ACCOUNT)),
    (
        "workflows.instances.create",
        lambda w: ask(
            w.instances.create,
            "order",
            instance_id="order-1",
            params={"orderId": 7, "who": "Zoë"},
            instance_retention={"success_retention": "1 day"},
            location_hint="weur",
        ),
        lambda c: c.workflows.instances.create(
            "order",
            account_id=ACCOUNT,
            instance_id="order-1",
            params='{"orderId":7,"who":"Zoë"}',
            instance_retention={"success_retention": "1 day"},
            location_hint="weur",
        ),
    ),
    (
        "workflows.instances.create",
        lambda w: ask(w.instances.create, "order", instance_id="order-1", params="[1]"),
        lambda c: c.workflows.instances.create("order", account_id=ACCOUNT, instance_id="order-1", params="[1]"),
    ),
    (
        "workflows.instances.bulk",
        lambda w: ask(w.instances.create_batch, "order", [{"instance_id": "a", "params": [1]}, {"instance_id": "b"}]),
        lambda c: c.workflows.instances.bulk(
            "order", account_id=ACCOUNT, body=[{"instance_id": "a", "params": "[1]"}, {"instance_id": "b"}]
        ),
    ),
    (
        "workflows.instances.list",
        lambda w: ask(w.instances.list, "order"),
        lambda c: c.workflows.instances.list("order", account_id=ACCOUNT),
    ),
    (
        "workflows.instances.list",
        lambda w: ask(w.instances.list, "order", status="running", direction="asc", per_page=3, cursor="abc=="),
        lambda c: c.workflows.instances.list(
            "order", account_id=ACCOUNT, status="running", direction="asc", per_page=3, cursor="abc=="
        ),
    ),
    (
        "workflows.instances.get",
        lambda w: ask(w.instances.get, "order", "order-1", order="desc", simple=True),
        lambda c: c.workflows.instances.get(
            "order-1", account_id=ACCOUNT, workflow_name="order", order="desc", simple="true"
        ),
    ),
    (
        "workflows.instances.get",
        lambda w: ask(w.instances.get, "order", "a b/c?d#é", simple=False),
        lambda c: c.workflows.instances.get("a b/c?d#é", account_id=ACCOUNT, workflow_name="order", simple="false"),
    ),
    (
        "workflows.instances.step",
        lambda w: ask(w.instances.step, "order", "order-1", "charge-1", "step", attempt=2),
        lambda c: c.workflows.instances.step(
            "order-1", account_id=ACCOUNT, workflow_name="order", name="charge-1", type="step", attempt=2
        ),
    ),
    (
        "workflows.instances.step",
        lambda w: ask(w.instances.step_output, "order", "order-1", "approval & more-1", "waitForEvent"),
        lambda c: c.workflows.instances.step(
            "order-1", account_id=ACCOUNT, workflow_name="order", name="approval & more-1", type="waitForEvent"
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.pause, "order", "order-1"),
        lambda c: c.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="pause"
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.resume, "order", "order-1"),
        lambda c: c.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="resume"
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.terminate, "order", "order-1", rollback=True),
        lambda c: c.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="terminate", rollback=True
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.terminate, "order", "order-1"),
        lambda c: c.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="terminate"
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.restart, "order", "order-1"),
        lambda c: c.workflows.instances.status.edit(
            "order-1", account_id=ACCOUNT, workflow_name="order", status="restart"
        ),
    ),
    (
        "workflows.instances.status.edit",
        lambda w: ask(w.instances.restart, "order", "order-1", from_step={"name": "charge", "count": 2, "type": "do"}),
        lambda c: c.workflows.instances.status.edit(
            "order-1",
            account_id=ACCOUNT,
            workflow_name="order",
            status="restart",
            from_={"name": "charge", "count": 2, "type": "do"},
        ),
    ),
    (
        "workflows.instances.events.create",
        lambda w: ask(w.instances.send_event, "order", "order-1", "approved", {"by": ["ann"]}),
        lambda c: c.workflows.instances.events.create(
            "approved", account_id=ACCOUNT, workflow_name="order", instance_id="order-1", body={"by": ["ann"]}
        ),
    ),
    (
        "workflows.versions.list",
        lambda w: ask(w.versions.list, "order", per_page=7),
        lambda c: c.workflows.versions.list("order", account_id=ACCOUNT, per_page=7),
    ),
    (
        "workflows.versions.get",
        lambda w: ask(w.versions.get, "order", VERSION),
        lambda c: c.workflows.versions.get(VERSION, account_id=ACCOUNT, workflow_name="order"),
    ),
    (
        "workflows.versions.graph",
        lambda w: ask(w.versions.graph, "order", VERSION),
        lambda c: c.workflows.versions.graph(VERSION, account_id=ACCOUNT, workflow_name="order"),
    ),
]


async def _ours(call: Callable[[Any], Any], kind: str) -> list[Sent]:
    sent: list[Sent] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(Sent.of(request))
        return httpx2.Response(404, json=REFUSAL)

    transport = httpx2.MockTransport(answer)
    client: Client | AsyncClient
    if kind == "sync":
        http = httpx2.Client(transport=transport)
        client = Client(BASE, account_id=ACCOUNT, api_token="secret", http_client=http)
    else:
        other = httpx2.AsyncClient(transport=transport)
        client = AsyncClient(BASE, account_id=ACCOUNT, api_token="secret", http_client=other)
    with pytest.raises(NotFound):
        await call(client.workflows)
    return sent


def _theirs(call: Callable[[Cloudflare], Any]) -> list[Sent]:
    sent: list[Sent] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(Sent.of(request))
        return httpx.Response(404, json=REFUSAL)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with Cloudflare(base_url=BASE, api_token="secret", http_client=http) as client, suppress(cloudflare.NotFoundError):
        # A list asks when it is gone through.
        list(call(client))
    return sent


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [pytest.param(ours, theirs, id=f"{name}-{number}") for number, (name, ours, theirs) in enumerate(CASES)],
)
async def test_same_call_is_the_same_request(
    ours: Callable[[Any], Any], theirs: Callable[[Cloudflare], Any], kind: str
) -> None:
    """Method, path, query, body, credentials and the type of the body; and it is one request."""
    expected = await asyncio.to_thread(_theirs, theirs)

    sent = await _ours(ours, kind)

    assert sent == expected
    assert len(sent) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_moments_are_the_same_ones(kind: str) -> None:
    """They are written otherwise, as Cloudflare's page asks for: in UTC, with a Z."""
    (theirs,) = await asyncio.to_thread(
        _theirs,
        lambda c: c.workflows.instances.list("order", account_id=ACCOUNT, date_start=MOMENT, date_end=MOMENT),
    )

    (sent,) = await _ours(lambda w: ask(w.instances.list, "order", date_start=MOMENT, date_end=MOMENT), kind)

    assert dict(sent.query)["date_start"] == "2026-11-26T10:00:00.005Z"
    assert _moments(sent) == _moments(theirs)
    assert sent.path == theirs.path


def test_every_method_of_theirs_is_compared() -> None:
    """All that the package has for workflows."""
    listed = Path(cloudflare.__file__).parent / "resources" / "workflows" / "api.md"
    methods = {f"{resource}.{name}" for _, _, resource, name in _METHOD.findall(listed.read_text())}

    assert {name for name, _, _ in CASES} == methods
    assert len(methods) > 10


def _moments(sent: Sent) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(value) for name, value in sent.query}
