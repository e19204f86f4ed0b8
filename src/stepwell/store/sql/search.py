"""Instances that are searched for: page by page in the order of their creation, however few of them match.

Each condition has an index. Where one of these has few entries that fit, they are all looked at, and nothing else is.
Else instances are looked at in the order in which they are shown, by the index of a condition that has this order, a
part at a time, until there are enough or the time is over; the answer says how far that was.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple

from stepwell.core.instance import UNFINISHED
from stepwell.store.operations import InstanceRow, RecordRow
from stepwell.store.search_operations import TAIL, Found, FoundError, FoundInstance, SearchInstances
from stepwell.store.sql.conditions import Access, Named, accesses, conditions, place_of, walk
from stepwell.store.sql.ended_errors import ERROR
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Row, Statement, every
from stepwell.store.sql.sealed import open_record, open_words
from stepwell.store.sql.targets import INSTANCE_COLUMNS

# What an index has no more of is looked at whole.
FEW = 2_000
# How many instances are looked at in one part: few at first, as most pages are full then.
_FIRST_PART, _GROWTH, _LARGEST_PART = 64, 4, 1_000
# (created_at, row)
Place = tuple[int, int]

_WORKFLOWS = """
    select row
    from workflows
    where account = :account
    order by row
    """
_PARAMETER = re.compile(r":([a-z]\w*)")


def _among(sql: str) -> Statement:
    """Return a statement on the instances whose rows are a JSON array, `{asked}`, as `i`."""
    here = "json_each(:rows) as asked cross join instances as i on i.row = asked.value"
    there = "jsonb_array_elements_text(cast(:rows as jsonb)) as asked (value) join instances as i on i.row = "
    return Statement(sql.format(asked=here), postgres=sql.format(asked=f"{there}cast(asked.value as bigint)"))


_MATCHING = f"""
    select {INSTANCE_COLUMNS}
    from {{asked}}
    join workflows as w on w.row = i.workflow
    where i.workflow = :workflow
    """
_ERRORS = _among(
    """
    select e.instance, e.name, e.message
    from {asked}
    cross join errors as e on e.instance = i.row
    """
)
_LABELS = _among(
    """
    select l.instance, l.name, l.value
    from {asked}
    cross join labels as l on l.instance = i.row
    where l.value is not null
    order by l.instance, l.name
    """
)
# Values are left out, but for that there is one: they may be large, and nobody sees them here.
_TAILS = _among(
    f"""
    select r.instance, r.seq, r.turn, r.n, r.kind, r.at, r.body, null, r.payload, r.size, r.value is not null
    from {{asked}}
    cross join records as r on r.instance = i.row and r.seq > i.seq - {TAIL}
    order by r.instance, r.seq
    """
)


class _Looked(NamedTuple):
    """What was found in a workflow, in order, and up to where it was looked; None: to the end."""

    rows: list[InstanceRow]
    to: Place | None


def search_instances(connection: Connection, operation: SearchInstances) -> Found:
    """Do SearchInstances."""
    until = monotonic() + operation.look_ms / 1000
    if operation.workflow is None:
        workflows = [row for (row,) in every(connection, _WORKFLOWS, (operation.account,))]
    else:
        workflows = [find_workflow(connection, operation.account, operation.workflow).row]
    # One after the other: of each workflow there may be a whole page, and of workflows any number.
    found = _Looked([], None)
    for row in workflows:
        found = _together(found, _Search(connection, operation, row).look(until), operation)
    return Found(_shown(connection, found.rows), found.to)


def _together(one: _Looked, other: _Looked, operation: SearchInstances) -> _Looked:
    """Return what was found in two places, up to the limit, or to where both of them were looked through."""
    sign = 1 if operation.ascending else -1

    def order(place: Place) -> Place:
        return (sign * place[0], sign * place[1])

    to = min((part.to for part in (one, other) if part.to is not None), key=order, default=None)
    rows = sorted((*one.rows, *other.rows), key=lambda row: order(_place(row)))
    if to is not None:
        rows = [row for row in rows if order(_place(row)) <= order(to)]
    if len(rows) > operation.limit:
        rows = rows[: operation.limit]
        to = _place(rows[-1])
    return _Looked(rows, to)


class _Search:
    """A search in one workflow."""

    def __init__(self, connection: Connection, operation: SearchInstances, workflow: int) -> None:
        self._connection = connection
        self._wanted = operation.wanted
        self._ascending = operation.ascending
        self._after = operation.after
        self._limit = operation.limit
        self._named: Named = {"workflow": workflow, "now": operation.now}
        self._conditions = conditions(operation.wanted, self._named)
        self._accesses = accesses(operation.wanted, self._named)

    def look(self, until: float) -> _Looked:
        """Return what matches, up to the limit, or as far as was looked until a moment; one part at the least."""
        found: list[InstanceRow] = []
        for places, is_last in self._parts(until):
            found += self._matching(places)
            if len(found) >= self._limit:
                kept = found[: self._limit]
                return _Looked(kept, _place(kept[-1]))
            if not is_last and monotonic() > until:
                return _Looked(found, places[-1])
        return _Looked(found, None)

    def _parts(self, until: float) -> Iterator[tuple[list[Place], bool]]:
        """Yield which instances to look at, in order, and whether they are the last."""
        few = next((access for access in self._accesses if self._count(access) <= FEW), None)
        if few is not None:
            yield from _in_parts(self._all_of(few), self._limit, until)
            return
        ordered = next((access for access in self._accesses if access.is_ordered), Access.of_all())
        place, size = self._after, max(self._limit, _FIRST_PART)
        while True:
            began = monotonic()
            sql = walk(ordered, self._wanted, ascending=self._ascending, goes_on=place is not None)
            places = [place_of(columns) for columns in self._ask(sql, size=size, **_after(place))]
            if places:
                yield places, len(places) < size
            if len(places) < size:
                return
            place, size = places[-1], _next_size(size, began, until)

    def _count(self, access: Access) -> int:
        return int(self._ask(access.count, most=FEW + 1)[0][0])

    def _all_of(self, access: Access) -> list[Place]:
        places = {place_of(columns) for columns in self._ask(access.all, most=FEW)}
        ordered = sorted(places, reverse=not self._ascending)
        if self._after is None:
            return ordered
        after = self._after
        return [place for place in ordered if (place > after if self._ascending else place < after)]

    def _matching(self, places: Sequence[Place]) -> list[InstanceRow]:
        rows = [row for _, row in places]
        if self._wanted.error_text is not None:
            rows = self._with_text(rows, self._wanted.error_text.casefold())
        if not rows:
            return []
        statement = _among("\n        and ".join([_MATCHING, *self._conditions]))
        found = [InstanceRow(*columns) for columns in self._ask(statement, rows=json.dumps(rows))]
        return sorted(found, key=_place, reverse=not self._ascending)

    def _with_text(self, rows: Sequence[int], text: str) -> list[int]:
        # Neither database takes all capitals alike.
        errors = every(self._connection, _ERRORS, (json.dumps(rows),))
        return [row for row, _, message in errors if text in self._said(row, message).casefold()]

    def _said(self, row: int, message: str) -> str:
        return open_words(self._connection, row, message, ERROR)

    def _ask(self, sql: str, **more: Any) -> list[Row]:
        named: Mapping[str, Any] = {**self._named, **more}
        return every(self._connection, sql, tuple(named[name] for name in _parameters(str(sql))))


def _in_parts(places: Sequence[Place], limit: int, until: float) -> Iterator[tuple[list[Place], bool]]:
    first, size = 0, max(limit, _FIRST_PART)
    while first < len(places):
        began = monotonic()
        yield list(places[first : first + size]), first + size >= len(places)
        first, size = first + size, _next_size(size, began, until)


def _next_size(size: int, began: float, until: float) -> int:
    """Return how many to look at next: more than the last time, but no more than there is time for, at that pace."""
    now = monotonic()
    in_time = int(size * (until - now) / max(now - began, 1e-6))
    return min(size * _GROWTH, _LARGEST_PART, max(in_time, _FIRST_PART))


def _shown(connection: Connection, rows: Sequence[InstanceRow]) -> list[FoundInstance]:
    """Return what is shown of each instance beside its row."""
    labels: dict[int, dict[str, str]] = {row.row: {} for row in rows}
    for row, name, value in _about(connection, _LABELS, labels):
        labels[row][name] = value
    errored = [row.row for row in rows if row.status == "errored"]
    errors = {
        row: FoundError(name, open_words(connection, row, message, ERROR))
        for row, name, message in _about(connection, _ERRORS, errored)
    }
    begun = [row.row for row in rows if row.status in UNFINISHED and row.started_at is not None]
    tails: dict[int, list[RecordRow]] = {row.row: [] for row in rows}
    for *columns, has_value in _about(connection, _TAILS, begun):
        row, seq, _, _, kind, at, *_ = columns
        body, _ = open_record(connection, tuple(columns))
        tails[row].append(RecordRow(kind, at, body, "null" if has_value else None, seq=seq))
    return [FoundInstance(row, labels[row.row], errors.get(row.row), tails[row.row]) for row in rows]


def _about(connection: Connection, statement: Statement, rows: Collection[int]) -> list[Row]:
    """Ask something of instances; nothing of none."""
    return every(connection, statement, (json.dumps(list(rows)),)) if rows else []


def _place(row: InstanceRow) -> Place:
    return (row.created_at, row.row)


def _after(place: Place | None) -> dict[str, int]:
    return {} if place is None else {"at": place[0], "row": place[1]}


@lru_cache(maxsize=1_000)
def _parameters(sql: str) -> tuple[str, ...]:
    """Return the names of a statement's parameters, in the order in which they are bound."""
    return tuple(dict.fromkeys(_PARAMETER.findall(sql)))
