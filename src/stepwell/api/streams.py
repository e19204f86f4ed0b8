"""The streams of a server that callers hold open: bounded in number, ended when the server stops or their token ends.

A stream is opened once and may last for days. So the tokens by which streams are open, and the sessions, are looked up
now and then: they may have been ended by another process, and then their streams end.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stepwell.api.refusals import TooManyStreams
from stepwell.api.stream_tokens import Behind
from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.server_settings import Settings
from stepwell.sessions import Sessions

# How often a silent stream shows that it lives.
SIGN_OF_LIFE_S = 15.0
# How often the tokens of open streams are looked up.
LOOK_EVERY_S = 5.0
_NOBODY: Behind = (None, None)

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Cut(Enum):
    """Why a stream is ended before its time."""

    SERVER_STOPS = auto()
    TOKEN_ENDED = auto()


class Place:
    """A place among the streams."""

    def __init__(self, streams: "Streams", behind: Behind, close: Callable[[], None]) -> None:
        self.behind = behind
        # None: it has not been cut.
        self.cut: Cut | None = None
        self._streams = streams
        self._close = close

    def end(self) -> None:
        """End the stream, and give its place back."""
        self._streams.give_back(self)
        self._close()

    def cut_off(self, why: Cut) -> None:
        """End the stream before its time; its place is given back when whoever fills it has noticed."""
        self.cut = self.cut or why
        self._close()


class Streams:
    """The open streams."""

    def __init__(self, sessions: Sessions | None = None) -> None:
        """`sessions`, with their tokens, are those by which streams are opened; None: nobody needs a token."""
        self._sessions = sessions
        self._are_ending = False
        self._open: set[Place] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._open)

    def take(self, told: Settings, close: Callable[[], None], token: str | None, session: str | None = None) -> Place:
        """Take a place among the streams, if there is one.

        A token has at most half of them, unless it is told otherwise, so that nobody keeps all others out. `close` is
        called when the place is given back, and when the stream is cut. Raises TooManyStreams.
        """
        if len(self._open) >= told.log_streams:
            raise TooManyStreams(told.log_streams, "log_streams")
        share = told.log_streams_of_token or max(1, told.log_streams // 2)
        if token is not None and sum(1 for each in self._open if each.behind[0] == token) >= share:
            raise TooManyStreams(share, "log_streams_of_token", " with this token")
        place = Place(self, (token, session), close)
        self._open.add(place)
        if self._are_ending:
            place.cut_off(Cut.SERVER_STOPS)
        elif token is not None and self._sessions is not None and self._looking is None:
            self._looking = asyncio.create_task(self._look(self._sessions))
        return place

    def give_back(self, place: Place) -> None:
        """Let another have a place."""
        self._open.discard(place)
        if self._looking is not None and all(each.behind == _NOBODY for each in self._open):
            self._looking.cancel()
            self._looking = None

    def end(self) -> None:
        """End all streams, and each that is opened from now on: the server stops."""
        self._are_ending = True
        for place in list(self._open):
            place.cut_off(Cut.SERVER_STOPS)

    async def _look(self, sessions: Sessions) -> None:
        """Cut the streams of tokens and sessions that are good no more, as long as there are streams with tokens."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for token, session in {place.behind for place in self._open}:
                try:
                    is_good = token is None or await sessions.is_good(token, session)
                except StoreError as error:
                    # Nothing is told of a store that is away, either.
                    _log.warning(
                        "cannot look up the tokens of open streams: %s", error, extra=fact("store.refused", error=error)
                    )
                    break
                if not is_good:
                    self._cut_all_of((token, session))

    def _cut_all_of(self, behind: Behind) -> None:
        for place in [each for each in self._open if each.behind == behind]:
            place.cut_off(Cut.TOKEN_ENDED)


class Waits:
    """The requests that wait for a change: bounded in number, each of them for a while."""

    def __init__(self) -> None:
        self.count = 0
        self._of_tokens: Counter[str] = Counter()

    def take(self, told: Settings, token: str | None) -> Callable[[], None] | None:
        """Take a place, and return what gives it back; None: there is none. A token has at most half of them."""
        most = told.waiting_requests
        if self.count >= most or (token is not None and self._of_tokens[token] >= max(1, most // 2)):
            return None
        self._count(token, 1)
        return partial(self._count, token, -1)

    def _count(self, token: str | None, n: int) -> None:
        self.count += n
        if token is not None:
            self._of_tokens[token] += n
            if not self._of_tokens[token]:
                del self._of_tokens[token]


async def unless_gone(http: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what comes of some work, which ends when the client has gone. Raises ClientDisconnect then."""
    working, going = asyncio.create_task(work), asyncio.create_task(_has_gone(http))
    try:
        await asyncio.wait((working, going), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        going.cancel()
        await asyncio.gather(working, going, return_exceptions=True)


async def _has_gone(http: Request) -> None:
    """Return when the client has gone, whatever it still sends before."""
    is_complete = False
    while (message := await http.receive())["type"] != "http.disconnect":
        if is_complete:
            # Nothing but that can come any more: who calls us does not tell it.
            await asyncio.Event().wait()
        is_complete = not message.get("more_body")


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
