"""The streams of a server that callers hold open: bounded in number, and ended together when the server stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

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

    def take(self, limit: int) -> "Place":
        """Return a place among at most `limit` streams. Raises TooManyStreams."""
        if len(self._open) >= limit:
            raise TooManyStreams(limit)
        place = Place(self._open)
        # Counted from here on, so that many callers at once do not pass the bound together.
        self._open.add(place)
        return place

    @contextmanager
    def taken(self, limit: int) -> Iterator["Place"]:
        """Take a place; give it back if whatever is done with it fails."""
        place = self.take(limit)
        try:
            yield place
        except BaseException:
            place.give_back()
            raise

    def end(self) -> None:
        """End all streams, and each that is opened from now on."""
        self._ending.set()

    async def ended(self) -> None:
        """Return when the server stops."""
        await self._ending.wait()


class Place:
    """A stream's place among those that are open."""

    def __init__(self, places: set[object]) -> None:
        self._places = places

    def give_back(self) -> None:
        """Let another stream have it."""
        self._places.discard(self)
