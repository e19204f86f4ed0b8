"""Webhooks: who is told of what instances do, and what each was sent. Stepwell's own routes.

They ask for a permission of their own: a webhook makes the server send requests, which who may read or write need not
be able to.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from stepwell.api import body, envelope, wishes
from stepwell.api.paging import after_entry, entry_cursor
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.limits import WORKFLOW_NAME_LENGTH
from stepwell.models import ResultInfo
from stepwell.store.webhook_operations import Attempt, DeliveryRow, Disabled, Event, WebhookRow
from stepwell.webhooks.messages import message_id, type_of
from stepwell.webhooks.networks import URL_LENGTH

PER_PAGE = 50
MOST_PER_PAGE = 100
DELIVERY_ID_LENGTH = 64
OUTCOMES = ("pending", "delivered", "given_up")
_MOST_NAMES = 100

_Url = Annotated[str, Meta(min_length=1, max_length=URL_LENGTH)]
_Name = Annotated[str, Meta(min_length=1, max_length=WORKFLOW_NAME_LENGTH)]
_Names = Annotated[list[_Name], Meta(max_length=_MOST_NAMES)]
_Events = Annotated[list[Event], Meta(max_length=_MOST_NAMES)]


class WebhookBody(msgspec.Struct, forbid_unknown_fields=True):
    """Where to, and of what. A member that is not known is refused: it could have meant fewer."""

    url: _Url
    workflows: _Names = []
    events: _Events = []


class WebhookChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a webhook; what is left out stays."""

    url: _Url | None = None
    workflows: _Names | None = None
    events: _Events | None = None
    enabled: bool | None = None


class WebhookShown(msgspec.Struct):
    """A webhook. Its secret is there only when it has just been made."""

    id: str
    url: str
    workflows: list[str]
    events: list[Event]
    enabled: bool
    disabled_on: str | None
    disabled_as: Disabled | None
    created_on: str
    created_by: str
    earlier_secret_until: str | None
    pending: int | UnsetType = UNSET
    secret: str | UnsetType = UNSET


class AttemptShown(msgspec.Struct):
    """A try to deliver a message."""

    started_on: str
    duration_ms: int | None
    status: int | None
    problem: str | None


class DeliveryShown(msgspec.Struct):
    """A message on its way to a webhook, with its attempts."""

    id: str
    type: str
    workflow_name: str
    instance_id: str
    version_id: str
    occurred_on: str
    outcome: Literal["pending", "delivered", "given_up"]
    ended_on: str | None
    next_attempt_on: str | None
    attempts: list[AttemptShown]


class WebhookDeleted(msgspec.Struct):
    """That a webhook is no more."""

    id: str


async def create_webhook(engine: Engine, request: ApiRequest) -> Response:
    """Make a webhook, and answer with it and its secret."""
    content = await request.body() or b"{}"
    sent = body.decode(content, WebhookBody)
    key = wishes.idempotency_key(request.http.headers, "create webhook", content)
    row, secret = await engine.webhooks.create(request.account, sent.url, sent.workflows, sent.events, request.by, key)
    return envelope.success(shown(row, secret))


async def list_webhooks(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the webhooks of the account."""
    return envelope.success([shown(row) for row in await engine.webhooks.list(request.account)])


async def get_webhook(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a webhook, and how much waits for it."""
    return envelope.success(shown(await engine.webhooks.get(request.account, request.webhook)))


async def change_webhook(engine: Engine, request: ApiRequest) -> Response:
    """Change a webhook, and answer with it."""
    changes = msgspec.structs.asdict(await request.decode(WebhookChanges))
    return envelope.success(shown(await engine.webhooks.change(request.account, request.webhook, **changes)))


async def delete_webhook(engine: Engine, request: ApiRequest) -> Response:
    """Delete a webhook, and what waits for it."""
    await engine.webhooks.delete(request.account, request.webhook)
    return envelope.success(WebhookDeleted(request.webhook))


async def rotate_secret(engine: Engine, request: ApiRequest) -> Response:
    """Give a webhook a new secret, and answer with it."""
    return envelope.success(shown(*await engine.webhooks.rotate(request.account, request.webhook)))


async def test_webhook(engine: Engine, request: ApiRequest) -> Response:
    """Have a webhook sent a message that is of no instance."""
    return envelope.success(shown_delivery(await engine.webhooks.test(request.account, request.webhook)))


async def list_deliveries(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of what a webhook was sent, or is to be, newest first."""
    query = request.query
    per_page = query.number("per_page", MOST_PER_PAGE) or PER_PAGE
    outcome, before = query.choice("outcome", OUTCOMES), after_entry(query.cursor())
    # One more than is shown tells whether there is a next page.
    found = await engine.webhooks.deliveries(
        request.account, request.webhook, per_page + 1, before=before, outcome=outcome
    )
    page = [shown_delivery(row) for row in found[:per_page]]
    cursor = entry_cursor(found[per_page - 1].row) if len(found) > per_page else ""
    return envelope.success(page, ResultInfo(count=len(page), per_page=per_page, cursor=cursor))


async def redeliver(engine: Engine, request: ApiRequest) -> Response:
    """Have a message sent once more."""
    row = await engine.webhooks.redeliver(request.account, request.webhook, request.path["delivery_id"])
    return envelope.success(shown_delivery(row))


def shown(row: WebhookRow, secret: str | None = None) -> WebhookShown:
    """Return a webhook as it is shown; its secret only where it is new."""
    once = {"pending": row.pending, "secret": secret}
    return msgspec.convert(
        {
            "id": row.id,
            "url": row.url,
            "workflows": row.workflows,
            "events": row.events,
            "enabled": row.disabled_at is None,
            "disabled_on": _moment(row.disabled_at),
            "disabled_as": row.disabled_why,
            "created_on": iso(row.created_at),
            "created_by": row.created_by,
            "earlier_secret_until": _moment(row.earlier_until),
            **{name: value for name, value in once.items() if value is not None},
        },
        WebhookShown,
    )


def shown_delivery(row: DeliveryRow) -> DeliveryShown:
    """Return a delivery as it is shown."""
    return msgspec.convert(
        {
            "id": message_id(row.webhook, row.row),
            "type": type_of(row.event),
            "workflow_name": row.workflow,
            "instance_id": row.instance,
            "version_id": row.version,
            "occurred_on": iso(row.at),
            "outcome": row.outcome or "pending",
            "ended_on": _moment(row.ended_at),
            "next_attempt_on": _moment(row.next_at),
            "attempts": [_attempt(attempt) for attempt in row.attempts],
        },
        DeliveryShown,
    )


def _attempt(attempt: Attempt) -> AttemptShown:
    return AttemptShown(iso(attempt.at), attempt.ms, attempt.status, attempt.problem)


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(at)
