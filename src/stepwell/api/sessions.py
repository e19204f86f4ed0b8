"""The cookie of a browser that somebody has signed in with: what names its session, and no script can read.

The browser sends the cookie by itself, so a change that is asked for with it has to show that a page of ours has
asked: by a header that no form can send, and by an Origin that is the server's. Requests from other sites come without
the cookie.

Source: cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from typing import Literal, TypedDict

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from stepwell.api.refusals import Forbidden
from stepwell.hosts import READING, without_port
from stepwell.sessions import Sessions
from stepwell.tokens import Caller


class _Kept(TypedDict):
    """How a browser keeps the cookie."""

    secure: bool
    httponly: bool
    samesite: Literal["strict"]
    path: str


COOKIE = "stepwell_session"
# By these names browsers take a cookie over TLS alone; by the first also from no other host, and with the path / alone.
# Source: developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
_PREFIXES = ("__Host-", "__Secure-")
# What our pages send with each change.
PAGE_HEADER = "x-stepwell-page"


async def identify(method: str, headers: Headers, sessions: Sessions) -> Caller | None:
    """Return who is signed in; None: nobody, or not any more. Raises Forbidden: a forged change."""
    secret = _secret(headers)
    caller = None if secret is None else await sessions.find(secret)
    if caller is not None:
        check_page(method, headers)
    return caller


def check_page(method: str, headers: Headers) -> None:
    """Raise Forbidden if a change was asked for by anything but a page of this server."""
    if method in READING:
        return
    origin = headers.get("origin", "")
    if PAGE_HEADER not in headers or origin.partition("://")[2].lower() != headers.get("host", "").lower():
        raise Forbidden(
            f"a session of the dashboard changes something only from its own pages: send the header {PAGE_HEADER} "
            f'and an Origin that is this server\'s, got "{origin:.300}"; programs send `Authorization: Bearer TOKEN`'
        )


def sign_in(response: Response, headers: Headers, secret: str, base: str) -> None:
    """Let the answer's browser keep what names its session until it is closed, and send it below the path `base`."""
    response.set_cookie(_name(headers, base), secret, **_kept(headers, base))


def sign_out(response: Response, headers: Headers, base: str) -> None:
    """Let the answer's browser forget its session, by whatever name it sends it."""
    for name in {*_sent(headers), _name(headers, base)}:
        response.set_cookie(name, "", max_age=0, **_kept(headers, base))


def _kept(headers: Headers, base: str) -> _Kept:
    return _Kept(secure=_is_secure(headers), httponly=True, samesite="strict", path=base or "/")


def _is_secure(headers: Headers) -> bool:
    # What the browser sees decides: TLS may end at a proxy before this server.
    return headers.get("origin", "").startswith("https://")


def _secret(headers: Headers) -> str | None:
    return next(iter(_sent(headers).values()), None)


def _sent(headers: Headers) -> dict[str, str]:
    """Return the cookies of ours that a request has: first those that only a page over TLS can have set."""
    # Not by http.cookies, which drops all cookies where another program has put one of a form that it does not know.
    cookies = cookie_parser("; ".join(headers.getlist("cookie")))
    names = [f"{prefix}{_plain_name(headers)}" for prefix in (*_PREFIXES, "")]
    return {name: cookies[name] for name in names if cookies.get(name)}


def _name(headers: Headers, base: str) -> str:
    """Return what the cookie is called that is set now."""
    of_host, of_path = _PREFIXES
    prefix = "" if not _is_secure(headers) else of_path if base else of_host
    return prefix + _plain_name(headers)


def _plain_name(headers: Headers) -> str:
    """Return its name without a prefix: with the port, as cookies of one host are sent to all of its ports."""
    host = headers.get("host", "").lower()
    port = host.removeprefix(without_port(host)).removeprefix(":")
    return f"{COOKIE}_{port}" if port else COOKIE
