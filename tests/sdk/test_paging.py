"""Lists that page by themselves."""

from typing import Any

import pytest

from stepwell.sdk.errors import NotFound
from stepwell.sdk.models import InstanceId
from stepwell.sdk.paging import pages
from tests.sdk.playing import STEADY, Played, bad, good, play


def _pages(replies: list[Any], **query: Any) -> Played:
    return play(pages("/list", query, InstanceId, STEADY), replies)


def _page(*ids: str, **info: Any) -> Any:
    return good([{"id": id} for id in ids], info or None)


@pytest.mark.parametrize(
    ("replies", "places"),
    [
        pytest.param([_page("a", "b", cursor="")], [{}], id="one page"),
        pytest.param(
            [_page("a", cursor="x"), _page("b", cursor="y"), _page(cursor="")],
            [{}, {"cursor": "x"}, {"cursor": "y"}],
            id="cursors",
        ),
        pytest.param([_page("a", cursor="x"), _page("b")], [{}, {"cursor": "x"}], id="cursors that just end"),
        pytest.param([_page("a", cursor="x"), _page("b", cursor="x")], [{}, {"cursor": "x"}], id="a loop"),
        pytest.param(
            [_page("a", page=1, total_pages=2), _page("b", page=2, total_pages=2)], [{}, {"page": "2"}], id="numbers"
        ),
        pytest.param(
            [_page("a"), _page("b"), _page()], [{}, {"page": "2"}, {"page": "3"}], id="numbers without a total"
        ),
        pytest.param([_page()], [{}], id="nothing"),
    ],
)
def test_pages_are_read_to_the_last(replies: list[Any], places: list[dict[str, str]]) -> None:
    """Whatever the server says of where a page stands, each is asked for once, with the query of the first."""
    played = _pages(replies, per_page=1, status=None)

    assert [dict(request.query) for request in played.sent] == [{"per_page": "1", **place} for place in places]
    assert [entry.id for entry in played.given] == ["a", "b"][: len(played.given)]
    assert len(played.given) == sum(reply.body.count(b'"id"') for reply in replies)


def test_list_begins_at_a_cursor() -> None:
    """It goes on from there, and a page that says nothing of the next is the last."""
    played = _pages([_page("c")], cursor="z")

    assert [dict(request.query) for request in played.sent] == [{"cursor": "z"}]


def test_refusal_of_a_later_page_comes_behind_what_was_given() -> None:
    """Entries that were given stay given."""
    played = _pages([_page("a", cursor="x"), bad(404)])

    assert ([entry.id for entry in played.given], type(played.error)) == (["a"], NotFound)
