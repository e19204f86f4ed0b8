"""From what the engine gives to what the API shows."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from stepwell import models
from stepwell.core.failures import Failure
from stepwell.core.instance import Status
from stepwell.core.records import Firing, StepConfig
from stepwell.core.steplog import (
    REDACTED,
    AttemptEntry,
    Entry,
    RollbackOutcome,
    SleepEntry,
    StepEntry,
    TerminationEntry,
    WaitEntry,
    iso,
)
from stepwell.core.stepview import StepView
from stepwell.engine import InstanceView
from stepwell.graph.nodes import Graph
from stepwell.graph.wire import to_cloudflare
from stepwell.store.account_operations import Trigger
from stepwell.store.operations import InstanceRow, WorkflowRow
from stepwell.store.workflow_operations import VersionRow
from stepwell.subscriptions import Told

T = TypeVar("T")

# Numbers of more digits would only be longer as integers, not more exact.
_INTEGRAL_BELOW = 2.0**53

_SUCCESS = {
    Status.COMPLETE.value: True,
    Status.ERRORED.value: False,
    Status.TERMINATED.value: False,
}


def workflow(row: WorkflowRow) -> models.Workflow:
    """Show a workflow, with a count for every status."""
    return models.Workflow(
        *_of_workflow(row),
        instances={status: row.counts.get(status, 0) for status in models.STATUSES},
        schedules=[
            models.Schedule(schedule.cron, iso(schedule.next_at) if schedule.next_at else "")
            for schedule in row.schedules
        ],
    )


def changed_workflow(row: WorkflowRow) -> models.ChangedWorkflow:
    """Show a workflow that has just been created or changed."""
    return models.ChangedWorkflow(*_of_workflow(row), version_id=row.version)


def version(row: VersionRow) -> models.Version:
    """Show a version with the settings that it has."""
    settings = row.settings
    retention = retention_of(settings.success_retention_ms, settings.error_retention_ms)
    return models.Version(
        *_of_version(row),
        has_dag=row.has_graph,
        concurrency=msgspec.UNSET if settings.concurrency is None else models.ConcurrencyLimit(settings.concurrency),
        default_retention=msgspec.UNSET if retention == models.Retention() else retention,
        limits=msgspec.UNSET if settings.steps is None else models.StepLimit(settings.steps),
    )


def version_graph(row: VersionRow, graph: Graph | None) -> models.VersionGraph:
    """Show the graph of a version's code."""
    return models.VersionGraph(*_of_version(row), graph=None if graph is None else to_cloudflare(graph))


def version_dag(row: VersionRow, graph: Graph | None) -> models.VersionDag:
    """Show the graph of a version's code, in the older form."""
    return models.VersionDag(*_of_version(row), dag=None if graph is None else to_cloudflare(graph))


def retention_of(success_ms: int | None, error_ms: int | None) -> models.Retention:
    """Show retentions; what is None is left out."""
    return models.Retention(_or_unset(success_ms), _or_unset(error_ms))


def script_triggers(script: str, triggers: Sequence[Trigger]) -> models.ScriptTriggers:
    """Show the event triggers of a script."""
    return models.ScriptTriggers(script, [_trigger(trigger) for trigger in triggers])


def created_instance(row: InstanceRow) -> models.CreatedInstance:
    """Show an instance that was just created."""
    return models.CreatedInstance(row.id, row.status, row.version, row.workflow_id, row.trigger)


def listed_instance(row: InstanceRow) -> models.ListedInstance:
    """Show an instance as a list does."""
    return models.ListedInstance(
        id=row.id,
        status=row.status,
        created_on=iso(row.created_at),
        modified_on=iso(row.modified_at),
        started_on=_moment(row.started_at),
        ended_on=_moment(row.ended_at),
        version_id=row.version,
        workflow_id=row.workflow_id,
        trigger_source=row.trigger,
    )


def instance(view: InstanceView, entries: Sequence[Entry]) -> models.Instance:
    """Show logs and status of an instance, with these entries of its log."""
    row = view.row
    return models.Instance(
        status=row.status,
        params=msgspec.Raw(view.params.encode()),
        trigger=models.Trigger(row.trigger),
        version_id=row.version,
        queued=iso(row.created_at if row.renewed_at is None else row.renewed_at),
        start=_moment(row.started_at),
        end=_moment(row.ended_at),
        success=_SUCCESS.get(row.status),
        error=error(view.log.error),
        output=_output(view.output),
        rollback=rollback(view.log.rollback),
        step_count=row.step_count,
        steps=[_entry(entry) for entry in entries],
        schedule=_firing(view.log.schedule),
    )


def step_state(view: StepView) -> models.StepState:
    """Show how one step stands, with its whole output."""
    output: msgspec.Raw | str | msgspec.UnsetType = msgspec.UNSET
    if view.is_sensitive:
        output = REDACTED
    elif isinstance(view.value, str):
        output = msgspec.Raw(view.value.encode())
    return models.StepState(view.status, error(view.error), output, view.event_type or msgspec.UNSET)


