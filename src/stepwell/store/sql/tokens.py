"""The operations on tokens."""

from stepwell.store.sql.rows import Connection, Row, every, first
from stepwell.store.sql.transaction import Transaction
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken, TokenRow

TOKEN_COLUMNS = ("id", "account", "name", "hash", "email", "permissions", "created_at", "expires_at", "revoked_at")
_COLUMNS = ", ".join(TOKEN_COLUMNS)
_INSERT = f"""
    insert into tokens ({_COLUMNS})
    values (:id, :account, :name, :hash, :email, :permissions, :created_at, :expires_at, :revoked_at)
    """
_FIND = f"""
    select {_COLUMNS}
    from tokens
    where id = :id
    """
_LIST = f"""
    select {_COLUMNS}
    from tokens
    order by account, created_at, row
    """
# A token is revoked once: the moment of the first time stays.
_REVOKE = """
    update tokens
    set revoked_at = :now
    where id = :id
        and revoked_at is null
    returning row
    """


def add_token(transaction: Transaction, operation: AddToken) -> None:
    """Do AddToken."""
    token = operation.token
    transaction.execute(
        _INSERT,
        (
            token.id,
            token.account,
            token.name,
            token.hash,
            token.email,
            "\n".join(token.permissions),
            token.created_at,
            token.expires_at,
            token.revoked_at,
        ),
    )


def revoke_token(transaction: Transaction, operation: RevokeToken) -> bool:
    """Do RevokeToken."""
    return bool(every(transaction.connection, _REVOKE, (operation.now, operation.id)))


def find_token(connection: Connection, operation: FindToken) -> TokenRow | None:
    """Do FindToken."""
    columns = first(connection, _FIND, (operation.id,))
    return None if columns is None else token_of(columns)


def list_tokens(connection: Connection, _: ListTokens) -> list[TokenRow]:
    """Do ListTokens."""
    return [token_of(columns) for columns in every(connection, _LIST)]


def token_of(columns: Row) -> TokenRow:
    """Return a token from its columns."""
    id, account, name, hashed, email, permissions, *times = columns
    created_at, expires_at, revoked_at = times
    return TokenRow(id, account, name, hashed, email, permissions.split("\n"), created_at, expires_at, revoked_at)
