"""What can be asked of a store. Each operation is a value; its contract is its docstring.

An operation is one transaction: it happens whole and is durable before its answer, or not at all. An operation that
raises has written nothing. Times are milliseconds since the epoch. `row` is the internal number of an instance, never
used again after a delete; (row, turn) is the fence, and (row, turn, n) makes sending twice the same as once.
"""

from typing import Generic, NamedTuple, TypeVar

import msgspec

from stepwell.store.code_graph import CodeGraph

Answer = TypeVar("Answer")


class RecordRow(msgspec.Struct, frozen=True, array_like=True):
    """A record as it is stored: `body` is the JSON text of its fields; `value` lies beside it or, if large, apart.

    `payload` is the number of a value that lies apart; `value` then holds its first characters and `size` its bytes.
    """

    kind: str
    at: int
    body: str
    value: str | None = None
    payload: int | None = None
    size: int = 0
    seq: int = 0


class Operation(msgspec.Struct, Generic[Answer], frozen=True, array_like=True, tag=True):
    """Base of all operations; the parameter is the type of the answer."""


class InstanceRow(msgspec.Struct, frozen=True, array_like=True):
    """The row of an instance."""

    row: int
    account: str
    workflow: str
    workflow_id: str
    id: str
    version: str
    status: str
    trigger: str
    step_count: int
    seq: int
    turn: int
    due_at: int | None
    created_at: int
    modified_at: int
    started_at: int | None
    ended_at: int | None
    # When it was last restarted as a whole, and the seq of its last restart.
    renewed_at: int | None = None
    restarted_seq: int = 0
    # Whether a step with a rollback has begun.
    has_rollbacks: int = 0


class NextFiring(msgspec.Struct, frozen=True, array_like=True):
    """A cron expression of a workflow, and when it fires next; None or 0: that is not known, or never."""

    cron: str
    next_at: int | None


class WorkflowRow(msgspec.Struct, frozen=True, array_like=True):
    """A workflow, its newest version, how many instances have each status, and what creates instances."""

    id: str
    account: str
    name: str
    script: str
    class_name: str
    version: str
    created_at: int
    modified_at: int
    triggered_at: int | None
    counts: dict[str, int]
    schedules: tuple[NextFiring, ...] = ()


# ---- workflows


class VersionSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version is besides its code. None and empty: not said."""

    steps: int | None = None
    concurrency: int | None = None
    success_retention_ms: int | None = None
    error_retention_ms: int | None = None
    schedules: tuple[str, ...] = ()


NO_SETTINGS = VersionSettings()


class Registered(msgspec.Struct, frozen=True, array_like=True):
    """A workflow that was registered, and the script that it has been taken from, if it was another one's."""

    workflow: WorkflowRow
    taken_from: str | None


class RegisterWorkflow(Operation[Registered], frozen=True):
    """Make a workflow and its script's class known.

    It is a new version if the script's hash, or what its wrangler file declares, differs from the newest version's;
    what a PUT has set stays then, where the file says nothing else. Other workflows of the same class, which PUTs have
    made, get a new version with it. `workflow_id` and `version_id` are used if a new row is needed. `params_schema` is
    the JSON Schema of its params; None: any JSON. `classes` are all that the script has now: others are forgotten;
    empty: none is. `graph` is that of the code.
    """

    account: str
    name: str
    script: str
    class_name: str
    sha256: str
    workflow_id: str
    version_id: str
    now: int
    params_schema: str | None = None
    declared: VersionSettings = NO_SETTINGS
    classes: tuple[str, ...] = ()
    snapshot: int = 0  # on which its new instances run; 0: on whatever is served
    graph: CodeGraph | None = None
    flow: str | None = None  # what the code says of limits, as JSON


class ParamsSchema(msgspec.Struct, frozen=True, array_like=True):
    """The newest version of a workflow, the JSON Schema of its params, and its limits as the code declares them."""

    version: str
    schema: str | None
    flow: str | None = None


class GetParamsSchema(Operation[ParamsSchema], frozen=True):
    """Return what params of a workflow have to be, and what its code says of limits. Raises WorkflowNotFound."""

    account: str
    name: str


class GetWorkflow(Operation[WorkflowRow], frozen=True):
    """Return a workflow. Raises WorkflowNotFound."""

    account: str
    name: str


