"""What the doctor finds: a line each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """How something is, and what helps if it is not well.

    `mend` does what helps, where that is safe, and returns what it has done in words, "": there was nothing to do any
    more. It raises StepwellError or OSError.
    """

    state: Literal["ok", "warning", "fault", "fixed"]
    check: str
    said: str
    remedy: str = ""
    mend: Callable[[], str] | None = None


def ok(check: str, said: str) -> Finding:
    """Return that something is well."""
    return Finding("ok", check, said)


def warning(check: str, said: str, remedy: str, mend: Callable[[], str] | None = None) -> Finding:
    """Return that something may go wrong."""
    return Finding("warning", check, said, remedy, mend)


def fault(check: str, said: str, remedy: str, mend: Callable[[], str] | None = None) -> Finding:
    """Return that something does not work."""
    return Finding("fault", check, said, remedy, mend)


def many(count: int, what: str) -> str:
    """Return a number of things, in words."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def clock(check: str, off_s: float, of: str) -> Finding:
    """Return how far this machine's clock is from another one, which it is ahead of by so many seconds."""
    if abs(off_s) < TOLERATED_S:
        return ok(check, f"the same as {of}, as far as that can be told")
    side = "ahead of" if off_s > 0 else "behind"
    return warning(
        check,
        f"this machine's clock is {abs(off_s):.1f} s {side} {of}",
        "set both clocks, by NTP for example: sleeps end, and rates allow starts, by so much too early or late",
    )


# What the way there and back may take, too; clocks that are kept by NTP differ by much less.
TOLERATED_S = 1.0
