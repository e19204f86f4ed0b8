"""Who makes a request, and whether he may: Cloudflare's two schemes, its permissions, and one rule for each route.

A token is for one account. A request for another account is refused whether that account exists or not.

Source: developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/ and, for each operation's permissions,
developers.cloudflare.com/api/resources/workflows/
"""

from enum import StrEnum

from starlette.datastructures import Headers
from starlette.requests import Request

from stepwell.api.refusals import Forbidden, Unauthorized, invalid
from stepwell.api.routes import Route
from stepwell.api.wrong_tokens import WrongTokens
from stepwell.tokens import (
    AUDITING,
    DEPLOYING,
    MEASURING,
    NOTIFYING,
    READING,
    READING_CODE,
    WRITING,
    Caller,
    Permission,
    Tokens,
)

_HOW = "send `Authorization: Bearer TOKEN`, or `X-Auth-Email` and `X-Auth-Key`; `stepwell token create` makes a token"
_READING = ("GET", "HEAD")


class Need(StrEnum):
    """What a route asks of its caller."""

    NOTHING = "nothing"
    ANY_TOKEN = "any token"  # noqa: S105  # a need, in words
    READ = "read"
    READ_CODE = "read code"
    WRITE = "write"
    DEPLOY = "deploy"
    READ_DEPLOYMENTS = "read or deploy"
    AUDIT = "audit"
    WEBHOOKS = "webhooks"
    METRICS = "metrics"


_PERMISSIONS: dict[Need, frozenset[Permission]] = {
    Need.READ: READING,
    Need.READ_CODE: READING_CODE,
    Need.WRITE: WRITING,
    Need.DEPLOY: DEPLOYING,
    Need.READ_DEPLOYMENTS: READING | DEPLOYING,
    Need.AUDIT: AUDITING,
    Need.WEBHOOKS: NOTIFYING,
    Need.METRICS: MEASURING,
}

# Routes of Cloudflare's are read with GET and written with anything else; the others are named one by one.
_OWN_NEEDS = {
    "/healthz": Need.NOTHING,
    # They are of all accounts, so they are the operator's.
    "/metrics": Need.METRICS,
    "/openapi.json": Need.NOTHING,
    "/docs": Need.NOTHING,
    "/docs/{operation_id}": Need.NOTHING,
    "/client/v4/user": Need.ANY_TOKEN,
    "/client/v4/user/tokens/verify": Need.ANY_TOKEN,
    "/client/v4/accounts": Need.ANY_TOKEN,
    "/client/v4/accounts/{account_id}": Need.ANY_TOKEN,
    "/client/v4/memberships": Need.ANY_TOKEN,
    # Who may follow what scripts say may not read them, as on Cloudflare.
    "/client/v4/accounts/{account_id}/stepwell/workflows/{workflow_name}/versions/{version_id}/source": Need.READ_CODE,
    # Who may read what instances do need not know who controls them, and from where; nor the other way round.
    "/client/v4/accounts/{account_id}/stepwell/audit": Need.AUDIT,
    # A token that is good for nothing else may know so.
    "/client/v4/accounts/{account_id}/stepwell/whoami": Need.ANY_TOKEN,
}
# The document and its files hold nothing that is anybody's; what they show is asked for with the session.
_PAGES = (
    "/",
    "/login",
    "/instances",
    "/schedules",
    "/hosts",
    "/jobs",
    "/audit",
    "/facts",
    "/webhooks",
    "/webhooks/{webhook_id}",
    "/about",
    "/workflows",
    "/workflows/{page_path}",
    "/ui/static/{digest}/{file_path}",
    "/ui/session",
)
_SHOWN = ("/ui/ends", "/ui/live", "/ui/outcomes", "/ui/overview", "/ui/peaks")
_OWN_NEEDS |= {**dict.fromkeys(_PAGES, Need.NOTHING), **dict.fromkeys(_SHOWN, Need.READ), "/ui/webhooks": Need.WEBHOOKS}
# What runs code of the caller's, or other code than runs now; and what tells of it.
_SCRIPT = "/client/v4/accounts/{account_id}/workers/scripts/{script_name}"
_DEPLOYMENTS = {
    ("PUT", _SCRIPT): Need.DEPLOY,
    ("POST", f"{_SCRIPT}/versions"): Need.DEPLOY,
    ("POST", f"{_SCRIPT}/deployments"): Need.DEPLOY,
    ("PATCH", f"{_SCRIPT}/script-settings"): Need.DEPLOY,
    ("POST", f"{_SCRIPT}/subdomain"): Need.DEPLOY,
    ("PUT", f"{_SCRIPT}/schedules"): Need.DEPLOY,
    ("GET", f"{_SCRIPT}/secrets"): Need.READ_DEPLOYMENTS,
    ("GET", f"{_SCRIPT}/versions"): Need.READ_DEPLOYMENTS,
    ("GET", f"{_SCRIPT}/versions/{{script_version_id}}"): Need.READ_DEPLOYMENTS,
    ("GET", f"{_SCRIPT}/deployments"): Need.READ_DEPLOYMENTS,
    ("GET", "/client/v4/accounts/{account_id}/workers/services/{script_name}"): Need.READ_DEPLOYMENTS,
    ("GET", "/client/v4/accounts/{account_id}/workers/workers/{script_name}"): Need.READ_DEPLOYMENTS,
    ("GET", "/client/v4/accounts/{account_id}/workers/subdomain"): Need.READ_DEPLOYMENTS,
    ("POST", "/client/v4/accounts/{account_id}/stepwell/deployments"): Need.DEPLOY,
    ("POST", "/client/v4/accounts/{account_id}/stepwell/checks/{script_name}"): Need.DEPLOY,
    ("GET", "/client/v4/accounts/{account_id}/stepwell/deployments"): Need.READ_DEPLOYMENTS,
}
# What makes the server send requests, and tells of the workflows of an account what happens in them.
_WEBHOOKS = "/client/v4/accounts/{account_id}/stepwell/webhooks"
_OWN_PREFIX = "/client/v4/accounts/{account_id}/stepwell/"


