"""Who may make a request: credentials, permissions, accounts; one rule for each route."""

import base64
import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from starlette.types import ASGIApp

from stepwell.api import routes
from stepwell.api.auth import Need, need_of
from stepwell.api.routes import DASHBOARD, ROUTES, SUBSCRIBE, Route
from stepwell.clock import VirtualClock
from stepwell.dashboard import files
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask, ask_socket
from tests.api.histories import Histories
from tests.api.signed_in import session_of

ACME = "/client/v4/accounts/local/workflows"
ONE_DAY_MS, MINUTE_MS = 86_400_000, 60_000

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


@functools.cache
def _digest() -> str:
    """Return the hash of the dashboard's files, which takes a second to make: a thread reads them, not the loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(files.digest).result()


def path_of(route: Route) -> str:
    """Return a path that leads to a route."""
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
        "webhook_id": "0123456789abcdef0123456789abcdef",
        "delivery_id": "msg_0123456789abcdef0123456789abcdef_1",
        "version_id": "6f0b6c1e-0000-4000-8000-000000000001",
        "page_path": "order/instances/a",
        "digest": _digest() if "{digest}" in route.pattern else "",
        "file_path": "app.js",
    }
    return route.pattern.format(**parts)


# All that the application finds; `test_every_route_has_the_rule_that_the_table_says` holds it to that.
BUILT = [*ROUTES, *DASHBOARD]
NO_TOKEN = "this request needs a token"
# What the dashboard's own pages send.
OF_PAGE = [("host", "localhost:8787"), ("origin", "http://localhost:8787"), ("x-stepwell-page", "1")]


def bearer(secret: str) -> tuple[str, str]:
    """Return the header of a token."""
    return "authorization", f"Bearer {secret}"


@dataclass(frozen=True)
class Secrets:
    """A token with each permission alone, one of another account with all, and some with all that are not good.

    `sessions`: of each token what the cookie of a browser holds that has signed in with it while it was good.
    """

    alone: Mapping[Permission, str]
    foreign: str
    bad: Mapping[str, str]
    sessions: Mapping[str, str]

    def cookie(self, secret: str) -> tuple[str, str]:
        """Return the header of the session of a token."""
        return "cookie", f"stepwell_session_8787={self.sessions[secret]}"

    @classmethod
    async def made(cls, tokens: Tokens, clock: VirtualClock) -> "Secrets":
        """Make them."""
        everything = list(Permission)
        expired = await tokens.create("local", everything, lifetime_ms=MINUTE_MS)
        sessions = {expired: await session_of(tokens, expired)}
        clock.move_to(clock.now() + MINUTE_MS)
        alone = {permission: await tokens.create("local", [permission]) for permission in Permission}
        revoked, foreign = await tokens.create("local", everything), await tokens.create("acme", everything)
        for secret in (*alone.values(), revoked, foreign):
            sessions[secret] = await session_of(tokens, secret)
        await tokens.revoke(revoked.split("_")[1])
        unknown = f"sw_{0:016x}_{'a' * 43}"
        bad = {"has expired": expired, "has been revoked": revoked, "is not known": unknown}
        return cls(alone, foreign, bad, {**sessions, unknown: unknown.replace("sw", "ss")})


def is_enough(need: Need, permission: Permission) -> bool:
    """Tell whether a permission is good for what a route needs."""
    return {
        Need.NOTHING: True,
        Need.ANY_TOKEN: True,
        Need.READ: permission in READS,
        Need.READ_CODE: permission in READS - {Permission.TAIL_READ},
        Need.WRITE: permission in WRITES,
        Need.DEPLOY: permission == Permission.DEPLOY,
        Need.READ_DEPLOYMENTS: permission in READS or permission == Permission.DEPLOY,
        Need.AUDIT: permission == Permission.AUDIT,
        Need.WEBHOOKS: permission == Permission.WEBHOOKS,
        Need.METRICS: permission == Permission.METRICS,
    }[need]


@pytest.mark.parametrize("route", BUILT, ids=lambda route: f"{route.method} {route.pattern}")
async def test_each_route_asks_for_its_permission(
    guarded: ASGIApp, tokens: Tokens, clock: VirtualClock, route: Route
) -> None:
    """Every credential against every route, by header and by session: none, bad ones, a foreign one, each permission.

    Those that are to be refused come first: then there still is what they may not touch.
    """
    secrets = await Secrets.made(tokens, clock)
    need = RULES[f"{route.method} {route.pattern}"]
    is_open, has_account = need is Need.NOTHING, "{account_id}" in route.pattern
    path = path_of(route)

    async def asked(*credential: tuple[str, str]) -> tuple[int, str]:
        answer = await ask(guarded, path, route.method, headers=[*OF_PAGE, *credential])
        is_failure = answer.status >= 400 and answer.headers["content-type"] == "application/json"
        return answer.status, answer.refusal()[2] if is_failure else ""

    status, text = await asked()
    assert (status in (200, 400), NO_TOKEN in text) == ((True, False) if is_open else (False, True))
    for problem, secret in secrets.bad.items():
        status, text = await asked(bearer(secret))
        assert (status, f"the token {problem}" in text) == (401, True)
        status, text = await asked(secrets.cookie(secret))
        assert (status == 401, NO_TOKEN in text) == ((False, False) if is_open else (True, True))
    for way in (bearer, secrets.cookie):
        status, text = await asked(way(secrets.foreign))
        assert (status == 403 and "is for another account" in text) is (has_account and not is_open)
        for permission, secret in sorted(secrets.alone.items(), key=lambda one: is_enough(need, one[0])):
            status, text = await asked(way(secret))
            if is_enough(need, permission):
                assert status not in (401, 403), permission
            else:
                said = f"the token has {permission}; {route.method} {route.pattern} needs "
                assert (status, said in text) == (403, True), permission


async def test_upgrade_is_no_way_round_a_permission(
    guarded: ASGIApp, tokens: Tokens, clock: VirtualClock, histories: Histories
) -> None:
    """One that is asked for is refused as the plain request is, and one route alone opens a WebSocket."""
    await histories.queued("order", "a")
    secrets = await Secrets.made(tokens, clock)
    read = {route.pattern for route in BUILT if route.method == "GET"}

    async def status(path: str, *credential: tuple[str, str]) -> int:
        return (await ask_socket(guarded, path, [*OF_PAGE, *credential])).status

    for route in BUILT:
        need, path = RULES[f"{route.method} {route.pattern}"], path_of(route)
        given = {one: await status(path, bearer(secret)) for one, secret in secrets.alone.items()}
        bad = [await status(path, bearer(secret)) for secret in secrets.bad.values()]
        assert bad == [401] * 3, path
        if route.method == "GET":
            opens = 101 if route.number == SUBSCRIBE else 400
            assert given == {one: opens if is_enough(need, one) else 403 for one in Permission}, path
            assert await status(path) == (400 if need is Need.NOTHING else 401), path
        elif route.pattern not in read:
            assert set(given.values()) <= {404, 405}, path


def test_every_route_has_the_rule_that_the_table_says() -> None:
    """A route that is added without a line in the table fails here, and so does a line without a route."""
    found = {
        f"{route.method} {route.pattern}": route for _, by_method in routes.all_routes() for route in by_method.values()
    }

    assert {name: need_of(route) for name, route in found.items()} == RULES
    assert sorted(found) == sorted(f"{route.method} {route.pattern}" for route in BUILT)


PREFIX = "/client/v4/accounts/{account_id}"
_INSTANCES = f"{PREFIX}/workflows/{{workflow_name}}/instances"
_INSTANCE = f"{_INSTANCES}/{{instance_id}}"
_VERSION = f"{PREFIX}/workflows/{{workflow_name}}/versions/{{version_id}}"
_TRIGGERS = f"{PREFIX}/triggers/{{script_name}}"
_OWN = f"{PREFIX}/stepwell/workflows/{{workflow_name}}/instances/{{instance_id}}"
_SCHEDULES = f"{PREFIX}/stepwell/schedules"
_WEBHOOKS = f"{PREFIX}/stepwell/webhooks"
_SCHEDULE = f"{_SCHEDULES}/{{workflow_name}}/{{cron}}"
# The rule of each route, said once more: a new route needs a line here.
RULES = {
    "GET /healthz": Need.NOTHING,
    "GET /metrics": Need.METRICS,
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
    f"GET {_OWN}/attributes": Need.READ,
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
    f"GET {PREFIX}/stepwell/facts": Need.READ,
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
    f"GET {_WEBHOOKS}": Need.WEBHOOKS,
    f"POST {_WEBHOOKS}": Need.WEBHOOKS,
    f"GET {_WEBHOOKS}/{{webhook_id}}": Need.WEBHOOKS,
    f"PATCH {_WEBHOOKS}/{{webhook_id}}": Need.WEBHOOKS,
    f"DELETE {_WEBHOOKS}/{{webhook_id}}": Need.WEBHOOKS,
    f"POST {_WEBHOOKS}/{{webhook_id}}/secret": Need.WEBHOOKS,
    f"POST {_WEBHOOKS}/{{webhook_id}}/test": Need.WEBHOOKS,
    f"GET {_WEBHOOKS}/{{webhook_id}}/deliveries": Need.WEBHOOKS,
    f"POST {_WEBHOOKS}/{{webhook_id}}/deliveries/{{delivery_id}}/redeliver": Need.WEBHOOKS,
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
    # The dashboard's: its document and files hold nothing that is anybody's.
    **{
        f"GET {page}": Need.NOTHING
        for page in (
            "/",
            "/login",
            "/instances",
            "/schedules",
            "/hosts",
            "/jobs",
            "/about",
            "/audit",
            "/facts",
            "/webhooks",
        )
    },
    "GET /webhooks/{webhook_id}": Need.NOTHING,
    "GET /workflows": Need.NOTHING,
    "GET /workflows/{page_path}": Need.NOTHING,
    "GET /ui/static/{digest}/{file_path}": Need.NOTHING,
    "GET /ui/session": Need.NOTHING,
    "POST /ui/session": Need.NOTHING,
    "DELETE /ui/session": Need.NOTHING,
    "GET /ui/overview": Need.READ,
    "GET /ui/outcomes": Need.READ,
    "GET /ui/ends": Need.READ,
    "GET /ui/peaks": Need.READ,
    "GET /ui/webhooks": Need.WEBHOOKS,
    "GET /ui/live": Need.READ,
}
