"""The operations by which instances that have ended expire.

What has expired is looked for on a connection that reads, and deleted only if it is still as it was seen: a restart
that came first is not undone. So nothing that has not ended is ever deleted here.
"""

import json
from typing import NamedTuple

from stepwell.store.retention_operations import DeleteExpired, Expired, FindExpired, GetRetention, InstanceRetention
from stepwell.store.sql.control import hide
from stepwell.store.sql.deletion import may_purge
from stepwell.store.sql.rows import Connection, Statement, every, only
from stepwell.store.sql.shared_slots import FORGET_PLACES
from stepwell.store.sql.targets import find_named
from stepwell.store.sql.transaction import Transaction

# A version's settings are JSON.
_OF_VERSION = "json_extract(v.settings, '$.{kind}_retention_ms')"
_OF_VERSION_IN_POSTGRES = "cast(cast(v.settings as json) ->> '{kind}_retention_ms' as bigint)"
# What an instance says itself. The indexes name the same expression.
_OWN = "case i.status when 'complete' then i.success_retention_ms else i.error_retention_ms end"


def _unsaid(kind: str) -> str:
    """Return how long an instance is kept that says nothing itself; 0 says nothing, too."""
    of_version, of_account = f"nullif({_OF_VERSION.format(kind=kind)}, 0)", f"nullif(a.{kind}_retention_ms, 0)"
    return f"coalesce({of_version}, {of_account}, cast(:{kind}_ms as bigint))"


def _statement(sqlite: str, postgres: str | None = None) -> Statement:
    text = sqlite if postgres is None else postgres
    for kind in ("success", "error"):
        text = text.replace(_OF_VERSION.format(kind=kind), _OF_VERSION_IN_POSTGRES.format(kind=kind))
    return Statement(sqlite, postgres=text)


# The instances of a version that say nothing themselves, by how they have ended: how long they are kept.
_GROUPS = f"""groups as (
        select v.workflow, v.id as version, ends.status,
            case ends.status when 'complete' then {_unsaid("success")} else {_unsaid("error")} end as kept_ms
        from workflows as w
        join versions as v on v.workflow = w.row
        left join account_settings as a on a.account = w.account
        cross join (
            select 'complete' as status
            union all
            select 'errored'
            union all
            select 'terminated'
        ) as ends
    )"""
_OF_GROUP = f"""i.workflow = g.workflow
            and i.version = g.version
            and i.status = g.status
            and i.ended_at is not null
            and {_OWN} is null"""
_WITH_OWN = f"""i.workflow = w.row
            and i.ended_at is not null
            and {_OWN} is not null"""
