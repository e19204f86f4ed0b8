"""Requests that Schemathesis makes up from the OpenAPI document, and what their answers are held against."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.server_settings import Settings
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens
from tests.api.deploying import deployments
from tests.api.described import DOCUMENT
from tests.api.histories import Histories

SERVER = "http://localhost:8787"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@cache
def _schema(examples: int) -> BaseSchema:
    # A token is for one account: every other one is 403. Who follows an instance waits for its end.
    project = ProjectConfig(
        parameters={"account_id": "local", "follow": "false"},
        generation=GenerationConfig(max_examples=examples, deterministic=True, with_security_parameters=False),
    )
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict({**DOCUMENT, "servers": [{"url": SERVER}]}, config=config)


def check(id: str, examples: int) -> None:
    """Hold the answers of an operation against the document: so many made up, and those at the bounds."""
    servers = Servers()
    operation = _schema(examples).include(operation_id=id)

    (made,) = get_all_tests(schema=operation, test_func=_holding(servers, examples), settings=None, given_kwargs=None)

    assert isinstance(made, Ok)
    _, test = made.ok()
    try:
        test()
    finally:
        servers.close()


class Servers:
    """Servers that have some instances, for a token that may write: after each change another one takes over."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._server: tuple[SqliteStore, ASGIApp, bytes] | None = None

    def answer(self, request: dict[str, Any]) -> httpx.Response:
        """Send a request."""
        if self._server is None:
            # Made outside the event loop, since that reads files.
            self._server = self._runner.run(_filled(SqliteStore.in_memory()))
        _, app, secret = self._server
        answered = self._runner.run(_answered(app, request, secret))
        # What is refused has changed nothing.
        if answered.is_success and request["method"] not in ("GET", "HEAD", "OPTIONS"):
            self.close_server()
        return answered

    def close_server(self) -> None:
        """Let the next request have another server."""
        if self._server is not None:
            self._runner.run(self._server[0].close())
        self._server = None

    def close(self) -> None:
        """Leave nothing behind."""
        self.close_server()
        self._runner.close()


async def _filled(store: SqliteStore) -> tuple[SqliteStore, ASGIApp, bytes]:
    engine = Engine(store, VirtualClock(), settings=Settings(longest_poll=0))
    histories = Histories(engine, engine.clock)  # type: ignore[arg-type]  # the clock above
    await histories.register("order")
    await histories.complete("order", "done")
    await histories.queued("order", "order-1")
    tokens = Tokens(store, engine.clock)
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE, Permission.DEPLOY])
    app = create_app(engine, account=None, hosts=None, tokens=tokens, deployments=deployments(engine))
    return store, app, secret.encode()


async def _answered(app: ASGIApp, request: dict[str, Any], secret: bytes) -> httpx.Response:
    # As bytes: a client may send more than ASCII.
    given = {name: str(value).encode(errors="replace") for name, value in request["headers"].items()}
    headers = {**given, "Authorization": b"Bearer " + secret}
    rest = {name: value for name, value in request.items() if name not in ("headers", "cookies", "data")}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), cookies=request["cookies"]) as client:
        async with asyncio.timeout(10):
            answered = await client.request(headers=headers, content=request.get("data"), **rest)
            # What is checked looks at it, and a form is not read before.
            await answered.request.aread()
    return answered


def _holding(servers: Servers, examples: int) -> Callable[..., None]:
    """Return what sends a request, and holds the answer against the document."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    def hold(case: Any) -> None:
        answered = servers.answer(case.as_transport_kwargs(base_url=SERVER))

        # A method that the path does not have is answered with 405, which belongs to no operation.
        is_described = case.method == case.operation.method.upper()
        case.validate_response(answered, checks=CHECKS if is_described else [not_a_server_error])

    return hold
