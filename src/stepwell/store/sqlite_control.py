"""The operations that control an instance.

Every statement names the seq and the turn that it was decided upon: a commit, a claim or a release that came first
makes it match no row.
"""

from collections import deque
from collections.abc import Iterable

from stepwell.core.instance import Status
from stepwell.errors import InstanceFinished, RestartedMeanwhile
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    TerminateInstance,
)
from stepwell.store.operations import RecordRow
from stepwell.store.sqlite_children import followers, tell_parents
from stepwell.store.sqlite_rows import first, only
from stepwell.store.sqlite_targets import Target, find_target
from stepwell.store.sqlite_transaction import Transaction

# A turn that is held goes on until nothing is in flight: its own release says that the instance is paused.
_ASK_TO_PAUSE = """
    update instances
    set status = 'waitingForPause',
        seq = seq + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
        and owner is not null
    """
_PAUSE = """
    update instances
    set status = 'paused',
        due_at = null,
        seq = seq + 2,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
        and owner is null
    """
_RESUME = """
    update instances
    set status = :status,
        due_at = :due_at,
        seq = seq + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
    """
_UNFINISHED = """
    select seq, turn, owner
    from instances
    where row = :row
        and ended_at is null
    """
# Raising the turn closes the race with whoever holds the instance: from here on its commits match no row.
_TERMINATE = """
    update instances
    set status = 'terminated',
        due_at = null,
        ended_at = :now,
        owner = null,
        turn = turn + 1,
        n = 0,
        lost_turns = 0,
        seq = seq + 1,
        step_count = step_count + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
    """
# The next turn runs the rollbacks.
_ROLL_BACK = """
    update instances
    set status = 'rollingBack',
        due_at = :now,
        ended_at = null,
        owner = null,
        turn = turn + 1,
        n = 0,
        lost_turns = 0,
        seq = seq + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
    """
_RESTART = """
    update instances
    set status = 'queued',
        due_at = :now,
        ended_at = null,
        started_at = iif(:whole, null, started_at),
        renewed_at = iif(:whole, :now, renewed_at),
        trigger = iif(:whole, :trigger, trigger),
        restarted_seq = seq + 1,
        version = :version,
        owner = null,
        turn = turn + 1,
        n = 0,
        lost_turns = 0,
        logged = :logged,
        has_rollbacks = :has_rollbacks,
        seq = seq + 1,
        step_count = :step_count,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
    """
_SAID_SINCE = """
    select count(*)
    from log_lines
    where instance = :row
        and step is null
        and at >= :at
    """
# The workflow 0 has the instances that were deleted one by one; the row's number serves as an id there.
_DELETE = """
    update instances
    set workflow = 0,
        id = cast(row as text),
        due_at = null,
        owner = null,
        turn = turn + 1
    where row = :row
        and turn = :turn
    """
_REMEMBER = """
    insert or ignore into deleted_workflows (row)
    values (0)
    """

_MAY_PAUSE = (Status.RUNNING, Status.WAITING)


def pause_instance(transaction: Transaction, operation: PauseInstance) -> str:
    """Do PauseInstance."""
    target = _unfinished(transaction, operation, "pause")
    if target.status not in _MAY_PAUSE:
        return target.status
    place = (operation.now, transaction.tx, target.row, target.seq, target.turn)
    transaction.append(target.row, target.seq + 1, operation.asked)
    if target.owner is not None:
        transaction.execute(_ASK_TO_PAUSE, place)
        _tell(transaction, target.owner, target.row)
        return Status.WAITING_FOR_PAUSE
    transaction.execute(_PAUSE, place)
    transaction.append(target.row, target.seq + 2, operation.paused)
    return Status.PAUSED


