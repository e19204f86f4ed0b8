"""What was looked up since anything was last written: whoever asks the same again has the same answer, and at once.

An answer is given again only if nothing has been written since before it was read, and nothing is being written now:
so nobody sees less than he, or anybody else, has seen before. Only a store that alone writes its database can tell.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from stepwell.store.operations import GetInstance, InstanceHistory, Operation
from stepwell.store.session_operations import FindSession
from stepwell.store.token_operations import FindToken

# How many times a store has been written to, as it can be told apart; None: it is being written to, or cannot know.
Mark = Callable[[], int | None]

# About 6 MB of them.
MOST_ANSWERS = 4_096


class Lookups:
    """The answers to what each request asks: who makes it, and whether an instance is as it was."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._seen: int | None = None
        self._answers: dict[Operation[Any], object] = {}

    def find(self, operation: Operation[Any]) -> object | None:
        """Return the answer to an operation, if it is still the same; None: it has to be asked."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            self._answers.clear()
        return self._answers.get(operation) if _is_lookup(operation) else None

    def keep(self, operation: Operation[Any], answer: "asyncio.Future[Any]") -> None:
        """Keep the answer to an operation that is asked now, once it is there; one that takes room is not kept."""
        if (asked_at := self._seen) is not None and _is_lookup(operation):
            answer.add_done_callback(lambda done: self._put(operation, done, asked_at))

    def _put(self, operation: Operation[Any], done: "asyncio.Future[Any]", asked_at: int) -> None:
        if asked_at != self._seen or asked_at != self._mark() or done.cancelled() or done.exception() is not None:
            return
        found = done.result()
        if found is None or (isinstance(found, InstanceHistory) and found.records):
            return
        if len(self._answers) >= MOST_ANSWERS:
            self._answers.clear()
        self._answers[operation] = found


def _is_lookup(operation: Operation[Any]) -> bool:
    return type(operation) in _LOOKUPS


_LOOKUPS = frozenset({FindSession, FindToken, GetInstance})
