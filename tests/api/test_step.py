"""`GET .../instances/{id}/step`: one step, whole."""

from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp, Message

from stepwell.api.step_bytes import StepBytes
from stepwell.core.records import (
    AttemptFailed,
    AttemptInterrupted,
    AttemptStarted,
    StepConfig,
    StepFailed,
    StepSucceeded,
    StreamRef,
    WaitEnded,
    WaitStarted,
)
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.store.workflow_operations import PurgeDeleted
from tests.api.asgi import ask
from tests.api.histories import BROKEN, CONFIG, Histories, Turn, do, wait

STEP = "workflows/order/instances/i/step"
REFUSED = {"name": "ValueError", "message": "the card was refused"}


async def _result(client: httpx.AsyncClient, query: str) -> Any:
    answer = await client.get(f"{STEP}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


@pytest.mark.parametrize(
    ("query", "result"),
    [
        pytest.param(
            "name=charge-1&type=step",
            {"status": "complete", "error": None, "output": {"chargeId": "c_1"}},
            id="object",
        ),
        pytest.param("name=charge-2&type=step", {"status": "complete", "error": None, "output": None}, id="nothing"),
        pytest.param(
            "name=card-1&type=step", {"status": "complete", "error": None, "output": "[REDACTED]"}, id="sensitive"
        ),
        pytest.param(
            "name=card-1&type=step&attempt=1",
            {"status": "complete", "error": None, "output": "[REDACTED]"},
            id="attempt of a sensitive step",
        ),
        pytest.param(
            "name=cancelled-1&type=step",
            {"status": "errored", "error": {"name": "CancelledError", "message": "The workflow cancelled the call."}},
            id="cancelled",
        ),
        pytest.param(
            "name=retried-1&type=step&attempt=1", {"status": "errored", "error": REFUSED}, id="attempt that failed"
        ),
        pytest.param(
            "name=retried-1&type=step&attempt=2",
            {
                "status": "errored",
                "error": {
                    "name": "WorkflowInternalError",
                    "message": "The attempt was lost: its worker process ended before the attempt did.",
                },
            },
            id="attempt that was lost",
        ),
        pytest.param(
            "name=approval-1&type=waitForEvent",
            {"status": "complete", "error": None, "output": {"by": "ann"}, "event_type": "approved"},
            id="event",
        ),
        pytest.param(
            "name=silence-1&type=waitForEvent",
            {
                "status": "errored",
                "error": {"name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms"},
                "event_type": "never",
            },
            id="wait that timed out",
        ),
    ],
)
async def test_step_is_shown_as_it_stands(
    client: httpx.AsyncClient, histories: Histories, query: str, result: dict[str, Any]
) -> None:
    """A step, an attempt of it or a wait tells its status, its error, and its whole output as a JSON value."""
    await histories.complete("order", "i")

    assert await _result(client, query) == result


async def test_all_digits_of_an_output_are_kept(client: httpx.AsyncClient, histories: Histories) -> None:
    """The output's text goes into the answer as it is stored."""
    await histories.complete("order", "i")

    answer = await client.get(f"{STEP}?name=retried-1&type=step&attempt=4")

    assert b'"output":12345678901234567890123}' in answer.content


async def test_output_is_whole_where_the_log_cuts_it(client: httpx.AsyncClient, histories: Histories) -> None:
    """An output of any size, also one that lies apart, comes whole."""
    turn = await histories.turn("order", "i")
    await turn.step(do("read"), '"' + "x" * 100_000 + '"')

    assert (await _result(client, "name=read-1&type=step"))["output"] == "x" * 100_000


async def test_value_beyond_json_is_shown_for_people(client: httpx.AsyncClient, histories: Histories) -> None:
    """What is stored in a form of its own is shown as the log shows it."""
    turn = await histories.turn("order", "i")
    await turn.step(do("when"), '{"$":"datetime","v":"2026-11-23T10:00:00+00:00"}')

    result = await _result(client, "name=when-1&type=step")

    assert result == {"status": "complete", "error": None, "output": "2026-11-23T10:00:00+00:00"}


async def test_event_is_shown_as_it_was_sent(client: httpx.AsyncClient, histories: Histories) -> None:
    """A payload that looks like a stored form is still the sender's."""
    turn = await histories.turn("order", "i")
    await turn.write(WaitStarted(turn.now(), wait("approval"), "approved", turn.now() + 99_000, 99_000))
    await histories.engine.send_event("local", "order", "i", "approved", '{"$":"datetime","v":"x"}')
    await turn.write(WaitEnded(turn.now(), wait("approval"), 4))

    result = await _result(client, "name=approval-1&type=waitForEvent")

    assert result["output"] == {"$": "datetime", "v": "x"}


@pytest.mark.parametrize(
    ("query", "result"),
    [
        pytest.param("name=ship-1&type=step", {"status": "running", "error": None}, id="in flight"),
        pytest.param("name=charge-1&type=step", {"status": "running", "error": REFUSED}, id="between attempts"),
        pytest.param("name=charge-1&type=step&attempt=1", {"status": "errored", "error": REFUSED}, id="attempt"),
        pytest.param("name=ship-1&type=step&attempt=1", {"status": "running", "error": None}, id="attempt in flight"),
    ],
)
async def test_open_step_is_running(
    client: httpx.AsyncClient, histories: Histories, query: str, result: dict[str, Any]
) -> None:
    """A step that has not ended is running; between two attempts the last one's error is there."""
    await histories.running("order", "i")

    assert await _result(client, query) == result


async def test_wait_of_an_instance_that_has_ended_is_errored(client: httpx.AsyncClient, histories: Histories) -> None:
    """Nothing waits any more in an instance that was terminated."""
    await histories.waiting("order", "i")
    await histories.engine.control.terminate("local", "order", "i")

    result = await _result(client, "name=approval-1&type=waitForEvent")

    assert (result["status"], result["error"]["name"]) == ("errored", "AttemptInterrupted")
    assert result["event_type"] == "approved"


async def test_open_wait_is_waiting(client: httpx.AsyncClient, histories: Histories) -> None:
    """A wait that has not ended is waiting, and names its event type."""
    await histories.waiting("order", "i")

    result = await _result(client, "name=approval-1&type=waitForEvent")

    assert result == {"status": "waiting", "error": None, "event_type": "approved"}


async def test_failed_step_has_its_final_error(client: httpx.AsyncClient, histories: Histories) -> None:
    """A step that has failed for good is errored."""
    await histories.errored("order", "i")

    assert await _result(client, "name=charge-1&type=step") == {"status": "errored", "error": REFUSED}


async def test_step_in_flight_at_the_end_of_its_instance_is_not_running(
    client: httpx.AsyncClient, histories: Histories
) -> None:
    """What the end of the instance interrupted is over."""
    turn = await histories.turn("order", "i")
    await turn.write(AttemptStarted(turn.now(), do("ship"), 1, CONFIG), AttemptInterrupted(turn.now(), do("ship"), 1))
    await turn.complete()

    result = await _result(client, "name=ship-1&type=step")

    assert (result["status"], result["error"]["name"]) == ("errored", "AttemptInterrupted")


async def test_step_and_wait_of_one_name_are_told_apart(client: httpx.AsyncClient, histories: Histories) -> None:
    """The type chooses between a step and a wait that share their name."""
    turn = await histories.turn("order", "i")
    await turn.write(AttemptStarted(turn.now(), do("approval"), 1, CONFIG))
    await turn.write(StepFailed(turn.now(), do("approval"), 1, BROKEN))

    answers = [await client.get(f"{STEP}?name=approval-1&type={type}") for type in ("step", "waitForEvent")]

    assert [answer.status_code for answer in answers] == [200, 404]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("name=charge&type=step", 'no step "charge" in instance "i"', id="name without its count"),
        pytest.param("name=charge-1&type=waitForEvent", 'no waitForEvent "charge-1"', id="other type"),
        pytest.param("name=cool%20down-1&type=step", 'no step "cool down-1"', id="a sleep"),
        pytest.param("name=charge-1&type=step&attempt=2", 'no attempt 2 of step "charge-1"', id="attempt"),
        pytest.param(
            "name=approval-1&type=waitForEvent&attempt=2", 'no attempt 2 of waitForEvent "app', id="of a wait"
        ),
    ],
)
async def test_unknown_step_is_404_and_named(app: ASGIApp, histories: Histories, query: str, problem: str) -> None:
    """A step that the instance does not have is 404 with code 10400, and the message names it."""
    await histories.complete("order", "i")

    status, code, message = (await ask(app, f"{STEP}?{query}")).refusal()

    assert (status, code) == (404, 10400)
    assert message.startswith(f"workflows.api.error.step.not_found: {problem}")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("type=step", "query parameter name is missing", id="no name"),
        pytest.param("name=charge-1", "query parameter type is missing; give one of: step, waitForEvent", id="no type"),
        pytest.param("name=charge-1&type=sleep", "type must be one of: step, waitForEvent", id="type"),
        pytest.param("name=charge-1&type=step&attempt=0", "attempt must be an integer from 1", id="attempt 0"),
        pytest.param("name=&type=step", "name must be a text of 1 to 276 characters", id="empty name"),
    ],
)
async def test_wrong_query_is_refused(app: ASGIApp, histories: Histories, query: str, problem: str) -> None:
    """Name and type have to be given, and right."""
    await histories.complete("order", "i")

    status, code, message = (await ask(app, f"{STEP}?{query}")).refusal()

    assert (status, code) == (400, 10002)
    assert problem in message