EXPIRED = _statement(
    f"""
    with {_GROUPS}
    select row, seq
    from (
        select i.row, i.seq
        from groups as g
        cross join instances as i indexed by instances_ended
        where {_OF_GROUP}
            and i.ended_at <= :now - g.kept_ms
        union all
        select i.row, i.seq
        from workflows as w
        cross join instances as i indexed by instances_expiring
        where {_WITH_OWN}
            and i.ended_at + {_OWN} <= :now
    ) as expired
    limit :limit
    """,
    # The limits inside keep the planner to a look into an index for each group.
    f"""
    with {_GROUPS}
    select row, seq
    from (
        select i.row, i.seq
        from groups as g
        cross join lateral (
            select i.row, i.seq
            from instances as i
            where {_OF_GROUP}
                and i.ended_at <= cast(:now as bigint) - g.kept_ms
            order by i.ended_at
            limit :limit
        ) as i
        union all
        select i.row, i.seq
        from workflows as w
        cross join lateral (
            select i.row, i.seq
            from instances as i
            where {_WITH_OWN}
                and i.ended_at + {_OWN} <= cast(:now as bigint)
            order by i.ended_at + {_OWN}
            limit :limit
        ) as i
    ) as expired
    limit :limit
    """,
)
NEXT = _statement(
    f"""
    with {_GROUPS}
    select min(at)
    from (
        select g.kept_ms + (
            select i.ended_at
            from instances as i indexed by instances_ended
            where {_OF_GROUP}
            order by i.ended_at
            limit 1
        ) as at
        from groups as g
        union all
        select (
            select i.ended_at + {_OWN}
            from instances as i indexed by instances_expiring
            where {_WITH_OWN}
            order by i.ended_at + {_OWN}
            limit 1
        )
        from workflows as w
    ) as expiries
    """
)
_KEPT = _statement(
    f"""
    select coalesce(i.success_retention_ms, {_unsaid("success")}), coalesce(i.error_retention_ms, {_unsaid("error")}),
        i.status, i.ended_at
    from workflows as w
    join instances as i on i.workflow = w.row
    left join versions as v on v.id = i.version
    left join account_settings as a on a.account = w.account
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
)
# Of one that has changed since it was seen the seq is another. How large its values are is summed up only where its
# records are few.
_FACTS = """i.row, i.turn, i.workflow, i.status, i.seq + i.log_n,
        case when i.seq + i.log_n <= :rows then (
            select cast(coalesce(sum(r.size), 0) as bigint)
            from records as r
            where r.instance = i.row
        ) end"""
_UNCHANGED = """
        and i.ended_at is not null
        and i.workflow in (select row from workflows)
    order by i.row
    """
# What somebody else is about to change is passed over.
_TAKE = Statement(
    f"""
    select {_FACTS}
    from json_each(:instances) as asked
    cross join instances as i on i.row = json_extract(asked.value, '$[0]')
    where i.seq = json_extract(asked.value, '$[1]')
    {_UNCHANGED}
    """,
    postgres=f"""
    select {_FACTS}
    from json_array_elements(cast(:instances as json)) as asked
    join instances as i on i.row = cast(asked ->> 0 as bigint)
    where i.seq = cast(asked ->> 1 as bigint)
    {_UNCHANGED}
    for update of i skip locked
    """,
)


def _of_these(sql: str) -> Statement:
    """Return a statement about the instances of a list of row numbers, with commas between."""
    return Statement(
        sql.format(these="in (select value from json_each('[' || :rows || ']'))"),
        postgres=sql.format(these="= any(cast(string_to_array(:rows, ',') as bigint[]))"),
    )


_DELETE_ALL = tuple(
    _of_these(sql)
    for sql in (
        """
        delete from payloads
        where row in (
            select payload
            from records
            where instance {these}
                and payload is not null
        )
        """,
        "delete from records where instance {these}",
        "delete from log_lines where instance {these}",
        "delete from notes where instance {these}",
        "delete from labels where instance {these}",
        "delete from errors where instance {these}",
        "delete from traces where instance {these}",
        *FORGET_PLACES,
        "delete from children where child {these}",
        "delete from children where parent {these}",
        "delete from instances where row {these}",
    )
)
# Their pieces go afterwards.
_DROP = _of_these("update streams set instance = 0 where instance {these}")
_SAY = """
    update instances
    set success_retention_ms = :success_ms,
        error_retention_ms = :error_ms
    where row = :row
    """


class _Ended(NamedTuple):
    """An instance that is to be deleted. `size`: None: it has too many rows to be looked at."""

    row: int
    turn: int
    workflow: int
    status: str
    rows: int
    size: int | None


def find_expired(connection: Connection, operation: FindExpired) -> Expired:
    """Do FindExpired."""
    told = (operation.success_ms, operation.error_ms)
    found = [(row, seq) for row, seq in every(connection, EXPIRED, (*told, operation.now, operation.limit))]
    next_at = None if found else only(connection, NEXT, told)[0]
    return Expired(sorted(found), next_at)


def get_retention(connection: Connection, operation: GetRetention) -> InstanceRetention:
    """Do GetRetention."""
    named, told = (operation.account, operation.workflow, operation.id), (operation.success_ms, operation.error_ms)
    success_ms, error_ms, status, ended_at = find_named(connection, _KEPT, named, told)
    kept_ms = success_ms if status == "complete" else error_ms
    return InstanceRetention(success_ms, error_ms, None if ended_at is None else ended_at + kept_ms)


def say_retention(transaction: Transaction, row: int, success_ms: int | None, error_ms: int | None) -> None:
    """Let an instance say itself how long it is kept; None: it does not."""
    if (success_ms, error_ms) != (None, None):
        transaction.execute(_SAY, (success_ms, error_ms, row))


def delete_expired(transaction: Transaction, operation: DeleteExpired) -> int:
    """Do DeleteExpired."""
    if not may_purge(transaction.connection):
        return 0
    # What the same transaction has appended to a history has made it another one.
    transaction.flush()
    asked = (operation.rows, json.dumps(operation.instances))
    ended = [_Ended(*columns) for columns in every(transaction.connection, _TAKE, asked)]
    small, large, rows, size = [], 0, operation.rows, operation.size
    for one in ended:
        if one.size is None or one.size > operation.size:
            hide(transaction, one.row, one.turn)
            large += 1
        elif one.rows <= rows and one.size <= size:
            small.append(one.row)
            rows, size = rows - one.rows, size - one.size
        else:
            break
        transaction.count(one.workflow, one.status, -1)
        transaction.tidings.changed.add(one.row)
    if small:
        _delete_all(transaction, small)
    return len(small) + large


def _delete_all(transaction: Transaction, instances: list[int]) -> None:
    listed = ",".join(map(str, instances))
    transaction.tidings.has_freed = True
    transaction.execute(_DROP, (listed,))
    transaction.tidings.has_rubbish |= transaction.connection.changes() > 0
    for statement in _DELETE_ALL:
        transaction.execute(statement, (listed,))
