"""How often, and how long after a failure, an attempt follows another; and what a step's config may say.

Attempts are `limit` + 1: the limit counts retries after the first attempt. No jitter, no cap.

Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwell import durations
from stepwell.core.records import DYNAMIC_DELAY, StepConfig
from stepwell.errors import InvalidStepConfig
from stepwell.limits import RETRIES_PER_STEP

_CLASS_KEYS = ("retry_on", "dont_retry_on")
CONFIG_KEYS = ("retries", "timeout", "sensitive", *_CLASS_KEYS, "heartbeat")
BACKOFFS = ("constant", "linear", "exponential")

DEFAULTS = StepConfig(limit=5, delay=10_000, backoff="exponential", timeout="10 minutes")

# A delay function whose result this is would wait for ever; a century is as good and fits every integer.
LONGEST_WAIT_MS = 100 * 365 * durations.DAY_MS


def wait_after(failures: int, delay_ms: int, backoff: str) -> int:
    """Return how long to wait after a failed attempt, in milliseconds; `failures` counts that one too.

    Constant waits `delay_ms` each time, linear n times as long after the n-th failure, exponential doubles.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    match backoff:
        case "constant":
            factor = 1
        case "linear":
            factor = failures
        case _:
            factor = 2 ** min(failures - 1, 64)
    return min(delay_ms * factor, LONGEST_WAIT_MS)


def delay_function(config: Mapping[str, Any] | None) -> Callable[..., Any] | None:
    """Return the delay function of a config, if there is one.

    The config may be a wrong one: where another is on record, that given by changed code has not been checked.
    """
    retries = config.get("retries") if isinstance(config, Mapping) else None
    delay = retries.get("delay") if isinstance(retries, Mapping) else None
    return delay if callable(delay) else None


def merge(
    step: str, config: Mapping[str, Any] | None, defaults: StepConfig = DEFAULTS, most: int = RETRIES_PER_STEP
) -> StepConfig:
    """Return a step's config, checked and merged with the defaults; `most` is how many retries it may ask for.

    Raises InvalidStepConfig naming field and value. `retries` needs both `limit` and `delay`; unknown keys are refused.
    Ours: `heartbeat`, and `retry_on` and `dont_retry_on`, which are read from the live code at each failure.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowstepconfig
    """
    if config is None:
        return defaults
    _check_keys(step, "config", config, CONFIG_KEYS)
    for key in _CLASS_KEYS:
        _check_classes(step, key, config.get(key))
    limit, delay, backoff = _merge_retries(step, config.get("retries"), defaults, most)
    return StepConfig(
        limit=limit,
        delay=delay,
        backoff=backoff,
        timeout=_timeout(step, config.get("timeout"), defaults),
        sensitive=_sensitive(step, config.get("sensitive")),
        heartbeat=_heartbeat(step, config.get("heartbeat")),
    )


def may_retry(config: Mapping[str, Any] | None, errors: Sequence[BaseException]) -> bool:
    """Tell whether `retry_on` and `dont_retry_on` of a config let an attempt that ended with these errors be followed.

    The config may be a wrong one, as for `delay_function`.
    """
    if not isinstance(config, Mapping):
        return True
    wanted, unwanted = (_classes(config.get(key)) for key in _CLASS_KEYS)
    if any(isinstance(error, unwanted) for error in errors):
        return False
    return config.get("retry_on") is None or all(isinstance(error, wanted) for error in errors)


def _merge_retries(step: str, retries: Any, defaults: StepConfig, most: int) -> tuple[float, float | str, str]:
    if retries is None:
        return defaults.limit, defaults.delay, defaults.backoff
    _check_keys(step, "retries", retries, ("limit", "delay", "backoff"))
    limit, delay = retries.get("limit"), retries.get("delay")
    # `backoff` falls back to exponential even where the server's default is another: so says the source.
    backoff = "exponential" if retries.get("backoff") is None else retries["backoff"]
    if not _is_number(limit) or not 0 <= limit <= most:
        raise InvalidStepConfig(step, "retries.limit", limit, f"a number from 0 to {most}")
    if not callable(delay) and durations.to_ms(delay) is None:
        raise InvalidStepConfig(step, "retries.delay", delay, f"{durations.EXPECTED}, or a function")
    if backoff not in BACKOFFS:
        raise InvalidStepConfig(step, "retries.backoff", backoff, 'one of "constant", "linear", "exponential"')
    return limit, DYNAMIC_DELAY if callable(delay) else _as_written(delay), backoff


def _timeout(step: str, timeout: Any, defaults: StepConfig) -> float | str:
    if timeout is None:
        return defaults.timeout
    if not durations.to_ms(timeout):
        raise InvalidStepConfig(step, "timeout", timeout, f"more than 0: {durations.EXPECTED}")
    return _as_written(timeout)


def _heartbeat(step: str, heartbeat: Any) -> float | str | None:
    if heartbeat is None:
        return None
    if not durations.to_ms(heartbeat):
        raise InvalidStepConfig(step, "heartbeat", heartbeat, f"more than 0: {durations.EXPECTED}")
    return _as_written(heartbeat)


def _check_classes(step: str, key: str, given: Any) -> None:
    kinds = given if isinstance(given, tuple | list) else (given,)
    if given is not None and len(_classes(given)) != len(kinds):
        raise InvalidStepConfig(step, key, given, "an exception class, or several in a tuple or list")


def _classes(given: Any) -> tuple[type[BaseException], ...]:
    kinds = given if isinstance(given, tuple | list) else (given,)
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseException))


def _sensitive(step: str, sensitive: Any) -> str | None:
    if sensitive not in (None, "output"):
        raise InvalidStepConfig(step, "sensitive", sensitive, '"output", or left out')
    return "output" if sensitive else None


def _check_keys(step: str, field: str, config: Any, known: tuple[str, ...]) -> None:
    expected = "a dict with the keys " + ", ".join(known)
    if not isinstance(config, Mapping):
        raise InvalidStepConfig(step, field, config, expected)
    for key in config:
        if key not in known:
            raise InvalidStepConfig(step, field, key, expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_written(duration: Any) -> float | str:
    """Keep numbers and words as they are; a timedelta becomes milliseconds."""
    if isinstance(duration, int | float | str):
        return duration
    return durations.to_ms(duration) or 0
