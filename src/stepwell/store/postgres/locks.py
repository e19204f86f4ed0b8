"""What a batch locks before it begins, and in which order.

Every transaction locks in this order, so that two of them do not wait for each other:

1. the catalogue (workflows and what they are made of), where an operation changes it, and Idempotency-Keys;
2. the workflows that get instances, against their deletion;
3. limits that steps share, by number: those that are asked, and those of which an instance loses its slots;
4. the instances, by row number; 5. all else that is theirs, by them; 6. what a host has counted, which is its own;
7. the accounts, and then the gates, of instances that got or lost slots, by name and number.

What an operation finds out only on its way, the parents and children of an instance, and which one gets the next slot,
may come out of this order. Then
PostgreSQL ends one of the two, and it is tried again.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from stepwell.store.account_operations import ChangeAccountSettings, DeleteTriggers, MergeTriggers, ReplaceTriggers
from stepwell.store.audit_operations import Audited
from stepwell.store.child_operations import AwaitChild, StartChild
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    StartTermination,
    TerminateInstance,
)
from stepwell.store.flow_operations import AskSlot, ForgetLimits, LeaveSlot, LimitAccount
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.job_operations import AdvanceJob
from stepwell.store.label_operations import SetLabels
from stepwell.store.note_operations import WriteNotes
from stepwell.store.once import Once
from stepwell.store.operations import AppendEvent, Commit, CreateInstance, Operation, RegisterWorkflow, Release
from stepwell.store.schedule_operations import ChangeSchedule, RunSchedule
from stepwell.store.snapshot_operations import DropSnapshots, SaveSnapshot, ServeSnapshot
from stepwell.store.sql.rows import Connection
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.store.upkeep_operations import Recount, RepairInstance
from stepwell.store.workflow_operations import DeleteWorkflow, PutWorkflow

_CATALOGUE = (
    RegisterWorkflow,
    PutWorkflow,
    DeleteWorkflow,
    ServeSnapshot,
    SaveSnapshot,
    DropSnapshots,
    StartTermination,
    ChangeSchedule,
    RunSchedule,
    ChangeAccountSettings,
    LimitAccount,
    ForgetLimits,
    ReplaceTriggers,
    MergeTriggers,
    DeleteTriggers,
    Recount,
)
_NAMED = (
    AppendEvent,
    ForceStep,
    PauseInstance,
    ResumeInstance,
    TerminateInstance,
    ResumeRollback,
    RestartInstance,
    DeleteInstance,
    AwaitChild,
)
_BY_ROW = (Commit, Release, WriteNotes, SetLabels, BeginStream, WritePiece, AskSlot, RepairInstance)

# What may take slots, or places, from the instance that it names.
_LEAVING = (
    ForceStep,
    PauseInstance,
    TerminateInstance,
    ResumeRollback,
    RestartInstance,
    DeleteInstance,
)

# The first half of the key is the schema: two stores in one database do not wait for each other.
_LOCK_KEYS = """
    select pg_advisory_xact_lock(hashtext(current_schema()), key)
    from (
        select key
        from unnest(cast(:keys as int[])) as key
        order by key
        offset 0
    ) as keys
    """
_LOCK_WORKFLOWS = """
    select 1
    from (
        select w.row
        from workflows as w
        where (w.account, w.name) in (
            select account, name
            from unnest(cast(:accounts as text[]), cast(:names as text[])) as asked (account, name)
        )
        order by w.row
        for key share of w
    ) as locked
    """
_LOCK_SHARED = """
    select 1
    from (
        select l.row
        from shared_limits as l
        where l.row in (
            select l.row
            from unnest(cast(:accounts as text[]), cast(:names as text[])) as asked (account, name)
            join shared_limits as l on l.account = asked.account and l.name = asked.name
            union all
            select s.shared_limit
            from unnest(cast(:owners as text[]), cast(:workflows as text[]), cast(:ids as text[])) as asked (
                account, name, id
            )
            join workflows as w on w.account = asked.account and w.name = asked.name
            join instances as i on i.workflow = w.row and i.id = asked.id
            join shared_slots as s on s.instance = i.row
        )
        order by l.row
        for update of l
    ) as locked
    """
_LOCK_INSTANCES = """
    select 1
    from (
        select i.row
        from instances as i
        where i.row in (
            select unnest(cast(:rows as bigint[]))
            union all
            select i.row
            from unnest(cast(:accounts as text[]), cast(:names as text[]), cast(:ids as text[])) as asked (
                account, name, id
            )
            join workflows as w on w.account = asked.account and w.name = asked.name
            join instances as i on i.workflow = w.row and i.id = asked.id
        )
        order by i.row
        for no key update of i
    ) as locked
    """
_CATALOGUE_KEY = 0


def lock(connection: Connection, operations: Sequence[Operation[Any]]) -> None:
    """Lock what operations are about. One that is alone locks its instance itself, when it looks at it."""
    if keys := sorted(set(_keys(operations))):
        connection.execute(_LOCK_KEYS, (keys,))
    is_alone = len(operations) == 1
    inner = [_inner(operation) for operation in operations]
    creations = [operation for operation in inner if isinstance(operation, CreateInstance)]
    if creations and not is_alone:
        accounts = [operation.account for operation in creations]
        connection.execute(_LOCK_WORKFLOWS, (accounts, [operation.workflow for operation in creations]))
    _lock_shared(connection, inner)
    if is_alone:
        return
    rows = [operation.row for operation in inner if isinstance(operation, _BY_ROW)]
    rows += [change.row for operation in inner if isinstance(operation, AdvanceJob) for change in operation.changes]
    named = [operation for operation in inner if isinstance(operation, _NAMED)]
    if rows or named:
        connection.execute(_LOCK_INSTANCES, (rows, *_names(named)))


def _lock_shared(connection: Connection, operations: Sequence[Operation[Any]]) -> None:
    asked = [operation for operation in operations if isinstance(operation, AskSlot | LeaveSlot)]
    leaving = [operation for operation in operations if isinstance(operation, _LEAVING)]
    if leaving or (asked and len(operations) > 1):
        limits = ([o.account for o in asked], [o.limit for o in asked])
        connection.execute(_LOCK_SHARED, (*limits, *_names(leaving)))


def _names(named: Sequence[Any]) -> tuple[list[str], list[str], list[str]]:
    return [o.account for o in named], [o.workflow for o in named], [o.id for o in named]


def _keys(operations: Iterable[Operation[Any]]) -> Iterable[int]:
    for operation in (each.operation if isinstance(each, Audited) else each for each in operations):
        if isinstance(operation, Once):
            yield crc32(f"{operation.account}\0{operation.key}".encode()) - 2**31
        elif isinstance(operation, _CATALOGUE):
            yield _CATALOGUE_KEY


def _inner(operation: Operation[Any]) -> Operation[Any]:
    match operation:
        case Audited():
            return _inner(operation.operation)
        case Once():
            return operation.operation
        case StartChild():
            return operation.creation
        case _:
            return operation
