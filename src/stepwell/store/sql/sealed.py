"""Where payloads lie in a store that is encrypted, and with what they are sealed there.

A record's value, and an error in its body, are sealed with all of its other columns, so that none can be another's; its
first record with the instance's id, too, which every read of the whole history meets. What is not sealed yet, or was
written before there were keys, is read as it is.
"""

from typing import NoReturn

import msgspec

from stepwell.errors import StoreError
from stepwell.sealing import NotOpened, Place, Vault, is_sealed, key_of, lacking
from stepwell.store.sql.rows import Connection, Damaged, Row, every, first

# Whose its workflow is, by which it is found, has to be whose it is; one that comes in, or goes, has no workflow.
_OWNER = """
    select case when coalesce(w.account, i.account) = i.account then i.account else '' end, i.id
    from instances as i
    left join workflows as w on w.row = i.workflow
    where i.row = :row
    """
# Of so many instances at most it is known whose they are.
_MOST_KNOWN = 20_000
_KNOWN = """
    select name, proof
    from encryption_keys
    """
_KNOW = """
    insert into encryption_keys (name, proof)
    values (:name, :proof)
    on conflict do nothing
    """
# An error in a body, as long as it is not sealed, and when it is.
_PLAIN_ERROR, _SEALED_ERROR = '"error":{', '"error":"sealed:'


def check_keys(connection: Connection) -> list[str]:
    """Hold the keys against those that the store was written with; return the names of these.

    Raises StoreError where a key has the name of another one, or where there are none and the store is encrypted.
    """
    known = known_keys(connection)
    for name, proof in known.items():
        if connection.vault is None:
            raise lacking(name)
        connection.vault.check(name, proof)
    return list(known)


def known_keys(connection: Connection) -> dict[str, str]:
    """Return the proofs of the keys that a store was written with, by their names."""
    return dict(every(connection, _KNOWN))


def use_keys(connection: Connection) -> None:
    """Check the keys, and note the one that seals from now on. Raises as `check_keys` does."""
    known, vault = check_keys(connection), connection.vault
    if vault is not None and vault.newest not in known:
        connection.execute(_KNOW, (vault.newest, vault.proof()))


def place_of(connection: Connection, row: int, *what: object) -> Place:
    """Return the place of something that is an instance's, by its row; where there is none, one of nobody."""
    account = connection.accounts.get(row)
    if account is None:
        account, _ = _owner(connection, row)
    return Place(account, row, "\0".join(map(str, what)))


def know(connection: Connection, row: int, account: str) -> None:
    """Let it be known whose an instance is."""
    if len(connection.accounts) >= _MOST_KNOWN:
        connection.accounts.clear()
    connection.accounts[row] = account


def seal_record(connection: Connection, columns: Row, id: str | None = None) -> Row:
    """Return the columns of a record, from `instance` to `size`, as they are stored.

    `id` is that of the instance, where it is known and the instance is not there yet.
    """
    vault = connection.vault
    if vault is None:
        return columns
    instance, seq, turn, n, kind, at, body, value, payload, size = columns
    if seq == 1 and id is None:
        _, id = _owner(connection, instance)
    about = (seq, turn, n, kind, at, payload, size, id or "")
    text = str(body)
    if _PLAIN_ERROR in text:
        text = _seal_error(connection, vault, instance, text, about)
    if isinstance(value, str):
        value = vault.seal(place_of(connection, instance, "value", *about, text), value)
    return (instance, seq, turn, n, kind, at, text, value, payload, size)


def keys_of(body: str, value: str | None) -> set[str | None]:
    """Return the names of the keys that have sealed what a record has; None: something is not sealed."""
    keys: set[str | None] = set()
    if value is not None:
        keys.add(key_of(value) if is_sealed(value) else None)
    if _SEALED_ERROR in body:
        keys.add(key_of(_sealed_error(body)))
    elif _PLAIN_ERROR in body and isinstance(msgspec.json.decode(body).get("error"), dict):
        keys.add(None)
    return keys


def open_record(connection: Connection, columns: Row) -> tuple[str, str | None]:
    """Return body and value of a record. Raises Damaged if they are not what was sealed there."""
    instance, seq, turn, n, kind, at, body, value, payload, size = columns[:10]
    has_error, has_value = _SEALED_ERROR in body, value is not None and is_sealed(value)
    if not (has_error or has_value):
        return body, value
    vault = connection.vault
    if vault is None:
        raise lacking(key_of(value if has_value else _sealed_error(body)))
    about = (seq, turn, n, kind, at, payload, size, _owner(connection, instance)[1] if seq == 1 else "")
    try:
        if has_value:
            value = vault.open(place_of(connection, instance, "value", *about, body), value)
        if has_error:
            body = _open_error(connection, vault, instance, body, about)
    except NotOpened:
        raise Damaged(f"record {seq} of instance row {instance} is not what was sealed") from None
    return body, value


def seal_text(connection: Connection, row: int, text: str, *what: object) -> str:
    """Return a text of an instance as it is stored."""
    vault = connection.vault
    return text if vault is None else vault.seal(place_of(connection, row, *what), text)


def open_text(connection: Connection, row: int, stored: str, *what: object) -> str:
    """Return a text of an instance, which is JSON. Raises Damaged if it is not what was sealed there."""
    if not is_sealed(stored):
        return stored
    vault = connection.vault
    if vault is None:
        raise lacking(key_of(stored))
    try:
        return vault.open(place_of(connection, row, *what), stored)
    except NotOpened:
        _refuse(row, what)


def open_words(connection: Connection, row: int, stored: str, *what: object) -> str:
    """Return a text of an instance which may be any: one that only looks as if it were sealed is what it is."""
    vault = connection.vault
    if vault is None or not is_sealed(stored):
        return stored
    try:
        return vault.open(place_of(connection, row, *what), stored)
    except (NotOpened, StoreError):
        return stored


def _refuse(row: int, what: tuple[object, ...]) -> NoReturn:
    raise Damaged(f"the {' '.join(map(str, what))} of instance row {row} is not what was sealed")


def _seal_error(connection: Connection, vault: Vault, row: int, body: str, about: tuple[object, ...]) -> str:
    parts = msgspec.json.decode(body)
    error = parts.get("error")
    if not isinstance(error, dict):
        return body
    rest = {name: part for name, part in parts.items() if name != "error"}
    where = place_of(connection, row, "error", *about, _text(rest))
    parts["error"] = vault.seal(where, _text(error))
    return _text(parts)


def _open_error(connection: Connection, vault: Vault, row: int, body: str, about: tuple[object, ...]) -> str:
    parts = msgspec.json.decode(body)
    rest = {name: part for name, part in parts.items() if name != "error"}
    where = place_of(connection, row, "error", *about, _text(rest))
    parts["error"] = msgspec.json.decode(vault.open(where, parts["error"]))
    return _text(parts)


def _sealed_error(body: str) -> str:
    error: str = msgspec.json.decode(body)["error"]
    return error


def _owner(connection: Connection, row: int) -> tuple[str, str]:
    """Return account and id of an instance. Who writes to one that is gone is refused; of what is read it is damage."""
    account, id = first(connection, _OWNER, (row,)) or ("", "")
    if account:
        know(connection, row, account)
    return account, id


def _text(parts: object) -> str:
    return msgspec.json.encode(parts).decode()
