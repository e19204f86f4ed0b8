"""What can be asked of a store about instances that leave it, whole, or come into it.

An instance that comes in is in no workflow until all of it is there: nothing finds it, and no worker takes it.
"""

import msgspec

from stepwell.store.note_operations import LogLine, Note
from stepwell.store.operations import InstanceRow, Operation, RecordRow


class InstanceFacts(msgspec.Struct, frozen=True):
    """What an instance is beside its records. `is_held`: a worker was at it.

    Its version is told by id, and by what that was made of, for a store that has the same code under another id.
    """

    version: str
    sha256: str
    script: str
    class_name: str
    trigger: str
    status: str
    step_count: int
    seq: int
    turn: int
    due_at: int | None
    is_held: bool
    lost_turns: int
    logged: int
    log_n: int
    created_at: int
    modified_at: int
    started_at: int | None
    ended_at: int | None
    renewed_at: int | None
    restarted_seq: int
    has_rollbacks: bool


class ExportedInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance at one moment: its records are those up to `facts.seq`."""

    row: int
    facts: InstanceFacts


class ExportInstance(Operation[ExportedInstance], frozen=True):
    """Return what an instance is beside its records. Raises WorkflowNotFound or InstanceNotFound."""

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
    if its worker had died. Raises WorkflowNotFound, InstanceAlreadyExists, or StoreError if records are missing.
    """

    row: int
    account: str
    workflow: str
    id: str
    facts: InstanceFacts


class AbandonImport(Operation[None], frozen=True):
    """Let what has come in of an instance be deleted."""

    row: int
