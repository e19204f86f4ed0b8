"""When to try again, read from errors of clients that are not there."""

from email.message import Message
from typing import Any

import pytest

from stepwell.core.rate_limits import told_wait_ms

DAY_MS = 24 * 60 * 60 * 1000
DATE = "Fri, 27 Nov 2026 23:00:00 GMT"


class Answer:
    """An answer, as httpx, requests and the SDKs on them have it."""

    def __init__(self, status: int, headers: Any) -> None:
        self.status_code = status
        self.headers = headers


class StatusError(Exception):
    """An error with the answer that was its cause."""

    def __init__(self, status: int, headers: Any) -> None:
        super().__init__(f"status {status}")
        self.response = Answer(status, headers)


class BareError(Exception):
    """An error that is the answer itself, as aiohttp (`status`) and urllib (`code`) have it."""

    def __init__(self, member: str, status: int, headers: Any) -> None:
        super().__init__(member)
        setattr(self, member, status)
        self.headers = headers


class Unanswered(Exception):
    """An error whose answer cannot be had, as in some clients."""

    @property
    def response(self) -> Any:
        """Raise."""
        raise RuntimeError("there is none")


@pytest.mark.parametrize(
    ("headers", "ms"),
    [
        pytest.param({"Retry-After": "7"}, 7000, id="seconds"),
        pytest.param({"retry-after": "0.25"}, 250, id="part of a second"),
        pytest.param({"retry-after-ms": "1200.5", "retry-after": "2"}, 1201, id="milliseconds are finer"),
        pytest.param({"retry-after": "Fri, 27 Nov 2026 23:01:30 GMT", "date": DATE}, 90_000, id="a moment"),
        pytest.param({"retry-after": "Fri, 27 Nov 2026 22:00:00 GMT", "date": DATE}, None, id="a moment gone by"),
        pytest.param({"retry-after": "Fri, 27 Nov 2026 23:01:30 GMT"}, None, id="a moment, and no clock"),
        pytest.param({"retry-after": "0"}, None, id="none at all: the backoff is better"),
        pytest.param({"retry-after": "-3"}, None, id="negative"),
        pytest.param({"retry-after": "nan"}, None, id="no number"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": "9" * 400}, None, id="no number that there is"),
        pytest.param({"retry-after": "1e9"}, DAY_MS, id="at most a day"),
        pytest.param(
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0.5s"}, 360_500, id="all used up"
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1h0m250ms",
            },
            3_600_250,
            id="two are used up: the later one",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"}, None, id="some are left"
        ),
        pytest.param(
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2026"}, None, id="not as OpenAI has it"
        ),
        pytest.param({}, None, id="nothing is said"),
        pytest.param(None, None, id="no headers"),
    ],
)
def test_headers_say_how_long_to_wait(headers: Any, ms: int | None) -> None:
    """The finest header that can be read is obeyed, for at most a day."""
    assert told_wait_ms(StatusError(429, headers)) == ms


@pytest.mark.parametrize(
    ("status", "ms"),
    [(429, 3000), (503, 3000), (529, 3000), (500, None), (401, None), (200, None)],
)
def test_only_who_has_too_much_to_do_is_obeyed(status: int, ms: int | None) -> None:
    """429, 503 and 529 are limits; any other answer's header is none of ours."""
    assert told_wait_ms(StatusError(status, {"retry-after": "3"})) == ms


@pytest.mark.parametrize("member", ["status", "code", "status_code"])
def test_error_may_be_the_answer_itself(member: str) -> None:
    """Clients that have no `response` are read as well, with headers that are no dict."""
    headers = Message()
    headers["Retry-After"] = "4"

    assert told_wait_ms(BareError(member, 429, headers)) == 4000


def test_cause_of_an_error_is_asked_too() -> None:
    """A framework's own error was raised from that of a client."""
    outer = ValueError("the model failed")
    outer.__cause__ = StatusError(429, {"retry-after": "5"})

    assert told_wait_ms(outer) == 5000


def test_error_that_is_its_own_cause_says_nothing() -> None:
    """A ring of causes is walked for a bounded time."""
    error = ValueError("round")
    error.__cause__ = error

    assert told_wait_ms(error) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unanswered(), id="whose answer raises"),
        pytest.param(StatusError(429, 5), id="whose headers are none"),
        pytest.param(ValueError("429"), id="that only says it"),
    ],
)
def test_other_errors_say_nothing(error: Exception) -> None:
    """What cannot be read is as if it were not there."""
    assert told_wait_ms(error) is None
