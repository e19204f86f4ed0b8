"""What can be asked of a store about webhooks: who is told, at an address, of what instances do.

The events themselves are caught by the schema, in the transaction that brings them about: each is a delivery of its
own for each webhook that wants it. A delivery is due like an instance: `next_at` is when it is tried next, also while
it is being tried, and then it is when whoever tries it is taken for lost.
"""

from typing import Literal, get_args

import msgspec

from stepwell.store.operations import Operation

Event = Literal["queued", "started", "paused", "errored", "terminated", "completed"]
EVENTS: tuple[Event, ...] = get_args(Event)
# What a webhook is sent that somebody tries out.
TEST = "test"
Outcome = Literal["delivered", "given_up"]
# Why a webhook is told nothing: by hand, or as its receiver has said that it is gone.
Disabled = Literal["by_hand", "gone"]


class WebhookRow(msgspec.Struct, frozen=True, array_like=True):
    """A webhook, without its secret. `workflows` and `events` are those that it wants; empty: all.

    `pending` is how many deliveries of it are not over, up to MOST_PENDING; None: they were not counted.
    """

    id: str
    account: str
    url: str
    workflows: list[str]
    events: list[str]
    disabled_at: int | None
    disabled_why: str | None
    created_at: int
    created_by: str
    # Until when what is sent is signed with the secret before, too.
    earlier_until: int | None = None
    pending: int | None = None


# More deliveries than these are not counted.
MOST_PENDING = 10_000


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """A try to deliver. `ms` None: it has not ended, or nobody knows how. `status` is the answer's; None: none came."""

    at: int
    ms: int | None = None
    status: int | None = None
    problem: str | None = None


class DeliveryRow(msgspec.Struct, frozen=True, array_like=True):
    """An event on its way to a webhook. `outcome` None: it is not over, and is tried next at `next_at`."""

    row: int
    webhook: str
    event: str
    workflow: str
    instance: str
    version: str
    at: int
    attempts: list[Attempt]
    next_at: int | None
    ended_at: int | None
    outcome: str | None


class AddWebhook(Operation[WebhookRow], frozen=True):
    """Add a webhook under a new id. Raises InvalidInput where the account has `most` of them."""

    account: str
    id: str
    url: str
    secret: str
    workflows: list[str]
    events: list[str]
    now: int
    by: str
    most: int


class ListWebhooks(Operation[list[WebhookRow]], frozen=True):
    """Return all webhooks of an account, oldest first."""

    account: str


class GetWebhook(Operation[WebhookRow], frozen=True):
    """Return a webhook. Raises WebhookNotFound."""

    account: str
    id: str


class ChangeWebhook(Operation[WebhookRow], frozen=True):
    """Change of a webhook what is not None, and return it as it is then. Raises WebhookNotFound."""

    account: str
    id: str
    now: int
    url: str | None = None
    workflows: list[str] | None = None
    events: list[str] | None = None
    enabled: bool | None = None


class RotateWebhookSecret(Operation[WebhookRow], frozen=True):
    """Give a webhook another secret; the one before signs beside it until a moment. Raises WebhookNotFound."""

    account: str
    id: str
    secret: str
    earlier_until: int


class DeleteWebhook(Operation[None], frozen=True):
    """Let a webhook be found no more, nor told anything; its deliveries go bit by bit. Raises WebhookNotFound."""

    account: str
    id: str
    now: int


class TryWebhook(Operation[DeliveryRow], frozen=True):
    """Add a delivery that is of no instance, whatever the webhook wants. Raises WebhookNotFound."""

    account: str
    id: str
    now: int


class ListDeliveries(Operation[list[DeliveryRow]], frozen=True):
    """Return up to `limit` deliveries of a webhook, newest first; those before a row, if it is named.

    `outcome`: those alone that have ended so, or `pending`. Raises WebhookNotFound.
    """

    account: str
    id: str
    limit: int
    before: int | None = None
    outcome: str | None = None


class Redeliver(Operation[DeliveryRow], frozen=True):
    """Let a delivery be tried once more, at once, with all its attempts to come; answer it as it is then.

    Raises WebhookNotFound or DeliveryNotFound.
    """

    account: str
    id: str
    row: int
    now: int


class Receiver(msgspec.Struct, frozen=True, array_like=True):
    """A webhook that is sent something, with the secrets to sign with, the newest first."""

    row: int
    id: str
    account: str
    url: str
    secrets: list[str]


class Due(msgspec.Struct, frozen=True, array_like=True):
    """A delivery that was taken. `attempt` is its fence; `tries` counts those since it was asked for, this one too."""

    row: int
    attempt: int
    tries: int
    to: Receiver
    event: str
    workflow: str
    instance: str
    version: str
    at: int


class AreDeliveriesDue(Operation[bool], frozen=True):
    """Tell whether deliveries of a webhook that is not disabled are due."""

    now: int


class TakeDeliveries(Operation[list[Due]], frozen=True):
    """Begin an attempt of up to `limit` deliveries that are due: of each webhook those due longest, `each` at the most.

    `fewer` names webhooks, by row, of which only so many are wanted; those with fewest come last. Nobody else takes
    them before `until`: by then whoever has taken them is believed lost.
    """

    now: int
    until: int
    each: int
    limit: int
    fewer: dict[int, int] = msgspec.field(default_factory=dict)


class EndAttempt(Operation[bool], frozen=True):
    """Note what became of an attempt, and when the next one is, or the outcome; False if it is not the last one.

    `is_gone`: the webhook is disabled, as its receiver has said so.
    """

    row: int
    attempt: int
    now: int
    status: int | None = None
    problem: str | None = None
    next_at: int | None = None
    outcome: str | None = None
    is_gone: bool = False


class ForgetDeliveries(Operation[int], frozen=True):
    """Give up deliveries of events from before `given_up`, and delete those that ended before `ended`; answer how many.

    Up to `limit` of each at a time; those of webhooks that were deleted go, too, and then the webhooks.
    """

    now: int
    given_up: int
    ended: int
    limit: int = 500
