"""What can be asked of a store to control an instance: pause, resume, terminate, restart, delete.

Each writes its record and changes the row in one transaction. Those that end what runs raise the turn in the same
statement: whoever holds the instance is told, and nothing that it still sends is recorded. All raise WorkflowNotFound
or InstanceNotFound.
"""

import msgspec

from stepwell.store.operations import Operation, RecordRow


class PauseInstance(Operation[str], frozen=True):
    """Pause an instance; answer its status then.

    One that a worker holds is told, and is paused once nothing of it is in flight. One that is queued, is being paused
    or is paused stays as it is. Raises InstanceFinished.
    """

    account: str
    workflow: str
    id: str
    asked: RecordRow
    paused: RecordRow


class ResumeInstance(Operation[str], frozen=True):
    """Let a paused instance, or one that is being paused, go on; answer its status then. Others stay as they are."""

    account: str
    workflow: str
    id: str
    record: RecordRow


class TerminateInstance(Operation[str], frozen=True):
    """End an instance; answer its status then. Raises InstanceFinished.

    With `rollback`, the record that its rollback begins, one that has steps with a rollback is rolled back first, by
    its next turn; one that is being rolled back goes on with that.
    """

    account: str
    workflow: str
    id: str
    record: RecordRow
    rollback: RecordRow | None = None


class ResumeRollback(Operation[str], frozen=True):
    """Let an instance that has ended go on with its rollback, which has failed; answer its status then.

    `row` is the instance's and `seq` the last one that the caller knows of; RestartedMeanwhile is raised if the
    instance has changed since, or if the id is another instance's by now.
    """

    account: str
    workflow: str
    id: str
    record: RecordRow
    row: int
    seq: int


class RestartInstance(Operation[str], frozen=True):
    """Begin an instance again, on the newest version; answer its status then.

    The record says from which step, `step_count` how many stay, and `has_rollbacks` whether one of them can be undone;
    `from_at` is when that step had begun, None: the instance begins again as a whole. `restarted_seq` is the restart
    that the caller knows of, and `row` the instance's: RestartedMeanwhile is raised if there was another since, or if
    the id is another instance's by now. None: whatever there was.
    The children of an instance that begins again as a whole are terminated that end with it.
    """

    account: str
    workflow: str
    id: str
    trigger: str
    record: RecordRow
    step_count: int = 0
    from_at: int | None = None
    has_rollbacks: bool = False
    restarted_seq: int | None = None
    row: int | None = None


class MoveInstance(Operation[None], frozen=True):
    """Give an instance that has not ended another version of its workflow: what runs is ended, and it is due now.

    One that is paused stays so, and one that waits for a slot waits on. The records are those of attempts that this
    ends, and of the move. `row` is the instance's and `seq` the last one that the caller knows of: RestartedMeanwhile
    is raised if it has changed since, or if the id is another instance's by now. Raises VersionNotFound or
    InstanceFinished.
    """

    account: str
    workflow: str
    id: str
    version: str
    records: list[RecordRow]
    row: int
    seq: int


class DeleteInstance(Operation[None], frozen=True):
    """Delete an instance: it is found no more, and its id is free. Its rows go afterwards, as PurgeDeleted says.

    Its children are terminated that end with it.
    """

    account: str
    workflow: str
    id: str
    now: int


class StartTermination(Operation[bool], frozen=True):
    """Remember that all instances that a workflow has now, and that have one of these statuses, are to be terminated.

    False: that is going on already. Raises WorkflowNotFound.
    """

    account: str
    workflow: str
    statuses: list[str]


class TerminateSome(Operation[bool], frozen=True):
    """Terminate a bounded part of them; tell whether the caller has to go on. Where there are none it is forgotten.

    Where another host is at it at this moment nothing is done, and it is the one to go on.
    """

    account: str
    workflow: str
    record: RecordRow
    limit: int = 100


class TerminationPlace(msgspec.Struct, frozen=True, array_like=True):
    """A workflow whose instances are being terminated."""

    account: str
    workflow: str


class ListTerminations(Operation[list[TerminationPlace]], frozen=True):
    """Return the workflows whose instances are being terminated."""


class IsTerminating(Operation[bool], frozen=True):
    """Tell whether the instances of a workflow are being terminated. Raises WorkflowNotFound."""

    account: str
    workflow: str