class Workflows(msgspec.Struct, frozen=True, array_like=True):
    """A page of workflows and how many there are in all."""

    rows: list[WorkflowRow]
    total: int


class ListWorkflows(Operation[Workflows], frozen=True):
    """Return workflows by name, ascending; `search` is a part of the name, upper and lower case alike."""

    account: str
    limit: int
    offset: int
    search: str | None = None


# ---- instances, from outside


class Retention(NamedTuple):
    """How long an instance is kept after it completed, and after any other end; None: not said."""

    success_ms: int | None = None
    error_ms: int | None = None


class CreateInstance(Operation[InstanceRow], frozen=True):
    """Add an instance of the newest version with its first record: due now, or as soon as it has a slot.

    `checked` is the version whose schema the params were held against; None: they were not. `key` and `bias_ms` are its
    place among those that wait for a slot, as the flow of that version says; `labels` are its own. Where only one of
    its key may be unfinished and the flow says to skip others, that one is the answer and nothing is added.
    Raises WorkflowNotFound, InstanceAlreadyExists, VersionChanged if the newest version is not the one checked, or
    QueueFull if `most_queued` are queued.
    """

    account: str
    workflow: str
    id: str
    trigger: str
    record: RecordRow
    now: int
    checked: str | None = None
    key: str = ""
    bias_ms: int = 0
    most_queued: int | None = None
    retention: Retention | None = None  # what it says itself; None: nothing
    labels: dict[str, str] = {}


class AppendEvent(Operation[int], frozen=True):
    """Add an event to an instance that has not ended, and answer its seq.

    An instance that nobody holds becomes due now; the worker that holds one is told.
    Raises WorkflowNotFound, InstanceNotFound or InstanceFinished.
    """

    account: str
    workflow: str
    id: str
    record: RecordRow


class InstanceHistory(msgspec.Struct, frozen=True, array_like=True):
    """An instance at one moment: its row and its records."""

    row: InstanceRow
    records: list[RecordRow]


class GetInstance(Operation[InstanceHistory], frozen=True):
    """Return an instance and its history, both of the same moment.

    Without `with_steps` only the records that tell params, output and error are read. None are while the row is still
    the one that is `known`. Raises WorkflowNotFound or InstanceNotFound.
    """

    account: str
    workflow: str
    id: str
    with_steps: bool = True
    known: InstanceRow | None = None


class Instances(msgspec.Struct, frozen=True, array_like=True):
    """A page of instances and how many match in all."""

    rows: list[InstanceRow]
    total: int


class ListInstances(Operation[Instances], frozen=True):
    """Return instances of a workflow by creation, newest first unless `ascending`.

    `after` is (created_at, row) of the last instance already seen. `from_ms` and `to_ms` bound the creation time,
    both included. Raises WorkflowNotFound.
    """

    account: str
    workflow: str
    limit: int
    offset: int = 0
    after: tuple[int, int] | None = None
    ascending: bool = False
    status: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class ReadPayload(Operation[str], frozen=True):
    """Return a value that lies apart.

    `row` and `turn` say for which turn: TurnLost is raised if the value is gone because the turn has been lost.
    """

    payload: int
    row: int | None = None
    turn: int | None = None


# ---- workers

# A worker on the store's own machine is believed alive until its death is seen.
LEASE_FOR_EVER = 2**62


class RegisterWorker(Operation[int], frozen=True):
    """Add a worker whose lease ends at `lease_until` unless it is renewed; answer its number, never used again.

    `snapshot` is the code that it has; 0: whatever is served.
    """

    name: str
    lease_until: int
    now: int
    snapshot: int = 0


class RenewLease(Operation[bool], frozen=True):
    """Let a worker be believed alive for longer; False if its lease has been ended."""

    worker: int
    lease_until: int


class EndLease(Operation[int], frozen=True):
    """Believe a worker dead: what it holds can be claimed at once. Answers how many instances it held."""

    worker: int


class AbandonUnknown(Operation[int], frozen=True):
    """Let be claimed what (row, turn) a worker holds beside `known`, as answers were lost; answer how many."""

    worker: int
    known: list[tuple[int, int]]


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """An instance that a worker holds."""

    workflow: str
    id: str
    records: list[RecordRow]


