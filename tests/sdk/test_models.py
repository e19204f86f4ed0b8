"""Answers of servers that are newer, older, or none."""

import pickle
from typing import Any

import msgspec
import pytest

from stepwell.sdk.answers import envelope_of, result_of
from stepwell.sdk.errors import (
    ApiError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotEnded,
    NotFound,
    RateLimited,
    ServerError,
    TimedOut,
    Unauthorized,
    UnreadableAnswer,
)
from stepwell.sdk.graph import LoopNode, StepDoNode, UnknownNode, VersionGraph
from stepwell.sdk.messages import Answer
from stepwell.sdk.models import Instance, Step, Termination, UnknownEntry
from tests.sdk.playing import bad, good

AT = "2026-11-23T10:00:00.000Z"
VERSION = {"id": "v", "class_name": "Order", "created_on": AT, "modified_on": AT, "workflow_id": "w"}


def test_what_is_new_is_passed_over() -> None:
    """Members that are not known are dropped; statuses, triggers and outcomes that are not known are given."""
    told = {
        "status": "hibernating",
        "trigger": {"source": "moon", "phase": 3},
        "rollback": {"outcome": "halfway", "error": None},
        "new": [1],
        "steps": [
            {
                "type": "step",
                "name": "a-1",
                "start": AT,
                "config": {"retries": {"limit": 1, "delay": 5, "backoff": "wild"}, "timeout": 5},
                "new": 1,
            }
        ],
    }

    found = result_of(good(told), Instance)

    assert (found.status, found.has_ended, found.trigger.source) == ("hibernating", False, "moon")
    assert found.rollback is not None
    assert found.rollback.outcome == "halfway"
    (step,) = found.steps
    assert isinstance(step, Step)
    assert step.config is not None
    assert step.config.retries.backoff == "wild"


def test_entry_of_an_unknown_type_is_given_as_it_came() -> None:
    """The others are typed all the same, and nothing of the author's is changed."""
    moon = {"type": "moonrise", "at": AT, "nodes": [{"type": "x"}]}
    params = {"steps": [moon], "graph": {"nodes": [moon]}}
    told = {"status": "running", "params": params, "output": params, "steps": [moon, {"type": "termination"}]}

    found = result_of(good(told), Instance)

    assert found.steps == [UnknownEntry(given=moon), Termination()]
    assert (found.params, found.output) == (params, params)


def test_node_of_an_unknown_type_is_given_as_it_came() -> None:
    """At any depth, within nodes and branches."""
    moon = {"type": "moonrise", "height": 3}
    nodes = [{"type": "loop", "nodes": [moon, {"type": "step_do", "name": "a"}]}]

    found = result_of(good({**VERSION, "graph": {"workflow": {"class_name": "Order", "nodes": nodes}}}), VersionGraph)

    assert found.graph is not None
    assert found.graph.workflow.nodes == [LoopNode(nodes=[UnknownNode(given=moon), StepDoNode(name="a")])]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(bad(400), InvalidRequest, id="400"),
        pytest.param(bad(413), InvalidRequest, id="413"),
        pytest.param(bad(401), Unauthorized, id="401"),
        pytest.param(bad(403), NotAllowed, id="403"),
        pytest.param(bad(404), NotFound, id="404"),
        pytest.param(bad(409), Conflict, id="409"),
        pytest.param(bad(400, 10401), Conflict, id="10401"),
        pytest.param(bad(429), RateLimited, id="429"),
        pytest.param(bad(500), ServerError, id="500"),
        pytest.param(bad(503), ServerError, id="503"),
        pytest.param(Answer(502, {}, b"<html>bad gateway"), ServerError, id="a proxy"),
        pytest.param(Answer(302, {}, b""), InvalidRequest, id="a way to elsewhere"),
        pytest.param(Answer(200, {}, b"<html>sign in"), UnreadableAnswer, id="a page"),
        pytest.param(Answer(200, {}, b'{"hello": 1}'), UnreadableAnswer, id="another API"),
        pytest.param(good(None), UnreadableAnswer, id="no result"),
        pytest.param(good({"status": 5}), UnreadableAnswer, id="a result of another kind"),
        pytest.param(Answer(200, {}, bad(400, 7, "no").body), InvalidRequest, id="a refusal with 200"),
        pytest.param(
            Answer(200, {}, b'{"success": false, "errors": [{"code": 7}], "result": {"status": "running"}}'),
            InvalidRequest,
            id="a refusal with a result",
        ),
    ],
)
def test_refusal_is_of_its_kind(answer: Answer, kind: type[ApiError]) -> None:
    """Every kind is an ApiError, and what is no answer of this API is told as that."""
    with pytest.raises(ApiError) as refused:
        envelope_of(answer, Instance)

    assert type(refused.value) is kind
    assert refused.value.status == answer.status


def test_error_has_code_message_status_and_request() -> None:
    """Cloudflare's ray, or what another server calls the request, is in the text, too."""
    with pytest.raises(NotFound) as refused:
        result_of(bad(404, 10400, "no such instance", cf_ray="8f2-AMS"), Instance)

    error = refused.value
    assert (error.status, error.error_code, error.message, error.request_id) == (
        404,
        10400,
        "no such instance",
        "8f2-AMS",
    )
    assert str(error) == "no such instance (status 404, code 10400, request 8f2-AMS)"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry_after": "120"}, 120.0, id="seconds"),
        pytest.param(
            {"retry_after": "Thu, 26 Nov 2026 10:02:00 GMT", "date": "Thu, 26 Nov 2026 10:00:00 GMT"}, 120.0, id="date"
        ),
        pytest.param({"retry_after": "soon"}, None, id="neither"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_limit_says_when_to_come_again(headers: Any, seconds: float | None) -> None:
    """In seconds."""
    with pytest.raises(RateLimited) as refused:
        result_of(bad(429, **headers), Instance)

    assert refused.value.retry_after_s == seconds


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no such instance", status=404, error_code=10400, request_id="ray"),
        TimedOut("silent", is_sent=True),
        NotEnded("not in time", Instance(status="running", step_count=3)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_goes_to_other_processes(error: ApiError) -> None:
    """As it is, with all that it has."""
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_whole_numbers_may_be_written_as_floats() -> None:
    """Cloudflare's counts are numbers of any kind."""
    answer = Answer(200, {}, b'{"success": true, "result": {"status": "running", "step_count": 3.0}}')

    assert result_of(answer, Instance).step_count == 3


@pytest.mark.parametrize("digits", ["123456789012345678901234567890", "0.1", "-0.0", "9007199254740993"])
def test_numbers_keep_their_digits(digits: str) -> None:
    """As far as Python has them: integers all."""
    answer = Answer(200, {}, b'{"success": true, "result": {"status": "running", "params": %b}}' % digits.encode())

    found: Any = result_of(answer, Instance).params

    assert msgspec.json.encode(found).decode() == digits
