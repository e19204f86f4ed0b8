"""Who makes a request, and who answers it. Stepwell's own route."""

import msgspec
from starlette.responses import Response

from stepwell import __version__
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.tokens import Permission


class TokenShown(msgspec.Struct):
    """A token, without its secret."""

    id: str
    name: str
    expires_on: str | None


class Whoami(msgspec.Struct):
    """Who calls, for which account and with which permissions; the server's release, and its clock."""

    account: str
    token: TokenShown | None
    permissions: list[str]
    version: str
    now: str


async def whoami(engine: Engine, request: ApiRequest) -> Response:
    """Answer who calls; a server that asks for no token lets everybody do all."""
    caller, token = request.caller, None
    if caller is not None:
        expires_on = None if caller.expires_at is None else iso(caller.expires_at)
        token = TokenShown(caller.token, caller.name, expires_on)
    permissions = sorted(Permission if caller is None else caller.permissions)
    now = iso(engine.clock.now())
    return envelope.success(Whoami(request.path["account_id"], token, [*map(str, permissions)], __version__, now))
