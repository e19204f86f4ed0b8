"""What PostgreSQL, asyncpg and the system may raise, as errors that say what happened, to what, and what helps."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from stepwell.errors import StepwellError, StoreDamaged, StoreError, StoreUnavailable
from stepwell.store.sql.rows import Damaged


class ConnectionLost(Exception):
    """The connection ended under a statement. Where that was a commit, nobody knows whether it was done."""


# Something that passes: the same is tried again on a new connection.
LOSSES: tuple[type[Exception], ...] = (
    ConnectionLost,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
# What is wrong with the server, and with no operation: whatever is asked meets it.
OF_THE_SERVER: tuple[type[Exception], ...] = (
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.ReadOnlySQLTransactionError,
)
# Another process was in the way: the same may go well when it is tried again.
CONFLICTS: tuple[type[Exception], ...] = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.LockNotAvailableError,
)
_UNREACHABLE = "the server does not answer, or ended the connection: see that it runs and lets this machine in"
_UNAVAILABLE: dict[type[BaseException], str] = {
    **dict.fromkeys(CONFLICTS, "other processes were in the way, again and again: try again"),
    **dict.fromkeys(LOSSES, _UNREACHABLE),
    asyncpg.TooManyConnectionsError: "all connections are taken: raise max_connections, or end another program",
    asyncpg.TargetServerAttributeNotMatched: "none of the servers is what target_session_attrs asks for",
    asyncpg.CannotConnectNowError: "the server is starting or stopping: wait until it runs",
    asyncpg.DiskFullError: "the server's disk is full: free some space and try again",
    asyncpg.OutOfMemoryError: "the server has not enough memory",
    asyncpg.ReadOnlySQLTransactionError: "the server takes no writes: is it a standby? give the primary's address",
    asyncpg.QueryCanceledError: "the server gave up a statement: is there a statement_timeout that is too short?",
}
_REFUSED: dict[type[BaseException], str] = {
    asyncpg.InvalidPasswordError: "the password is wrong, or there is none",
    asyncpg.InvalidAuthorizationSpecificationError: "the server does not let this user in: see its pg_hba.conf",
    asyncpg.InvalidCatalogNameError: "there is no such database: make it with createdb",
    asyncpg.InsufficientPrivilegeError: "the user may not do that: grant it all on the schema",
}


def is_loss(error: BaseException) -> bool:
    """Tell whether the connection is gone, or cannot be had now."""
    return isinstance(error, LOSSES)


@contextmanager
def naming_losses(connection: "asyncpg.Connection[Any]") -> Iterator[None]:
    """Let whatever is raised on a connection that is gone be a loss.

    asyncpg has many words for it, also such as it has for defects: what a server says before it ends the connection is
    a protocol error where it comes between two statements, and the next one "cannot switch" to its state.
    """
    try:
        yield
    except Exception as error:  # whatever it is, asyncpg may have closed the connection over it
        if is_loss(error) or not connection.is_closed():
            raise
        raise ConnectionLost(str(error)) from error


def translate(error: Exception, where: str) -> Exception:
    """Return what the caller is told for an error of a database. A defect of ours stays what it is."""
    if isinstance(error, StepwellError):
        return error
    if isinstance(error, Damaged):
        return StoreDamaged(f"Store {where}: the database is damaged: restore it from a backup (Damaged: {error})")
    for kind, advice in _REFUSED.items():
        if isinstance(error, kind):
            return StoreError(f"Store {where}: {advice} ({error})")
    for kind, advice in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"Store {where}: {advice} ({str(error) or type(error).__name__})")
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return StoreError(f"Store {where}: {type(error).__name__}: {error}")
    return error
