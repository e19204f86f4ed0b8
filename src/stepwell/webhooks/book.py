"""The webhooks of accounts, as people make, change and look at them."""

import secrets
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from stepwell.clock import Clock
from stepwell.durations import DAY_MS
from stepwell.errors import DeliveryNotFound, InvalidInput
from stepwell.limits import IDEMPOTENCY_KEY_MS, NAME_RULE, WEBHOOKS_PER_ACCOUNT, is_workflow_name
from stepwell.store import Store
from stepwell.store.once import IdempotencyKey, Once
from stepwell.store.webhook_operations import (
    AddWebhook,
    ChangeWebhook,
    DeleteWebhook,
    DeliveryRow,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateWebhookSecret,
    TryWebhook,
    WebhookRow,
)
from stepwell.webhooks.messages import row_of
from stepwell.webhooks.networks import check_url
from stepwell.webhooks.signing import new_secret

# How long the secret before still signs, so that receivers can go over to the new one.
OVERLAP_MS = DAY_MS


class Webhooks(Struct, frozen=True):
    """The webhooks of a store. `networks`: where receivers may be."""

    store: Store
    clock: Clock
    networks: str
    keys_kept_ms: int = IDEMPOTENCY_KEY_MS

    async def create(  # noqa: PLR0913, PLR0917 - where to and of what, by whom, and under what key
        self,
        account: str,
        url: str,
        workflows: Sequence[str],
        events: Sequence[str],
        by: str,
        key: IdempotencyKey | None = None,
    ) -> tuple[WebhookRow, str | None]:
        """Make a webhook; return it and its secret, which is shown nowhere else. Raises InvalidInput.

        With a key that came before: the one that was made then, and None. Raises IdempotencyKeyReused.
        """
        check_url(url, self.networks)
        _check_names(workflows)
        id, secret, now = secrets.token_hex(16), new_secret(), self.clock.now()
        wanted = AddWebhook(
            account, id, url, secret, _unique(workflows), _unique(events), now, by, WEBHOOKS_PER_ACCOUNT
        )
        if key is None:
            return await self.store.run(wanted), secret
        done = await self.store.run(Once(account, key.key, key.request, now, wanted, self.keys_kept_ms))
        made = msgspec.msgpack.decode(done.body, type=WebhookRow)
        return made, secret if made.id == id else None

    async def get(self, account: str, id: str) -> WebhookRow:
        """Return a webhook, with how many messages wait for it. Raises WebhookNotFound."""
        return await self.store.run(GetWebhook(account, id))

    async def change(  # noqa: PLR0913 - what may be changed, by name
        self,
        account: str,
        id: str,
        *,
        url: str | None = None,
        workflows: Sequence[str] | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> WebhookRow:
        """Change of a webhook what is not None; return it as it is then. Raises WebhookNotFound or InvalidInput."""
        if url is not None:
            check_url(url, self.networks)
        _check_names(workflows or ())
        wanted = [None if names is None else _unique(names) for names in (workflows, events)]
        return await self.store.run(ChangeWebhook(account, id, self.clock.now(), url, wanted[0], wanted[1], enabled))

    async def rotate(self, account: str, id: str) -> tuple[WebhookRow, str]:
        """Give a webhook a new secret, and return it; for a day, the one before signs too. Raises WebhookNotFound."""
        secret = new_secret()
        rotated = RotateWebhookSecret(account, id, secret, self.clock.now() + OVERLAP_MS)
        return await self.store.run(rotated), secret

    async def delete(self, account: str, id: str) -> None:
        """Delete a webhook, and what waits for it. Raises WebhookNotFound."""
        await self.store.run(DeleteWebhook(account, id, self.clock.now()))

    async def test(self, account: str, id: str) -> DeliveryRow:
        """Have a webhook sent a message that is of no instance. Raises WebhookNotFound, or InvalidInput if disabled."""
        found = await self.store.run(GetWebhook(account, id))
        if found.disabled_at is not None:
            raise InvalidInput("enabled", f'webhook.disabled: webhook "{id}" is disabled; enable it first')
        return await self.store.run(TryWebhook(account, id, self.clock.now()))

    async def deliveries(
        self, account: str, id: str, limit: int, *, before: int | None = None, outcome: str | None = None
    ) -> list[DeliveryRow]:
        """Return what a webhook was sent, or is to be, newest first; `before`: older than the one of a number.

        Raises WebhookNotFound.
        """
        return await self.store.run(ListDeliveries(account, id, limit, before, outcome))

    async def redeliver(self, account: str, id: str, delivery: str) -> DeliveryRow:
        """Have a message sent once more, whatever became of it. Raises WebhookNotFound or DeliveryNotFound."""
        await self.store.run(GetWebhook(account, id))
        row = row_of(delivery, id)
        if row is None:
            raise DeliveryNotFound(delivery)
        return await self.store.run(Redeliver(account, id, row, self.clock.now()))

    async def list(self, account: str) -> list[WebhookRow]:
        """Return the webhooks of an account, oldest first."""
        return await self.store.run(ListWebhooks(account))


def _check_names(workflows: Sequence[str]) -> None:
    for name in workflows:
        if not is_workflow_name(name):
            raise InvalidInput("workflows", f"body: workflows: no workflow can be called {name!r:.100}: {NAME_RULE}")


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
