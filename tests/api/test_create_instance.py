"""`POST .../instances`: what a body may say, and what becomes of params."""

import re
from typing import Any

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp

from tests.api.asgi import ask
from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

INSTANCES = "workflows/order/instances"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def _stored_params(client: httpx.AsyncClient, answer: httpx.Response) -> bytes:
    """Return the params of a created instance as they stand in GET's answer."""
    assert answer.status_code == 200, answer.text
    found = await client.get(f"{INSTANCES}/{answer.json()['result']['id']}")
    return bytes(msgspec.json.decode(found.content, type=dict[str, msgspec.Raw])["result"])


async def test_created_instance_is_answered_with_its_id(client: httpx.AsyncClient) -> None:
    """A new instance is answered exactly as Cloudflare answers: id, status, version, workflow and trigger."""
    answer = await client.post(INSTANCES, json={"instance_id": "order-1", "params": {"n": 1}})

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "errors": [],
            "messages": [],
            "result": {
                "id": "order-1",
                "status": "queued",
                "version_id": VERSION_ID,
                "workflow_id": WORKFLOW_ID,
                "trigger_source": "api",
            },
        },
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="none"),
        pytest.param(b" \r\n", id="white space"),
        pytest.param(b"{}", id="empty object"),
        pytest.param(b' {"instance_id": null, "params": null} ', id="nulls"),
        pytest.param(b'{"params":"null"}', id="null inside a string"),
        pytest.param(b'{"nonsense":1}', id="unknown member"),
        pytest.param(b'{"location_hint":"weur","instance_retention":{}}', id="hints"),
    ],
)
async def test_body_that_asks_for_nothing_creates_an_instance(client: httpx.AsyncClient, body: bytes) -> None:
    """Without an id there is a new UUID, without params there is `{}`."""
    answer = await client.post(INSTANCES, content=body)

    assert UUID.fullmatch(answer.json()["result"]["id"])
    assert b'"params":{},' in await _stored_params(client, answer)


