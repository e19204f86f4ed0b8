"""The tools that read. Their docstrings and parameters are what models go by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from mcp.types import ToolAnnotations
from pydantic import Field

from stepwell.cli import comparing, comparing_versions, graph_sources, why
from stepwell.cli.description import state_of, steps_of
from stepwell.cli.doctor.finding import Finding
from stepwell.cli.doctor.servers import look_at
from stepwell.cli.mcp import answers, texts
from stepwell.cli.mcp.pages import PagedClient, Query, cut
from stepwell.cli.remedies import failed_step
from stepwell.cli.targets import named
from stepwell.cli.where import Where
from stepwell.cli.workflows import check
from stepwell.client import Result, StepBytes
from stepwell.core.instance import Status
from stepwell.errors import NotOfThisServer
from stepwell.graph.tree import tree

# What workflows say may come from anywhere: for a client that heeds it, a reason to be careful with the answer.
HINTS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)

# Characters of a value of an instance, of what a step returned in the list of steps, and of an error there and of an
# attempt. Beside so many attempts a piece of an output has room, whatever is to be escaped in it.
_VALUE_SHOWN = 2_000
_OUTPUT_SHOWN = 200
_ERROR_SHOWN = 300
_ATTEMPTS_SHOWN = 10

Workflow = Annotated[str, Field(description="Name of a workflow, as list_workflows has it.")]
Instance = Annotated[str, Field(description='Id of an instance, or "latest" for the newest of the workflow.')]
Offset = Annotated[int, Field(ge=0, description="next_offset of the answer before.")]
Few = Annotated[int, Field(ge=1, le=50, description="How many at most.")]
Trigger = Literal["api", "binding", "cron", "event", "unknown"]

# Of an instance that is listed: what is always said, and what only if there is something.
_ROW = (
    "workflow_name",
    "id",
    "status",
    "created_on",
    "started_on",
    "ended_on",
    "duration_ms",
    "step_count",
    "version_id",
)
_ROW_IF_ANY = ("error", "current", "labels")
# Of an instance and a step that are compared: what may be any JSON.
_VALUES = frozenset(("params", "output"))


class Reading:
    """Tools that change nothing, of one server."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._client = PagedClient.like(where.client())

    @property
    def tools(self) -> Sequence[Callable[..., Mapping[str, Any]]]:
        """All of them."""
        return (
            self.get_server,
            self.list_workflows,
            self.search_instances,
            self.get_instance,
            self.get_value,
            self.get_step,
            self.get_logs,
            self.get_graph,
            self.list_versions,
            self.compare_versions,
            self.compare_instances,
            self.list_schedules,
            self.get_limits,
        )

    def get_server(self) -> answers.ServerAnswer:
        """Tell which server is asked, what the token may do, and whether server, hosts and workers are well.

        findings: each with state (ok, warning, fault), what was found, and a remedy where one helps. waiting: how many
        instances are due for a worker, and how long the first of them has been.
        """
        answer = answers.ServerAnswer(
            url=self._client.url,
            account=self._client.account,
            findings=[_finding(one) for one in look_at(self._where, self._client)],
        )
        with suppress(NotOfThisServer):
            caller = self._client.whoami()
            answer["version"], answer["permissions"] = str(caller["version"]), list(caller["permissions"])
            answer["waiting"] = self._client.hosts()["waiting"]
        return answer

    def list_workflows(self, limit: Few = 20, offset: Offset = 0) -> answers.WorkflowsAnswer:
        """List the workflows of the account, with the number of instances of each status.

        Statuses without an instance are left out. Each workflow has the class of its code and its schedules, too.
        """
        rows, following = cut(self._client.workflows(), limit, offset)
        return {"workflows": [_workflow(row) for row in rows], "next_offset": following}

    def search_instances(  # noqa: PLR0913, PLR0917 - one for each condition
        self,
        workflow: Annotated[str | None, Field(description="Only of this workflow; of all if not given.")] = None,
        status: Annotated[list[Status] | None, Field(description="Any of these.")] = None,
        label: Annotated[list[str] | None, Field(description="All of these, each as name=value.")] = None,
        prefix: Annotated[str | None, Field(description="What the id begins with.")] = None,
        version: Annotated[str | None, Field(description="Id of a version.")] = None,
        trigger: Annotated[Trigger | None, Field(description="What created it.")] = None,
        error: Annotated[
            str | None, Field(description="Name of the error that it ended with, such as ValueError.")
        ] = None,
        error_text: Annotated[str | None, Field(description="A part of that error's message.")] = None,
        duration_min: Annotated[str | None, Field(description='At least so long, such as "5 minutes".')] = None,
        duration_max: Annotated[str | None, Field(description="At most so long.")] = None,
        date_start: Annotated[str | None, Field(description="Created then or later: 2026-11-23T10:00:00Z.")] = None,
        date_end: Annotated[str | None, Field(description="Created then or earlier.")] = None,
        ended_start: Annotated[str | None, Field(description="Ended then or later.")] = None,
        ended_end: Annotated[str | None, Field(description="Ended then or earlier.")] = None,
        direction: Annotated[Literal["desc", "asc"], Field(description="desc: the newest first.")] = "desc",
        limit: Few = 20,
        cursor: Annotated[str | None, Field(description="next_cursor of the answer before.")] = None,
    ) -> answers.InstancesAnswer:
        """List instances, or search for those that meet all conditions that are given.

        Each has its status, times, labels, the error it ended with, and `current`: what it does or waits for now. A
        page may be short or empty and still have a next_cursor: the search goes on there. How many there are of each
        status, list_workflows tells at once.
        """
        query: Query = {
            "status": status,
            "label": label,
            "prefix": prefix,
            "version": version,
            "trigger": trigger,
            "error": error,
            "error_text": error_text,
            "duration_min": duration_min,
            "duration_max": duration_max,
            "date_start": date_start,
            "date_end": date_end,
            "ended_start": ended_start,
            "ended_end": ended_end,
            "direction": direction,
            "per_page": str(limit),
            "cursor": cursor,
        }
        rows, following = self._client.search_page(None if workflow is None else check(workflow), query)
        return {"instances": [_listed(row) for row in rows], "next_cursor": following or None}

    def get_instance(
        self,
        workflow: Workflow,
        id: Instance,
        limit: Annotated[int, Field(ge=1, le=100, description="How many steps at most.")] = 20,
        cursor: Annotated[str | None, Field(description="next_cursor of the answer before, for earlier steps.")] = None,
    ) -> answers.InstanceAnswer:
        """Tell how an instance stands, why it does not go on or how it ended, and what its steps did.

        why: the event, moment, slot, worker or person that it waits for. error: what it ended with; failed_step: what
        raised that. steps: the newest first. params and outputs are JSON, cut where they are long: get_value has those
        of the instance whole, get_step those of a step. What was marked as sensitive is not shown.
        """
        id = named(self._client, check(workflow), id)
        query = {"order": "desc", "per_page": str(limit), "cursor": cursor}
        found, following = self._client.instance_page(workflow, id, query)
        answer = answers.InstanceAnswer(
            workflow=workflow,
            id=id,
            status=found["status"],
            why=self._why(workflow, id),
            version_id=found["versionId"],
            trigger=found["trigger"]["source"],
            queued=found["queued"],
            start=found["start"],
            end=found["end"],
            step_count=found.get("step_count", len(steps_of(found))),
            steps=[_step(step) for step in found.objects_of("steps") if "name" in step],
            next_cursor=following or None,
        )
        if found["error"]:
            answer["error"] = _error(found["error"])
            # Steps come the newest first here, and there the oldest.
            step = failed_step({**found, "steps": found["steps"][::-1]})
            if step is not None:
                answer["failed_step"] = step["name"]
        if found.get("params") is not None:
            answer["params"] = texts.shortened(_json_of(found, "params"), _VALUE_SHOWN)
        if found.get("output") is not None:
            answer["output"] = texts.shortened(_json_of(found, "output"), _VALUE_SHOWN)
        if found.get("rollback"):
            answer["rollback"] = found["rollback"]
        with suppress(NotOfThisServer):
            answer["labels"] = self._client.labels(workflow, id)
        return answer

    def get_value(
        self,
        workflow: Workflow,
        id: Instance,
        of: Annotated[Literal["params", "output"], Field(description="Which value.")],
        offset: Annotated[int, Field(ge=0, description="next_offset of the value before, for the rest of it.")] = 0,
    ) -> answers.ValueAnswer:
        """Read the params or the output of an instance whole, as JSON; a text as it is.

        It comes in pieces of 8,000 characters: value.next_offset leads to the next one.
        """
        found = self._client.instance(check(workflow), named(self._client, workflow, id), simple=True)
        return {} if found.get(of) is None else {"value": answers.piece_of(_json_of(found, of), offset)}

    def get_step(  # noqa: PLR0913, PLR0917 - one for each parameter
        self,
        workflow: Workflow,
        id: Instance,
        step: Annotated[str, Field(description="As get_instance names it: with its count, such as charge-1.")],
        type: Annotated[Literal["step", "waitForEvent"], Field(description="As get_instance has it.")] = "step",
        attempt: Annotated[int | None, Field(ge=1, description="Only how this attempt went.")] = None,
        offset: Annotated[int, Field(ge=0, description="next_offset of the output before, for the rest of it.")] = 0,
    ) -> answers.StepAnswer:
        """Tell how a step stands: its config, its latest attempts with their errors and times, and its whole output.

        The output is JSON, given in pieces of 8,000 characters: output.next_offset leads to the next one. What a step
        returned as a stream of bytes is not shown.
        """
        id = named(self._client, check(workflow), id)
        with self._client.step(workflow, id, (step, type), attempt) as found:
            if isinstance(found, StepBytes):
                return {"status": "complete", "stream_bytes": found.size}
            answer = answers.StepAnswer(status=found["status"])
            if found.get("error"):
                answer["error"] = texts.shortened(_error(found["error"]), _VALUE_SHOWN)
            if "output" in found:
                answer["output"] = answers.piece_of(found.text_of("output"), offset)
        if attempt is None:
            logged = self._logged(workflow, id, step, type)
            attempts = logged.get("attempts") or []
            answer["attempt_count"] = len(attempts)
            first = max(len(attempts) - _ATTEMPTS_SHOWN, 0)
            answer["attempts"] = [_attempt(number, one) for number, one in enumerate(attempts[first:], first + 1)]
            answer["config"] = logged.get("config") or {}
        return answer

    def get_logs(
        self,
        workflow: Workflow,
        id: Instance,
        step: Annotated[str | None, Field(description="Only what this step said, such as charge-1.")] = None,
        after: Annotated[int, Field(ge=0, description="next_after of the answer before.")] = 0,
        limit: Annotated[int, Field(ge=1, le=200, description="How many lines at most.")] = 50,
    ) -> answers.LogsAnswer:
        """Read what an instance's code has printed and logged, with tracebacks, the oldest line first.

        Each line has its number n, when, the step and attempt that said it (none: the code between steps), and a level.
        The fewer lines are asked for, the more there is of a long one.
        """
        id = named(self._client, check(workflow), id)
        query = {"step": step, "after": str(after) if after else None, "limit": str(limit)}
        lines = self._client.log_page(workflow, id, query)
        following = lines[-1]["n"] if len(lines) == limit else None
        return {"lines": [_without_nothing(line) for line in lines], "next_after": following}

    def get_graph(
        self,
        workflow: Workflow,
        version: Annotated[str | None, Field(description="Id of a version; the newest if not given.")] = None,
        instance: Annotated[str | None, Field(description="Id of an instance: its version, and how far it is.")] = None,
        offset: Annotated[int, Field(ge=0, description="next_offset of the graph before, for the rest of it.")] = 0,
    ) -> answers.GraphAnswer:
        """Show the structure of a workflow's code as text, as read from its source.

        A tree of its steps, with the branches, loops, waits for events and sleeps, and what goes on at the same time.
        """
        id = None if instance is None else named(self._client, check(workflow), instance)
        drawn = graph_sources.of_server(
            self._client, graph_sources.Asked(check(workflow), version=version, instance=id)
        )
        return {"graph": answers.piece_of("\n".join(tree(drawn.graph, drawn.marks, is_ascii=True)), offset)}

    def list_versions(self, workflow: Workflow, limit: Few = 10, offset: Offset = 0) -> answers.VersionsAnswer:
        """List the versions of a workflow, the newest first: each time other code was served there is one."""
        rows, following = cut(self._client.versions(check(workflow)), limit, offset)
        return {"versions": [_without_nothing(row) for row in rows], "next_offset": following}

    def compare_versions(
        self,
        workflow: Workflow,
        a: Annotated[str | None, Field(description="Id of a version; the one before the newest if not given.")] = None,
        b: Annotated[str | None, Field(description="Id of a version; the newest if not given.")] = None,
        limit: Few = 20,
        offset: Offset = 0,
    ) -> answers.ComparisonAnswer:
        """Show how the code of version B of a workflow differs from that of version A.

        Steps that one has alone, what is said otherwise of the steps of both, and behind the first of them a patch of
        each file, cut where there is no room. What is not known is said in notes.
        """
        found = comparing_versions.difference(self._client, check(workflow), (a, b))
        return {
            **_differing(found.rows, limit, offset),
            "files": [] if offset else [file for file in found.files if file["differs"]],
            "notes": found.notes,
        }

    def compare_instances(
        self,
        workflow: Workflow,
        a: Instance,
        b: Instance,
        limit: Few = 20,
        offset: Offset = 0,
    ) -> answers.ComparisonAnswer:
        """Show what ran in one of two instances of a workflow and not in the other, and what ran otherwise.

        Useful with one that failed and one that did not. Compared are status, attempts, errors, params, outputs, config
        and durations. A row is a step, or (instance): the instances themselves.
        """
        ids = [named(self._client, check(workflow), id) for id in (a, b)]
        ours, theirs = (self._client.instance(workflow, id) for id in ids)
        return _differing([*comparing.rows_of(ours, theirs)], limit, offset)

    def list_schedules(
        self,
        workflow: Annotated[str | None, Field(description="Only of this workflow; of all if not given.")] = None,
        limit: Few = 20,
        offset: Offset = 0,
    ) -> answers.SchedulesAnswer:
        """List schedules: cron expression, time zone, whether it is paused, its last firing and the next ones."""
        rows = self._client.schedules(None if workflow is None else check(workflow))
        found, following = cut(rows, limit, offset)
        return {"schedules": [_without_nothing(row) for row in found], "next_offset": following}

    def get_limits(
        self,
        workflow: Annotated[str | None, Field(description="Of this workflow, with the queues of its keys.")] = None,
    ) -> answers.LimitsAnswer:
        """Tell how many instances and steps may run at a time, and how many do and wait.

        Of the account, with all of its workflows that have limits and all limits that steps share; or of one workflow.
        """
        found = self._client.limits() if workflow is None else self._client.limits_of(check(workflow))
        return {"limits": found}

    def _why(self, workflow: str, id: str) -> list[str]:
        """Return why an instance does not go on, in plain words; nothing of one that has ended."""
        with suppress(NotOfThisServer):
            return [line for reason in self._client.why(workflow, id)["reasons"] for line in why.in_lines(reason)]
        return []

    def _logged(self, workflow: str, id: str, step: str, type: str) -> Mapping[str, Any]:
        """Return a step as the log has it: its attempts and its config."""
        steps: Iterable[Mapping[str, Any]] = steps_of(self._client.instance(workflow, id))
        return next((one for one in steps if (one["name"], one["type"]) == (step, type)), {})


