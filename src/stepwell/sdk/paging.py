"""Lists that page by themselves: by cursor where the server gives one, else by number."""

from collections.abc import Mapping
from typing import Any, TypeVar

from stepwell.sdk.answers import Place, envelope_of
from stepwell.sdk.effects import Emit, Flow
from stepwell.sdk.messages import get
from stepwell.sdk.retries import Retries, ask

T = TypeVar("T")


def pages(path: str, query: Mapping[str, Any], kind: type[T], retries: Retries) -> Flow[T]:
    """Give the entries of a list, page by page as they are wanted. Raises ApiError."""
    place: Mapping[str, Any] | None = {}
    number = 1
    while place is not None:
        answer = yield from ask(get(path, {**query, **place}), retries)
        envelope = envelope_of(answer, list[kind])  # type: ignore[valid-type]  # known at run time
        for entry in envelope.result:
            yield Emit(entry)
        place = _next_place(envelope.result_info or Place(), len(envelope.result), number, {**query, **place})
        number += 1


def _next_place(info: Place, count: int, number: int, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the query of the next page says besides; None if there is none."""
    if info.cursor:
        # One that leads to itself would lead on forever.
        return None if info.cursor == asked.get("cursor") else {"cursor": info.cursor}
    if not count or info.cursor is not None or asked.get("cursor"):
        return None
    if info.total_pages is not None and number >= info.total_pages:
        return None
    return {"page": number + 1}
