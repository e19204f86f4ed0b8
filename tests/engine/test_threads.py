"""Threads for bodies that are not async: one that is done takes the next call."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from stepwell import threads
from stepwell.scope import AuthorExit
from stepwell.threads import Threads


async def _wait_for(alive: int, before: set[threading.Thread]) -> None:
    async with asyncio.timeout(10):
        while len(set(threading.enumerate()) - before) != alive:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_thread_that_is_done_takes_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call after the other needs one thread, whatever comes of each; it ends when none has come for a while."""
    monkeypatch.setattr(threads, "_IDLE_S", 0.05)
    before, made = set(threading.enumerate()), Threads()

    def leave() -> None:
        raise SystemExit(3)

    async def run() -> set[int | None]:
        used = {await made.run(threading.get_ident) for _ in range(20)}
        with pytest.raises(AuthorExit):
            await made.run(leave)
        return used | {await made.run(threading.get_ident)}

    assert len(await run()) == 1
    await _wait_for(0, before)
    assert len(await run()) == 1
    assert (made.running, made.abandoned) == (0, 0)


async def test_calls_at_the_same_time_have_threads_of_their_own() -> None:
    """A call never waits behind another one, as long as there may be more threads; those are used again."""
    made, gate = Threads(limit=4), threading.Event()

    def wait() -> int:
        assert gate.wait(10)
        return threading.get_ident()

    waiting = [made.run(wait) for _ in range(6)]
    assert made.running == 4
    gate.set()
    first = await asyncio.gather(*waiting)
    second = await asyncio.gather(*[made.run(wait) for _ in range(4)])
    assert (len(set(first)), set(second) <= set(first)) == (4, True)


async def test_call_that_nobody_waits_for_keeps_its_thread() -> None:
    """A thread whose call was given up takes no other before that call is over."""
    made, gate, used = Threads(limit=1), threading.Event(), list[int]()

    def hang() -> None:
        used.append(threading.get_ident())
        gate.wait(10)

    hung = made.run(hang)
    await asyncio.sleep(0)
    hung.cancel()
    other = await made.run(threading.get_ident)
    assert made.abandoned == 1
    gate.set()
    async with asyncio.timeout(10):
        while made.abandoned:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert other not in used


async def test_call_that_meets_a_thread_that_ends_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """However a call comes, before, while or after its thread has waited long enough: it is made once."""
    monkeypatch.setattr(threads, "_IDLE_S", 0.000_1)
    made, numbers = Threads(), list[int]()

    def call(number: int) -> Callable[[], None]:
        return lambda: numbers.append(number)

    for number in range(300):
        await made.run(call(number))
        for _ in range(number % 7):
            await asyncio.to_thread(lambda: None)

    assert numbers == [*range(300)]


def test_call_that_outlives_its_loop_leaves_its_thread_to_another() -> None:
    """What it returns is for nobody, and its thread makes the next call."""
    made, begun, gate = Threads(), threading.Event(), threading.Event()
    used: list[threading.Thread] = []

    def hang() -> None:
        used.append(threading.current_thread())
        begun.set()
        gate.wait(10)

    async def give_up() -> None:
        hung = made.run(hang)
        await asyncio.to_thread(begun.wait)
        hung.cancel()

    async def run() -> threading.Thread:
        thread: threading.Thread = await made.run(threading.current_thread)
        return thread

    asyncio.run(give_up())
    gate.set()
    while not made._idle:
        used[0].join(0.01)

    assert [asyncio.run(run())] == used
