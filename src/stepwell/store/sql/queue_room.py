"""How many more instances a workflow without limits may get before as many are queued as may be.

A workflow with limits has a gate, which knows how many wait. Of others nobody keeps a count: it would be a row more
that each creation and each claim writes. They are counted in an index, and each host lets as many creations pass as
there was room for, without another look. So it counts once in many creations, and never too few of its own: meanwhile
others only leave the queue. What comes in by other hosts, by restarts and by resumptions is seen at the next count,
which begins some ten seconds behind the last at the most.

A look is in the way of all other writes, so it sees a bounded part: those that were created in a period. The next one
sees the next part, and at last the first one again; meanwhile the others count as they were seen before, and what is
created counts in its part. What has not been seen yet counts nothing: for some seconds a host that begins lets in too
many, if so many are queued that it takes several looks. Of one millisecond no more are seen than a look may see.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stepwell.errors import QueueFull
from stepwell.store.operations import CreateInstance
from stepwell.store.sql.rows import Connection, only

# How many a part has, when the last of them was created, and how many of them were created then.
QUEUED = """
    with part as materialized (
        select created_at
        from instances indexed by instances_by_status
        where workflow = (
                select row
                from workflows
                where account = :account
                    and name = :name
            )
            and status = 'queued'
            and created_at >= :since
            and created_at < :until
        order by created_at
        limit :most
    )
    select count(*), max(created_at), count(case when created_at = (select max(created_at) from part) then 1 end)
    from part
    """
# A look at so many takes some 2 ms, on PostgreSQL up to 20. No more than some hundredths of the time go into looks;
# until all have been seen once, some tenths.
_SEEN_AT_ONCE = 10_000
_SEEN_PER_MS_OF_REST, _SEEN_PER_MS_OF_REST_AT_FIRST = 10, 100
_STALE_AFTER_MS = 10_000
# Of so many workflows is remembered what room they had.
_MOST_KNOWN = 10_000
# Before and behind all moments.
_BEGINNING, _END = -(2**62), 2**62


# Account and name of a workflow.
_Named = tuple[str, str]


class _Part(Struct):
    """How many are queued, at the most, that were created in a period: `until` is not in it."""

    since: int
    until: int
    queued: int


class _Room:
    """What is known of a workflow's queue: in parts, which are looked at in turn. After each look there is a rest."""

    def __init__(self, now: int) -> None:
        self.queued = 0
        self._parts = [_Part(_BEGINNING, _END, 0)]
        # The part that is looked at next.
        self._at = 0
        self._has_seen_all = False
        self._looked_at = now
        self._rest_ms = 0

    def add(self, created_at: int, count: int) -> None:
        """Count more that are created at a moment, or fewer."""
        part = next(part for part in reversed(self._parts) if part.since <= created_at)
        part.queued += count
        self.queued += count

    def is_to_be_seen(self, most: int, now: int) -> bool:
        """Tell whether it is time for a look. Moments are of several clocks, of which one may have been set back."""
        age_ms = now - self._looked_at
        if age_ms < -_STALE_AFTER_MS:
            return True
        if age_ms < self._rest_ms:
            return False
        is_under_way = self._at > 0 or not self._has_seen_all
        return is_under_way or self.queued >= most or age_ms >= _STALE_AFTER_MS

    def look(self, connection: Connection, named: _Named, now: int) -> None:
        """Count a part."""
        part = self._parts[self._at]
        seen, last, of_last = only(connection, QUEUED, (*named, part.since, part.until, _SEEN_AT_ONCE))
        parts = _after_a_look(part, seen, last, of_last)
        self._has_seen_all |= part.until == _END and len(parts) == 1
        per_ms = _SEEN_PER_MS_OF_REST if self._has_seen_all else _SEEN_PER_MS_OF_REST_AT_FIRST
        self._looked_at, self._rest_ms = now, seen // per_ms
        self._put(parts)

    def _put(self, parts: list[_Part]) -> None:
        """Put what was seen in the place of the part that was looked at, and go on behind it."""
        before, behind = self._parts[: self._at], self._parts[self._at + 1 :]
        if before and before[-1].queued + parts[0].queued <= _SEEN_AT_ONCE // 2:
            first = before.pop()
            parts = [_Part(first.since, parts[0].until, first.queued + parts[0].queued), *parts[1:]]
        self._parts = [*before, *parts, *behind]
        self._at = (len(before) + 1) % len(self._parts)
        self.queued = sum(part.queued for part in self._parts)


def _after_a_look(part: _Part, seen: int, last: int, of_last: int) -> list[_Part]:
    """Return what is known of a part after a look: all of it, or of its beginning, and what may be behind that."""
    if seen < _SEEN_AT_ONCE:
        return [_Part(part.since, part.until, seen)]
    if of_last < seen:
        # There may be more of the last millisecond.
        until, seen = last, seen - of_last
    else:
        until = last + 1
    parts = [_Part(part.since, until, seen), _Part(until, part.until, max(0, part.queued - seen))]
    return [part for part in parts if part.since < part.until]


class QueueRoom:
    """What a writer knows of the room that workflows have."""

    def __init__(self) -> None:
        self._known: dict[_Named, _Room] = {}

    def take(self, connection: Connection, operation: CreateInstance) -> None:
        """Count an instance that is created at once. Raises QueueFull if as many are queued as may be."""
        if not self.let_in(connection, {0: operation}):
            assert operation.most_queued is not None
            raise QueueFull(operation.workflow, operation.most_queued)

    def let_in(self, connection: Connection, operations: Mapping[int, CreateInstance]) -> dict[int, CreateInstance]:
        """Return those that may be created, and count them. A workflow that is not there has room.

        None is looked at twice: those that have been let in are not there yet.
        """
        seen: set[_Named] = set()
        let_in = {}
        for place, operation in operations.items():
            named = _named(operation)
            if self._has_room(connection, operation, may_look=named not in seen):
                let_in[place] = operation
            seen.add(named)
        return let_in

    def give_back(self, operations: Iterable[CreateInstance]) -> None:
        """Count those no more that were let in, and have not been created after all."""
        for operation in operations:
            room = self._known.get(_named(operation))
            if operation.most_queued is not None and room is not None:
                room.add(operation.now, -1)

    def _has_room(self, connection: Connection, operation: CreateInstance, *, may_look: bool) -> bool:
        most, now = operation.most_queued, operation.now
        if most is None:
            return True
        named = _named(operation)
        room = self._known.get(named)
        if room is None:
            room = self._remember(named, _Room(now))
        if may_look and room.is_to_be_seen(most, now):
            room.look(connection, named, now)
        if room.queued >= most:
            return False
        room.add(now, 1)
        return True

    def _remember(self, named: _Named, room: _Room) -> _Room:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[named] = room
        return room


def _named(operation: CreateInstance) -> _Named:
    return operation.account, operation.workflow
