"""The HTTP API as an ASGI application: guard, route, handle, and wrap whatever went wrong."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.api import auth, envelope, guards, path, routes
from stepwell.api.kept import KeptAnswers
from stepwell.api.query import Query
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.tokens import Tokens

# Whose workflows the page shows where no account is fixed.
_DEFAULT_ACCOUNT = "local"


def create_app(
    engine: Engine, *, account: str | None, hosts: frozenset[str] | None, tokens: Tokens | None = None
) -> ASGIApp:
    """Return the application.

    `account` is the one that every account id in a path means; None: each id means itself. `hosts` are the
    names, without port, that requests may be sent to, `*.x` meaning all below x; None: any name. `tokens` are those
    that callers need; None: none is asked for.
    """
    return _App(engine, account, hosts, tokens)


class _App:
    def __init__(
        self, engine: Engine, account: str | None, hosts: frozenset[str] | None, tokens: Tokens | None
    ) -> None:
        self._engine = engine
        self._account = account
        self._hosts = hosts
        self._tokens = tokens
        self._kept = KeptAnswers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing else is spoken: no lifespan, no WebSocket."""
        if scope["type"] != "http":
            return
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, http: Request) -> Response:
        try:
            return await self._handle(http)
        except ClientDisconnect:
            # Nobody reads this; the server drops it.
            return Response(status_code=400)
        except Exception as error:  # whatever it is, the caller gets an envelope and the server goes on
            return envelope.failure(error, f"{http.method} {_raw_path(http.scope)}")

    async def _handle(self, http: Request) -> Response:
        guards.check(http.method, http.headers, self._hosts)
        caller = None if self._tokens is None else await auth.identify(http.headers, self._tokens)
        route, handler, raw_parts = routes.find(http.method, _raw_path(http.scope))
        parts = path.decode(raw_parts)
        account = self._account or parts.get("account_id") or (caller.account if caller else _DEFAULT_ACCOUNT)
        if self._tokens is not None:
            auth.check(caller, route, account)
        query = Query(http.scope["query_string"])
        request = ApiRequest(account, parts, query, http, self._engine.settings.payload_size, self._kept)
        return await handler(self._engine, request)


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope["raw_path"]
    return raw.partition(b"?")[0].decode("latin-1")
