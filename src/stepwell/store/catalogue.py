"""All operations there are: what the parent's end of a line decodes."""

from typing import Any

from stepwell.store import (
    account_operations,
    audit_operations,
    child_operations,
    control_operations,
    encryption_operations,
    fact_operations,
    flow_operations,
    forcing_operations,
    host_operations,
    job_operations,
    label_operations,
    note_operations,
    once,
    operations,
    retention_operations,
    schedule_operations,
    search_operations,
    session_operations,
    situation_operations,
    snapshot_operations,
    stream_operations,
    token_operations,
    trace_operations,
    transfer_operations,
    upkeep_operations,
    webhook_operations,
    workflow_operations,
)
from stepwell.store.operations import Operation

_MODULES = (
    operations,
    encryption_operations,
    note_operations,
    label_operations,
    search_operations,
    workflow_operations,
    account_operations,
    audit_operations,
    child_operations,
    control_operations,
    fact_operations,
    flow_operations,
    forcing_operations,
    host_operations,
    job_operations,
    token_operations,
    session_operations,
    once,
    retention_operations,
    schedule_operations,
    situation_operations,
    snapshot_operations,
    stream_operations,
    trace_operations,
    transfer_operations,
    upkeep_operations,
    webhook_operations,
)

OPERATIONS: tuple[type[Operation[Any]], ...] = tuple(
    kind for kind in Operation.__subclasses__() if kind.__module__ in {module.__name__ for module in _MODULES}
)
