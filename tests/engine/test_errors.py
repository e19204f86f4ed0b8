"""Errors of steps: their classes, causes and groups, and what they say of another try."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from stepwell import NonRetryableError, RetryAfter, WorkflowEntrypoint
from stepwell.core.failures import Failure, describe, rebuild
from stepwell.errors import StepFailed
from stepwell.settings import TurnSettings
from stepwell.values import Classes
from tests.engine.flows import ONCE, attempts_of, error_of, opened, output_of
from tests.engine.ways import Job, every_way


class CardDeclined(Exception):
    """An error with an `__init__` that no message satisfies."""

    def __init__(self, *, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class Stolen(NonRetryableError):
    pass


class Foreign(Exception):
    pass


# As a class of another package would look: not of the script's modules.
Foreign.__module__ = "somewhere.else"


class Declined(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do(config=ONCE)
        async def charge():
            try:
                _ = {"a": 1}["card"]
            except KeyError as error:
                raise CardDeclined(code=51, reason="no funds") from error

        try:
            await charge()
            caught = []
        except CardDeclined as error:
            caught = [error.code, error.reason, str(error), repr(error.__cause__)]
        await step.sleep("nap", "1 hour")
        return caught


class Named(WorkflowEntrypoint):
    exceptions: ClassVar[Sequence[type[Exception]]] = (Foreign,)

    async def run(self, event, step):
        @step.do(config=ONCE)
        async def charge():
            raise Foreign("no funds", 51)

        try:
            await charge()
        except Foreign as error:
            return list(error.args)


class Unnamed(Named):
    exceptions = ()

    async def run(self, event, step):
        try:
            return await super().run(event, step)
        except StepFailed as error:
            return [error.name, str(error)]


class Grouped(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do(config=ONCE)
        async def charge():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(KeyError("a")))
                group.create_task(fail(CardDeclined(code=1, reason="b")))

        caught: list[Any] = []
        try:
            await charge()
        except* KeyError as group:
            caught += [repr(error) for error in group.exceptions]
        except* CardDeclined as group:
            caught += [getattr(error, "code", None) for error in group.exceptions]
        await step.sleep("nap", "1 hour")
        return caught


async def fail(error: Exception) -> None:
    raise error


# ---- classes


@pytest.mark.parametrize(
    ("flow", "output"),
    [
        pytest.param(Declined, [51, "no funds", "no funds (51)", "KeyError('card')"], id="of the script"),
        pytest.param(Named, ["no funds", 51], id="named by the workflow"),
        pytest.param(Unnamed, ["Foreign", "('no funds', 51)"], id="stand-in"),
        pytest.param(Grouped, ["KeyError('a')", 1], id="group"),
    ],
)
async def test_error_is_caught_as_what_it_was(flow: type[WorkflowEntrypoint], output: Any) -> None:
    """Class, arguments, attributes, cause and members are the same at first and on every replay."""
    assert await every_way(Job(flow)) == output


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(FileNotFoundError(2, "No such file", "a.txt"), id="OSError"),
        pytest.param(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), id="UnicodeDecodeError"),
        pytest.param(ValueError("a", 5), id="several arguments"),
        pytest.param(KeyError(5), id="key that is no text"),
        pytest.param(ValueError(), id="no argument"),
    ],
)
def test_error_of_python_keeps_its_arguments(error: Exception) -> None:
    """Python's own exceptions come back with what they were made of."""
    again = rebuild(describe(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__reduce__()[1] == error.__reduce__()[1] or not error.args


def test_note_of_an_error_is_kept() -> None:
    """`add_note` adds to the error, and stays with it."""
    error = ValueError("bad")
    error.add_note("in row 5")

    assert rebuild(describe(error)).__notes__ == ["in row 5"]


def test_what_cannot_be_stored_of_an_error_is_left_out() -> None:
    """An attribute that is no value, or too much, does not keep the error from being recorded."""
    error = CardDeclined(code=51, reason="x" * 10_000)
    error.socket = object()  # type: ignore[attr-defined]  # an error may carry anything
    classes = Classes(extra=[CardDeclined])

    again = rebuild(describe(error, classes), classes)

    assert isinstance(again, CardDeclined)
    assert not hasattr(again, "socket")


class Demanding(Exception):
    def __new__(cls, *, code: int) -> "Demanding":
        return super().__new__(cls)

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


def test_class_that_cannot_be_made_is_stood_in_for() -> None:
    """A class whose `__new__` wants what nobody knows keeps name and message, and ends no turn."""
    classes = Classes(extra=[Demanding])

    again = rebuild(describe(Demanding(code=5), classes), classes)

    assert isinstance(again, StepFailed)
    assert (again.name, str(again)) == ("Demanding", "code 5")


def test_class_that_is_gone_is_stood_in_for() -> None:
    """An error whose class the script has no more keeps name and message."""
    again = rebuild(Failure("CardDeclined", "no funds", "shop:CardDeclined"))

    assert isinstance(again, StepFailed)
    assert (again.name, str(again)) == ("CardDeclined", "no funds")


@pytest.mark.parametrize("kind", ["os:system", "builtins:SystemExit", "tests.engine.test_errors:fail"])
def test_recorded_kind_names_no_class_but_the_scripts(kind: str) -> None:
    """What is stored can make nothing be imported, looked up or called."""
    again = rebuild(Failure("X", "x", kind), Classes(extra=[CardDeclined]))

    assert type(again) is StepFailed


def test_only_cause_of_a_group_is_shown() -> None:
    """The log says what went wrong, not that something did in a TaskGroup; of several causes it lists all."""
    one = describe(ExceptionGroup("unhandled errors in a TaskGroup", [ValueError("bad")]))
    two = describe(ExceptionGroup("both", [ValueError("bad"), ExceptionGroup("more", [KeyError("k")])]))

    assert (one.name, one.message) == ("ValueError", "bad")
    assert (two.name, two.message) == ("ExceptionGroup", "both (2 exceptions: ValueError: bad; KeyError: k)")


# ---- another try


async def test_non_retryable_error_inside_a_group_ends_the_step() -> None:
    """What a task of the step says of itself counts for the step."""

    async def run(event, step):
        @step.do
        async def work():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(NonRetryableError("never")))

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await attempts_of(instance) == [(0, 0, False)]
        assert (await instance.error() or Failure("", "")).message == "never"


async def test_subclass_of_non_retryable_error_is_caught_by_its_class() -> None:
    """An author's own class of final error works like any other class of his."""

    class Flow(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do
            async def work():
                raise Stolen("card 5")

            try:
                await work()
            except Stolen as error:
                return str(error)

    assert await every_way(Job(Flow)) == "card 5"


@pytest.mark.parametrize(
    "after", [pytest.param(90, id="seconds"), pytest.param(timedelta(minutes=1.5), id="timedelta")]
)
async def test_step_says_when_it_is_tried_again(after: Any) -> None:
    """`RetryAfter` takes the place of the backoff, for that attempt."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 2, "delay": "10 minutes", "backoff": "constant"}})
        async def work(ctx):
            if ctx.attempt == 1:
                raise RetryAfter(after)
            if ctx.attempt == 2:
                raise ValueError("backoff again")
            return ctx.attempt

        return await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await instance.output() == 3
        assert await attempts_of(instance) == [(0, 0, False), (90, 90, False), (690, 690, True)]


async def test_retry_after_counts_as_an_attempt() -> None:
    """The limit holds, and the last error is the step's, with its cause."""

    async def run(event, step):
        @step.do(config=ONCE)
        async def work():
            raise RetryAfter(5, "busy") from ValueError("503")

        try:
            await work()
        except RetryAfter as error:
            return [str(error), repr(error.__cause__)]

    assert await output_of(run) == ["busy", "ValueError('503')"]


class TooOften(Exception):
    """As a client of HTTP raises it."""

    status_code = 429
    headers: ClassVar[dict[str, str]] = {"Retry-After": "45"}


async def test_rate_limit_says_when_a_step_is_tried_again() -> None:
    """A service's `Retry-After` takes the place of the backoff, also on replay; its attempts count."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 2, "delay": "10 minutes", "backoff": "constant"}})
        async def ask(ctx):
            if ctx.attempt == 3:
                raise ValueError("the last one")
            raise ExceptionGroup("both", [ValueError("one"), TooOften("429")])

        with suppress(ValueError):
            await ask()

    for settings in (None, TurnSettings(parks_always=True)):
        async with opened(run, settings=settings) as (engine, instance):
            await engine.advance("1 hour")

            assert await attempts_of(instance) == [(0, 0, False), (45, 45, False), (90, 90, False)]


async def test_delay_function_has_the_last_word_on_a_rate_limit() -> None:
    """An author who reckons the delay himself gets that one."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": lambda about: "2 minutes"}})
        async def ask(ctx):
            if ctx.attempt == 1:
                raise TooOften("429")

        await ask()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await attempts_of(instance) == [(0, 0, False), (120, 120, True)]


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), "5 minutes", None])
def test_retry_after_refuses_what_is_no_time(after: Any) -> None:
    """The author is told at once what it takes."""
    with pytest.raises(ValueError, match="RetryAfter needs a number of seconds or a timedelta"):
        RetryAfter(after)


