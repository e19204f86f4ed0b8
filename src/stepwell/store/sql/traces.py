"""The operations on spans that are still to be sent."""

import json

from stepwell.store.operations import InstanceHistory, InstanceRow
from stepwell.store.sql.records import histories, history_up_to
from stepwell.store.sql.rows import Connection, Statement, every, first
from stepwell.store.sql.targets import INSTANCE_COLUMNS
from stepwell.store.sql.transaction import Transaction
from stepwell.store.trace_operations import DropTraces, EndedInstance, ReadEnded, TakeTraces

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
    select i.row, w.account, w.name, i.id, i.created_at, r.body, i.seq
    from instances as i
    join workflows as w on w.row = i.workflow
    join records as r on r.instance = i.row and r.seq = 1
    where i.row {these}
    order by i.row
    """
_READ = f"""
    select {INSTANCE_COLUMNS}
    from instances as i
    join workflows as w on w.row = i.workflow
    where i.row {{these}}
        and i.ended_at is not null
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
_ENDED_OF, _READ_THESE, _DROP_THESE = _of_these(_ENDED), _of_these(_READ), _of_these(_DROP)


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


def read_ended(connection: Connection, operation: ReadEnded) -> list[InstanceHistory]:
    """Do ReadEnded. Their records are read together, as each statement costs a way to the database."""
    rows = [InstanceRow(*columns) for columns in every(connection, _READ_THESE, (json.dumps(operation.instances),))]
    whole = histories(connection, {row.row: row.seq for row in rows})
    # One that is damaged is read again by itself, which says what is wrong with it.
    return [InstanceHistory(row, whole.get(row.row) or history_up_to(connection, row.row, row.seq)) for row in rows]


def drop_traces(transaction: Transaction, operation: DropTraces) -> None:
    """Do DropTraces."""
    transaction.execute(_DROP_THESE, (json.dumps(operation.instances),))
