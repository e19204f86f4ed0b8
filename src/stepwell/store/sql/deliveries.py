"""The operations on deliveries that are due: taken, tried, and forgotten when they are old.

A delivery that is taken is due again at `until`: so one whose taker has died is taken by another, and there is nothing
beside `next_at` that says who has what. The number of the attempt is the fence: what became of an earlier one, or of
one before the delivery was asked for anew, is not noted.
"""

import msgspec

from stepwell.errors import StoreError
from stepwell.store.sql.rows import Connection, Damaged, Statement, every, first
from stepwell.store.sql.transaction import Transaction
from stepwell.store.sql.webhooks import attempts_of, open_secret
from stepwell.store.webhook_operations import (
    AreDeliveriesDue,
    Attempt,
    Due,
    EndAttempt,
    ForgetDeliveries,
    Receiver,
    TakeDeliveries,
)

_HAS_DUE = """
    from webhooks as w
    where w.disabled_at is null
        and w.deleted_at is null
        and exists (
            select 1
            from deliveries as d
            where d.webhook = w.row
                and d.next_at <= :now
        )
    """
_ARE_DUE = f"select 1 {_HAS_DUE} limit 1"
_WEBHOOKS = f"""
    select w.row, w.id, w.account, w.url, w.secret, w.earlier_secret, w.earlier_until
    {_HAS_DUE}
    order by w.row
    """
_OF_WEBHOOK = """
    select row, attempts, tries, log, event, workflow_name, instance_id, version, at
    from deliveries
    where webhook = :webhook
        and next_at <= :now
    order by next_at, row
    limit :limit
    """
# What another host is at is passed over.
_DUE = Statement(_OF_WEBHOOK, postgres=f"{_OF_WEBHOOK} for no key update skip locked")
_TAKE = """
    update deliveries
    set attempts = :attempt,
        tries = :tries,
        next_at = :until,
        log = :log
    where row = :row
    """
_OPEN = """
    select webhook, log
    from deliveries
    where row = :row
        and attempts = :attempt
        and next_at is not null
    """
_TAKEN = Statement(_OPEN, postgres=f"{_OPEN} for no key update")
_END = """
    update deliveries
    set next_at = :next_at,
        ended_at = case when cast(:next_at as bigint) is null then cast(:now as bigint) end,
        outcome = :outcome,
        log = :log
    where row = :row
    """
_GONE = """
    update webhooks
    set disabled_at = :now,
        disabled_why = 'gone'
    where row = :row
        and disabled_at is null
    """
_GIVE_UP = """
    update deliveries
    set next_at = null,
        ended_at = :now,
        outcome = 'given_up'
    where row in (
        select row
        from deliveries
        where at < :before
            and next_at is not null
            and next_at < :now
        order by at
        limit :limit
    )
    """
_FORGET = """
    delete from deliveries
    where row in (
        select row
        from deliveries
        where ended_at < :before
        order by ended_at
        limit :limit
    )
    """
_DELETED = """
    select row
    from webhooks
    where deleted_at is not null
    order by row
    limit 1
    """
_FORGET_OF_DELETED = """
    delete from deliveries
    where row in (
        select row
        from deliveries
        where webhook = :webhook
        limit :limit
    )
    """
_FORGET_WEBHOOK = """
    delete from webhooks
    where row = :row
    """
# A delivery that is asked for again and again keeps the attempts of late alone.
_MOST_ATTEMPTS = 50


def are_deliveries_due(connection: Connection, operation: AreDeliveriesDue) -> bool:
    """Do AreDeliveriesDue."""
    return first(connection, _ARE_DUE, (operation.now,)) is not None


def take_deliveries(transaction: Transaction, operation: TakeDeliveries) -> list[Due]:
    """Do TakeDeliveries."""
    taken: list[Due] = []
    now = operation.now
    # Who is being sent least comes first: receivers that are slow, and have much to come, take the room from no others.
    waiting = sorted(
        every(transaction.connection, _WEBHOOKS, (now,)),
        key=lambda columns: operation.fewer.get(columns[0], operation.each),
        reverse=True,
    )
    for row, id, account, url, *secrets in waiting:
        wanted = min(operation.each, operation.fewer.get(row, operation.each), operation.limit - len(taken))
        if wanted < 1:
            continue
        try:
            signing = _secrets(transaction.connection, (account, id), secrets, now)
        except (Damaged, StoreError):
            # Nobody could tell that it came from here. The rest goes on, and this when its key is there again.
            continue
        to = Receiver(row, id, account, url, signing)
        for delivery, attempts, tries, log, *what in every(transaction.connection, _DUE, (row, now, wanted)):
            begun = [*attempts_of(log), Attempt(now)][-_MOST_ATTEMPTS:]
            transaction.execute(_TAKE, (attempts + 1, tries + 1, operation.until, _text(begun), delivery))
            taken.append(Due(delivery, attempts + 1, tries + 1, to, *what))
    return taken


def end_attempt(transaction: Transaction, operation: EndAttempt) -> bool:
    """Do EndAttempt."""
    webhook, log = first(transaction.connection, _TAKEN, (operation.row, operation.attempt)) or (0, "[]")
    attempts = attempts_of(log)
    # Where it was asked for anew meanwhile, no attempt is under way.
    if not attempts or attempts[-1].ms is not None:
        return False
    *before, last = attempts
    ended = Attempt(last.at, max(operation.now - last.at, 0), operation.status, operation.problem)
    ends = (operation.next_at, operation.now, operation.outcome)
    transaction.execute(_END, (*ends, _text([*before, ended]), operation.row))
    if operation.is_gone:
        transaction.execute(_GONE, (operation.now, webhook))
    return True


def forget_deliveries(transaction: Transaction, operation: ForgetDeliveries) -> int:
    """Do ForgetDeliveries."""
    connection, limit = transaction.connection, operation.limit
    connection.execute(_GIVE_UP, (operation.now, operation.given_up, limit))
    count = connection.changes()
    connection.execute(_FORGET, (operation.ended, limit))
    count += connection.changes()
    deleted = first(connection, _DELETED)
    if deleted is not None:
        connection.execute(_FORGET_OF_DELETED, (deleted[0], limit))
        gone = connection.changes()
        if gone == 0:
            connection.execute(_FORGET_WEBHOOK, deleted)
            gone = connection.changes()
        count += gone
    return count


def _secrets(connection: Connection, whose: tuple[str, str], stored: list[object], now: int) -> list[str]:
    secret, earlier, earlier_until = stored
    kept = [secret] if earlier is None or earlier_until <= now else [secret, earlier]  # type: ignore[operator]  # a row
    return [open_secret(connection, *whose, str(one)) for one in kept]


def _text(attempts: list[Attempt]) -> str:
    return msgspec.json.encode(attempts).decode()
