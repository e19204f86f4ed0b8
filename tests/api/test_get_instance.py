"""`GET .../instances/{id}`: fields, outputs, the order of steps, and pages of them."""

from itertools import chain
from typing import Any

import httpx
import pytest

from stepwell.core.records import AttemptStarted, Key
from stepwell.engine import Engine
from tests.api.histories import CONFIG, VERSION_ID, Histories, do

INSTANCE = "workflows/order/instances/a"
CONFIG_SHOWN = {
    "retries": {"limit": 5, "delay": 10000, "backoff": "exponential"},
    "timeout": "10 minutes",
}
REFUSED = {"name": "ValueError", "message": "the card was refused"}


async def _get(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"{INSTANCE}?{query}")
    assert answer.status_code == 200, answer.text
    envelope: dict[str, Any] = answer.json()
    return envelope


async def _names(client: httpx.AsyncClient, query: str) -> list[str]:
    return [entry["name"] for entry in (await _get(client, query))["result"]["steps"]]


# ---- top level


async def test_queued_instance_has_every_field(client: httpx.AsyncClient, histories: Histories) -> None:
    """All fields are there from the beginning, null where there is nothing yet."""
    await histories.queued("order", "a", '{"orderId": 7}')

    envelope = await _get(client)

    assert envelope == {
        "success": True,
        "errors": [],
        "messages": [],
        "result": {
            "status": "queued",
            "params": {"orderId": 7},
            "trigger": {"source": "api"},
            "versionId": VERSION_ID,
            "queued": "2026-11-23T10:00:00.010Z",
            "start": None,
            "end": None,
            "success": None,
            "error": None,
            "output": None,
            "rollback": None,
            "step_count": 0,
            "steps": [],
        },
        "result_info": {"count": 0, "per_page": 0, "total_count": 0, "cursor": "", "page": 1},
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("running", ("running", "2026-11-23T10:00:00.010Z", None, None, None), id="running"),
        pytest.param("waiting", ("waiting", "2026-11-23T10:00:00.010Z", None, None, None), id="waiting"),
        pytest.param(
            "complete",
            ("complete", "2026-11-23T10:00:00.010Z", "2026-11-23T10:00:00.240Z", True, None),
            id="complete",
        ),
        pytest.param(
            "errored",
            ("errored", "2026-11-23T10:00:00.010Z", "2026-11-23T10:00:00.050Z", False, REFUSED),
            id="errored",
        ),
    ],
)
async def test_status_goes_with_times_success_and_error(
    client: httpx.AsyncClient, histories: Histories, status: str, expected: tuple[object, ...]
) -> None:
    """`success` is null while not final, true for complete, false for errored, which has an `error`."""
    await getattr(histories, status)("order", "a")

    result = (await _get(client))["result"]

    assert tuple(result[name] for name in ("status", "start", "end", "success", "error")) == expected


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        pytest.param("5", b"5", id="integer"),
        pytest.param("0", b"0", id="zero"),
        pytest.param("-1.5e-07", b"-1.5e-07", id="float"),
        pytest.param("12345678901234567890123", b"12345678901234567890123", id="big integer"),
        pytest.param('"done"', b'"done"', id="text"),
        pytest.param('""', b'""', id="empty text"),
        pytest.param('"5"', b'"5"', id="text that looks like a number"),
        pytest.param("true", b'"true"', id="true"),
        pytest.param("false", b'"false"', id="false"),
        pytest.param("null", b"null", id="nothing"),
        pytest.param("[]", b'"[]"', id="list"),
        pytest.param('{"a":"b"}', b'"{\\"a\\":\\"b\\"}"', id="object"),
        pytest.param('"' + "x" * 5000 + '"', b'"' + b"x" * 5000 + b'"', id="text that lies apart"),
    ],
)
async def test_output_is_a_number_a_text_or_json_text(
    client: httpx.AsyncClient, histories: Histories, output: str, shown: bytes
) -> None:
    """A number stays a number, a text itself, all else becomes JSON text, and nothing is null."""
    await (await histories.turn("order", "a")).complete(output)

    answer = await client.get(INSTANCE)

    assert b'"output":' + shown + b',"rollback":null,' in answer.content


