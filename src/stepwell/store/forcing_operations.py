"""What can be asked of a store to decide by hand what becomes of a step."""

from stepwell.store.operations import Operation, RecordRow


class ForceStep(Operation[int], frozen=True):
    """Add a decision about a step to an instance that has not ended, and answer its seq.

    An instance that nobody holds becomes due now, unless it is paused; the worker that holds one is told.
    `row` is the instance's, and `restarted_seq` the restart that the caller knows of; RestartedMeanwhile is raised if
    there was another since, or if the id is another instance's by now.
    Raises WorkflowNotFound, InstanceNotFound or InstanceFinished.
    """

    account: str
    workflow: str
    id: str
    record: RecordRow
    row: int
    restarted_seq: int


class ListDecisions(Operation[list[RecordRow]], frozen=True):
    """Return the records of decisions about an instance's steps, the latest `limit` of them, latest first."""

    row: int
    limit: int = 100
