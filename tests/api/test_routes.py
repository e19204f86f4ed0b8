"""How a path finds its route."""

import re

import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app, routes
from stepwell.engine import Engine
from tests.api.asgi import ask
from tests.api.histories import Histories


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("workflows/order/instances/i-1", id="plain"),
        pytest.param("workflows/order/instances/i-1/", id="trailing slash"),
        pytest.param("workflows/order/instances/i-1?", id="empty query"),
        pytest.param("workflows/order/instances/i-1/?", id="trailing slash, empty query"),
        pytest.param("workflows/%6Frder/instances/%69%2D1", id="escaped without need"),
    ],
)
async def test_every_spelling_of_a_path_leads_to_the_instance(app: ASGIApp, histories: Histories, target: str) -> None:
    """A trailing slash, an empty query and needless escapes do not matter."""
    await histories.queued("order", "i-1")

    answer = await ask(app, target)

    assert (answer.status, answer.json()["result"]["status"]) == (200, "queued")


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param("*%2F30%20*%20*%20*%20*-1786001400000", id="escaped"),
        pytest.param("*/30%20*%20*%20*%20*-1786001400000", id="slash not escaped"),
        pytest.param("%2A%2F30%20%2A%20%2A%20%2A%20%2A-1786001400000", id="everything escaped"),
        pytest.param("*/30%20*%20*%20*%20*-1786001400000/", id="trailing slash"),
        pytest.param("0%208-18/2,20%20*%20%23%20MON-FRI-1786001400000", id="commas and hash"),
        pytest.param("a/b/c", id="slashes"),
        pytest.param("x" * 100, id="100 characters"),
        pytest.param("x" * 271, id="271 characters"),
        pytest.param("terminateAll", id="word that is no route"),
    ],
)
async def test_wide_instance_id_is_looked_up(app: ASGIApp, histories: Histories, tail: str) -> None:
    """Ids of cron instances are addressable, escaped or not, up to 271 characters."""
    answer = await ask(app, f"workflows/order/instances/{tail}")

    status, code, message = answer.refusal()

    assert (status, code) == (404, 10400)
    assert message.startswith("workflows.api.error.instance.not_found: ")


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param("x" * 272, id="272 characters"),
        pytest.param("a%00b", id="null character"),
        pytest.param("a.b", id="dot"),
        pytest.param("..", id="two dots"),
        pytest.param("%C3%A9", id="letter beyond ASCII"),
        pytest.param("%FF", id="not UTF-8"),
        pytest.param("\xff", id="raw byte beyond ASCII"),
        pytest.param("%zz", id="broken escape"),
        pytest.param("a%", id="escape without digits"),
        pytest.param("a%0Ab", id="line break"),
        pytest.param("%22%3E%3Cscript%3E", id="markup"),
    ],
)
async def test_odd_instance_id_is_refused(app: ASGIApp, histories: Histories, tail: str) -> None:
    """An id that no instance can have is 400, and the message names it."""
    answer = await ask(app, f"workflows/order/instances/{tail}")

    status, code, message = answer.refusal()

    assert (status, code) == (400, 10002)
    assert message.startswith('workflows.api.error.body: instance_id "')


