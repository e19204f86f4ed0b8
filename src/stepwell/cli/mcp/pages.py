"""A client that hands out pages one by one, with what leads to the next: for who keeps nothing from call to call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

from stepwell.client import Client, Result

Query = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class PagedClient(Client):
    """Asks a server as any client does, and for single pages, too."""

    @classmethod
    def like(cls, client: Client) -> Self:
        """Return one that asks the same server, as the same."""
        return cls(client.url, client.account, client.token, client.timeout_s, client.told)

    def search_page(self, workflow: str | None, query: Query) -> tuple[list[Result], str | None]:
        """Return a page of the instances that match, of a workflow or of all (None), and the cursor to the next."""
        of = self._own() if workflow is None else self._own_workflow(workflow)
        envelope = self._envelope("GET", f"{of}/instances", query)
        return envelope.objects_of("result"), _cursor_in(envelope)

    def instance_page(self, workflow: str, id: str, query: Query) -> tuple[Result, str | None]:
        """Return an instance with a page of its steps, and the cursor to the next."""
        envelope = self._envelope("GET", self._instance(workflow, id), query)
        return envelope.object_of("result"), _cursor_in(envelope)

    def log_page(self, workflow: str, id: str, query: Query) -> list[Result]:
        """Return some of the lines that an instance has said."""
        return self._ask("GET", self._log(workflow, id), query).objects_of("lines")


def cut(rows: Iterable[Result], limit: int, offset: int) -> tuple[list[Result], int | None]:
    """Return some of all rows, and the offset of those behind them if there are any."""
    found = list(islice(rows, offset, offset + limit + 1))
    return found[:limit], offset + limit if len(found) > limit else None


def _cursor_in(envelope: Result) -> str | None:
    cursor: str | None = (envelope.get("result_info") or {}).get("cursor")
    return cursor
