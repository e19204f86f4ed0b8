"""The operations on jobs: one change of all instances that match a search, bit by bit.

A job's row is locked first, without waiting; so two hosts at one job do not wait for each other, and the one that comes
second finds the place moved on.
"""

from collections.abc import Sequence

import msgspec

from stepwell.core.records import PauseAsked, Paused, Restarted, Resumed, Terminated
from stepwell.errors import InstanceFinished, JobNotFound
from stepwell.store import codec
from stepwell.store.control_operations import (
    DeleteInstance,
    PauseInstance,
    RestartInstance,
    ResumeInstance,
    TerminateInstance,
)
from stepwell.store.job_operations import (
    MOST_FAILURES,
    MOST_LEFT,
    AdvanceJob,
    CancelJob,
    GetJob,
    JobChange,
    JobFailure,
    JobPlace,
    JobRow,
    Jobs,
    ListJobs,
    ListOpenJobs,
    StartJob,
)
from stepwell.store.search_operations import Wanted
from stepwell.store.sql.control import (
    delete_instance,
    pause_instance,
    restart_instance,
    resume_instance,
    terminate_instance,
)
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Row, Statement, every, first, locking_instance, only
from stepwell.store.sql.shared_slots import lock_limits_of
from stepwell.store.sql.transaction import Transaction

_AFTER_ALL = 2**62
_COLUMNS = """
    id, account, verb, workflow, wanted, created_at, created_by, upto, place_at, place_row, done, passed_over, failed,
    {failures}, ended_at, is_cancelled
    """
_ALL_COLUMNS = _COLUMNS.format(failures="failures")
_FIND = f"""
    select {_ALL_COLUMNS}
    from jobs
    where account = :account
        and id = :id
    """
_OPEN = f"{_FIND} and ended_at is null"
_TAKE = Statement(_OPEN, postgres=f"{_OPEN} for update skip locked")
_START = f"""
    insert into jobs (account, id, verb, workflow, wanted, created_at, created_by, upto)
    select :account, :id, :verb, :workflow, :wanted, :now, :by, coalesce(max(row), 0)
    from instances
    where true
    returning {_ALL_COLUMNS}
    """
_FORGET = """
    delete from jobs
    where account = :account
        and ended_at < :before
    """
_ADVANCE = f"""
    update jobs
    set place_at = :place_at,
        place_row = :place_row,
        done = :done,
        passed_over = :passed_over,
        failed = :failed,
        failures = :failures,
        ended_at = :ended_at
    where account = :account
        and id = :id
    returning {_ALL_COLUMNS}
    """
# Whoever is at it finds that it has ended when he comes to write how far he is.
_CANCEL = f"""
    update jobs
    set ended_at = :now,
        is_cancelled = 1
    where account = :account
        and id = :id
        and ended_at is null
    returning {_ALL_COLUMNS}
    """
_PAGE = f"""
    select {_COLUMNS.format(failures="'[]'")}
    from jobs
    where account = :account
    order by created_at desc, id desc
    limit :limit
    offset :offset
    """
_LEFT = f"""
    select count(*)
    from (
        select 1
        from workflows as w
        cross join instances as i on i.workflow = w.row
        where w.account = :account
            and w.name = coalesce(:workflow, w.name)
            and i.row <= :upto
            and (i.created_at, i.row) < (:place_at, :place_row)
        limit {MOST_LEFT}
    ) as unseen
    """
_COUNT = """
    select count(*)
    from jobs
    where account = :account
    """
_ALL_OPEN = """
    select account, id
    from jobs
    where ended_at is null
    order by account, id
    """
# Locked until it is changed: an id may be another instance's by then.
_STATUS = locking_instance(
    """
    select i.status
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
        and i.row = :row
    """
)


def start_job(transaction: Transaction, operation: StartJob) -> JobRow:
    """Do StartJob."""
    if operation.workflow is not None:
        find_workflow(transaction.connection, operation.account, operation.workflow)
    transaction.execute(_FORGET, (operation.account, operation.forget_before))
    wanted = msgspec.json.encode(operation.wanted).decode()
    what = (operation.verb, operation.workflow, wanted, operation.now, operation.by)
    job = _job(only(transaction.connection, _START, (operation.account, operation.id, *what)))
    return _with_left(transaction.connection, job)


