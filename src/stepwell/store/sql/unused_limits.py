"""Limits that nothing refers to any more: forgotten now and then, beside all other work.

A gate goes when nothing limits its workflow, and nobody has a slot there or waits for one. A limit that steps share
goes when no newest version of a workflow declares it, nobody has set it, no step has a slot of it or waits for one, and
no start of it counts any more; an instance of an earlier version that asks for it makes it known again. The queue of a
key goes when it is empty, and none of its starts counts any more.
"""

from collections.abc import Iterable

from stepwell import flow
from stepwell.store.flow_operations import ForgetLimits, ForgetQueues, QueuePlace
from stepwell.store.sql.admission import limits_of
from stepwell.store.sql.gates import forget_rows
from stepwell.store.sql.rows import Connection, every, first
from stepwell.store.sql.shared_limit import Limit, forget_shared, lock_shared
from stepwell.store.sql.slots import Gate, lock_gate
from stepwell.store.sql.transaction import Transaction

_UNUSED_GATES = """
    select workflow
    from gates
    where limits = '{}'
        and most is null
        and held = 0
        and queued = 0
        and account not in (
            select account
            from account_settings
            where concurrency is not null
        )
    order by workflow
    """
_IS_UNUSED = """
    select 1
    from gates
    where workflow = :workflow
        and held = 0
        and queued = 0
    """
_UNUSED_SHARED = """
    select l.row, l.account, l.name
    from shared_limits as l
    where l.given is null
        and l.held = 0
        and not exists (select 1 from shared_slots as s where s.shared_limit = l.row and s.start_at is null)
    order by l.row
    """
_LAST_SHARED_START = """
    select at
    from shared_starts
    where shared_limit = :shared_limit
    order by n desc
    limit 1
    """
_FLOWS = """
    select v.flow
    from workflows as w
    join versions as v on v.id = w.version
    where w.account = :account
        and v.flow is not null
    """
_QUEUES = """
    select q.workflow, q.key, q.held = 0 and q.holder = 0
    from queues as q
    where (q.workflow, q.key) > (:workflow, :key)
    order by q.workflow, q.key
    limit :most
    """
# Under the lock of its gate, which knows of all that have a slot.
_FORGET_QUEUE = """
    delete from queues
    where workflow = :workflow
        and key = :key
        and held = 0
        and holder = 0
        and not exists (
            select 1
            from instances as i
            where i.workflow = queues.workflow
                and i.key = queues.key
                and i.queued_at is not null
        )
        and coalesce((
            select s.at
            from starts as s
            where s.workflow = queues.workflow
                and s.key = queues.key
            order by s.n desc
            limit 1
        ), 0) <= :since
    """
_FORGET_STARTS = """
    delete from starts
    where workflow = :workflow
        and key = :key
    """
# Later than all moments.
_NEVER = 2**62


def forget_limits(transaction: Transaction, operation: ForgetLimits) -> int:
    """Do ForgetLimits."""
    return _forget_shared(transaction, operation.now) + _forget_gates(transaction)


def forget_queues(transaction: Transaction, operation: ForgetQueues) -> QueuePlace | None:
    """Do ForgetQueues."""
    connection = transaction.connection
    after = operation.after or QueuePlace(0, "")
    found = every(connection, _QUEUES, (after.workflow, after.key, operation.most))
    idle: dict[int, list[str]] = {}
    for workflow, key, is_idle in found:
        if is_idle:
            idle.setdefault(workflow, []).append(key)
    for workflow, keys in idle.items():
        gate = lock_gate(connection, workflow)
        since = _since(gate, operation.now)
        for key in keys:
            transaction.execute(_FORGET_QUEUE, (workflow, key, since))
            if connection.changes():
                transaction.execute(_FORGET_STARTS, (workflow, key))
    return None if len(found) < operation.most else QueuePlace(*found[-1][:2])


def _since(gate: Gate | None, now: int) -> int:
    """Return up to when a start of a key counts no more."""
    rate = None if gate is None else gate.limits.rate_per_key
    if rate is None:
        return _NEVER
    assert isinstance(rate.period, int)
    return now - rate.period


def _forget_shared(transaction: Transaction, now: int) -> int:
    connection, count = transaction.connection, 0
    unused = every(connection, _UNUSED_SHARED)
    declared = {account: _declared(connection, account) for account in {account for _, account, _ in unused}}
    for limit in lock_shared(transaction, [row for row, account, name in unused if name not in declared[account]]):
        if limit.given is None and not _has_start_that_counts(connection, limit, now):
            count += forget_shared(transaction, limit.row)
    return count


def _has_start_that_counts(connection: Connection, limit: Limit, now: int) -> bool:
    rate = flow.shared_of(limit.declared).rate
    last = first(connection, _LAST_SHARED_START, (limit.row,))
    if rate is None or last is None:
        return False
    assert isinstance(rate.period, int)
    return bool(last[0] + rate.period > now)


def _forget_gates(transaction: Transaction) -> int:
    connection, count = transaction.connection, 0
    for (workflow,) in every(connection, _UNUSED_GATES):
        lock_gate(connection, workflow)
        if first(connection, _IS_UNUSED, (workflow,)) is not None:
            forget_rows(transaction, workflow)
            count += 1
    return count


def _declared(connection: Connection, account: str) -> Iterable[str]:
    """Return the names of the limits that the newest code of an account declares."""
    flows = every(connection, _FLOWS, (account,))
    return {name for (text,) in flows for name in limits_of(text).shared}
