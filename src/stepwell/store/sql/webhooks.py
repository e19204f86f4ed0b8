"""The operations on webhooks: those of people, who make them, change them and look at what they were sent.

What is due, and what becomes of it, is in `deliveries.py`. Secrets are sealed as payloads are.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from stepwell.errors import DeliveryNotFound, InvalidInput, WebhookNotFound
from stepwell.sealing import NotOpened, Place, is_sealed, key_of, lacking
from stepwell.store.sql.rows import Connection, Damaged, Row, Values, every, first, only
from stepwell.store.sql.transaction import Transaction
from stepwell.store.webhook_operations import (
    MOST_PENDING,
    TEST,
    AddWebhook,
    Attempt,
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

_COLUMNS = """id, account, url, workflows, events, disabled_at, disabled_why, created_at, created_by, earlier_until"""
_COUNT = """
    select count(*)
    from webhooks
    where account = :account
        and deleted_at is null
    """
_ADD = """
    insert into webhooks (id, account, url, secret, workflows, events, created_at, created_by)
    values (:id, :account, :url, :secret, :workflows, :events, :now, :by)
    """
_LIST = f"""
    select row, {_COLUMNS}
    from webhooks
    where account = :account
        and deleted_at is null
    order by row
    """
_GET = f"""
    select row, {_COLUMNS}
    from webhooks
    where account = :account
        and id = :id
        and deleted_at is null
    """
_PENDING = f"""
    select count(*)
    from (
        select 1
        from deliveries
        where webhook = :row
            and next_at is not null
        limit {MOST_PENDING}
    ) as pending
    """
# Whoever enables it has seen to its receiver: what waits need not wait for longer.
_CHANGE = """
    update webhooks
    set url = coalesce(:url, url),
        workflows = coalesce(:workflows, workflows),
        events = coalesce(:events, events),
        disabled_at = case when :enabled = 1 then null when :enabled = 0 then coalesce(disabled_at, :now)
            else disabled_at end,
        disabled_why = case when :enabled = 1 then null when :enabled = 0 then coalesce(disabled_why, 'by_hand')
            else disabled_why end
    where row = :row
    """
_ROTATE = """
    update webhooks
    set earlier_secret = secret,
        earlier_until = :until,
        secret = :secret
    where row = :row
    """
_DELETE = """
    update webhooks
    set deleted_at = :now,
        secret = '',
        earlier_secret = null
    where row = :row
    """
_TRY = f"""
    insert into deliveries (webhook, event, workflow_name, instance_id, version, at, next_at)
    values (:webhook, '{TEST}', '', '', '', :now, :now)
    returning row
    """
_DELIVERY_COLUMNS = "row, event, workflow_name, instance_id, version, at, log, next_at, ended_at, outcome"
_DELIVERIES = f"""
    select {_DELIVERY_COLUMNS}
    from deliveries
    where {{where}}
    order by row desc
    limit :limit
    """
_DELIVERY = f"""
    select {_DELIVERY_COLUMNS}
    from deliveries
    where webhook = :webhook
        and row = :row
    """
# Its number moves on, so that what becomes of an attempt that goes on now is not noted.
_REDELIVER = """
    update deliveries
    set attempts = attempts + 1,
        tries = 0,
        next_at = :now,
        ended_at = null,
        outcome = null
    where row = :row
    """
SECRET = "webhook"  # noqa: S105  # what a place is of


def add_webhook(transaction: Transaction, operation: AddWebhook) -> WebhookRow:
    """Do AddWebhook."""
    (count,) = only(transaction.connection, _COUNT, (operation.account,))
    if count >= operation.most:
        problem = f"the account has {count} webhooks, and may have no more; delete one first"
        raise InvalidInput("webhooks", f"body: {problem}")
    secret = seal_secret(transaction.connection, operation.account, operation.id, operation.secret)
    wanted = (_text(operation.workflows), _text(operation.events))
    about = (operation.id, operation.account, operation.url, secret, *wanted, operation.now, operation.by)
    transaction.execute(_ADD, about)
    return _found(transaction.connection, operation.account, operation.id)[1]


def list_webhooks(connection: Connection, operation: ListWebhooks) -> list[WebhookRow]:
    """Do ListWebhooks."""
    return [_webhook(columns) for _, *columns in every(connection, _LIST, (operation.account,))]


def get_webhook(connection: Connection, operation: GetWebhook) -> WebhookRow:
    """Do GetWebhook."""
    row, found = _found(connection, operation.account, operation.id)
    return msgspec.structs.replace(found, pending=only(connection, _PENDING, (row,))[0])


def change_webhook(transaction: Transaction, operation: ChangeWebhook) -> WebhookRow:
    """Do ChangeWebhook."""
    row, _ = _found(transaction.connection, operation.account, operation.id)
    wanted = [None if names is None else _text(names) for names in (operation.workflows, operation.events)]
    enabled = None if operation.enabled is None else int(operation.enabled)
    transaction.execute(_CHANGE, (operation.url, *wanted, enabled, operation.now, row))
    return _found(transaction.connection, operation.account, operation.id)[1]


def rotate_webhook_secret(transaction: Transaction, operation: RotateWebhookSecret) -> WebhookRow:
    """Do RotateWebhookSecret."""
    row, _ = _found(transaction.connection, operation.account, operation.id)
    secret = seal_secret(transaction.connection, operation.account, operation.id, operation.secret)
    transaction.execute(_ROTATE, (operation.earlier_until, secret, row))
    return _found(transaction.connection, operation.account, operation.id)[1]


def delete_webhook(transaction: Transaction, operation: DeleteWebhook) -> None:
    """Do DeleteWebhook."""
    row, _ = _found(transaction.connection, operation.account, operation.id)
    transaction.execute(_DELETE, (operation.now, row))


def try_webhook(transaction: Transaction, operation: TryWebhook) -> DeliveryRow:
    """Do TryWebhook."""
    webhook, _ = _found(transaction.connection, operation.account, operation.id)
    (row,) = only(transaction.connection, _TRY, (webhook, operation.now))
    return _delivery(only(transaction.connection, _DELIVERY, (webhook, row)), operation.id)


def list_deliveries(connection: Connection, operation: ListDeliveries) -> list[DeliveryRow]:
    """Do ListDeliveries."""
    webhook, _ = _found(connection, operation.account, operation.id)
    conditions: list[str] = ["webhook = :webhook"]
    values: list[int | str] = [webhook]
    if operation.before is not None:
        conditions.append("row < :before")
        values.append(operation.before)
    if operation.outcome == "pending":
        conditions.append("next_at is not null")
    elif operation.outcome is not None:
        conditions.append("outcome = :outcome")
        values.append(operation.outcome)
    asked: Values = (*values, operation.limit)
    rows = every(connection, _DELIVERIES.format(where=" and ".join(conditions)), asked)
    return [_delivery(columns, operation.id) for columns in rows]


def redeliver(transaction: Transaction, operation: Redeliver) -> DeliveryRow:
    """Do Redeliver."""
    webhook, _ = _found(transaction.connection, operation.account, operation.id)
    if first(transaction.connection, _DELIVERY, (webhook, operation.row)) is None:
        raise DeliveryNotFound(str(operation.row))
    transaction.execute(_REDELIVER, (operation.now, operation.row))
    return _delivery(only(transaction.connection, _DELIVERY, (webhook, operation.row)), operation.id)


def seal_secret(connection: Connection, account: str, id: str, secret: str) -> str:
    """Return a secret as it is stored."""
    return secret if connection.vault is None else connection.vault.seal(_place(account, id), secret)


def open_secret(connection: Connection, account: str, id: str, stored: str) -> str:
    """Return a secret. Raises Damaged if it is not what was sealed there, and StoreError where its key is not here."""
    if not is_sealed(stored):
        return stored
    if connection.vault is None:
        raise lacking(key_of(stored))
    try:
        return connection.vault.open(_place(account, id), stored)
    except NotOpened:
        raise Damaged(f"the secret of webhook {id} is not what was sealed") from None


def _place(account: str, id: str) -> Place:
    # No instance has the row 0.
    return Place(account, 0, f"{SECRET}\0{id}")


def _found(connection: Connection, account: str, id: str) -> tuple[int, WebhookRow]:
    columns = first(connection, _GET, (account, id))
    if columns is None:
        raise WebhookNotFound(id)
    row, *rest = columns
    return row, _webhook(rest)


def _webhook(columns: Sequence[Any]) -> WebhookRow:
    id, account, url, workflows, events, *rest = columns
    return WebhookRow(id, account, url, msgspec.json.decode(workflows), msgspec.json.decode(events), *rest)


def _delivery(columns: Row, webhook: str) -> DeliveryRow:
    row, event, workflow, instance, version, at, log, *rest = columns
    return DeliveryRow(row, webhook, event, workflow, instance, version, at, attempts_of(log), *rest)


def attempts_of(log: str) -> list[Attempt]:
    """Return the attempts that a delivery's log has."""
    return msgspec.json.decode(log, type=list[Attempt])


def _text(names: list[str]) -> str:
    return msgspec.json.encode(names).decode()
