"""How long instances are kept after their end: as bodies say it, and as Stepwell's own route shows it."""

import msgspec
from starlette.responses import Response

from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.expiry import said_of_instance, to_retention_ms
from stepwell.store.operations import Retention as SaidRetention
from stepwell.store.retention_operations import GetRetention


class InstanceRetention(msgspec.Struct):
    """How long an instance is kept after its end, in milliseconds, and until when; None: it has not ended."""

    success_retention: int
    error_retention: int
    kept_until: str | None


async def get_retention(engine: Engine, request: ApiRequest) -> Response:
    """Answer with how long an instance is kept, as everything stands now."""
    told = engine.settings
    named = (request.account, request.workflow, request.instance)
    kept = await engine.store.run(GetRetention(*named, told.success_retention, told.error_retention))
    until = None if kept.expires_at is None else iso(kept.expires_at)
    return envelope.success(InstanceRetention(kept.success_ms, kept.error_ms, until))


class Retention(msgspec.Struct):
    """Milliseconds, or durations in words.

    0 says nothing: Cloudflare's Go client sends it where its caller says nothing.
    """

    success_retention: int | str | None = None
    error_retention: int | str | None = None

    def in_ms(self, what: str) -> tuple[int | None, int | None]:
        """Return both in milliseconds; None: not said. Raises InvalidInput, saying of which member of `what`."""
        success = to_retention_ms(f"{what}.success_retention", self.success_retention, "body")
        return success, to_retention_ms(f"{what}.error_retention", self.error_retention, "body")

    def of_instance(self, what: str) -> SaidRetention | None:
        """Return what an instance says itself; None: nothing. Raises InvalidInput, as `in_ms` does."""
        return said_of_instance(*self.in_ms(what))
