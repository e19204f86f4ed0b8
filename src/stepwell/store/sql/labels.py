"""The labels of instances: given when they are created, set by their code."""

from collections.abc import Iterable, Mapping

from stepwell.errors import TurnLost
from stepwell.store.label_operations import KeptLabel, Labels, ListKeptLabels, ReadLabels, SetLabels
from stepwell.store.sql.rows import Connection, Values, every, first
from stepwell.store.sql.transaction import Transaction

# Closes the race with the turn's successor (turn), its release (owner), and a first sending of the same (labelled).
_COUNT = """
    update instances
    set labelled = :call
    where row = :row
        and turn = :turn
        and labelled = :call - 1
        and owner is not null
    returning workflow, created_at
    """
_PLACE = """
    select turn, labelled
    from instances
    where row = :row
    """
_SET = """
    insert into labels (instance, name, value, workflow, created_at)
    values (:row, :name, :value, :workflow, :created_at)
    on conflict (instance, name) do update set value = excluded.value
    """
# One that was given comes back when the instance is restarted.
_TAKE_AWAY = """
    update labels
    set value = null
    where instance = :row
        and name = :name
        and given is not null
    """
_FORGET_OWN = """
    delete from labels
    where instance = :row
        and name = :name
        and given is null
    """
KEEP = """
    insert into labels (instance, name, value, given, workflow, created_at)
    values (:row, :name, :value, :given, :workflow, :created_at)
    """
_LABELS = """
    select name, value
    from labels
    where instance = :row
        and value is not null
    order by name
    """
_KEPT = """
    select name, value, given
    from labels
    where instance = :row
    order by name
    """
_CALLS = """
    select labelled
    from instances
    where row = :row
    """
_FORGET_SET = """
    delete from labels
    where instance = :row
        and given is null
    """
_GIVE_AGAIN = """
    update labels
    set value = given
    where instance = :row
        and value is distinct from given
    """


def give_labels(connection: Connection, row: int, labels: Mapping[str, str], place: tuple[int, int]) -> None:
    """Give a new instance its labels; `place` is its workflow and when it was created."""
    keep_labels(connection, row, (KeptLabel(name, value, value) for name, value in labels.items()), place)


def keep_labels(connection: Connection, row: int, labels: Iterable[KeptLabel], place: tuple[int, int]) -> None:
    """Write the labels of an instance that has none yet."""
    rows: list[Values] = [(row, label.name, label.value, label.given, *place) for label in labels]
    if rows:
        connection.executemany(KEEP, rows)


def take_back_labels(transaction: Transaction, row: int) -> None:
    """Leave an instance that is restarted the labels that it was given: its code sets the others again."""
    transaction.execute(_FORGET_SET, (row,))
    transaction.execute(_GIVE_AGAIN, (row,))


def set_labels(transaction: Transaction, operation: SetLabels) -> None:
    """Do SetLabels."""
    row = operation.row
    found = first(transaction.connection, _COUNT, (operation.call, row, operation.turn))
    if found is None:
        _refuse_unless_done(transaction, operation)
        return
    for name, value in operation.labels.items():
        if value is not None:
            transaction.execute(_SET, (row, name, value, *found))
        else:
            transaction.execute(_TAKE_AWAY, (row, name))
            transaction.execute(_FORGET_OWN, (row, name))
    transaction.tidings.changed.add(row)


def read_labels(connection: Connection, operation: ReadLabels) -> Labels:
    """Do ReadLabels."""
    calls = first(connection, _CALLS, (operation.row,)) or (0,)
    return Labels(dict(every(connection, _LABELS, (operation.row,))), calls[0])


def list_kept_labels(connection: Connection, operation: ListKeptLabels) -> list[KeptLabel]:
    """Do ListKeptLabels."""
    return [KeptLabel(*columns) for columns in every(connection, _KEPT, (operation.row,))]


def _refuse_unless_done(transaction: Transaction, operation: SetLabels) -> None:
    found = first(transaction.connection, _PLACE, (operation.row,))
    if found is None or found[0] != operation.turn or found[1] < operation.call:
        raise TurnLost(operation.row, operation.turn)
