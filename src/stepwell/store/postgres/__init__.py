"""A store in PostgreSQL, which several processes on several machines may have open at once."""

from stepwell.store.postgres.store import PostgresSettings, PostgresStore

__all__ = ["PostgresSettings", "PostgresStore"]