@pytest.mark.parametrize(
    ("params", "stored"),
    [
        pytest.param(b'{"a":[1,2]}', b'{"a":[1,2]}', id="object"),
        pytest.param(b"5", b"5", id="number"),
        pytest.param(b"true", b"true", id="bool"),
        pytest.param(b'"plain text"', b'"plain text"', id="text that is no JSON"),
        pytest.param(b'""', b'""', id="empty text"),
        pytest.param(b'"{not json"', b'"{not json"', id="text that begins like JSON"),
        pytest.param(b'"NaN"', b'"NaN"', id="text that only Python reads as JSON"),
        pytest.param(b'"{\\"a\\": 1}"', b'{"a": 1}', id="JSON inside a string"),
        pytest.param(b'" 5 "', b"5", id="number inside a string"),
        pytest.param(b'"\\"text\\""', b'"text"', id="text inside a string"),
        pytest.param(b"12345678901234567890123", b"12345678901234567890123", id="big integer"),
        pytest.param(b'"[12345678901234567890123]"', b"[12345678901234567890123]", id="big one in a string"),
        pytest.param(b"[1.10,1e2]", b"[1.10,1e2]", id="floats as they are written"),
        pytest.param('{"ä":"\U0001f600"}'.encode(), '{"ä":"\U0001f600"}'.encode(), id="beyond ASCII"),
        pytest.param(b'"\\ud83d\\ude00"', b'"\\ud83d\\ude00"', id="surrogate pair"),
        pytest.param(b"[" * 256 + b"]" * 256, b"[" * 256 + b"]" * 256, id="256 deep"),
    ],
)
async def test_params_are_shown_as_they_were_sent(client: httpx.AsyncClient, params: bytes, stored: bytes) -> None:
    """Params are any JSON, or JSON inside a string; their text is kept, with all digits."""
    answer = await client.post(INSTANCES, content=b'{"params":' + params + b"}")

    assert b'"params":' + stored + b',"trigger"' in await _stored_params(client, answer)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"{", "the request body is not JSON", id="cut off"),
        pytest.param(b"{} {}", "the request body is not JSON", id="two values"),
        pytest.param(b"\xef\xbb\xbf{}", "the request body is not JSON", id="byte order mark"),
        pytest.param(b"[]", "the request body: Expected `object`, got `array`", id="array"),
        pytest.param(b"null", "the request body: Expected `object`, got `null`", id="null"),
        pytest.param(b'{"instance_id":5}', "got `int` - at `$.instance_id`", id="id is a number"),
        pytest.param(b'{"location_hint":[]}', "got `array` - at `$.location_hint`", id="hint is an array"),
        pytest.param(b'{"instance_id":"\xff"}', "the request body is not UTF-8", id="not UTF-8"),
        pytest.param(b'{"instance_id":"\\ud800"}', "a lone surrogate", id="id with a lone surrogate"),
        pytest.param(b'{"params":"\\udc00\\ud800"}', "a lone surrogate", id="pair the wrong way round"),
        pytest.param(b'{"params":{"\\ud800":1}}', "a lone surrogate", id="key with a lone surrogate"),
        pytest.param(b'{"params":"\\"\\\\ud800\\""}', "a lone surrogate", id="lone surrogate in a string"),
        pytest.param(b'{"params":"\xff"}', "params is not UTF-8", id="params not UTF-8"),
        pytest.param(b'{"params":NaN}', "the request body is not JSON", id="NaN"),
        pytest.param(b'{"params":[-Infinity]}', "the request body is not JSON", id="infinity"),
        pytest.param(b'{"params":1e400}', "params: Number out of range", id="number beyond a float"),
        pytest.param(b'{"params":' + b"9" * 5000 + b"}", "params: Integer value out of range", id="5,000 digits"),
        pytest.param(
            b'{"params":' + b"[" * 257 + b"]" * 257 + b"}",
            "params is nested more than 256 deep",
            id="257 deep",
        ),
        pytest.param(
            b'{"params":"' + b"[" * 257 + b"]" * 257 + b'"}',
            "params is nested more than 256 deep",
            id="257 deep in a string",
        ),
        pytest.param(
            b'{"params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "the request body is nested more than 256 deep",
            id="100,000 deep",
        ),
        pytest.param(b'{"x":' + b"[" * 100_000, "the request body is nested more than 256 deep", id="brackets"),
        pytest.param(
            b'{"params":"' + b"[" * 100_000 + b'"}',
            "params is nested more than 256 deep",
            id="100,000 in a string",
        ),
        pytest.param(b'{"params":"' + b"x" * 2**20 + b'"}', "params is 1,048,578 bytes as JSON", id="params too large"),
        pytest.param(
            b'{"instance_retention":{"success_retention":"soon"}}',
            "instance_retention.success_retention must be a number of milliseconds or a duration such as "
            '"5 minutes", got "soon"',
            id="retention in the wrong words",
        ),
        pytest.param(b'{"instance_retention":{"error_retention":-1}}', 'got "-1"', id="retention below zero"),
        pytest.param(
            b'{"instance_retention":{"error_retention":true}}',
            "got `bool` - at `$.instance_retention.error_retention`",
            id="retention is a bool",
        ),
        pytest.param(b'{"instance_retention":"1 day"}', "at `$.instance_retention`", id="retention is a text"),
    ],
)
async def test_wrong_body_is_refused(client: httpx.AsyncClient, body: bytes, problem: str) -> None:
    """A body that cannot be taken is 400 with code 10002 and says what is wrong; nothing is created."""
    answer = await client.post(INSTANCES, content=body)
    listed = await client.get(INSTANCES)

    (error,) = answer.json()["errors"]

    assert (answer.status_code, error["code"]) == (400, 10002)
    assert error["message"].startswith("workflows.api.error.body: ")
    assert problem in error["message"]
    assert listed.json()["result"] == []


