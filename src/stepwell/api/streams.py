"""The streams of a server that callers hold open: bounded in number, and ended together when the server stops."""

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
        self.are_ending = False
        # Whose each is.
        self._open: dict[Callable[[], None], str | None] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._open)

    def take(self, limit: int, close: Callable[[], None], token: str | None) -> Callable[[], None]:
        """Take a place among at most `limit` streams; return what closes the stream and gives its place back.

        A token has at most half of them, so that nobody keeps all others out. `close` is called then, and when the
        server stops. Raises TooManyStreams.
        """
        if len(self._open) >= limit:
            raise TooManyStreams(limit)
        share = max(1, limit // 2)
        if token is not None and sum(1 for each in self._open.values() if each == token) >= share:
            raise TooManyStreams(share, "with this token")
        self._open[close] = token
        if self.are_ending:
            close()
        return partial(self._end, close)

    def end(self) -> None:
        """End all streams, and each that is opened from now on: the server stops."""
        self.are_ending = True
        for close in self._open:
            close()

    def _end(self, close: Callable[[], None]) -> None:
        self._open.pop(close, None)
        close()


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
