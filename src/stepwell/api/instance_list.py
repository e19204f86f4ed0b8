"""A page of instances: what a query may ask for, and how it is read.

Pages go by cursor or, as Cloudflare still allows, by number. Its SDKs count `page` upwards until a page is
empty, also after a first request with a cursor; so a cursor together with a later page number is an empty
page.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/list/
"""

from dataclasses import dataclass

from msgspec import UNSET

from stepwell.api.paging import after_instance, instance_cursor, total_pages
from stepwell.api.query import Query
from stepwell.engine import Engine, InstanceFilter
from stepwell.models import STATUSES, ResultInfo
from stepwell.store.operations import InstanceRow, Instances

PER_PAGE = 50
MOST_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class InstanceList:
    """A page of instances that somebody asks for."""

    page: int | None
    per_page: int
    wanted: InstanceFilter

    @classmethod
    def asked_by(cls, query: Query) -> "InstanceList":
        """Return the page that a query asks for. Raises InvalidInput."""
        page = query.number("page")
        per_page = query.number("per_page", MOST_PER_PAGE) or PER_PAGE
        after = after_instance(query.cursor())
        wanted = InstanceFilter(
            # One more than is shown tells whether there is a next page.
            limit=per_page + 1,
            offset=0 if page is None or after else (page - 1) * per_page,
            after=after,
            ascending=query.choice("direction", ("asc", "desc")) == "asc",
            status=query.choice("status", STATUSES),
            from_ms=query.moment("date_start"),
            to_ms=query.moment("date_end"),
        )
        return cls(page, per_page, wanted)

    async def read(self, engine: Engine, account: str, workflow: str) -> tuple[list[InstanceRow], ResultInfo]:
        """Return the instances of the page and where it stands. Raises WorkflowNotFound."""
        found = await engine.list(account, workflow, self.wanted)
        rows = [] if self._is_past_the_end() else found.rows[: self.per_page]
        return rows, self._info(found, rows)

    def _is_past_the_end(self) -> bool:
        return self.wanted.after is not None and self.page is not None and self.page > 1

    def _info(self, found: Instances, rows: list[InstanceRow]) -> ResultInfo:
        has_more = bool(rows) and len(found.rows) > len(rows)
        return ResultInfo(
            count=len(rows),
            per_page=self.per_page,
            total_count=found.total,
            cursor=instance_cursor(rows[-1].created_at, rows[-1].row) if has_more else "",
            page=UNSET if self.page is None and self.wanted.after else self.page or 1,
            total_pages=total_pages(found.total, self.per_page),
        )
