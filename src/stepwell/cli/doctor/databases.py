"""A store in PostgreSQL: the server, what it is set to, its connections, its clock, and the store in it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

from stepwell.cli.doctor.finding import Finding, clock, fault, many, ok, warning
from stepwell.cli.doctor.instances import LOOKED_THROUGH_BYTES, look_at_instances
from stepwell.cli.doctor.keys import look_at_keys
from stepwell.errors import InvalidInput
from stepwell.store import migrations
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.connection import LoopThread, PostgresConnection, close_open
from stepwell.store.postgres.faults import translate
from stepwell.store.postgres.ledger import PostgresReading
from stepwell.store.postgres.pooler import is_pooled
from stepwell.store.postgres.schema import OLDEST_POSTGRES, has_store
from stepwell.store.sql.rows import only

# Read here: on an event loop files would block it.
_MIGRATIONS = migrations.known("postgres")
# What a host takes, twice.
_FEW_SLOTS = 8
_SETTINGS = """
    select name, setting
    from pg_settings
    where name in ('fsync', 'full_page_writes', 'max_connections', 'superuser_reserved_connections')
    """
_USED = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
_NOW = "select cast(extract(epoch from clock_timestamp()) as double precision)"
_LOST = """
    select count(*), min(name)
    from hosts
    where lease_until <= cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
    """
_IS_SERVED = """
    select exists (
            select 1
            from hosts
            where lease_until > cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
        ), pg_database_size(current_database())
    """
_SIZE = "select pg_database_size(current_database())"


def look_at_database(url: str) -> Iterator[Finding]:
    """Yield how a database is, and the store in it. Raises InvalidInput for a URL that is none."""
    address = Address.of(url)

    async def look() -> tuple[list[Finding], bool]:
        connection = await address.connect("stepwell doctor")
        try:
            of_server = await _server(connection)
            found, is_current = await _store(connection, address)
            return [*of_server, *found], is_current
        finally:
            await close_open(connection)

    try:
        found, is_current = asyncio.run(look())
        yield from found
        if is_current:
            yield from _instances(url, address)
    except InvalidInput:
        raise
    except Exception as error:  # whatever it is, it is what is wrong
        told = translate(error, address.where)
        yield fault("store", str(told), "--store names another")


def _instances(url: str, address: Address) -> Iterator[Finding]:
    """Yield how the instances are; this is none of the hosts."""
    loop = LoopThread()
    connection = PostgresConnection(loop, address)
    try:
        connection.ready()
        (is_served, size) = only(connection, _IS_SERVED)
        keys = list(look_at_keys(connection))
        yield from keys
        if any(finding.state != "ok" for finding in keys):
            return
        reading = PostgresReading(connection, address.where)
        yield from look_at_instances(reading, url, with_ended=size <= LOOKED_THROUGH_BYTES, is_served=bool(is_served))
    finally:
        connection.close()
        loop.close()


async def _server(connection: Any) -> list[Finding]:
    major = connection.get_server_version().major
    settings = {row["name"]: row["setting"] for row in await connection.fetch(_SETTINGS)}
    asked_at = time.time()
    theirs = await connection.fetchval(_NOW)
    ahead, behind = asked_at - theirs, theirs - time.time()
    off = ahead if ahead > 0 else -behind if behind > 0 else 0.0
    return [
        _version(major),
        *_durability(settings),
        _slots(settings, await connection.fetchval(_USED)),
        _pooler(connection),
        clock("database's clock", off, "the database's"),
    ]


def _version(major: int) -> Finding:
    if major < OLDEST_POSTGRES:
        return fault("postgresql", f"PostgreSQL {major} is too old", f"upgrade it to {OLDEST_POSTGRES} or later")
    return ok("postgresql", f"PostgreSQL {major}")


def _durability(settings: Mapping[str, str]) -> list[Finding]:
    """Return which settings let the database lose what it has acknowledged; Stepwell sets synchronous_commit itself."""
    off = [name for name in ("fsync", "full_page_writes") if settings.get(name) == "off"]
    if off:
        named = " and ".join(off)
        return [fault("durability", f"{named} off: a crash of its machine can damage the database", f"set {named} on")]
    return [ok("durability", "fsync and full_page_writes are on")]


def _slots(settings: Mapping[str, str], used: int) -> Finding:
    most = int(settings["max_connections"]) - int(settings["superuser_reserved_connections"])
    said = f"{used} of {most} connections are taken"
    if most - used < _FEW_SLOTS:
        return warning("connections", said, "raise max_connections; each host takes four")
    return ok("connections", said)


def _pooler(connection: object) -> Finding:
    if is_pooled(connection):
        remedy = (
            "the server's own address is faster: each write takes a round trip or two more, and hosts look for news"
        )
        return warning("pooler", "a pooler of transactions is between", remedy)
    return ok("pooler", "none is between")


async def _store(connection: Any, address: Address) -> tuple[list[Finding], bool]:
    """Return how the store is, and whether there is one with the schema of this release. Raises StoreTooNew."""
    if not await has_store(connection):
        return [ok("store", f"none in {address.where} yet")], False
    rows = await connection.fetch("select n, name, sha256 from schema_version")
    lacking = migrations.pending([migrations.Applied(*row) for row in rows], _MIGRATIONS, f"Store {address.where}")
    size = f"{address.where}, {await connection.fetchval(_SIZE) / 2**20:,.1f} MB"
    if lacking:
        remedy = "the first server that is started on it brings it up to date; make a backup before"
        said = f"{size}, lacks {many(len(lacking), 'part')} of this release's schema"
        return [warning("store", said, remedy)], False
    count, name = await connection.fetchrow(_LOST)
    found = [ok("store", f"{size}, schema {_MIGRATIONS[-1].n}")]
    if count:
        remedy = "what they held is claimed by others, and they are forgotten after a week; nothing has to be done"
        found.append(warning("leftovers", f"{many(count, 'host')} lost, such as {name}", remedy))
    return found, True
