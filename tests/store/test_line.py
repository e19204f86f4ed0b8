"""The line between a server and its workers: what is sent arrives whole, in order, from whichever thread."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import uvloop

from stepwell.store.link import _LONGEST_FRAME, Line, Message, Ping, StepProgress

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
# More than a socket has room for.
LONG = "x" * 5_000_000


class End:
    """One end of a line, and what has come to it."""

    def __init__(self, sock: socket.socket) -> None:
        self.heard: list[Message] = []
        self.came = asyncio.Event()
        self.losses = 0
        self.lost = asyncio.Event()
        self.line = Line(sock, self._hear, self._lose)

    async def hear(self, count: int) -> list[Message]:
        """Wait until so many messages have come."""
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self.came.clear()
                await self.came.wait()
        return self.heard

    def _hear(self, message: Message) -> None:
        self.heard.append(message)
        self.came.set()

    def _lose(self) -> None:
        self.losses += 1
        self.lost.set()


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    """What runs a test on a loop such as workers and servers have."""

    def run(work: Callable[[End, End], object]) -> None:
        async def meet() -> None:
            ends = [End(sock) for sock in socket.socketpair()]
            await work(*ends)  # type: ignore[misc]  # each test is async
            for end in ends:
                end.line.close()
            async with asyncio.timeout(20):
                for end in ends:
                    await end.lost.wait()
            await asyncio.sleep(0.01)
            assert [end.losses for end in ends] == [1, 1]

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(meet())

    return run


@pytest.fixture
def hasty() -> Iterator[None]:
    """The interpreter goes from thread to thread at every turn."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_messages_arrive_in_their_order(run: Callable[..., None]) -> None:
    """Small ones and such as the socket has no room for, whether they wait for the loop or are flushed."""

    async def work(one: End, other: End) -> None:
        sent: list[Message] = []
        for number in range(20):
            sent += [Ping(number), StepProgress(LONG if number % 5 == 0 else "y"), Ping(-number)]
            one.line.send(sent[-3])
            one.line.put(sent[-2])
            one.line.flush()
            one.line.send(sent[-1])
        assert await other.hear(len(sent)) == sent

    run(work)


@pytest.mark.usefixtures("hasty")
def test_threads_send_beside_the_loop(run: Callable[..., None]) -> None:
    """No message is cut by another's, and those of a thread keep their order."""
    threads, each = 4, 500

    async def work(one: End, other: End) -> None:
        def talk(thread: int) -> None:
            for number in range(each):
                one.line.put(Ping(thread * each + number))
                one.line.put(StepProgress("z" * (number * 37 % 9_000)))
                one.line.flush()

        talking = [threading.Thread(target=talk, args=(thread,)) for thread in range(threads)]
        for thread in talking:
            thread.start()
        for number in range(each):
            one.line.send(Ping(threads * each + number))
            await asyncio.sleep(0)
        heard = await other.hear((2 * threads + 1) * each)
        for thread in talking:
            thread.join()
        numbers = [message.number for message in heard if isinstance(message, Ping)]
        for talker in range(threads + 1):
            own = [number for number in numbers if number // each == talker]
            assert own == sorted(own)
            assert len(own) == each

    run(work)


def test_what_was_sent_arrives_before_the_line_is_closed(run: Callable[..., None]) -> None:
    """Whoever hangs up has said all, also what has to wait for room."""

    async def work(one: End, other: End) -> None:
        one.line.send(StepProgress(LONG))
        one.line.send(Ping(1))
        one.line.close()
        assert await other.hear(2) == [StepProgress(LONG), Ping(1)]
        await asyncio.wait_for(other.lost.wait(), 20)

    run(work)


def test_end_that_is_gone_is_noticed(run: Callable[..., None]) -> None:
    """What is said to it then is lost, and no error."""

    async def work(one: End, other: End) -> None:
        other.line.close()
        await asyncio.wait_for(one.lost.wait(), 20)
        one.line.send(Ping(1))
        one.line.put(Ping(2))
        one.line.flush()

    run(work)


def test_frame_that_cannot_be_ends_the_line() -> None:
    """What says that it is longer than any is not waited for."""

    async def work() -> None:
        ours, theirs = socket.socketpair()
        end = End(ours)
        theirs.sendall((_LONGEST_FRAME + 1).to_bytes(4, "little") + b"rest")
        await asyncio.wait_for(end.lost.wait(), 20)
        theirs.close()
        assert end.heard == []

    asyncio.run(work())
