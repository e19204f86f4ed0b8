"""A store among those that have a database open: its lease, by the database's clock.

When the lease is over, so are those of its workers, and others claim what they hold. A host that was only stopped for
a while renews it when it goes on: its workers go on too, with what nobody has taken from them; the turn's number keeps
them from the rest.
"""

from stepwell import __version__
from stepwell.store.postgres.connection import PostgresConnection
from stepwell.store.sql.hosts import host_name
from stepwell.store.sql.rows import every, only

# For a store that does everything in its caller's thread, and ends with it.
FOR_EVER_MS = 2**60
# Rows of hosts that never came back go after so long.
_FORGET_MS = 7 * 24 * 3600 * 1000
_IMPORT_MS = 24 * 3600 * 1000
_CLOCK = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
_ADD = f"""
    insert into hosts (name, lease_until, version, opened_at, renewed_at)
    values (:name, {_CLOCK} + :lease_ms, :version, {_CLOCK}, {_CLOCK})
    returning row
    """
RENEW = f"""
    update hosts
    set lease_until = {_CLOCK} + $2,
        renewed_at = {_CLOCK}
    where row = $1
    returning renewed_at
    """
RETURN = f"""
    insert into hosts (row, name, lease_until, version, opened_at, renewed_at)
    overriding system value
    values ($1, $3, {_CLOCK} + $2, $4, {_CLOCK}, {_CLOCK})
    on conflict (row) do update set lease_until = excluded.lease_until, renewed_at = excluded.renewed_at
    """
# A worker that holds nothing is forgotten with its host; the others when what they hold has been claimed.
_FORGET_WORKERS = f"""
    delete from workers as w
    where not exists (select 1 from hosts as h where h.row = w.host and h.lease_until > {_CLOCK} - :forget_ms)
        and not exists (select 1 from instances as i where i.owner = w.row)
    """
_FORGET_HOSTS = f"""
    delete from hosts as h
    where h.lease_until <= {_CLOCK} - :forget_ms
        and not exists (select 1 from workers as w where w.host = h.row)
    """
# What hosts that are no more have counted goes to host 0. Locked in one order, as others may be at it, too; and taken
# together with the row: a host that comes back, and ends something at this moment, adds to it before, or begins a new
# one behind.
FOLD_COUNTS = """
    with left_behind as materialized (
        select c.workflow, c.status, c.host
        from ended_counts as c
        where c.host <> 0
            and not exists (select 1 from hosts as h where h.row = c.host)
        order by c.workflow, c.status, c.host
        for update of c
    ),
    taken as (
        delete from ended_counts as c
        using left_behind as l
        where (c.workflow, c.status, c.host) = (l.workflow, l.status, l.host)
        returning c.workflow, c.status, c.n
    )
    insert into ended_counts (workflow, status, host, n)
    select workflow, status, 0, sum(n)
    from taken
    group by workflow, status
    order by workflow, status
    on conflict (workflow, status, host) do update set n = ended_counts.n + excluded.n
    """
# Somebody else may be bringing an instance in; one that takes so long is left from a process that died.
_ABANDON_IMPORTS = f"""
    with left_behind as (
        update instances
        set workflow = 0
        where workflow = -1
            and modified_at <= {_CLOCK} - :import_ms
        returning row
    )
    insert into deleted_workflows (row)
    select 0
    where exists (select 1 from left_behind)
    on conflict do nothing
    """
_END_WORKERS = """
    update workers
    set lease_until = 0
    where host = :host
    """
_END = """
    delete from hosts
    where row = :host
    """
_DELETE_IDLE = """
    delete from workers as w
    where w.host = :host
        and not exists (select 1 from instances as i where i.owner = w.row)
    """


def add_host(connection: PostgresConnection, lease_ms: int) -> int:
    """Add this store to those that have the database open; return its number. Forgets some that are long gone."""
    connection.begin()
    try:
        every(connection, _FORGET_WORKERS, (_FORGET_MS,))
        every(connection, _FORGET_HOSTS, (_FORGET_MS,))
        connection.execute(FOLD_COUNTS)
        connection.execute(_ABANDON_IMPORTS, (_IMPORT_MS,))
        (host,) = only(connection, _ADD, (host_name(), lease_ms, __version__))
        connection.say("commit")
    finally:
        connection.roll_back()
    return int(host)


def end_host(connection: PostgresConnection, host: int) -> None:
    """End the leases of a store's workers: whoever else has the database open claims what they hold."""
    connection.begin()
    try:
        connection.execute(_END_WORKERS, (host,))
        connection.execute(_DELETE_IDLE, (host,))
        connection.execute(_END, (host,))
        connection.execute(FOLD_COUNTS)
        connection.say("commit")
    finally:
        connection.roll_back()
