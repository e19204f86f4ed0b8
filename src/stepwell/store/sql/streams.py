"""Streams in the file: pieces of bytes, each with a checksum.

A stream that was dropped belongs to no instance; its pieces are deleted bit by bit.
"""

from zlib import crc32

from stepwell.errors import StreamDropped, TurnLost
from stepwell.sealing import NotOpened, lacking
from stepwell.store.sql.rows import Connection, Damaged, Statement, every, first, only
from stepwell.store.sql.sealed import place_of
from stepwell.store.sql.targets import hold_turn, is_turn
from stepwell.store.sql.transaction import Transaction
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece

# What a piece is sealed as.
PIECE = "piece"
_IS_LATE = """
    select 1
    from streams
    where instance = :instance
        and step = :step
        and turn = :turn
        and attempt > :attempt
    """
_DROP_STEP = """
    update streams
    set instance = 0
    where instance = :instance
        and step = :step
    """
_DROP_INSTANCE = """
    update streams
    set instance = 0
    where instance = :instance
    """
_INSERT = """
    insert into streams (instance, step, turn, attempt)
    values (:instance, :step, :turn, :attempt)
    returning row
    """
# Closes the race with an attempt that came later: no piece is left behind of a stream that has been deleted.
_INSERT_PIECE = """
    insert into pieces (stream, n, body, crc, key)
    select row, :n, :body, :crc, :key
    from streams
    where row = :stream
    {lock}
    on conflict do nothing
    """
_ADD_PIECE = Statement(_INSERT_PIECE.format(lock=""), postgres=_INSERT_PIECE.format(lock="for key share"))
_PIECE = """
    select p.body, p.crc, p.key, coalesce(s.instance, 0)
    from pieces as p
    left join streams as s on s.row = p.stream
    where p.stream = :stream
        and p.n = :n
    """
_IS_KEPT = """
    select 1
    from streams
    where row = :stream
        and instance <> 0
    """
_NEXT_DROPPED = """
    select row
    from streams
    where instance = 0
    limit 1
    """
_SOME_PIECES = """
    select row, length(body)
    from pieces
    where stream = :stream
    order by n
    limit :limit
    """
_DELETE_PIECE = """
    delete from pieces
    where row = :row
    """
_FORGET = """
    delete from streams
    where row = :stream
    """
ARE_DROPPED = """
    select exists (
        select 1
        from streams
        where instance = 0
    )
    """


def begin_stream(transaction: Transaction, operation: BeginStream) -> int:
    """Do BeginStream."""
    row, step = operation.row, operation.step
    attempt = (operation.turn, operation.attempt)
    _hold_turn(transaction, row, operation.turn)
    if first(transaction.connection, _IS_LATE, (row, step, *attempt)) is not None:
        return 0
    transaction.execute(_DROP_STEP, (row, step))
    if transaction.connection.changes():
        transaction.tidings.has_rubbish = True
    (stream,) = only(transaction.connection, _INSERT, (row, step, *attempt))
    return int(stream)


def write_piece(transaction: Transaction, operation: WritePiece) -> None:
    """Do WritePiece."""
    _hold_turn(transaction, operation.row, operation.turn)
    body, key, vault = operation.body, None, transaction.connection.vault
    if vault is not None:
        key = vault.newest
        place = place_of(transaction.connection, operation.row, PIECE, operation.stream, operation.n)
        body = vault.seal_bytes(key, place, body)
    transaction.execute(_ADD_PIECE, (operation.n, body, crc32(body), key, operation.stream))


def read_piece(connection: Connection, operation: ReadPiece) -> bytes:
    """Do ReadPiece."""
    row, turn = operation.row, operation.turn
    if row is not None and turn is not None and not is_turn(connection, row, turn):
        raise TurnLost(row, turn)
    body, crc, key, instance = first(connection, _PIECE, (operation.stream, operation.n)) or (b"", None, None, 0)
    if crc is None and first(connection, _IS_KEPT, (operation.stream,)) is None:
        raise StreamDropped(operation.stream)
    if crc != crc32(body):
        raise Damaged(f"piece {operation.n} of the stream {operation.stream} is damaged or missing")
    piece: bytes = body
    return piece if key is None else _open(connection, operation, instance, key, piece)


def _open(connection: Connection, operation: ReadPiece, instance: int, key: str, body: bytes) -> bytes:
    vault = connection.vault
    if vault is None:
        raise lacking(key)
    if not instance:
        raise StreamDropped(operation.stream)
    place = place_of(connection, instance, PIECE, operation.stream, operation.n)
    try:
        return vault.open_bytes(key, place, body)
    except NotOpened:
        raise Damaged(f"piece {operation.n} of the stream {operation.stream} is not what was sealed") from None


def drop_streams(transaction: Transaction, instance: int) -> None:
    """Drop all streams of an instance."""
    transaction.execute(_DROP_INSTANCE, (instance,))


def purge_streams(transaction: Transaction, pieces: int, size: int) -> bool:
    """Delete what was dropped: so many pieces, or bytes; tell whether there is more."""
    while (found := first(transaction.connection, _NEXT_DROPPED)) is not None:
        for row, length in every(transaction.connection, _SOME_PIECES, (found[0], max(pieces, 0))):
            if size <= 0:
                return True
            transaction.execute(_DELETE_PIECE, (row,))
            pieces, size = pieces - 1, size - length
        if pieces <= 0:
            return True
        transaction.execute(_FORGET, found)
    return False


def _hold_turn(transaction: Transaction, row: int, turn: int) -> None:
    if not hold_turn(transaction, row, turn):
        raise TurnLost(row, turn)
