"""Who the caller is and which accounts he has: what Cloudflare's tools ask before anything else.

Stepwell has no users: whoever is let in is the owner of the accounts that he may use.

Source: developers.cloudflare.com/api/resources/user/ and developers.cloudflare.com/api/resources/accounts/
"""

import uuid
from typing import Literal

import msgspec
from starlette.responses import Response

from stepwell.api import envelope
from stepwell.api.paging import NumberedPage
from stepwell.api.query import Query
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.models import Problem

PER_PAGE = 20
MOST_PER_PAGE = 50

# Cloudflare's message where a token is good.
_ACTIVE = Problem(10000, "This API Token is valid and active")
OWNER = "owner@stepwell.invalid"
_ROLE = "Super Administrator - All Privileges"


class TokenState(msgspec.Struct):
    """A token that was let in."""

    id: str
    status: Literal["active"] = "active"


class User(msgspec.Struct):
    """Who calls."""

    id: str
    email: str
    first_name: None = None
    last_name: None = None
    suspended: bool = False
    two_factor_authentication_enabled: bool = False
    two_factor_authentication_locked: bool = False
    organizations: list[str] = []
    betas: list[str] = []


class AccountRules(msgspec.Struct, frozen=True):
    """What an account demands of its members."""

    enforce_twofactor: bool = False


class Account(msgspec.Struct):
    """An account."""

    id: str
    name: str
    type: Literal["standard"] = "standard"
    settings: AccountRules = AccountRules()


class Membership(msgspec.Struct):
    """That the caller belongs to an account."""

    id: str
    account: Account
    status: Literal["accepted"] = "accepted"
    api_access_enabled: bool = True
    roles: tuple[str, ...] = (_ROLE,)


async def verify_token(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer that the caller's token, or the lack of one, was good enough."""
    return envelope.success(TokenState(_id("token", request)), messages=[_ACTIVE])


async def get_user(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with the one user that there is."""
    return envelope.success(User(_id("user", request), OWNER))


async def list_accounts(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with the caller's accounts."""
    return _page(request.query, [_account(request.account)])


async def get_account(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with one of the caller's accounts, under the id that he gave it."""
    return envelope.success(_account(request.path["account_id"]))


async def list_memberships(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer that the caller is a member of his accounts."""
    member = Membership(_id(f"member of {request.account}", request), _account(request.account))
    return _page(request.query, [member])


def _page(query: Query, everything: list[Account] | list[Membership]) -> Response:
    page = NumberedPage.asked_by(query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    shown = everything[page.offset : page.offset + page.per_page]
    return envelope.success(shown, page.info(len(shown), len(everything)))


def _account(id: str) -> Account:
    return Account(id, id)


def _id(what: str, request: ApiRequest) -> str:
    """Return the id of something that has none of its own: always the same for the same account."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"stepwell/{what}/{request.account}").hex
