"""Refusals that only HTTP knows: a request that leads nowhere, or may not be made, or is too large.

Cloudflare's gateway gives the first three, before any Workflows code sees the request, so their messages
carry no `workflows.api.error.` key.
"""

from collections.abc import Iterable, Mapping

from stepwell.errors import InvalidInput, StepwellError


class Refusal(StepwellError):
    """Base of the answers that the gateway gives. `headers` go with the answer; `caller`: who is refused, if known."""

    headers: dict[str, str] | None = None
    caller: str = ""


class RouteNotFound(Refusal):
    """No route has this path."""

    code = 7003
    http_status = 404

    def __init__(self, method: str, path: str, reason: str) -> None:
        super().__init__(f"could not route {method} {path:.300}: {reason}")


class MethodNotAllowed(Refusal):
    """The path is right, the method is not. `headers` name the right ones."""

    code = 7001
    http_status = 405

    def __init__(self, method: str, path: str, allowed: Iterable[str]) -> None:
        self.headers = {"allow": ", ".join(allowed)}
        super().__init__(f"{method} is not a method of {path:.300}; use one of: {self.headers['allow']}")


class ScriptNotFound(Refusal):
    """No code was uploaded as this script. Cloudflare's tools know that by the code."""

    code = 10007
    http_status = 404

    def __init__(self, name: str) -> None:
        super().__init__(
            f'workers.api.error.script_not_found: no code was uploaded as the script "{name:.300}"; `wrangler deploy` '
            "or `stepwell deploy` does that"
        )


class ServiceNotFound(ScriptNotFound):
    """The same, where the script is called a service."""

    code = 10090


class ScriptVersionNotFound(Refusal):
    """The script has no version of this id."""

    code = 10222
    http_status = 404

    def __init__(self, script: str, id: str) -> None:
        super().__init__(
            f'workers.api.error.version_not_found: the script "{script:.300}" has no version "{id:.100}"; `wrangler '
            "versions list` shows those there are"
        )


class Unauthorized(Refusal):
    """The request has no credentials, or none that are good."""

    code = 10000
    http_status = 401

    def __init__(self, problem: str) -> None:
        self.headers = {"www-authenticate": "Bearer"}
        super().__init__(f"Authentication error: {problem}")


class TooManyWrongTokens(Refusal):
    """The credentials are not good, and many from the same address were not."""

    code = 10502
    http_status = 429

    def __init__(self, problem: str, wait_s: int) -> None:
        self.headers = {"retry-after": str(wait_s)}
        super().__init__(
            f"Too many authentication failures. Please try again later: {problem}. Many wrong tokens came from this "
            f"address, so no other wrong one is looked at for {wait_s} s; a right one is taken at any time"
        )


class Forbidden(Refusal):
    """The request may not be made from there, or by this caller."""

    code = 10000
    http_status = 403


class NoDrawing(Refusal):
    """There is no graph to be drawn."""

    code = 19002
    http_status = 404

    def __init__(self, note: str) -> None:
        super().__init__(f"there is no graph to draw: {note}")


class TooManyRequests(Refusal):
    """More requests come than may. Cloudflare's words come first: people look for them."""

    code = 971
    http_status = 429

    def __init__(self, whose: str, per_minute: int, burst: int, wait_s: int, headers: Mapping[str, str]) -> None:
        self.headers = {"retry-after": str(wait_s), **headers}
        super().__init__(
            "Please wait and consider throttling your request speed: "
            f"each {whose} has {per_minute:,} requests a minute, and {burst:,} at once; come back in {wait_s:,} s. "
            f"The server's settings requests_per_minute_of_{whose} and request_burst_of_{whose} say so"
        )


class TooManyStreams(Refusal):
    """As many callers follow instances as may do so at a time."""

    code = 10429
    http_status = 429

    def __init__(self, limit: int, setting: str, whose: str = "") -> None:
        self.headers = {"retry-after": "5"}
        super().__init__(
            f"{limit} streams{whose} are open already, which is the limit; close one, come back later, or raise the "
            f"server's setting {setting}"
        )


class UpgradeRequired(Refusal):
    """The route is a WebSocket, and nobody asked for one."""

    code = 10002
    http_status = 426

    def __init__(self) -> None:
        self.headers = {"upgrade": "websocket", "connection": "upgrade"}
        super().__init__(
            "this route is a WebSocket: ask for it with `Upgrade: websocket`. The same events come without one from "
            "/accounts/{account_id}/stepwell/workflows/{workflow_name}/instances/{instance_id}/events"
        )


class BodyTooLarge(InvalidInput):
    """The body is larger than any valid one; it was not read to its end."""

    http_status = 413

    def __init__(self, limit: int) -> None:
        super().__init__("body", f"body: the request body is larger than {limit:,} bytes, which no valid one is")


class BodyTooSlow(InvalidInput):
    """The body did not come on; it was not read to its end."""

    http_status = 408

    def __init__(self, seconds: float, least: int) -> None:
        super().__init__(
            "body",
            f"body: nothing more of the request body came for {seconds:g} seconds, or less than {least} bytes a second",
        )


class BodyCompressed(InvalidInput):
    """The body is compressed, and could grow beyond any bound."""

    http_status = 415

    def __init__(self, encoding: str) -> None:
        super().__init__(
            "content-encoding", f'body: the Content-Encoding "{encoding:.100}" is not taken; send the body as it is'
        )


def invalid(field: str, problem: str) -> InvalidInput:
    """Return the refusal of a part of the request, under the key that Cloudflare has for all of them."""
    return InvalidInput(field, f"body: {problem}")
