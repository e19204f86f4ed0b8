"""The HTTP API as an ASGI application: guard, route, handle, and wrap whatever went wrong."""

from functools import partial
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stepwell.api import auth, envelope, guards, path, request_ids, routes, sessions
from stepwell.api.arrivals import Arrivals
from stepwell.api.heads import OVER_TLS, Head, with_head
from stepwell.api.peers import Proxies
from stepwell.api.query import Query
from stepwell.api.refusals import Forbidden, RouteNotFound, Unauthorized, invalid
from stepwell.api.request import ApiRequest, Served
from stepwell.api.routes import Route
from stepwell.api.shared_reads import Question
from stepwell.api.stream_tokens import LONGEST, Behind, StreamTokens
from stepwell.api.streams import Place, Streams
from stepwell.api.traffic import SWITCHED
from stepwell.api.wrong_tokens import WrongTokens
from stepwell.audit import asking
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.forcing import LOCAL
from stepwell.host_metrics import HostMetrics
from stepwell.hosts import READING
from stepwell.moves import Moves
from stepwell.sessions import Sessions
from stepwell.subscriptions import Subscription
from stepwell.tokens import Caller, Tokens

# Whose workflows the page shows where no account is fixed.
_DEFAULT_ACCOUNT = "local"
# What of a scope has the route, once that is known.
_ROUTE = "stepwell.route"


def create_app(  # noqa: PLR0913 - what a server has, by name
    engine: Engine,
    *,
    account: str | None,
    hosts: frozenset[str] | None,
    tokens: Tokens | None = None,
    base: str = "",
    deployments: Deployments | None = None,
    moves: Moves | None = None,
    proxies: Proxies | None = None,
    metrics: HostMetrics | None = None,
) -> "Api":
    """Return the application.

    `account` is the one that every account id in a path means; None: each id means itself. `hosts` are the
    names, without port, that requests may be sent to, `*.x` meaning all below x; None: any name. `tokens` are those
    that callers need; None: none is asked for. `base` is the path that browsers see all of it below, such as
    "/stepwell": what is asked for below it is found, and without it, too, as a proxy may take it away. `deployments`
    take code that is uploaded, `moves` give instances another version; None: nothing does. `proxies` are those that
    are believed whose request they hand on; None: none is. `metrics` are what `/metrics`
    tells beside what is seen here.
    """
    trusted = proxies or Proxies()
    open_sessions = None if tokens is None else Sessions(tokens, engine.settings)
    served = Served(
        engine,
        StreamTokens(engine.clock),
        tokens,
        open_sessions,
        base,
        streams=Streams(open_sessions),
        wrong_tokens=WrongTokens(trusted),
        deployments=deployments,
        moves=moves,
        host_metrics=metrics,
    )
    return Api(served, account, hosts, Arrivals(engine, trusted))


