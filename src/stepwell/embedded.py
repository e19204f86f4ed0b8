"""Stepwell inside an application: the engine in its process and on its event loop, the workers beside it.

    async with Stepwell("orders.py", store="sqlite:///orders.db") as stepwell:
        order = await stepwell.workflow("order").create(params={"item": "book"})
        print(await order.result("1 minute"))

Workflows are loaded from files, as with `stepwell serve`, as they run in processes of their own: what their code does
cannot hold up the application, and an application that is gone leaves no worker behind.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.api import Api, create_app
from stepwell.bindings import WorkflowBinding
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.errors import AlreadyStarted, NotStarted
from stepwell.hosting import Host, HostOptions, open_host
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.tokens import Tokens

_STORE = "sqlite:///.stepwell/stepwell.db"
_UNAVAILABLE = 503


class Stepwell:
    """An engine that an application starts and stops, with `async with`, or with `start` and `stop`."""

    def __init__(  # noqa: PLR0913 - options by name, each with what is usual
        self,
        path: str | Path = ".",
        *,
        store: str = _STORE,
        account: str = "local",
        workers: int = 1,
        env: Iterable[str] = (),
        settings: Mapping[str, object] | None = None,
        keeps_output: bool = True,
    ) -> None:
        """Take note of what is to be started; nothing is opened or loaded before.

        `path` is a Python file, or a folder, with the workflows, as `stepwell serve` takes it, and `store` the URL of
        the store. `workers`: how many processes run workflows. `env`: names of environment variables that workflows
        have as `self.env.NAME`. `settings`: those of `stepwell settings`, by name. `keeps_output`: whether what
        workflows print and log is kept.
        """
        self._options = HostOptions(
            path=str(path),
            store=store,
            account=account,
            workers=workers,
            variables=tuple(env),
            keeps_output=keeps_output,
            settings=tuple(f"{name}={value}" for name, value in (settings or {}).items()),
        )
        self._apps: list[_App] = []
        self._running: tuple[Host, Engine] | None = None
        # Whoever starts or stops it waits for who does so already.
        self._changing = asyncio.Lock()
        self._opened = AsyncExitStack()

    async def start(self) -> None:
        """Open the store, load the workflows and begin to run what is due; return when they run.

        What was running when the application ended last goes on. Raises AlreadyStarted, InvalidInput, InvalidSetting,
        ScriptError or StoreError; then nothing is left open. It can be started again after `stop`.
        """
        async with self._changing, AsyncExitStack() as opened:
            if self._running is not None:
                raise AlreadyStarted(
                    "this Stepwell runs already; stop it first, or make another with a store of its own"
                )
            host = await opened.enter_async_context(open_host(self._options))
            await host.supervisor.start()
            engine = Engine(host.store, settings=host.told)
            opened.push_async_callback(engine.jobs.stop)
            opened.push_async_callback(engine.terminations.stop)
            await engine.terminations.resume()
            await engine.jobs.resume()
            await opened.enter_async_context(host.tending(engine))
            opened.enter_context(_hearing_the_end(self._end_streams))
            self._running = host, engine
            self._opened = opened.pop_all()

    async def stop(self) -> None:
        """Begin nothing more, give steps in flight their grace (setting `grace`), and close the store.

        What has not ended goes on when it is started again. Without effect where it does not run.
        """
        async with self._changing:
            self._running = None
            self._end_streams()
            await self._opened.aclose()

    async def __aenter__(self) -> "Stepwell":
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def engine(self) -> Engine:
        """The engine, which knows all accounts. Raises NotStarted."""
        return self._runs()[1]

    @property
    def workflows(self) -> list[str]:
        """The names of the workflows that are served. Raises NotStarted."""
        return self._runs()[0].supervisor.workflows

    def workflow(self, name: str) -> WorkflowBinding:
        """Return a workflow, as `self.env.NAME` is one in workflows, with `create`, `get` and more. Raises NotStarted.

        Whether there is one of that name is seen when it is asked for something.
        """
        return WorkflowBinding(self.engine, self._options.account, name)

    def asgi(self, base_path: str = "", *, tokens: bool = True, hosts: Iterable[str] = LOOPBACK_HOSTS) -> ASGIApp:
        """Return the HTTP API and the dashboard as an ASGI application; it can be mounted before this is started.

        `base_path` is where it is mounted, such as "/stepwell". With `tokens` each request needs one, as with
        `stepwell serve`. Without, whoever reaches it may do everything: then requests have to be sent to one of
        `hosts`, by default this machine's own names, so that no page elsewhere can make a browser send them.
        """
        app = _App(partial(self._api, base_path.rstrip("/"), None if tokens else frozenset(hosts)))
        self._apps.append(app)
        return app

    def _runs(self) -> tuple[Host, Engine]:
        if self._running is None:
            raise NotStarted(
                "this Stepwell does not run; start it with `async with stepwell:`, such as in the lifespan of the "
                "application, or with `await stepwell.start()`"
            )
        return self._running

    def _end_streams(self) -> None:
        for app in self._apps:
            app.end()

    def _api(self, base: str, hosts: frozenset[str] | None) -> Api:
        """Return the API; `hosts` None: it asks for tokens."""
        engine = self.engine
        tokens = Tokens(engine.store, SystemClock()) if hosts is None else None
        account = None if hosts is None else self._options.account
        return create_app(engine, account=account, hosts=hosts, tokens=tokens, base=base)


@contextmanager
def _hearing_the_end(asked: Callable[[], None]) -> Iterator[None]:
    """Call something on this loop when the process is asked to end, besides whoever else hears of that.

    A web server stops an application only when all answers have been sent, and a stream's never has.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(asked)
        before[signal.Signals(number)](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # Where nobody hears it the process ends at once, or goes on.
            if callable(handler := signal.getsignal(number)):
                before[number] = handler
                signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            # Somebody may have come behind us.
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


class _App:
    """The API, while the engine runs."""

    def __init__(self, make: Callable[[], Api]) -> None:
        """`make` raises NotStarted while it does not."""
        self._make = make
        self._api: Api | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. No lifespan is spoken: the application starts the engine."""
        if scope["type"] not in {"http", "websocket"}:
            return
        app: ASGIApp
        try:
            app = self._api = self._api or self._make()
        except NotStarted as error:
            app = PlainTextResponse(f"{error}\n", _UNAVAILABLE)
        await app(scope, receive, send)

    def end(self) -> None:
        """End what is streamed: the engine stops."""
        if self._api is not None:
            self._api.end_streams()
            self._api = None