def advance_job(transaction: Transaction, operation: AdvanceJob) -> JobRow | None:
    """Do AdvanceJob."""
    found = first(transaction.connection, _TAKE, (operation.account, operation.id))
    if found is None:
        return None
    job = _job(found)
    if job.place != operation.place:
        return None
    # In the order in which other transactions lock them.
    lock_limits_of(transaction, [one.row for one in operation.changes])
    changed = [_change(transaction, job, one, operation.now) for one in sorted(operation.changes, key=_row)]
    done = sum(changed)
    counts = (job.done + done, job.passed_over + len(changed) - done, job.failed + len(operation.failures))
    failures = _failures([*job.failures, *operation.failures][:MOST_FAILURES])
    place, ended_at = (operation.to or (None, None)), (operation.now if operation.to is None else None)
    return _job(only(transaction.connection, _ADVANCE, (*place, *counts, failures, ended_at, job.account, job.id)))


def cancel_job(transaction: Transaction, operation: CancelJob) -> JobRow:
    """Do CancelJob."""
    found = first(transaction.connection, _CANCEL, (operation.now, operation.account, operation.id))
    return _found(transaction.connection, operation.account, operation.id) if found is None else _job(found)


def get_job(connection: Connection, operation: GetJob) -> JobRow:
    """Do GetJob."""
    return _with_left(connection, _found(connection, operation.account, operation.id))


def list_jobs(connection: Connection, operation: ListJobs) -> Jobs:
    """Do ListJobs."""
    (total,) = only(connection, _COUNT, (operation.account,))
    page = every(connection, _PAGE, (operation.account, operation.limit, operation.offset))
    return Jobs([_with_left(connection, _job(columns)) for columns in page], int(total))


def list_open_jobs(connection: Connection, operation: ListOpenJobs) -> list[JobPlace]:  # noqa: ARG001 - it asks for all
    """Do ListOpenJobs."""
    return [JobPlace(*columns) for columns in every(connection, _ALL_OPEN)]


def _change(transaction: Transaction, job: JobRow, change: JobChange, now: int) -> bool:
    """Do what a job does to an instance; tell whether there was anything to do."""
    named = (job.account, change.workflow, change.id)
    found = first(transaction.connection, _STATUS, (*named, change.row))
    if found is None or (job.wanted.statuses and found[0] not in job.wanted.statuses):
        return False
    before: str = found[0]
    try:
        match job.verb:
            case "pause":
                records = codec.to_row(PauseAsked(now)), codec.to_row(Paused(now))
                return pause_instance(transaction, PauseInstance(*named, *records)) != before
            case "resume":
                return resume_instance(transaction, ResumeInstance(*named, codec.to_row(Resumed(now)))) != before
            case "terminate":
                terminate_instance(transaction, TerminateInstance(*named, codec.to_row(Terminated(now, "api"))))
            case "restart":
                record = codec.to_row(Restarted(now, "api"))
                restart_instance(transaction, RestartInstance(*named, "api", record))
            case "delete":
                delete_instance(transaction, DeleteInstance(*named, now))
    except InstanceFinished:
        return False
    return True


def _row(change: JobChange) -> int:
    return change.row


def _found(connection: Connection, account: str, id: str) -> JobRow:
    columns = first(connection, _FIND, (account, id))
    if columns is None:
        raise JobNotFound(id)
    return _job(columns)


def _with_left(connection: Connection, job: JobRow) -> JobRow:
    if job.ended_at is not None:
        return job
    place = job.place or (_AFTER_ALL, _AFTER_ALL)
    (left,) = only(connection, _LEFT, (job.account, job.workflow, job.upto, *place))
    return msgspec.structs.replace(job, left=int(left))


def _failures(failures: Sequence[JobFailure]) -> str:
    return msgspec.json.encode(failures).decode()


def _job(columns: Row) -> JobRow:
    id, account, verb, workflow, wanted, created_at, created_by, upto, place_at, place_row, *rest = columns
    done, passed_over, failed, failures, ended_at, is_cancelled = rest
    return JobRow(
        id,
        account,
        verb,
        workflow,
        msgspec.json.decode(wanted, type=Wanted),
        created_at,
        created_by,
        upto,
        None if place_at is None else (place_at, place_row),
        done,
        passed_over,
        failed,
        msgspec.json.decode(failures, type=list[JobFailure]),
        ended_at,
        bool(is_cancelled),
    )
