"""Requests made up from the OpenAPI document, valid ones and others: the program answers as the document says."""

import asyncio
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stepwell.api import create_app
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.server_settings import Settings
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens
from tests.api.deploying import deployments
from tests.api.described import BY_ID, DOCUMENT
from tests.api.histories import Histories

SERVER = "http://localhost:8787"
# Of each operation, beside some fifty at the bounds of its parameters.
EXAMPLES = 5
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(
            # A token is for one account: every other one is 403. Who follows an instance waits for its end.
            parameters={"account_id": "local", "follow": "false"},
            generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True, with_security_parameters=False),
        )
    )
)

SCHEMA = schemathesis.openapi.from_dict({**DOCUMENT, "servers": [{"url": SERVER}]}, config=CONFIG)
# A stream of events goes on as long as its instance; a check starts a process for each request that can be read.
IDS = [id for id in BY_ID if id not in {"stepwell-instances-events", "stepwell-checks"}]


async def answer(request: dict[str, Any], store: SqliteStore) -> httpx.Response:
    """Send a request, with a token that may write, to a new server that has some instances."""
    engine = Engine(store, VirtualClock(), settings=Settings(longest_poll=0))
    histories = Histories(engine, engine.clock)  # type: ignore[arg-type]  # the clock above
    await histories.register("order")
    await histories.complete("order", "done")
    await histories.queued("order", "order-1")
    tokens = Tokens(store, engine.clock)
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE, Permission.DEPLOY])
    app = create_app(engine, account=None, hosts=None, tokens=tokens, deployments=deployments(engine))
    # As bytes: a client may send more than ASCII.
    given = {name: str(value).encode(errors="replace") for name, value in request.pop("headers").items()}
    headers = {**given, "Authorization": f"Bearer {secret}".encode()}
    cookies, data = request.pop("cookies"), request.pop("data", None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), cookies=cookies) as client:
        async with asyncio.timeout(10):
            answered = await client.request(headers=headers, content=data, **request)
            # What is checked looks at it, and a form is not read before.
            await answered.request.aread()
    await store.close()
    return answered


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def hold(case: Any) -> None:
    """Send a request, and hold the answer against the document."""
    request = case.as_transport_kwargs(base_url=SERVER)

    answered = asyncio.run(answer(request, SqliteStore.in_memory()))

    # A method that the path does not have is answered with 405, which belongs to no operation.
    is_described = case.method == case.operation.method.upper()
    case.validate_response(answered, checks=CHECKS if is_described else [not_a_server_error])


# Not `SCHEMA.parametrize()`: that makes the requests at the bounds up when tests are collected, of all operations, in
# each process of the tests.
@pytest.mark.parametrize("id", IDS)
def test_program_answers_as_the_document_says(id: str) -> None:
    """No request that the document allows, nor one that it does not, gets a 5xx or an answer that it does not have."""
    operation = SCHEMA.include(operation_id=id)

    (made,) = get_all_tests(schema=operation, test_func=hold, settings=None, given_kwargs=None)

    assert isinstance(made, Ok)
    _, test = made.ok()
    test()
