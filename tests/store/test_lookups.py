"""What was looked up is answered again while nothing is written: never by less than what was seen."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell.store.operations import GetInstance
from stepwell.store.sql.ledger import Ledger
from stepwell.store.sql.lookups import MOST_ANSWERS, Lookups
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.connections import FileReading
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken
from tests.store import scenes
from tests.store.scenes import NOW
from tests.store.test_tokens import READER


class Marks:
    """A store that is written to when a test says so."""

    def __init__(self) -> None:
        self.mark: int | None = 0
        self.lookups = Lookups(lambda: self.mark)

    async def ask(self, operation: FindToken, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Ask, and read if need be; return whether it was read."""
        if self.lookups.find(operation) is not None:
            return False
        answer = asyncio.get_running_loop().create_future()
        self.lookups.keep(operation, answer)
        meanwhile()
        answer.set_result(READER)
        await asyncio.sleep(0)
        return True

    def write(self) -> None:
        """Write something."""
        self.mark = 1 if self.mark is None else self.mark + 1

    def begin_to_write(self) -> None:
        """Begin to write, and let it be under way."""
        self.mark = None


async def test_same_lookup_is_read_once() -> None:
    """While nothing is written, the second who asks has the answer that the first one had."""
    marks = Marks()

    assert [await marks.ask(FindToken(id)) for id in ("aa", "aa", "bb", "aa")] == [True, False, True, False]


async def test_write_ends_all_answers() -> None:
    """Behind any write each lookup is read again."""
    marks = Marks()
    await marks.ask(FindToken("aa"))

    marks.write()

    assert [await marks.ask(FindToken("aa")) for _ in range(2)] == [True, False]


async def test_nothing_is_answered_again_while_something_is_written() -> None:
    """What is being written may be seen by others already, so each lookup is read."""
    marks = Marks()
    await marks.ask(FindToken("aa"))

    marks.begin_to_write()
    during = [await marks.ask(FindToken("aa")) for _ in range(2)]
    marks.write()

    assert [*during, await marks.ask(FindToken("aa"))] == [True, True, True]


@pytest.mark.parametrize("meanwhile", [Marks.write, Marks.begin_to_write])
async def test_answer_that_was_read_across_a_write_is_not_kept(meanwhile: Callable[[Marks], None]) -> None:
    """Whether it has what was written is not known, so the next one reads."""
    marks = Marks()

    await marks.ask(FindToken("aa"), lambda: meanwhile(marks))

    assert await marks.ask(FindToken("aa"))


async def test_answers_are_never_too_many() -> None:
    """So many are kept; then it begins anew."""
    marks = Marks()

    for number in range(MOST_ANSWERS + 1):
        await marks.ask(FindToken(str(number)))

    assert [await marks.ask(FindToken(id)) for id in (str(MOST_ANSWERS), "0")] == [False, True]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a file is asked to read."""
    asked: list[Any] = []
    outcome = FileReading.outcome

    def counted(reading: FileReading, operation: Any) -> object:
        asked.append(operation)
        return outcome(reading, operation)

    monkeypatch.setattr(FileReading, "outcome", counted)
    return asked


async def test_only_what_takes_little_room_is_kept(tmp_path: Path, reads: list[Any]) -> None:
    """Not lists, and of an instance not its history: only that it is as it was."""
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "stepwell.db")
    await scenes.register(store)
    (row,) = await scenes.create(store, "a")
    known = GetInstance("acme", "orders", "a", known=row)
    asked: tuple[Any, ...] = (ListTokens(), GetInstance("acme", "orders", "a"), known)

    for _ in range(2):
        for operation in asked:
            await store.run(operation)
            await asyncio.sleep(0)

    await store.close()
    assert reads == [*asked, *asked[:2]]


async def test_revoked_token_is_found_revoked(tmp_path: Path, reads: list[Any]) -> None:
    """Who has looked before sees what was acknowledged since."""
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "stepwell.db")
    await store.run(AddToken(READER))
    before = [await store.run(FindToken("aa")) for _ in range(3)]

    await store.run(RevokeToken("aa", NOW + 7))

    found = await store.run(FindToken("aa"))
    await store.close()
    assert (before, found is not None and found.revoked_at) == ([READER] * 3, NOW + 7)
    assert len(reads) < 4


async def test_file_cannot_be_told_apart_while_a_batch_becomes_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before the commit until behind it there is no mark, then another one than before."""
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "stepwell.db")
    marks = [store._shell.mark()]
    finish = Ledger.finish

    def looked_at(ledger: Any, batch: Any) -> Any:
        marks.append(store._shell.mark())
        written = finish(ledger, batch)
        marks.append(store._shell.mark())
        return written

    monkeypatch.setattr(Ledger, "finish", looked_at)
    await store.run(AddToken(READER))

    marks.append(store._shell.mark())
    await store.close()
    assert marks[1:3] == [None, None]
    assert None not in {marks[0], marks[3]}
    assert marks[0] != marks[3]


async def test_whoever_looks_sees_what_was_acknowledged_and_what_others_saw(tmp_path: Path) -> None:
    """While one turn writes and four look, nobody sees less than was acknowledged, or than anybody has seen."""
    store = await asyncio.to_thread(SqliteStore.open, tmp_path / "stepwell.db")
    turn = await scenes.held(store)
    first = (await scenes.instance(store)).row
    acknowledged = newest = first.seq
    is_over, fell_back = False, 0

    async def look() -> None:
        nonlocal newest, fell_back
        known = first
        while not is_over:
            floor = max(acknowledged, newest)
            known = (await store.run(GetInstance("acme", "orders", "a", known=known))).row
            fell_back += known.seq < floor
            newest = max(newest, known.seq)
            await asyncio.sleep(0)

    async def write() -> None:
        nonlocal acknowledged, is_over
        for n in range(150):
            done = await store.run(scenes.commit(turn, scenes.started(), n=n + 1, seen=acknowledged))
            acknowledged = done.seq
        is_over = True

    await asyncio.gather(write(), *(look() for _ in range(4)))
    last = (await store.run(GetInstance("acme", "orders", "a"))).row.seq

    await store.close()
    assert (last, fell_back) == (152, 0)
    assert newest > first.seq
