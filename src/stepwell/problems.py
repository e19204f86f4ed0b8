"""What the error of an attempt means: what is recorded of it, what people see, and whether another may follow."""

import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stepwell.core.failures import Failure, describe, leaves
from stepwell.core.rate_limits import told_wait_ms
from stepwell.core.retries import delay_function, may_retry
from stepwell.errors import NonRetryableDelayError, NonRetryableError, RetryAfter, WorkflowFatalError
from stepwell.values import Classes

# Where frames of a traceback are ours, not the author's.
_OURS = str(Path(__file__).parent) + os.sep

_NOT_RETRYABLE = (NonRetryableError, WorkflowFatalError, NonRetryableDelayError)


class Problem(msgspec.Struct, frozen=True):
    """The error of an attempt.

    `is_last`: no attempt may follow, and `ruins`: the instance has to end. `wait_ms`: after how long the author, or the
    service that was asked, wants the next one.
    """

    failure: Failure
    trace: str
    is_last: bool = False
    ruins: bool = False
    wait_ms: int | None = None


class Unstorable(Exception):
    """What a step has returned cannot be stored, which ends the instance; no body can raise that.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """

    def __init__(self, problem: WorkflowFatalError) -> None:
        self.problem = problem
        super().__init__(str(problem))


class BodyFailed(Exception):
    """A step's body has failed, in a process of its own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.failure.message)


def problem_of(error: BaseException, config: Mapping[str, Any] | None, classes: Classes) -> Problem:
    """Return what the error of an attempt means; `config` is what the author gave the step."""
    if isinstance(error, BodyFailed):
        return error.problem
    if isinstance(error, Unstorable):
        return Problem(describe(error.problem, classes), trace_of(error.problem), is_last=True, ruins=True)
    found = list(leaves(error))
    return Problem(
        describe(error, classes),
        trace_of(error),
        is_last=any(map(_ends_the_step, found)) or not may_retry(config, found),
        wait_ms=_wait_ms(found, config),
    )


def _wait_ms(found: Sequence[BaseException], config: Mapping[str, Any] | None) -> int | None:
    """Return the wait that an error asks for. What a service says is less than a delay function of the author's own."""
    wanted = next((leaf.wait_ms for leaf in found if isinstance(leaf, RetryAfter)), None)
    if wanted is not None or delay_function(config) is not None:
        return wanted
    return max((told for told in map(told_wait_ms, found) if told is not None), default=None)


def _ends_the_step(error: BaseException) -> bool:
    """Tell whether no attempt may follow. As on Cloudflare a class of the author's own with that name will do."""
    return isinstance(error, _NOT_RETRYABLE) or type(error).__name__ == NonRetryableError.__name__


def trace_of(error: BaseException) -> str:
    """Return the traceback of an author's error, from his first line on."""
    tracebacks = traceback.TracebackException.from_exception(error)
    frames = tracebacks.stack
    own = next((i for i, frame in enumerate(frames) if not frame.filename.startswith(_OURS)), len(frames))
    tracebacks.stack = traceback.StackSummary.from_list(frames[own:])
    return "".join(tracebacks.format()).rstrip()