class Api(Struct, frozen=True):
    """The application."""

    _served: Served
    _account: str | None
    _hosts: frozenset[str] | None
    _arrivals: Arrivals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or speak over one WebSocket. No lifespan is spoken."""
        scope = _below(self._served.base, scope)
        id = scope[request_ids.IN_SCOPE] = request_ids.new_id()
        head: Head = [(request_ids.HEADER, id.encode())]
        if self._arrivals.proxies.is_secure(scope):
            head.append(OVER_TLS[self._served.engine.settings.strict_transport])
        match scope["type"]:
            case "http":
                began, http = perf_counter(), Request(scope, receive)
                response = await self._respond(http, id, head)
                self._count(scope, response.status_code, began, has_waited="prefer" in http.headers)
                await response(scope, receive, with_head(send, head))
            case "websocket":
                await self._speak((scope, receive, with_head(send, head)), id, head)

    def end_streams(self) -> None:
        """End all streams: the server stops."""
        self._served.streams.end()

    async def _respond(self, http: Request, id: str, head: Head) -> Response:
        try:
            route, request = await self._admit(http, head)
            read = partial(route.handler, self._served.engine, request)
            if routes.is_shared(route, http):
                is_of_page = routes.is_of_page(http)
                asked = (_raw_path(http.scope), http.scope["query_string"], is_of_page)
                question = Question(request.account, request.sees_all, *asked)
                return await self._served.reads.read(question, read, self._served.streams.count if is_of_page else 0)
            if http.method in READING:
                # It changes nothing, so the store need not know who asks.
                return await read()
            # Imported here, as below: a server that nobody asks for it needs none of it.
            from stepwell.api import audit  # noqa: PLC0415 - see above

            now = self._served.engine.clock.now()
            address = self._arrivals.proxies.address(http.scope)
            with asking(audit.asked_by(http, request.caller, request.by, address, now)):
                return await read()
        except RouteNotFound as error:
            # Somebody who mistyped an address in a browser gets a page that says so.
            is_person = http.method == "GET" and "text/html" in http.headers.get("accept", "")
            return await _no_page(self._served.base) if is_person else envelope.failure(error, "", id)
        except ClientDisconnect:
            # Nobody reads this; the server drops it.
            return Response(status_code=400)
        except Exception as error:  # whatever it is, the caller gets an envelope and the server goes on
            self._note(http, error)
            return envelope.failure(error, f"{http.method} {_raw_path(http.scope)}", id)

    def _count(self, scope: Scope, status: int, began: float, *, has_waited: bool = False) -> None:
        route: Route | None = scope.get(_ROUTE)
        place = None if route is None else (route.method, route.pattern)
        self._served.traffic.count(place, status, perf_counter() - began, has_waited=has_waited)

    async def _speak(self, connection: tuple[Scope, Receive, Send], id: str, head: Head) -> None:
        scope, receive, send = connection
        began = perf_counter()
        http = Request({**scope, "type": "http", "method": "GET"})
        try:
            subscription, place = await self._open(http, head)
        except Exception as error:  # as above: what is refused is refused before the upgrade
            self._note(http, error)
            response = envelope.failure(error, f"GET {_raw_path(scope)}", id)
            self._count(http.scope, response.status_code, began)
            await response(scope, receive, send)
            return
        self._count(http.scope, SWITCHED, began)
        from stepwell.api import event_sockets  # noqa: PLC0415 - see above

        await event_sockets.speak(subscription, place, receive, send)

    def _note(self, http: Request, error: Exception) -> None:
        if isinstance(error, Unauthorized | Forbidden):
            self._served.denials.note(http, self._arrivals.proxies.address(http.scope), error, error.caller)

    async def _open(self, http: Request, head: Head) -> tuple[Subscription, Place]:
        """Return what a WebSocket is to tell, and its place among the streams."""
        route, request = await self._admit(http, head)
        if route.number != routes.SUBSCRIBE:
            raise invalid("upgrade", "the header Upgrade asks for a WebSocket, which this route is not; leave it out")
        if _token_of(request) is None:
            guards.check_socket(http.headers)
        from stepwell.api import events  # noqa: PLC0415 - see above

        subscription = await events.open_subscription(self._served.engine, request)
        return subscription, request.take_stream(subscription.close)

    async def _admit(self, http: Request, head: Head) -> tuple[Route, ApiRequest]:
        guards.check(http.method, http.headers, self._hosts)
        self._arrivals.count_address(http.scope, head)
        caller = await self._caller(http)
        self._arrivals.count_token(caller, head)
        route, raw_parts = routes.find(http.method, _raw_path(http.scope))
        http.scope[_ROUTE] = route
        parts = path.decode(raw_parts)
        account = self._account or parts.get("account_id") or (caller.account if caller else _DEFAULT_ACCOUNT)
        by = LOCAL if caller is None else caller.known_as
        behind = (None, None) if caller is None else (caller.token, caller.session)
        query = Query(http.scope["query_string"])
        request = ApiRequest(account, parts, query, http, self._served, by, caller, *behind)
        if route.number == routes.SUBSCRIBE and (given := _token_of(request)) is not None:
            token, session = await self._behind(given, request)
            request = replace(request, token=token, session=session)
        elif self._served.tokens is not None and not self._is_open(route):
            try:
                auth.check(caller, route, account)
            except Forbidden as error:
                error.caller = by
                raise
        return route, request

    def _is_open(self, route: Route) -> bool:
        """Tell whether the operator lets anybody use a route."""
        return route.pattern == routes.METRICS and self._served.engine.settings.metrics_access == "open"

    async def _behind(self, given: str, request: ApiRequest) -> Behind:
        """Return by which token, and which session, a stream's token was asked for.

        Raises Unauthorized if any of them is good no more.
        """
        token, session = self._served.stream_tokens.check(given, request.account, request.workflow, request.instance)
        open_sessions = self._served.sessions
        if token is not None and open_sessions is not None and not await open_sessions.is_good(token, session):
            raise Unauthorized("the token by which the token in the query was asked for is good no more")
        return token, session

    async def _caller(self, http: Request) -> Caller | None:
        tokens, open_sessions = self._served.tokens, self._served.sessions
        if tokens is None or open_sessions is None:
            return None
        caller = await auth.identify(http, tokens, self._served.wrong_tokens)
        return caller if caller is not None else await sessions.identify(http.method, http.headers, open_sessions)


async def _no_page(base: str) -> Response:
    from stepwell.api.ui import pages  # noqa: PLC0415 - see above

    return await pages.nothing(base)


def _below(base: str, scope: Scope) -> Scope:
    """Return a scope whose path does without what a proxy has all of this below."""
    given: bytes = scope.get("raw_path") or b""
    rest = given.removeprefix(base.encode())
    if not base or rest == given or rest[:1] not in {b"", b"/", b"?"}:
        return scope
    return {**scope, "raw_path": rest if rest[:1] == b"/" else b"/" + rest}


def _token_of(request: ApiRequest) -> str | None:
    return request.query.text("token", LONGEST)


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope["raw_path"]
    return raw.partition(b"?")[0].decode("latin-1")
