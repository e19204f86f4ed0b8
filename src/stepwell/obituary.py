"""What is said of a worker that has died or hangs: how, what it was doing, and where it is."""

import signal
from collections.abc import Sequence
from contextlib import suppress

from stepwell.core.open_calls import OpenCalls


def how(code: int) -> str:
    """Return how a process ended, by its exit code."""
    if code < 0:
        with suppress(ValueError):
            return f"died of {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def in_flight(calls: OpenCalls) -> str:
    """Return which steps of an instance are in flight."""
    names = [call.key.label for call in calls.live() if call.is_in_flight]
    return ", ".join(f"step {name}" for name in names) or "(no step in flight)"


def doing(held: Sequence[str]) -> str:
    """Return what a worker was doing, by what it held."""
    return f"it was running {'; '.join(held)}" if held else "it held no instance"


def place(stack: Sequence[str]) -> str:
    """Return where a worker hangs, by its stack."""
    if not stack:
        return "It does not say where it hangs: its process may be stopped"
    return "It hangs here:\n" + "\n".join(f"  {line}" for line in stack)
