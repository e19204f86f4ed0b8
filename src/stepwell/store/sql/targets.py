"""The instance that an operation from outside is about."""

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from stepwell.errors import InstanceNotFound
from stepwell.store.operations import RecordRow
from stepwell.store.sql.named import find_workflow
from stepwell.store.sql.rows import Connection, Statement, Values, first, locking_instance
from stepwell.store.sql.transaction import Transaction

INSTANCE_COLUMNS = """
    i.row, w.account, w.name, w.id, i.id, i.version, i.status, i.trigger, i.step_count, i.seq, i.turn,
    i.due_at, i.created_at, i.modified_at, i.started_at, i.ended_at, i.renewed_at, i.restarted_seq, i.has_rollbacks
    """
INSTANCE = f"""
    select {INSTANCE_COLUMNS}
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
INSTANCE_BY_ROW = f"""
    select {INSTANCE_COLUMNS}
    from instances as i
    join workflows as w on w.row = i.workflow
    where i.row = :row
    """
_TARGET = """
    select i.row, i.seq, i.turn, i.owner, i.status, i.due_at, i.ended_at, i.restarted_seq, i.has_rollbacks, i.logged,
        w.version, w.snapshot, w.row, i.key, i.slot, i.queued_at,
        exists (select 1 from gates as g where g.workflow = w.row), w.account, w.name
    from workflows as w
    join instances as i on i.workflow = w.row
    """
_NAMED = locking_instance(
    _TARGET
    + """
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
)
# The join leaves out those of deleted workflows, and those that were deleted one by one.
_UNFINISHED = locking_instance(
    _TARGET
    + """
    where i.row = :row
        and i.ended_at is null
    """
)
# The seq and the turn are those that it was decided upon: a commit, a claim or a release that came first is not undone.
_CHANGE = """
    update instances
    set {what},
        seq = seq + :count,
        modified_at = :now,
        tx = :tx
    where row = :row
        and seq = :seq
        and turn = :turn
    """


# Closes the race with what ended the turn before this came: nothing is done any more for one that is over.
_IS_TURN = """
    select 1
    from instances
    where row = :row
        and turn = :turn
    """


# Closes it for what is written, too: nothing ends the turn until this transaction has ended.
_HOLD_TURN = Statement(_IS_TURN, postgres=f"{_IS_TURN} for no key update")


class Target(NamedTuple):
    """What is asked of an instance before something is done to it.

    `newest` is its workflow's newest version, `snapshot` that one's. `key`, `slot` and `queued_at` say where it stands
    for a slot, if its workflow is limited.
    """

    row: int
    seq: int
    turn: int
    owner: int | None
    status: str
    due_at: int | None
    ended_at: int | None
    restarted_seq: int
    has_rollbacks: int
    logged: int
    newest: str
    snapshot: int
    workflow: int
    key: str
    slot: int
    queued_at: int | None
    is_limited: bool
    account: str
    workflow_name: str


def find_named(connection: Connection, statement: str, named: tuple[str, str, str], before: Sequence[int] = ()) -> Any:
    """Return the row that a statement finds for an instance by account, workflow and id; `before` are values before.

    Raises WorkflowNotFound or InstanceNotFound.
    """
    found = first(connection, statement, (*before, *named))
    if found is None:
        refuse_missing(connection, named)
    return found


def refuse_missing(connection: Connection, named: tuple[str, str, str]) -> NoReturn:
    """Raise WorkflowNotFound or InstanceNotFound for an instance that is not there, by account, workflow and id."""
    account, workflow, id = named
    find_workflow(connection, account, workflow)
    raise InstanceNotFound(workflow, id)


def find_target(transaction: Transaction, account: str, workflow: str, id: str) -> Target:
    """Return an instance. Raises WorkflowNotFound or InstanceNotFound."""
    return Target(*find_named(transaction.connection, _NAMED, (account, workflow, id)))


def is_turn(connection: Connection, row: int, turn: int) -> bool:
    """Tell whether an instance is still in this turn."""
    return first(connection, _IS_TURN, (row, turn)) is not None


def hold_turn(transaction: Transaction, row: int, turn: int) -> bool:
    """Tell whether an instance is still in this turn, and see to it that it is until the transaction has ended."""
    return first(transaction.connection, _HOLD_TURN, (row, turn)) is not None


def find_unfinished(transaction: Transaction, row: int) -> Target | None:
    """Return an instance by its row; None: it has ended, or is gone."""
    found = first(transaction.connection, _UNFINISHED, (row,))
    return None if found is None else Target(*found)


def changing(what: str) -> str:
    """Return a statement for `change`, from what it sets."""
    return _CHANGE.format(what=what)


def change(
    transaction: Transaction, target: Target, records: Sequence[RecordRow], statement: str, values: Values
) -> None:
    """Change the row of an instance by records from outside, and tell whoever holds it."""
    place = (len(records), records[0].at, transaction.tx, target.row, target.seq, target.turn)
    transaction.execute(statement, (*values, *place))
    for seq, record in enumerate(records, target.seq + 1):
        transaction.append(target.row, seq, record)
    if target.owner is not None:
        transaction.tidings.tell(target.owner, target.row)
