"""Who may make a request: credentials, permissions, accounts; one rule for each route."""

import base64
from collections.abc import Mapping

import pytest
from starlette.types import ASGIApp

from stepwell.api.auth import Need, need_of
from stepwell.api.routes import ROUTES, Route
from stepwell.clock import VirtualClock
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask

ACME = "/client/v4/accounts/local/workflows"
ONE_DAY_MS = 86_400_000

# What each permission lets its holder do.
READS = {Permission.TAIL_READ, Permission.SCRIPTS_READ, Permission.SCRIPTS_WRITE}
WRITES = {Permission.SCRIPTS_WRITE}


async def asked(app: ASGIApp, headers: Mapping[str, str], path: str = ACME) -> Answer:
    """Ask for the workflows with these headers."""
    return await ask(app, path, headers=list(headers.items()))


async def test_bearer_and_key_are_the_same_secret(guarded: ASGIApp, tokens: Tokens) -> None:
    """A token is taken as a bearer's, whatever the scheme's capitals, and as a key with its own address."""
    secret = await tokens.create("local", [Permission.SCRIPTS_READ], email="Ann@example.com")

    answers = [
        await asked(guarded, {"authorization": f"Bearer {secret}"}),
        await asked(guarded, {"authorization": f"bearer  {secret} "}),
        await asked(guarded, {"x-auth-key": secret, "x-auth-email": "ann@EXAMPLE.com"}),
        await asked(guarded, {"authorization": f"Bearer {secret}", "x-auth-key": "nonsense"}),
    ]

    assert [answer.status for answer in answers] == [200, 200, 200, 200]


async def test_credentials_that_are_not_good_are_401(guarded: ASGIApp, tokens: Tokens, clock: VirtualClock) -> None:
    """What is wrong with them is said, and that a bearer's token is wanted."""
    plain = await tokens.create("local", [Permission.SCRIPTS_READ])
    mailed = await tokens.create("local", [Permission.SCRIPTS_READ], email="ann@example.com")
    short = await tokens.create("local", [Permission.SCRIPTS_READ], lifetime_ms=ONE_DAY_MS)
    gone = await tokens.create("local", [Permission.SCRIPTS_READ])
    await tokens.revoke(gone.split("_")[1])
    clock.move_to(clock.now() + ONE_DAY_MS)
    basic = base64.b64encode(b"a:b").decode()
    cases = {
        "this request needs a token": {},
        "the header Authorization is no `Bearer TOKEN`": {"authorization": f"Basic {basic}"},
        "the header Authorization is no": {"authorization": "Bearer"},
        "the token is not known here": {"authorization": f"Bearer {plain[:-1]}{'a' if plain[-1] != 'a' else 'b'}"},
        "the token is not known": {"authorization": "Bearer sw_0000000000000000_" + "a" * 43},
        "the token is not": {"authorization": "Bearer \u00e9".encode().decode("latin-1")},
        "the token is": {"x-auth-key": plain, "x-auth-email": "ann@example.com"},
        "the token": {"x-auth-key": mailed, "x-auth-email": "ben@example.com"},
        "the token has expired": {"authorization": f"Bearer {short}"},
        "the token has been revoked": {"authorization": f"Bearer {gone}"},
    }

    for text, headers in cases.items():
        answer = await asked(guarded, headers)

        status, code, message = answer.refusal()
        assert (status, code) == (401, 10000), text
        assert message.startswith(f"Authentication error: {text}")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "missing"),
    [
        pytest.param({"x-auth-key": "k"}, "X-Auth-Email", id="key alone"),
        pytest.param({"x-auth-email": "a@b"}, "X-Auth-Key", id="address alone"),
    ],
)
async def test_half_a_pair_is_400_and_names_the_other(guarded: ASGIApp, headers: dict[str, str], missing: str) -> None:
    """One of two headers is a mistake in the request, not a wrong key."""
    status, code, message = (await asked(guarded, headers)).refusal()

    assert (status, code) == (400, 10002)
    assert f"without {missing}; send both" in message


async def test_token_is_good_for_its_account_alone(guarded: ASGIApp, tokens: Tokens) -> None:
    """Another account is refused in the same words whether it has workflows, has none, or has the id asked for."""
    foreign = await tokens.create("acme", list(Permission))
    headers = {"authorization": f"Bearer {foreign}"}

    own = await asked(guarded, headers, "/client/v4/accounts/acme/workflows")
    others = [
        (await asked(guarded, headers, path)).refusal()
        for path in (ACME, f"{ACME}/order", f"{ACME}/order/instances/a", f"{ACME}/nothing")
    ]

    assert own.json()["result"] == []
    assert others == [(403, 10000, 'Authentication error: the token is for another account than "local"')] * 4


