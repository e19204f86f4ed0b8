"""Waiting for the end of an instance, by either kind of server."""

from typing import Any

import pytest

from stepwell.errors import InvalidInput
from stepwell.sdk.errors import NotEnded, NotFound, ServerError, Unreachable
from stepwell.sdk.waiting import wait_for_end
from tests.sdk.playing import STEADY, Played, bad, good, play

LOST = Unreachable("the connection broke", is_sent=True)


def _wait(replies: list[Any], timeout_s: float | None = None) -> Played:
    return play(wait_for_end("/i", timeout_s, STEADY), replies)


def _stands(status: str, **headers: str) -> Any:
    return good({"status": status}, **headers)


def test_server_that_waits_is_asked_on_with_what_was_seen() -> None:
    """Each request names the state that the one before has shown; there is no pause between them."""
    shown = {"preference_applied": "wait=30"}

    played = _wait([_stands("running", etag='"3"', **shown), _stands("complete", etag='"9"', **shown)])

    assert played.result.status == "complete"
    assert [dict(request.headers) for request in played.sent] == [
        {"prefer": "wait=30"},
        {"prefer": "wait=30", "if-none-match": '"3"'},
    ]
    assert [request.wait_s for request in played.sent] == [30, 30]
    assert played.pauses == []


def test_server_that_does_not_wait_is_asked_ever_less_often() -> None:
    """The pauses grow up to ten seconds, and no state is named that was not shown."""
    played = _wait([_stands("running")] * 12 + [_stands("errored")])

    assert played.pauses[:3] == [0.25, 0.375, 0.5625]
    assert played.pauses[-2:] == [10.0, 10.0]
    assert {tuple(request.headers) for request in played.sent} == {("prefer",)}


def test_time_that_is_over_is_told_with_the_instance() -> None:
    """NotEnded is a TimeoutError, and has the instance as it was seen last."""
    played = _wait([_stands("running"), _stands("waiting"), _stands("waiting")], timeout_s=0.5)

    assert isinstance(played.error, NotEnded)
    assert isinstance(played.error, TimeoutError)
    assert played.error.instance.status == "waiting"
    assert played.pauses == [0.25, 0.25]
    assert [dict(request.headers) for request in played.sent] == [{}, {}, {}]


def test_server_is_asked_to_wait_no_longer_than_the_caller() -> None:
    """The last of the requests that wait are shorter."""
    shown = {"preference_applied": "x"}

    played = _wait([25, _stands("running", **shown), 10, _stands("running", **shown)], timeout_s=35)

    assert isinstance(played.error, NotEnded)
    assert [request.headers["prefer"] for request in played.sent] == ["wait=30", "wait=10"]


def test_instance_is_looked_at_once_where_there_is_no_time() -> None:
    """A time-out of 0 is a look."""
    assert _wait([_stands("complete")], timeout_s=0).result.status == "complete"
    assert isinstance(_wait([_stands("running")], timeout_s=0).error, NotEnded)


@pytest.mark.parametrize("timeout_s", ["5", float("nan"), float("inf")])
def test_time_out_that_is_none_is_refused_before_anything_is_asked(timeout_s: Any) -> None:
    """The error names it."""
    played = _wait([], timeout_s=timeout_s)

    assert isinstance(played.error, InvalidInput)
    assert played.error.field == "timeout"
    assert played.sent == []


def test_server_may_restart_meanwhile() -> None:
    """About a minute without an answer is borne, ten tries one after the other."""
    played = _wait([LOST] * 10 + [_stands("complete")])

    assert played.result.status == "complete"
    assert played.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
    assert _wait([LOST] * 11).error is LOST


def test_server_that_is_away_is_not_waited_for_longer_than_the_caller_waits() -> None:
    """What was wrong last is told then."""
    played = _wait([bad(503), bad(503), bad(503)], timeout_s=1.0)

    assert isinstance(played.error, ServerError)
    assert sum(played.pauses) == pytest.approx(1.0)


def test_instance_that_is_gone_ends_the_wait() -> None:
    """What is deleted meanwhile is NotFound."""
    assert isinstance(_wait([_stands("running"), bad(404, 10400)]).error, NotFound)