async def test_big_integer_in_params_keeps_its_digits(client: httpx.AsyncClient) -> None:
    """Numbers beyond 53 bits are shown with all their digits."""
    await client.post(
        "workflows/order/instances", content=b'{"instance_id":"a","params":{"n":12345678901234567890123}}'
    )

    answer = await client.get(INSTANCE)

    assert b'"params":{"n":12345678901234567890123}' in answer.content


# ---- entries


async def test_entries_of_every_type_are_shown(client: httpx.AsyncClient, histories: Histories) -> None:
    """Steps, sleeps and waits have exactly the members of their type, in the order of the calls."""
    await histories.complete("order", "a")

    steps = (await _get(client))["result"]["steps"]

    assert [entry["name"] for entry in steps] == [
        "charge-1",
        "charge-2",
        "card-1",
        "retried-1",
        "cancelled-1",
        "cool down-1",
        "approval-1",
        "silence-1",
    ]
    assert steps[0] == {
        "type": "step",
        "name": "charge-1",
        "start": "2026-11-23T10:00:00.020Z",
        "end": "2026-11-23T10:00:00.030Z",
        "success": True,
        "output": '{"chargeId":"c_1"}',
        "config": {"retries": {"limit": 5, "delay": 0.5, "backoff": "constant"}, "timeout": "1 hour"},
        "attempts": [
            {
                "start": "2026-11-23T10:00:00.020Z",
                "end": "2026-11-23T10:00:00.030Z",
                "success": True,
                "error": None,
            }
        ],
    }
    assert steps[5] == {
        "type": "sleep",
        "name": "cool down-1",
        "start": "2026-11-23T10:00:00.180Z",
        "end": "2026-11-23T10:00:00.185Z",
        "finished": True,
        "error": None,
    }
    assert steps[6] == {
        "type": "waitForEvent",
        "name": "approval-1",
        "event_type": "approved",
        "start": "2026-11-23T10:00:00.200Z",
        "end": "2026-11-23T10:00:00.220Z",
        "finished": True,
        "error": None,
        "output": '{"type":"approved","timestamp":"2026-11-23T10:00:00.210Z","payload":{"by":"ann"}}',
    }
    assert steps[7] == {
        "type": "waitForEvent",
        "name": "silence-1",
        "event_type": "never",
        "start": "2026-11-23T10:00:00.210Z",
        "end": "2026-11-23T10:00:00.230Z",
        "finished": True,
        "error": {"name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms"},
    }


async def test_step_that_returned_nothing_has_a_null_output(client: httpx.AsyncClient, histories: Histories) -> None:
    """A step's output is null when it returned nothing, and stays there."""
    await histories.complete("order", "a")

    step = (await _get(client))["result"]["steps"][1]

    assert (step["success"], step["output"]) == (True, None)


async def test_sensitive_step_is_redacted(client: httpx.AsyncClient, histories: Histories) -> None:
    """A sensitive output is not shown; the config says so, and shows whole numbers without a point."""
    await histories.complete("order", "a")

    answer = await client.get(INSTANCE)

    step = answer.json()["result"]["steps"][2]
    assert "[REDACTED]" in step["output"]
    assert b"4242" not in answer.content
    assert step["config"] == {
        "retries": {"limit": 0, "delay": "[dynamic]", "backoff": "linear"},
        "timeout": 60000,
        "sensitive": "output",
    }
    assert b'"timeout":60000,' in answer.content


async def test_attempts_are_shown_in_order_with_their_errors(client: httpx.AsyncClient, histories: Histories) -> None:
    """Failed, lost and interrupted attempts have an end and an error; only the step's last one succeeded."""
    await histories.complete("order", "a")

    step = (await _get(client))["result"]["steps"][3]

    assert step["attempts"][0] == {
        "start": "2026-11-23T10:00:00.080Z",
        "end": "2026-11-23T10:00:00.090Z",
        "success": False,
        "error": REFUSED,
    }
    assert [attempt["success"] for attempt in step["attempts"]] == [False, False, False, True]
    assert [attempt["error"]["name"] for attempt in step["attempts"][:3]] == [
        "ValueError",
        "WorkflowInternalError",
        "AttemptInterrupted",
    ]


