"""How an instance gets an event, or a decision on a step."""

from typing import NamedTuple

from stepwell.core.instance import Status
from stepwell.errors import InstanceFinished, RestartedMeanwhile
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.operations import AppendEvent, RecordRow
from stepwell.store.sqlite_rows import first
from stepwell.store.sqlite_targets import find_target
from stepwell.store.sqlite_transaction import Transaction

_PLACE = """
    select row, seq, owner, status, due_at, ended_at
    from instances
    where row = :row
        and workflow not in (select row from deleted_workflows)
    """
# The seq closes the race with a commit or a release: where one came first, this one looks again.
_TELL_HELD = """
    update instances
    set seq = seq + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and owner is not null
    """
_MAKE_DUE = """
    update instances
    set seq = seq + 1,
        due_at = :due_at,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and owner is null
    """


class _Place(NamedTuple):
    """What an event needs to know of its instance."""

    row: int
    seq: int
    owner: int | None
    status: str
    due_at: int | None
    ended_at: int | None


def append_event(transaction: Transaction, operation: AppendEvent) -> int:
    """Do AppendEvent."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.ended_at is not None:
        raise InstanceFinished(operation.workflow, operation.id, target.status, "send an event")
    place = _Place(target.row, target.seq, target.owner, target.status, target.due_at, target.ended_at)
    _append(transaction, place, operation.record, operation.now)
    return target.seq + 1


def force_step(transaction: Transaction, operation: ForceStep) -> int:
    """Do ForceStep."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.restarted_seq != operation.restarted_seq:
        raise RestartedMeanwhile(operation.id)
    if target.ended_at is not None:
        raise InstanceFinished(operation.workflow, operation.id, target.status, "change a step")
    place = _Place(target.row, target.seq, target.owner, target.status, target.due_at, target.ended_at)
    _append(transaction, place, operation.record, operation.now)
    return target.seq + 1


def tell_event(transaction: Transaction, row: int, record: RecordRow, now: int) -> None:
    """Give an event to an instance by its row; one that has ended, or is gone, is passed over."""
    found = first(transaction.connection, _PLACE, (row,))
    if found is not None and (place := _Place(*found)).ended_at is None:
        _append(transaction, place, record, now)


def _append(transaction: Transaction, place: _Place, record: RecordRow, now: int) -> None:
    row = place.row
    if place.owner is not None:
        transaction.execute(_TELL_HELD, (now, transaction.tx, row, place.seq))
        transaction.tidings.tell(place.owner, row)
    elif place.status == Status.PAUSED:
        # It is met when the instance is resumed.
        transaction.execute(_MAKE_DUE, (None, now, transaction.tx, row, place.seq))
    else:
        due_at = now if place.due_at is None else min(now, place.due_at)
        transaction.execute(_MAKE_DUE, (due_at, now, transaction.tx, row, place.seq))
        transaction.tidings.due(due_at)
    transaction.append(row, place.seq + 1, record)
