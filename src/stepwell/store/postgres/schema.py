"""Bringing a database's schema up to date, once, however many processes start."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import asyncpg

from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.store import migrations
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.connection import close_open
from stepwell.store.postgres.faults import naming_losses, translate

logger = logging.getLogger(__name__)

OLDEST_POSTGRES = 15
# Read when this module is imported: a store is opened on an event loop, and files would block it.
_MIGRATIONS = migrations.known("postgres")

# Whoever starts at the same time waits here, and finds it done.
_LOCK = "select pg_advisory_xact_lock(hashtext('stepwell schema'), hashtext($1))"
_VERSIONS = """
    create table if not exists schema_version (
        n bigint primary key,
        name text not null,
        sha256 text not null,
        applied_at bigint not null
    )
    """
_HAS_VERSIONS = "select to_regclass('schema_version') is not null"
_APPLIED = "select n, name, sha256 from schema_version order by n"
_APPLY = "insert into schema_version (n, name, sha256, applied_at) values ($1, $2, $3, $4)"


async def prepare(address: Address, files: Sequence[migrations.Migration] = _MIGRATIONS) -> None:
    """Make the tables of a store, or bring them up to date, all of it or nothing.

    Raises StoreError for a server that is too old, StoreTooNew, StoreDamaged; and what asyncpg and the system raise.
    """
    connection = await address.connect("stepwell schema")
    try:
        with naming_losses(connection):
            await bring_up_to_date(connection, address, files)
    finally:
        await asyncio.shield(close_open(connection))


async def bring_up_to_date(
    connection: "asyncpg.Connection[Any]", address: Address, files: Sequence[migrations.Migration] = _MIGRATIONS
) -> None:
    """Do what `prepare` does, on a connection: as part of its transaction, if one is under way."""
    _check_version(connection, address)
    if not await _is_current(connection, files, address):
        async with connection.transaction():
            await _migrate(connection, files, address)


async def has_store(connection: "asyncpg.Connection[Any]") -> bool:
    """Tell whether there is a store where a connection looks."""
    return bool(await connection.fetchval(_HAS_VERSIONS))


async def pending_in(url: str) -> list[migrations.Migration] | None:
    """Return what the store at a URL lacks of this release's schema; None: there is no store.

    Raises InvalidInput for a URL that is none, and StoreUnavailable, StoreError, StoreDamaged or StoreTooNew.
    """
    address = Address.of(url)
    try:
        connection = await address.connect("stepwell schema")
        try:
            return await _pending(connection, _MIGRATIONS, address) if await has_store(connection) else None
        finally:
            await asyncio.shield(close_open(connection))
    except Exception as error:  # what is not a fault of the database comes back as it is
        told = translate(error, address.where)
        if told is error:
            raise
        raise told from error


def _check_version(connection: "asyncpg.Connection[Any]", address: Address) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRES:
        raise StoreError(
            f"Store {address.where}: PostgreSQL {version.major} is too old: give one from {OLDEST_POSTGRES} on"
        )


async def _is_current(
    connection: "asyncpg.Connection[Any]", files: Sequence[migrations.Migration], address: Address
) -> bool:
    """Look without a lock first: most starts find all as it should be."""
    if not await connection.fetchval(_HAS_VERSIONS):
        return False
    return not await _pending(connection, files, address)


async def _migrate(
    connection: "asyncpg.Connection[Any]", files: Sequence[migrations.Migration], address: Address
) -> None:
    await connection.execute(_LOCK, address.schema or "")
    if address.schema is not None:
        quoted = address.schema.replace('"', '""')
        await connection.execute(f'create schema if not exists "{quoted}"')
    await connection.execute(_VERSIONS)
    for migration in await _pending(connection, files, address):
        await connection.execute(migration.sql)
        at = time.time_ns() // 1_000_000
        await connection.execute(_APPLY, migration.n, migration.name, migration.sha256, at)
        logger.info(
            "the schema %s was applied to %s",
            migration.name,
            address.where,
            extra=fact("schema.applied", name=migration.name),
        )


async def _pending(
    connection: "asyncpg.Connection[Any]", files: Sequence[migrations.Migration], address: Address
) -> list[migrations.Migration]:
    applied = [migrations.Applied(*row) for row in await connection.fetch(_APPLIED)]
    return migrations.pending(applied, files, f"Store {address.where}")