def resume_instance(transaction: Transaction, operation: ResumeInstance) -> str:
    """Do ResumeInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.status == Status.PAUSED:
        status = Status.QUEUED
    elif target.status == Status.WAITING_FOR_PAUSE:
        status = Status.RUNNING
    else:
        return target.status
    due_at = operation.now if target.owner is None else None
    place = (operation.now, transaction.tx, target.row, target.seq, target.turn)
    transaction.execute(_RESUME, (status, due_at, *place))
    transaction.append(target.row, target.seq + 1, operation.record)
    if target.owner is None:
        transaction.tidings.due(operation.now)
    _tell(transaction, target.owner, target.row)
    return status


def terminate_instance(transaction: Transaction, operation: TerminateInstance) -> str:
    """Do TerminateInstance."""
    target = _unfinished(transaction, operation, "terminate")
    if operation.rollback is None or not target.has_rollbacks:
        end(transaction, [target.row], operation.record)
        return Status.TERMINATED
    if target.status != Status.ROLLING_BACK:
        _roll_back(transaction, target, operation.rollback)
    return Status.ROLLING_BACK


def resume_rollback(transaction: Transaction, operation: ResumeRollback) -> str:
    """Do ResumeRollback."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.seq != operation.seq:
        raise RestartedMeanwhile(operation.id)
    _roll_back(transaction, target, operation.record)
    return Status.ROLLING_BACK


def _roll_back(transaction: Transaction, target: Target, record: RecordRow) -> None:
    transaction.execute(_ROLL_BACK, (record.at, transaction.tx, target.row, target.seq, target.turn))
    transaction.append(target.row, target.seq + 1, record)
    transaction.tidings.due(record.at)
    _tell(transaction, target.owner, target.row)


def end(transaction: Transaction, rows: Iterable[int], record: RecordRow) -> None:
    """End instances by a record from outside, and the children that end with their parents, and theirs.

    Each is looked at when its turn comes: the end of one changes others, as its children end and its parents are told.
    """
    ending = deque(rows)
    while ending:
        row = ending.popleft()
        place = first(transaction.connection, _UNFINISHED, (row,))
        if place is None:
            continue
        seq, turn, owner = place
        transaction.execute(_TERMINATE, (record.at, transaction.tx, row, seq, turn))
        transaction.append(row, seq + 1, record)
        _tell(transaction, owner, row)
        tell_parents(transaction, row, record, record.at)
        ending.extend(followers(transaction, row))


def restart_instance(transaction: Transaction, operation: RestartInstance) -> str:
    """Do RestartInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if operation.restarted_seq not in (None, target.restarted_seq) or operation.row not in (None, target.row):
        raise RestartedMeanwhile(operation.id)
    how = (operation.now, operation.from_at is None, operation.trigger, target.newest)
    what = (_still_said(transaction, target, operation.from_at), operation.has_rollbacks, operation.step_count)
    transaction.execute(_RESTART, (*how, *what, transaction.tx, target.row, target.seq, target.turn))
    transaction.append(target.row, target.seq + 1, operation.record)
    transaction.tidings.due(operation.now)
    _tell(transaction, target.owner, target.row)
    if operation.from_at is None:
        # The new run starts children of its own.
        end(transaction, followers(transaction, target.row), operation.ended)
    return Status.QUEUED


def delete_instance(transaction: Transaction, operation: DeleteInstance) -> None:
    """Do DeleteInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    transaction.execute(_DELETE, (target.row, target.turn))
    transaction.execute(_REMEMBER)
    transaction.tidings.changed.add(target.row)
    transaction.tidings.has_rubbish = True
    tell_parents(transaction, target.row, None, operation.now)
    end(transaction, followers(transaction, target.row), operation.record)
    _tell(transaction, target.owner, target.row)


def _unfinished(transaction: Transaction, operation: PauseInstance | TerminateInstance, verb: str) -> Target:
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if target.ended_at is not None:
        raise InstanceFinished(operation.workflow, operation.id, target.status, verb)
    return target


def _still_said(transaction: Transaction, target: Target, from_at: int | None) -> int:
    """Return how much of what `run` has said it will say again up to the step that is begun at.

    What was said in the same millisecond is taken for later: rather twice than not at all.
    """
    if from_at is None:
        return 0
    (since,) = only(transaction.connection, _SAID_SINCE, (target.row, from_at))
    return max(target.logged - int(since), 0)


def _tell(transaction: Transaction, owner: int | None, row: int) -> None:
    if owner is not None:
        transaction.tidings.tell(owner, row)
