"""What a history has begun and the code, replayed, has not called by now."""

from collections.abc import Iterable

from stepwell.core.records import Key


class Unmet:
    """The steps that `run` had begun before this turn, in their order, and which of them it has not called yet.

    Steps are known by kind, name and count. One that the code no longer calls is allowed, as on Cloudflare; but where
    the code asks for another one in its place, it goes another way than before.
    """

    def __init__(self, begun: Iterable[Key] = ()) -> None:
        self._begun = {key: place for place, key in enumerate(begun)}
        self._left = set(self._begun)

    def __bool__(self) -> bool:
        return bool(self._left)

    def __contains__(self, key: Key) -> bool:
        return key in self._left

    def meet(self, key: Key) -> None:
        """Take note of a call."""
        self._left.discard(key)

    def has_begun(self, key: Key) -> bool:
        """Tell whether a step had begun before this turn."""
        return key in self._begun

    def skipped(self) -> tuple[Key, ...]:
        """Return those in front of the last one that was called: the code has gone on without them."""
        last = self._last_met()
        return tuple(key for key, place in self._begun.items() if place < last and key in self._left)

    def unused(self) -> tuple[Key, ...]:
        """Return those behind the last one that was called: what the history has where the code is now."""
        last = self._last_met()
        return tuple(key for key, place in self._begun.items() if place > last)

    def _last_met(self) -> int:
        return max((place for key, place in self._begun.items() if key not in self._left), default=-1)
