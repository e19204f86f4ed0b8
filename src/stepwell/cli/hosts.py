"""`stepwell hosts`, over the API."""

from collections.abc import Mapping
from typing import Any

from stepwell.cli import times
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import say
from stepwell.client import Client

Item = Mapping[str, Any]
_KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
# One stands for as many or more.
_MOST_DUE = 10_000


def _workers(host: Item) -> str:
    blocked = host["blocked_workers"]
    return f"{host['workers']}, {blocked} blocked" if blocked else str(host["workers"])


def _lag(one: Item) -> str:
    return times.span_of(one["lag_ms"] / 1000) if one["lag_ms"] else "-"


_HOSTS = (
    Column("id", lambda host: str(host["id"])),
    Column("host", lambda host: host["name"] or "-"),
    Column("state", lambda host: str(host["state"])),
    Column("workers", _workers),
    Column("held", lambda host: str(host["held"])),
    Column("lag", _lag),
    Column("heartbeat", lambda host: times.ago(host["renewed_on"]), rank=1),
    Column("since", lambda host: times.ago(host["opened_on"]), rank=2),
    Column("version", lambda host: host["version"] or "-", rank=3),
)


def show(client: Client, out: Output) -> int:
    """Print the hosts of the store, and how it stands; return the exit code."""
    found = client.hosts()
    if out.is_whole:
        out.show_one(found, (), "hosts")
        return 0
    out.show_all(found["hosts"], _HOSTS)
    if out.is_text:
        say(_said_of(found["database"], found["waiting"]))
    return 0


def _said_of(database: Item, waiting: Item) -> str:
    kind = f"{_KINDS.get(database['kind'], database['kind'])} {database['version']}"
    due = f"{waiting['due']:,}{' or more' if waiting['due'] >= _MOST_DUE else ''} due"
    lag = f", the first for {_lag(waiting)}" if waiting["lag_ms"] else ""
    size = "" if database["size"] is None else f", {database['size'] / 2**20:,.1f} MB"
    return f"{kind}{size}; {due}{lag}; {waiting['queued']:,} queued for a slot"
