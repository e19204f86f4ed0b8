"""Pages: of instances, of workflows, and of the steps of one instance.

A cursor is opaque to clients: base64url of a few numbers that say where the next page begins, so that what is
added meanwhile moves nothing.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from stepwell.api.query import Query, bad_cursor
from stepwell.models import ResultInfo

# Ours: Cloudflare does not page the steps of an instance, and no instance has more.
STEPS_PER_PAGE = 10_000

_LARGEST = 2**63 - 1
_INSTANCE = re.compile(r"i(-?\d{1,19}),(\d{1,19})", re.ASCII)
_ENTRY = re.compile(r"a(\d{1,18})", re.ASCII)
_STEP = re.compile(r"s(asc|desc),(\d{1,9})", re.ASCII)

T = TypeVar("T")


# ---- instances


def instance_cursor(created_at: int, row: int) -> str:
    """Return the cursor that leads past an instance."""
    return _seal(f"i{created_at},{row}")


def after_instance(cursor: str | None) -> tuple[int, int] | None:
    """Return creation time and row of the last instance already seen. Raises InvalidInput."""
    if cursor is None:
        return None
    created_at, row = (int(number) for number in _open(cursor, _INSTANCE))
    if max(abs(created_at), row) > _LARGEST:
        raise bad_cursor(cursor)
    return created_at, row


# ---- entries of the audit log


def entry_cursor(row: int) -> str:
    """Return the cursor that leads past an entry of the audit log, or of that of a webhook."""
    return _seal(f"a{row}")


def after_entry(cursor: str | None) -> int | None:
    """Return the number of the last entry already seen. Raises InvalidInput."""
    return None if cursor is None else int(_open(cursor, _ENTRY)[0])


def total_pages(total: int, per_page: int) -> int:
    """Return how many pages hold so many entries."""
    return -(-total // per_page)


# ---- by number


class NumberedPage(Struct, frozen=True):
    """A page by its number, counted from 1; one past the last is empty."""

    number: int
    per_page: int

    @classmethod
    def asked_by(cls, query: Query, *, per_page: int, most: int) -> "NumberedPage":
        """Return the page that a query asks for: of `per_page` entries where it does not say. Raises InvalidInput."""
        number = query.number("page") or 1
        return cls(number, query.number("per_page", most) or per_page)

    @property
    def offset(self) -> int:
        """How many entries there are on the pages before."""
        return (self.number - 1) * self.per_page

    def info(self, count: int, total: int) -> ResultInfo:
        """Say how many of all entries the page shows, and where it stands."""
        return ResultInfo(count, self.per_page, total, page=self.number, total_pages=total_pages(total, self.per_page))


# ---- steps


class StepPage(NamedTuple):
    """Which entries of a log to show: from which end, how many, and how many of that end were there before.

    `position` counts from the log's beginning, so entries that are added meanwhile move no page.
    """

    order: str = "asc"
    per_page: int | None = None
    position: int | None = None

    @classmethod
    def asked_by(cls, query: Query) -> "StepPage":
        """Return the page that a query asks for. Raises InvalidInput."""
        order = query.choice("order", ("asc", "desc")) or "asc"
        per_page = query.number("per_page", STEPS_PER_PAGE)
        cursor = query.cursor()
        return cls(order, per_page, None if cursor is None else _step_position(cursor, order))


class Cut(Struct, Generic[T], frozen=True):
    """The entries of a page, and what to say of their place in the whole."""

    entries: Sequence[T]
    info: ResultInfo


def cut(entries: Sequence[T], total: int, page: StepPage) -> Cut[T]:
    """Return the part of a log that a page shows; `total` counts the entries of the whole log."""
    end = len(entries) if page.position is None else min(page.position, len(entries))
    if page.order == "desc":
        start = 0 if page.per_page is None else max(end - page.per_page, 0)
        shown, rest, position = entries[start:end][::-1], start, start
    else:
        start = 0 if page.position is None else end
        stop = len(entries) if page.per_page is None else min(start + page.per_page, len(entries))
        shown, rest, position = entries[start:stop], len(entries) - stop, stop
    cursor = _seal(f"s{page.order},{position}") if rest else ""
    per_page = len(shown) if page.per_page is None else page.per_page
    return Cut(shown, ResultInfo(len(shown), per_page, total, cursor, 1))


def _step_position(cursor: str, order: str) -> int:
    found, position = _open(cursor, _STEP)
    if found != order:
        raise bad_cursor(cursor)
    return int(position)


# ---- both


def _seal(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open(cursor: str, form: re.Pattern[str]) -> tuple[str, ...]:
    found = form.fullmatch(_unsealed(cursor))
    if found is None:
        raise bad_cursor(cursor)
    return found.groups()


def _unsealed(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
