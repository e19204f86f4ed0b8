"""Where a step with attempts stands, as an execution keeps it."""

from dataclasses import dataclass

from stepwell.core.records import StepConfig


@dataclass(slots=True)
class StepState:
    """A step: `ordinal` is its last attempt's number, `retry_at` when the next one is due."""

    config: StepConfig
    generation: int = 0
    has_rollback: bool = False
    ordinal: int = 0
    failures: int = 0
    is_open: bool = False
    retry_at: int | None = None
