"""What a test has put in the place of parts of instances: the one thing that a turn asks beside its history.

In production there is no stage. A step that has a stand-in is called, begins, is recorded and is tried again as any
other: what differs is what its attempt calls. The same goes for sleeps, waits and the delays before retries: the turn
asks whether they pass at once, and the record says what became of them.
"""

from collections.abc import Callable
from typing import Any, Protocol

from stepwell.core.records import Key
from stepwell.steps import StepBody


class StandIns(Protocol):
    """What stands in for parts of one instance."""

    def body(self, key: Key, attempt: int, body: StepBody) -> Callable[[], Any] | None:
        """Return what an attempt calls in the place of its body; None: the body. Attempts count as `ctx.attempt`."""

    def passes(self, key: Key) -> bool:
        """Tell whether a sleep takes no time."""

    def retries_at_once(self, key: Key) -> bool:
        """Tell whether a step is tried again without delay."""

    def times_out(self, key: Key) -> bool:
        """Tell whether a wait runs out of time at once, whatever events there are."""


class Stage(Protocol):
    """What stands in for parts of all instances of an engine."""

    @property
    def keeps_turns(self) -> bool:
        """Whether turns stay open however long they have to wait: the clock is about to be moved on."""

    def stand_ins(self, workflow: str, id: str) -> StandIns | None:
        """Return what stands in for parts of an instance; None: nothing does."""