async def test_step_between_attempts_is_open(client: httpx.AsyncClient, histories: Histories) -> None:
    """Between two attempts a step has neither end nor success, but its failed attempt has both."""
    await histories.running("order", "a")

    step = (await _get(client))["result"]["steps"][1]

    assert step == {
        "type": "step",
        "name": "charge-1",
        "start": "2026-11-23T10:00:00.040Z",
        "end": None,
        "success": None,
        "output": None,
        "config": CONFIG_SHOWN,
        "attempts": [
            {
                "start": "2026-11-23T10:00:00.040Z",
                "end": "2026-11-23T10:00:00.050Z",
                "success": False,
                "error": REFUSED,
            }
        ],
    }


async def test_open_sleep_and_wait_have_a_planned_end(client: httpx.AsyncClient, histories: Histories) -> None:
    """While it lasts, a sleep or wait shows when it will end, never null; it is not `finished`."""
    await histories.waiting("order", "a")

    steps = (await _get(client))["result"]["steps"]

    assert steps == [
        {
            "type": "sleep",
            "name": "cool down-1",
            "start": "2026-11-23T10:00:00.020Z",
            "end": "2026-11-23T10:01:00.020Z",
            "finished": False,
            "error": None,
        },
        {
            "type": "waitForEvent",
            "name": "approval-1",
            "event_type": "approved",
            "start": "2026-11-23T10:00:00.030Z",
            "end": "2026-11-23T10:01:00.021Z",
            "finished": False,
            "error": None,
        },
    ]


async def test_long_output_is_cut(client: httpx.AsyncClient, histories: Histories) -> None:
    """A step's output is cut after 1,024 characters and says so."""
    turn = await histories.turn("order", "a")
    await turn.step(do("big"), '"' + "x" * 9000 + '"')

    (step,) = (await _get(client))["result"]["steps"]

    assert step["output"] == '"' + "x" * 1023 + "[truncated output]"


# ---- order, simple


async def test_desc_is_the_exact_reverse(client: httpx.AsyncClient, histories: Histories) -> None:
    """`order=desc` shows the same entries, last first; `order=asc` is the default."""
    await histories.complete("order", "a")

    plain, asc, desc = [await _get(client, query) for query in ("", "order=asc", "order=desc")]

    assert asc == plain
    assert desc["result"]["steps"] == plain["result"]["steps"][::-1]
    assert {**desc["result"], "steps": []} == {**plain["result"], "steps": []}


@pytest.mark.parametrize("order", [pytest.param(o, id=o or "default") for o in ("", "order=asc", "order=desc")])
async def test_simple_leaves_out_the_steps_alone(client: httpx.AsyncClient, histories: Histories, order: str) -> None:
    """`simple=true` gives no steps, the same count of them, and all else as without it."""
    await histories.complete("order", "a")
    plain = await _get(client, f"{order}&simple=false")

    simple = await _get(client, f"{order}&simple=true")

    assert simple["result"] == {**plain["result"], "steps": []}
    assert simple["result"]["step_count"] == 8
    assert simple["result_info"] == {"count": 0, "per_page": 0, "total_count": 8, "cursor": "", "page": 1}


async def test_step_count_counts_every_entry(client: httpx.AsyncClient, histories: Histories) -> None:
    """`step_count` and `total_count` count steps, sleeps and waits alike."""
    await histories.complete("order", "a")

    envelope = await _get(client)

    assert (envelope["result"]["step_count"], len(envelope["result"]["steps"])) == (8, 8)
    assert envelope["result_info"] == {"count": 8, "per_page": 8, "total_count": 8, "cursor": "", "page": 1}


# ---- pages


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("per_page", [1, 3, 7, 8, 9])
async def test_pages_make_up_the_whole_log(
    client: httpx.AsyncClient, histories: Histories, order: str, per_page: int
) -> None:
    """Following the cursor until it is empty shows every entry once, in order."""
    await histories.complete("order", "a")
    whole = await _names(client, f"order={order}")
    cursor = ""
    pages: list[list[str]] = []

    while not pages or cursor:
        page = await _get(client, f"order={order}&per_page={per_page}&cursor={cursor}")
        pages.append([entry["name"] for entry in page["result"]["steps"]])
        cursor = page["result_info"]["cursor"]

    assert list(chain.from_iterable(pages)) == whole
    assert [len(page) for page in pages[:-1]] == [per_page] * (len(pages) - 1)
    assert pages[-1]


