"""Who looks at the dashboard: sign in with a token, sign out, and what the page has to know of the server."""

import msgspec
from starlette.responses import Response

from stepwell.api import envelope, sessions
from stepwell.api.refusals import Forbidden
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.tokens import AUDITING, READING, WRITING, Caller


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
    name: str
    payload_size: int
    # Whatever the page reads from now on is at least as new; see `live.py`. Empty before anybody has signed in, as it
    # tells how much happens.
    mark: str


async def get_session(engine: Engine, request: ApiRequest) -> Response:
    """Answer who looks."""
    return envelope.success(_session(engine, request, request.caller))


async def sign_in(engine: Engine, request: ApiRequest) -> Response:
    """Make a token the browser's session.

    Raises Unauthorized, TooManyWrongTokens, or Forbidden for a token that may not read.
    """
    sessions.check_page("POST", request.http.headers)
    given = await request.decode(SignIn)
    tokens = request.served.tokens
    if tokens is None:
        return envelope.success(_session(engine, request, None))
    secret = given.token.strip()
    caller = await request.served.wrong_tokens.authenticate(tokens, request.http.scope, secret)
    if not READING & caller.permissions:
        raise Forbidden(
            f"the token has {', '.join(sorted(caller.permissions))}, which shows nothing here; "
            "`stepwell token create --scope read` makes one that does"
        )
    response = envelope.success(_session(engine, request, caller))
    sessions.sign_in(response, request.http.headers, secret, request.served.base)
    return response


async def sign_out(engine: Engine, request: ApiRequest) -> Response:
    """End the browser's session. The token stays good."""
    sessions.check_page("DELETE", request.http.headers)
    response = envelope.success(_session(engine, request, None))
    sessions.sign_out(response, request.http.headers, request.served.base)
    return response


def _session(engine: Engine, request: ApiRequest, caller: Caller | None) -> Session:
    wants_token = request.served.tokens is not None
    account = caller.account if caller is not None else "" if wants_token else request.account
    return Session(
        account=account,
        wants_token=wants_token,
        is_signed_in=caller is not None,
        can_write=not wants_token or (caller is not None and bool(WRITING & caller.permissions)),
        can_audit=not wants_token or (caller is not None and bool(AUDITING & caller.permissions)),
        name="" if caller is None else caller.known_as,
        payload_size=engine.settings.payload_size,
        mark=request.served.changes.mark(engine.store) if account else "",
    )
