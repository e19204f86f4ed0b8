"""Between our requests and answers, and the HTTP library's. Nothing here sends anything."""

from typing import Any
from urllib.parse import urlencode

import httpx2

from stepwell.sdk.errors import TimedOut, Unreachable
from stepwell.sdk.messages import Answer, Request
from stepwell.sdk.settings import Settings

# Where one of these is raised the request has not left.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


def options_of(request: Request, settings: Settings) -> dict[str, Any]:
    """Return what a client of the library builds the request of."""
    headers = {"accept": "application/json", "user-agent": "stepwell", **request.headers}
    if settings.token:
        headers["authorization"] = f"Bearer {settings.token}"
    return {
        "method": request.method,
        "url": settings.base_url + request.path,
        "params": list(request.query) or None,
        "content": request.body,
        "headers": headers,
        "timeout": _timeout(request, settings),
    }


def socket_options_of(request: Request, settings: Settings) -> dict[str, Any]:
    """Return where a WebSocket is asked for, and with which headers."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    headers = {"authorization": f"Bearer {settings.token}"} if settings.token else {}
    return {
        "uri": f"ws{settings.base_url.removeprefix('http')}{request.path}{query}",
        "additional_headers": {**request.headers, **headers},
        "user_agent_header": "stepwell",
    }


def head_of(response: httpx2.Response) -> Answer:
    """Return the head of an answer, whose body is still to be read."""
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def answer_of(response: httpx2.Response) -> Answer:
    """Return an answer that has been read whole."""
    head = head_of(response)
    return Answer(head.status, head.headers, response.content)


def failure_of(error: httpx2.HTTPError, settings: Settings) -> Unreachable:
    """Return what it means that there is no answer, or no more of one."""
    is_sent = not isinstance(error, _NOT_SENT)
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(silence_of(settings), is_sent=is_sent)
    return Unreachable(f"{settings.base_url} does not answer: {str(error) or type(error).__name__}", is_sent=is_sent)


def silence_of(settings: Settings) -> str:
    """Return in words that a server has not answered in time."""
    return f"{settings.base_url} was silent for longer than the time-out of {settings.timeout_s} s"


def _timeout(request: Request, settings: Settings) -> httpx2.Timeout:
    if settings.timeout_s is None:
        return httpx2.Timeout(None)
    return httpx2.Timeout(settings.timeout_s, read=settings.timeout_s + request.wait_s)