async def test_step_of_an_unknown_instance_is_404(app: ASGIApp, histories: Histories) -> None:
    """The instance is looked for first."""
    status, code, message = (await ask(app, f"{STEP}?name=a-1&type=step")).refusal()

    assert (status, code) == (404, 10400)
    assert message.startswith("workflows.api.error.instance.not_found: ")


# ---- streams


async def _streamed(histories: Histories, *pieces: bytes, config: StepConfig = CONFIG) -> Turn:
    """Write a step that returned a stream of these pieces, at its second attempt."""
    turn = await histories.turn("order", "i")
    await turn.write(
        AttemptStarted(turn.now(), do("export"), 1, config),
        AttemptFailed(turn.now(), do("export"), 1, BROKEN, turn.now()),
        AttemptStarted(turn.now(), do("export"), 2),
    )
    row, number = turn.claim.row, turn.claim.turn
    stream = await turn.store.run(BeginStream(row, number, "export", 2))
    for n, piece in enumerate(pieces, 1):
        await turn.store.run(WritePiece(row, number, stream, n, piece))
    ref = StreamRef(stream, sum(map(len, pieces)))
    await turn.write(StepSucceeded(turn.now(), do("export"), 2, '"shown"', ref))
    return turn


@pytest.mark.parametrize("attempt", [pytest.param("", id="step"), pytest.param("&attempt=2", id="attempt")])
async def test_stream_comes_as_its_bytes(client: httpx.AsyncClient, histories: Histories, attempt: str) -> None:
    """There is no envelope round them, and no browser takes them for anything else."""
    await _streamed(histories, b"\xff\0first", b"", b"second")

    answer = await client.get(f"{STEP}?name=export-1&type=step{attempt}")

    assert answer.content == b"\xff\0firstsecond"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == "13"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_empty_stream_has_no_bytes(client: httpx.AsyncClient, histories: Histories) -> None:
    """It is a stream all the same."""
    await _streamed(histories)

    answer = await client.get(f"{STEP}?name=export-1&type=step")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_attempt_that_failed_before_a_stream_has_its_error(
    client: httpx.AsyncClient, histories: Histories
) -> None:
    """Only what succeeded has bytes."""
    await _streamed(histories, b"first")

    assert await _result(client, "name=export-1&type=step&attempt=1") == {"status": "errored", "error": REFUSED}


