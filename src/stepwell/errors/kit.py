"""What the test kit says to a test: that it waits for what cannot come, or asks for what cannot be."""

from collections.abc import Sequence

from stepwell.errors.base import StepwellError


class KitError(StepwellError):
    """A test asks its engine for what cannot be."""


class NothingCanHappen(KitError):
    """What a test waits for can never come. `unfinished` says what each instance waits for, and what would help."""

    def __init__(self, why: str, missing: str, unfinished: Sequence[str]) -> None:
        self.missing, self.unfinished = missing, tuple(unfinished)
        lines = self.unfinished or ("no instance is unfinished",)
        super().__init__("\n- ".join([f"{why}, and {missing}:", *lines]))


class StatusUnreachable(KitError):
    """An instance has ended with another status than the one that is waited for, or asked about."""

    def __init__(self, message: str, status: str, wanted: str) -> None:
        self.status, self.wanted = status, wanted
        super().__init__(message)


class NoStepResult(KitError):
    """An instance has ended, and the step that is waited for has no result."""

    def __init__(self, step: str, instance: str, why: str, begun: Sequence[str]) -> None:
        self.step, self.instance, self.begun = step, instance, tuple(begun)
        there = ", ".join(begun) or "none"
        super().__init__(f"step {step} of {instance} will never have a result: {why}. Steps that have begun: {there}")


class WaitsForReal(KitError):
    """Code waits in real time, for longer than the engine's patience, for what the clock of the test does not move."""

    def __init__(self, waits: Sequence[str], patience: str) -> None:
        self.waits = tuple(waits)
        super().__init__(
            "\n- ".join(
                [
                    f"after {patience} of real time something is still waited for that the clock of the test does not "
                    "move; mock the step that does it (mock_step_result), or give it longer (TestEngine.open(..., "
                    'patience="1 minute")):',
                    *self.waits,
                ]
            )
        )


class CannotStandIn(KitError):
    """A modifier or an introspection is refused."""
