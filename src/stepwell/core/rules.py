"""The limits and defaults that an instance lives by."""

from msgspec import Struct

from stepwell import durations, limits
from stepwell.core import retries
from stepwell.core.records import (
    Created,
    EventReceived,
    Key,
    PayloadRef,
    Record,
    StepConfig,
    StepKind,
    StepSucceeded,
)
from stepwell.errors import InstanceTooLarge, InvalidEventType, InvalidStepConfig, SleepInThePast


class Rules(Struct, frozen=True):
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

    def sleep_ms(self, step: str, duration: object) -> int:
        """Return how long a sleep lasts. Raises InvalidStepConfig."""
        ms = durations.to_ms(duration)
        if ms is None or ms > self.longest_sleep_ms:
            expected = f"{durations.EXPECTED}, at most {durations.in_words(self.longest_sleep_ms)}"
            raise InvalidStepConfig(step, "the duration", duration, expected)
        return ms

    def check_moment(self, step: str, until: int, now: int) -> None:
        """Hold the end of a sleep against the rules. Raises SleepInThePast or InvalidStepConfig."""
        if until < now:
            raise SleepInThePast(step, until, now)
        if until - now > self.longest_sleep_ms:
            expected = f"at most {durations.in_words(self.longest_sleep_ms)} away, in milliseconds"
            raise InvalidStepConfig(step, "the moment", until, expected)

    def wait_ms(self, step: str, event_type: object, timeout: object) -> int:
        """Return how long a wait for an event lasts. Raises InvalidEventType or InvalidStepConfig."""
        if not limits.is_event_type(event_type):
            expected = f"1 to {limits.EVENT_TYPE_LENGTH} of: {limits.NAME_RULE} (no dot)"
            raise InvalidEventType(step, event_type, expected)
        least, most = self.shortest_wait_ms, self.longest_wait_ms
        # Three dots: the author has said nothing. None is no duration.
        ms = self.wait_timeout_ms if timeout is ... else durations.to_ms(timeout)
        if ms is None or not least <= ms <= most:
            expected = f"{durations.EXPECTED}, from {durations.in_words(least)} to {durations.in_words(most)}"
            raise InvalidStepConfig(step, "timeout", timeout, expected)
        return ms


RULES = Rules()


_WITH_VALUES = (StepSucceeded, Created, EventReceived)


def size_of(record: Record) -> int:
    """Return how many bytes a record adds to what its instance holds: params, event payloads and results count."""
    if not isinstance(record, _WITH_VALUES):
        return 0
    value = record.value
    if isinstance(record, StepSucceeded) and record.stream is not None:
        return record.stream.size
    if isinstance(value, PayloadRef):
        return value.size
    return len(value) if value.isascii() else len(value.encode())


class Room:
    """How much of what an instance may hold it holds."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._size = 0

    def take(self, record: Record) -> None:
        """Take note of what a record brings."""
        self._size += size_of(record)

    def check(self, key: Key, size: int) -> None:
        """Hold so many bytes of a step's result against what is left. Raises InstanceTooLarge."""
        total = self._size + size
        # An instance that is full has to be rolled back all the same.
        if total > self._rules.instance_bytes and key.kind is not StepKind.ROLLBACK:
            raise InstanceTooLarge(key.label, total, self._rules.instance_bytes)