async def test_stream_of_a_sensitive_step_is_not_told(client: httpx.AsyncClient, histories: Histories) -> None:
    """As any other output of it."""
    await _streamed(histories, b"secret", config=replace(CONFIG, sensitive="output"))

    result = await _result(client, "name=export-1&type=step")

    assert result == {"status": "complete", "error": None, "output": "[REDACTED]"}


async def test_log_tells_what_a_stream_begins_with(client: httpx.AsyncClient, histories: Histories) -> None:
    """What is on record beside the bytes."""
    await _streamed(histories, b"first")

    (entry,) = (await client.get("workflows/order/instances/i")).json()["result"]["steps"]

    assert entry["output"] == '"shown"'


async def test_stream_that_is_deleted_while_it_is_read_does_not_look_whole(
    histories: Histories, caplog: pytest.LogCaptureFixture
) -> None:
    """Fewer bytes come than were announced, and the log says why in one line."""
    turn = await _streamed(histories, b"first", b"second")
    await turn.store.run(DeleteInstance("local", "order", "i", turn.now()))
    streamed = StepBytes(histories.engine, StreamRef(1, 11))
    while await turn.store.run(PurgeDeleted()):
        pass
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await streamed.stream_response(send)

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert (b"content-length", b"11") in sent[0]["headers"]
    (line,) = caplog.records
    assert line.getMessage().startswith("the output of a step ends before its end: ")
    assert line.exc_info is None
