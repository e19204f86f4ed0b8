"""The operations of a turn: claim, commit, release.

The fence is in the statements themselves: an update names the row, the turn and the number of the turn's last
record, and what matches no row has written nothing. Only then is it asked why.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stepwell.core.instance import Status
from stepwell.core.records import Running
from stepwell.errors import OutOfOrder, TurnLost
from stepwell.store import codec
from stepwell.store.operations import (
    SHORT_HISTORY,
    SUSPECTS,
    Claim,
    ClaimDue,
    Claims,
    Commit,
    Committed,
    RecordRow,
    Release,
    Released,
)
from stepwell.store.sql import slots
from stepwell.store.sql.children import followers, tell_parents
from stepwell.store.sql.control import end
from stepwell.store.sql.ended_errors import note_error
from stepwell.store.sql.rows import Statement, every, first, of_leases
from stepwell.store.sql.transaction import Transaction

# What a claim tells of an instance, as `Due` has it.
CLAIMED = """i.row, i.turn, i.seq, i.owner, i.lost_turns, w.account, w.name, i.id, i.version, i.created_at,
        i.logged, i.log_n,
        case when i.snapshot = 0 then w.script else coalesce(v.script, w.script) end,
        case when i.snapshot = 0 then w.class_name else coalesce(v.class_name, w.class_name) end,
        v.step_limit,
        i.slot = 0 and exists (select 1 from gates as g where g.workflow = i.workflow)"""
# The instances of a deleted workflow are nobody's; they are left out before the limit, so that they cost no others
# their turn. The due ones come by their index, the lost ones by the few workers whose lease is over; `cross join` keeps
# SQLite to that order of looking. A worker never takes its own as lost, however late it renews.
_DUE = Statement(
    f"""
    select {CLAIMED}, due.since
    from (
        select row, since
        from (
            select row, due_at as since
            from instances
            where snapshot = :snapshot
                and due_at <= :now
                and lost_turns < :too_often
                and workflow not in (select row from deleted_workflows)
            order by due_at
            limit :limit
        )
        union all
        select held.row, holder.lease_until as since
        from workers as holder
        cross join instances as held on held.owner = holder.row
        where holder.lease_until <= :now
            and holder.row <> :worker
            and held.snapshot = :snapshot
            and held.lost_turns + 1 < :too_often
    ) as due
    cross join instances as i on i.row = due.row
    cross join workflows as w on w.row = i.workflow
    left join versions as v on v.id = i.version
    order by due.since, i.row
    limit :limit
    """,
    # Rows that another process is about to claim are passed over. What is returned is what has been locked: a join
    # would read the rows again, as they were when the statement began.
    postgres=f"""
    with due as (
        select i.*, i.due_at as since
        from instances as i
        where i.snapshot = :snapshot
            and i.due_at <= :now
            and i.lost_turns < :too_often
            and i.workflow not in (select row from deleted_workflows)
        order by i.due_at
        limit :limit
        for update of i skip locked
    ),
    lost as (
        select i.*, holder.lease_until as since
        from leases as holder
        join instances as i on i.owner = holder.row
        where holder.lease_until <= :now
            and holder.row <> :worker
            and i.snapshot = :snapshot
            and i.lost_turns + 1 < :too_often
        order by holder.lease_until, i.row
        limit :limit
        for update of i skip locked
    )
    select {CLAIMED}, i.since
    from (
        select *
        from due
        union all
        select *
        from lost
    ) as i
    join workflows as w on w.row = i.workflow
    left join versions as v on v.id = i.version
    order by i.since, i.row
    limit :limit
    """,
)
# Raising the turn closes the race with the turn before: from here on its commits match no row.
_CLAIM = """
    update instances
    set turn = turn + 1,
        n = 1,
        seq = seq + 1,
        owner = :worker,
        due_at = null,
        status = case when status in ('waitingForPause', 'rollingBack') then status else 'running' end,
        started_at = coalesce(started_at, :now),
        lost_turns = lost_turns + case when owner is null then 0 else 1 end,
        modified_at = :now,
        tx = :tx
    where row = :row
        and turn = :turn
    """
# Where the lease of its host is over, a worker has none either: what it took would be anybody's at once, and the first
# to take it, again and again, would be the next worker of the same host.
_MAY_CLAIM = of_leases(
    """
    select 1
    from workers as holder
    where holder.row = :worker
        and holder.lease_until > 0
    """
)
# A worker that was claimed from is dead to the store: it must not renew its lease and believe otherwise.
_END_CLAIMED = """
    update workers
    set lease_until = 0
    where row = :worker
        and lease_until <= :now
    """
_FORGET_WORKER = """
    delete from workers
    where row = :worker
        and lease_until = 0
        and not exists (select 1 from instances where owner = :worker)
    """
_NEXT_DUE = """
    select due_at
    from instances
    where snapshot = :snapshot
        and due_at is not null
        and lost_turns < :too_often
        and workflow not in (select row from deleted_workflows)
    order by due_at
    limit 1
    """
_LOST_LEFT = of_leases(
    """
    select 1
    from workers as holder
    cross join instances as held on held.owner = holder.row
    where holder.lease_until <= :now
        and holder.row <> :worker
        and held.snapshot = :snapshot
        and held.lost_turns + 1 < :too_often
    limit 1
    """
)
# Closes the race between a turn and its successor (turn), a release (owner) and its own commits (n).
_COMMIT = """
    update instances
    set n = n + :count,
        seq = seq + :count,
        step_count = :step_count,
        lost_turns = lost_turns * :keep_lost,
        has_rollbacks = has_rollbacks | :has_rollbacks,
        modified_at = :now,
        tx = :tx
    where row = :row
        and turn = :turn
        and n = :n
        and owner is not null
    returning seq
    """
# The status is in an index, so most commits leave it alone.
_COMMIT_STATUS = _COMMIT.replace("set ", "set status = :status,\n        ", 1)
# The seq closes the race with an event that came after the turn last looked, and would be slept over.
_RELEASE = """
    update instances
    set n = n + :count,
        seq = seq + :count,
        step_count = :step_count,
        status = :status,
        due_at = :due_at,
        ended_at = :ended_at,
        owner = null,
        lost_turns = case when :status = 'running' then lost_turns else 0 end,
        modified_at = :now,
        tx = :tx
    where row = :row
        and turn = :turn
        and n = :n
        and owner is not null
        and (seq = :seen or cast(:ended_at as bigint) is not null)
    returning seq, awaited, workflow, slot, key
    """
_PLACE = """
    select turn, n, seq, owner
    from instances
    where row = :row
    """


_ANY_NUMBER = 2**62


class Due(NamedTuple):
    """An instance that can be claimed."""

    row: int
    turn: int
    seq: int
    owner: int | None
    lost_turns: int
    account: str
    workflow: str
    id: str
    version: str
    created_at: int
    logged: int
    log_n: int
    script: str
    class_name: str
    step_limit: int | None
    # Its workflow is limited, and it has no slot.
    needs_slot: bool
    # Since when it is due, or the lease of its owner is over.
    since: int

    @property
    def losses(self) -> int:
        """How many turns in a row it has lost, with the one that it is taken from."""
        return self.lost_turns + (self.owner is not None)


class Room:
    """How many more of those a worker may hold whose turns were lost."""

    def __init__(self, held: Sequence[int]) -> None:
        """`held` is how many it holds, as `ClaimDue.suspects` counts."""
        counts = dict(zip(SUSPECTS, held, strict=False))
        self._left = {often: most - counts.get(often, 0) for often, most in SUSPECTS.items()}

    @property
    def too_often(self) -> int:
        """From how many losses on it may hold no more."""
        return min((often for often, left in self._left.items() if left <= 0), default=_ANY_NUMBER)

    def takes(self, losses: int) -> bool:
        """Take one, if there is room."""
        if losses >= self.too_often:
            return False
        for often in self._left:
            self._left[often] -= losses >= often
        return True


class _Place(NamedTuple):
    """Where an instance is: enough to tell why a commit matched no row."""

    turn: int
    n: int
    seq: int
    owner: int | None


def claim_due(transaction: Transaction, operation: ClaimDue) -> Claims:
    """Do ClaimDue. A worker whose lease has been ended gets nothing."""
    worker, now, snapshot = operation.worker, operation.now, operation.snapshot
    if not operation.limit or first(transaction.connection, _MAY_CLAIM, (worker,)) is None:
        return Claims([], None)
    room = Room(operation.suspects)
    found = every(transaction.connection, _DUE, (snapshot, now, room.too_often, operation.limit, worker))
    due = [one for one in (Due(*columns) for columns in found) if room.takes(one.losses)]
    due = [one for one in due if not one.needs_slot or not slots.hold_back(transaction, one.row, now)]
    if due:
        taken_by = (worker, now, transaction.tx)
        # One hand-over for all of them.
        transaction.connection.executemany(_CLAIM, [(*taken_by, one.row, one.turn) for one in due])
    for one in due:
        running = codec.to_row(Running(now, one.owner is not None))
        transaction.append_turn(one.row, one.seq, (one.turn + 1, 0), [running])
        # Created a moment ago, for this worker: nobody else need look for it.
        transaction.tidings.begun.pop(one.row, None)
    short = {one.row: one.seq + 1 for one in due if one.seq < SHORT_HISTORY}
    known = transaction.histories(short) if short else {}
    claims = [to_claim(one, known.get(one.row)) for one in due]
    for holder in {instance.owner for instance in due if instance.owner is not None}:
        transaction.execute(_END_CLAIMED, (holder, now))
        transaction.execute(_FORGET_WORKER, (holder,))
    return Claims(claims, _next_due_at(transaction, operation, room.too_often))


def commit(transaction: Transaction, operation: Commit) -> Committed:
    """Do Commit."""
    row, turn, n, records = operation.row, operation.turn, operation.n, operation.records
    count = len(records)
    facts = (count, operation.step_count, not operation.is_outcome, operation.has_rollbacks)
    values = (*facts, operation.now, transaction.tx)
    if operation.status is None:
        matched = first(transaction.connection, _COMMIT, (*values, row, turn, n))
    else:
        matched = first(transaction.connection, _COMMIT_STATUS, (operation.status, *values, row, turn, n))
    if matched is None:
        return _commit_rest(transaction, operation)
    seq: int = matched[0]
    before = seq - count
    transaction.append_turn(row, before, (turn, n), records)
    outside = transaction.outside(row, operation.seen) if before > operation.seen else []
    return Committed(seq, outside)


def release(transaction: Transaction, operation: Release) -> Released:
    """Do Release."""
    row, turn, n, records = operation.row, operation.turn, operation.n, operation.records
    count = len(records)
    outcome = (operation.status, operation.due_at, operation.ended_at)
    values = (count, operation.step_count, *outcome, operation.now, transaction.tx)
    matched = first(transaction.connection, _RELEASE, (*values, row, turn, n, operation.seen))
    if matched is None:
        return _release_rest(transaction, operation)
    seq, is_awaited, workflow, has_slot, key = matched
    transaction.append_turn(row, seq - count, (turn, n), records)
    transaction.tidings.changed.add(row)
    transaction.count(workflow, operation.status, 1)
    if has_slot and operation.status not in slots.RUNNING:
        has_ended = operation.ended_at is not None
        slots.let_go(transaction, slots.AtGate(row, workflow, key, has_slot=True), operation.now, has_ended=has_ended)
    if operation.ended_at is not None and is_awaited:
        tell_parents(transaction, row, records[-1], operation.now)
    if operation.status == Status.ERRORED:
        note_error(transaction.connection, row, records[-1])
    if operation.status == Status.TERMINATED:
        end(transaction, followers(transaction, row), records[-1])
    if operation.due_at is not None:
        transaction.tidings.due(operation.due_at)
    return Released(done=True, seq=seq, outside=[])


def to_claim(due: Due, history: list[RecordRow] | None) -> Claim:
    """Return the turn that an instance has got."""
    return Claim(
        due.row,
        due.turn + 1,
        n=1,
        account=due.account,
        workflow=due.workflow,
        id=due.id,
        version=due.version,
        created_at=due.created_at,
        lost_turns=due.losses,
        logged=due.logged,
        log_n=due.log_n,
        script=due.script,
        class_name=due.class_name,
        step_limit=due.step_limit,
        history=history,
        due_at=due.since if due.owner is None else None,
    )


def _next_due_at(transaction: Transaction, operation: ClaimDue, too_often: int) -> int | None:
    code = (operation.snapshot, too_often)
    if first(transaction.connection, _LOST_LEFT, (operation.now, operation.worker, *code)) is not None:
        return operation.now
    found = first(transaction.connection, _NEXT_DUE, code)
    return None if found is None else int(found[0])


def _commit_rest(transaction: Transaction, operation: Commit) -> Committed:
    """Answer a commit that matched no row: it is there, or the rest of it is written, or it is refused."""
    place = _place(transaction, operation)
    if place.n >= operation.n + len(operation.records):
        return Committed(place.seq, transaction.outside(operation.row, operation.seen))
    if place.owner is None:
        raise TurnLost(operation.row, operation.turn)
    rest = _missing(place, operation.n, operation.records)
    return commit(transaction, msgspec.structs.replace(operation, n=place.n, records=rest))


def _release_rest(transaction: Transaction, operation: Release) -> Released:
    """Answer a release that matched no row: as a commit, or with what came from outside."""
    place = _place(transaction, operation)
    if place.owner is None:
        if place.n != operation.n + len(operation.records):
            raise TurnLost(operation.row, operation.turn)
        return Released(done=True, seq=place.seq, outside=[])
    outside = transaction.outside(operation.row, operation.seen)
    if outside and operation.ended_at is None:
        return Released(done=False, seq=place.seq, outside=outside)
    # What the turn does not know of is its own: the rest of the release is written on top.
    rest = _missing(place, operation.n, operation.records)
    if operation.records and not rest:
        raise OutOfOrder(f"records up to number {place.n} of a turn are there, and were not those of its release")
    return release(transaction, msgspec.structs.replace(operation, n=place.n, seen=place.seq, records=rest))


def _place(transaction: Transaction, operation: Commit | Release) -> _Place:
    found = first(transaction.connection, _PLACE, (operation.row,))
    if found is None or found[0] != operation.turn:
        raise TurnLost(operation.row, operation.turn)
    return _Place(*found)


def _missing(place: _Place, n: int, records: Sequence[RecordRow]) -> list[RecordRow]:
    """Return the records that are not there yet. Raises OutOfOrder."""
    present = place.n - n
    if not 0 <= present <= len(records):
        raise OutOfOrder(
            f"records from number {n + 1} of a turn came when it had {place.n}: an earlier commit is missing"
        )
    return list(records[present:])
