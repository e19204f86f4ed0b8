"""Slots of limits that steps share: which attempts may begin, in all workflows of an account.

A step asks before an attempt, and gives its slot back when that is over; `shared_limit.py` knows who is next.
"""

from collections.abc import Sequence

import msgspec

from stepwell import flow
from stepwell.errors import LimitNotFound, TurnLost
from stepwell.store.flow_operations import (
    AskSlot,
    GiveSlots,
    LeaveSlot,
    SharedLimitRow,
    ShareLimit,
    SlotAnswer,
    SweepSlots,
)
from stepwell.store.sql.rows import Connection, Statement, every, first, only
from stepwell.store.sql.shared_limit import Place, forget_shared, is_known, lock_by_name, lock_shared
from stepwell.store.sql.targets import hold_turn
from stepwell.store.sql.transaction import Transaction

_PLACE = """
    select shared_limit, turn, has_begun, start_at
    from shared_slots
    where instance = :row
        and step = :step
    """
_PLACES = """
    select shared_limit, step
    from shared_slots
    where instance = :row
    """
_LIMITS_OF_SOME = """
    select distinct shared_limit
    from shared_slots
    where instance in (select {rows})
    order by shared_limit
    """
_LIMITS_OF = Statement(
    _LIMITS_OF_SOME.format(rows="value from json_each(:rows)"),
    postgres=_LIMITS_OF_SOME.format(rows="cast(json_array_elements_text(cast(:rows as json)) as bigint)"),
)
_WAIT = """
    insert into shared_slots (instance, step, shared_limit, since, turn)
    values (:row, :step, :shared_limit, :since, :turn)
    """
_ASK_AGAIN = """
    update shared_slots
    set turn = :turn
    where instance = :row
        and step = :step
    """
# What an instance's own code says, where newer code says nothing.
_FLOW_OF_INSTANCE = """
    select v.flow
    from instances as i
    join versions as v on v.id = i.version
    where i.row = :row
    """
_IS_ANOTHERS = """
    select 1
    from instances
    where row = :row
        and turn <> :turn
        and ended_at is null
        and workflow in (select row from workflows)
    """
# What is due comes back by itself, or will be once its workflow has a slot for it. What has ended does not, and what is
# held has asked again by now for all that it goes on with: a step of it that a lost turn ended asks for nothing.
_LEFT = """
    select s.shared_limit, s.instance, s.step
    from shared_slots as s
    left join instances as i on i.row = s.instance
    where s.start_at <= :before
        and (
            i.row is null
            or i.workflow not in (select row from workflows)
            or (i.owner is null and i.queued_at is null and (i.due_at is null or i.due_at > :now))
            or (
                i.owner is not null
                and s.turn < i.turn
                and (
                    select r.at
                    from records as r
                    where r.instance = i.row
                        and r.kind = 'running'
                    order by r.seq desc
                    limit 1
                ) <= :before
            )
        )
    order by s.shared_limit
    """
_GATES_WITH_ROOM = """
    select g.workflow
    from gates as g
    where (g.most is null or g.held < g.most)
        and g.queued > 0
        and exists (select 1 from queues as q where q.workflow = g.workflow and q.ready = 1)
    order by g.workflow
    """
_WITH_WAITING = """
    select l.row
    from shared_limits as l
    where exists (select 1 from shared_slots as s where s.shared_limit = l.row and s.start_at is null)
    order by l.row
    """
_SHOWN = """
    select l.name, coalesce(l.given, l.declared), l.given is not null, l.held, (
            select count(*)
            from (
                select 1
                from shared_slots as s
                where s.shared_limit = l.row
                    and s.start_at is null
                limit :most
            ) as waiting
        ), (
            select min(s.since)
            from shared_slots as s
            where s.shared_limit = l.row
                and s.start_at is null
        )
    from shared_limits as l
    where l.account = :account
    order by l.name
    """


def ask_slot(transaction: Transaction, operation: AskSlot) -> SlotAnswer:
    """Do AskSlot."""
    place, now = Place(operation.row, operation.step), operation.now
    limit = lock_by_name(transaction, operation.account, operation.limit)
    if not hold_turn(transaction, operation.row, operation.turn):
        raise TurnLost(operation.row, operation.turn)
    if limit.says_nothing:
        limit.say(_declared_by(transaction.connection, operation), None, now)
    found = first(transaction.connection, _PLACE, place)
    if found is not None and found[0] != limit.row:
        # Newer code names another limit.
        for other in lock_shared(transaction, [found[0]]):
            other.leave(place, now)
            other.admit(now)
        found = None
    if found is None:
        transaction.execute(_WAIT, (*place, limit.row, now, operation.turn))
    else:
        _, turn, has_begun, _ = found
        if has_begun and turn != operation.turn:
            limit.again(place)
        transaction.execute(_ASK_AGAIN, (operation.turn, *place))
    limit.admit(now, place)
    start_at: int | None = only(transaction.connection, _PLACE, place)[3]
    if start_at is not None and start_at <= now:
        limit.begin(place, start_at)
    return SlotAnswer(start_at)


