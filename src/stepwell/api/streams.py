"""The streams of a server that callers hold open: bounded in number, and ended together when the server stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stepwell.api.refusals import TooManyStreams

# How often a silent stream shows that it lives.
SIGN_OF_LIFE_S = 15.0


class Streams:
    """The open streams."""

    def __init__(self) -> None:
        self._open: set[object] = set()
        self._ending = asyncio.Event()

    @property
    def are_ending(self) -> bool:
        """Tell whether the server stops, and with it every stream."""
        return self._ending.is_set()

    def take(self, limit: int) -> Callable[[], None]:
        """Take a place among at most `limit` streams; return what gives it back. Raises TooManyStreams."""
        if len(self._open) >= limit:
            raise TooManyStreams(limit)
        place = object()
        self._open.add(place)
        return partial(self._open.discard, place)

    def end(self) -> None:
        """End all streams, and each that is opened from now on."""
        self._ending.set()

    async def ended(self) -> None:
        """Return when the server stops."""
        await self._ending.wait()


class Stream(StreamingResponse):
    """An answer that goes on; `ended` is called when it is over, however it ends. Asked for by HEAD it has no parts."""

    def __init__(
        self, parts: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str], ended: Callable[[], None]
    ) -> None:
        super().__init__(parts, media_type=media_type, headers=headers)
        self._head = Response(media_type=media_type, headers=headers)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, and the parts if they are asked for."""
        try:
            if scope["method"] == "HEAD":
                await self._head(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._ended()
