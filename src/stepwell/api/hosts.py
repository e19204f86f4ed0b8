"""Who has the store open, what waits for them, and what the store is kept in. Stepwell's own route.

Names of machines, and numbers of other accounts, are for whom `/metrics` is: the operator.
"""

from typing import Literal

import msgspec
from starlette.responses import Response

from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store.host_operations import HostRow


class HostShown(msgspec.Struct):
    """A process that has the store open, with the workers behind it."""

    id: str
    name: str | None
    version: str | None
    state: Literal["alive", "lost"]
    opened_on: str | None
    renewed_on: str | None
    workers: int
    blocked_workers: int
    held: int
    lag_ms: int


class WaitingShown(msgspec.Struct):
    """What waits, of the account or of all."""

    due: int
    lag_ms: int
    queued: int
    by_status: dict[str, int]


class DatabaseShown(msgspec.Struct):
    """What the store is kept in."""

    kind: str
    version: str
    size: int | None


class StoreHosts(msgspec.Struct):
    """The hosts of a store, and how it stands."""

    hosts: list[HostShown]
    waiting: WaitingShown
    database: DatabaseShown


async def list_hosts(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the hosts of the store, those that are alive first."""
    now = engine.clock.now()
    sees_all = request.sees_all
    found = await engine.hosts(now, None if sees_all else request.account)
    waits = found.waiting
    waiting = WaitingShown(waits.due, _lag(now, waits.oldest_due_at), waits.queued, waits.by_status)
    database = DatabaseShown(found.database.kind, found.database.version, found.database.size if sees_all else None)
    hosts = [_host(host, host.name if sees_all else None, now) for host in found.hosts]
    return envelope.success(StoreHosts(hosts, waiting, database))


def _host(host: HostRow, name: str | None, now: int) -> HostShown:
    return HostShown(
        str(host.row),
        name,
        host.version,
        "alive" if host.is_alive else "lost",
        None if host.opened_at is None else iso(host.opened_at),
        None if host.renewed_at is None else iso(host.renewed_at),
        host.workers,
        host.blocked_workers,
        host.held,
        _lag(now, host.oldest_due_at),
    )


def _lag(now: int, oldest_due_at: int | None) -> int:
    return 0 if oldest_due_at is None else max(0, now - oldest_due_at)
