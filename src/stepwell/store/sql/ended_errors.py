"""The errors of instances that are errored, so that these are found by them.

They are written by the transaction in which an instance becomes errored, and forgotten by the one in which it no longer
is.
"""

import json

from stepwell.core.instance import Status
from stepwell.store.operations import RecordRow
from stepwell.store.sql.rows import Connection
from stepwell.store.sql.sealed import seal_text
from stepwell.store.sql.transaction import Transaction

# What a message is sealed as.
ERROR = "error"
_INSERT = """
    insert into errors (instance, workflow, created_at, name, message)
    select row, workflow, created_at, :name, :message
    from instances
    where row = :row
    on conflict (instance) do update set name = excluded.name, message = excluded.message
    """
_FORGET = """
    delete from errors
    where instance = :row
    """


def error_of(record: RecordRow) -> tuple[str, str] | None:
    """Return name and message of the error in the last record of an instance that is errored; None: it has none."""
    error = json.loads(record.body).get("error") if record.kind == "failed" else None
    return None if error is None else (error["name"], error["message"])


def note_error(connection: Connection, row: int, record: RecordRow) -> None:
    """Let an instance be found by the error that its last record has."""
    error = error_of(record)
    if error is not None:
        name, message = error
        connection.execute(_INSERT, (name, seal_text(connection, row, message, ERROR), row))


def forget_error(transaction: Transaction, row: int, status: str) -> None:
    """Let an instance that had this status be found by no error any more."""
    if status == Status.ERRORED:
        transaction.execute(_FORGET, (row,))
