"""What can be asked of a store about instances that have ended, and how long they are kept.

How long: as the instance says, else its version, else its account, else the server. `success` holds for one that
completed, `error` for one that errored or was terminated. A version or an account that says 0 says nothing.

Source: developers.cloudflare.com/workflows/reference/limits/
"""

import msgspec

from stepwell.store.operations import Operation


class Expired(msgspec.Struct, frozen=True, array_like=True):
    """Instances that have expired, as (row, seq), by row; where there are none, when the next one does (None: none)."""

    instances: list[tuple[int, int]]
    next_at: int | None


class FindExpired(Operation[Expired], frozen=True):
    """Return instances that have expired by `now`, up to `limit`, of all accounts; by indexes.

    `success_ms`, `error_ms`: what the server says.
    """

    now: int
    success_ms: int
    error_ms: int
    limit: int = 500


class DeleteExpired(Operation[int], frozen=True):
    """Delete instances (row, seq) that have ended and have not changed since; answer how many are gone.

    They go by row, as far as the bounds allow: of records and log lines, and of bytes in values that lie apart. One
    that is larger than that by itself is found no more and its id is free, and its rows go afterwards, as PurgeDeleted
    says. Where another host deletes at this moment nothing is done.
    """

    instances: list[tuple[int, int]]
    rows: int = 500
    size: int = 2**20


class InstanceRetention(msgspec.Struct, frozen=True, array_like=True):
    """How long an instance is kept after its end, of either kind, and until when; None: it has not ended."""

    success_ms: int
    error_ms: int
    expires_at: int | None


class GetRetention(Operation[InstanceRetention], frozen=True):
    """Return how long an instance is kept, as all stands now. Raises WorkflowNotFound or InstanceNotFound.

    `success_ms`, `error_ms`: what the server says.
    """

    account: str
    workflow: str
    id: str
    success_ms: int
    error_ms: int
