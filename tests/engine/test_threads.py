"""Threads for what is not async: used again, never behind a call that hangs, and gone when nobody needs them."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from stepwell import threads as module
from stepwell.threads import Threads


async def _run_at_once(threads: Threads, count: int) -> set[threading.Thread]:
    """Run so many calls that each wait for all the others; return their threads."""
    barrier = threading.Barrier(count)

    def call() -> threading.Thread:
        barrier.wait()
        return threading.current_thread()

    return {*await asyncio.gather(*(threads.run(call) for _ in range(count)))}


async def _end(*ending: threading.Thread) -> bool:
    for thread in ending:
        await asyncio.to_thread(thread.join, 10)
    return not any(thread.is_alive() for thread in ending)


async def test_thread_is_used_again() -> None:
    """Who calls one after the other needs one thread, also behind an error."""
    threads = Threads()

    first = await threads.run(threading.current_thread)
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)

    assert await threads.run(threading.current_thread) is first


async def test_call_goes_to_no_thread_that_hangs() -> None:
    """A call that was given up holds its thread until it returns; then that is used again."""
    threads, release = Threads(), threading.Event()
    hung: list[threading.Thread] = []

    def hang() -> None:
        hung.append(threading.current_thread())
        release.wait()

    abandoned = threads.run(hang)
    abandoned.cancel()
    other = await threads.run(threading.current_thread)
    told = threads.abandoned
    release.set()
    while threads.abandoned:
        await asyncio.to_thread(lambda: None)

    assert (told, threads.running) == (1, 0)
    assert {other, *hung} == await _run_at_once(threads, 2)


async def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that nobody has had a call for, for a while, is gone; the next call has a new one."""
    monkeypatch.setattr(module, "_IDLE_S", 0.01)
    threads = Threads()

    first = await threads.run(threading.current_thread)

    assert await _end(first)
    assert await threads.run(threading.current_thread) is not first


async def test_few_threads_are_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that have run at once a few wait for the next call, and the others end at once."""
    monkeypatch.setattr(module, "_IDLE_S", 30)
    threads = Threads()
    used = await _run_at_once(threads, module._MOST_IDLE + 2)

    again = await _run_at_once(threads, module._MOST_IDLE)

    assert (len(used - again), again - used) == (2, set())
    assert await _end(*(used - again))


async def test_call_that_meets_a_thread_that_ends_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """However a call comes, before, while or after its thread has waited long enough: it is made once."""
    monkeypatch.setattr(module, "_IDLE_S", 0.000_1)
    threads, made = Threads(), []

    def call(number: int) -> Callable[[], None]:
        return lambda: made.append(number)

    for number in range(300):
        await threads.run(call(number))
        for _ in range(number % 7):
            await asyncio.to_thread(lambda: None)

    assert made == [*range(300)]


def test_threads_of_a_loop_that_was_closed_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could give them a call any more."""
    monkeypatch.setattr(module, "_IDLE_S", 0.01)

    async def run() -> threading.Thread:
        thread: threading.Thread = await Threads().run(threading.current_thread)
        return thread

    thread = asyncio.run(run())

    thread.join(10)
    assert not thread.is_alive()


def test_loops_share_threads() -> None:
    """What one loop has left, also one that is closed by now, another one may use."""
    threads = Threads()

    async def run() -> threading.Thread:
        thread: threading.Thread = await threads.run(threading.current_thread)
        return thread

    assert asyncio.run(run()) is asyncio.run(run())


def test_call_that_outlives_its_loop_leaves_its_thread() -> None:
    """What it returns is for nobody, and its thread makes the next call."""
    threads, begun, release = Threads(), threading.Event(), threading.Event()
    used: list[threading.Thread] = []

    def hang() -> None:
        used.append(threading.current_thread())
        begun.set()
        release.wait()

    async def give_up() -> None:
        hung = threads.run(hang)
        await asyncio.to_thread(begun.wait)
        hung.cancel()

    async def run() -> threading.Thread:
        thread: threading.Thread = await threads.run(threading.current_thread)
        return thread

    asyncio.run(give_up())
    release.set()
    while not threads._idle._waiting:
        used[0].join(0.01)

    assert [asyncio.run(run())] == used
