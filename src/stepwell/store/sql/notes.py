"""What instances say beside their history: log lines and notes."""

from msgspec.structs import replace

from stepwell.errors import TurnLost
from stepwell.store.note_operations import PROGRESS, LogLine, LogPage, Note, ReadLog, ReadNote, WriteNotes
from stepwell.store.sql.rows import Connection, Row, every, first
from stepwell.store.sql.sealed import open_text, open_words, seal_text
from stepwell.store.sql.targets import find_named
from stepwell.store.sql.transaction import Transaction

# What they are sealed as.
LINE, NOTE = "line", "note"
# Closes the race with the turn's successor (turn), its release (owner), and a first sending of the same (log_n).
_COUNT = """
    update instances
    set log_n = log_n + :count,
        logged = :logged
    where row = :row
        and turn = :turn
        and log_n = :log_n
        and owner is not null
    """
_PLACE = """
    select turn, log_n, owner
    from instances
    where row = :row
    """
_INSERT_LINE = """
    insert into log_lines (instance, n, at, step, attempt, level, body)
    values (:instance, :n, :at, :step, :attempt, :level, :body)
    """
_DROP_OLDEST = """
    delete from log_lines
    where instance = :instance
        and n <= :n
    """
_PUT_NOTE = """
    insert into notes (instance, name, at, value)
    values (:instance, :name, :at, :value)
    on conflict (instance, name) do update set at = excluded.at, value = excluded.value
    """
_NOTE = """
    select name, at, value
    from notes
    where instance = :instance
        and name = :name
    """
_INSTANCE = """
    select i.row, i.status, i.ended_at
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
_LINES = """
    select at, step, attempt, level, body, n
    from log_lines
    where instance = :instance
        and n > :after
    order by n
    limit :limit
    """
# Reads at most as many lines as are kept of an instance.
_LINES_OF_STEP = """
    select at, step, attempt, level, body, n
    from log_lines
    where instance = :instance
        and n > :after
        and step = :step
    order by n
    limit :limit
    """


def write_notes(transaction: Transaction, operation: WriteNotes) -> int:
    """Do WriteNotes."""
    row, count = operation.row, len(operation.lines)
    last = operation.log_n + count
    transaction.execute(_COUNT, (count, operation.logged, row, operation.turn, operation.log_n))
    if not transaction.connection.changes():
        _refuse_unless_done(transaction, operation, last)
        return last
    for n, line in enumerate(operation.lines, operation.log_n + 1):
        insert_line(transaction.connection, row, n, line)
    if count and last > operation.keeps:
        transaction.execute(_DROP_OLDEST, (row, last - operation.keeps))
    for note in operation.notes:
        put_note(transaction.connection, row, note)
    return last


def insert_line(connection: Connection, row: int, n: int, line: LogLine) -> None:
    """Add a log line to an instance."""
    text = seal_text(connection, row, line.text, LINE, n)
    connection.execute(_INSERT_LINE, (row, n, line.at, line.step, line.attempt, line.level, text))


def put_note(connection: Connection, row: int, note: Note) -> None:
    """Put a note in the place of the one of its name."""
    value = seal_text(connection, row, note.value, NOTE, note.name)
    connection.execute(_PUT_NOTE, (row, note.name, note.at, value))


def open_note(connection: Connection, row: int, name: str, at: int, value: str) -> Note:
    """Return a note from its columns."""
    return Note(name, at, open_text(connection, row, value, NOTE, name))


def read_note(connection: Connection, operation: ReadNote) -> str | None:
    """Do ReadNote."""
    note = _note(connection, operation.row, operation.name)
    return None if note is None else note.value


def read_log(connection: Connection, operation: ReadLog) -> LogPage:
    """Do ReadLog."""
    named = operation.account, operation.workflow, operation.id
    row, status, ended_at = find_named(connection, _INSTANCE, named)
    after, limit, step = operation.after, operation.limit, operation.step
    found = (
        every(connection, _LINES, (row, after, limit))
        if step is None
        else every(connection, _LINES_OF_STEP, (row, after, step, limit))
    )
    lines = [_line(connection, row, columns) for columns in found]
    return LogPage(lines, _note(connection, row, PROGRESS), status, ended_at)


def _note(connection: Connection, row: int, name: str) -> Note | None:
    found = first(connection, _NOTE, (row, name))
    return None if found is None else open_note(connection, row, *found)


def _line(connection: Connection, row: int, columns: Row) -> LogLine:
    line = LogLine(*columns)
    return replace(line, text=open_words(connection, row, line.text, LINE, line.n))


def _refuse_unless_done(transaction: Transaction, operation: WriteNotes, last: int) -> None:
    found = first(transaction.connection, _PLACE, (operation.row,))
    if found is None or found[0] != operation.turn or found[1] != last or found[2] is None:
        raise TurnLost(operation.row, operation.turn)