def _path(route: Route) -> str:
    parts = {
        "account_id": "local",
        "workflow_name": "order",
        "instance_id": "a",
        "event_type": "go",
        "operation_id": "workflows-list",
        "script_name": "s",
        "script_version_id": "6f0b6c1e-0000-4000-8000-000000000001",
        "cron": "0%209%20*%20*%20*",
        "limit_name": "desk",
        "job_id": "6f0b6c1e-0000-4000-8000-000000000002",
        "version_id": "6f0b6c1e-0000-4000-8000-000000000001",
    }
    return route.pattern.format(**parts)


BUILT = [*ROUTES]


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("route", BUILT, ids=lambda route: f"{route.method} {route.pattern}")
async def test_each_route_asks_for_its_permission(
    guarded: ASGIApp, tokens: Tokens, route: Route, permission: Permission
) -> None:
    """Every permission against every route: who reads, who writes; `deploy` and `audit` let do neither."""
    secret = await tokens.create("local", [permission])
    expected = {
        Need.NOTHING: True,
        Need.ANY_TOKEN: True,
        Need.READ: permission in READS,
        Need.READ_CODE: permission in READS - {Permission.TAIL_READ},
        Need.WRITE: permission in WRITES,
        Need.DEPLOY: permission == Permission.DEPLOY,
        Need.READ_DEPLOYMENTS: permission in READS or permission == Permission.DEPLOY,
        Need.AUDIT: permission == Permission.AUDIT,
    }[RULES[f"{route.method} {route.pattern}"]]

    answer = await ask(guarded, _path(route), route.method, headers=[("authorization", f"Bearer {secret}")])

    assert (answer.status == 403) is not expected
    if not expected:
        assert f"the token has {permission}; {route.method} {route.pattern} needs " in answer.refusal()[2]


@pytest.mark.parametrize("route", BUILT, ids=lambda route: f"{route.method} {route.pattern}")
async def test_only_what_is_no_secret_needs_no_token(guarded: ASGIApp, route: Route) -> None:
    """Without credentials every route is 401, but for the sign of life and the reference."""
    answer = await ask(guarded, _path(route), route.method)

    assert answer.status == (200 if RULES[f"{route.method} {route.pattern}"] is Need.NOTHING else 401)


