"""What is sent again, when, and what is not."""

from typing import Any

import pytest

from stepwell.sdk.errors import AlreadyExists, Unreachable
from stepwell.sdk.instances import Instances
from stepwell.sdk.messages import Answer, Request
from stepwell.sdk.models import CreatedInstance
from stepwell.sdk.retries import Retries, ask
from stepwell.sdk.ways import Site, Sync
from tests.sdk.playing import STEADY, Played, bad, good, play

LOOK = Request("GET", "/x", is_repeatable=True)
DO = Request("POST", "/x")
LOST = Unreachable("the connection broke", is_sent=True)
NOT_SENT = Unreachable("no connection", is_sent=False)
FINE = good({})
NEW = {"id": "1", "status": "queued"}


@pytest.mark.parametrize(
    ("request_", "replies", "pauses"),
    [
        pytest.param(LOOK, [FINE], [], id="good"),
        pytest.param(LOOK, [LOST, NOT_SENT, FINE], [0.5, 1.0], id="a look without an answer"),
        pytest.param(LOOK, [bad(500), bad(503), FINE], [0.5, 1.0], id="a look at a fault"),
        pytest.param(DO, [NOT_SENT, FINE], [0.5], id="what never left"),
        pytest.param(DO, [bad(429), bad(408), FINE], [0.5, 1.0], id="what was refused for now"),
        pytest.param(DO, [bad(429, retry_after="7"), FINE], [7.0], id="when the server says"),
        pytest.param(
            DO,
            [
                bad(
                    429,
                    date="Thu, 26 Nov 2026 10:00:00 GMT",
                    retry_after="Thu, 26 Nov 2026 10:00:09 GMT",
                ),
                FINE,
            ],
            [9.0],
            id="at a date by the server's clock",
        ),
        pytest.param(DO, [bad(429, retry_after="soon"), FINE], [0.5], id="when the server says nothing that is known"),
    ],
)
def test_request_is_sent_again_where_that_does_nothing_twice(
    request_: Request, replies: list[Any], pauses: list[float]
) -> None:
    """The pauses double; the server's word counts for more."""
    played = play(ask(request_, STEADY), replies)

    assert (played.result, played.pauses, played.sent) == (FINE, pauses, [request_] * len(replies))


@pytest.mark.parametrize(
    ("request_", "replies"),
    [
        pytest.param(DO, [LOST], id="what may have been done"),
        pytest.param(DO, [bad(500)], id="what met a fault and may have been done"),
        pytest.param(LOOK, [bad(404)], id="what would be refused again"),
        pytest.param(LOOK, [bad(503, x_should_retry="false")], id="what the server calls useless"),
        pytest.param(LOOK, [bad(429, retry_after="61")], id="what would take long"),
        pytest.param(LOOK, [LOST, LOST, LOST], id="more often than allowed"),
        pytest.param(LOOK, [bad(500), bad(500), bad(500)], id="more often than allowed, answered"),
    ],
)
def test_request_is_not_sent_again(request_: Request, replies: list[Any]) -> None:
    """The last answer is what there is, or the last error."""
    played = play(ask(request_, STEADY), replies)

    assert played.result == replies[-1] if isinstance(replies[-1], Answer) else played.error is replies[-1]
    assert len(played.sent) == len(replies)


def test_pauses_are_bounded_and_shortened_by_chance() -> None:
    """No pause is longer than eight seconds, and each may be a quarter shorter."""
    assert [Retries(jitter=lambda: 0.0).delay_s(retry) for retry in (0, 3, 4, 5, 2000)] == [0.5, 4.0, 8.0, 8.0, 8.0]
    assert Retries(jitter=lambda: 1.0).delay_s(1) == 0.75
    assert Retries().jitter() != Retries().jitter()


def test_nothing_is_sent_again_where_that_is_forbidden() -> None:
    """`max_retries` 0 means once, also for those who wait."""
    assert Retries(0).patient().most == 0
    assert Retries(1).patient().most == 10
    assert len(play(ask(LOOK, Retries(0)), [LOST]).sent) == 1


# ---- what is made to be done once


def _play(method: Any, replies: list[Any], *args: Any, is_cloudflare: bool = False, **options: Any) -> Played:
    ids = iter(["id-1", "id-2", "id-3"])
    site = Site("acme", is_cloudflare, STEADY, lambda: next(ids))
    instances: Instances[Sync] = Instances(None, site)  # type: ignore[arg-type]  # nobody runs it
    return play(method.build(instances, "order", *args, **options), replies)


@pytest.mark.parametrize("is_cloudflare", [False, True])
def test_instance_without_an_id_is_created_once(is_cloudflare: bool) -> None:
    """The client makes the id; a request that is sent again is the same one, and finding the id taken is success."""
    taken = bad(400, 10405, "it exists")
    found = good({"status": "running", "versionId": "v", "trigger": {"source": "api"}})

    played = _play(Instances.create, [LOST, taken, found], is_cloudflare=is_cloudflare)

    assert played.result == CreatedInstance(id="id-1", status="running", version_id="v", trigger_source="api")
    first, again, look = played.sent
    assert first == again
    assert b'"instance_id":"id-1"' in (first.body or b"")
    assert (look.method, look.path, look.query) == (
        "GET",
        "/accounts/acme/workflows/order/instances/id-1",
        (("simple", "true"),),
    )


def test_instance_with_an_id_is_sent_again_to_a_server_that_knows_keys() -> None:
    """Stepwell does a request with a key once, so the answer is its own."""
    played = _play(Instances.create, [LOST, good(NEW)], instance_id="mine")

    assert played.result.id == "1"
    assert [request.headers["idempotency-key"] for request in played.sent] == ["id-1", "id-1"]


def test_instance_with_an_id_is_not_sent_again_to_cloudflare() -> None:
    """Whose the instance is that has the id then nobody could tell."""
    played = _play(Instances.create, [LOST], instance_id="mine", is_cloudflare=True)

    assert played.error is LOST
    assert "idempotency-key" not in played.sent[0].headers


def test_id_of_the_callers_own_that_is_taken_is_an_error() -> None:
    """It is another's instance, or one of an earlier call."""
    played = _play(Instances.create, [bad(400, 10405)], instance_id="mine")

    assert isinstance(played.error, AlreadyExists)


def test_event_is_sent_again_to_a_server_that_knows_keys_alone() -> None:
    """Stepwell takes it once; Cloudflare would take it twice."""
    ours = _play(Instances.send_event, [LOST, good({})], "a", "approved", {})
    theirs = _play(Instances.send_event, [LOST], "a", "approved", {}, is_cloudflare=True)

    assert [request.headers["idempotency-key"] for request in ours.sent] == ["id-1", "id-1"]
    assert theirs.error is LOST


@pytest.mark.parametrize(
    ("method", "args"),
    [
        pytest.param(Instances.pause, ["a"], id="pause"),
        pytest.param(Instances.restart, ["a"], id="restart"),
        pytest.param(Instances.create_batch, [[{}]], id="batch"),
    ],
)
def test_what_may_have_changed_something_is_sent_once(method: Any, args: list[Any]) -> None:
    """A restart that is sent twice is two restarts."""
    assert _play(method, [LOST], *args).error is LOST


def test_deletion_is_sent_again() -> None:
    """What is gone is gone."""
    assert len(_play(Instances.delete, [LOST, good({})], "a").sent) == 2
