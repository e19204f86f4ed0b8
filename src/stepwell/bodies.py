"""Calling the author's functions: step bodies and delay functions."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from types import CodeType, CoroutineType
from typing import Any

from msgspec import Struct

from stepwell import durations, values
from stepwell.calls import StepCall
from stepwell.clock import Clock, sleep_ms
from stepwell.contexts import StepContext
from stepwell.core.failures import Failure
from stepwell.core.keys import idempotency_key
from stepwell.core.records import DYNAMIC_DELAY, StepConfig
from stepwell.core.step_answers import Attempt
from stepwell.errors import NonRetryableDelayError, NotSerialisable, WorkflowInternalError
from stepwell.problems import Unstorable
from stepwell.scope import CURRENT, AuthorExit
from stepwell.threads import Threads
from stepwell.traces import HandedOn, Trace
from stepwell.values import Classes
from stepwell.workflow import WorkflowEntrypoint

DELAY_FUNCTION_MS = 5_000


# A body that has ended within so much time is quick.
_QUICK_MS = 10
_QUICK_KNOWN = 10_000


class QuickBodies:
    """Which bodies have ended at once when they last ran in this process.

    They are known by their code: what is decorated in `run` is another function in each turn.
    """

    def __init__(self) -> None:
        self._known: set[CodeType] = set()

    def __contains__(self, function: Callable[..., Any]) -> bool:
        return getattr(function, "__code__", None) in self._known

    def ran(self, function: Callable[..., Any], took_ms: int) -> None:
        """Take note of how long a body took."""
        code = getattr(function, "__code__", None)
        if not isinstance(code, CodeType):
            return
        if took_ms >= _QUICK_MS:
            self._known.discard(code)
        elif len(self._known) < _QUICK_KNOWN:
            self._known.add(code)


def step_facts(attempt: Attempt, instance_key: str, trace: Trace | HandedOn | None = None) -> dict[str, Any]:
    """Return what a step's context tells, of an instance that has a key of its own, and perhaps a trace."""
    key, config = attempt.key, attempt.config
    step_key = idempotency_key(instance_key, key, attempt.generation)
    shown: dict[str, Any] = {"limit": config.limit, "backoff": config.backoff}
    if config.delay != DYNAMIC_DELAY:
        shown["delay"] = config.delay
    facts: dict[str, Any] = {
        "step": {"name": key.name, "count": key.count},
        "attempt": attempt.number,
        "config": {"retries": shown, "timeout": config.timeout},
        "idempotency_key": step_key,
    }
    if config.sensitive:
        facts["config"]["sensitive"] = config.sensitive
    if config.heartbeat:
        facts["config"]["heartbeat"] = config.heartbeat
    if trace is not None:
        facts["traceparent"] = trace.within(step_key, attempt.ordinal)
    return facts


def classes_for(workflow: type[WorkflowEntrypoint[Any]], classes: Classes) -> Classes:
    """Return the classes that an instance's values may be made of: the script's, and those that the workflow names."""
    output = values.annotation_of(workflow.run)
    named = [*workflow.exceptions, *([] if output is None else [output])]
    return classes.plus(*named) if named else classes


def classes_of(call: StepCall, classes: Classes) -> Classes:
    """Return the classes that a step's result may be made of: the script's, and those that its function names."""
    annotation = values.annotation_of(call.body.function)
    return classes if annotation is None else classes.plus(annotation)


async def call_body(call: StepCall, ctx: StepContext, threads: Threads) -> Any:
    """Run the author's function and return its result. Raises whatever it raises."""
    if call.body.is_async:
        result = call.body.call(ctx)
        if type(result) is CoroutineType:
            return await result
    else:
        result = await threads.run(_in_thread(call.body.call, ctx))
    return await result if inspect.isawaitable(result) else result


def stored(call: StepCall, result: object, classes: Classes, most_bytes: int) -> str:
    """Return the stored text of a step's result, which may have so many bytes.

    Raises Unstorable, or WorkflowInternalError for one that is too large.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    try:
        text = values.encode(result, "result", classes_of(call, classes))
    except NotSerialisable as error:
        raise Unstorable(error) from error
    if len(text) > most_bytes or len(text.encode()) > most_bytes:
        raise WorkflowInternalError(
            f"Step {call.key.label} output is too large: {len(text.encode()):,} bytes as JSON. "
            f"At most {most_bytes:,} are allowed; store the data elsewhere and return a reference."
        )
    return text


def base_delay_ms(config: StepConfig, defaults: StepConfig) -> int:
    """Return the delay of a config in milliseconds; the default where a delay function is gone from the code."""
    delay = defaults.delay if config.delay == DYNAMIC_DELAY else config.delay
    return durations.to_ms(delay) or 0


class DelayQuestion(Struct, frozen=True):
    """What a delay function is asked: the failed attempt's context and error, and the step's name in messages."""

    ctx: dict[str, Any]
    failure: Failure
    label: str


async def ask_delay(function: Callable[..., Any], question: DelayQuestion, threads: Threads, clock: Clock) -> int:
    """Ask the author's delay function how long to wait, in milliseconds; the backoff multiplies it.

    Raises NonRetryableDelayError if it raises, takes more than 5 seconds, or returns no delay.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """
    failure, about = question.failure, f'The delay function for step "{question.label}"'
    argument = {"ctx": question.ctx, "error": {"name": failure.name, "message": failure.message}}
    asking = asyncio.ensure_future(_call_delay(function, argument, threads))
    slow = asyncio.ensure_future(sleep_ms(clock, DELAY_FUNCTION_MS))
    try:
        await asyncio.wait([asking, slow], return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise NonRetryableDelayError(f"{about} did not return within 5 seconds")
        delay = _answer(asking, about)
    finally:
        asking.cancel()
        slow.cancel()
    ms = durations.to_ms(delay)
    if ms is None:
        raise NonRetryableDelayError(f"{about} returned {delay!r:.100}; expected {durations.EXPECTED}")
    return ms


def _answer(asking: asyncio.Future[Any], about: str) -> Any:
    try:
        return asking.result()
    except (Exception, asyncio.CancelledError) as error:
        cause = error.error if isinstance(error, AuthorExit) else error
        raise NonRetryableDelayError(f"{about} threw an error: {cause}") from cause


async def _call_delay(function: Callable[..., Any], argument: dict[str, Any], threads: Threads) -> Any:
    try:
        if inspect.iscoroutinefunction(function):
            return await function(argument)
        delay = await threads.run(_in_thread(function, argument))
        return await delay if isinstance(delay, Awaitable) else delay
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        # `sys.exit` must not end the loop, and a step call (there is no turn here) is an error like any other.
        raise AuthorExit(error) from error


def _in_thread(function: Callable[..., Any], argument: Any) -> Callable[[], Any]:
    context = copy_context()
    # The thread is not the loop: what it does there must not be counted.
    context.run(CURRENT.set, None)
    return lambda: context.run(function, argument)
