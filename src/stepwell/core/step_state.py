"""Where a step with attempts stands, as an execution keeps it."""

from msgspec import Struct

from stepwell.core.records import Attributes, StepConfig


class StepState(Struct):
    """A step: `ordinal` is its last attempt's number, `retry_at` when the next one is due.

    `attributes` are what the open attempt has said of itself, until they are recorded.
    """

    config: StepConfig
    generation: int = 0
    has_rollback: bool = False
    ordinal: int = 0
    failures: int = 0
    is_open: bool = False
    retry_at: int | None = None
    attributes: Attributes | None = None

    @property
    def is_last_attempt(self) -> bool:
        """Whether the attempt in flight is the last that the step may have."""
        return self.failures + 1 > self.config.limit

    def close(self, retry_at: int | None, *, counts: bool) -> None:
        """Take note that the open attempt has ended; `counts`: as one that failed. None: no other comes by itself."""
        self.is_open, self.retry_at = False, retry_at
        self.failures += counts

    def take_attributes(self) -> Attributes | None:
        """Return what the open attempt has said of itself, once."""
        said, self.attributes = self.attributes, None
        return said
