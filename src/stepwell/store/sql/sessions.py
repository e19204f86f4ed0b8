"""The operations on sessions. One that has ended is not there any more."""

from stepwell.store.session_operations import (
    BeginSession,
    EndSessions,
    FindSession,
    ForgetSessions,
    FoundSession,
    ListSessions,
    SeeSession,
    SessionRow,
)
from stepwell.store.sql.rows import Connection, every, first
from stepwell.store.sql.tokens import TOKEN_COLUMNS, token_of
from stepwell.store.sql.transaction import Transaction

_COLUMNS = "id, account, token, hash, created_at, seen_at"
_INSERT = f"""
    insert into sessions ({_COLUMNS})
    values (:id, :account, :token, :hash, :created_at, :seen_at)
    """
_FIND = f"""
    select s.id, s.account, s.token, s.hash, s.created_at, s.seen_at, {", ".join(f"t.{name}" for name in TOKEN_COLUMNS)}
    from sessions as s
    join tokens as t on t.id = s.token
    where s.id = :id
    """
_LIST = f"""
    select {_COLUMNS}
    from sessions
    order by account, created_at, row
    """
_END_UNUSED = """
    delete from sessions
    where token = :token
        and row not in (
            select row
            from sessions
            where token = :token
            order by seen_at desc, row desc
            limit :most
        )
    """
# Hosts that see the same session at once leave the later moment.
_SEE = """
    update sessions
    set seen_at = :now
    where id = :id
        and seen_at < :now
    """
_END = """
    delete from sessions
    where token = :token
        and id = :id
    returning row
    """
_END_ALL = """
    delete from sessions
    where token = :token
    returning row
    """
_FORGET = """
    delete from sessions
    where seen_at < :seen_before
        or created_at < :begun_before
    returning row
    """


def begin_session(transaction: Transaction, operation: BeginSession) -> None:
    """Do BeginSession."""
    session = operation.session
    if operation.instead_of is not None:
        transaction.execute("delete from sessions where id = :id", (operation.instead_of,))
    times = (session.created_at, session.seen_at)
    transaction.execute(_INSERT, (session.id, session.account, session.token, session.hash, *times))
    transaction.execute(_END_UNUSED, (session.token, operation.most))


def see_session(transaction: Transaction, operation: SeeSession) -> None:
    """Do SeeSession."""
    transaction.execute(_SEE, (operation.now, operation.id))


def end_sessions(transaction: Transaction, operation: EndSessions) -> bool:
    """Do EndSessions."""
    connection = transaction.connection
    if operation.id is None:
        return bool(every(connection, _END_ALL, (operation.token,)))
    return bool(every(connection, _END, (operation.token, operation.id)))


def forget_sessions(transaction: Transaction, operation: ForgetSessions) -> int:
    """Do ForgetSessions."""
    return len(every(transaction.connection, _FORGET, (operation.seen_before, operation.begun_before)))


def find_session(connection: Connection, operation: FindSession) -> FoundSession | None:
    """Do FindSession."""
    columns = first(connection, _FIND, (operation.id,))
    if columns is None:
        return None
    count = len(SessionRow.__struct_fields__)
    return FoundSession(SessionRow(*columns[:count]), token_of(columns[count:]))


def list_sessions(connection: Connection, _: ListSessions) -> list[SessionRow]:
    """Do ListSessions."""
    return [SessionRow(*columns) for columns in every(connection, _LIST)]
