"""What is there at a moment: of an engine, all that its reads tell; and of that what the oracle knows, too."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from stepwell.api.instance_list import InstanceList
from stepwell.api.query import Query
from stepwell.core.steplog import Entry, SleepEntry, StepEntry, TerminationEntry, WaitEntry
from stepwell.engine import Engine, InstanceView
from stepwell.store.account_operations import Trigger
from stepwell.store.label_operations import ReadLabels
from stepwell.store.retention_operations import GetRetention
from stepwell.store.schedule_operations import ListSchedules
from stepwell.testing import ACCOUNT
from tests.model.account import Workflow
from tests.model.instance import Instance
from tests.model.oracle import KEPT_BY_SERVER, Account

# The script whose event triggers are changed.
SCRIPT = "tests"
# Pages are this short, so that there are several.
PER_PAGE = 2
_ALL = 1_000
_ASLEEP = ("waiting", "rollingBack")


async def whole(engine: Engine) -> dict[str, Any]:
    """Return all that is told of an account."""
    workflows = await engine.workflows(ACCOUNT, limit=_ALL)
    found: dict[str, Any] = {
        "workflows": workflows,
        "limits": await engine.limits(ACCOUNT),
        "jobs": await engine.jobs.list(ACCOUNT, limit=_ALL),
        "retention": await engine.account_settings(ACCOUNT),
        "triggers": [triggers_of(each) for each in await engine.triggers(ACCOUNT, SCRIPT)],
        "schedules": await engine.store.run(ListSchedules(ACCOUNT, _ALL, 0)),
    }
    for row in workflows.rows:
        found[f"versions of {row.name}"] = await engine.versions(ACCOUNT, row.name, limit=_ALL)
        ids = await pages(engine, row.name, None, ascending=True)
        found[f"pages of {row.name}"] = (ids, await pages(engine, row.name, None, ascending=False))
        for id in ids:
            found[f"{row.name}/{id}"] = await _one(engine, row.name, id)
    return found


def triggers_of(trigger: Trigger) -> tuple[str, str]:
    """Return the type of an event trigger, and the workflow that it starts."""
    (target,) = trigger.targets
    return trigger.type, target.workflow_name


async def pages(engine: Engine, workflow: str, status: str | None, *, ascending: bool) -> list[str]:
    """Return the ids of instances as a client reads them, page by page."""
    ids: list[str] = []
    asked = {"per_page": PER_PAGE, "direction": "asc" if ascending else "desc"} | ({"status": status} if status else {})
    while True:
        wanted = InstanceList.asked_by(Query(urlencode(asked).encode()))
        rows, info = await wanted.read(engine, ACCOUNT, workflow)
        ids += [row.id for row in rows]
        if not info.cursor:
            return ids
        asked["cursor"] = info.cursor


async def _one(engine: Engine, workflow: str, id: str) -> tuple[Any, ...]:
    view = await engine.get(ACCOUNT, workflow, id)
    labels = await engine.store.run(ReadLabels(view.row.row))
    kept = (KEPT_BY_SERVER.success_ms or 0, KEPT_BY_SERVER.error_ms or 0)
    retention = await engine.store.run(GetRetention(ACCOUNT, workflow, id, *kept))
    return view, labels.labels, retention


def of_engine(found: dict[str, Any], now: int) -> dict[str, Any]:
    """Return of a snapshot what the oracle knows."""
    known: dict[str, Any] = {}
    gates = {gate.workflow: (gate.held, gate.queued) for gate in found["limits"].gates}
    for row in found["workflows"].rows:
        counts = {status: count for status, count in row.counts.items() if count}
        known[row.name] = (counts, row.version, gates.get(row.name, (0, 0)))
        known[f"versions of {row.name}"] = [version.id for version in found[f"versions of {row.name}"].rows]
        known[f"pages of {row.name}"] = found[f"pages of {row.name}"]
        for id in found[f"pages of {row.name}"][0]:
            known[f"{row.name}/{id}"] = _of_view(now, *found[f"{row.name}/{id}"])
    known["schedules"] = [
        (each.workflow, each.cron, each.overlap, each.paused_at is not None, each.next_at, each.last_at, each.skipped)
        for each in found["schedules"].rows
    ]
    known["jobs"] = sorted(
        (job.id, job.verb, job.done, job.passed_over, job.ended_at is not None) for job in found["jobs"].jobs
    )
    known["triggers"] = found["triggers"]
    known["shared"] = {each.name: each.is_set for each in found["limits"].shared}
    known["retention"] = tuple(msgspec.structs.astuple(found["retention"]))
    return known


def of_oracle(account: Account) -> dict[str, Any]:
    """Return the same of the oracle."""
    known: dict[str, Any] = {}
    for name, workflow in account.workflows.items():
        known[name] = (account.counts(name), workflow.newest.id, _gate(workflow))
        known[f"versions of {name}"] = [version.id for version in reversed(workflow.versions)]
        known[f"pages of {name}"] = (account.ids(name, None, ascending=True), account.ids(name, None))
        for id, instance in workflow.instances.items():
            known[f"{name}/{id}"] = _of_instance(instance, account.expires_at(name, id), account.now)
    known["schedules"] = [
        (name, each.cron, each.overlap, each.is_paused, each.next_at, each.last_at, each.skipped)
        for name, workflow in sorted(account.workflows.items())
        for each in workflow.schedules.values()
    ]
    known["jobs"] = sorted(
        (job.id, job.verb, job.changed, job.passed_over, job.has_ended) for job in account.jobs.values()
    )
    known["triggers"] = account.triggers.get(SCRIPT, [])
    known["shared"] = dict.fromkeys(account.shared, True)
    known["retention"] = (account.kept.success_ms, account.kept.error_ms)
    return known


def _gate(workflow: Workflow) -> tuple[int, int]:
    instances = workflow.instances.values()
    return sum(each.has_slot for each in instances), sum(each.queued_at is not None for each in instances)


def _of_view(now: int, view: InstanceView, labels: dict[str, str], retention: Any) -> tuple[Any, ...]:
    row, log = view.row, view.log
    is_asleep = row.status in _ASLEEP and row.due_at is not None and row.due_at > now
    error = None if log.error is None else (log.error.name, log.error.message)
    output = None if view.output is None else msgspec.json.decode(view.output)
    due_at = row.due_at if is_asleep else None
    times = (row.created_at, row.started_at, row.ended_at, retention.expires_at, due_at)
    said = (row.status, row.version, row.trigger, view.params, labels)
    rollback = None if log.rollback is None else log.rollback.outcome
    return (*said, times, output, error, rollback, [entry_of(entry) for entry in log.entries])


def _of_instance(instance: Instance, expires_at: int | None, now: int) -> tuple[Any, ...]:
    output = instance.output if instance.status == "complete" else None
    is_asleep = instance.status in _ASLEEP and instance.due_at is not None and instance.due_at > now
    due_at = instance.due_at if is_asleep and not instance.is_due else None
    times = (instance.created_at, instance.started_at, instance.ended_at, expires_at, due_at)
    said = (instance.status, instance.version, instance.trigger, instance.params, instance.labels)
    return (*said, times, output, instance.error, instance.rollback, instance.log())


def entry_of(entry: Entry) -> tuple[str, str, bool | None]:
    """Return name, type and success of an entry of the log; None: that has not ended."""
    match entry:
        case StepEntry():
            return entry.name, entry.type, entry.success
        case SleepEntry() | WaitEntry():
            return entry.name, entry.type, False if entry.error is not None else entry.finished or None
        case TerminationEntry():
            return "", entry.type, None