async def test_result_info_of_a_page(client: httpx.AsyncClient, histories: Histories) -> None:
    """A page tells its own size, how many entries it has, and how many there are."""
    await histories.complete("order", "a")

    info = (await _get(client, "per_page=3"))["result_info"]

    assert info.pop("cursor") != ""
    assert info == {"count": 3, "per_page": 3, "total_count": 8, "page": 1}


async def test_new_steps_move_no_page(client: httpx.AsyncClient, histories: Histories, engine: Engine) -> None:
    """A step that is added while somebody pages from the newest back neither repeats nor hides another."""
    turn = await histories.turn("order", "a")
    for name in ("one", "two", "three"):
        await turn.step(do(name), "1")
    cursor = (await _get(client, "order=desc&per_page=1"))["result_info"]["cursor"]
    await turn.write(AttemptStarted(turn.now(), Key(do("x").kind, "four", 1), 1, CONFIG))

    names = await _names(client, f"order=desc&per_page=1&cursor={cursor}")

    assert names == ["two-1"]


# ---- wrong parameters

CURSOR_RULE = "cursor must be a cursor that result_info of this same list gave, got"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("order=up", 'order must be one of: asc, desc, got "up"', id="order"),
        pytest.param("order=", 'order must be one of: asc, desc, got ""', id="order empty"),
        pytest.param("order=Asc", 'order must be one of: asc, desc, got "Asc"', id="order in capitals"),
        pytest.param("order=asc%20", 'order must be one of: asc, desc, got "asc "', id="order with a space"),
        pytest.param(
            "order=asc&order=desc",
            'order is given 2 times ("asc", "desc"); give one of: asc, desc, once',
            id="order twice",
        ),
        pytest.param(
            "order=asc&order=asc",
            'order is given 2 times ("asc", "asc"); give one of: asc, desc, once',
            id="order twice the same",
        ),
        pytest.param("simple=1", 'simple must be one of: true, false, got "1"', id="simple"),
        pytest.param("simple=True", 'simple must be one of: true, false, got "True"', id="simple in capitals"),
        pytest.param("simple", 'simple must be one of: true, false, got ""', id="simple without a value"),
        pytest.param(
            "simple=true&simple=false",
            'simple is given 2 times ("true", "false"); give one of: true, false, once',
            id="simple twice",
        ),
        pytest.param("per_page=0", 'per_page must be an integer from 1 to 10000, got "0"', id="per_page 0"),
        pytest.param("per_page=10001", 'per_page must be an integer from 1 to 10000, got "10001"', id="per_page 10001"),
        pytest.param("cursor=x", f'{CURSOR_RULE} "x"', id="cursor"),
        pytest.param("cursor=%25%00%F0", f'{CURSOR_RULE} "%\x00\ufffd"', id="cursor of odd bytes"),
        pytest.param("cursor=c2Rlc2MsMQ", f'{CURSOR_RULE} "c2Rlc2MsMQ"', id="cursor of the other order"),
        pytest.param("order=desc&cursor=c2FzYywx", f'{CURSOR_RULE} "c2FzYywx"', id="cursor of the other order again"),
        pytest.param("cursor=aTEsMQ", f'{CURSOR_RULE} "aTEsMQ"', id="cursor of another list"),
    ],
)
async def test_value_out_of_bounds_is_refused(
    client: httpx.AsyncClient, histories: Histories, query: str, problem: str
) -> None:
    """A wrong value is 400 with code 10002; the message names parameter, value and what is allowed."""
    await histories.queued("order", "a")

    answer = await client.get(f"{INSTANCE}?{query}")

    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [{"code": 10002, "message": f"workflows.api.error.body: query parameter {problem}"}],
    )


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="empty"),
        pytest.param("&&=&", id="empty parts"),
        pytest.param("unknown=1&unknown=2&%FF=%00", id="unknown parameters"),
        pytest.param("page=99", id="page"),
        pytest.param("per_page=1", id="per_page 1"),
        pytest.param("per_page=10000", id="per_page 10000"),
        pytest.param("cursor=", id="empty cursor"),
        pytest.param("cursor=c2FzYyw5OTk", id="cursor beyond the end"),
    ],
)
async def test_other_query_is_taken(client: httpx.AsyncClient, histories: Histories, query: str) -> None:
    """The bounds themselves are allowed, and parameters that nobody knows are ignored."""
    await histories.queued("order", "a")

    answer = await client.get(f"{INSTANCE}?{query}")

    assert answer.status_code == 200
