"""The cron expressions of a workflow, each with when it fires next."""

import logging
from collections.abc import Sequence

from stepwell import cron
from stepwell.errors import InvalidInput
from stepwell.facts import fact
from stepwell.store.operations import NextFiring
from stepwell.store.sql.rows import Connection, every
from stepwell.store.sql.transaction import Transaction

logger = logging.getLogger(__name__)

_OF_WORKFLOW = """
    select cron, next_at
    from schedules
    where workflow = :workflow
    order by cron
    """
_INSERT = """
    insert into schedules (workflow, cron, next_at)
    values (:workflow, :cron, :next_at)
    """
_DELETE = """
    delete from schedules
    where workflow = :workflow
        and cron = :cron
    """
_DELETE_ALL = """
    delete from schedules
    where workflow = :workflow
    """


def next_firings(connection: Connection, workflow: int) -> tuple[NextFiring, ...]:
    """Return the schedules of a workflow, and when each fires next."""
    return tuple(NextFiring(*columns) for columns in every(connection, _OF_WORKFLOW, (workflow,)))


def replace_schedules(transaction: Transaction, workflow: int, expressions: Sequence[str], now: int) -> None:
    """Let a workflow have these schedules and no others. Those that it has already stay as they are."""
    wanted = dict.fromkeys(expressions)
    there = {expression for expression, _ in every(transaction.connection, _OF_WORKFLOW, (workflow,))}
    for expression in sorted(there - wanted.keys()):
        transaction.execute(_DELETE, (workflow, expression))
    for expression in wanted:
        if expression not in there:
            next_at = reckon(expression, now, cron.DEFAULT_ZONE)
            transaction.execute(_INSERT, (workflow, expression, next_at))
            tell_due(transaction, next_at)


def delete_schedules(transaction: Transaction, workflow: int) -> None:
    """Take all schedules from a workflow."""
    transaction.execute(_DELETE_ALL, (workflow,))


def reckon(expression: str, now: int, time_zone: str) -> int | None:
    """Return when a schedule fires next; None: never, or this machine cannot know."""
    try:
        return cron.next_after(expression, now, time_zone)
    except InvalidInput as error:
        logger.warning("a schedule does not fire: %s", error, extra=fact("schedule.silent", error=error))
        return None


def tell_due(transaction: Transaction, next_at: int | None) -> None:
    """Let others hear when a schedule fires next."""
    if next_at is not None:
        transaction.tidings.due(next_at)
