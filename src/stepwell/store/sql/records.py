"""Records and large values in the file, each with a checksum.

SQLite notices damage to its own structure, not to what is stored in it: a sector of zeros in the middle of a value
would be answered as the value. A history with a gap, or without its end, is noticed here too. What is noticed is
raised as SQLite's own error of a damaged file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from zlib import crc32

import msgspec

from stepwell.store import codec
from stepwell.store.operations import InstanceRow, RecordRow
from stepwell.store.sql.rows import Connection, Damaged, Row, Statement, Values, every, first, only
from stepwell.store.sql.sealed import open_record, open_text, seal_record, seal_text

# Where a record is: (instance, seq, turn, n).
Place = tuple[int, int, int, int]

RECORD_COLUMNS = "instance, seq, turn, n, kind, at, body, value, payload, size, crc"
_INSERT = f"""
    insert into records ({RECORD_COLUMNS}, tx)
    values (:instance, :seq, :turn, :n, :kind, :at, :body, :value, :payload, :size, :crc, :tx)
    """
_HISTORY = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and seq > :after
    order by seq
    limit :limit
    """
_HISTORIES = Statement(
    f"""
    select {RECORD_COLUMNS}
    from records
    where instance in (select value from json_each(:instances))
    order by instance, seq
    """,
    postgres=f"""
    select {RECORD_COLUMNS}
    from records
    where instance in (select cast(value as bigint) from jsonb_array_elements_text(cast(:instances as jsonb)) as value)
    order by instance, seq
    """,
)
_LAST = """
    select seq
    from instances
    where row = :instance
    """
_OUTSIDE = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and seq > :seen
        and turn = 0
    order by seq
    """
_FIRST = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and seq = 1
    """
_ENDS = ("completed", "failed", "terminated")
_END = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and seq > :restarted_seq
        and kind in {_ENDS}
    order by seq desc
    limit 1
    """
_OF_ROLLBACK = ("failed", "terminated", "rollback_started", "rollback_ended", "rollback_resumed")
_ROLLBACK = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and seq > :restarted_seq
        and kind in {_OF_ROLLBACK}
    order by seq
    """
_DECISIONS = f"""
    select {RECORD_COLUMNS}
    from records
    where instance = :instance
        and kind = 'step_forced'
    order by seq desc
    limit :limit
    """
_INSERT_PAYLOAD = """
    insert into payloads (instance, body, crc)
    values (:instance, :body, :crc)
    returning row
    """
# What a value that lies apart is sealed as.
PAYLOAD = "payload"
_FILL_PAYLOAD = """
    update payloads
    set body = :body, crc = :crc
    where row = :payload
    """
# Not one that has been sealed otherwise meanwhile.
_RESEAL = """
    update records
    set body = :body, value = :value, crc = :crc
    where instance = :instance and seq = :seq and crc = :before
    """
# The columns before the checksum, as one text.
_CHECKED = "%s\0" * 10
# The kind of record that a claim writes.
_CLAIM = "running"
_PAYLOAD = """
    select instance, body, crc
    from payloads
    where row = :payload
    """


def new_record(connection: Connection, place: Place, record: RecordRow, tx: int, id: str | None = None) -> Values:
    """Return a new record as it is to be inserted, its value put apart if it is large, and sealed where there are keys.

    `id` is that of an instance which is not there yet.
    """
    value, payload, size = record.value, record.payload, record.size
    if value is not None and payload is None and codec.lies_apart(record):
        payload, size = _put_apart(connection, place[0], value), len(value.encode())
        value = codec.preview(record)
    columns = seal_record(connection, (*place, record.kind, record.at, record.body, value, payload, size), id)
    return (*columns, checksum(columns), tx)


def insert(connection: Connection, records: Sequence[Values]) -> None:
    """Write new records. One statement for all of them: each hand-over to SQLite costs."""
    connection.executemany(_INSERT, records)


def history(connection: Connection, instance: int, after: int = 0, limit: int | None = None) -> list[RecordRow]:
    """Return the records of an instance after a seq, the first `limit` of them or all."""
    last = first(connection, _LAST, (instance,))
    return [] if last is None else history_up_to(connection, instance, last[0], after, limit)


def history_up_to(
    connection: Connection, instance: int, last: int, after: int = 0, limit: int | None = None
) -> list[RecordRow]:
    """Return the records of an instance up to its seq `last`; else as `history` does."""
    most = max(last - after, 0) if limit is None else limit
    records = [_record(connection, columns) for columns in connection.execute(_HISTORY, (instance, after, most))]
    if [record.seq for record in records] != list(range(after + 1, min(last, after + most) + 1)):
        raise Damaged(f"the history of instance row {instance} has a gap")
    return records


def histories(connection: Connection, ends: Mapping[int, int]) -> dict[int, list[RecordRow]]:
    """Return the histories of instances, by their rows, each up to its last seq; a damaged one is left out."""
    rows = connection.execute(_HISTORIES, (msgspec.json.encode(list(ends)).decode(),))
    return whole_histories(connection, rows, ends)


def whole_histories(connection: Connection, rows: Iterable[Row], ends: Mapping[int, int]) -> dict[int, list[RecordRow]]:
    """Return what rows of records, in order, are of instances, by theirs; one that is not whole is left out."""
    found: dict[int, list[Row]] = {row: [] for row in ends}
    for columns in rows:
        found[columns[0]].append(columns)
    whole: dict[int, list[RecordRow]] = {}
    for row, columns_of in found.items():
        if [columns[1] for columns in columns_of] == list(range(1, ends[row] + 1)):
            with suppress(Damaged):
                whole[row] = [_record(connection, columns) for columns in columns_of]
    return whole


