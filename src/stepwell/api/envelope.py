"""The envelope round every answer, and the one place where an error becomes a status, a code and a message.

Source: developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/
"""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from starlette.responses import Response

from stepwell.api.refusals import Refusal
from stepwell.errors import CreatedTooFast, PageTooSlow, StepwellError, StoreError
from stepwell.facts import fact
from stepwell.models import Failure, Problem, ResultInfo, Success

# Cloudflare's messages begin with a dotted key below this one.
KEY = "workflows.api.error."

# Ours: the code of a message that says so.
STORED_ONLY = 19001
# Ours: the code of a message that weekdays are counted otherwise than other crons do.
WEEKDAYS = 19003

# SDKs repeat a 500 twice; a store that is full or away for a moment gets that moment.
_RETRY_AFTER_S = 2

_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


def success(result: object, info: ResultInfo | None = None, messages: Sequence[Problem] = ()) -> Response:
    """Return the answer that carries a result; `messages` are what the caller should know besides."""
    return encoded(encode(result, info, messages))


def encode(result: object, info: ResultInfo | None = None, messages: Sequence[Problem] = ()) -> bytes:
    """Return the body of the answer that carries a result."""
    place = msgspec.UNSET if info is None else info
    return _encoder.encode(Success(result=result, result_info=place, messages=list(messages)))


def encoded(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer whose body has been encoded."""
    return _respond(200, body, headers)


def without_effect(what: str) -> Problem:
    """Return the message that something is stored and served, and nothing more yet."""
    return Problem(STORED_ONLY, f"{what}: stored, and without effect yet")


def failure(error: Exception, request: str, id: str) -> Response:
    """Return the answer to a request that failed; `request` is what it was, `id` its id, for the log.

    What nobody foresaw is told by that id alone: its text could hold anything.
    """
    match error:
        case Refusal():
            return _refuse(error.http_status, error.code, str(error), error.headers)
        case PageTooSlow():
            _log.warning(
                "gave up %s (request %s): %s", request, id, error, extra=fact("request.slow", request=id, error=error)
            )
            # Stainless' SDKs, which Cloudflare's are, would ask twice more: it would be as slow.
            text = f"{KEY}internal_server: {error}"
            return _refuse(error.http_status, error.code, text, {"x-should-retry": "false"})
        case StoreError():
            _log.error(
                "the store refused %s (request %s): %s",
                request,
                id,
                error,
                extra=fact("store.refused", request=id, error=error),
            )
            text = f"{KEY}internal_server: {error}"
            return _refuse(error.http_status, error.code, text, {"retry-after": str(_RETRY_AFTER_S)})
        case CreatedTooFast():
            headers = {"retry-after": str(error.retry_after_s)}
            return _refuse(error.http_status, error.code, KEY + str(error), headers)
        case StepwellError() if error.http_status < StepwellError.http_status:
            return _refuse(error.http_status, error.code, KEY + str(error))
        case _:
            return _confess(error, request, id)


def _confess(error: Exception, request: str, id: str) -> Response:
    _log.error(
        "error while answering %s (request %s)",
        request,
        id,
        exc_info=error,
        extra=fact("request.failed", request=id, error=type(error).__name__),
    )
    text = f"{KEY}internal_server: something went wrong here; the server's log has it as request {id}"
    return _refuse(StepwellError.http_status, StepwellError.code, text)


def _refuse(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _respond(status, _encoder.encode(Failure(errors=[Problem(code, message)])), headers)


def _respond(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")
