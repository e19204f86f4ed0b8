"""Slots: which instances of a limited workflow may run.

An instance has its slot from when it is given one until it sleeps, waits, is paused or ends. What may not run yet waits
in the queue of its key. Whatever in a transaction changes who may run is noted at the gate of its workflow; at the
transaction's end the gates are locked, in one order, and whoever can have a slot gets it. So there are never more than
a limit allows, however many processes there are, and who waits is woken by who makes room.
"""

from typing import NamedTuple

from stepwell.core.instance import Status
from stepwell.core.records import Queued
from stepwell.errors import QueueFull
from stepwell.flow import Flow
from stepwell.store import codec
from stepwell.store.operations import CreateInstance
from stepwell.store.sql.admission import admit_at_workflow, admit_in_account, limits_of
from stepwell.store.sql.rows import Connection, Row, Statement, first, only
from stepwell.store.sql.transaction import GateChange, Transaction

_GATE = """
    select account, limits, most, queued
    from gates
    where workflow = :workflow
    """
_LOCKED_GATE = Statement(_GATE, postgres=f"{_GATE} for update")
LIMIT_OF_ACCOUNT = """
    select concurrency
    from account_settings
    where account = :account
        and concurrency is not null
    """
_LOCKED_ACCOUNT = Statement(LIMIT_OF_ACCOUNT, postgres=f"{LIMIT_OF_ACCOUNT} for update")
COUNT_AT_GATE = """
    update gates
    set held = held + :held,
        queued = queued + :queued
    where workflow = :workflow
    """
# A new queue is behind those that wait already, and before the one that was served last.
COUNT_AT_QUEUE = """
    insert into queues (workflow, key, held, served)
    select workflow, cast(:key as text), cast(:change as bigint), served - 1
    from gates
    where workflow = :workflow
    on conflict (workflow, key) do update set
        held = queues.held + excluded.held,
        ready = 1
    """
# One that the same transaction has ended, or deleted, is still noted.
_IS_UNFINISHED = """exists (
        select 1
        from instances as i
        where i.row = queues.holder
            and i.workflow = queues.workflow
            and i.ended_at is null
    )"""
_HOLDER = f"""
    select holder
    from queues
    where workflow = :workflow
        and key = :key
        and {_IS_UNFINISHED}
    """
_HOLD_KEY = f"""
    insert into queues (workflow, key, served, holder)
    select workflow, cast(:key as text), served - 1, cast(:row as bigint)
    from gates
    where workflow = :workflow
    on conflict (workflow, key) do update set holder = excluded.holder
    where not {_IS_UNFINISHED}
    """
_HOLDER_LEFT = """
    update queues
    set holder = 0,
        ready = 1
    where workflow = :workflow
        and key = :key
        and holder = :row
    """
_SHOW_QUEUED = """
    update instances
    set status = 'queued',
        seq = seq + 1,
        modified_at = :now,
        tx = :tx
    where row = :row
        and queued_at is not null
        and status in ('waiting', 'running')
    returning seq
    """
_OF_INSTANCE = """
    select workflow, key, queued_at, owner
    from instances
    where row = :row
    """
# Who holds a key goes on before any other of it: they wait for its end.
_QUEUE = """
    update instances
    set due_at = null,
        queued_at = coalesce(
            queued_at,
            (
                select 0
                from queues as q
                where q.workflow = instances.workflow
                    and q.key = instances.key
                    and q.holder = instances.row
            ),
            :now - bias
        )
    where row = :row
    """
_TAKE = """
    update instances
    set slot = 1
    where row = :row
    """
_LEAVE = """
    update instances
    set slot = 0,
        queued_at = null
    where row = :row
    """
_GO_ON = """
    update instances
    set due_at = :now,
        queued_at = null
    where workflow = :workflow
        and queued_at is not null
        and workflow in (select row from workflows)
    """
# With these statuses an instance keeps its slot when its turn ends.
RUNNING = frozenset({Status.RUNNING, Status.WAITING_FOR_PAUSE, Status.ROLLING_BACK})


class Gate(NamedTuple):
    """The gate of a workflow."""

    account: str
    limits: Flow
    most: int | None
    queued: int


class AtGate(NamedTuple):
    """An instance of a limited workflow, and what it has there."""

    row: int
    workflow: int
    key: str
    has_slot: bool
    waits: bool = False


def gate_of(connection: Connection, workflow: int) -> Gate | None:
    """Return the gate of a workflow; None: it has no limits."""
    return _to_gate(first(connection, _GATE, (workflow,)))


def lock_gate(connection: Connection, workflow: int) -> Gate | None:
    """Return the gate of a workflow, which nobody else passes until the transaction has ended."""
    return _to_gate(first(connection, _LOCKED_GATE, (workflow,)))


