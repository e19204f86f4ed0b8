"""What can be asked of a store about itself: who has it open, what waits for them, and what the database is."""

import msgspec

from stepwell.store.operations import Operation


class HostRow(msgspec.Struct, frozen=True, array_like=True):
    """A host. `version` and `opened_at` None: it runs a release that did not say so yet.

    `renewed_at`: when it last renewed its lease, None: it has none, as the only host of a file. `workers` are those
    that it has, or had when it was lost; `held` what they hold; `oldest_due_at` since when the first of what they could
    claim is due, None: nothing is.
    """

    row: int
    name: str
    version: str | None
    opened_at: int | None
    renewed_at: int | None
    is_alive: bool
    workers: int
    blocked_workers: int
    held: int
    oldest_due_at: int | None


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """What waits: `due` to be claimed, up to a bound, the first of it since; `queued` for a slot.

    `by_status` counts what has not ended, each status up to that bound.
    """

    due: int
    oldest_due_at: int | None
    queued: int
    by_status: dict[str, int]


class Database(msgspec.Struct, frozen=True, array_like=True):
    """What a store is kept in; `size` is in bytes."""

    kind: str
    version: str
    size: int


class Hosts(msgspec.Struct, frozen=True, array_like=True):
    """The hosts of a store, those that are alive first."""

    hosts: list[HostRow]
    waiting: Waiting
    database: Database


class ListHosts(Operation[Hosts], frozen=True):
    """Return up to `limit` hosts of the store, and what waits for them at this moment.

    Workers, what they hold and what waits are those of an account; None: of all. At most `most` instances that are due
    are counted, and of each status.
    """

    now: int
    account: str | None = None
    limit: int = 100
    most: int = 10_000