def rollback(outcome: RollbackOutcome | None) -> models.RollbackOutcome | None:
    """Show how a rollback went."""
    return None if outcome is None else models.RollbackOutcome(outcome.outcome, error(outcome.error))


def instance_event(instance_id: str, told: Told) -> models.InstanceEvent:
    """Show what happened to an instance, as its subscribers are told."""
    notice = told.notice
    raw = msgspec.UNSET if told.value is None else msgspec.Raw(told.value.encode())
    return models.InstanceEvent(
        instance_id=instance_id,
        event_id=notice.id,
        timestamp=notice.at,
        type=notice.type.value,
        step_name=msgspec.UNSET if notice.key is None else notice.key.label,
        attempt=_or_unset(notice.attempt),
        config=msgspec.UNSET if notice.config is None else _config(notice.config),
        params=msgspec.UNSET if notice.params is None else raw,
        output=msgspec.UNSET if notice.output is None else raw,
        error=error(notice.error) or msgspec.UNSET,
        retry_delay_ms=_or_unset(notice.retry_ms),
        duration_ms=_or_unset(notice.duration_ms),
        event_type=_or_unset(notice.event_type),
    )


def error(failure: Failure | None) -> models.ErrorText | None:
    """Show an error: its name and its message."""
    return None if failure is None else models.ErrorText(failure.name, failure.message)


def _or_unset(value: T | None) -> T | msgspec.UnsetType:
    return msgspec.UNSET if value is None else value


def _of_workflow(row: WorkflowRow) -> tuple[str, str, str, str, str, str, str | None]:
    created_on, modified_on = iso(row.created_at), iso(row.modified_at)
    return row.id, row.name, row.class_name, row.script, created_on, modified_on, _moment(row.triggered_at)


def _of_version(row: VersionRow) -> tuple[str, str, str, str, str]:
    # A version is never modified.
    return row.id, row.class_name, iso(row.created_at), iso(row.created_at), row.workflow_id


def _trigger(trigger: Trigger) -> models.EventTrigger:
    wanted = trigger.filter
    return models.EventTrigger(
        trigger.type,
        [models.TriggerTarget(target.type, target.workflow_name, target.script_name) for target in trigger.targets],
        msgspec.UNSET
        if wanted is None
        else models.TriggerFilter(_or_unset(wanted.namespace), _or_unset(wanted.repo_name)),
    )


def _firing(firing: Firing | None) -> models.CronFiring | msgspec.UnsetType:
    return msgspec.UNSET if firing is None else models.CronFiring(firing.cron, firing.scheduled_at)


def _output(text: str | None) -> msgspec.Raw | str | None:
    """Return a number or a text as it is, anything else as its JSON text."""
    if text is None or text == "null":
        return None
    if text[0] in '"-0123456789':
        return msgspec.Raw(text.encode())
    return text


def _entry(entry: Entry) -> models.Step | models.RollbackStep | models.Sleep | models.Wait | models.Termination:
    match entry:
        case StepEntry():
            return _step(entry)
        case SleepEntry():
            return models.Sleep(entry.name, iso(entry.start), iso(entry.end), entry.finished, error(entry.error))
        case WaitEntry():
            return _wait(entry)
        case TerminationEntry():
            return models.Termination(models.Trigger(entry.trigger))


def _step(entry: StepEntry) -> models.Step | models.RollbackStep:
    kind = models.RollbackStep if entry.type == "rollback" else models.Step
    return kind(
        name=entry.name,
        start=iso(entry.start),
        end=_moment(entry.end),
        success=entry.success,
        output=entry.output,
        config=_config(entry.config),
        attempts=[_attempt(attempt) for attempt in entry.attempts],
    )


def _wait(entry: WaitEntry) -> models.Wait:
    return models.Wait(
        name=entry.name,
        event_type=entry.event_type,
        start=iso(entry.start),
        end=iso(entry.end),
        finished=entry.finished,
        error=error(entry.error),
        output=_or_unset(entry.output),
    )


def _attempt(attempt: AttemptEntry) -> models.Attempt:
    return models.Attempt(iso(attempt.start), _moment(attempt.end), attempt.success, error(attempt.error))


def _config(config: StepConfig) -> models.Config:
    return models.Config(
        retries=models.Retries(_as_written(config.limit), _as_written(config.delay), config.backoff),
        timeout=_as_written(config.timeout),
        sensitive=config.sensitive or msgspec.UNSET,
    )


def _as_written(number: float | str) -> float | str:
    """Show 5.0 as 5."""
    if isinstance(number, float) and number.is_integer() and abs(number) < _INTEGRAL_BELOW:
        return int(number)
    return number


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(at)
