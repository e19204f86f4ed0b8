"""The operations that control an instance.

Every statement names the seq and the turn that it was decided upon: a commit, a claim or a release that came first
makes it match no row.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from stepwell.core.instance import TRANSITIONS, Status
from stepwell.core.records import PauseAsked, Resumed, Terminated
from stepwell.errors import InstanceFinished, RestartedMeanwhile, VersionNotFound
from stepwell.store import codec
from stepwell.store.control_operations import (
    DeleteInstance,
    MoveInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    ResumeRollback,
    TerminateInstance,
)
from stepwell.store.operations import RecordRow
from stepwell.store.sql import slots
from stepwell.store.sql.children import followers, tell_parents
from stepwell.store.sql.ended_errors import forget_error
from stepwell.store.sql.labels import take_back_labels
from stepwell.store.sql.rows import first, only
from stepwell.store.sql.shared_slots import leave_all
from stepwell.store.sql.targets import Target, change, changing, find_target, find_unfinished
from stepwell.store.sql.transaction import Transaction

_MOVE = changing("status = :status, due_at = :due_at")
# Raising the turn closes the race with whoever holds the instance: from here on its commits match no row.
_LET_GO = "owner = null, turn = turn + 1, n = 0, lost_turns = 0"
_TERMINATE = changing(
    f"""status = 'terminated',
        due_at = null,
        ended_at = :at,
        step_count = step_count + 1,
        {_LET_GO}"""
)
# The next turn runs the rollbacks.
_ROLL_BACK = changing(
    f"""status = 'rollingBack',
        due_at = :at,
        ended_at = null,
        {_LET_GO}"""
)
_RESTART = changing(
    f"""status = 'queued',
        due_at = :at,
        ended_at = null,
        started_at = case when :whole then null else started_at end,
        renewed_at = case when :whole then :at else renewed_at end,
        trigger = case when :whole then :trigger else trigger end,
        restarted_seq = seq + 1,
        version = :version,
        snapshot = :snapshot,
        logged = :logged,
        labelled = 0,
        has_rollbacks = :has_rollbacks,
        step_count = :step_count,
        {_LET_GO}"""
)
_GIVE_VERSION = changing(
    f"""version = :version,
        snapshot = :snapshot,
        due_at = :due_at,
        {_LET_GO}"""
)
_MODIFIED = """
    select modified_at
    from instances
    where row = :row
    """
_SNAPSHOT = """
    select snapshot
    from versions
    where id = :version
        and workflow = :workflow
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
    insert into deleted_workflows (row)
    values (0)
    on conflict do nothing
    """


def pause_instance(transaction: Transaction, operation: PauseInstance) -> str:
    """Do PauseInstance."""
    target = _unfinished(transaction, operation, "pause")
    if target.status not in TRANSITIONS[PauseAsked]:
        return target.status
    # What waits stands still from then on: a pause that a clock has put before all that was would hold it up as long.
    (modified_at,) = only(transaction.connection, _MODIFIED, (target.row,))
    asked, paused = (
        msgspec.structs.replace(record, at=max(record.at, modified_at))
        for record in (operation.asked, operation.paused)
    )
    # A turn that is held goes on until nothing is in flight: its own release says that the instance is paused.
    if target.owner is not None:
        change(transaction, target, [asked], _MOVE, (Status.WAITING_FOR_PAUSE, None))
        return Status.WAITING_FOR_PAUSE
    change(transaction, target, [asked, paused], _MOVE, (Status.PAUSED, None))
    _let_go(transaction, target, paused.at, has_ended=False)
    return Status.PAUSED


def resume_instance(transaction: Transaction, operation: ResumeInstance) -> str:
    """Do ResumeInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    status = TRANSITIONS[Resumed].get(Status(target.status))
    if status is None:
        return target.status
    due_at = operation.record.at if target.owner is None else None
    change(transaction, target, [operation.record], _MOVE, (status, due_at))
    if due_at is not None:
        transaction.tidings.due(due_at)
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
    if (target.row, target.seq) != (operation.row, operation.seq):
        raise RestartedMeanwhile(operation.id)
    _roll_back(transaction, target, operation.record)
    return Status.ROLLING_BACK


def _roll_back(transaction: Transaction, target: Target, record: RecordRow) -> None:
    transaction.count(target.workflow, target.status, -1)
    forget_error(transaction, target.row, target.status)
    change(transaction, target, [record], _ROLL_BACK, (record.at,))
    # The turn that runs the rollbacks asks for none of what the steps have, and the one before has been fenced out.
    leave_all(transaction, target.row, record.at)
    transaction.tidings.due(record.at)


