"""What comes from a server, in parts or as JSON, and what is said where it does not come."""

import contextlib
import http.client
import json
from collections.abc import Iterator

from stepwell.errors import ServerUnreachable
from stepwell.results import Result

_PART_BYTES = 64 * 1024
_NOT_JSON_SHOWN = 200


class StepBytes:
    """The output of a step that returned a stream: `size` bytes, given in parts as they come."""

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.size = int(response.headers.get("content-length", 0))
        self._url = url
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes, once. Raises ServerUnreachable where fewer come than were announced."""
        left = self.size
        while part := self._read():
            left -= len(part)
            yield part
        if left:
            raise ServerUnreachable(f"the answer ended {left:,} bytes before its end")

    def _read(self) -> bytes:
        with answers_from(self._url):
            return self._response.read(_PART_BYTES)


@contextlib.contextmanager
def answers_from(url: str) -> Iterator[None]:
    """Say of what fails while a server is spoken to that the server does not answer; not of what is done with it."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{url} does not answer: {str(error) or type(error).__name__}") from error


def decoded(status: int, content: bytes) -> Result:
    """Return the object that a server wrote. Raises ServerUnreachable if it is none."""
    try:
        text = content.decode().strip()
        value = json.loads(text)
    except (ValueError, RecursionError):
        text, value = "", None
    if not isinstance(value, dict):
        shown = content[:_NOT_JSON_SHOWN].decode(errors="replace")
        raise ServerUnreachable(f"the answer is not that of this API (status {status}): {shown!r}")
    return Result(value, text)


def id_of(response: http.client.HTTPResponse) -> str | None:
    """Return the id that a server, or a proxy, gave the request."""
    return response.headers.get("cf-ray") or response.headers.get("x-request-id")