def _finding(one: Finding) -> answers.Row:
    remedy = {"remedy": one.remedy} if one.remedy else {}
    return {"check": one.check, "state": one.state, "said": one.said, **remedy}


def _workflow(row: Result) -> answers.Row:
    counts = {status: count for status, count in row["instances"].items() if count}
    about = {name: row.get(name) for name in ("name", "class_name", "script_name", "created_on", "triggered_on")}
    crons = [schedule["cron"] for schedule in row.get("schedules") or ()]
    return _without_nothing({**about, "instances": counts, "schedules": crons})


def _listed(row: Result) -> answers.Row:
    return {name: row.get(name) for name in _ROW} | {name: row[name] for name in _ROW_IF_ANY if row.get(name)}


def _step(step: Result) -> answers.StepRow:
    row = answers.StepRow(
        name=step["name"], type=step["type"], state=state_of(step), start=step["start"], end=step["end"]
    )
    attempts = step.get("attempts")
    if attempts is not None:
        row["attempts"] = len(attempts)
    error = step.get("error") or next((one["error"] for one in reversed(attempts or []) if one["error"]), None)
    # What has failed before it succeeded has no error; get_step shows its attempts.
    if error and not step.get("success"):
        row["error"] = texts.shortened(_error(error), _ERROR_SHOWN)
    if step.get("output") is not None:
        row["output"] = texts.shortened(_json_of(step, "output"), _OUTPUT_SHOWN)
    return row


