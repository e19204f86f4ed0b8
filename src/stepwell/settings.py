"""How turns behave, and what they need besides their claim."""

from typing import Any

from msgspec import Struct, field

from stepwell import durations, limits
from stepwell.attempts import Finishing
from stepwell.bodies import QuickBodies
from stepwell.clock import Clock
from stepwell.core import retries
from stepwell.core.records import StepConfig
from stepwell.core.rules import Rules
from stepwell.divergences import TOLD, Divergences
from stepwell.notes import OUTPUT, OutputSettings
from stepwell.server_settings import Settings
from stepwell.stage import Stage, StandIns
from stepwell.step_processes import StepProcesses
from stepwell.store import Store
from stepwell.store.operations import Claim
from stepwell.threads import Threads
from stepwell.traces import OFF, Tracing
from stepwell.values import NO_CLASSES, Classes


class TurnSettings(Rules, frozen=True):
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
    # For tests: each result is met in a new turn, unless an attempt is in flight that this would end.
    replays_always: bool = False
    # For tests: code that goes another way than its history ends its instance with an error.
    fails_diverging: bool = False

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


class TurnContext(Struct, frozen=True):
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
    # For tests: in which order attempts end; None: as their bodies do.
    finishing: Finishing | None = None
    # Who is told of code that goes another way than its history.
    divergences: Divergences = TOLD
    # What a test has put in the place of parts of instances; None: there is no test.
    stage: Stage | None = None
    tracing: Tracing = OFF
    quick_bodies: QuickBodies = field(default_factory=QuickBodies)

    def stand_ins(self, claim: Claim) -> StandIns | None:
        """Return what stands in for parts of the instance; None: nothing does."""
        return None if self.stage is None else self.stage.stand_ins(claim.workflow, claim.id)

    def parks(self, due_at: int | None, now: int) -> bool:
        """Tell whether a turn that has to wait until a moment (None: for no moment) is put back until then."""
        if due_at is None or self.settings.parks_always:
            return True
        is_far = due_at - now > self.settings.hibernate_after_ms
        return is_far and not (self.stage is not None and self.stage.keeps_turns)


def _defaults(told: Settings) -> StepConfig:
    """Return the config of a step that has none. A time-out that nobody has changed is shown in Cloudflare's words."""
    known = retries.DEFAULTS
    is_same = told.step_timeout == durations.to_ms(known.timeout)
    return StepConfig(
        told.retry_limit, told.retry_delay, told.retry_backoff, known.timeout if is_same else told.step_timeout
    )
