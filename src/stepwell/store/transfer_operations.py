"""What can be asked of a store about instances that leave it, whole, or come into it.

An instance that comes in is in no workflow until all of it is there: nothing finds it, and no worker takes it.
"""

from typing import Annotated

import msgspec

from stepwell.flow import LONGEST_KEY
from stepwell.limits import MOST_RETENTION_MS
from stepwell.store.label_operations import KeptLabel
from stepwell.store.note_operations import LogLine, Note
from stepwell.store.operations import InstanceRow, Operation, RecordRow

# A number that any database has room for, and for the next few.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
# In milliseconds: one that can be shown, up to the end of the year 9999.
Moment = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
_Key = Annotated[str, msgspec.Meta(max_length=LONGEST_KEY, pattern=r"^[^\x00]*$")]
_Bias = Annotated[int, msgspec.Meta(ge=-(2**61), le=2**61)]
_Kept = Annotated[int, msgspec.Meta(ge=1, le=MOST_RETENTION_MS)]


class InstanceFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an instance is beside its records. `is_held`: a worker was at it.

    Its version is told by id, and by what that was made of, for a store that has the same code under another id.
    """

    version: str
    sha256: str
    script: str
    class_name: str
    trigger: str
    status: str
    step_count: Number
    seq: Number
    turn: Number
    due_at: Moment | None
    is_held: bool
    lost_turns: Number
    logged: Number
    log_n: Number
    created_at: Moment
    modified_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    renewed_at: Moment | None
    restarted_seq: Number
    has_rollbacks: bool
    # How long it says itself that it is kept.
    success_retention_ms: _Kept | None = None
    error_retention_ms: _Kept | None = None
    # How many calls of its code that set labels are stored.
    labelled: Number = 0
    # Where it queues, if its workflow is limited: as at its creation.
    key: _Key = ""
    bias_ms: _Bias = 0
    labels: tuple[KeptLabel, ...] = ()


class ExportedInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance at one moment: its records are those up to `facts.seq`."""

    row: int
    facts: InstanceFacts


class ExportInstance(Operation[ExportedInstance], frozen=True):
    """Return what an instance is beside its records. Raises WorkflowNotFound or InstanceNotFound."""

    account: str
    workflow: str
    id: str


class TellExport(Operation[None], frozen=True):
    """Do nothing but leave the entry that tells of an export with what is sensitive: `Audited` is made of it.

    Raises WorkflowNotFound or InstanceNotFound.
    """

    account: str
    workflow: str
    id: str


class PlacedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record with its whole value, and which of its turn's it is; from outside: of none, 0 and 0."""

    turn: int
    n: int
    record: RecordRow


class ReadRecords(Operation[list[PlacedRecord]], frozen=True):
    """Return the records of an instance after a seq, up to another one, in order.

    They are fewer where their values are large: one at least, as long as there is one.
    """

    row: int
    after: int
    upto: int


class KeptStream(msgspec.Struct, frozen=True, array_like=True):
    """A stream of an instance: of which step and attempt, and of how many pieces."""

    stream: int
    step: str
    attempt: int
    pieces: int


class ListStreams(Operation[list[KeptStream]], frozen=True):
    """Return the streams of an instance that have not been dropped, oldest first."""

    row: int


class ReadNotes(Operation[list[Note]], frozen=True):
    """Return all notes of an instance, by name."""

    row: int


class BeginImport(Operation[int], frozen=True):
    """Make room for an instance, in no workflow yet, and answer its row; `token` is a name that nothing else has.

    Streams are written to it in this turn. Raises WorkflowNotFound or InstanceAlreadyExists.
    """

    account: str
    workflow: str
    id: str
    token: str
    turn: int
    now: int


class ImportRecords(Operation[None], frozen=True):
    """Add records to an instance that comes in."""

    row: int
    records: list[PlacedRecord]


class ImportNotes(Operation[None], frozen=True):
    """Add log lines, under their own numbers, and notes to an instance that comes in."""

    row: int
    lines: list[LogLine]
    notes: list[Note]


class ImportedInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance that has come in; whether its version is the one that it had."""

    row: InstanceRow
    is_same_version: bool


class FinishImport(Operation[ImportedInstance], frozen=True):
    """Put an instance that has come in among those of a workflow, all of whose records are there.

    It has the version that it had, or the newest of the same code, or else the workflow's newest. What was held is as
    if its worker had died; what waited for a slot, or for another instance, is due at once, to ask for it here.
    Raises WorkflowNotFound, InstanceAlreadyExists, or StoreError if records are missing.
    """

    row: int
    account: str
    workflow: str
    id: str
    facts: InstanceFacts


class AbandonImport(Operation[None], frozen=True):
    """Let what has come in of an instance be deleted."""

    row: int
