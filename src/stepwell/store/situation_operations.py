"""What a store is told and asked of why an instance does not go on."""

import msgspec

from stepwell.core.why import Situation
from stepwell.store.operations import InstanceRow, Operation, RecordRow


class InstanceSituation(msgspec.Struct, frozen=True, array_like=True):
    """The row and the history of an instance, and what only the store knows of it, all of the same moment."""

    row: InstanceRow
    records: list[RecordRow]
    situation: Situation


class ReadSituation(Operation[InstanceSituation], frozen=True):
    """Return an instance's history and situation.

    What is due before it is counted up to `most`. Raises WorkflowNotFound or InstanceNotFound.
    """

    account: str
    workflow: str
    id: str
    now: int
    most: int = 1_000


class NoteBlocked(Operation[None], frozen=True):
    """Keep since when a worker is blocked, and at which lines as far as is known; `since` None: it is not.

    A worker that is not there any more is passed over.
    """

    worker: int
    since: int | None
    stack: str | None = None
