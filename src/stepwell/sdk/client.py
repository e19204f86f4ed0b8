"""The client that blocks."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, assert_never

import httpx2

from stepwell.sdk.api import Api
from stepwell.sdk.effects import Connect, Effect, Emit, Flow, Now, Open, Outcome, Pause, Program, Read, Send
from stepwell.sdk.errors import Unreachable
from stepwell.sdk.messages import Answer, Request
from stepwell.sdk.settings import Settings
from stepwell.sdk.transport import answer_of, failure_of, head_of, options_of
from stepwell.sdk.ways import Runner, Sync

T = TypeVar("T")


class Client(Api[Sync, httpx2.Client]):
    """A client of a Stepwell server, or of Cloudflare's own API for what exists there. It blocks; see AsyncClient.

    What is not given comes from the environment: `STEPWELL_URL`, `STEPWELL_ACCOUNT` and `STEPWELL_TOKEN`, else
    `CLOUDFLARE_BASE_URL`, `CLOUDFLARE_ACCOUNT_ID` and `CLOUDFLARE_API_TOKEN`; else it is `http://127.0.0.1:8787`.

    `timeout` is how long a server may be silent, in seconds; None: forever. `max_retries` is how often a request is
    sent again where that does nothing twice. A `http_client` that is given, one of httpx2's, is not closed with this
    one. Threads may share a client. Raises InvalidInput for what cannot be; its methods raise ApiError.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client cannot be used again."""
        if self._is_ours:
            self._http.close()

    def _new_http(self) -> httpx2.Client:
        return httpx2.Client()

    def _runner(self) -> Runner:
        return _Runner(self._http, self.settings)


class _Runner:
    """Does what programs and flows ask for, and blocks meanwhile."""

    def __init__(self, http: httpx2.Client, settings: Settings) -> None:
        self._http, self._settings = http, settings

    def run(self, program: Program[T]) -> T:
        hands = _Hands(self._http, self._settings)
        outcome = Outcome()
        while True:
            try:
                effect = outcome.tell(program)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = hands.do(effect)

    def iterate(self, flow: Flow[T]) -> Generator[T, None, None]:
        hands = _Hands(self._http, self._settings)
        outcome = Outcome()
        try:
            while True:
                try:
                    effect = outcome.tell(flow)
                except StopIteration:
                    return
                if isinstance(effect, Emit):
                    outcome = Outcome()
                    yield effect.value
                else:
                    outcome = hands.do(effect)
        finally:
            hands.close()


class _Hands:
    """Does one effect after another; has at most one stream open."""

    def __init__(self, http: httpx2.Client, settings: Settings) -> None:
        self._http, self._settings = http, settings
        self._open = ExitStack()
        self._pieces: Iterator[bytes] = iter(())

    def do(self, effect: Effect) -> Outcome:
        try:
            return Outcome(self._do(effect))
        except httpx2.HTTPError as error:
            return Outcome(error=failure_of(error, self._settings))
        except Unreachable as error:
            return Outcome(error=error)

    def close(self) -> None:
        self._open.close()
        self._pieces = iter(())

    def _do(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                return answer_of(self._send(request, stream=False))
            case Open(request):
                return self._begin(request)
            case Connect():
                return self._connect(effect)
            case Read():
                return next(self._pieces, b"")
            case Pause(seconds):
                return time.sleep(seconds)
            case Now():
                return time.monotonic()
            case _:
                assert_never(effect)

    def _send(self, request: Request, *, stream: bool) -> httpx2.Response:
        built = self._http.build_request(**options_of(request, self._settings))
        return self._http.send(built, stream=stream, follow_redirects=False)

    def _begin(self, request: Request) -> Answer:
        self.close()
        response = self._send(request, stream=True)
        self._open.callback(response.close)
        self._pieces = response.iter_bytes()
        return head_of(response)

    def _connect(self, effect: Connect) -> Answer:
        from stepwell.sdk import sockets  # noqa: PLC0415 - it takes as long to load as all else; most need none

        self.close()
        try:
            connection = sockets.begin(effect, self._settings, self._open)
        except sockets.Refused as refused:
            return refused.answer
        self._pieces = sockets.pieces(connection, self._settings)
        return sockets.OPEN