def _json_of(result: Result, member: str) -> str:
    """Return a value as JSON; a text as it is, which is how outputs that are no texts come, too."""
    value = result[member]
    return value if isinstance(value, str) else result.text_of(member)


def _attempt(number: int, attempt: Mapping[str, Any]) -> answers.Row:
    error = attempt.get("error")
    shown = {} if not error else {"error": texts.shortened(_error(error), _ERROR_SHOWN)}
    return {"attempt": number, "start": attempt["start"], "end": attempt["end"], "success": attempt["success"], **shown}


def _differing(rows: Sequence[answers.Row], limit: int, offset: int) -> answers.ComparisonAnswer:
    """Return some of the rows that differ. Values are given as JSON, which can be cut."""
    differing = [row for row in rows if row["differs"]]
    return {
        "differs": [
            {**row, "a": _with_json(row["a"]), "b": _with_json(row["b"])} for row in differing[offset : offset + limit]
        ],
        "compared": len(rows),
        "next_offset": offset + limit if len(differing) > offset + limit else None,
    }


def _with_json(side: answers.Row | None) -> answers.Row | None:
    if side is None:
        return None
    return {name: texts.as_json(value) if name in _VALUES else value for name, value in side.items()}


def _error(error: Mapping[str, Any]) -> str:
    return f"{error['name']}: {error['message']}"


def _without_nothing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, [], {})}