def leave_slot(transaction: Transaction, operation: LeaveSlot) -> None:
    """Do LeaveSlot."""
    limit = lock_by_name(transaction, operation.account, operation.limit)
    if first(transaction.connection, _IS_ANOTHERS, (operation.row, operation.turn)) is None:
        limit.leave(Place(operation.row, operation.step), operation.now)
        limit.admit(operation.now)


def lock_limits_of(transaction: Transaction, rows: Sequence[int]) -> None:
    """Lock the limits of which instances have slots or places, before the instances themselves are locked."""
    found = every(transaction.connection, _LIMITS_OF, (msgspec.json.encode(rows).decode(),))
    lock_shared(transaction, [shared_limit for (shared_limit,) in found])


def leave_all(transaction: Transaction, row: int, now: int) -> None:
    """Take all slots and places from an instance that has no turn any more."""
    places = every(transaction.connection, _PLACES, (row,))
    for limit in lock_shared(transaction, {shared_limit for shared_limit, _ in places}):
        for shared_limit, step in places:
            if shared_limit == limit.row:
                limit.leave(Place(row, step), now)
        limit.admit(now)


def leave_unbegun(transaction: Transaction, row: int, step: str, now: int) -> None:
    """Take its place from a step that has its outcome without another attempt; one under way gives its slot back."""
    found = first(transaction.connection, _PLACE, (row, step))
    if found is None:
        return
    shared_limit, _, has_begun, _ = found
    for limit in [] if has_begun else lock_shared(transaction, [shared_limit]):
        limit.leave(Place(row, step), now)
        limit.admit(now)


def give_slots(transaction: Transaction, operation: GiveSlots) -> None:
    """Do GiveSlots. Gates give theirs at the end of the transaction."""
    waiting = every(transaction.connection, _WITH_WAITING)
    for limit in lock_shared(transaction, [row for (row,) in waiting]):
        limit.admit(operation.now)
    for (workflow,) in every(transaction.connection, _GATES_WITH_ROOM):
        transaction.gate(workflow, operation.now)


def sweep_slots(transaction: Transaction, operation: SweepSlots) -> int:
    """Do SweepSlots."""
    now, before = operation.now, operation.now - operation.spared_ms
    concerned = {shared_limit for shared_limit, _, _ in every(transaction.connection, _LEFT, (before, now))}
    concerned.update(row for (row,) in every(transaction.connection, _WITH_WAITING))
    limits = lock_shared(transaction, concerned)
    # Asked again under the locks: a turn that has asked since has its slot.
    left = every(transaction.connection, _LEFT, (before, now)) if limits else []
    for limit in limits:
        for shared_limit, instance, step in left:
            if shared_limit == limit.row:
                limit.leave(Place(instance, step), now)
        limit.admit(now)
    return len(left)


def share_limit(transaction: Transaction, operation: ShareLimit) -> None:
    """Do ShareLimit. One that nobody declares, and no step names, is forgotten."""
    named = (operation.account, operation.name)
    if operation.limit is None and not is_known(transaction.connection, *named):
        raise LimitNotFound(operation.name)
    limit = lock_by_name(transaction, *named)
    limit.say(limit.declared, operation.limit, operation.now)
    if limit.declared is None and operation.limit is None:
        forget_shared(transaction, limit.row)


def declare_shared(transaction: Transaction, account: str, declared: str | None, now: int) -> None:
    """Take note of what code declares (a flow, as JSON) of limits that steps share."""
    for name, allows in sorted(flow.from_text(declared).shared.items()):
        limit = lock_by_name(transaction, account, name)
        limit.say(flow.shared_text(allows), limit.given, now)


def list_shared(connection: Connection, account: str, most: int) -> list[SharedLimitRow]:
    """Return the limits that steps of an account share."""
    return [
        SharedLimitRow(name, limit, bool(is_set), held, waiting, since)
        for name, limit, is_set, held, waiting, since in every(connection, _SHOWN, (most, account))
    ]


# What `these` are is one instance (`= :instance`), or a list; who is next gets the slots when somebody looks again. The
# first statement changes nothing but holds the limits: what the second counts, nobody else may give back meanwhile.
FORGET_PLACES = (
    """
    update shared_limits
    set held = held
    where row in (
        select shared_limit
        from shared_slots
        where instance {these}
    )
    """,
    """
    update shared_limits
    set held = held - (
        select count(*)
        from shared_slots as s
        where s.shared_limit = shared_limits.row
            and s.instance {these}
            and s.start_at is not null
    )
    where row in (
        select shared_limit
        from shared_slots
        where instance {these}
            and start_at is not null
    )
    """,
    "delete from shared_slots where instance {these}",
)
_FORGET_OF_ONE = tuple(sql.format(these="= :instance") for sql in FORGET_PLACES)


def forget_places(transaction: Transaction, instance: int) -> None:
    """Forget the slots and places of an instance whose rows are deleted."""
    for sql in _FORGET_OF_ONE:
        transaction.execute(sql, (instance,))


def _declared_by(connection: Connection, operation: AskSlot) -> str | None:
    found = first(connection, _FLOW_OF_INSTANCE, (operation.row,))
    return None if found is None else flow.shared_text(flow.from_text(found[0]).shared.get(operation.limit))
