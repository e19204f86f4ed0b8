"""What the page of webhooks shows, in one answer: each with what waits for it, and its newest message."""

import asyncio

import msgspec
from starlette.responses import Response

from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.api.webhooks import DeliveryShown, WebhookShown, shown, shown_delivery
from stepwell.engine import Engine
from stepwell.errors import WebhookNotFound


class ListedWebhook(WebhookShown, kw_only=True):
    """A webhook, and what it was sent last, or is to be; null: nothing yet."""

    newest: DeliveryShown | None


async def get_webhooks(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the webhooks of the account."""
    rows = await engine.webhooks.list(request.account)
    found = await asyncio.gather(*(_listed(engine, request.account, row.id) for row in rows))
    return envelope.success([one for one in found if one is not None])


async def _listed(engine: Engine, account: str, id: str) -> ListedWebhook | None:
    """Return a webhook; None: it has just been deleted."""
    try:
        row = await engine.webhooks.get(account, id)
        newest = await engine.webhooks.deliveries(account, id, 1)
    except WebhookNotFound:
        return None
    members = msgspec.structs.asdict(shown(row))
    return ListedWebhook(**members, newest=shown_delivery(newest[0]) if newest else None)
