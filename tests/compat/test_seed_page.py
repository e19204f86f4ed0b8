"""The requests of Cloudflare's Go client for an instance, and answers that its reference page allows."""

import asyncio
from itertools import product
from typing import Any

import msgspec
import pytest

from tests.api.histories import Histories
from tests.compat.seed_page import Envelope

# Which fields have no value yet, by status.
NULLS = {
    "queued": {"start", "end", "success", "error", "output", "rollback"},
    "running": {"end", "success", "error", "output", "rollback"},
    "waiting": {"end", "success", "error", "output", "rollback"},
    "complete": {"error", "rollback"},
    "errored": {"output", "rollback"},
}
STATUSES = list(NULLS)
QUERIES = [
    "&".join(part for part in parts if part)
    for parts in product(("", "order=asc", "order=desc"), ("", "simple=true", "simple=false"))
]
NAMES = [
    pytest.param("order", "order-1", id="plain"),
    pytest.param("w", "i", id="one character"),
    pytest.param("w" * 64, "i" * 100, id="64 and 100 characters"),
    pytest.param("_9-a", "0-_Z", id="every kind of character"),
]


async def _get(port: int, workflow: str, instance: str, query: str = "") -> tuple[int, bytes]:
    """Send the request as Cloudflare's Go client writes it: nothing escaped, no body, its usual headers."""
    target = f"/client/v4/accounts/{'0' * 32}/workflows/{workflow}/instances/{instance}" + (
        f"?{query}" if query else ""
    )
    request = (
        f"GET {target} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "User-Agent: Cloudflare/Go 6.6.0\r\n"
        "Accept: application/json\r\n"
        "Authorization: Bearer EXAMPLE-TOKEN\r\n"
        "X-Stainless-Arch: x64\r\n"
        "X-Stainless-Lang: go\r\n"
        "X-Stainless-Os: Linux\r\n"
        "X-Stainless-Package-Version: 6.6.0\r\n"
        "X-Stainless-Retry-Count: 0\r\n"
        "X-Stainless-Runtime: go\r\n"
        "X-Stainless-Runtime-Version: go1.25\r\n"
        "Accept-Encoding: gzip\r\n"
        "\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:-2])
    assert headers["content-type"] == "application/json"
    body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    await writer.wait_closed()
    return int(head[0].split()[1]), body


@pytest.mark.parametrize("status", STATUSES)
async def test_answer_keeps_the_pages_schema(port: int, histories: Histories, status: str) -> None:
    """In every status, with and without `order` and `simple`, the answer is one that the page allows."""
    await getattr(histories, status)("order", "order-1")

    answers = [await _get(port, "order", "order-1", query) for query in QUERIES]

    for code, body in answers:
        envelope = msgspec.json.decode(body, type=Envelope)
        assert (code, envelope.result.status, envelope.errors) == (200, status, [])
        assert envelope.result_info.count == len(envelope.result.steps)
        assert envelope.result_info.total_count == envelope.result.step_count


@pytest.mark.parametrize("status", STATUSES)
async def test_fields_without_a_value_are_null(port: int, histories: Histories, status: str) -> None:
    """A field that has no value in a status is there and null; all others have one."""
    await getattr(histories, status)("order", "order-1")

    _, body = await _get(port, "order", "order-1")

    result = msgspec.json.decode(body)["result"]
    assert {name for name, value in result.items() if value is None} == NULLS[status]


@pytest.mark.parametrize(("workflow", "instance"), NAMES)
@pytest.mark.parametrize("status", STATUSES)
async def test_names_of_every_length_are_found(
    port: int, histories: Histories, status: str, workflow: str, instance: str
) -> None:
    """Names from one character to their greatest length lead to their instance."""
    await histories.register(workflow)
    await getattr(histories, status)(workflow, instance)

    code, body = await _get(port, workflow, instance)

    assert (code, msgspec.json.decode(body, type=Envelope).result.status) == (200, status)


@pytest.mark.parametrize("status", STATUSES)
async def test_desc_reverses_asc(port: int, histories: Histories, status: str) -> None:
    """Oldest first is the default; `desc` is its exact reverse."""
    await getattr(histories, status)("order", "order-1")

    steps = [
        msgspec.json.decode((await _get(port, "order", "order-1", query))[1])["result"]["steps"]
        for query in ("", "order=asc", "order=desc")
    ]

    assert steps[0] == steps[1] == steps[2][::-1]
    assert [entry["start"] for entry in steps[0]] == sorted(entry["start"] for entry in steps[0])


@pytest.mark.parametrize("order", ["", "order=asc&", "order=desc&"])
@pytest.mark.parametrize("status", STATUSES)
async def test_simple_changes_nothing_but_the_steps(port: int, histories: Histories, status: str, order: str) -> None:
    """`simple=true` gives no steps; everything else, `step_count` too, is as without it."""
    await getattr(histories, status)("order", "order-1")

    whole, simple = [
        msgspec.json.decode((await _get(port, "order", "order-1", f"{order}simple={flag}"))[1])["result"]
        for flag in ("false", "true")
    ]

    assert simple == {**whole, "steps": []}
    assert simple["step_count"] == len(whole["steps"])


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        pytest.param(("result",), {"extra": 1}, id="member that the page lacks"),
        pytest.param(("result",), {"status": "done"}, id="status outside the list"),
        pytest.param(("result",), {"queued": "2026-11-23T10:00:00Z"}, id="time without decimals"),
        pytest.param(("result",), {"queued": None}, id="missing time"),
        pytest.param(("result",), {"versionId": "v1"}, id="version that is no UUID"),
        pytest.param(("result",), {"step_count": 1.5}, id="count that is no integer"),
        pytest.param(("result", "steps", 0), {"type": "other"}, id="entry of another type"),
        pytest.param(("result", "steps", 5), {"end": None}, id="sleep without an end"),
        pytest.param(("result_info",), {"total_pages": 1}, id="place with a member that the page lacks"),
    ],
)
async def test_schema_refuses_what_the_page_does_not_allow(
    port: int, histories: Histories, path: tuple[str | int, ...], changed: dict[str, Any]
) -> None:
    """The schema of these tests is strict: an answer that departs from the page in one place is refused."""
    await histories.complete("order", "order-1")
    _, body = await _get(port, "order", "order-1")
    envelope = part = msgspec.json.decode(body)
    for step in path:
        part = part[step]

    part.update(changed)

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(envelope, Envelope)


@pytest.mark.parametrize("name", ["end", "error", "output", "start", "success", "rollback", "trigger", "params"])
async def test_schema_refuses_a_missing_field(port: int, histories: Histories, name: str) -> None:
    """The schema of these tests wants every field, also those that are null."""
    await histories.queued("order", "order-1")
    _, body = await _get(port, "order", "order-1")
    envelope = msgspec.json.decode(body)

    del envelope["result"][name]

    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{name}`"):
        msgspec.convert(envelope, Envelope)
