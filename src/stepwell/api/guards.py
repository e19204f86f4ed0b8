"""Who may ask at all: checked once, before the route is looked up. Tokens are auth.py's, once the route is known.

A page on the internet can point its own name at 127.0.0.1 (DNS rebinding), or post to it without being able
to read the answer. The first is seen by the Host header, the second by the Origin header; browsers let no
page forge either.
"""

from starlette.datastructures import Headers

from stepwell.api.refusals import Forbidden
from stepwell.hosts import READING, is_served


def check(method: str, headers: Headers, hosts: frozenset[str] | None) -> None:
    """Raise Forbidden if the request's Host is not among `hosts`, or if another site's page sent a change.

    `hosts` None: any Host may be named, because the server is reached under names that it does not know.
    """
    if hosts is not None:
        _check_host(headers.getlist("host"), hosts)
    if method not in READING:
        _check_origin(headers, "change anything", "send the request from a program")


def check_socket(headers: Headers) -> None:
    """Raise Forbidden if another site's page asked for a WebSocket: browsers let it read what comes."""
    _check_origin(headers, "read anything", "ask for a token of the stream")


def _check_host(given: list[str], hosts: frozenset[str]) -> None:
    if is_served(given, hosts):
        return
    shown = ", ".join(f'"{host:.300}"' for host in given) or "none"
    raise Forbidden(
        f"the Host header names {shown}; this server answers to: {', '.join(sorted(hosts))}. "
        "Use one of these names, or start the server with --allow-host NAME."
    )


def _check_origin(headers: Headers, what: str, remedy: str) -> None:
    host = headers.get("host", "")
    for origin in headers.getlist("origin"):
        if origin.partition("://")[2].lower() != host.lower():
            raise Forbidden(
                f'a page of the origin "{origin:.300}" may not {what} at "{host:.300}"; '
                f"{remedy}, or send it from a page of this server"
            )
