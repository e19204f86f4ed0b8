"""From the bytes of an answer to its result, or to the error that it is."""

import functools
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from stepwell.sdk.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnreadableAnswer,
)
from stepwell.sdk.lenient import lenient
from stepwell.sdk.messages import Answer

T = TypeVar("T")

_SHOWN = 200
_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
# Codes that say how an instance stands; Stepwell answers them with 400, as SDKs repeat a 409.
_BY_CODE: dict[int, type[ApiError]] = {10401: Conflict, 10402: Conflict, 10403: Conflict, 10405: AlreadyExists}
_FAULT = 500


class _Problem(Struct):
    code: int = 0
    message: str = "no reason was given"


class _Refusal(Struct):
    errors: list[_Problem] | None = None


class Place(Struct):
    """Where a page stands among others. What a server does not say is None; an empty cursor ends the pages."""

    cursor: str | None = None
    page: int | None = None
    per_page: int | None = None
    total_pages: int | None = None


class Envelope(Struct, Generic[T]):
    """A result, and where it stands if it is a page."""

    result: T
    success: bool = False
    result_info: Place | None = None


def result_of(answer: Answer, kind: type[T]) -> T:
    """Return the result of an answer. Raises ApiError."""
    return envelope_of(answer, kind).result


def envelope_of(answer: Answer, kind: type[T]) -> Envelope[T]:
    """Return the envelope of an answer. Raises ApiError."""
    if not answer.is_good:
        raise error_of(answer)
    try:
        envelope: Envelope[T] = _decoder(kind).decode(answer.body)  # type: ignore[arg-type]  # a type is hashable
    except msgspec.DecodeError as error:
        envelope = _read_again(answer, kind, error)
    if not envelope.success:
        raise error_of(answer)
    return envelope


def error_of(answer: Answer) -> ApiError:
    """Return the error that an answer is."""
    problem = _problem_in(answer.body)
    code = 0 if problem is None else problem.code
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status)
    if kind is None:
        kind = ServerError if answer.status >= _FAULT else InvalidRequest
    message = f"the server answered: {_shown(answer.body)}" if problem is None else problem.message
    error = kind(message, status=answer.status, error_code=code, request_id=answer.request_id)
    if isinstance(error, RateLimited):
        error.retry_after_s = retry_after_s(answer)
    return error


def retry_after_s(answer: Answer) -> float | None:
    """Return what a server says of when to try again, in seconds: a number, or a date by its own clock."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        told = parsedate_to_datetime(text) - parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return max(0.0, told.total_seconds())


def _read_again(answer: Answer, kind: type[T], error: msgspec.DecodeError) -> Envelope[T]:
    """Read what a newer server, or another one, may have written: unknown types of entries, whole numbers as floats."""
    try:
        members = lenient(msgspec.json.decode(answer.body))
        return msgspec.convert(members, Envelope[kind], strict=False)  # type: ignore[valid-type]  # known at run time
    except msgspec.DecodeError:
        problem = _problem_in(answer.body)
    if problem is not None:
        raise error_of(answer)
    told = f"the answer is not that of this API ({error}): {_shown(answer.body)}"
    raise UnreadableAnswer(told, status=answer.status, request_id=answer.request_id)


def _problem_in(body: bytes) -> _Problem | None:
    try:
        problems = msgspec.json.decode(body, type=_Refusal).errors
    except msgspec.DecodeError:
        return None
    return problems[0] if problems else None


def _shown(body: bytes) -> str:
    return repr(body[:_SHOWN].decode(errors="replace"))


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Envelope[kind])
