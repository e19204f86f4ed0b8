"""The gates of workflows: how they get their limits, and lose them."""

from stepwell import flow
from stepwell.errors import InvalidInput
from stepwell.store.flow_operations import LimitAccount
from stepwell.store.sql.rows import Connection, Statement, every, first
from stepwell.store.sql.shared_slots import declare_shared
from stepwell.store.sql.slots import LIMIT_OF_ACCOUNT, gate_of
from stepwell.store.sql.transaction import Transaction

_ADD = """
    insert into gates (workflow, account, limits, most)
    values (:workflow, :account, :limits, :most)
    """
_CHANGE = """
    update gates
    set limits = :limits,
        most = :most
    where workflow = :workflow
    """
# Other limits: whoever was turned away is asked again. Of the queues many may be idle.
_ASK_AGAIN = """
    update queues
    set ready = 1
    where workflow = :workflow
        and ready = 0
        and exists (
            select 1
            from instances as i
            where i.workflow = queues.workflow
                and i.key = queues.key
                and i.queued_at is not null
        )
    """
# What runs when a limit comes has a slot from then on, though there may be more of it than the limit allows.
_RUNNING = Statement(
    """
    update instances indexed by instances_held
    set slot = 1
    where owner is not null
        and workflow = :workflow
    """,
    postgres="""
    update instances
    set slot = 1
    where owner is not null
        and workflow = :workflow
    """,
)
_FORGET = (
    "delete from gates where workflow = :workflow",
    "delete from queues where workflow = :workflow",
    "delete from starts where workflow = :workflow",
)
_LIMIT_ACCOUNT = """
    insert into account_settings (account, concurrency)
    values (:account, :concurrency)
    on conflict (account) do update set concurrency = excluded.concurrency
    """
_WITHOUT_GATE = """
    select row
    from workflows
    where account = :account
        and row not in (select workflow from gates)
    order by row
    """
_WITH_GATE = """
    select workflow
    from gates
    where account = :account
    order by workflow
    """


def set_limits(  # noqa: PLR0913, PLR0917 - the workflow, and all that limits it
    transaction: Transaction, account: str, workflow: int, concurrency: int | None, declared: str | None, now: int
) -> None:
    """Hold a workflow, and the account's steps, to what its settings and its code say.

    A workflow that has no limit, and had none, has no gate.
    """
    declare_shared(transaction, account, declared, now)
    declared = flow.without_shared(declared)
    most = flow.from_text(declared).limit if concurrency is None else concurrency
    limit = limit_of(transaction.connection, account)
    gate = gate_of(transaction.connection, workflow)
    limits = declared or "{}"
    if gate is None:
        if declared is not None or most is not None or limit is not None:
            _add(transaction, workflow, (account, limits, most), now)
    elif (gate.limits, gate.most) != (flow.from_text(limits), most):
        transaction.execute(_CHANGE, (limits, most, workflow))
        transaction.execute(_ASK_AGAIN, (workflow,))
        transaction.gate(workflow, now)


def refuse_more_than_the_account(connection: Connection, account: str, concurrency: int | None) -> None:
    """Raise InvalidInput if more instances of a workflow were to run than the account may have."""
    limit = limit_of(connection, account)
    if concurrency is not None and limit is not None and concurrency > limit:
        raise InvalidInput(
            "concurrency",
            f"body: concurrency.limit must be at most {limit:,}, which the account may run at a time, "
            f"got {concurrency:,}",
        )


def forget_gate(transaction: Transaction, account: str, workflow: int, now: int) -> None:
    """Forget the limits of a workflow that is deleted, and who waited there."""
    if gate_of(transaction.connection, workflow) is None:
        return
    forget_rows(transaction, workflow)
    transaction.gates_of(account, now)


def forget_rows(transaction: Transaction, workflow: int) -> None:
    """Forget a gate, its queues and its starts."""
    for statement in _FORGET:
        transaction.execute(statement, (workflow,))


def limit_account(transaction: Transaction, operation: LimitAccount) -> None:
    """Do LimitAccount."""
    account, now = operation.account, operation.now
    transaction.execute(_LIMIT_ACCOUNT, (account, operation.concurrency))
    if operation.concurrency is not None:
        for (workflow,) in every(transaction.connection, _WITHOUT_GATE, (account,)):
            _add(transaction, workflow, (account, "{}", None), now)
    for (workflow,) in every(transaction.connection, _WITH_GATE, (account,)):
        transaction.gate(workflow, now)


def limit_of(connection: Connection, account: str) -> int | None:
    """Return how many instances of an account may run at a time; None: any number."""
    found = first(connection, LIMIT_OF_ACCOUNT, (account,))
    return None if found is None else found[0]


def _add(transaction: Transaction, workflow: int, gate: tuple[str, str, int | None], now: int) -> None:
    transaction.execute(_ADD, (workflow, *gate))
    transaction.execute(_RUNNING, (workflow,))
    transaction.gate(workflow, now).hold("", transaction.connection.changes())