def end(transaction: Transaction, rows: Iterable[int], record: RecordRow) -> None:
    """End instances by a record from outside, and the children that end with their parents, and theirs.

    Each is looked at when its turn comes: the end of one changes others, as its children end and its parents are told.
    """
    ending = deque(rows)
    while ending:
        target = find_unfinished(transaction, ending.popleft())
        if target is None:
            continue
        transaction.count(target.workflow, Status.TERMINATED, 1)
        transaction.tidings.terminated.append((target.account, target.workflow_name))
        change(transaction, target, [record], _TERMINATE, (record.at,))
        _let_go(transaction, target, record.at, has_ended=True)
        tell_parents(transaction, target.row, record, record.at)
        ending.extend(followers(transaction, target.row))


def end_followers(transaction: Transaction, row: int, now: int, trigger: str = "api") -> None:
    """End the children of an instance that end with it."""
    end(transaction, followers(transaction, row), codec.to_row(Terminated(now, trigger)))


def restart_instance(transaction: Transaction, operation: RestartInstance) -> str:
    """Do RestartInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    if operation.restarted_seq not in (None, target.restarted_seq) or operation.row not in (None, target.row):
        raise RestartedMeanwhile(operation.id)
    now = operation.record.at
    how = (now, operation.from_at is None, operation.trigger, target.newest, target.snapshot)
    what = (_still_said(transaction, target, operation.from_at), operation.has_rollbacks, operation.step_count)
    transaction.count(target.workflow, target.status, -1)
    forget_error(transaction, target.row, target.status)
    take_back_labels(transaction, target.row)
    change(transaction, target, [operation.record], _RESTART, (*how, *what))
    # Also those of attempts that are under way: their turn has been fenced out, and nobody would give them back.
    leave_all(transaction, target.row, now)
    transaction.tidings.due(now)
    if operation.from_at is None:
        # The new run starts children of its own.
        end_followers(transaction, target.row, now, operation.trigger)
    return Status.QUEUED


def move_instance(transaction: Transaction, operation: MoveInstance) -> None:
    """Do MoveInstance."""
    target = _unfinished(transaction, operation, "move")
    if (target.row, target.seq) != (operation.row, operation.seq):
        raise RestartedMeanwhile(operation.id)
    found = first(transaction.connection, _SNAPSHOT, (operation.version, target.workflow))
    if found is None:
        raise VersionNotFound(operation.workflow, operation.version)
    now = operation.records[-1].at
    rests = target.status == Status.PAUSED or (target.queued_at is not None and target.due_at is None)
    due_at = None if rests else now
    change(transaction, target, operation.records, _GIVE_VERSION, (operation.version, found[0], due_at))
    # Those of attempts that were under way: their turn has been fenced out, and nobody would give them back.
    leave_all(transaction, target.row, now)
    if due_at is not None:
        transaction.tidings.due(due_at)


def delete_instance(transaction: Transaction, operation: DeleteInstance) -> None:
    """Do DeleteInstance."""
    target = find_target(transaction, operation.account, operation.workflow, operation.id)
    transaction.count(target.workflow, target.status, -1)
    hide(transaction, target.row, target.turn)
    _let_go(transaction, target, operation.now, has_ended=True)
    transaction.tidings.changed.add(target.row)
    if target.ended_at is None:
        tell_parents(transaction, target.row, None, operation.now)
    end_followers(transaction, target.row, operation.now)
    if target.owner is not None:
        transaction.tidings.tell(target.owner, target.row)


def _let_go(transaction: Transaction, target: Target, now: int, *, has_ended: bool) -> None:
    """Let an instance have no slot, and no place in a queue, any more; a worker gives back those of steps itself."""
    if target.owner is None:
        leave_all(transaction, target.row, now)
    if target.is_limited:
        place = slots.AtGate(
            target.row, target.workflow, target.key, has_slot=bool(target.slot), waits=target.queued_at is not None
        )
        slots.let_go(transaction, place, now, has_ended=has_ended)


def hide(transaction: Transaction, row: int, turn: int) -> None:
    """Let an instance be found no more; its rows are deleted behind it."""
    transaction.execute(_DELETE, (row, turn))
    transaction.execute(_REMEMBER)
    transaction.tidings.has_rubbish = True


def _unfinished(
    transaction: Transaction, operation: PauseInstance | TerminateInstance | MoveInstance, verb: str
) -> Target:
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
