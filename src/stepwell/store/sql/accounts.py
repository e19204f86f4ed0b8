"""The operations on what an account has beside its workflows: settings, and the event triggers of its scripts."""

import msgspec

from stepwell import limits
from stepwell.errors import InvalidInput
from stepwell.store.account_operations import (
    AccountSettings,
    ChangeAccountSettings,
    DeleteTriggers,
    GetAccountSettings,
    GetTriggers,
    MergeTriggers,
    ReplaceTriggers,
    Trigger,
)
from stepwell.store.sql.named import find_workflow_or_none
from stepwell.store.sql.rows import Connection, first
from stepwell.store.sql.transaction import Transaction

_SETTINGS = """
    select success_retention_ms, error_retention_ms
    from account_settings
    where account = :account
    """
_CHANGE_SETTINGS = """
    insert into account_settings (account, success_retention_ms, error_retention_ms)
    values (:account, :success, :error)
    on conflict (account) do update set
        success_retention_ms = coalesce(excluded.success_retention_ms, account_settings.success_retention_ms),
        error_retention_ms = coalesce(excluded.error_retention_ms, account_settings.error_retention_ms)
    """
_TRIGGERS = """
    select triggers
    from event_triggers
    where account = :account
        and script = :script
    """
_PUT_TRIGGERS = """
    insert into event_triggers (account, script, triggers, modified_at)
    values (:account, :script, :triggers, :now)
    on conflict (account, script) do update set triggers = excluded.triggers, modified_at = excluded.modified_at
    """
_DELETE_TRIGGERS = """
    delete from event_triggers
    where account = :account
        and script = :script
    """

_to_triggers = msgspec.json.Decoder(list[Trigger]).decode


def get_account_settings(connection: Connection, operation: GetAccountSettings) -> AccountSettings:
    """Do GetAccountSettings."""
    columns = first(connection, _SETTINGS, (operation.account,))
    return AccountSettings() if columns is None else AccountSettings(*columns)


def change_account_settings(transaction: Transaction, operation: ChangeAccountSettings) -> AccountSettings:
    """Do ChangeAccountSettings."""
    changes = operation.changes
    values = (operation.account, changes.success_retention_ms, changes.error_retention_ms)
    transaction.execute(_CHANGE_SETTINGS, values)
    return get_account_settings(transaction.connection, GetAccountSettings(operation.account))


def get_triggers(connection: Connection, operation: GetTriggers) -> list[Trigger]:
    """Do GetTriggers."""
    return _triggers(connection, operation.account, operation.script)


def replace_triggers(transaction: Transaction, operation: ReplaceTriggers) -> list[Trigger]:
    """Do ReplaceTriggers."""
    _check_targets(transaction, operation)
    return _put(transaction, operation, operation.triggers)


def merge_triggers(transaction: Transaction, operation: MergeTriggers) -> list[Trigger]:
    """Do MergeTriggers."""
    _check_targets(transaction, operation)
    stored = _triggers(transaction.connection, operation.account, operation.script)
    replaced = {(trigger.type, trigger.filter) for trigger in operation.triggers}
    kept = [trigger for trigger in stored if (trigger.type, trigger.filter) not in replaced]
    merged = [*kept, *operation.triggers]
    if len(merged) > limits.TRIGGERS_PER_SCRIPT:
        raise InvalidInput(
            "triggers",
            f"body: a script may have {limits.TRIGGERS_PER_SCRIPT} event triggers, and would have {len(merged)} then",
        )
    return _put(transaction, operation, merged)


def delete_triggers(transaction: Transaction, operation: DeleteTriggers) -> int:
    """Do DeleteTriggers."""
    account, script = operation.account, operation.script
    count = len(_triggers(transaction.connection, account, script))
    transaction.execute(_DELETE_TRIGGERS, (account, script))
    return count


def _triggers(connection: Connection, account: str, script: str) -> list[Trigger]:
    columns = first(connection, _TRIGGERS, (account, script))
    return [] if columns is None else _to_triggers(columns[0])


def _put(
    transaction: Transaction, operation: ReplaceTriggers | MergeTriggers, triggers: list[Trigger]
) -> list[Trigger]:
    text = msgspec.json.encode(triggers).decode()
    transaction.execute(_PUT_TRIGGERS, (operation.account, operation.script, text, operation.now))
    return triggers


def _check_targets(transaction: Transaction, operation: ReplaceTriggers | MergeTriggers) -> None:
    wanted = {
        (target.workflow_name, target.script_name) for trigger in operation.triggers for target in trigger.targets
    }
    for name, script in sorted(wanted):
        workflow = find_workflow_or_none(transaction.connection, operation.account, name)
        if workflow is None or workflow.script != script:
            raise InvalidInput(
                "targets",
                f'body: the target workflow "{name:.300}" of the script "{script:.300}" does not exist in this '
                "account; create it first",
            )
