"""How an instance gets an event, or a decision on a step."""

from stepwell.core.instance import Status
from stepwell.core.records import Action, StepForced
from stepwell.errors import InstanceFinished, RestartedMeanwhile
from stepwell.store import codec
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.operations import AppendEvent, RecordRow
from stepwell.store.sql.shared_slots import leave_unbegun
from stepwell.store.sql.targets import Target, change, changing, find_target, find_unfinished
from stepwell.store.sql.transaction import Transaction

_APPEND = changing("due_at = :due_at")


def append_event(transaction: Transaction, operation: AppendEvent) -> int:
    """Do AppendEvent."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.ended_at is not None:
        raise InstanceFinished(operation.workflow, operation.id, target.status, "send an event")
    return _append(transaction, target, operation.record)


def force_step(transaction: Transaction, operation: ForceStep) -> int:
    """Do ForceStep."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if (target.row, target.restarted_seq) != (operation.row, operation.restarted_seq):
        raise RestartedMeanwhile(operation.id)
    if target.ended_at is not None:
        raise InstanceFinished(operation.workflow, operation.id, target.status, "change a step")
    seq = _append(transaction, target, operation.record)
    record = codec.from_row(operation.record).record
    if isinstance(record, StepForced) and record.action in (Action.COMPLETE, Action.FAIL):
        leave_unbegun(transaction, target.row, codec.to_step(record.key), record.at)
    return seq


def tell_event(transaction: Transaction, row: int, record: RecordRow) -> None:
    """Give an event to an instance by its row; one that has ended, or is gone, is passed over."""
    if (target := find_unfinished(transaction, row)) is not None:
        _append(transaction, target, record)


def _append(transaction: Transaction, target: Target, record: RecordRow) -> int:
    due_at = None
    # One that is held is told; one that is paused meets it when it is resumed.
    if target.owner is None and target.status != Status.PAUSED:
        due_at = record.at if target.due_at is None else min(record.at, target.due_at)
        transaction.tidings.due(due_at)
    change(transaction, target, [record], _APPEND, (due_at,))
    return target.seq + 1
