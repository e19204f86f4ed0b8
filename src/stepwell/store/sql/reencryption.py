"""Payloads that are sealed with an older key, or not at all, are sealed with the newest, a part of a table at a time.

Each row is changed only as long as it is as it was read: others write meanwhile.
"""

from collections.abc import Callable
from zlib import crc32

from msgspec import Struct

from stepwell.errors import StoreError
from stepwell.sealing import NotOpened, Vault, is_sealed, key_of
from stepwell.store.encryption_operations import Reencrypt, Reencrypted
from stepwell.store.sql import ended_errors, notes, records, sealed, streams, webhooks
from stepwell.store.sql.rows import Connection, Damaged, Row, every
from stepwell.store.sql.transaction import Transaction

# Of these at a time, which is a few megabytes at most.
_FEW, _MANY = 8, 200

_RECORDS = f"""
    select {records.RECORD_COLUMNS}
    from records
    where (instance, seq) > (:instance, :seq)
    order by instance, seq
    limit {_MANY}
    """
_PAYLOADS = f"""
    select row, instance, body, crc
    from payloads
    where row > :row
    order by row
    limit {_FEW}
    """
_FILL_PAYLOAD = """
    update payloads
    set body = :body, crc = :crc
    where row = :row and crc = :before
    """
_PIECES = f"""
    select p.row, p.stream, p.n, p.key, p.body, p.crc, s.instance
    from pieces as p
    join streams as s on s.row = p.stream
    where p.row > :row
    order by p.row
    limit {_FEW}
    """
_FILL_PIECE = """
    update pieces
    set key = :key, body = :body, crc = :crc
    where row = :row and crc = :before
    """
_LINES = f"""
    select instance, n, body
    from log_lines
    where (instance, n) > (:instance, :n)
    order by instance, n
    limit {_MANY}
    """
_FILL_LINE = """
    update log_lines
    set body = :body
    where instance = :instance and n = :n and body = :before
    """
_NOTES = f"""
    select instance, name, value
    from notes
    where (instance, name) > (:instance, :name)
    order by instance, name
    limit {_MANY}
    """
_FILL_NOTE = """
    update notes
    set value = :value
    where instance = :instance and name = :name and value = :before
    """
_ERRORS = f"""
    select instance, message
    from errors
    where instance > :instance
    order by instance
    limit {_MANY}
    """
_FILL_ERROR = """
    update errors
    set message = :message
    where instance = :instance and message = :before
    """
_WEBHOOKS = f"""
    select row, account, id, secret, earlier_secret
    from webhooks
    where row > :row
    order by row
    limit {_MANY}
    """
_FILL_WEBHOOK = """
    update webhooks
    set secret = :secret,
        earlier_secret = :earlier
    where row = :row
        and secret = :before
    """


def reencrypt(transaction: Transaction, operation: Reencrypt) -> Reencrypted | None:
    """Do Reencrypt."""
    connection, table = transaction.connection, _TABLES[operation.table]
    vault = connection.vault
    if vault is None:
        return None
    rows = every(connection, table.read, tuple(operation.after or table.first))
    done, left = 0, 0
    for row in rows:
        try:
            done += table.seal(connection, vault, row)
        except (NotOpened, Damaged, StoreError):
            left += 1
    # What was there before is not to stay in a log.
    transaction.tidings.has_freed = transaction.tidings.has_freed or done > 0
    return Reencrypted([*rows[-1][: len(table.first)]] if rows else None, done, left, vault.newest)


def _record(connection: Connection, vault: Vault, row: Row) -> bool:
    if not records.is_whole(row):
        raise Damaged
    if all(key == vault.newest for key in sealed.keys_of(row[6], row[7])):
        return False
    return records.reseal(connection, row)


def _payload(connection: Connection, vault: Vault, row: Row) -> bool:
    payload, instance, body, crc = row
    if crc != crc32(body.encode()):
        raise Damaged
    if _is_current(vault, body):
        return False
    text = sealed.open_text(connection, instance, body, records.PAYLOAD, payload)
    text = sealed.seal_text(connection, instance, text, records.PAYLOAD, payload)
    connection.execute(_FILL_PAYLOAD, (text, crc32(text.encode()), payload, crc))
    return connection.changes() > 0


def _piece(connection: Connection, vault: Vault, row: Row) -> bool:
    piece, stream, n, key, body, crc, instance = row
    if crc != crc32(body):
        raise Damaged
    # Of a stream that was dropped nothing is read any more.
    if key == vault.newest or not instance:
        return False
    place = sealed.place_of(connection, instance, streams.PIECE, stream, n)
    plain = body if key is None else vault.open_bytes(key, place, body)
    body = vault.seal_bytes(vault.newest, place, plain)
    connection.execute(_FILL_PIECE, (vault.newest, body, crc32(body), piece, crc))
    return connection.changes() > 0


def _line(connection: Connection, vault: Vault, row: Row) -> bool:
    return _words(connection, vault, row, _FILL_LINE, notes.LINE, row[1])


def _note(connection: Connection, vault: Vault, row: Row) -> bool:
    instance, name, value = row
    if _is_current(vault, value):
        return False
    text = sealed.open_text(connection, instance, value, notes.NOTE, name)
    connection.execute(
        _FILL_NOTE, (sealed.seal_text(connection, instance, text, notes.NOTE, name), instance, name, value)
    )
    return connection.changes() > 0


def _error(connection: Connection, vault: Vault, row: Row) -> bool:
    return _words(connection, vault, row, _FILL_ERROR, ended_errors.ERROR)


def _webhook(connection: Connection, vault: Vault, row: Row) -> bool:
    webhook, account, id, *stored = row
    # One that was deleted has none any more.
    kept = [secret for secret in stored if secret]
    if all(_is_current(vault, secret) for secret in kept):
        return False
    opened = [webhooks.open_secret(connection, account, id, secret) for secret in kept]
    secret, *earlier = (webhooks.seal_secret(connection, account, id, secret) for secret in opened)
    connection.execute(_FILL_WEBHOOK, (secret, earlier[0] if earlier else None, webhook, stored[0]))
    return connection.changes() > 0


def _words(connection: Connection, vault: Vault, row: Row, fill: str, *what: object) -> bool:
    """Seal a text that may be any: one that only looks as if it were sealed is sealed as it is."""
    instance, stored = row[0], row[-1]
    text = sealed.open_words(connection, instance, stored, *what)
    if text != stored and _is_current(vault, stored):
        return False
    # Of a key that the store has had, and that is not here; any other only looks like one.
    is_of_other = is_sealed(stored) and key_of(stored) not in vault.names
    if is_of_other and key_of(stored) in sealed.known_keys(connection):
        raise NotOpened
    connection.execute(fill, (sealed.seal_text(connection, instance, text, *what), *row[:-1], stored))
    return connection.changes() > 0


def _is_current(vault: Vault, stored: str) -> bool:
    return is_sealed(stored) and key_of(stored) == vault.newest


class _Table(Struct, frozen=True):
    """How a table is gone through: its rows after a place, what is before all of them, and what seals one."""

    read: str
    first: tuple[int | str, ...]
    seal: Callable[[Connection, Vault, Row], bool]


_TABLES = {
    "records": _Table(_RECORDS, (0, 0), _record),
    "payloads": _Table(_PAYLOADS, (0,), _payload),
    "pieces": _Table(_PIECES, (0,), _piece),
    "log_lines": _Table(_LINES, (0, 0), _line),
    "notes": _Table(_NOTES, (0, ""), _note),
    "errors": _Table(_ERRORS, (0,), _error),
    "webhooks": _Table(_WEBHOOKS, (0,), _webhook),
}