@pytest.mark.parametrize(
    ("config", "error", "attempts"),
    [
        pytest.param({"retry_on": ConnectionError}, ConnectionResetError(), 3, id="wanted"),
        pytest.param({"retry_on": [ConnectionError, KeyError]}, ValueError(), 1, id="not wanted"),
        pytest.param({"dont_retry_on": (ValueError,)}, ValueError(), 1, id="unwanted"),
        pytest.param({"dont_retry_on": (ValueError,)}, KeyError(), 3, id="not unwanted"),
        pytest.param({"retry_on": OSError, "dont_retry_on": FileNotFoundError}, FileNotFoundError(), 1, id="both"),
        pytest.param({"retry_on": OSError}, ExceptionGroup("x", [OSError(), ValueError()]), 1, id="group"),
    ],
)
async def test_classes_in_the_config_decide_what_is_tried_again(
    config: dict[str, Any], error: Exception, attempts: int
) -> None:
    """`retry_on` names the only errors worth another attempt, `dont_retry_on` those that are not."""

    async def run(event, step):
        @step.do(config={"retries": {"limit": 2, "delay": 1000}, **config})
        async def work():
            raise error

        await work()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert len(await attempts_of(instance)) == attempts


@pytest.mark.parametrize("key", ["retry_on", "dont_retry_on"])
@pytest.mark.parametrize("given", ["ValueError", [ValueError, 5], 7, ValueError("x")])
async def test_what_is_no_exception_class_is_refused_by_name(key: str, given: Any) -> None:
    """A config that could never work is an error that names field and value."""

    async def run(event, step):
        await step.do("work", print, config={key: given})

    error = await error_of(run)

    assert error is not None
    assert f'Step "work": {key} must be an exception class, or several in a tuple or list' in error.message
