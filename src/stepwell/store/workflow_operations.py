"""What can be asked of a store about workflows beyond their registration: change, delete, versions."""

import msgspec

from stepwell.limits import SCHEDULES_PER_ACCOUNT
from stepwell.store.code_graph import CodeGraph
from stepwell.store.operations import Operation, VersionSettings, WorkflowRow
from stepwell.store.snapshot_operations import Snapshot


class PutWorkflow(Operation[WorkflowRow], frozen=True):
    """Make a new version of a workflow, with these settings and no others; make the workflow if there is none.

    `workflow_id` is used if there is none. The version has the code that the class has now. Raises UnknownScript,
    WorkflowBelongs, or InvalidInput if the account then had more than `most_schedules`.
    """

    account: str
    name: str
    script: str
    class_name: str
    workflow_id: str
    version_id: str
    settings: VersionSettings
    now: int
    most_schedules: int = SCHEDULES_PER_ACCOUNT


class DeleteWorkflow(Operation[None], frozen=True):
    """Delete a workflow with its instances: none is found from now on, and its name is free.

    Turns that workers hold are lost, and the workers are told. The rows are deleted afterwards, as PurgeDeleted says.
    Those who await its instances hear that they are gone. Raises WorkflowNotFound.
    """

    account: str
    name: str
    now: int


class ListOutcomes(Operation[dict[str, list[str]]], frozen=True):
    """Return, by the names of workflows, the statuses with which their latest instances ended, the last end first.

    Up to `limit` of each. A workflow of which none has ended, or that is not there, has none.
    """

    account: str
    workflows: list[str]
    limit: int = 24


class EndCount(msgspec.Struct, frozen=True, array_like=True):
    """How many instances ended with a status in a stretch of time, the first of which is 0."""

    stretch: int
    status: str
    n: int


class EndCounts(msgspec.Struct, frozen=True, array_like=True):
    """How many ended when; `is_partial`: of a workflow there were more, before those that were looked at."""

    counts: list[EndCount]
    is_partial: bool


class CountEnds(Operation[EndCounts], frozen=True):
    """Return how many instances of some workflows have ended since a moment, by stretches of so many milliseconds.

    Of each workflow its latest ends are looked at, up to `limit`. What was deleted or has expired since is not counted.
    """

    account: str
    workflows: list[str]
    since: int
    stretch: int
    limit: int


class PurgeDeleted(Operation[bool], frozen=True):
    """Delete a bounded part of what deleted workflows, instances and streams have left; tell whether there may be more.

    A store asks itself between other writes, and goes on after it was opened again. Bounds: of instances, of records,
    log lines and pieces of streams, and of bytes in values that lie apart and in pieces.
    """

    instances: int = 100
    rows: int = 1_000
    size: int = 2 * 2**20


class VersionRow(msgspec.Struct, frozen=True, array_like=True):
    """A version of a workflow."""

    id: str
    workflow_id: str
    script: str
    class_name: str
    created_at: int
    settings: VersionSettings
    has_graph: bool = False


class GetVersion(Operation[VersionRow], frozen=True):
    """Return a version of a workflow. Raises WorkflowNotFound or VersionNotFound."""

    account: str
    workflow: str
    id: str


class VersionGraph(msgspec.Struct, frozen=True, array_like=True):
    """A version and the graph of its code; None: nobody has read its code."""

    version: VersionRow
    graph: CodeGraph | None


class GetGraph(Operation[VersionGraph], frozen=True):
    """Return a version of a workflow with its graph. Raises WorkflowNotFound or VersionNotFound."""

    account: str
    workflow: str
    id: str


class VersionCode(msgspec.Struct, frozen=True, array_like=True):
    """What a version is made of: the hash of its code, and the JSON Schema of its params; None: any JSON.

    `snapshot` None: the files of its code are not in the store.
    """

    version: VersionRow
    sha256: str
    params_schema: str | None
    snapshot: Snapshot | None


class GetVersionCode(Operation[VersionCode], frozen=True):
    """Return what a version of a workflow is made of. Raises WorkflowNotFound or VersionNotFound."""

    account: str
    workflow: str
    id: str


class Versions(msgspec.Struct, frozen=True, array_like=True):
    """A page of versions and how many there are in all."""

    rows: list[VersionRow]
    total: int


class ListVersions(Operation[Versions], frozen=True):
    """Return versions of a workflow, newest first. Raises WorkflowNotFound."""

    account: str
    workflow: str
    limit: int
    offset: int
