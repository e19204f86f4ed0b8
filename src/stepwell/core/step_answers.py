"""What a turn is answered when it asks about a step, and the attempts that it begins."""

from msgspec import Struct

from stepwell.core.records import Key, StepConfig


class AwaitResult(Struct, frozen=True):
    """The outcome is on record, and comes to the author in its turn."""


class WaitUntil(Struct, frozen=True):
    """Nothing to do before this moment (milliseconds)."""

    at: int


class RunAttempt(Struct, frozen=True):
    """Begin an attempt now."""


StepAnswer = AwaitResult | WaitUntil | RunAttempt


class Attempt(Struct, frozen=True):
    """An attempt that has begun. `number` is what the author sees: of the interrupted ones `ordinal` counts also.

    `generation` is the seq of the restart after which the step began; 0: there was none.
    """

    key: Key
    number: int
    config: StepConfig
    ordinal: int = 1
    generation: int = 0

    @property
    def may_be_forgotten(self) -> bool:
        """Whether no promise is broken if it is not on record that it began: it would be made once more, as the first.

        One that is the last, or may not be repeated, counts even if its process dies in the middle.
        """
        return self.ordinal == 1 and self.config.limit >= 1
