"""What the adapters have in common: how an agent's work becomes a step, and what becomes of a model's refusals."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from stepwell.contexts import StepContext
from stepwell.errors import NonRetryableError
from stepwell.port import TurnPort
from stepwell.scope import is_current
from stepwell.step_traits import traits_of
from stepwell.steps import CURRENT_PORT, StepBody

_CLIENTS_FAULT = range(400, 500)
# One that may be none the next time: too slow, in conflict, too early, too often.
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429})

_CURRENT_STEP: ContextVar[StepContext | None] = ContextVar("stepwell_agent_step", default=None)


def current_step() -> StepContext | None:
    """Return the context of the step in which a tool runs, as a parameter `ctx` would be; None outside of a workflow.

    Its `idempotency_key` is for services that a tool calls: an attempt may be made twice.
    """
    return _CURRENT_STEP.get()


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How a kind of step is tried: the config that `step.do` takes, and the name of a limit that it shares."""

    config: Mapping[str, Any] = field(default_factory=dict)
    limit: str | None = None


def policy_of(given: Mapping[str, Any] | None, limit: str | None = None) -> StepPolicy:
    """Return the policy that an author has written as one mapping: a step's config, and perhaps `limit` among it."""
    config = dict(given or {})
    return StepPolicy(config, config.pop("limit", limit))


def current_port() -> TurnPort | None:
    """Return where the code's step calls go; None where it does not run in a workflow, or in a thread of its own."""
    port = CURRENT_PORT.get()
    return port if isinstance(port, TurnPort) and is_current() else None


async def run_step(name: str, work: Callable[[StepContext], Awaitable[Any]], policy: StepPolicy) -> Any:
    """Do work as a step, or return what it returned before; just do it where there is no workflow."""
    port = current_port()

    async def body(ctx: StepContext) -> Any:
        _CURRENT_STEP.set(ctx)
        return await work(ctx)

    if port is None:
        return await work(StepContext({}))
    return await port.do(name, policy.config, StepBody(body, body, traits_of(name, {"limit": policy.limit})))


def refusal(error: Exception, status: int | None, code: str | None) -> Exception:
    """Return what a step fails with for a model's error: the same, or one that says that no attempt is to follow.

    `code` is the provider's own word. A quota that is used up is a 429 that no waiting helps.
    """
    if code == "insufficient_quota" or (status in _CLIENTS_FAULT and status not in _WORTH_ANOTHER_TRY):
        return NonRetryableError(str(error), type(error).__name__)
    return error


def speak(text: str) -> None:
    """Say on behalf of a step what its model says: it is in the instance's log before its line ends."""
    print(text, end="", flush=True)  # noqa: T201  # what steps print is kept
