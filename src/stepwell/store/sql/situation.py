"""Why an instance does not go on: what the tables of instances, workers and scripts say of it."""

from stepwell.core.why import Situation
from stepwell.store.situation_operations import InstanceSituation, NoteBlocked, ReadSituation
from stepwell.store.sql.records import history
from stepwell.store.sql.rows import Connection, every, of_leases, only
from stepwell.store.sql.targets import find_named
from stepwell.store.sql.transaction import Transaction

# The row of a worker is there as long as it holds an instance, or is alive.
_INSTANCE = of_leases(
    """
    select i.row, i.snapshot, i.version, i.due_at, holder.name, coalesce(holder.lease_until > :now, false),
        i.lost_turns, w.script, w.class_name,
        i.snapshot <> w.snapshot
            or exists (
                select 1
                from scripts as s
                where s.account = w.account
                    and s.name = w.script
                    and s.class_name = w.class_name
            ),
        holder.blocked_since, holder.blocked_stack
    from workflows as w
    join instances as i on i.workflow = w.row
    left join workers as holder on holder.row = i.owner
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
)
_WORKERS = of_leases(
    """
    select name
    from workers as holder
    where lease_until > :now
        and snapshot = :snapshot
    order by row
    """
)
# In the order in which workers take them.
_BEFORE = """
    select count(*)
    from (
        select 1
        from instances
        where snapshot = :snapshot
            and due_at <= :due_at
            and (due_at, row) < (:due_at, :row)
            and workflow not in (select row from deleted_workflows)
        limit :most
    ) as before
    """
# Of a worker that has died nobody asks for it: an older note about one does no harm.
_NOTE_BLOCKED = """
    update workers
    set blocked_since = :since,
        blocked_stack = :stack
    where row = :worker
    """


def note_blocked(transaction: Transaction, operation: NoteBlocked) -> None:
    """Do NoteBlocked."""
    transaction.execute(_NOTE_BLOCKED, (operation.since, operation.stack, operation.worker))


def read_situation(connection: Connection, operation: ReadSituation) -> InstanceSituation:
    """Do ReadSituation."""
    now = operation.now
    named = operation.account, operation.workflow, operation.id
    found = find_named(connection, _INSTANCE, named, (now,))
    row, snapshot, version, due_at, owner, is_alive, lost_turns, script, class_name, is_loaded, *blocked = found
    before = 0
    if due_at is not None and due_at <= now:
        (before,) = only(connection, _BEFORE, (snapshot, due_at, row, operation.most))
    workers = [name for (name,) in every(connection, _WORKERS, (now, snapshot))]
    held = (owner, bool(is_alive), lost_turns)
    situation = Situation(due_at, *held, before, workers, script, class_name, bool(is_loaded), version, *blocked)
    return InstanceSituation(history(connection, row), situation)