@pytest.mark.parametrize(
    "retention",
    [
        pytest.param({"success_retention": 0, "error_retention": 0}, id="zeros"),
        pytest.param({"success_retention": 60_000, "error_retention": "2 weeks"}, id="number and words"),
        pytest.param({"success_retention": None}, id="null"),
    ],
)
async def test_retention_is_taken(client: httpx.AsyncClient, retention: dict[str, Any]) -> None:
    """Retention is milliseconds or a duration in words; the zeros that Go's client sends say nothing."""
    answer = await client.post(INSTANCES, json={"instance_retention": retention})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "id",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 101, id="101 characters"),
        pytest.param("-a", id="leading dash"),
        pytest.param("a b", id="space"),
        pytest.param("batch", id="reserved word"),
        pytest.param("cf_" + "0" * 64, id="reserved form"),
        pytest.param("ä", id="beyond ASCII"),
    ],
)
async def test_id_that_breaks_the_rule_is_refused(client: httpx.AsyncClient, id: str) -> None:
    """An id outside the rule is 400 with code 10002, under Cloudflare's key for it."""
    answer = await client.post(INSTANCES, json={"instance_id": id})

    (error,) = answer.json()["errors"]

    assert (answer.status_code, error["code"]) == (400, 10002)
    assert error["message"].startswith("workflows.api.error.instance.invalid_id: ")


@pytest.mark.parametrize("id", [pytest.param("x", id="one character"), pytest.param("x" * 100, id="100 characters")])
async def test_id_at_the_bounds_is_taken(client: httpx.AsyncClient, id: str) -> None:
    """Ids have 1 to 100 characters."""
    answer = await client.post(INSTANCES, json={"instance_id": id})

    assert answer.json()["result"]["id"] == id


async def test_same_id_again_is_refused(client: httpx.AsyncClient) -> None:
    """An id that is taken is 400 with code 10405: SDKs would repeat a 409."""
    await client.post(INSTANCES, json={"instance_id": "a"})

    answer = await client.post(INSTANCES, json={"instance_id": "a"})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 10405)
    assert error["message"].startswith("workflows.api.error.instance.already_exists: ")


async def test_instance_of_an_unknown_workflow_is_404(client: httpx.AsyncClient) -> None:
    """Creating an instance of a workflow that is not there is 404 with code 10200."""
    answer = await client.post("workflows/none/instances", json={})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 10200)


async def test_content_type_does_not_matter(app: ASGIApp, histories: Histories) -> None:
    """A body is JSON whatever its content type says, and also without one."""
    plain = {"host": "localhost", "content-type": "text/plain"}

    answers = [
        await ask(app, INSTANCES, "POST", b'{"params":1}', headers) for headers in ({"host": "localhost"}, plain)
    ]

    assert [answer.status for answer in answers] == [200, 200]


async def test_body_in_pieces_is_taken(app: ASGIApp, histories: Histories) -> None:
    """A body may come in any number of pieces."""
    answer = await ask(app, INSTANCES, "POST", [b'{"insta', b"", b'nce_id":"', b'a"}'])

    assert answer.json()["result"]["id"] == "a"


async def test_params_at_the_limit_are_taken(client: httpx.AsyncClient) -> None:
    """Params of exactly 1 MiB are taken, also when their escapes make the body larger."""
    text = '"' * (2**20 // 2 - 1)

    answer = await client.post(INSTANCES, json={"params": msgspec.json.encode(text).decode()})

    assert answer.status_code == 200


@pytest.mark.parametrize("is_declared", [pytest.param(True, id="declared"), pytest.param(False, id="chunked")])
async def test_oversized_body_is_refused_before_it_is_read(
    app: ASGIApp, histories: Histories, is_declared: bool
) -> None:
    """A body beyond what any valid one needs is 413, as soon as that is known."""
    pieces = [b" " * 2**20] * 100
    headers = {"host": "localhost"} | ({"content-length": str(100 * 2**20)} if is_declared else {})

    answer = await ask(app, INSTANCES, "POST", iter(pieces), headers)

    assert answer.refusal() == (
        413,
        10002,
        "workflows.api.error.body: the request body is larger than 4,194,304 bytes, which no valid one is",
    )
