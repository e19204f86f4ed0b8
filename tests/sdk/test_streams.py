"""Events that go on where a connection was lost, and bytes of steps."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.sdk.effects import Connect
from stepwell.sdk.errors import Conflict, NotFound, Unreachable, UnreadableAnswer
from stepwell.sdk.messages import Answer, Request, get
from stepwell.sdk.streams import Blocks, follow, follow_lines, step_bytes
from tests.sdk.playing import STEADY, Played, bad, good, play

HEAD = Answer(200, {"content-type": "text/event-stream"})
BYTES = Answer(200, {"content-type": "application/octet-stream"})
LOST = Unreachable("the connection broke", is_sent=True)
WHOLE = b"".join(
    [b": a sign of life\n\n"]
    + [
        b'id: %d\ndata: {"instanceId": "a", "eventId": %d,\r\ndata: "timestamp": 5, "type": "t"}\n\n' % (n, n)
        for n in (16, 17, 32)
    ]
    + [b"id: 48\n\n"]
)


def _request(cursor: str | None) -> Request:
    return get("/events", {"cursor": cursor})


def _follow(replies: list[Any]) -> Played:
    return play(follow(_request, STEADY), replies)


def _ids(played: Played) -> list[int]:
    return [event.event_id for event in played.given]


def test_events_come_until_the_last_word() -> None:
    """The number without an event is the end: nobody asks again."""
    played = _follow([HEAD, WHOLE, b""])

    assert (_ids(played), len(played.sent), played.error) == ([16, 17, 32], 1, None)


@pytest.mark.parametrize("cut", [b"", LOST], ids=["ended", "broke"])
def test_each_event_comes_once_wherever_the_connection_is_lost(cut: Any) -> None:
    """The next request names the last event that came whole."""
    for at in range(len(WHOLE)):
        told = [number for number in (16, 17, 32) if at >= _behind(number)]
        rest = WHOLE[_behind(told[-1]) :] if told else WHOLE
        first = [WHOLE[:at]] if at else []

        played = _follow([HEAD, *first, cut, HEAD, rest, b""])

        assert _ids(played) == [16, 17, 32]
        assert [dict(request.query) for request in played.sent] == [{}, {"cursor": str(told[-1])} if told else {}]


def _behind(number: int) -> int:
    return WHOLE.index(b"\n\n", WHOLE.index(b"id: %d\n" % number)) + 2


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_pieces_may_be_of_any_length(cuts: list[int]) -> None:
    """Where a stream is cut into pieces changes nothing."""
    places = sorted({0, len(WHOLE), *cuts})
    blocks = Blocks()

    found = [block for at, to in itertools.pairwise(places) for block in blocks.feed(WHOLE[at:to])]

    assert [block.id for block in found] == ["16", "17", "32", "48"]
    assert found[0].data == b'{"instanceId": "a", "eventId": 16,\n"timestamp": 5, "type": "t"}'


def test_server_that_is_away_for_a_while_is_waited_for() -> None:
    """Tries that brought something begin the count anew; eleven in vain are too many."""
    one = b'id: 16\ndata: {"instanceId": "a", "eventId": 16, "timestamp": 5, "type": "t"}\n\n'
    played = _follow([HEAD, one, LOST, *([LOST] * 10), HEAD, b"id: 48\n\n", b""])

    assert (_ids(played), played.error) == ([16], None)
    assert _follow([LOST] * 11).error is LOST
    silent = [HEAD, b""] * 11
    assert isinstance(_follow(silent).error, Unreachable)


def test_stream_that_breaks_again_and_again_goes_on_as_long_as_it_brings_something() -> None:
    """However often: a connection that brings an event is none in vain."""
    one = b'id: %d\ndata: {"instanceId": "a", "eventId": %d, "timestamp": 5, "type": "t"}\n\n'
    broken = [reply for id in range(1, 31) for reply in (HEAD, one % (id, id), LOST)]

    played = _follow([*broken, HEAD, b"id: 48\n\n", b""])

    assert (_ids(played), played.error) == ([*range(1, 31)], None)


def test_event_without_a_number_leaves_the_place_as_it_was() -> None:
    """The next request names the last number that there was."""
    event = b'data: {"instanceId": "a", "eventId": 16, "timestamp": 5, "type": "t"}\n\n'

    played = _follow([HEAD, b"id: 16\n" + event, event, LOST, HEAD, b"id: 48\n\n", b""])

    assert [dict(request.query) for request in played.sent] == [{}, {"cursor": "16"}]


def test_refusal_is_told_with_its_reason() -> None:
    """The body of a refused stream is read for it."""
    refused = bad(404, 10400, "no such instance")

    played = _follow([Answer(404, refused.headers), refused.body, b""])

    assert isinstance(played.error, NotFound)
    assert played.error.message == "no such instance"


def test_event_that_is_none_is_told() -> None:
    """What a proxy makes of a stream is no event."""
    assert isinstance(_follow([HEAD, b"data: hello\n\n"]).error, UnreadableAnswer)


def test_bytes_of_a_step_come_as_they_are() -> None:
    """They are not gathered."""
    assert play(step_bytes(get("/step"), STEADY), [BYTES, b"abc", b"de", b""]).given == [b"abc", b"de"]


def test_bytes_that_break_off_are_no_whole_output() -> None:
    """What came so far was given; that more is missing is told, and nothing is begun again behind it."""
    played = play(step_bytes(get("/step"), STEADY), [LOST, BYTES, b"abc", LOST])

    assert (played.given, played.error, len(played.sent)) == ([b"abc"], LOST, 2)


def test_other_outputs_come_as_json() -> None:
    """Digit for digit as the server wrote them."""
    whole = good({"status": "complete", "error": None, "output": [1, {"a": None}]})

    played = play(step_bytes(get("/step"), STEADY), [Answer(200, whole.headers), whole.body[:9], whole.body[9:], b""])

    assert played.given == [b'[1,{"a":null}]']


def test_step_without_an_output_is_told() -> None:
    """Nothing is no output."""
    whole = good({"status": "running", "error": None})

    played = play(step_bytes(get("/step"), STEADY), [Answer(200, whole.headers), whole.body, b""])

    assert isinstance(played.error, Conflict)


SOCKET = Answer(101, {})


def _text(number: int, type: str = "t") -> bytes:
    return b'{"instanceId": "a", "eventId": %d, "timestamp": 5, "type": "%s"}' % (number, type.encode())


def _listen(replies: list[Any]) -> Played:
    return play(follow(_request, STEADY, Connect), replies)


def test_socket_that_breaks_is_opened_behind_the_last_event() -> None:
    """Each text is an event; a close in good order is the end."""
    played = _listen([SOCKET, _text(16), _text(17), LOST, SOCKET, _text(32), b""])

    assert (_ids(played), played.error) == ([16, 17, 32], None)
    assert [dict(request.query) for request in played.sent] == [{}, {"cursor": "17"}]


@pytest.mark.parametrize("last", ["workflow_completed", "workflow_errored", "workflow_terminated"])
def test_socket_that_breaks_behind_the_end_of_the_instance_has_told_all(last: str) -> None:
    """However Cloudflare closes it: which code that has is not documented."""
    played = _listen([SOCKET, _text(16, last), LOST])

    assert (_ids(played), len(played.sent), played.error) == ([16], 1, None)


def test_refused_socket_is_told_with_its_reason() -> None:
    """The answer has come whole."""
    played = _listen([bad(404, 10400, "no such instance")])

    assert isinstance(played.error, NotFound)
    assert played.error.message == "no such instance"


LINES = b"".join(
    [b"\n"] + [b'{"n": %d, "at": "2026-01-01T00:00:00Z", "level": "stdout", "text": "t"}\n' % n for n in (1, 2, 3)]
)


def _lines(replies: list[Any]) -> Played:
    return play(
        follow_lines(lambda n: get("/new", {"after": n}), lambda n: get("/page", {"after": n}), 0, STEADY), replies
    )


def _page(status: str, *lines: Any) -> Answer:
    return good({"status": status, "progress": None, "lines": list(lines), "next": 0})


@pytest.mark.parametrize("cut", [b"", LOST], ids=["ended", "broke"])
def test_each_line_comes_once_wherever_the_stream_is_lost(cut: Any) -> None:
    """The page behind the last line says that the instance goes on, and then that it has ended."""
    for at in range(1, len(LINES)):
        told = LINES[:at].count(b"\n") - 1 if at > 1 else 0
        rest = LINES.split(b"\n", 1 + told)[-1] if told else LINES

        replies = [HEAD, LINES[:at], cut, _page("running"), HEAD, *([rest] if rest else []), b"", _page("complete")]
        played = _lines(replies)

        assert [line.n for line in played.given] == [1, 2, 3]
        assert [dict(request.query)["after"] for request in played.sent] == ["0", str(told), str(told), "3"]


def test_lines_behind_the_end_of_an_instance_are_fetched() -> None:
    """The server stopped before it had told them."""
    one = {"n": 1, "at": "2026-01-01T00:00:00Z", "step": None, "attempt": None, "level": "stdout", "text": "t"}

    played = _lines([HEAD, b"", _page("complete", one), HEAD, LINES, b"", _page("complete")])

    assert [line.n for line in played.given] == [1, 2, 3]


def test_log_whose_server_stays_away_is_given_up() -> None:
    """Eleven tries in vain are too many."""
    assert _lines([LOST] * 11).error is LOST
    assert isinstance(_lines([HEAD, b"", _page("running")] * 11).error, Unreachable)
    assert isinstance(_lines([HEAD, b"<html>\n"]).error, UnreadableAnswer)
