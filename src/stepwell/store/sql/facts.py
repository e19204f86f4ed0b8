"""The operations on facts. There are so few that each list looks through them."""

from stepwell.store.fact_operations import Fact, ListFacts, NotedFact, NoteFacts
from stepwell.store.sql.rows import Connection, Statement, every
from stepwell.store.sql.transaction import Transaction

_INSERT = """
    insert into facts (at, level, event, message, host, process, account, workflow_name, instance_id)
    values (:at, :level, :event, :message, :host, :process, :account, :workflow, :instance)
    """
# Hosts forget at the same time: what another one is at is passed over.
_FORGET = """
    delete from facts
    where row in (
        select row
        from facts
        where row <= (select max(row) from facts) - :most
        order by row
        {locking}
    )
    """
_FORGET_OLD = Statement(_FORGET.format(locking=""), postgres=_FORGET.format(locking="for update skip locked"))
_LIST = """
    select row, at, level, event, message, host, process, account, workflow_name, instance_id
    from facts
    where {where}
    order by row desc
    limit :limit
    """


def note_facts(transaction: Transaction, operation: NoteFacts) -> None:
    """Do NoteFacts."""
    for fact in operation.facts:
        of = (fact.account, fact.workflow, fact.instance)
        transaction.execute(_INSERT, (fact.at, fact.level, fact.event, fact.message, fact.host, fact.process, *of))
    transaction.execute(_FORGET_OLD, (operation.most,))


def list_facts(connection: Connection, operation: ListFacts) -> list[NotedFact]:
    """Do ListFacts."""
    bounds = {
        "account = :account": operation.account,
        "event = :event": operation.event,
        "workflow_name = :workflow": operation.workflow,
        "instance_id = :instance": operation.instance,
        "process = :process": operation.process,
        "row < :before": operation.before,
    }
    used = {condition: value for condition, value in bounds.items() if value is not None}
    sql = _LIST.format(where=" and ".join(used) or "true")
    return [
        NotedFact(row, Fact(*columns)) for row, *columns in every(connection, sql, (*used.values(), operation.limit))
    ]