def hold_back(transaction: Transaction, row: int, now: int) -> bool:
    """Let an instance that is due, and has no slot, wait for one. What somebody held goes on: it did run.

    Tell whether it waits.
    """
    workflow, key, queued_at, owner = only(transaction.connection, _OF_INSTANCE, (row,))
    change = transaction.gate(workflow, now)
    if owner is not None:
        transaction.execute(_TAKE, (row,))
        change.hold(key, 1)
        return False
    transaction.execute(_QUEUE, (now, row))
    change.hold(key, 0)
    change.queued += queued_at is None
    change.woken.append(row)
    return True


def let_go(transaction: Transaction, place: AtGate, now: int, *, has_ended: bool) -> None:
    """Take an instance's slot, or its place in the queue, from it."""
    change = transaction.gate(place.workflow, now)
    if place.has_slot or place.waits:
        transaction.execute(_LEAVE, (place.row,))
        change.hold(place.key, -int(place.has_slot))
        change.queued -= place.waits
    if has_ended:
        change.left.append((place.key, place.row))


def enter(transaction: Transaction, row: int, workflow: int, place: tuple[str, Gate], now: int) -> None:
    """Let a new instance, which waits, be given a slot when the transaction ends, if there is one."""
    key, gate = place
    change = transaction.gate(workflow, now)
    change.hold(key, 0)
    change.queued += 1
    if gate.limits.singleton == "skip":
        # From its creation on, so that no other is created.
        transaction.execute(_HOLD_KEY, (key, row, workflow))


def holder(transaction: Transaction, workflow: int, key: str) -> int | None:
    """Return the row of the only instance of a key that may be unfinished; None: there is none.

    Nobody makes another before the transaction has ended.
    """
    lock_gate(transaction.connection, workflow)
    found = first(transaction.connection, _HOLDER, (workflow, key))
    return None if found is None else found[0]


def refuse_too_many(transaction: Transaction, workflow: int, gate: Gate, operation: CreateInstance) -> None:
    """Raise QueueFull if as many instances of a limited workflow wait as may."""
    most = operation.most_queued
    if most is None or gate.queued + transaction.gate(workflow, operation.now).queued < most:
        return
    # Of those that the same batch has created before, some may have got a slot.
    settle(transaction)
    _, _, _, queued = only(transaction.connection, _GATE, (workflow,))
    if queued >= most:
        raise QueueFull(operation.workflow, most)


def settle(transaction: Transaction) -> None:
    """Give slots to whoever can have one, after all that the transaction has changed."""
    changes, accounts = transaction.take_gates()
    by_account: dict[str, list[int]] = {account: [] for account in accounts}
    for workflow in sorted(changes):
        gate = gate_of(transaction.connection, workflow)
        if gate is None:
            _let_go_on(transaction, workflow, changes[workflow])
        else:
            by_account.setdefault(gate.account, []).append(workflow)
    for account in sorted(by_account):
        here = {workflow: changes[workflow] for workflow in by_account[account]}
        now = max(change.now for change in here.values()) if here else accounts[account]
        _settle_account(transaction, account, here, now)


def _settle_account(transaction: Transaction, account: str, changes: dict[int, GateChange], now: int) -> None:
    connection = transaction.connection
    limit = first(connection, _LOCKED_ACCOUNT, (account,))
    for workflow, change in changes.items():
        if lock_gate(connection, workflow) is None:
            _let_go_on(transaction, workflow, change)
        _count(transaction, workflow, change)
    if limit is not None:
        admit_in_account(transaction, account, limit[0], now)
    else:
        for workflow in changes:
            admit_at_workflow(transaction, workflow, now)
    for change in changes.values():
        _show_queued(transaction, change)


def _let_go_on(transaction: Transaction, workflow: int, change: GateChange) -> None:
    """Let those be due that were to wait at a gate that has been taken away meanwhile."""
    if change.queued > 0 or change.woken:
        transaction.execute(_GO_ON, (change.now, workflow))
        transaction.tidings.due(change.now)


def _count(transaction: Transaction, workflow: int, change: GateChange) -> None:
    transaction.execute(COUNT_AT_GATE, (change.held, change.queued, workflow))
    for key in sorted(change.keys):
        transaction.execute(COUNT_AT_QUEUE, (key, change.keys[key], workflow))
    for key, row in change.left:
        transaction.execute(_HOLDER_LEFT, (workflow, key, row))


def _show_queued(transaction: Transaction, change: GateChange) -> None:
    """Let those that go on waiting be seen so."""
    for row in change.woken:
        found = first(transaction.connection, _SHOW_QUEUED, (change.now, transaction.tx, row))
        if found is not None:
            transaction.append(row, found[0], codec.to_row(Queued(change.now)))


def _to_gate(columns: Row | None) -> Gate | None:
    if columns is None:
        return None
    account, limits, most, queued = columns
    return Gate(account, limits_of(limits), most, queued)
