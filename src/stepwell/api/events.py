"""What happens to an instance, as a stream: Cloudflare's WebSocket, its token, and our Server-Sent Events.

Source: developers.cloudflare.com/workflows/build/subscribe-to-instance-events/ and, for the form of events that servers
send, html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response

from stepwell import answers, models
from stepwell.api import envelope
from stepwell.api.refusals import UpgradeRequired, invalid
from stepwell.api.request import ApiRequest
from stepwell.api.streams import SIGN_OF_LIFE_S, Place, Stream
from stepwell.core.notices import PLACES, NoticeType
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.subscriptions import Subscription, Told, Wanted

TYPES = tuple(type.value for type in NoticeType)

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-accel-buffering": "no"}
_EVENT_ID = re.compile(r"\d{1,15}", re.ASCII)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_SIGN_OF_LIFE = b":\n\n"

_encoder = msgspec.json.Encoder()


async def refuse_plain(engine: Engine, request: ApiRequest) -> Response:
    """Refuse a request for the WebSocket that asks for none, after looking for what else is wrong with it."""
    await open_subscription(engine, request)
    raise UpgradeRequired


async def get_token(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a token for the WebSocket of an instance."""
    await engine.subscriptions.open(request.account, request.workflow, request.instance, Wanted())
    token, expires_at = request.served.stream_tokens.make(
        (request.token, request.session), request.account, request.workflow, request.instance
    )
    return envelope.success(models.StreamToken(token, iso(expires_at)))


async def stream_events(engine: Engine, request: ApiRequest) -> Response:
    """Answer with what happens to an instance, as Server-Sent Events, until it has ended.

    A browser that comes back behind the end is told by 204 to come no more.
    """
    last = _last_event_id(request)
    subscription = await open_subscription(engine, request, last)
    if last is not None and _has_nothing_behind(subscription, last):
        return Response(status_code=204, headers=_HEADERS)
    place = request.take_stream(subscription.close)
    return Stream(_events(subscription, place), "text/event-stream", _HEADERS, place.end)


async def open_subscription(engine: Engine, request: ApiRequest, last: int | None = None) -> Subscription:
    """Return the subscription that a query asks for; `last` is a cursor that a header names.

    Raises InvalidInput, WorkflowNotFound or InstanceNotFound.
    """
    cursor = request.query.number("cursor", lowest=0) or 0
    types = frozenset(map(NoticeType, request.query.choices("filter", TYPES) or TYPES))
    wanted = Wanted(cursor if last is None else last, types)
    return await engine.subscriptions.open(request.account, request.workflow, request.instance, wanted)


def encode(subscription: Subscription, told: Told) -> bytes:
    """Return an event as JSON."""
    return _encoder.encode(answers.instance_event(subscription.row.id, told))


async def _events(subscription: Subscription, place: Place) -> AsyncIterator[bytes]:
    """Yield each event, and a comment now and then; at the instance's end the number up to which all has been told."""
    while True:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                told = await subscription.next()
        except TimeoutError:
            yield _SIGN_OF_LIFE
            continue
        if told is None:
            break
        yield _block(told.notice.id, encode(subscription, told))
    if place.cut is None:
        yield b"id: %d\n\n" % subscription.cursor


def _block(id: int, event: bytes) -> bytes:
    # Params are JSON as it was sent: it may have line ends between its parts.
    return b"id: %d\n%b\n\n" % (id, b"\n".join(b"data: " + line for line in _LINE_END.split(event)))


def _last_event_id(request: ApiRequest) -> int | None:
    """Return up to where a browser that comes back has been told. Raises InvalidInput."""
    given = request.http.headers.get("last-event-id", "")
    if given and _EVENT_ID.fullmatch(given) is None:
        raise invalid("Last-Event-ID", f'the header Last-Event-ID must be the id of an event, got "{given:.100}"')
    return int(given) if given else None


def _has_nothing_behind(subscription: Subscription, cursor: int) -> bool:
    row = subscription.row
    return row.ended_at is not None and cursor >= row.seq * PLACES
