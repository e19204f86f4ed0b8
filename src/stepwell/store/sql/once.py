"""Operations that are done once under a key."""

from collections.abc import Callable
from typing import Any

import msgspec

from stepwell.errors import IdempotencyKeyReused
from stepwell.store.once import FindOnce, Once, OnceAnswer
from stepwell.store.operations import Operation
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, first
from stepwell.store.sql.transaction import Transaction
from stepwell.store.webhook_operations import AddWebhook

_FIND = """
    select request, answer, at
    from idempotency_keys
    where account = :account
        and key = :key
        and at > :oldest
        and (workflow is null or workflow in (select row from workflows))
    """
# One that is too old to count is replaced.
_KEEP = """
    insert into idempotency_keys (account, key, request, answer, at, workflow)
    values (:account, :key, :request, :answer, :now, :workflow)
    on conflict (account, key) do update set
        request = excluded.request,
        answer = excluded.answer,
        at = excluded.at,
        workflow = excluded.workflow
    """
# A few at a time, so that no request pays for many.
_FORGET = """
    delete from idempotency_keys
    where row in (
        select row
        from idempotency_keys
        where at <= :oldest
        order by at
        limit 20
    )
    """

Do = Callable[[Transaction, Operation[Any]], object]


def once(transaction: Transaction, operation: Once, do: Do) -> OnceAnswer:
    """Do Once; `do` does the operation in it."""
    done = find_once(transaction.connection, operation)
    if done is not None:
        return done
    wanted, now = operation.operation, operation.now
    answer = msgspec.msgpack.encode(do(transaction, wanted))
    named = None if isinstance(wanted, AddWebhook) else wanted.workflow
    workflow = None if named is None else find_workflow(transaction.connection, wanted.account, named).row
    transaction.execute(_FORGET, (now - operation.kept_ms,))
    transaction.execute(_KEEP, (operation.account, operation.key, operation.request, answer, now, workflow))
    return OnceAnswer(answer, now)


def find_once(connection: Connection, operation: FindOnce | Once) -> OnceAnswer | None:
    """Do FindOnce."""
    oldest = operation.now - operation.kept_ms
    found = first(connection, _FIND, (operation.account, operation.key, oldest))
    if found is None:
        return None
    request, answer, at = found
    if request != operation.request:
        raise IdempotencyKeyReused(operation.key)
    return OnceAnswer(answer, at)
