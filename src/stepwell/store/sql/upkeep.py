"""What is looked for, and put right, by those who look whether all is well in a store."""

from collections.abc import Iterator

from stepwell.store.sql.counts import UNFINISHED_STATUSES, write_counts
from stepwell.store.sql.rows import Connection, every, first
from stepwell.store.sql.slots import COUNT_AT_GATE, COUNT_AT_QUEUE, settle
from stepwell.store.sql.transaction import Transaction
from stepwell.store.upkeep_operations import Counted, FindMiscounts, ListAccounts, Miscount, Recount, RepairInstance

_ACCOUNTS = "select distinct account from workflows order by account"
# What each host has counted is its own business: the sum counts.
ENDED = """
    select workflow, status, cast(sum(counted) as bigint), cast(sum(there) as bigint)
    from (
        select workflow, status, n as counted, 0 as there
        from ended_counts
        where workflow not in (select row from deleted_workflows)
        union all
        select workflow, status, 0, 1
        from instances
        where ended_at is not null
            and workflow in (select row from workflows)
    ) as both_of_them
    group by workflow, status
    having sum(counted) <> sum(there)
    order by workflow, status
    """
_AT_GATES = """
    select workflow, counted, there
    from (
        select g.workflow, g.{counted} as counted, (
                select count(*)
                from instances as i
                where i.workflow = g.workflow
                    and {which}
            ) as there
        from gates as g
        where g.workflow in (select row from workflows)
    ) as both_of_them
    where counted <> there
    order by workflow
    """
_HAS_SLOT = f"i.status in ({UNFINISHED_STATUSES}) and i.slot = 1"
_SLOTS = _AT_GATES.format(counted="held", which=_HAS_SLOT)
_QUEUED = _AT_GATES.format(counted="queued", which="i.queued_at is not null")
_KEYS = f"""
    select workflow, key, cast(sum(counted) as bigint), cast(sum(there) as bigint)
    from (
        select workflow, key, held as counted, 0 as there
        from queues
        where workflow in (select workflow from gates)
        union all
        select i.workflow, i.key, 0, 1
        from instances as i
        where i.workflow in (select workflow from gates)
            and {_HAS_SLOT}
    ) as both_of_them
    where workflow in (select row from workflows)
    group by workflow, key
    having sum(counted) <> sum(there)
    order by workflow, key
    """
_LIMITS = """
    select row, counted, there
    from (
        select l.row, l.held as counted, (
                select count(*)
                from shared_slots as s
                where s.shared_limit = l.row
                    and s.start_at is not null
            ) as there
        from shared_limits as l
    ) as both_of_them
    where counted <> there
    order by row
    """
_NAMED = """
    select name, account
    from {table}
    where row = :row
    """
_WORKFLOW_NAMED, _LIMIT_NAMED = (_NAMED.format(table=table) for table in ("workflows", "shared_limits"))
# Like those at gates and queues it adds what is missing: what others count at the same time is counted, too.
_CHANGE_LIMIT = """
    update shared_limits
    set held = held + :missing
    where row = :shared_limit
    """
_CORRECT = """
    update instances
    set step_count = :step_count,
        started_at = :started_at,
        renewed_at = :renewed_at
    where row = :row
        and turn = :turn
        and seq = :seq
    returning row
    """
# An owner that is not even known is nobody, from whom nobody would claim it.
_WAKE = """
    update instances
    set due_at = :due_at,
        owner = null
    where row = :row
        and (owner is null or owner not in (select row from workers))
        and ended_at is null
        and queued_at is null
        and status <> 'paused'
    returning row
    """


def list_accounts(connection: Connection, _: ListAccounts) -> list[str]:
    """Do ListAccounts."""
    return [account for (account,) in every(connection, _ACCOUNTS)]


def find_miscounts(connection: Connection, _: FindMiscounts) -> list[Miscount]:
    """Do FindMiscounts."""
    return [
        Miscount(what, of, part, counted, there, _named(connection, what, of))
        for what, of, part, counted, there in _miscounts(connection)
    ]


def recount(transaction: Transaction, operation: Recount) -> int:
    """Do Recount."""
    # What the operations before it in its transaction have changed is counted at its end only.
    settle(transaction)
    transaction.flush()
    connection, found = transaction.connection, list(_miscounts(transaction.connection))
    for what, of, part, counted, there in found:
        missing = there - counted
        match what:
            case "ended":
                write_counts(connection, {(of, part): missing})
            case "slots":
                connection.execute(COUNT_AT_GATE, (missing, 0, of))
                # It is looked at when the transaction ends: there may be room.
                transaction.gate(of, operation.now)
            case "queued":
                connection.execute(COUNT_AT_GATE, (0, missing, of))
            case "key":
                connection.execute(COUNT_AT_QUEUE, (part, missing, of))
                transaction.gate(of, operation.now)
            case "limit":
                connection.execute(_CHANGE_LIMIT, (missing, of))
    return len(found)


def repair_instance(transaction: Transaction, operation: RepairInstance) -> bool:
    """Do RepairInstance."""
    transaction.flush()
    told = (operation.step_count, operation.started_at, operation.renewed_at)
    place = (operation.row, operation.turn, operation.seq)
    if first(transaction.connection, _CORRECT, (*told, *place)) is None:
        return False
    due_at = operation.due_at
    if due_at is not None and first(transaction.connection, _WAKE, (due_at, operation.row)) is not None:
        transaction.tidings.due(due_at)
    return True


def _miscounts(connection: Connection) -> Iterator[tuple[Counted, int, str, int, int]]:
    """Yield what is counted, of which row, of which part of it, how many are counted, and how many there are."""
    for of, part, *wrong in every(connection, ENDED):
        yield ("ended", of, part, *wrong)
    for of, *wrong in every(connection, _SLOTS):
        yield ("slots", of, "", *wrong)
    for of, *wrong in every(connection, _QUEUED):
        yield ("queued", of, "", *wrong)
    for of, part, *wrong in every(connection, _KEYS):
        yield ("key", of, part, *wrong)
    for of, *wrong in every(connection, _LIMITS):
        yield ("limit", of, "", *wrong)


def _named(connection: Connection, what: Counted, of: int) -> str:
    found = first(connection, _LIMIT_NAMED if what == "limit" else _WORKFLOW_NAMED, (of,))
    return f"row {of}" if found is None else "{} of account {}".format(*found)
