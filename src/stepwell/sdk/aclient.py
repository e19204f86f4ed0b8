"""The client for event loops."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, assert_never

import httpx2

from stepwell.sdk.api import Api
from stepwell.sdk.effects import Connect, Effect, Emit, Flow, Now, Open, Outcome, Pause, Program, Read, Send
from stepwell.sdk.errors import Unreachable
from stepwell.sdk.messages import Answer, Request
from stepwell.sdk.settings import Settings
from stepwell.sdk.transport import answer_of, failure_of, head_of, options_of
from stepwell.sdk.ways import Async, Runner

T = TypeVar("T")


class AsyncClient(Api[Async, httpx2.AsyncClient]):
    """A client of a Stepwell server, or of Cloudflare's own API for what exists there, whose methods are awaited.

    All is as with Client, but what that returns is awaited here, and what that iterates over is iterated over with
    `async for`. It belongs to one event loop. Making one reads certificates, which takes some tens of milliseconds.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The client cannot be used again."""
        if self._is_ours:
            await self._http.aclose()

    def _new_http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient()

    def _runner(self) -> Runner:
        return _Runner(self._http, self.settings)


class _Runner:
    """Does what programs and flows ask for, and waits for it."""

    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self._http, self._settings = http, settings

    async def run(self, program: Program[T]) -> T:
        hands = _Hands(self._http, self._settings)
        outcome = Outcome()
        while True:
            try:
                effect = outcome.tell(program)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await hands.do(effect)

    async def iterate(self, flow: Flow[T]) -> AsyncGenerator[T, None]:
        hands = _Hands(self._http, self._settings)
        outcome = Outcome()
        try:
            while True:
                try:
                    effect = outcome.tell(flow)
                except StopIteration:
                    return
                if isinstance(effect, Emit):
                    outcome = Outcome()
                    yield effect.value
                else:
                    outcome = await hands.do(effect)
        finally:
            await hands.close()


class _Hands:
    """Does one effect after another; has at most one stream open."""

    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self._http, self._settings = http, settings
        self._open = AsyncExitStack()
        self._pieces: AsyncIterator[bytes] = _nothing()

    async def do(self, effect: Effect) -> Outcome:
        try:
            return Outcome(await self._do(effect))
        except httpx2.HTTPError as error:
            return Outcome(error=failure_of(error, self._settings))
        except Unreachable as error:
            return Outcome(error=error)

    async def close(self) -> None:
        await self._open.aclose()
        self._pieces = _nothing()

    async def _do(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                return answer_of(await self._send(request, stream=False))
            case Open(request):
                return await self._begin(request)
            case Connect():
                return await self._connect(effect)
            case Read():
                return await anext(self._pieces, b"")
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Now():
                return time.monotonic()
            case _:
                assert_never(effect)

    async def _send(self, request: Request, *, stream: bool) -> httpx2.Response:
        built = self._http.build_request(**options_of(request, self._settings))
        return await self._http.send(built, stream=stream, follow_redirects=False)

    async def _begin(self, request: Request) -> Answer:
        await self.close()
        response = await self._send(request, stream=True)
        self._open.push_async_callback(response.aclose)
        self._pieces = response.aiter_bytes()
        return head_of(response)

    async def _connect(self, effect: Connect) -> Answer:
        from stepwell.sdk import sockets  # noqa: PLC0415 - it takes as long to load as all else; most need none

        await self.close()
        try:
            connection = await sockets.begin_async(effect, self._settings, self._open)
        except sockets.Refused as refused:
            return refused.answer
        self._pieces = sockets.pieces_async(connection, self._settings)
        return sockets.OPEN


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
