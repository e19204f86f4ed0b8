"""How turns behave, and what they need besides their claim."""

from dataclasses import dataclass
from typing import Any

from stepwell import limits
from stepwell.clock import Clock
from stepwell.core import retries
from stepwell.core.records import StepConfig
from stepwell.store import Store
from stepwell.threads import Threads
from stepwell.values import NO_CLASSES, Classes


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """How turns behave. Times in milliseconds.

    `hibernate_after_ms`: a wait that is longer puts the instance back into the store. `foreign_wait_ms`: how long a
    turn may wait for something outside its steps. `close_grace_ms`: how long a closed turn's tasks may take to end.
    """

    hibernate_after_ms: int = 1_000
    foreign_wait_ms: int = 300_000
    close_grace_ms: int = 1_000
    lost_turns: int = limits.LOST_TURNS
    step_limit: int = limits.STEPS_PER_INSTANCE
    defaults: StepConfig = retries.DEFAULTS
    # Keep what steps print and log.
    capture_output: bool = True
    # For tests: park whenever possible, so that each wait is a replay.
    parks_always: bool = False


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
