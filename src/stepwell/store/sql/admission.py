"""Admission: who of those that wait at a gate gets a slot next, as the limits and the rates allow.

Keys take turns; within a key the oldest is the first, by priority.
"""

from functools import lru_cache
from typing import NamedTuple

from stepwell import flow
from stepwell.flow import Flow, Rate
from stepwell.store.sql.rows import every, first, only
from stepwell.store.sql.transaction import Transaction

# So many get slots in one transaction at most, and so many queues are asked; more get theirs in another one.
_MOST_AT_ONCE, _MOST_ASKED = 100, 1_000
_HELD_IN_ACCOUNT = """
    select cast(coalesce(sum(held), 0) as bigint)
    from gates
    where account = :account
    """
# Of each gate with room: the queue whose turn it is, and since when the first one there waits; null: nobody does.
_CANDIDATES = """
    select g.workflow, g.limits, g.started, q.key, q.held, q.started, q.holder, (
            select i.queued_at
            from instances as i
            where i.workflow = q.workflow
                and i.key = q.key
                and i.queued_at is not null
            order by i.queued_at
            limit 1
        ) as since
    from gates as g
    join queues as q
        on q.workflow = g.workflow
        and q.key = (
            select next.key
            from queues as next
            where next.workflow = g.workflow
                and next.ready = 1
            order by next.served, next.key
            limit 1
        )
    where g.{scope}
        and (g.most is null or g.held < g.most)
    order by since nulls first, g.workflow
    """
_OF_WORKFLOW = _CANDIDATES.format(scope="workflow = :workflow")
_OF_ACCOUNT = _CANDIDATES.format(scope="account = :account")
_HEAD = """
    select row, started_at
    from instances
    where workflow = :workflow
        and key = :key
        and queued_at is not null
    order by queued_at, row
    limit 1
    """
# Closes the race with what ended it, or took it out of the queue, since it was seen.
_GIVE = """
    update instances
    set slot = 1,
        queued_at = null,
        due_at = :now
    where row = :row
        and queued_at is not null
    returning row
    """
# It wakes itself when the rate allows one more.
_WAKE_AT = """
    update instances
    set due_at = :at
    where row = :row
        and queued_at is not null
    """
_GIVEN_AT_GATE = """
    update gates
    set held = held + 1,
        queued = queued - 1,
        served = served + 2,
        started = started + :starts
    where workflow = :workflow
    """
_GIVEN_AT_QUEUE = """
    update queues
    set held = held + 1,
        served = (select served from gates where workflow = :workflow),
        started = started + :starts,
        holder = case when cast(:is_single as bigint) = 1 then :row else holder end
    where workflow = :workflow
        and key = :key
    """
_NOT_READY = """
    update queues
    set ready = 0
    where workflow = :workflow
        and key = :key
    """
_FORGET_IDLE = """
    delete from queues
    where workflow = :workflow
        and key = :key
        and held = 0
        and holder = 0
    """
_START = """
    select at
    from starts
    where workflow = :workflow
        and key is not distinct from :key
        and n = :n
    """
_ADD_START = """
    insert into starts (workflow, key, n, at)
    values (:workflow, :key, :n, :at)
    """
_FORGET_STARTS = """
    delete from starts
    where workflow = :workflow
        and key is not distinct from :key
        and n <= :n
    """


def admit_at_workflow(transaction: Transaction, workflow: int, now: int) -> None:
    """Give slots of a workflow whose gate is locked."""
    _Admission(transaction, _OF_WORKFLOW, workflow, now).give()


def admit_in_account(transaction: Transaction, account: str, most: int, now: int) -> None:
    """Give slots of an account, which is locked, and in which so many instances may run."""
    _Admission(transaction, _OF_ACCOUNT, account, now, most).give()


class _Candidate(NamedTuple):
    """The queue of a gate whose turn it is."""

    workflow: int
    limits: str
    started: int
    key: str
    held: int
    started_of_key: int
    holder: int
    since: int | None


