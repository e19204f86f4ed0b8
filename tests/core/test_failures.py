"""Errors as they are recorded, and back."""

import pytest

from stepwell.core.failures import Failure, describe, rebuild
from stepwell.errors import (
    NonRetryableError,
    NotSerialisable,
    StepFailed,
    WorkflowFatalError,
    WorkflowInternalError,
    WorkflowTimeoutError,
)


class CardDeclined(Exception):
    pass


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("bad"), id="ValueError"),
        pytest.param(TypeError("bad"), id="TypeError"),
        pytest.param(KeyError("bad"), id="KeyError"),
        pytest.param(ZeroDivisionError("bad"), id="ZeroDivisionError"),
        pytest.param(TimeoutError("bad"), id="TimeoutError"),
        pytest.param(NonRetryableError("bad"), id="NonRetryableError"),
        pytest.param(WorkflowTimeoutError("bad"), id="WorkflowTimeoutError"),
        pytest.param(WorkflowInternalError("bad"), id="WorkflowInternalError"),
        pytest.param(WorkflowFatalError("bad"), id="WorkflowFatalError"),
    ],
)
def test_known_error_comes_back_as_itself(error: Exception) -> None:
    """Python's own exceptions and those of the engine are rebuilt with class and message."""
    again = rebuild(describe(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert describe(again) == describe(error)


def test_key_error_is_not_quoted_more_each_time() -> None:
    """The quotes that `str(KeyError)` adds are not part of the message."""
    once = describe(KeyError("colour"))
    twice = describe(rebuild(once))

    assert once == twice == Failure("KeyError", "colour")


def test_other_class_is_stood_in_for() -> None:
    """A class that is neither Python's nor ours comes back as StepFailed with its name and message."""
    again = rebuild(describe(CardDeclined("no funds")))

    assert isinstance(again, StepFailed)
    assert (again.name, str(again)) == ("CardDeclined", "no funds")
    assert describe(again) == Failure("CardDeclined", "no funds")


def test_non_retryable_error_keeps_name_and_message() -> None:
    """The author's own name for a NonRetryableError is recorded with its message, and the class comes back."""
    named = describe(NonRetryableError("no funds", "CardDeclined"))
    again = rebuild(named)

    assert (named.name, named.message) == ("CardDeclined", "no funds")
    assert isinstance(again, NonRetryableError)
    assert (again.name, str(again)) == ("CardDeclined", "no funds")
    assert describe(NonRetryableError("no funds")) == Failure("NonRetryableError", "no funds")


def test_error_of_a_rule_is_recorded_under_the_public_name() -> None:
    """Subclasses of WorkflowFatalError are one name outside."""
    assert describe(NotSerialisable("result", "no")).name == "WorkflowFatalError"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(ValueError("\ud800"), Failure("ValueError", "?"), id="lone surrogate"),
        pytest.param(ValueError("x" * 10_000), Failure("ValueError", "x" * 8192), id="long message"),
        pytest.param(ValueError(), Failure("ValueError", ""), id="no message"),
        pytest.param(KeyError(5), Failure("KeyError", "5", details="[[5],{}]"), id="key that is no text"),
        pytest.param(SystemExit(3), Failure("SystemExit", "3"), id="SystemExit"),
        pytest.param(Unprintable(), Failure("Unprintable", "<no text: RuntimeError>"), id="unprintable"),
        pytest.param(
            NonRetryableError("a", 5),  # type: ignore[arg-type]  # the wrong type is the case
            Failure("5", "a", "stepwell:NonRetryableError"),
            id="name that is no text",
        ),
    ],
)
def test_odd_error_is_recorded_readably(error: BaseException, failure: Failure) -> None:
    """Whatever an author raises, its record is text of bounded length."""
    assert describe(error) == failure


def test_exception_that_needs_more_than_a_message_is_not_guessed_at() -> None:
    """Without its arguments a builtin whose constructor takes several is stood in for."""
    failure = Failure("UnicodeDecodeError", "invalid")

    assert isinstance(rebuild(failure), StepFailed)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "StopIteration", "GeneratorExit", "print", "str"])
def test_no_recorded_name_rebuilds_what_would_end_the_loop(name: str) -> None:
    """Only ordinary exceptions are rebuilt by name."""
    assert isinstance(rebuild(Failure(name, "x")), StepFailed)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("CardDeclined", id="class that is loaded"),
        pytest.param("tests.core.test_failures.CardDeclined", id="path to a class"),
        pytest.param("os.system", id="path to a function"),
        pytest.param("ExceptionGroup", id="needs exceptions"),
        pytest.param("InstanceNotFound", id="ours but not for authors"),
        pytest.param("", id="no name"),
    ],
)
def test_no_class_is_looked_up_by_a_recorded_name(name: str) -> None:
    """A name that is neither Python's nor for authors is kept as text in a stand-in."""
    again = rebuild(Failure(name, "x"))

    assert isinstance(again, StepFailed)
    assert (again.name, str(again)) == (name, "x")


def test_name_of_a_class_is_cut() -> None:
    """A recorded name has at most 256 characters."""
    kind = type("X" * 300, (Exception,), {})

    assert describe(kind("no")) == Failure("X" * 256, "no")
