"""`stepwell facts`, over the API or on a store itself."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from stepwell.cli import profiles, times
from stepwell.cli.failures import NOT_FOUND, Failure
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.fact_log import shown_fact
from stepwell.store import Store
from stepwell.store.fact_operations import ListFacts
from stepwell.store.opening import is_there, shown

Wanted = Mapping[str, str | None]
# Returns what is wanted, up to a number of facts.
Source = Callable[[Wanted, int], Sequence[Item]]

# So many are read at a time.
_AT_ONCE = 500


def _of(fact: Item) -> str:
    named = (fact["workflow_name"], fact["instance_id"])
    return " ".join(str(name) for name in named if name is not None) or "-"


_COLUMNS = (
    Column("at", lambda fact: times.short(fact["at"])),
    Column("level", lambda fact: str(fact["level"]), rank=2),
    Column("event", lambda fact: str(fact["event"])),
    Column("of", _of, rank=1),
    Column("from", lambda fact: str(fact["process"]), rank=3),
    Column("host", lambda fact: fact["host"] or "-", is_wide=True),
    Column("account", lambda fact: fact["account"] or "-", is_wide=True),
    Column("message", lambda fact: str(fact["message"]), is_prose=True),
)


def source(where: Mapping[str, Any], store: str | None) -> Source:
    """Return where facts come from: the server that a command is told of, or a store. Raises Failure."""
    if store is None:
        return _of_server(profiles.connect(**where))
    if not is_there(store):
        raise Failure(f"there is no store at {shown(store)}", NOT_FOUND, "--store says where it is")
    return _of_store(store, where.get("account"))


def show(source: Source, wanted: Wanted, limit: int, out: Output) -> int:
    """Print facts, the latest first; return the exit code."""
    if not out.show_all(source(wanted, limit), _COLUMNS) and out.is_text:
        say("nothing of that was told" if any(wanted.values()) else "nothing has been told")
    return 0


def _of_server(client: Client) -> Source:
    def find(wanted: Wanted, limit: int) -> Sequence[Item]:
        return list(islice(client.facts({**wanted, "per_page": str(min(_AT_ONCE, limit))}), limit))

    return find


def _of_store(url: str, account: str | None) -> Source:
    """Return a source that has all facts unless an account is named: whoever has the store may see all."""

    def find(wanted: Wanted, limit: int) -> Sequence[Item]:
        found: list[Item] = []

        async def work(opened: Store) -> None:
            which = (wanted["event"], wanted["workflow"], wanted["instance"], wanted["process"])
            asked = ListFacts(account, min(_AT_ONCE, limit), *which)
            while len(found) < limit and (page := await opened.run(asked)):
                shown = (shown_fact(noted, sees_all=True) for noted in page)
                found.extend(msgspec.structs.asdict(fact) for fact in shown)
                asked = msgspec.structs.replace(asked, before=page[-1].row)

        with_store(url, work)
        return found[:limit]

    return find
