"""Errors as they are recorded: a name and a message, and back.

An author sees an exception built from the record, on the first run as on replay, so both are the same. Classes are
never looked up by a stored name, apart from Python's own exceptions and those of the engine.
"""

import builtins
from dataclasses import dataclass

from stepwell.errors import (
    AuthorError,
    NonRetryableDelayError,
    NonRetryableError,
    StepFailed,
    WorkflowFatalError,
    WorkflowInternalError,
    WorkflowTimeoutError,
)

# Ours: an exception's text can hold a whole response body; the log needs its beginning.
MESSAGE_CHARACTERS = 8192
NAME_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of an exception."""

    name: str
    message: str


def describe(error: BaseException) -> Failure:
    """Return what is recorded of an exception."""
    name = error.name if isinstance(error, AuthorError) else type(error).__name__
    return Failure(_readable(str(name))[:NAME_CHARACTERS], _readable(_message(error))[:MESSAGE_CHARACTERS])


def rebuild(failure: Failure) -> Exception:
    """Return the exception that the author sees for a recorded failure."""
    known = _ENGINE_ERRORS.get(failure.name) or _BUILTINS.get(failure.name)
    if known is not None:
        return known(failure.message)
    return StepFailed(failure.name, failure.message)


def _message(error: BaseException) -> str:
    # str(KeyError("a")) is "'a'": the quotes would grow with each time the error is recorded and built again.
    text = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 else error
    try:
        return str(text)
    except Exception as defect:  # the author's own `__str__`
        return f"<no text: {type(defect).__name__}>"


def _readable(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 store can hold."""
    return text.encode(errors="replace").decode()


def _takes_a_message(kind: type[Exception]) -> bool:
    try:
        return str(kind("x")) in {"x", "'x'"}
    except TypeError:
        return False


_ENGINE_ERRORS: dict[str, type[Exception]] = {
    kind.name: kind
    for kind in (
        NonRetryableDelayError,
        NonRetryableError,
        WorkflowFatalError,
        WorkflowInternalError,
        WorkflowTimeoutError,
    )
}
_BUILTINS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, Warning | StopIteration | StopAsyncIteration)
    and _takes_a_message(kind)
}
