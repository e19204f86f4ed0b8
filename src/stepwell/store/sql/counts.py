"""How many instances of a workflow have each status, told without going through those that have ended; the latest ends.

What has ended is counted by the very transactions in which it ends, or is no longer among what has: it is restarted,
gone on with, or deleted. What has not ended is counted when somebody asks, in the part of an index that has nothing
else.
"""

from collections.abc import Mapping

from stepwell.core.instance import UNFINISHED
from stepwell.store.sql.rows import Connection, Statement, every
from stepwell.store.workflow_operations import ListOutcomes

# By workflow and status.
Counts = Mapping[tuple[int, str], int]

_UNFINISHED = ", ".join(f"'{status}'" for status in sorted(UNFINISHED))
# One statement, as what ends leaves the one part and comes to the other. What hosts have counted each may be below
# zero: the sum never is.
COUNTS = f"""
    select status, cast(sum(n) as bigint)
    from (
        select status, count(*) as n
        from instances indexed by instances_by_status
        where workflow = :workflow
            and status in ({_UNFINISHED})
        group by status
        union all
        select status, n
        from ended_counts
        where workflow = :workflow
    ) as counted
    group by status
    having sum(n) <> 0
    """
_ADD = """
    insert into ended_counts (workflow, status, host, n)
    values (:workflow, :status, {host}, :n)
    on conflict (workflow, status, host) do update set n = ended_counts.n + excluded.n
    """
# Each host has rows of its own, so that none waits for the end of another one's transaction.
_COUNT = Statement(_ADD.format(host="0"), postgres=_ADD.format(host="cast(current_setting('stepwell.host') as bigint)"))

# The index has them in this order.
OUTCOMES = """
    select i.status
    from workflows as w
    cross join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.ended_at is not null
    order by i.ended_at desc, i.row desc
    limit :limit
    """


def list_outcomes(connection: Connection, operation: ListOutcomes) -> dict[str, list[str]]:
    """Do ListOutcomes."""
    account, limit = operation.account, operation.limit
    found = {name: every(connection, OUTCOMES, (account, name, limit)) for name in operation.workflows}
    return {name: [status for (status,) in rows] for name, rows in found.items()}


def read_counts(connection: Connection, workflow: int) -> dict[str, int]:
    """Return how many instances of a workflow have each status; what none has is not there."""
    return dict(every(connection, COUNTS, (workflow,)))


def write_counts(connection: Connection, counts: Counts) -> None:
    """Add to the numbers of what has ended."""
    connection.executemany(_COUNT, [(*key, n) for key, n in sorted(counts.items()) if n])