PREFIX = "/client/v4/accounts/{account_id}"
_INSTANCES = f"{PREFIX}/workflows/{{workflow_name}}/instances"
_INSTANCE = f"{_INSTANCES}/{{instance_id}}"
_VERSION = f"{PREFIX}/workflows/{{workflow_name}}/versions/{{version_id}}"
_TRIGGERS = f"{PREFIX}/triggers/{{script_name}}"
_OWN = f"{PREFIX}/stepwell/workflows/{{workflow_name}}/instances/{{instance_id}}"
_SCHEDULES = f"{PREFIX}/stepwell/schedules"
_SCHEDULE = f"{_SCHEDULES}/{{workflow_name}}/{{cron}}"
# The rule of each route, said once more: a new route needs a line here.
RULES = {
    "GET /healthz": Need.NOTHING,
    "GET /openapi.json": Need.NOTHING,
    "GET /docs": Need.NOTHING,
    "GET /docs/{operation_id}": Need.NOTHING,
    "GET /client/v4/user": Need.ANY_TOKEN,
    "GET /client/v4/user/tokens/verify": Need.ANY_TOKEN,
    "GET /client/v4/accounts": Need.ANY_TOKEN,
    f"GET {PREFIX}": Need.ANY_TOKEN,
    "GET /client/v4/memberships": Need.ANY_TOKEN,
    f"GET {_OWN}": Need.READ,
    f"GET {_OWN}/logs": Need.READ,
    f"GET {_OWN}/events": Need.READ,
    f"GET {_OWN}/why": Need.READ,
    f"GET {_OWN}/retention": Need.READ,
    f"GET {_OWN}/tree": Need.READ,
    f"GET {_OWN}/history": Need.READ,
    f"GET {_OWN}/graph": Need.READ,
    f"PUT {PREFIX}/stepwell/limits/steps/{{limit_name}}": Need.WRITE,
    f"DELETE {PREFIX}/stepwell/limits/steps/{{limit_name}}": Need.WRITE,
    f"GET {_OWN.partition('/instances')[0]}/versions/{{version_id}}/graph": Need.READ,
    f"GET {_OWN.partition('/instances')[0]}/versions/{{version_id}}/source": Need.READ_CODE,
    f"GET {_OWN.partition('/instances')[0]}/versions/{{version_id}}": Need.READ,
    f"GET {PREFIX}/stepwell/limits": Need.READ,
    f"PATCH {PREFIX}/stepwell/limits": Need.WRITE,
    f"GET {_OWN.partition('/instances')[0]}/limits": Need.READ,
    f"GET {PREFIX}/stepwell/whoami": Need.ANY_TOKEN,
    f"GET {PREFIX}/stepwell/hosts": Need.READ,
    f"GET {PREFIX}/stepwell/audit": Need.AUDIT,
    f"PUT {PREFIX}/workers/scripts/{{script_name}}": Need.DEPLOY,
    f"POST {PREFIX}/workers/scripts/{{script_name}}/versions": Need.DEPLOY,
    f"POST {PREFIX}/workers/scripts/{{script_name}}/deployments": Need.DEPLOY,
    f"PATCH {PREFIX}/workers/scripts/{{script_name}}/script-settings": Need.DEPLOY,
    f"POST {PREFIX}/workers/scripts/{{script_name}}/subdomain": Need.DEPLOY,
    f"PUT {PREFIX}/workers/scripts/{{script_name}}/schedules": Need.DEPLOY,
    f"GET {PREFIX}/workers/scripts/{{script_name}}/secrets": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/scripts/{{script_name}}/versions": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/scripts/{{script_name}}/versions/{{script_version_id}}": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/scripts/{{script_name}}/deployments": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/services/{{script_name}}": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/workers/{{script_name}}": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/workers/subdomain": Need.READ_DEPLOYMENTS,
    f"GET {PREFIX}/stepwell/deployments": Need.READ_DEPLOYMENTS,
    f"POST {PREFIX}/stepwell/deployments": Need.DEPLOY,
    f"POST {PREFIX}/stepwell/workflows/{{workflow_name}}/instances/{{instance_id}}/fork": Need.WRITE,
    f"POST {PREFIX}/stepwell/workflows/{{workflow_name}}/move": Need.WRITE,
    f"POST {PREFIX}/stepwell/checks/{{script_name}}": Need.DEPLOY,
    f"GET {PREFIX}/stepwell/jobs": Need.READ,
    f"POST {PREFIX}/stepwell/jobs": Need.WRITE,
    f"GET {PREFIX}/stepwell/jobs/{{job_id}}": Need.READ,
    f"POST {PREFIX}/stepwell/jobs/{{job_id}}/cancel": Need.WRITE,
    f"GET {_SCHEDULES}": Need.READ,
    f"GET {_SCHEDULE}": Need.READ,
    f"PATCH {_SCHEDULE}": Need.WRITE,
    f"POST {_SCHEDULE}/run": Need.WRITE,
    f"GET {PREFIX}/stepwell/instances": Need.READ,
    f"GET {_OWN.rpartition('/')[0]}": Need.READ,
    f"POST {_OWN.rpartition('/')[0]}": Need.WRITE,
    f"GET {PREFIX}/workflows": Need.READ,
    f"GET {PREFIX}/workflows/{{workflow_name}}": Need.READ,
    f"PUT {PREFIX}/workflows/{{workflow_name}}": Need.WRITE,
    f"DELETE {PREFIX}/workflows/{{workflow_name}}": Need.WRITE,
    f"GET {PREFIX}/workflows/settings": Need.READ,
    f"PATCH {PREFIX}/workflows/settings": Need.WRITE,
    f"GET {_INSTANCES}": Need.READ,
    f"POST {_INSTANCES}": Need.WRITE,
    f"POST {_INSTANCES}/batch": Need.WRITE,
    f"POST {_INSTANCES}/batch/delete": Need.WRITE,
    f"POST {_OWN}/rollback": Need.WRITE,
    f"POST {_OWN}/step": Need.WRITE,
    f"POST {_INSTANCES}/batch/terminate": Need.WRITE,
    f"PUT {_INSTANCES}/terminate": Need.WRITE,
    f"GET {_INSTANCES}/terminate": Need.READ,
    f"GET {_INSTANCE}": Need.READ,
    f"DELETE {_INSTANCE}": Need.WRITE,
    f"GET {_INSTANCE}/step": Need.READ,
    f"PATCH {_INSTANCE}/status": Need.WRITE,
    f"POST {_INSTANCE}/events/{{event_type}}": Need.WRITE,
    f"GET {_INSTANCE}/subscribe": Need.READ,
    f"GET {_INSTANCE}/subscribe/token": Need.READ,
    f"GET {PREFIX}/workflows/{{workflow_name}}/versions": Need.READ,
    f"GET {_VERSION}": Need.READ,
    f"GET {_VERSION}/graph": Need.READ,
    f"GET {_VERSION}/dag": Need.READ,
    f"GET {_TRIGGERS}": Need.READ,
    f"PUT {_TRIGGERS}": Need.WRITE,
    f"PATCH {_TRIGGERS}": Need.WRITE,
    f"DELETE {_TRIGGERS}": Need.WRITE,
}


def test_every_route_has_the_rule_that_the_table_says() -> None:
    """A route that is added without a line in the table fails here."""
    assert {f"{route.method} {route.pattern}": need_of(route) for route in ROUTES} == {
        name: need for name, need in RULES.items() if name in {f"{route.method} {route.pattern}" for route in ROUTES}
    }
