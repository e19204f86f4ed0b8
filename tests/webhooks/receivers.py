"""Receivers on this machine, which answer as a test wants and keep what they were sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Message:
    """What came: the first line, headers with lower-case names, and the body."""

    line: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Message, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """A receiver: where it is, what it was sent, and how many messages it is at now, and was at most."""

    port: int = 0
    got: list[Message] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0

    @property
    def url(self) -> str:
        """Where it is, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}/hook?a=b"


def saying(answer: bytes) -> Answering:
    """Answer each message with the same bytes."""

    async def say(_: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


@asynccontextmanager
async def receiver(answering: Answering | bytes = OK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    answer = saying(answering) if isinstance(answering, bytes) else answering
    opened = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.busy += 1
        opened.busiest = max(opened.busiest, opened.busy)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            message = Message(head[0], headers, await reader.readexactly(int(headers["content-length"])))
            opened.got.append(message)
            await answer(message, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            opened.busy -= 1
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(take(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
