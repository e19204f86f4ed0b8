"""The operations on spans that are still to be sent."""

import json

from stepwell.store.sql.rows import Statement, every, first
from stepwell.store.sql.transaction import Transaction
from stepwell.store.trace_operations import DropTraces, EndedInstance, TakeTraces

# It is written seldom: who asks all the time would have a commit each time.
_RENEW_BEFORE_MS = 3_600_000
_NOTED = "select until from tracing"
_NOTE = """
    insert into tracing (one, until)
    values (1, :until)
    on conflict (one) do update
    set until = excluded.until
    """
# What another host is taking at this moment is passed over.
_TAKE = """
    update traces
    set taken_until = :until
    where instance in (
        select instance
        from traces
        where taken_until <= :now
        order by instance
        limit :limit
        {locking}
    )
    returning instance
    """
_OF_LIST = (
    "in (select value from json_each(:rows))",
    "in (select cast(value as bigint) from json_array_elements_text(cast(:rows as json)))",
)
_ENDED = """
    select i.row, w.account, w.name, i.id, i.created_at, r.body
    from instances as i
    join workflows as w on w.row = i.workflow
    join records as r on r.instance = i.row and r.seq = 1
    where i.row {these}
    order by i.row
    """
_DROP = """
    delete from traces
    where instance {these}
    """


def _of_these(sql: str) -> Statement:
    """Return a statement about the instances of a JSON list of row numbers."""
    sqlite, postgres = _OF_LIST
    return Statement(sql.format(these=sqlite), postgres=sql.format(these=postgres))


_TAKEN = Statement(_TAKE.format(locking=""), postgres=_TAKE.format(locking="for update skip locked"))
_ENDED_OF, _DROP_THESE = _of_these(_ENDED), _of_these(_DROP)


def take_traces(transaction: Transaction, operation: TakeTraces) -> list[EndedInstance]:
    """Do TakeTraces."""
    transaction.flush()
    connection = transaction.connection
    noted = first(connection, _NOTED)
    if noted is None or noted[0] < operation.noted_until - _RENEW_BEFORE_MS:
        transaction.execute(_NOTE, (operation.noted_until,))
    taken = [row for (row,) in every(connection, _TAKEN, (operation.taken_until, operation.now, operation.limit))]
    if not taken:
        return []
    return [EndedInstance(*facts) for facts in every(connection, _ENDED_OF, (json.dumps(taken),))]


def drop_traces(transaction: Transaction, operation: DropTraces) -> None:
    """Do DropTraces."""
    transaction.execute(_DROP_THESE, (json.dumps(operation.instances),))
