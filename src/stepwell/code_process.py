"""A process that has loaded some code and does one thing for whoever started it: not a worker, which claims instances.

It is a worker process as it is started and as it ends: with the limits of one, and with its parent.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from stepwell import obituary, worker_options
from stepwell.errors import ScriptError
from stepwell.store import Store
from stepwell.store.link import Loaded, LoadFailed, Message
from stepwell.store.serving import WorkerLine
from stepwell.worker_options import WorkerOptions

A = TypeVar("A")


class CodeProcess:
    """Such a process, from outside. It is given a store, and what it says goes to `heard`."""

    def __init__(self, store: Store, heard: Callable[[Message], None]) -> None:
        self._line = WorkerLine(store, self._heard, self._hung_up)
        self._tell = heard
        self._process: asyncio.subprocess.Process | None = None
        loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        # Closes when this process dies, which ends the other one, whatever it does.
        self._lifeline, self._lifeline_end = os.pipe()

    async def start(self, options: WorkerOptions, output: int | None = None) -> None:
        """Start the process; return when it has loaded the code. Raises ScriptError.

        Of the options, its descriptors are put in here; `output` is as for a worker process.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            line, lifeline = theirs.fileno(), self._lifeline
            placed = msgspec.structs.replace(options, line=line, lifeline=lifeline, reports=lifeline)
            self._process = await worker_options.start(placed, (line, lifeline), output)
        await self._line.connect(ours)
        await self._loaded

    def say(self, message: Message) -> None:
        """Send a message."""
        self._line.say(message)

    async def answered(self, answer: "asyncio.Future[A]") -> A:
        """Return what the process answers; whoever hears it sets that. Raises ChildProcessError: how it has ended."""
        either: list[asyncio.Future[Any]] = [answer, self._gone]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            assert self._process is not None
            raise ChildProcessError(obituary.how(await self._process.wait()))
        return answer.result()

    async def end(self) -> None:
        """End the process, and those that its code has begun."""
        self._line.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                # It leads a group of its own.
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        for end in (self._lifeline, self._lifeline_end):
            os.close(end)

    def _heard(self, message: Message) -> None:
        match message:
            case Loaded() if not self._loaded.done():
                self._loaded.set_result(None)
            case LoadFailed(report=report) if not self._loaded.done():
                self._loaded.set_exception(ScriptError(report))
            case _:
                self._tell(message)

    def _hung_up(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        if not self._loaded.done():
            self._loaded.set_exception(ScriptError("the process that was to load the code ended while it did"))
            # Whoever starts it sees it; if that was cancelled, nobody does.
            self._loaded.exception()
