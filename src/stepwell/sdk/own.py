"""What Stepwell has beside Cloudflare's API: labels, search, logs, histories, reasons, jobs, limits, hosts, facts."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal

from stepwell.sdk.creation import body_of
from stepwell.sdk.effects import Emit, Flow, Program
from stepwell.sdk.instances import Order
from stepwell.sdk.messages import Request, get, post, send_json, texts_of
from stepwell.sdk.models import ChangedStatus, CreatedInstance, ErrorText, NewInstance
from stepwell.sdk.own_models import (
    AccountLimits,
    AuditEntry,
    Fact,
    ForcedStep,
    FoundInstance,
    History,
    HistoryRecord,
    InstanceAttributes,
    InstanceStatus,
    InstanceTree,
    Job,
    LabelledInstance,
    Log,
    LogLine,
    Rate,
    ScheduleState,
    Search,
    SharedLimit,
    StoreHosts,
    Verb,
    Why,
    WorkflowLimits,
)
from stepwell.sdk.paging import pages
from stepwell.sdk.streams import follow_lines
from stepwell.sdk.ways import Call, Resource, Runner, Series, Site, Way

ForcedType = Literal["step", "waitForEvent", "rollback"]
_LINES = 1_000
# A server shows that a stream lives every 15 seconds.
_SILENCE_S = 45.0


class OwnInstances(Resource[Way]):
    """Instances, as Stepwell's own routes have them."""

    @Series
    def search(
        self,
        workflow_name: str | None = None,
        search: Search | None = None,
        *,
        direction: Order | None = None,
        per_page: int | None = None,
    ) -> Flow[FoundInstance]:
        """Yield the instances that match, of a workflow or of all, newest first unless `direction` is "asc".

        `search` is such as `{"label": ["customer=ann"], "status": ["errored"], "duration_min": "5 minutes"}`.
        """
        of = () if workflow_name is None else ("workflows", workflow_name)
        query = {**(search or {}), "direction": direction, "per_page": per_page}
        return pages(self._path("stepwell", *of, "instances"), query, FoundInstance, self._site.retries)

    @Call
    def create(
        self,
        workflow_name: str,
        *,
        params: Any = None,
        instance_id: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Program[LabelledInstance]:
        """Create an instance with labels, by which it is found. All else is as with `workflows.instances.create`."""
        new: NewInstance = {"params": params}
        if instance_id is not None:
            new["instance_id"] = instance_id
        body = {**body_of(new, self._site.new_id), "labels": dict(labels or {})}
        path = self._path("stepwell", "workflows", workflow_name, "instances")
        return self._ask(post(path, body, key=self._site.key()), LabelledInstance)

    @Call
    def get(self, workflow_name: str, instance_id: str) -> Program[InstanceStatus]:
        """Return status, output, labels, progress, parents and children of an instance. Raises NotFound."""
        return self._ask(get(self._instance(workflow_name, instance_id)), InstanceStatus)

    @Call
    def why(self, workflow_name: str, instance_id: str) -> Program[Why]:
        """Return why an instance does not go on. Raises NotFound."""
        return self._ask(get(self._instance(workflow_name, instance_id, "why")), Why)

    @Series
    def logs(self, workflow_name: str, instance_id: str, *, after: int = 0, step: str | None = None) -> Flow[LogLine]:
        """Yield the lines that an instance has said behind one of a number, or a step of it. Raises NotFound."""
        return self._lines(self._instance(workflow_name, instance_id, "logs"), after, step)

    @Series
    def follow_logs(
        self, workflow_name: str, instance_id: str, *, after: int = 0, step: str | None = None
    ) -> Flow[LogLine]:
        """Yield the lines that an instance has said, as `logs` does, and then each new one, until it has ended.

        A lost connection is made again, and each line comes once. Raises NotFound, also if it is deleted meanwhile.
        """
        path = self._instance(workflow_name, instance_id, "logs")
        stream, page = partial(_new_lines, path, step), partial(_next_line, path, step)
        return follow_lines(stream, page, after, self._site.retries)

    @Series
    def history(
        self, workflow_name: str, instance_id: str, *, after: int = 0, kinds: Iterable[str] = ()
    ) -> Flow[HistoryRecord]:
        """Yield the records of an instance's history behind one of a number, oldest first. Raises NotFound.

        `kinds` are those that are wanted, all if none is named.
        """
        path = self._instance(workflow_name, instance_id, "history")
        return self._records(path, after, texts_of("kinds", kinds))

    @Call
    def attributes(
        self, workflow_name: str, instance_id: str, *, step: str | None = None
    ) -> Program[InstanceAttributes]:
        """Return what the attempts of an instance, or of one step, have said of themselves. Raises NotFound."""
        path = self._instance(workflow_name, instance_id, "attributes")
        return self._ask(get(path, {"step": step}), InstanceAttributes)

    @Call
    def tree(self, workflow_name: str, instance_id: str) -> Program[InstanceTree]:
        """Return an instance with all that it awaits, and what these await, up to a thousand. Raises NotFound."""
        return self._ask(get(self._instance(workflow_name, instance_id, "tree")), InstanceTree)

    @Call
    def retry_step(
        self, workflow_name: str, instance_id: str, step: str, type: Literal["step", "rollback"] = "step"
    ) -> Program[ForcedStep]:
        """Begin the next attempt of a step now, `charge-1` say. Raises NotFound or Conflict."""
        return self._force(workflow_name, instance_id, {"action": "retry", "step": step, "type": type})

    @Call
    def skip_sleep(self, workflow_name: str, instance_id: str, step: str) -> Program[ForcedStep]:
        """End a sleep now. Raises NotFound or Conflict."""
        return self._force(workflow_name, instance_id, {"action": "skip", "step": step})

    @Call
    def complete_step(
        self, workflow_name: str, instance_id: str, step: str, value: Any, type: ForcedType = "step"
    ) -> Program[ForcedStep]:
        """Let a step return a value, or a wait get a payload. Raises NotFound or Conflict."""
        asked = {"action": "complete", "step": step, "type": type, "value": value}
        return self._force(workflow_name, instance_id, asked)

    @Call
    def fail_step(
        self, workflow_name: str, instance_id: str, step: str, error: ErrorText, type: ForcedType = "step"
    ) -> Program[ForcedStep]:
        """Let a step or a wait fail for good. Raises NotFound or Conflict."""
        asked = {"action": "fail", "step": step, "type": type, "error": error}
        return self._force(workflow_name, instance_id, asked)

    @Call
    def resume_rollback(self, workflow_name: str, instance_id: str) -> Program[ChangedStatus]:
        """Go on with a rollback that has failed. Raises NotFound or Conflict."""
        return self._ask(Request("POST", self._instance(workflow_name, instance_id, "rollback")), ChangedStatus)

    def _instance(self, workflow_name: str, instance_id: str, *behind: str) -> str:
        return self._path("stepwell", "workflows", workflow_name, "instances", instance_id, *behind)

    def _force(self, workflow_name: str, instance_id: str, asked: Mapping[str, Any]) -> Program[ForcedStep]:
        return self._ask(post(self._instance(workflow_name, instance_id, "step"), asked), ForcedStep)

    def _lines(self, path: str, after: int, step: str | None) -> Flow[LogLine]:
        while True:
            # No line has the number 0, and servers take none lower than a line's.
            query = {"after": after or None, "limit": _LINES, "step": step}
            log: Log = yield from self._ask(get(path, query), Log)
            for line in log.lines:
                yield Emit(line)
            if len(log.lines) < _LINES:
                return
            after = log.next

    def _records(self, path: str, after: int, kinds: list[str]) -> Flow[HistoryRecord]:
        is_whole = False
        while not is_whole:
            query = {"after": after or None, "limit": _LINES, "kind": kinds}
            part: History = yield from self._ask(get(path, query), History)
            for record in part.records:
                yield Emit(record)
            # A place that leads to itself would lead on forever.
            is_whole, after = part.is_whole or part.next == after, part.next


class Hosts(Resource[Way]):
    """Who has the store open."""

    @Call
    def get(self) -> Program[StoreHosts]:
        """Return the hosts of the store, those that are alive first, and what waits in it."""
        return self._ask(get(self._path("stepwell", "hosts")), StoreHosts)


class Audit(Resource[Way]):
    """Who has done what, when, and from where. Asks for a token with the permission `audit`."""

    @Series
    def list(  # noqa: PLR0913 - what may be asked for, by name
        self,
        *,
        action: str | None = None,
        token: str | None = None,
        workflow_name: str | None = None,
        instance_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        per_page: int | None = None,
    ) -> Flow[AuditEntry]:
        """Yield the entries of the account, newest first. Raises NotAllowed."""
        which = {"action": action, "token": token, "workflow": workflow_name, "instance": instance_id}
        query = {**which, "date_start": since, "date_end": until, "per_page": per_page}
        return pages(self._path("stepwell", "audit"), query, AuditEntry, self._site.retries)


class Facts(Resource[Way]):
    """What the logs of the servers have said last. With the permission `metrics` of all accounts, and by host."""

    @Series
    def list(
        self,
        *,
        event: str | None = None,
        workflow_name: str | None = None,
        instance_id: str | None = None,
        process: str | None = None,
        per_page: int | None = None,
    ) -> Flow[Fact]:
        """Yield the facts that there are, the latest first; `process` is `server`, or a worker by its name."""
        which = {"event": event, "workflow": workflow_name, "instance": instance_id, "process": process}
        return pages(self._path("stepwell", "facts"), {**which, "per_page": per_page}, Fact, self._site.retries)


class Jobs(Resource[Way]):
    """Changes of all instances that match, which the server makes."""

    @Series
    def list(self, *, per_page: int | None = None) -> Flow[Job]:
        """Yield the jobs of the account, newest first."""
        return pages(self._path("stepwell", "jobs"), {"per_page": per_page}, Job, self._site.retries)

    @Call
    def start(self, action: Verb, workflow_name: str | None = None, search: Search | None = None) -> Program[Job]:
        """Begin to change all instances that match, of a workflow or of all. Never sent again on its own."""
        body = {"action": action, "workflow_name": workflow_name, "filter": search or {}}
        return self._ask(post(self._path("stepwell", "jobs"), body), Job)

    @Call
    def get(self, job_id: str) -> Program[Job]:
        """Return a job, with what has failed. Raises NotFound."""
        return self._ask(get(self._path("stepwell", "jobs", job_id)), Job)

    @Call
    def cancel(self, job_id: str) -> Program[Job]:
        """End a job; what it has done stays. Raises NotFound."""
        return self._ask(Request("POST", self._path("stepwell", "jobs", job_id, "cancel"), is_repeatable=True), Job)


class Limits(Resource[Way]):
    """Who may run, and who waits."""

    @Call
    def get(self) -> Program[AccountLimits]:
        """Return the limits of the account, with those of its workflows and those that steps share."""
        return self._ask(get(self._path("stepwell", "limits")), AccountLimits)

    @Call
    def of_workflow(self, workflow_name: str) -> Program[WorkflowLimits]:
        """Return the limits of a workflow. Raises NotFound."""
        return self._ask(get(self._path("stepwell", "workflows", workflow_name, "limits")), WorkflowLimits)

    @Call
    def set_account(self, concurrency: int | None) -> Program[AccountLimits]:
        """Let at most so many instances of the account run at a time; None: any number."""
        path = self._path("stepwell", "limits")
        return self._ask(send_json("PATCH", path, {"concurrency": concurrency}, is_repeatable=True), AccountLimits)

    @Call
    def share(self, name: str, *, concurrency: int | None = None, rate: Rate | None = None) -> Program[SharedLimit]:
        """Set a limit that steps share: how many at a time, or in a period."""
        path = self._path("stepwell", "limits", "steps", name)
        body = {"concurrency": concurrency, "rate": rate}
        return self._ask(send_json("PUT", path, body, is_repeatable=True), SharedLimit)

    @Call
    def unshare(self, name: str) -> Program[AccountLimits]:
        """Take back what was set of a limit that steps share. Raises NotFound."""
        return self._ask(Request("DELETE", self._path("stepwell", "limits", "steps", name)), AccountLimits)


class Schedules(Resource[Way]):
    """What creates instances by cron expressions. A schedule is named by its workflow and its expression."""

    @Series
    def list(self, workflow_name: str | None = None, *, per_page: int | None = None) -> Flow[ScheduleState]:
        """Yield the schedules of the account, or of a workflow."""
        query = {"workflow": workflow_name, "per_page": per_page}
        return pages(self._path("stepwell", "schedules"), query, ScheduleState, self._site.retries)

    @Call
    def get(self, workflow_name: str, cron: str) -> Program[ScheduleState]:
        """Return a schedule. Raises NotFound."""
        return self._ask(get(self._path("stepwell", "schedules", workflow_name, cron)), ScheduleState)

    @Call
    def change(
        self,
        workflow_name: str,
        cron: str,
        *,
        paused: bool | None = None,
        time_zone: str | None = None,
        overlap: str | None = None,
    ) -> Program[ScheduleState]:
        """Pause or resume a schedule, set its time zone, or what happens to overlapping firings. Raises NotFound."""
        body = {"paused": paused, "time_zone": time_zone, "overlap": overlap}
        path = self._path("stepwell", "schedules", workflow_name, cron)
        return self._ask(send_json("PATCH", path, body, is_repeatable=True), ScheduleState)

    @Call
    def run(self, workflow_name: str, cron: str) -> Program[CreatedInstance]:
        """Create an instance of a schedule now. Raises NotFound. Never sent again on its own."""
        path = self._path("stepwell", "schedules", workflow_name, cron, "run")
        return self._ask(Request("POST", path), CreatedInstance)


class Own(Resource[Way]):
    """What only a Stepwell server has."""

    def __init__(self, runner: Runner, site: Site) -> None:
        super().__init__(runner, site)
        self.instances: OwnInstances[Way] = OwnInstances(runner, site)
        self.audit: Audit[Way] = Audit(runner, site)
        self.facts: Facts[Way] = Facts(runner, site)
        self.hosts: Hosts[Way] = Hosts(runner, site)
        self.jobs: Jobs[Way] = Jobs(runner, site)
        self.limits: Limits[Way] = Limits(runner, site)
        self.schedules: Schedules[Way] = Schedules(runner, site)


def _new_lines(path: str, step: str | None, after: int) -> Request:
    query = {"follow": True, "after": after or None, "step": step}
    return get(path, query, headers={"accept": "application/x-ndjson"}, wait_s=_SILENCE_S)


def _next_line(path: str, step: str | None, after: int) -> Request:
    return get(path, {"after": after or None, "limit": 1, "step": step})
