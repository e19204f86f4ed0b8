"""What goes wrong in a simulated world, and when: drawn from its seed.

Each world has faults of some kinds only, so that rare ones are not always hidden behind the others; they fall on
operations, with gaps between them, until as many have happened as the world has drawn. Some wait for an operation of
one kind, as a turn begins and ends far more seldom than it records something.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from stepwell.store.operations import ClaimDue, Commit, Release


class Fault(StrEnum):
    """Something that goes wrong."""

    # With one operation.
    SLOW = "slow"  # it reaches the store seconds or minutes late, and what is sent behind it too
    REFUSED = "refused"  # it fails before it is done
    UNANSWERED = "unanswered"  # it is done, and the answer is lost
    TWICE = "twice"  # it is done, and done once more
    ECHO = "echo"  # it is done, and comes once more later
    # With a worker's process.
    STALL = "stall"  # it stands still, and goes on as if nothing had been; its lease may be over by then
    CUT = "cut"  # it is cut off from the store, and works on; its lease may be over by then
    DEATH = "death"  # it dies; what it has sent may arrive or not
    DRAIN = "drain"  # it is stopped politely
    JUMP = "jump"  # its clock is set
    DEAF = "deaf"  # for a while it hears late of what is due and what came from outside


OF_OPERATIONS = (Fault.SLOW, Fault.REFUSED, Fault.UNANSWERED, Fault.TWICE, Fault.ECHO)
OF_PROCESSES = (Fault.STALL, Fault.CUT, Fault.DEATH, Fault.DRAIN, Fault.JUMP, Fault.DEAF)

_TARGETS = (object, object, ClaimDue, Commit, Release)


@dataclass
class Faults:
    """Says what goes wrong next. `told` counts what has."""

    rng: random.Random
    kinds: list[Fault] = field(init=False)
    left: int = field(init=False)
    told: Counter[Fault] = field(default_factory=Counter)
    _gap: int = field(init=False)
    _until_next: int = field(init=False)
    _target: type[object] = object

    def __post_init__(self) -> None:
        among = [*OF_OPERATIONS, *OF_PROCESSES]
        self.kinds = self.rng.sample(among, self.rng.randint(1, len(among)))
        self.left = self.rng.choice((0, 5, 20, 40))
        self._gap = self.rng.choice((2, 8, 30))
        self._until_next = self.rng.randint(1, self._gap)

    def next(self, operation: object, *, may_be: tuple[Fault, ...]) -> Fault | None:
        """Return what goes wrong with an operation, of what may; None: nothing does."""
        self._until_next -= 1
        kinds = [kind for kind in self.kinds if kind in may_be]
        if self._until_next > 0 or not (self.left and kinds and isinstance(operation, self._target)):
            return None
        self._until_next = self.rng.randint(1, self._gap)
        self._target = self.rng.choice(_TARGETS)
        self.left -= 1
        kind = self.rng.choice(kinds)
        self.told[kind] += 1
        return kind
