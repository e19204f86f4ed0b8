"""The audit log: entries are written with what they tell of, read, and forgotten when they are old."""

from typing import Any

from stepwell.store.acts import act_of
from stepwell.store.audit_operations import Asked, Audited, AuditedOperation, AuditEntry, ForgetAudit, ListAudit
from stepwell.store.once import Once
from stepwell.store.operations import Operation
from stepwell.store.snapshot_operations import ServeSnapshot
from stepwell.store.sql.once import Do, once
from stepwell.store.sql.rows import Connection, Values, every, first
from stepwell.store.sql.transaction import Transaction
from stepwell.store.token_operations import AddToken, RevokeToken

_INSERT = """
    insert into audit (account, at, action, way, who, token, address, agent, workflow_name, instance_id, thing, detail)
    values (
        :account, :at, :action, :way, :who, :token, :address, :agent, :workflow, :instance, :thing, :detail
    )
    """
_ACCOUNT_OF_TOKEN = "select account from tokens where id = :id"  # noqa: S105  # a statement
_SCRIPT_OF_SNAPSHOT = "select script from snapshots where row = :snapshot"
_LIST = """
    select row, at, action, way, who, token, address, agent, workflow_name, instance_id, thing, detail
    from audit
    where {where}
    order by row desc
    limit :limit
    """
_OLDEST = """
    select row, at
    from audit
    order by row
    limit :limit
    """
# By its oldest end, as the schema refuses anything else.
_FORGET = """
    delete from audit
    where row <= :last
    """


def audited(transaction: Transaction, operation: Audited, do: Do) -> object:
    """Do Audited; `do` does the operation in it."""

    def do_and_tell(transaction: Transaction, wanted: Operation[Any]) -> object:
        answer = do(transaction, wanted)
        if answer is not False:
            _tell(transaction, wanted, operation.asked)  # type: ignore[arg-type]  # what a key stands for is audited
        return answer

    wanted = operation.operation
    # What was done before under its key is not done again, nor told.
    return once(transaction, wanted, do_and_tell) if isinstance(wanted, Once) else do_and_tell(transaction, wanted)


def list_audit(connection: Connection, operation: ListAudit) -> list[AuditEntry]:
    """Do ListAudit."""
    where, values = _matching(operation)
    return [
        AuditEntry(*columns) for columns in every(connection, _LIST.format(where=where), (*values, operation.limit))
    ]


def forget_audit(transaction: Transaction, operation: ForgetAudit) -> int:
    """Do ForgetAudit."""
    last, count = 0, 0
    for row, at in every(transaction.connection, _OLDEST, (operation.limit,)):
        if at >= operation.before:
            break
        last, count = row, count + 1
    if count:
        transaction.execute(_FORGET, (last,))
    return count


def _tell(transaction: Transaction, operation: AuditedOperation, asked: Asked) -> None:
    act = act_of(operation)
    thing = act.thing
    if isinstance(operation, ServeSnapshot):
        found = first(transaction.connection, _SCRIPT_OF_SNAPSHOT, (operation.snapshot,))
        thing = None if found is None else found[0] or None
    who = (asked.way, asked.name, asked.token, asked.address, asked.agent)
    what = (act.workflow, act.instance, thing, act.detail_text)
    transaction.execute(_INSERT, (_account(transaction, operation), asked.at, act.action, *who, *what))


def _account(transaction: Transaction, operation: AuditedOperation) -> str:
    match operation:
        case AddToken(token=token):
            return token.account
        case RevokeToken(id=id):
            # It has just been revoked, so it is there.
            found = first(transaction.connection, _ACCOUNT_OF_TOKEN, (id,))
            return "" if found is None else str(found[0])
        case _:
            return operation.account


def _matching(operation: ListAudit) -> tuple[str, Values]:
    """Return the condition for what is asked for, and its values."""
    bounds = {
        "row < :before": operation.before,
        "action = :action": operation.action,
        "token = :token": operation.token,
        "workflow_name = :workflow": operation.workflow,
        "instance_id = :instance": operation.instance,
        "at >= :from_ms": operation.from_ms,
        "at <= :to_ms": operation.to_ms,
    }
    used = {condition: value for condition, value in bounds.items() if value is not None}
    return " and ".join(["account = :account", *used]), (operation.account, *used.values())