@pytest.mark.parametrize(
    ("target", "name"),
    [
        pytest.param("workflows/-order", "workflow_name", id="leading dash"),
        pytest.param("workflows/" + "x" * 65, "workflow_name", id="65 characters"),
        pytest.param("workflows/a%2Fb", "workflow_name", id="escaped slash"),
        pytest.param("workflows/a.b/instances", "workflow_name", id="dot"),
        pytest.param("workflows/%ed%a0%80/instances/i", "workflow_name", id="surrogate"),
        pytest.param("/client/v4/accounts/a.b/workflows", "account_id", id="account with a dot"),
        pytest.param(f"/client/v4/accounts/{'a' * 65}/workflows", "account_id", id="long account"),
    ],
)
async def test_odd_name_in_the_path_is_refused(app: ASGIApp, histories: Histories, target: str, name: str) -> None:
    """A workflow's name or an account's id that cannot be one is 400."""
    answer = await ask(app, target)

    status, code, message = answer.refusal()

    assert (status, code) == (400, 10002)
    assert message.startswith(f'workflows.api.error.body: {name} "')


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("workflows/" + "w" * 64, id="64 characters"),
        pytest.param("workflows/_", id="one character"),
        pytest.param("workflows/9-_", id="digits, dash, underscore"),
        pytest.param("workflows/none/instances", id="list"),
        pytest.param("workflows/none/instances/i", id="instance"),
    ],
)
async def test_unknown_workflow_is_404(app: ASGIApp, histories: Histories, target: str) -> None:
    """A workflow that is not there is 404 with code 10200, on which clients depend."""
    answer = await ask(app, target)

    status, code, message = answer.refusal()

    assert (status, code) == (404, 10200)
    assert message.startswith("workflows.api.error.workflow.not_found: no workflow ")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        pytest.param("GET", "/client/v4", id="the prefix alone"),
        pytest.param("GET", "/client/v4/zones", id="another product"),
        pytest.param("GET", "/client/v4/accounts//workflows", id="empty account"),
        pytest.param("GET", "workflows/order/instance/i", id="misspelt"),
        pytest.param("GET", "workflows//instances", id="empty workflow"),
        pytest.param("GET", "/favicon.ico", id="beside the API"),
        pytest.param("GET", "///", id="slashes"),
    ],
)
async def test_unknown_route_is_404(app: ASGIApp, histories: Histories, method: str, target: str) -> None:
    """A path that leads nowhere is 404 with code 7003, and the message names method and path."""
    answer = await ask(app, target, method)

    status, code, message = answer.refusal()

    assert (status, code) == (404, 7003)
    assert message.startswith(f"could not route {method} /")


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        pytest.param("PUT", "workflows", "GET, HEAD", id="workflows"),
        pytest.param("POST", "workflows/order/instances/i", "GET, DELETE, HEAD", id="instance"),
        pytest.param("GET", "workflows/order/instances/i/events/e", "POST", id="event"),
        pytest.param("PATCH", "workflows/order/instances", "GET, POST, HEAD", id="instances"),
        pytest.param("OPTIONS", "workflows/order", "GET, PUT, DELETE, HEAD", id="preflight"),
        pytest.param("POST", "/healthz", "GET, HEAD", id="health"),
        pytest.param("BREW", "workflows", "GET, HEAD", id="no method of HTTP"),
    ],
)
async def test_wrong_method_is_405(app: ASGIApp, histories: Histories, method: str, target: str, allowed: str) -> None:
    """A method that a path does not have is 405, with the ones that it has in Allow."""
    answer = await ask(app, target, method)

    assert answer.refusal()[:2] == (405, 7001)
    assert answer.headers["allow"] == allowed


async def test_head_is_answered_like_get(app: ASGIApp, histories: Histories) -> None:
    """HEAD gives GET's status and headers."""
    got = await ask(app, "workflows/order")

    answer = await ask(app, "workflows/order", "HEAD")

    assert (answer.status, answer.headers) == (200, got.headers)


async def test_any_account_is_the_local_one(app: ASGIApp, histories: Histories) -> None:
    """Where an account is fixed, every account id in the path means it."""
    answers = [await ask(app, f"/client/v4/accounts/{id}/workflows/order") for id in ("0" * 32, "x", "a_B-1")]

    names = [answer.json()["result"]["name"] for answer in answers]

    assert names == ["order", "order", "order"]


async def test_health_is_told(app: ASGIApp) -> None:
    """`/healthz` answers 200 without asking the store."""
    answer = await ask(app, "/healthz")

    assert (answer.status, answer.json()) == (200, {"status": "ok"})


async def test_credentials_are_ignored_on_loopback(app: ASGIApp, histories: Histories) -> None:
    """Whatever credentials a client sends, the development server takes the request."""
    headers = {
        "host": "localhost",
        "authorization": "bearer anything",
        "x-auth-email": "ann@example.com",
        "x-auth-key": "k",
        "content-type": "application/json",
    }

    answer = await ask(app, "workflows/order", headers=headers)

    assert answer.status == 200


async def test_accounts_are_apart_where_none_is_fixed(engine: Engine, histories: Histories) -> None:
    """Where no account is fixed, an account id in the path means itself."""
    app = create_app(engine, account=None, hosts=None)

    answers = [await ask(app, f"/client/v4/accounts/{id}/workflows/order") for id in ("local", "another")]

    assert [answer.status for answer in answers] == [200, 404]


@pytest.mark.parametrize("part", ["x", "client", "workflows", "a%2Fb", "a/b/c/d"])
def test_path_is_held_against_all_patterns_that_it_can_be(part: str) -> None:
    """To look only among those that are about the same finds what the first of all would be."""
    paths = [re.sub(r"\{\w+\}", part, route.pattern) for route in (*routes.ROUTES, *routes.DASHBOARD)]

    for path in paths:
        first = next((by_method for pattern, by_method in routes.all_routes() if pattern.fullmatch(path)), {})
        for method, route in first.items():
            assert routes.find(method, path)[0] is route
