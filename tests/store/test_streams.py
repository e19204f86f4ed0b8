"""The contract of every store: streams are kept in pieces, for the turn that writes them, until they are dropped."""

from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import StoreDamaged, StreamDropped, TurnLost
from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.operations import Claim
from stepwell.store.sql import streams
from stepwell.store.sql.rows import Damaged, only
from stepwell.store.sqlite.connections import open_ledger
from stepwell.store.sqlite.file import open_writer
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece
from stepwell.store.workflow_operations import PurgeDeleted
from tests.store.scenes import NOW, control, create, held, instance, kinds, register, release, worker
from tests.store.scenes import claim as claim_due

TWICE = bytes(range(256)) * 2


async def _begin(store: Store, turn: Claim, step: str = "export", attempt: int = 1) -> int:
    return await store.run(BeginStream(turn.row, turn.turn, step, attempt))


async def _write(store: Store, turn: Claim, stream: int, *bodies: bytes) -> None:
    for n, body in enumerate(bodies, 1):
        await store.run(WritePiece(turn.row, turn.turn, stream, n, body))


async def test_pieces_are_kept_as_they_were_written(store: Store) -> None:
    """All bytes there are, also none; the history knows nothing of them."""
    turn = await held(store)
    stream = await _begin(store, turn)

    await _write(store, turn, stream, TWICE, b"", b"end")

    pieces = [await store.run(ReadPiece(stream, n, turn.row, turn.turn)) for n in (1, 2, 3)]
    assert pieces == [TWICE, b"", b"end"]
    assert await kinds(store) == ["created", "running"]


async def test_piece_that_is_sent_twice_is_kept_once(store: Store) -> None:
    """The answer to the first may have been lost."""
    turn = await held(store)
    stream = await _begin(store, turn)
    piece = WritePiece(turn.row, turn.turn, stream, 1, b"first")

    await store.run(piece)
    await store.run(piece)

    assert await store.run(ReadPiece(stream, 1)) == b"first"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda turn, stream: BeginStream(turn.row, turn.turn, "other", 1), id="begin"),
        pytest.param(lambda turn, stream: WritePiece(turn.row, turn.turn, stream, 2, b"x"), id="write"),
        pytest.param(lambda turn, stream: ReadPiece(stream, 1, turn.row, turn.turn), id="read"),
    ],
)
async def test_lost_turn_has_no_streams(store: Store, ask: Any) -> None:
    """Whoever was terminated, restarted or taken over neither writes nor reads on."""
    turn = await held(store, "a")
    stream = await _begin(store, turn)
    await _write(store, turn, stream, b"first")
    await store.run(control("terminate"))

    with pytest.raises(TurnLost):
        await store.run(ask(turn, stream))

    assert await store.run(ReadPiece(stream, 1)) == b"first"


async def test_stream_is_read_in_a_later_turn(store: Store) -> None:
    """It is the instance's, whoever wrote it."""
    turn = await held(store)
    stream = await _begin(store, turn)
    await _write(store, turn, stream, b"first")
    await store.run(release(turn, due_at=NOW))

    (later,) = (await claim_due(store, await worker(store))).turns

    assert await store.run(ReadPiece(stream, 1, later.row, later.turn)) == b"first"


async def test_later_attempt_drops_the_stream_of_an_earlier_one(store: Store) -> None:
    """What is still on its way for the earlier one is dropped too; other steps keep theirs."""
    turn = await held(store)
    other, first = await _begin(store, turn, "other"), await _begin(store, turn)
    await _write(store, turn, other, b"other")
    await _write(store, turn, first, b"first")

    second = await _begin(store, turn, attempt=2)
    await store.run(WritePiece(turn.row, turn.turn, first, 2, b"late"))
    await _write(store, turn, second, b"second")
    while await store.run(PurgeDeleted()):
        pass
    await store.run(WritePiece(turn.row, turn.turn, first, 3, b"later still"))

    assert second > first
    assert [await store.run(ReadPiece(stream, 1)) for stream in (other, second)] == [b"other", b"second"]
    for n in (1, 2, 3):
        with pytest.raises(StreamDropped, match=rf"the stream {first} was deleted meanwhile"):
            await store.run(ReadPiece(first, n))


async def test_attempt_that_comes_too_late_drops_nothing(store: Store) -> None:
    """One that was ended and goes on all the same, or whose beginning was sent again, has no stream any more."""
    turn = await held(store)
    stream = await _begin(store, turn, attempt=2)
    await _write(store, turn, stream, b"second")

    late = await _begin(store, turn, attempt=1)
    await _write(store, turn, late, b"late")
    while await store.run(PurgeDeleted()):
        pass

    assert (late, await store.run(ReadPiece(stream, 1))) == (0, b"second")


async def test_missing_piece_of_a_stream_that_is_there_is_damage(store: Store) -> None:
    """No reader is to take its end for the stream's."""
    turn = await held(store)
    stream = await _begin(store, turn)

    with pytest.raises(StoreDamaged, match=rf"piece 1 of the stream {stream} is damaged or missing"):
        await store.run(ReadPiece(stream, 1))


async def test_instance_of_the_same_id_has_no_stream_of_the_old_one(store: Store) -> None:
    """A deleted instance's streams are deleted with it."""
    turn = await held(store, "a")
    stream = await _begin(store, turn)
    await _write(store, turn, stream, b"first")
    await store.run(DeleteInstance("acme", "orders", "a", NOW))
    await register(store)
    await create(store, "a")

    while await store.run(PurgeDeleted()):
        pass

    assert (await instance(store, "a")).row.row != turn.row
    with pytest.raises(StreamDropped):
        await store.run(ReadPiece(stream, 1))


# ---- in the file


def test_damaged_piece_is_an_error(tmp_path: Path) -> None:
    """SQLite itself does not notice zeros in the middle of a value."""
    connection = open_writer(tmp_path / "store.db")
    ledger = open_ledger(connection, "here")
    connection.execute("insert into pieces (stream, n, body, crc) values (1, 1, zeroblob(9), 7)")

    with pytest.raises(Damaged, match="piece 1 of the stream 1 is damaged or missing"):
        streams.read_piece(connection, ReadPiece(1, 1))
    ledger.close()


def test_pieces_of_a_dropped_stream_are_deleted_bit_by_bit(tmp_path: Path) -> None:
    """Other writes wait for a bounded part at most, and a store that is opened again goes on."""
    connection = open_writer(tmp_path / "store.db")
    connection.execute("insert into streams (instance, step, turn, attempt) values (0, 'a', 1, 1), (7, 'b', 1, 1)")
    for stream in (1, 2):
        for n in range(1, 11):
            sql = "insert into pieces (stream, n, body, crc) values (?, ?, zeroblob(1000), 0)"
            connection.execute(sql, (stream, n))
    ledger = open_ledger(connection, "here")
    has_rubbish = ledger.has_rubbish

    left = []
    while ledger.write([PurgeDeleted(size=2_500)]).outcomes == [True]:
        left.append(only(connection, "select count(*) from pieces")[0])

    assert has_rubbish
    assert left == [17, 14, 11]
    assert connection.execute("select stream, count(*) from pieces group by 1").fetchall() == [(2, 10)]
    assert not open_ledger(connection, "here").has_rubbish
    ledger.close()