class ListHoldings(Operation[list[Holding]], frozen=True):
    """Return instances that a worker holds, latest change first, with their histories."""

    worker: int
    limit: int


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A turn: the right to write to one instance. `n` is the number of its last record so far.

    `lost_turns` counts the turns in a row that ended without an outcome or a park; 0 means that none was lost.
    """

    row: int
    turn: int
    n: int
    account: str
    workflow: str
    id: str
    version: str
    created_at: int
    lost_turns: int
    # How much `run` has said that is stored, and the number of the last log line.
    logged: int = 0
    log_n: int = 0
    # What the workflow is made of (now, or in the instance's version, if that stays on its code), and the limit of
    # steps of the instance's version (None: the default).
    script: str = ""
    class_name: str = ""
    step_limit: int | None = None
    # Its records with that of the claim, if there are at most SHORT_HISTORY; None: they are to be read.
    history: list[RecordRow] | None = None
    # Since when it was due; None: it was taken from a worker that is gone.
    due_at: int | None = None


# A history of so many records comes with its claim: most turns have one, and are spared a read.
SHORT_HISTORY = 16


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """The turns that a worker got, and when the next instance is due that nobody holds (None: none is)."""

    turns: list[Claim]
    next_due_at: int | None


class ClaimDue(Operation[Claims], frozen=True):
    """Take up to `limit` instances that are due, or whose holder's lease has ended, earliest first.

    Only those that run on this snapshot; 0: on whatever code is served. Raises each one's turn and records *running*
    in the same transaction. `suspects` is how many the worker holds of those that have lost turns in a row, at least as
    many as each key of SUSPECTS: it gets no more of them than that allows.

    A worker that holds nothing may say that it `is_idle`. If nothing is due it may be given, until it claims again, an
    instance that is created here: it is claimed as it is created, in one transaction, and the worker hears of it
    (`Listener.turns_given`). With a limit of 0 nothing is looked for: that only says whether it is idle.
    """

    worker: int
    now: int
    limit: int
    snapshot: int = 0
    suspects: tuple[int, ...] = ()
    is_idle: bool = False


# What kills its worker again and again is found by elimination. After a first death all that the worker held is tried
# again side by side; what has lost so many turns in a row is held by a worker together with so many others at most. So
# an instance that only stood beside is never taken for the one that kills.
SUSPECTS = {2: 20, 3: 1}


# ---- turns


class ReadHistory(Operation[list[RecordRow]], frozen=True):
    """Return the records of an instance after a seq, in order: the first `limit` of them; None: all.

    `turn`: for that turn alone; if it has been lost there are none, as if the instance were gone.
    """

    row: int
    after: int = 0
    limit: int | None = None
    turn: int | None = None


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """The instance's last seq after a commit, and the records from outside since `seen`."""

    seq: int
    outside: list[RecordRow]


class Commit(Operation[Committed], frozen=True):
    """Append records to the history of an instance.

    `n` is the number, within the turn, of the last record before these. Records that are there already are passed
    over, so a commit whose fate is unknown can be sent again. `seen` is the last seq that the turn knows of.
    A commit that is not `urgent` may wait a few milliseconds for company. `is_outcome` clears the lost turns;
    `has_rollbacks` tells that a step with a rollback begins. `status` is what the records make of it; None: no other.
    Raises TurnLost if the turn is no longer the instance's, OutOfOrder if an earlier commit of the turn is missing.
    """

    row: int
    turn: int
    n: int
    seen: int
    records: list[RecordRow]
    step_count: int
    now: int
    urgent: bool = True
    is_outcome: bool = False
    has_rollbacks: bool = False
    status: str | None = None


class Released(msgspec.Struct, frozen=True, array_like=True):
    """Whether the instance was let go; if not, the records from outside that the turn has to see first."""

    done: bool
    seq: int
    outside: list[RecordRow]


class Release(Operation[Released], frozen=True):
    """End a turn: append the last records, set the status, and let the instance go.

    Refused, without writing anything, if records came from outside after `seen`, unless `ended_at` is given: an
    instance that ends takes no notice of them. `due_at` is when it needs its next turn; None: never.
    Sent again after it was done, it is done. Raises TurnLost or OutOfOrder as Commit does.
    """

    row: int
    turn: int
    n: int
    seen: int
    records: list[RecordRow]
    step_count: int
    status: str
    due_at: int | None
    ended_at: int | None
    now: int
