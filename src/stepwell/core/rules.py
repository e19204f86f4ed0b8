"""The limits and defaults that an instance lives by."""

from dataclasses import dataclass

from stepwell import limits
from stepwell.core import retries
from stepwell.core.records import Created, EventReceived, PayloadRef, Record, StepConfig, StepSucceeded


@dataclass(frozen=True, slots=True)
class Rules:
    """What steps, sleeps and waits may be, and what they are where the author says nothing. Times in milliseconds."""

    step_limit: int = limits.STEPS_PER_INSTANCE
    result_bytes: int = limits.STEP_RESULT_BYTES
    # What the values on record may have together.
    instance_bytes: int = limits.INSTANCE_BYTES
    # The most that a step's config may ask for.
    retries_per_step: int = limits.RETRIES_PER_STEP
    defaults: StepConfig = retries.DEFAULTS
    longest_sleep_ms: int = limits.SLEEP_MS
    shortest_wait_ms: int = limits.WAIT_MIN_MS
    longest_wait_ms: int = limits.WAIT_MAX_MS
    # How long a wait lasts that has no time-out of its own.
    wait_timeout_ms: int = limits.WAIT_MS


RULES = Rules()


def size_of(record: Record) -> int:
    """Return how many bytes a record adds to what its instance holds: params, event payloads and results count."""
    match record:
        case Created(value=value) | EventReceived(value=value) | StepSucceeded(value=value):
            if isinstance(value, PayloadRef):
                return value.size
            return len(value) if value.isascii() else len(value.encode())
        case _:
            return 0
