"""How many instances of a workflow have each status, told without going through those that have ended; the latest ends.

What has ended is counted by the very transactions in which it ends, or is no longer among what has: it is restarted,
gone on with, or deleted. What has not ended is counted when somebody asks, in the part of an index that has nothing
else.
"""

from collections import Counter
from collections.abc import Mapping

from stepwell.core.instance import UNFINISHED
from stepwell.store.sql.rows import Connection, Statement, every
from stepwell.store.workflow_operations import CountEnds, EndCount, EndCounts, ListOutcomes

# By workflow and status.
Counts = Mapping[tuple[int, str], int]

UNFINISHED_STATUSES = ", ".join(f"'{status}'" for status in sorted(UNFINISHED))
# One statement, as what ends leaves the one part and comes to the other. What hosts have counted each may be below
# zero: the sum never is.
COUNTS = f"""
    select status, cast(sum(n) as bigint)
    from (
        select status, count(*) as n
        from instances indexed by instances_by_status
        where workflow = :workflow
            and status in ({UNFINISHED_STATUSES})
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

# As many rows as were asked for, in that index.
ENDS = """
    select stretch, status, count(*)
    from (
        select (i.ended_at - :since) / :stretch as stretch, i.status
        from workflows as w
        cross join instances as i on i.workflow = w.row
        where w.account = :account
            and w.name = :workflow
            and i.ended_at >= :since
        order by i.ended_at desc, i.row desc
        limit :limit
    ) as latest
    group by stretch, status
    """


def list_outcomes(connection: Connection, operation: ListOutcomes) -> dict[str, list[str]]:
    """Do ListOutcomes."""
    account, limit = operation.account, operation.limit
    found = {name: every(connection, OUTCOMES, (account, name, limit)) for name in operation.workflows}
    return {name: [status for (status,) in rows] for name, rows in found.items()}


def count_ends(connection: Connection, operation: CountEnds) -> EndCounts:
    """Do CountEnds."""
    account, since, stretch, limit = operation.account, operation.since, operation.stretch, operation.limit
    counted: Counter[tuple[int, str]] = Counter()
    is_partial = False
    for name in operation.workflows:
        found = every(connection, ENDS, (since, stretch, account, name, limit))
        counted.update({(at, status): n for at, status, n in found})
        is_partial = is_partial or sum(n for _, _, n in found) == limit
    return EndCounts([EndCount(*key, n) for key, n in sorted(counted.items())], is_partial)


def read_counts(connection: Connection, workflow: int) -> dict[str, int]:
    """Return how many instances of a workflow have each status; what none has is not there."""
    return dict(every(connection, COUNTS, (workflow,)))


def write_counts(connection: Connection, counts: Counts) -> None:
    """Add to the numbers of what has ended."""
    connection.executemany(_COUNT, [(*key, n) for key, n in sorted(counts.items()) if n])
