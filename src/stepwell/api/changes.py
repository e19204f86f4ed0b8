"""How often something has changed since a server began, and who wants to hear of the next time.

A page that has seen a mark knows of all that was written before it, so it is told at once whether it has missed
something since; and the store tells one listener, however many pages are open.
"""

import secrets
from collections.abc import Callable

from stepwell.store import Store


class ChangeCount:
    """Counts the changes of a store, from when it is first asked on."""

    def __init__(self) -> None:
        # Another server, or this one started anew, has counted other changes.
        self._name = secrets.token_hex(6)
        self._count = 0
        self._is_counting = False
        self._waiting: set[Callable[[], None]] = set()

    def mark(self, store: Store) -> str:
        """Return a mark that is another one after each change."""
        if not self._is_counting:
            self._is_counting = True
            store.watch(None, self._changed)
        return f"{self._name}-{self._count}"

    def wait(self, told: Callable[[], None]) -> None:
        """Call `told` at the next change, once. It has to be counted already."""
        self._waiting.add(told)

    def forget(self, told: Callable[[], None]) -> None:
        """Tell somebody nothing more."""
        self._waiting.discard(told)

    def _changed(self) -> None:
        self._count += 1
        waiting, self._waiting = self._waiting, set()
        for told in waiting:
            told()
