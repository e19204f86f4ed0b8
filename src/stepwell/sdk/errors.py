"""What `stepwell.Client` raises where a request does not bring what it was for. Nothing on a server's side does.

StepwellError
`-- ApiError               a request did not bring what it was for
    |-- Unreachable           no answer: no connection, or one that broke
    |   `-- TimedOut          no answer in time
    |-- UnreadableAnswer      an answer, and none of this API: of a proxy, or cut off
    |-- NotEnded              `wait` gave up: the instance has not ended in time
    |-- InvalidRequest        400, 413, ...: the request breaks a rule
    |-- Unauthorized          401: no credentials, or none that are good
    |-- NotAllowed            403: the token may not do that
    |-- NotFound              404: no such workflow, instance, step, version
    |-- Conflict              409, or 400 because of how the instance stands: it has ended, say
    |   `-- AlreadyExists     the id is taken
    |-- RateLimited           429: too many requests, streams or instances for now
    `-- ServerError           5xx: the server is at fault, or away
"""

from typing import Any

from stepwell.errors import StepwellError
from stepwell.sdk.models import Instance


class ApiError(StepwellError):
    """A request did not bring what it was for.

    `status` is that of HTTP, 0 where there was no answer; `error_code` is the number in the envelope, 0 if it has none;
    `request_id` is what the server or a proxy before it calls the request (`cf-ray`, `x-request-id`), if anything.
    """

    def __init__(self, message: str, *, status: int = 0, error_code: int = 0, request_id: str | None = None) -> None:
        self.message, self.status, self.error_code, self.request_id = message, status, error_code, request_id
        told = [f"status {status}"] if status else []
        told += [f"code {error_code}"] if error_code else []
        told += [f"request {request_id}"] if request_id else []
        super().__init__(f"{message} ({', '.join(told)})" if told else message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Other processes make it anew: not by what `__init__` takes, which differs from class to class.
        return _again, (type(self), self.args, self.__dict__)


class Unreachable(ApiError):
    """There was no answer. `is_sent`: the server may have got the request, and may have done what it asked for."""

    def __init__(self, message: str, *, is_sent: bool) -> None:
        self.is_sent = is_sent
        super().__init__(message)


class TimedOut(Unreachable, TimeoutError):
    """There was no answer in time."""


class UnreadableAnswer(ApiError):
    """An answer came that this API does not give: of a proxy, or of another server."""


class NotEnded(ApiError, TimeoutError):
    """`wait` gave up. `instance` is the instance as it stood then, without steps."""

    def __init__(self, message: str, instance: Instance) -> None:
        self.instance = instance
        super().__init__(message)


class InvalidRequest(ApiError):
    """The request breaks a rule; sending it again would not help."""


class Unauthorized(ApiError):
    """The request had no credentials, or none that are good."""


class NotAllowed(ApiError):
    """The credentials are good, but not for that."""


class NotFound(ApiError):
    """There is no such workflow, instance, step or version, or the server has no such route."""


class Conflict(ApiError):
    """It cannot be done as things stand: the instance has ended, say."""


class AlreadyExists(Conflict):
    """The id of a new instance is taken."""


class RateLimited(ApiError):
    """Too much was asked for. `retry_after_s` is when to try again, in seconds, if the server says so."""

    retry_after_s: float | None = None


class ServerError(ApiError):
    """The server is at fault, or away for the moment."""


def _again(kind: type[ApiError], args: tuple[Any, ...], members: dict[str, Any]) -> ApiError:
    error = kind.__new__(kind, *args)
    # Errors of the system, which TimeoutError is, get them in `__init__` alone.
    error.args = args
    error.__dict__.update(members)
    return error
