"""A limit that steps share, under its lock: who has a slot of it, and who is next.

Who has to wait gets *slot given* as a record of its instance, by the transaction that makes room. All that changes at a
limit is done under the lock of its row, which is taken before those of instances.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stepwell import flow
from stepwell.core.instance import Status
from stepwell.core.records import SlotGiven
from stepwell.flow import Rate, SharedLimit
from stepwell.store import codec
from stepwell.store.sql.rows import Connection, Row, Statement, every, first, only
from stepwell.store.sql.targets import change, changing, find_unfinished
from stepwell.store.sql.transaction import Transaction

# So many get slots in one transaction at most, or turn out to need none; more get theirs in another one.
_MOST_AT_ONCE = 100
_LIMIT = """
    select row, name, declared, given, held, started
    from shared_limits
    where {which}
    """
_BY_NAME = _LIMIT.format(which="account = :account and name = :name")
_LOCKED_BY_NAME = Statement(_BY_NAME, postgres=f"{_BY_NAME} for update")
_BY_ROW = _LIMIT.format(which="row = :shared_limit")
_LOCKED_BY_ROW = Statement(_BY_ROW, postgres=f"{_BY_ROW} for update")
_MAKE_KNOWN = """
    insert into shared_limits (account, name)
    values (:account, :name)
    on conflict (account, name) do nothing
    """
_SAY = """
    update shared_limits
    set declared = :declared,
        given = :given
    where row = :shared_limit
    """
_HEAD = """
    select instance, step, since, turn
    from shared_slots
    where shared_limit = :shared_limit
        and start_at is null
    order by since, instance, step
    limit 1
    """
_SET_START = """
    update shared_slots
    set start_at = :start_at,
        has_begun = :has_begun
    where instance = :row
        and step = :step
    """
_LEAVE = """
    delete from shared_slots
    where instance = :row
        and step = :step
        and shared_limit = :shared_limit
    returning start_at, has_begun
    """
_COUNT = """
    update shared_limits
    set held = :held,
        started = :started
    where row = :shared_limit
    """
_START = """
    select at
    from shared_starts
    where shared_limit = :shared_limit
        and n = :n
    """
_ADD_START = """
    insert into shared_starts (shared_limit, n, at)
    values (:shared_limit, :n, :at)
    """
_FORGET_STARTS = """
    delete from shared_starts
    where shared_limit = :shared_limit
        and n <= :n
    """
_FORGET_START = """
    delete from shared_starts
    where shared_limit = :shared_limit
        and n = :n
    """
_FORGET_UNUSED = """
    delete from shared_limits
    where row = :shared_limit
        and held = 0
        and not exists (
            select 1
            from shared_slots as s
            where s.shared_limit = shared_limits.row
                and s.start_at is null
        )
    returning row
    """
_FORGET_ITS_STARTS = """
    delete from shared_starts
    where shared_limit = :shared_limit
    """
# Of the slots that were given for a moment to come there is one at most. Where the clocks of hosts differ, one that has
# begun may seem to be to come, too.
_TO_COME = """
    select instance, step
    from shared_slots
    where shared_limit = :shared_limit
        and start_at > :now
        and has_begun = 0
    """
_APPEND = changing("due_at = :due_at")


class Place(NamedTuple):
    """A step of an instance."""

    instance: int
    step: str


class Limit:
    """A limit that steps share, whose lock is held."""

    def __init__(self, transaction: Transaction, columns: Row) -> None:
        self.row, self.name, self.declared, self.given, self._held, self._started = columns
        self._transaction = transaction
        self._connection = transaction.connection

    @property
    def says_nothing(self) -> bool:
        """Whether nobody has said yet what it allows."""
        return self.declared is None and self.given is None

    def say(self, declared: str | None, given: str | None, now: int) -> None:
        """Let it allow something else."""
        if (declared, given) == (self.declared, self.given):
            return
        self.declared, self.given = declared, given
        self._connection.execute(_SAY, (declared, given, self.row))
        for columns in every(self._connection, _TO_COME, (self.row, now)):
            # The moment is that of what was allowed before.
            place = Place(*columns)
            self._give_back(to_come=True)
            self._connection.execute(_SET_START, (None, 0, *place))
        self.admit(now)

    def again(self, place: Place) -> None:
        """Let a step whose attempt was lost wait again, before all others: the next one counts as one that begins."""
        self._give_back(to_come=False)
        self._connection.execute(_SET_START, (None, 0, *place))

    def begin(self, place: Place, start_at: int) -> None:
        """Let the attempt of a step that has a slot count as begun."""
        self._connection.execute(_SET_START, (start_at, 1, *place))

    def leave(self, place: Place, now: int) -> None:
        """Take its slot from a step, or its place among those that wait."""
        left = first(self._connection, _LEAVE, (*place, self.row))
        if left is not None and left[0] is not None:
            start_at, has_begun = left
            self._give_back(to_come=not has_begun and start_at > now)

    def admit(self, now: int, asker: Place | None = None) -> None:
        """Give slots to whoever can have one; the asker is told otherwise."""
        allows = flow.shared_of(self.declared if self.given is None else self.given)
        # Who is behind one that begins later is given a moment when that one has come.
        has_one_to_come = allows.rate is not None and first(self._connection, _TO_COME, (self.row, now)) is not None
        if not has_one_to_come and self._has_more_to_give(allows, now, asker):
            self._transaction.tidings.slots_left(now)
        self._connection.execute(_COUNT, (self._held, self._started, self.row))

    def _has_more_to_give(self, allows: SharedLimit, now: int, asker: Place | None) -> bool:
        """Give some slots, and tell whether there may be more to give."""
        for _ in range(_MOST_AT_ONCE):
            if allows == SharedLimit() or (allows.concurrency is not None and self._held >= allows.concurrency):
                return False
            head = first(self._connection, _HEAD, (self.row,))
            if head is None:
                return False
            instance, step, since, turn = head
            place, start_at = Place(instance, step), self._start_at(allows.rate, now)
            hears = True if place == asker else self._tell(place, (since, turn), start_at, now)
            if hears is None:
                self._connection.execute(_LEAVE, (*place, self.row))
                continue
            self._connection.execute(_SET_START, (start_at, int(hears and start_at <= now), *place))
            self._count(start_at, allows.rate)
            if start_at > now:
                return False
        return True

    def _start_at(self, rate: Rate | None, now: int) -> int:
        """Return when the next attempt may begin."""
        if rate is None:
            return now
        found = first(self._connection, _START, (self.row, self._started + 1 - rate.limit))
        assert isinstance(rate.period, int)
        return now if found is None else max(now, int(found[0]) + rate.period)

    def _count(self, start_at: int, rate: Rate | None) -> None:
        self._held += 1
        self._started += 1
        if rate is not None:
            self._connection.execute(_ADD_START, (self.row, self._started, start_at))
            # One more than the rate counts: this one may be given back before it begins.
            self._connection.execute(_FORGET_STARTS, (self.row, self._started - rate.limit - 1))

    def _give_back(self, *, to_come: bool) -> None:
        self._held -= 1
        if to_come:
            # It has not begun, so it does not count; it is the last that was given.
            self._connection.execute(_FORGET_START, (self.row, self._started))
            self._started -= 1

    def _tell(self, place: Place, asked: tuple[int, int], start_at: int, now: int) -> bool | None:
        """Give *slot given* to a step that waits, and tell whether the turn that has asked hears it, and may begin.

        `asked` is when, and in which turn. None: its instance has ended, is paused or gone.
        """
        target = find_unfinished(self._transaction, place.instance)
        if target is None or target.status == Status.PAUSED:
            return None
        due_at = None
        if target.owner is None:
            due_at = start_at if target.due_at is None else min(start_at, target.due_at)
            self._transaction.tidings.due(due_at)
        since, turn = asked
        given = SlotGiven(now, codec.from_step(place.step), self.name, since, start_at)
        change(self._transaction, target, [codec.to_row(given)], _APPEND, (due_at,))
        return target.owner is not None and target.turn == turn


def lock_by_name(transaction: Transaction, account: str, name: str) -> Limit:
    """Lock a limit; one that nobody knows becomes known."""
    found = first(transaction.connection, _LOCKED_BY_NAME, (account, name))
    if found is None:
        transaction.execute(_MAKE_KNOWN, (account, name))
        found = only(transaction.connection, _LOCKED_BY_NAME, (account, name))
    return Limit(transaction, found)


def lock_shared(transaction: Transaction, rows: Iterable[int]) -> list[Limit]:
    """Lock limits, in one order; those that are gone by now are left out."""
    found = [first(transaction.connection, _LOCKED_BY_ROW, (row,)) for row in sorted(rows)]
    return [Limit(transaction, columns) for columns in found if columns is not None]


def is_known(connection: Connection, account: str, name: str) -> bool:
    """Tell whether an account has a limit of a name."""
    return first(connection, _BY_NAME, (account, name)) is not None


def forget_shared(transaction: Transaction, row: int) -> bool:
    """Forget a limit that is locked, if no step has a slot of it, or waits for one; tell whether it is gone."""
    is_gone = first(transaction.connection, _FORGET_UNUSED, (row,)) is not None
    if is_gone:
        transaction.execute(_FORGET_ITS_STARTS, (row,))
    return is_gone