def in_turns(connection: Connection, instance: int, after: int, limit: int) -> Iterator[tuple[int, int, RecordRow]]:
    """Yield records of an instance after a seq, each behind its turn and its number there, their values whole."""
    for columns in connection.execute(_HISTORY, (instance, after, limit)):
        yield columns[2], columns[3], _whole(connection, _record(connection, columns))


def outside(connection: Connection, instance: int, seen: int) -> list[RecordRow]:
    """Return the records from outside after a seq."""
    return [_record(connection, columns) for columns in connection.execute(_OUTSIDE, (instance, seen))]


def summary(connection: Connection, row: InstanceRow) -> list[RecordRow]:
    """Return the records that tell params, output, error and rollback.

    The end is looked for from the end, and only where there is one: that is short for the longest history. Rollbacks
    are looked for in all of it, where there may be any: what has completed was not rolled back since it began.
    """
    begin = every(connection, _FIRST, (row.row,))
    has_ended = row.ended_at is not None
    ends = _ROLLBACK if _was_rolled_back(row) else _END
    end = every(connection, ends, (row.row, row.restarted_seq)) if has_ended else []
    if not begin or (has_ended and not end):
        raise Damaged(f"the history of instance row {row.row} has a gap")
    return [_record(connection, columns) for columns in (*begin, *end)]


def summary_of(row: InstanceRow, history: Sequence[RecordRow]) -> list[RecordRow]:
    """Return what `summary` reads, out of a history; nothing, where that is not there."""
    if row.ended_at is None:
        return [*history[:1]]
    live = [record for record in history if record.seq > row.restarted_seq]
    if _was_rolled_back(row):
        end = [record for record in live if record.kind in _OF_ROLLBACK]
    else:
        end = [record for record in live if record.kind in _ENDS][-1:]
    return [history[0], *end] if end else []


def decisions(connection: Connection, instance: int, limit: int) -> list[RecordRow]:
    """Return the latest records of decisions by hand, latest first."""
    return [_record(connection, columns) for columns in every(connection, _DECISIONS, (instance, limit))]


def end_of(connection: Connection, instance: int) -> RecordRow:
    """Return the record that ended an instance, with its whole value."""
    return _whole(connection, _record(connection, only(connection, _END, (instance, 0))))


def seal_for(connection: Connection, instance: int, id: str) -> None:
    """Seal the first record of an instance for the id that it is about to get."""
    if connection.vault is not None:
        reseal(connection, only(connection, _FIRST, (instance,)), id)


def reseal(connection: Connection, columns: Row, id: str | None = None) -> bool:
    """Seal a record anew, with the newest key; `id` as for `new_record`. Tell whether it was still as it was read."""
    body, value = open_record(connection, columns)
    sealed = seal_record(connection, (*columns[:6], body, value, *columns[8:10]), id)
    connection.execute(_RESEAL, (sealed[6], sealed[7], checksum(sealed), *columns[:2], columns[10]))
    return connection.changes() > 0


def read_payload(connection: Connection, payload: int) -> str:
    """Return a value that lies apart."""
    instance, body, crc = first(connection, _PAYLOAD, (payload,)) or (0, "", None)
    if crc != crc32(body.encode()):
        raise Damaged(f"the value {payload} is damaged or missing")
    return open_text(connection, instance, body, PAYLOAD, payload)


def checksum(columns: Values) -> int:
    """Return the checksum of a record: of its columns from `instance` to `size`, in the order of `insert`."""
    return _of_claim(columns) if columns[4] == _CLAIM else _crc(columns)


def is_whole(columns: Values) -> bool:
    """Tell whether a record is as it was written: its columns from `instance` to `crc`."""
    crc = columns[10]
    # Early stores have a CRC-32 in the records of claims, too.
    return crc == checksum(columns) or (columns[4] == _CLAIM and crc == _crc(columns))


def _crc(columns: Values) -> int:
    return crc32((_CHECKED % columns[:10]).encode())


def _of_claim(columns: Values) -> int:
    """Return the checksum of a claim's record, which PostgreSQL makes itself (`postgres/claims.py`).

    It has CRC-32 only from version 18 on, SHA-256 always; and no text with a zero byte.
    """
    told = ",".join("" if column is None else str(column) for column in columns[:10])
    return int.from_bytes(sha256(told.encode()).digest()[:4])


def _was_rolled_back(row: InstanceRow) -> bool:
    """Tell whether an instance that has ended may have been rolled back."""
    return bool(row.has_rollbacks) and row.status != "complete"


def _put_apart(connection: Connection, instance: int, body: str) -> int:
    # Where it is sealed, its own number is sealed with it, which is known only then.
    begun = body if connection.vault is None else ""
    (payload,) = only(connection, _INSERT_PAYLOAD, (instance, begun, crc32(begun.encode())))
    if connection.vault is not None:
        sealed = seal_text(connection, instance, body, PAYLOAD, payload)
        connection.execute(_FILL_PAYLOAD, (sealed, crc32(sealed.encode()), payload))
    return int(payload)


def _whole(connection: Connection, record: RecordRow) -> RecordRow:
    """Return a record with its value, even if that lies apart."""
    if record.payload is None:
        return record
    return msgspec.structs.replace(record, value=read_payload(connection, record.payload), payload=None, size=0)


def _record(connection: Connection, columns: Row) -> RecordRow:
    instance, seq, _, _, kind, at, _, _, payload, size, _ = columns
    if not is_whole(columns):
        raise Damaged(f"record {seq} of instance row {instance} is damaged")
    body, value = open_record(connection, columns)
    return RecordRow(kind, at, body, value, payload, size, seq)
