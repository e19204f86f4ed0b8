"""What can be asked of a store about instances that are searched for.

A search reads on a connection that others wait for. So it looks for a moment only: it answers with what it has found
by then, and says how far it has looked.
"""

import msgspec

from stepwell.limits import SEARCH_MS
from stepwell.store.operations import InstanceRow, Operation, RecordRow

# So many of an instance's last records tell what it does now.
TAIL = 50


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances are searched for: those of which all of this is true. Empty, or None: whatever it is.

    Bounds are included. `error_text` is a part of the error's message, upper and lower case alike. What has not ended
    has lasted from its start until `now`.
    """

    statuses: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    id_prefix: str | None = None
    version: str | None = None
    trigger: str | None = None
    error_name: str | None = None
    error_text: str | None = None
    least_ms: int | None = None
    most_ms: int | None = None
    created_from: int | None = None
    created_to: int | None = None
    ended_from: int | None = None
    ended_to: int | None = None


class FoundError(msgspec.Struct, frozen=True, array_like=True):
    """The error of an instance that is errored."""

    name: str
    message: str


class FoundInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance that was found. `tail` are its last records, without values, if it has begun and not ended."""

    row: InstanceRow
    labels: dict[str, str]
    error: FoundError | None
    tail: list[RecordRow]


class Found(msgspec.Struct, frozen=True, array_like=True):
    """A page of what was found, and (created_at, row) of the last instance looked at; None: all have been looked at."""

    instances: list[FoundInstance]
    looked_to: tuple[int, int] | None


class SearchInstances(Operation[Found], frozen=True):
    """Return instances of a workflow, or of all of an account (None), by creation, newest first unless `ascending`.

    `after` is where an earlier search had looked to. It ends with `limit` instances, or once it has looked for
    `look_ms`, but not before it has got further. Raises WorkflowNotFound.
    """

    account: str
    workflow: str | None
    wanted: Wanted
    now: int
    limit: int
    after: tuple[int, int] | None = None
    ascending: bool = False
    look_ms: int = SEARCH_MS
