"""The embedded store: one SQLite file that this process alone writes, or a store in memory for tests."""

from stepwell.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
