"""Who has the store open, and what waits to be claimed.

In a database each host has a row. Of a file there is one, this process: its row is a view that each connection makes
for itself, so nothing of it is stored.
"""

import os
import socket
from typing import Any

from stepwell import __version__
from stepwell.core.instance import UNFINISHED
from stepwell.store.host_operations import Database, HostRow, Hosts, ListHosts, Waiting
from stepwell.store.sql.rows import Connection, Statement, every, only

# Of an account, or of all. Snapshot 0 is whatever is served: what runs it, and is of it, is anybody's.
_CODE = """code as (
        select 0 as snapshot
        union all
        select row
        from snapshots
        where cast(:account as text) is null
            or account = :account
    )"""
# What is of a workflow that is deleted is due to nobody.
_IS_SEEN = """exists (
    select 1
    from workflows as k
    where k.row = i.workflow
        and (cast(:account as text) is null or k.account = :account)
)"""
_HOSTS = f"""
    with {_CODE}
    select h.row, h.name, h.version, h.opened_at, h.renewed_at, {{is_alive}} as is_alive,
        (
            select count(*)
            from workers as w
            where {{is_of_host}}
                and w.lease_until > :now
                and w.snapshot in (select snapshot from code)
        ),
        (
            select count(*)
            from workers as w
            where {{is_of_host}}
                and w.lease_until > :now
                and w.snapshot in (select snapshot from code)
                and w.blocked_since is not null
        ),
        (
            select count(*)
            from workers as w
            cross join instances as i on i.owner = w.row
            where {{is_of_host}}
                and w.lease_until > :now
                and (cast(:account as text) is null or {_IS_SEEN})
        ),
        (
            select min(
                (
                    select i.due_at
                    from instances as i
                    where i.snapshot = s.snapshot
                        and i.due_at <= :now
                        and {_IS_SEEN}
                    order by i.due_at
                    limit 1
                )
            )
            from (
                select distinct w.snapshot
                from workers as w
                where {{is_of_host}}
                    and w.lease_until > :now
                    and w.snapshot in (select snapshot from code)
            ) as s
        )
    from hosts as h
    order by is_alive desc, h.row desc
    limit :limit
    """
_LIST = Statement(
    _HOSTS.format(is_alive="1", is_of_host="h.row = 1"),
    postgres=_HOSTS.format(
        is_alive="h.lease_until > cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
        is_of_host="w.host = h.row",
    ),
)
# Few snapshots have anything due, and of each the index knows the first.
_WAITING = f"""
    with {_CODE}
    select (
            select count(*)
            from (
                select 1
                from code as s
                cross join instances as i on i.snapshot = s.snapshot
                where i.due_at <= :now
                    and {_IS_SEEN}
                limit :most
            ) as due
        ), (
            select min(
                (
                    select i.due_at
                    from instances as i
                    where i.snapshot = s.snapshot
                        and i.due_at <= :now
                        and {_IS_SEEN}
                    order by i.due_at
                    limit 1
                )
            )
            from code as s
        ), (
            select cast(coalesce(sum(queued), 0) as bigint)
            from gates
            where cast(:account as text) is null
                or account = :account
        )
    """
# Each part of the index is in the order of its workflow, and is left at the bound.
_BY_STATUS = f"""
    select s.status, (
            select count(*)
            from (
                select 1
                from workflows as w
                cross join instances as i on i.workflow = w.row
                where i.status = s.status
                    and (cast(:account as text) is null or w.account = :account)
                limit :most
            ) as counted
        )
    from (
        {" union all ".join(f"select '{status}' as status" for status in sorted(UNFINISHED))}
    ) as s
    """
_DATABASE = Statement(
    """
    select 'sqlite', sqlite_version(), page_count * page_size
    from pragma_page_count, pragma_page_size
    """,
    postgres="""
    select 'postgresql', split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database())
    """,
)


def host_name() -> str:
    """Return how people know this process: its machine and its number there."""
    return f"{socket.gethostname()}:{os.getpid()}"


def view_of_this_host(opened_at: int) -> str:
    """Return the statement by which a connection to a file knows its one host, this process."""
    name = host_name().replace("'", "''")
    return f"""
        create temp view hosts as
        select 1 as row, '{name}' as name, '{__version__}' as version, {opened_at} as opened_at, null as renewed_at
        """


def list_hosts(connection: Connection, operation: ListHosts) -> Hosts:
    """Do ListHosts."""
    account, now, most = operation.account, operation.now, operation.most
    hosts = [_host(*columns) for columns in every(connection, _LIST, (account, now, operation.limit))]
    counts = {status: int(many) for status, many in every(connection, _BY_STATUS, (account, most)) if many}
    due, oldest_due_at, queued = only(connection, _WAITING, (account, now, most))
    waiting = Waiting(due, oldest_due_at, queued, counts)
    return Hosts(hosts, waiting, Database(*only(connection, _DATABASE)))


def _host(*columns: Any) -> HostRow:
    row, name, version, opened_at, renewed_at, is_alive, *counted = columns
    return HostRow(row, name, version, opened_at, renewed_at, bool(is_alive), *counted)
