"""Histories for tests of the core, in few words. All begin at NOW."""

from collections.abc import Mapping
from typing import Any

from stepwell.core.execution import Execution
from stepwell.core.failures import Failure
from stepwell.core.keys import Scope
from stepwell.core.records import Created, Key, Record, Recorded, Running, StepConfig, StepKind
from stepwell.core.retries import DEFAULTS
from stepwell.core.rules import Rules
from stepwell.core.step_answers import RunAttempt

NOW = 1_790_000_000_000
BEGUN: tuple[Record, ...] = (Created(NOW, "api", "{}"), Running(NOW))
OOPS = Failure("ValueError", "oops")


def history(*records: Record) -> list[Recorded]:
    """Return the history of an instance that has begun, and then met these."""
    return [Recorded(seq, record) for seq, record in enumerate((*BEGUN, *records), 1)]


def replay(
    *records: Record,
    now: int = NOW,
    defaults: StepConfig = DEFAULTS,
    step_limit: int = 100,
    instance_bytes: int = 1_000,
) -> Execution:
    """Return the execution of an instance that has begun, and then met these."""
    rules = Rules(defaults=defaults, step_limit=step_limit, instance_bytes=instance_bytes)
    return Execution(history(*records), now, rules)


def do(name: str, count: int = 1) -> Key:
    """Return the key of a step."""
    return Key(StepKind.DO, name, count)


def sleep(name: str, count: int = 1) -> Key:
    """Return the key of a sleep."""
    return Key(StepKind.SLEEP, name, count)


def wait(name: str, count: int = 1) -> Key:
    """Return the key of a wait."""
    return Key(StepKind.WAIT, name, count)


def call(execution: Execution, kind: StepKind, name: str) -> Key:
    """Return the key of the first call of a name."""
    return execution.next_key(kind, name, Scope())


def begin(execution: Execution, name: str, config: Mapping[str, Any] | None = None, now: int = NOW) -> Key:
    """Call a step and begin its first attempt."""
    key = call(execution, StepKind.DO, name)
    assert execution.ask_step(key, config, now) == RunAttempt()
    execution.start_attempt(key, now)
    return key
