"""Whether and when a request is sent again: only where that does nothing twice.

A request that never left, or was refused for now (408, 429), has done nothing. One whose answer was lost, or that met a
fault (5xx), may have been done: it is sent again only if it may be repeated. A server that says `Retry-After` is
obeyed, unless that is too long; one that says `x-should-retry: false` is, too.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from stepwell.sdk.answers import retry_after_s
from stepwell.sdk.effects import Connect, Now, Open, Pause, Program, Send
from stepwell.sdk.errors import Unreachable
from stepwell.sdk.messages import Answer, Request

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
# Longer than this a caller would rather know.
LONGEST_RETRY_AFTER_S = 60.0

PATIENT = 10

_REFUSED_FOR_NOW = frozenset({408, 429})
_FAULT = 500


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent again at most; `jitter` gives numbers from 0 to 1."""

    most: int = 2
    jitter: Callable[[], float] = random.random

    def patient(self) -> "Retries":
        """Return what suits those who follow or wait: a server may restart meanwhile, so about a minute of tries."""
        return replace(self, most=max(self.most, PATIENT)) if self.most else self

    def delay_s(self, retry: int) -> float:
        """Return how long to wait before a retry, counted from 0: twice as long each time, less up to a quarter."""
        longest = min(FIRST_DELAY_S * 2.0 ** min(retry, 10), LONGEST_DELAY_S)
        return longest * (1.0 - 0.25 * self.jitter())

    def delay_behind(self, retry: int, request: Request, outcome: Answer | Unreachable) -> float | None:
        """Return how long to wait before a request is sent again, whatever came of it; None: it is not."""
        if retry >= self.most or not _may_help(request, outcome):
            return None
        told = None if isinstance(outcome, Unreachable) else retry_after_s(outcome)
        if told is None:
            return self.delay_s(retry)
        return told if told <= LONGEST_RETRY_AFTER_S else None


def ask(
    request: Request, retries: Retries, *, until: float | None = None, effect: type[Send | Open | Connect] = Send
) -> Program[Answer]:
    """Send a request, again where that is safe; return the last answer, whatever it says. Raises Unreachable.

    Behind the moment `until`, of the clock that Now looks at, it is not sent again.
    """
    retry = 0
    while True:
        outcome: Answer | Unreachable
        try:
            outcome = yield effect(request)
        except Unreachable as error:
            outcome = error
        delay = retries.delay_behind(retry, request, outcome)
        if delay is not None and until is not None:
            now: float = yield Now()
            delay = min(delay, until - now) if now < until else None
        if delay is not None:
            retry += 1
            yield Pause(delay)
        elif isinstance(outcome, Unreachable):
            raise outcome
        else:
            return outcome


def _may_help(request: Request, outcome: Answer | Unreachable) -> bool:
    if isinstance(outcome, Unreachable):
        return request.is_repeatable or not outcome.is_sent
    if outcome.headers.get("x-should-retry", "").lower() == "false":
        return False
    return outcome.status in _REFUSED_FOR_NOW or (outcome.status >= _FAULT and request.is_repeatable)
