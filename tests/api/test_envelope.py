"""Errors that nobody sent: what the caller is told, and what the log."""

import asyncio
import logging
import re
from typing import NoReturn

import pytest
from starlette.types import ASGIApp, Message

from stepwell.api import create_app
from stepwell.engine import Engine
from stepwell.errors import OutOfOrder, PageTooSlow, StoreUnavailable, TurnLost
from tests.api.asgi import ask
from tests.api.histories import Histories


class FailingStore:
    """A store that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def run(self, operation: object) -> NoReturn:
        raise self._error


def _app(error: Exception) -> ASGIApp:
    return create_app(Engine(FailingStore(error)), account="local", hosts=None)  # type: ignore[arg-type]  # enough of a store


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("secret text"), id="any exception"),
        pytest.param(TurnLost(1, 1), id="an error of ours that no request can cause"),
        pytest.param(RecursionError("secret text"), id="recursion"),
    ],
)
async def test_unforeseen_error_is_told_by_its_id_alone(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets 500, code 10001 and an id; the log has the same id, the request and the traceback."""
    answer = await ask(_app(error), "workflows")

    status, code, message = answer.refusal()
    (record,) = caplog.records
    id = re.fullmatch(
        r"workflows\.api\.error\.internal_server: something went wrong here; "
        r"the server's log has it as request ([0-9a-f]{16})",
        message,
    )
    assert (status, code) == (500, 10001)
    assert id is not None
    assert id[1] == answer.request_id
    told = "error while answering GET /client/v4/accounts/any-account/workflows"
    assert record.getMessage() == f"{told} (request {id[1]})"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(StoreUnavailable("the disk is full"), id="unavailable"),
        pytest.param(OutOfOrder("the disk is full"), id="another"),
    ],
)
async def test_refusal_of_the_store_is_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """What the store refuses is 500 with its own clear text, and when to come back."""
    path = "/client/v4/accounts/a/workflows/order/instances"

    answer = await ask(_app(error), path, "POST", b"{}")

    assert answer.refusal() == (500, 10001, "workflows.api.error.internal_server: the disk is full")
    assert answer.headers["retry-after"] == "2"
    assert caplog.record_tuples == [
        (
            "stepwell.api.envelope",
            logging.ERROR,
            "the store refused POST /client/v4/accounts/a/workflows/order/instances "
            f"(request {answer.request_id}): the disk is full",
        )
    ]


@pytest.mark.parametrize("target", ["workflows", "workflows/nothing", "/nowhere", "/docs", "/"])
async def test_each_answer_has_an_id_of_its_own(app: ASGIApp, target: str) -> None:
    """Whatever it is, and whatever id the caller sends."""
    headers = {"host": "localhost", "x-request-id": "mine"}

    answers = [await ask(app, target, headers=headers) for _ in range(2)]

    ids = [answer.request_id for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{16}", id or "") for id in ids)
    assert ids[0] != ids[1]


async def test_answers_are_not_cached(app: ASGIApp, histories: Histories) -> None:
    """Answers are JSON, are not kept by caches, and are not guessed to be anything else."""
    answers = [await ask(app, "workflows"), await ask(app, "workflows/none")]

    named = {"content-type", "cache-control", "x-content-type-options"}
    assert [{name: value for name, value in answer.headers.items() if name in named} for answer in answers] == [
        {
            "content-type": "application/json",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
    ] * 2


async def test_client_that_goes_away_is_no_error(
    app: ASGIApp, histories: Histories, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that hangs up in the middle of a body creates nothing and leaves no trace in the log."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/client/v4/accounts/a/workflows/order/instances",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    messages: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        await asyncio.sleep(0)

    await app(scope, receive, send)
    listed = await ask(app, "workflows/order/instances")

    assert caplog.records == []
    assert listed.json()["result"] == []


async def test_other_protocols_are_not_spoken(app: ASGIApp) -> None:
    """The application answers HTTP; a server that offers it anything else gets nothing."""

    async def never() -> Message:
        raise AssertionError

    async def unsent(message: Message) -> None:
        raise AssertionError

    assert await app({"type": "lifespan"}, never, unsent) is None  # type: ignore[func-returns-value]  # the point of the test


async def test_list_that_took_too_long_is_503(caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told what to do, and SDKs not to ask the same again; the log names the request."""
    answer = await ask(_app(PageTooSlow("the list took longer than 10 seconds: ask for less")), "workflows")

    assert answer.refusal() == (
        503,
        10001,
        "workflows.api.error.internal_server: the list took longer than 10 seconds: ask for less",
    )
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert caplog.messages == [
        f"gave up GET /client/v4/accounts/any-account/workflows (request {answer.request_id}): "
        "the list took longer than 10 seconds: ask for less"
    ]