class _Admission:
    """Gives slots at one gate, or at those of an account, whose locks are held."""

    def __init__(
        self, transaction: Transaction, candidates: str, scope: str | int, now: int, most: int | None = None
    ) -> None:
        """`scope` is the account or the workflow; `most`: of an account, how many of its instances may run."""
        self._transaction = transaction
        self._connection = transaction.connection
        self._execute = transaction.connection.execute
        self._candidates = candidates
        self._scope = scope
        self._now = now
        self._most = most
        # Workflows that may start nothing more for now.
        self._resting: set[int] = set()

    def give(self) -> None:
        """Give slots, as far as the limits allow."""
        given = asked = 0
        while given < _MOST_AT_ONCE and asked < _MOST_ASKED:
            found = self._next() if self._account_has_room() else None
            if found is None:
                return
            asked += 1
            given += self._serve(found)
        self._transaction.tidings.slots_left(self._now)

    def _account_has_room(self) -> bool:
        if self._most is None:
            return True
        (held,) = only(self._connection, _HELD_IN_ACCOUNT, (self._scope,))
        return int(held) < self._most

    def _next(self) -> _Candidate | None:
        for columns in every(self._connection, self._candidates, (self._scope,)):
            found = _Candidate(*columns)
            if found.workflow not in self._resting:
                return found
        return None

    def _serve(self, found: _Candidate) -> bool:
        """Give a slot to the first in a queue; False: it cannot have one, and will not be asked again for now."""
        limits = limits_of(found.limits)
        head = first(self._connection, _HEAD, (found.workflow, found.key))
        if head is None:
            self._close(found)
            if limits.rate_per_key is None:
                self._execute(_FORGET_IDLE, (found.workflow, found.key))
            return False
        row, started_at = head
        if _is_full(limits, found, row):
            self._close(found)
            return False
        starts = started_at is None
        if starts and not self._may_start(limits, found, row):
            return False
        if first(self._connection, _GIVE, (self._now, row)) is None:
            # Another transaction has taken it out meanwhile; the next one is asked.
            return False
        self._given(limits, found, row, starts=starts)
        return True

    def _may_start(self, limits: Flow, found: _Candidate, row: int) -> bool:
        wait = self._until(limits.rate, found.workflow, None, found.started)
        if wait is not None:
            self._resting.add(found.workflow)
        elif (wait := self._until(limits.rate_per_key, found.workflow, found.key, found.started_of_key)) is not None:
            self._close(found)
        if wait is None:
            return True
        self._execute(_WAKE_AT, (wait, row))
        self._transaction.tidings.due(wait)
        return False

    def _until(self, rate: Rate | None, workflow: int, key: str | None, started: int) -> int | None:
        """Return when a rate allows the next start; None: now."""
        if rate is None:
            return None
        found = first(self._connection, _START, (workflow, key, started + 1 - rate.limit))
        assert isinstance(rate.period, int)
        at = None if found is None else int(found[0]) + rate.period
        return at if at is not None and at > self._now else None

    def _given(self, limits: Flow, found: _Candidate, row: int, *, starts: bool) -> None:
        place = (found.workflow, found.key)
        self._execute(_GIVEN_AT_GATE, (int(starts), found.workflow))
        self._execute(_GIVEN_AT_QUEUE, (found.workflow, int(starts), int(limits.singleton is not None), row, found.key))
        if starts:
            self._note_start(limits.rate, (found.workflow, None), found.started + 1)
            self._note_start(limits.rate_per_key, place, found.started_of_key + 1)
        self._transaction.tidings.due(self._now)

    def _note_start(self, rate: Rate | None, place: tuple[int, str | None], n: int) -> None:
        if rate is not None:
            self._execute(_ADD_START, (*place, n, self._now))
            self._execute(_FORGET_STARTS, (*place, n - rate.limit))

    def _close(self, found: _Candidate) -> None:
        """Ask nobody of this queue until something changes there."""
        self._execute(_NOT_READY, (found.workflow, found.key))


def _is_full(limits: Flow, found: _Candidate, row: int) -> bool:
    if limits.singleton is not None and found.holder not in (0, row):
        return True
    return limits.limit_per_key is not None and found.held >= limits.limit_per_key


@lru_cache(maxsize=256)
def limits_of(text: str) -> Flow:
    """Return the limits that a gate has."""
    return flow.from_text(text)
