"""How turns behave, and what they need besides their claim."""

from dataclasses import dataclass
from typing import Any

from stepwell import durations, limits
from stepwell.clock import Clock
from stepwell.core import retries
from stepwell.core.records import StepConfig
from stepwell.core.rules import Rules
from stepwell.notes import OUTPUT, OutputSettings
from stepwell.server_settings import Settings
from stepwell.step_processes import StepProcesses
from stepwell.store import Store
from stepwell.threads import Threads
from stepwell.traces import OFF, Tracing
from stepwell.values import NO_CLASSES, Classes


@dataclass(frozen=True, slots=True)
class TurnSettings(Rules):
    """How turns behave, and the rules that their instances live by. Times in milliseconds.

    `hibernate_after_ms`: a wait that is longer puts the instance back into the store. `foreign_wait_ms`: how long a
    turn may wait for something outside its steps. `close_grace_ms`: how long a closed turn's tasks may take to end.
    """

    hibernate_after_ms: int = limits.HIBERNATE_AFTER_MS
    foreign_wait_ms: int = limits.FOREIGN_WAIT_MS
    close_grace_ms: int = 1_000
    lost_turns: int = limits.LOST_TURNS
    output: OutputSettings = OUTPUT
    # For tests: park whenever possible, so that each wait is a replay.
    parks_always: bool = False

    @classmethod
    def of(cls, told: Settings, *, keeps_output: bool) -> "TurnSettings":
        """Return how turns behave on a server that has been told these settings."""
        return cls(
            step_limit=told.steps_per_instance,
            result_bytes=told.step_result_size,
            instance_bytes=told.instance_size,
            retries_per_step=told.retries_per_step,
            defaults=_defaults(told),
            longest_sleep_ms=told.longest_sleep,
            shortest_wait_ms=told.shortest_wait,
            longest_wait_ms=told.longest_wait,
            wait_timeout_ms=told.wait_timeout,
            hibernate_after_ms=told.hibernate_after,
            foreign_wait_ms=told.foreign_wait,
            lost_turns=told.lost_turns,
            output=OutputSettings(
                keeps=keeps_output,
                log_lines=told.log_lines,
                attempt_lines=told.attempt_lines,
                attempt_characters=told.attempt_characters,
                line_characters=told.line_characters,
                trace_characters=told.trace_characters,
            ),
        )


@dataclass(frozen=True, slots=True)
class TurnContext:
    """What a turn needs besides its claim."""

    store: Store
    clock: Clock
    threads: Threads
    settings: TurnSettings
    # What `self.env` is, and the classes that stored values may become.
    env: Any = None
    classes: Classes = NO_CLASSES
    # Where isolated steps run; None: where all do.
    processes: StepProcesses | None = None
    tracing: Tracing = OFF


def _defaults(told: Settings) -> StepConfig:
    """Return the config of a step that has none. A time-out that nobody has changed is shown in Cloudflare's words."""
    known = retries.DEFAULTS
    is_same = told.step_timeout == durations.to_ms(known.timeout)
    return StepConfig(
        told.retry_limit, told.retry_delay, told.retry_backoff, known.timeout if is_same else told.step_timeout
    )
