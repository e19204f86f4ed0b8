"""What a host without an API answers: `/metrics`, `/healthz`, and that there is nothing else."""

from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from stepwell.api import envelope, request_ids, routes
from stepwell.api.app import Api
from stepwell.api.heads import with_head
from stepwell.api.refusals import RouteNotFound

_SERVED = (routes.METRICS.encode(), b"/healthz")


@dataclass(frozen=True, slots=True)
class MetricsOnly:
    """The two routes of an application, with its rules for who may ask."""

    _app: Api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["raw_path"].partition(b"?")[0] in _SERVED:
            await self._app(scope, receive, send)
            return
        reason = "this host runs workers, and has nothing but /metrics and /healthz"
        id = request_ids.new_id()
        nothing = envelope.failure(RouteNotFound(scope["method"], scope["raw_path"].decode("latin-1"), reason), "", id)
        await nothing(scope, receive, with_head(send, [(request_ids.HEADER, id.encode())]))
