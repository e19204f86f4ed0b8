"""Operations that are done once under a key."""

from collections.abc import Callable
from typing import Any

import msgspec

from stepwell.errors import IdempotencyKeyReused
from stepwell.limits import IDEMPOTENCY_KEY_MS
from stepwell.store.once import Once, OnceAnswer
from stepwell.store.operations import Operation
from stepwell.store.sqlite_rows import first
from stepwell.store.sqlite_transaction import Transaction

_FIND = """
    select request, answer, at
    from idempotency_keys
    where account = :account
        and key = :key
        and at > :oldest
    """
# One that is too old to count is replaced.
_KEEP = """
    insert or replace into idempotency_keys (account, key, request, answer, at)
    values (:account, :key, :request, :answer, :now)
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
    oldest = operation.now - IDEMPOTENCY_KEY_MS
    found = first(transaction.connection, _FIND, (operation.account, operation.key, oldest))
    if found is not None:
        request, answer, at = found
        if request != operation.request:
            raise IdempotencyKeyReused(operation.key)
        return OnceAnswer(answer, at)
    answer = msgspec.msgpack.encode(do(transaction, operation.operation))
    transaction.execute(_FORGET, (oldest,))
    transaction.execute(_KEEP, (operation.account, operation.key, operation.request, answer, operation.now))
    return OnceAnswer(answer, operation.now)
