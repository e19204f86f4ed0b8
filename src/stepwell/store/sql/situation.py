"""Why an instance does not go on: what the tables of instances, workers and scripts say of it."""

from stepwell import flow
from stepwell.core.why import SharedSlotWait, Situation, SlotWait
from stepwell.store import codec
from stepwell.store.operations import InstanceRow
from stepwell.store.situation_operations import InstanceSituation, NoteBlocked, ReadSituation
from stepwell.store.sql.records import history
from stepwell.store.sql.rows import Connection, every, first, of_leases, only
from stepwell.store.sql.targets import INSTANCE_COLUMNS, find_named
from stepwell.store.sql.transaction import Transaction

_FACTS = len(InstanceRow.__struct_fields__)
# The row of a worker is there as long as it holds an instance, or is alive.
_INSTANCE = of_leases(
    f"""
    select {INSTANCE_COLUMNS}, i.snapshot, holder.name, coalesce(holder.lease_until > :now, false),
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
_SLOT_WAIT = """
    select i.workflow, i.key, i.queued_at, g.held, g.most, (
            select concurrency
            from account_settings
            where account = :account
        )
    from instances as i
    join gates as g on g.workflow = i.workflow
    where i.row = :row
        and i.queued_at is not null
    """
_BEFORE_IN_QUEUE = """
    select count(*)
    from (
        select 1
        from instances
        where workflow = :workflow
            and key = :key
            and queued_at <= :queued_at
            and (queued_at < :queued_at or row < :row)
        limit :most
    ) as waiting
    """
# One with a slot that has begun waits for nothing.
_SHARED_WAITS = """
    select s.shared_limit, s.step, l.name, s.since, s.start_at, l.held, coalesce(l.given, l.declared)
    from shared_slots as s
    join shared_limits as l on l.row = s.shared_limit
    where s.instance = :row
        and (s.start_at is null or s.start_at > :now)
    order by s.since, s.step
    """
_BEFORE_IN_SHARED = """
    select count(*)
    from (
        select 1
        from shared_slots
        where shared_limit = :shared_limit
            and start_at is null
            and (since, instance, step) < (:since, :row, :step)
        limit :most
    ) as waiting
    """
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


def _slot_wait(connection: Connection, row: int, operation: ReadSituation) -> SlotWait | None:
    found = first(connection, _SLOT_WAIT, (operation.account, row))
    if found is None:
        return None
    workflow, key, queued_at, held, most, most_in_account = found
    (before,) = only(connection, _BEFORE_IN_QUEUE, (workflow, key, queued_at, row, operation.most))
    return SlotWait(before, held, most, most_in_account, key)


def _shared_waits(connection: Connection, row: int, operation: ReadSituation) -> tuple[SharedSlotWait, ...]:
    waits = []
    for limit, step, name, since, start_at, held, said in every(connection, _SHARED_WAITS, (row, operation.now)):
        before = 0
        if start_at is None:
            (before,) = only(connection, _BEFORE_IN_SHARED, (limit, since, row, step, operation.most))
        most, label = flow.shared_of(said).concurrency, codec.from_step(step).label
        waits.append(SharedSlotWait(label, name, since, start_at, before, held, most, said is not None))
    return tuple(waits)


def note_blocked(transaction: Transaction, operation: NoteBlocked) -> None:
    """Do NoteBlocked."""
    transaction.execute(_NOTE_BLOCKED, (operation.since, operation.stack, operation.worker))


def read_situation(connection: Connection, operation: ReadSituation) -> InstanceSituation:
    """Do ReadSituation."""
    now = operation.now
    named = operation.account, operation.workflow, operation.id
    found = find_named(connection, _INSTANCE, named, (now,))
    row = InstanceRow(*found[:_FACTS])
    snapshot, owner, is_alive, lost_turns, script, class_name, is_loaded, *blocked = found[_FACTS:]
    due_at, before = row.due_at, 0
    if due_at is not None and due_at <= now:
        (before,) = only(connection, _BEFORE, (snapshot, due_at, row.row, operation.most))
    workers = [name for (name,) in every(connection, _WORKERS, (now, snapshot))]
    held = (owner, bool(is_alive), lost_turns)
    waits = _slot_wait(connection, row.row, operation), _shared_waits(connection, row.row, operation)
    situation = Situation(
        due_at, *held, before, workers, script, class_name, bool(is_loaded), row.version, blocked[0], blocked[1], *waits
    )
    return InstanceSituation(row, history(connection, row.row), situation)
