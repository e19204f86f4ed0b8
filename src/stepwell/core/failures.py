"""Errors as they are recorded, and back.

An author sees an exception built from the record, on the first run as on replay, so both are the same. What is built
is one of Python's own exceptions, of the engine's, or of the classes that the author's script offers, with its
arguments and attributes as far as they can be stored; else a stand-in that has name and message. No class is looked up
by a stored name anywhere else. Causes (`raise ... from`) and the members of groups are kept.
"""

import builtins
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from stepwell import values
from stepwell.errors import (
    AuthorError,
    NonRetryableDelayError,
    NonRetryableError,
    NotSerialisable,
    RetryAfter,
    StepFailed,
    StepProcessDied,
    UnreadableValue,
    WorkflowFatalError,
    WorkflowInternalError,
    WorkflowTimeoutError,
)
from stepwell.values import NO_CLASSES, Classes

# Ours: an exception's text can hold a whole response body; the log needs its beginning.
MESSAGE_CHARACTERS = 8192
NAME_CHARACTERS = 256
# Ours: what is kept of an exception lies in the history, which each replay reads.
DETAILS_CHARACTERS = 4096
CAUSES = 5
MEMBERS = 20

# The kind of a NonRetryableError that has a name of its own.
_NAMED = "stepwell:NonRetryableError"


class Failure(Struct, frozen=True, omit_defaults=True):
    """What is kept of an exception.

    `kind` is the stored name of a class of the author's. `details` is the stored text of a list: its arguments, where
    they are more than the message, and its attributes, where it has any. `members` are those of a group.
    """

    name: str
    message: str
    kind: str | None = None
    details: str | None = None
    cause: "Failure | None" = None
    members: tuple["Failure", ...] = ()


def describe(error: BaseException, classes: Classes = NO_CLASSES, depth: int = CAUSES) -> Failure:
    """Return what is recorded of an exception."""
    message = _readable(_message(error))[:MESSAGE_CHARACTERS]
    cause = describe(error.__cause__, classes, depth - 1) if error.__cause__ is not None and depth else None
    if isinstance(error, BaseExceptionGroup):
        return _describe_group(error, classes, depth, cause)
    kind = _kind(error, classes)
    name = _readable(str(_name(error, kind)))[:NAME_CHARACTERS]
    return Failure(name, message, kind, _details(error, message, kind, classes), cause)


def rebuild(failure: Failure, classes: Classes = NO_CLASSES) -> Exception:
    """Return the exception that the author sees for a recorded failure."""
    error = _build(failure, classes) or StepFailed(failure.name, failure.message)
    if failure.cause is not None:
        error.__cause__ = rebuild(failure.cause, classes)
    return error


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that a group is made of, however deeply nested; anything else is its own."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaves(member)
    else:
        yield error


def _name(error: BaseException, kind: str | None) -> object:
    """Return the name that logs show: of a class that cannot come back, that of the engine's class beneath it."""
    if isinstance(error, AuthorError) and (kind is None or "name" in vars(error)):
        return error.name
    return type(error).__name__


def _kind(error: BaseException, classes: Classes) -> str | None:
    if type(error) is NonRetryableError and "name" in vars(error):
        return _NAMED
    return None if _is_ours(error) else classes.name_of(type(error))


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__ == AuthorError.__module__


def _describe_group(
    error: BaseExceptionGroup[BaseException], classes: Classes, depth: int, cause: Failure | None
) -> Failure:
    """Show the only cause of a group; of several, all: "unhandled errors in a TaskGroup" tells nothing."""
    members = tuple(describe(member, classes, max(depth - 1, 0)) for member in error.exceptions[:MEMBERS])
    found = list(leaves(error))
    if len(found) == 1:
        shown = describe(found[0])
        name, message = shown.name, shown.message
    else:
        listed = "; ".join(f"{shown.name}: {shown.message}" for shown in map(describe, found[:MEMBERS]))
        name, message = type(error).__name__, f"{error.message} ({len(found)} exceptions: {listed})"
    details = values.encode([_readable(error.message)[:MESSAGE_CHARACTERS]])
    return Failure(name, message[:MESSAGE_CHARACTERS], None, details, cause, members)


def _details(error: BaseException, message: str, kind: str | None, classes: Classes) -> str | None:
    """Return the stored text of an exception's arguments and attributes; None if the message says it all."""
    is_known = type(error) is _BUILTINS.get(type(error).__name__)
    if kind == _NAMED or (kind is None and not is_known):
        return None
    # What it was made of; OSError does not keep all of it in `args`.
    arguments = error.__reduce__()[1] if is_known else error.args
    state = {name: value for name, value in vars(error).items() if _is_storable(value, classes)}
    has_arguments = arguments not in ((), (message,)) and all(_is_storable(value, classes) for value in arguments)
    if not (has_arguments or state):
        return None
    details = [list(arguments) if has_arguments else [message], state]
    text = values.encode(details, "error", classes)
    return text if len(text) <= DETAILS_CHARACTERS else None


def _is_storable(value: object, classes: Classes) -> bool:
    try:
        values.encode(value, "error", classes)
    except NotSerialisable:
        return False
    return True


def _build(failure: Failure, classes: Classes) -> Exception | None:
    if failure.members:
        (message,) = values.decode(failure.details or '[""]')
        return ExceptionGroup(message, [rebuild(member, classes) for member in failure.members])
    try:
        arguments, state = values.decode(failure.details, classes, "error") if failure.details else ([], {})
    except UnreadableValue:
        # A class in it is gone; name and message still tell what happened.
        arguments, state = [], {}
    if failure.kind == _NAMED:
        return NonRetryableError(failure.message, failure.name)
    if failure.kind is not None:
        return _build_own(classes.find(failure.kind), arguments or [failure.message], state)
    if failure.name in _ENGINE_ERRORS:
        return _build_own(_ENGINE_ERRORS[failure.name], [failure.message], {})
    error = _build_known(failure, arguments)
    if error is not None:
        vars(error).update(state)
    return error


def _build_own(kind: type | None, arguments: list[Any], state: dict[str, Any]) -> Exception | None:
    """Build an exception of the author's as it was: without its `__init__`, whose parameters nobody knows."""
    if kind is None or not issubclass(kind, Exception):
        return None
    try:
        error: Exception = kind.__new__(kind)
        error.args = tuple(arguments)
        vars(error).update(state)
    except Exception:  # the author's own `__new__`, which may want anything
        return None
    return error


def _build_known(failure: Failure, arguments: list[Any]) -> Exception | None:
    """Build one of Python's exceptions, if it can be made to say the same."""
    kind = _BUILTINS.get(failure.name)
    if kind is None:
        return None
    for given in (arguments, [failure.message]):
        try:
            error = kind(*given)
        except (TypeError, ValueError):
            continue
        if given and _message(error) == failure.message:
            return error
    return None


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


_ENGINE_ERRORS: dict[str, type[Exception]] = {
    kind.name: kind
    for kind in (
        NonRetryableDelayError,
        NonRetryableError,
        RetryAfter,
        StepProcessDied,
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
    and not issubclass(kind, Warning | StopIteration | StopAsyncIteration | BaseExceptionGroup)
}
