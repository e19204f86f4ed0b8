"""An instance with its history: a short one comes along with its row, as each statement costs a way to the database."""

from stepwell.store.operations import SHORT_HISTORY, GetInstance, InstanceHistory, InstanceRow, RecordRow
from stepwell.store.sql.records import (
    RECORD_COLUMNS,
    history_up_to,
    summary,
    summary_of,
    whole_histories,
)
from stepwell.store.sql.rows import Connection, Row, every
from stepwell.store.sql.targets import INSTANCE_COLUMNS, refuse_missing

_RECORD = ", ".join(f"r.{column}" for column in RECORD_COLUMNS.split(", "))
# An instance that is as it was known, as far as its seq tells, comes without records.
_INSTANCE = f"""
    select {INSTANCE_COLUMNS}, {_RECORD}
    from workflows as w
    join instances as i on i.workflow = w.row
    left join records as r on r.instance = i.row
        and i.seq <= :short
        and i.seq <> :known
        and r.seq <= i.seq
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    order by r.seq
    """
_FACTS = len(InstanceRow.__struct_fields__)


def get_instance(connection: Connection, operation: GetInstance) -> InstanceHistory:
    """Do GetInstance."""
    named, known = (operation.account, operation.workflow, operation.id), operation.known
    found = every(connection, _INSTANCE, (SHORT_HISTORY, 0 if known is None else known.seq, *named))
    if not found:
        refuse_missing(connection, named)
    row = InstanceRow(*found[0][:_FACTS])
    if row == known:
        return InstanceHistory(row, [])
    history = _whole(connection, row, [columns[_FACTS:] for columns in found if columns[_FACTS] is not None])
    if operation.with_steps:
        return InstanceHistory(row, history or history_up_to(connection, row.row, row.seq))
    return InstanceHistory(row, summary_of(row, history) or summary(connection, row))


def _whole(connection: Connection, row: InstanceRow, records: list[Row]) -> list[RecordRow]:
    """Return the history of an instance, if these rows are the whole of it; else nothing: it is to be read."""
    return whole_histories(connection, records, {row.row: row.seq}).get(row.row, []) if records else []