def need_of(route: Route) -> Need:
    """Return what a route asks of its caller. Raises KeyError for a route without a rule."""
    if (need := _DEPLOYMENTS.get((route.method, route.pattern))) is not None:
        return need
    if route.pattern in _OWN_NEEDS:
        return _OWN_NEEDS[route.pattern]
    if route.pattern == _WEBHOOKS or route.pattern.startswith(f"{_WEBHOOKS}/"):
        return Need.WEBHOOKS
    if route.number is None and not route.pattern.startswith(_OWN_PREFIX):
        raise KeyError(route.pattern)
    return Need.READ if route.method in _READING else Need.WRITE


async def identify(http: Request, tokens: Tokens, wrong_tokens: WrongTokens) -> Caller | None:
    """Return who makes a request; None if it has no credentials.

    Where both schemes come, the bearer's decides. Raises Unauthorized or TooManyWrongTokens, or InvalidInput for half a
    pair.
    """
    headers = http.headers
    bearer = headers.getlist("authorization")
    if len(bearer) > 1:
        raise invalid("authorization", f"the header Authorization is given {len(bearer)} times; give it once")
    credentials = (_bearer(bearer[0]), None) if bearer else _pair(headers)
    return None if credentials is None else await wrong_tokens.authenticate(tokens, http.scope, *credentials)


def check(caller: Caller | None, route: Route, account: str) -> None:
    """Raise Unauthorized or Forbidden if a caller may not use a route for an account."""
    need = need_of(route)
    if need is Need.NOTHING:
        return
    wanted = _PERMISSIONS.get(need)
    if caller is None:
        permission = "" if wanted is None else f" It has to have {_any_of(wanted)}."
        raise Unauthorized(f"this request needs a token: {_HOW}.{permission}")
    if account != caller.account:
        raise Forbidden(f'Authentication error: the token is for another account than "{account:.100}"')
    if wanted is not None and not wanted & caller.permissions:
        raise Forbidden(
            f"Authentication error: the token has {', '.join(sorted(caller.permissions))}; "
            f"{route.method} {route.pattern} needs {_any_of(wanted)}"
        )


def _bearer(header: str) -> str:
    scheme, _, secret = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized(f"the header Authorization is no `Bearer TOKEN`: {_HOW}")
    return secret.strip()


def _pair(headers: Headers) -> tuple[str, str] | None:
    key, email = headers.get("x-auth-key"), headers.get("x-auth-email")
    if key is None and email is None:
        return None
    if key is None:
        raise invalid("X-Auth-Key", "the header X-Auth-Email came without X-Auth-Key; send both")
    if email is None:
        raise invalid("X-Auth-Email", "the header X-Auth-Key came without X-Auth-Email; send both")
    return key, email


def _any_of(permissions: frozenset[Permission]) -> str:
    names = sorted(permissions)
    return names[0] if len(names) == 1 else f"one of: {', '.join(names)}"
