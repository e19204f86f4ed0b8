"""Who looks at the dashboard: sign in with a token, sign out, and what the page has to know of the server."""

import msgspec
from starlette.responses import Response

from stepwell.api import envelope, sessions
from stepwell.api.refusals import Forbidden
from stepwell.api.request import ApiRequest
from stepwell.audit import asking, who_asks
from stepwell.engine import Engine
from stepwell.store.audit_operations import Asked
from stepwell.tokens import AUDITING, NOTIFYING, READING, WRITING, Caller, Permission


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody signs in with."""

    token: str


class Session(msgspec.Struct):
    """What the page has to know. `account` is empty before anybody has signed in where that is needed."""

    account: str
    wants_token: bool
    is_signed_in: bool
    can_write: bool
    can_audit: bool
    can_notify: bool
    name: str
    payload_size: int
    # Whatever the page reads from now on is at least as new; see `live.py`. Empty before anybody has signed in, as it
    # tells how much happens.
    mark: str


async def get_session(engine: Engine, request: ApiRequest) -> Response:
    """Answer who looks."""
    return envelope.success(_session(engine, request, request.caller))


async def sign_in(engine: Engine, request: ApiRequest) -> Response:
    """Begin a session of the browser, in place of one that it has.

    Raises Unauthorized, TooManyWrongTokens, or Forbidden for a token that may not read.
    """
    sessions.check_page("POST", request.http.headers)
    given = await request.decode(SignIn)
    tokens, open_sessions = request.served.tokens, request.served.sessions
    if tokens is None or open_sessions is None:
        return envelope.success(_session(engine, request, None))
    secret = given.token.strip()
    caller = await request.served.wrong_tokens.authenticate(tokens, request.http.scope, secret)
    if not READING & caller.permissions:
        raise Forbidden(
            f"the token has {', '.join(sorted(caller.permissions))}, which shows nothing here; "
            "`stepwell token create --scope read` makes one that does"
        )
    before = None if request.caller is None else request.caller.session
    with asking(_as(caller)):
        cookie = await open_sessions.begin(caller, before)
    response = envelope.success(_session(engine, request, caller))
    sessions.sign_in(response, request.http.headers, cookie, request.served.base)
    return response


async def sign_out(engine: Engine, request: ApiRequest) -> Response:
    """End the browser's session. The token stays good."""
    sessions.check_page("DELETE", request.http.headers)
    caller, open_sessions = request.caller, request.served.sessions
    if open_sessions is not None and caller is not None and caller.session is not None:
        await open_sessions.end(caller)
    response = envelope.success(_session(engine, request, None))
    sessions.sign_out(response, request.http.headers, request.served.base)
    return response


def _as(caller: Caller) -> Asked | None:
    """Return who asks, now that it is known whose the token is."""
    asked = who_asks()
    if asked is None:
        return None
    return msgspec.structs.replace(asked, way="token", name=caller.known_as, token=caller.token)


def _session(engine: Engine, request: ApiRequest, caller: Caller | None) -> Session:
    wants_token = request.served.tokens is not None
    account = caller.account if caller is not None else "" if wants_token else request.account
    return Session(
        account=account,
        wants_token=wants_token,
        is_signed_in=caller is not None,
        can_write=_may(request, caller, WRITING),
        can_audit=_may(request, caller, AUDITING),
        can_notify=_may(request, caller, NOTIFYING),
        name="" if caller is None else caller.known_as,
        payload_size=engine.settings.payload_size,
        mark=request.served.changes.mark(engine.store) if account else "",
    )


def _may(request: ApiRequest, caller: Caller | None, wanted: frozenset[Permission]) -> bool:
    return request.served.tokens is None or (caller is not None and bool(wanted & caller.permissions))
