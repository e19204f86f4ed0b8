"""The contexts that the bodies of steps and rollbacks receive.

Source: developers.cloudflare.com/workflows/build/step-context/
"""

from collections.abc import Mapping
from typing import Any, Protocol

from stepwell.core.records import Attributes


class AttemptPort(Protocol):
    """What an attempt offers to its body. Safe to use from the body's thread."""

    is_cancelled: bool
    details: Any
    attributes: Attributes

    def beat(self, details: Any) -> None:
        """Take note of a sign of life."""

    def describe(self, given: object) -> None:
        """Take note of attributes."""


class AttemptContext(dict[str, Any]):
    """What an attempt is told, and how it tells of itself. Safe to use from a thread."""

    def __init__(self, facts: Mapping[str, Any], port: AttemptPort | None = None) -> None:
        super().__init__(facts)
        self.port = port

    @property
    def attempt(self) -> int:
        """Which attempt of the step, or of the rollback, this is, from 1."""
        return int(self["attempt"])

    @property
    def idempotency_key(self) -> str:
        """Text that is the same for all attempts of this step, or of this rollback, and no other's."""
        return str(self["idempotency_key"])

    @property
    def traceparent(self) -> str | None:
        """The header by which a request is part of the instance's trace, if any: www.w3.org/TR/trace-context/."""
        return self.get("traceparent")

    @property
    def cancelled(self) -> bool:
        """Whether nothing will come of this attempt: it ran out of time, was cancelled, or its worker stops.

        A function in a thread cannot be stopped from outside; look at this in long loops.
        """
        return self.port is not None and self.port.is_cancelled

    @property
    def heartbeat_details(self) -> Any:
        """What an earlier attempt of this step said last in `heartbeat`, or None."""
        return None if self.port is None else self.port.details

    def heartbeat(self, details: Any = None) -> None:
        """Give a sign of life; `details` (storable as a result is) are handed to the next attempt, if there is one.

        With `heartbeat` in the step's config an attempt that gives none for so long fails with WorkflowTimeoutError.
        In an attempt that was cancelled this raises TurnClosed, which ends the function.
        """
        if self.port is not None:
            self.port.beat(details)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What this attempt has said of itself in `set_attributes`."""
        return {} if self.port is None else dict(self.port.attributes)

    def set_attributes(self, attributes: Mapping[str, str | float | bool | None]) -> None:
        """Say of this attempt what people want to know, such as `{"gen_ai.usage.input_tokens": 812, "cost_usd": 0.01}`.

        Up to 32 names like those of labels, with a number, a bool or a text of up to 256 characters; None takes one
        away. Recorded with how the attempt ends, summed over the instance, and given to the spans of its trace.
        Nothing is hidden of it, also where the step is sensitive. Raises WorkflowFatalError.
        """
        if self.port is not None:
            self.port.describe(attributes)


class StepContext(AttemptContext):
    """What a step's `ctx` parameter receives: a dict with `step` (name, count), `attempt` (from 1) and `config`.

    `idempotency_key` is the same for all attempts of a step, and no other step's: hand it to services that take one.
    Source: developers.cloudflare.com/workflows/build/step-context/
    """


class RollbackContext(AttemptContext):
    """What a rollback receives: a dict with `ctx` (of the step), `error`, `output` and `stepName`, as on Cloudflare.

    `output` is what the step returned, None if it had not. `error` is what the instance is rolled back for. Ours:
    `attempt` (of the rollback, from 1) and `idempotency_key` (of the rollback). All of them are attributes too; signs
    of life, and whether it was cancelled, are those of the rollback.

    Source: developers.cloudflare.com/workflows/build/workers-api/#rollback
    """

    @property
    def ctx(self) -> StepContext:
        """The context of the step, as of its last attempt."""
        context: StepContext = self["ctx"]
        return context

    @property
    def error(self) -> Exception:
        """What the instance is rolled back for."""
        error: Exception = self["error"]
        return error

    @property
    def output(self) -> Any:
        """What the step returned; None if it had not."""
        return self["output"]

    @property
    def step_name(self) -> str:
        """The step's name with its count."""
        return str(self["stepName"])
