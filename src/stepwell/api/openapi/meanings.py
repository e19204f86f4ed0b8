"""What the members of answers and bodies mean, and what their types do not say of them.

By the name of the schema and of the member: keywords of JSON Schema. `named` puts a schema of `NAMED` in place of the
member's own; `{payload_size}` stands for the value of that setting.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from collections.abc import Mapping
from typing import Any

from stepwell import limits
from stepwell.api.openapi.meanings_of_audit import OF_AUDIT
from stepwell.api.openapi.meanings_of_callers import OF_CALLERS
from stepwell.api.openapi.meanings_of_deployments import OF_DEPLOYMENTS
from stepwell.api.openapi.meanings_of_facts import OF_FACTS
from stepwell.api.openapi.meanings_of_graphs import OF_GRAPHS
from stepwell.api.openapi.meanings_of_hosts import OF_HOSTS
from stepwell.api.openapi.meanings_of_limits import OF_LIMITS
from stepwell.api.openapi.meanings_of_logs import OF_LOGS
from stepwell.api.openapi.meanings_of_schedules import OF_SCHEDULES
from stepwell.api.openapi.meanings_of_scripts import OF_SCRIPTS
from stepwell.api.openapi.meanings_of_search import LABELS, OF_A_FOUND_ONE, OF_SEARCH
from stepwell.api.openapi.meanings_of_webhooks import OF_WEBHOOKS
from stepwell.api.openapi.meanings_of_why import OF_CHILDREN, OF_FORCING, OF_HISTORY, OF_WHY
from stepwell.core.notices import NoticeType
from stepwell.core.retries import BACKOFFS
from stepwell.models import STATUSES

Meaning = Mapping[str, Any]

_DURATION = 'Milliseconds, or a duration such as `"5 minutes"`.'
NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_-]*$"
NAMED: Mapping[str, Meaning] = {
    "Status": {
        "type": "string",
        "enum": list(STATUSES),
        "description": "The status of an instance. `complete`, `errored` and `terminated` are final.",
        "examples": ["running"],
    },
    "TriggerSource": {
        "type": "string",
        "enum": ["unknown", "api", "binding", "event", "cron"],
        "description": "What created an instance.",
        "examples": ["api"],
    },
    "InstanceEventType": {
        "type": "string",
        "enum": [type.value for type in NoticeType],
        "description": "The type of an event of an instance.",
        "examples": ["step_completed"],
    },
    "Backoff": {
        "type": "string",
        "enum": list(BACKOFFS),
        "description": "How the delay grows from one attempt to the next.",
        "examples": ["exponential"],
    },
    "Counts": {
        "type": "object",
        "properties": {status: {"type": "integer", "minimum": 0} for status in STATUSES},
        "required": list(STATUSES),
        "additionalProperties": False,
        "description": "How many instances have each status.",
        "examples": [{status: 3 if status == "complete" else 0 for status in STATUSES}],
    },
    "Duration": {
        "description": _DURATION,
        "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1, "maxLength": 40}],
        "examples": ["7 days"],
    },
}

_WORKFLOW = "6f0b6c1e-0000-4000-8000-000000000001"
_VERSION = "b5b5c2a1-0000-4000-8000-000000000002"


def _text(description: str, example: str, **more: Any) -> Meaning:
    return {"description": description, **more, "examples": [example]}


def _moment(description: str, example: str = "2026-11-23T10:00:00.000Z") -> Meaning:
    return {"description": description, "format": "date-time", "examples": [example]}


def _uuid(description: str, example: str) -> Meaning:
    return {"description": description, "format": "uuid", "examples": [example]}


def _number(description: str, example: int) -> Meaning:
    return {"description": description, "minimum": 0, "examples": [example]}


_STATUS: Meaning = {"named": "Status"}
_SOURCE: Meaning = {"named": "TriggerSource"}
_OF_AN_INSTANCE: Mapping[str, Meaning] = {
    "id": _text("The instance's id, unique within its workflow.", "order-1"),
    "status": _STATUS,
    "version_id": _uuid("The version of the workflow that it was created with.", _VERSION),
    "workflow_id": _uuid("The workflow's id.", _WORKFLOW),
    "trigger_source": _SOURCE,
}
_LISTED: Mapping[str, Meaning] = {
    **_OF_AN_INSTANCE,
    "status": {"named": "Status", "examples": ["complete"]},
    "created_on": _moment("When it was created."),
    "modified_on": _moment("When something last happened to it.", "2026-11-23T10:00:12.400Z"),
    "started_on": _moment("When its code first ran; null until then.", "2026-11-23T10:00:00.120Z"),
    "ended_on": _moment("When it ended; null until then.", "2026-11-23T10:00:12.400Z"),
}
_OF_A_WORKFLOW: Mapping[str, Meaning] = {
    "id": _uuid("The workflow's id.", _WORKFLOW),
    "name": _text("Its name, unique within the account.", "order"),
    "class_name": _text("The class that it is made of.", "Order"),
    "script_name": _text("The script that has the class.", "shop"),
    "created_on": _moment("When it was created."),
    "modified_on": _moment("When its newest version was made."),
    "triggered_on": _moment("When an instance was last created; null if there was none."),
}
_OF_A_VERSION: Mapping[str, Meaning] = {
    "id": _uuid("The version's id.", _VERSION),
    "class_name": _text("The class that it is made of.", "Order"),
    "created_on": _moment("When it was made."),
    "modified_on": _moment("When it was last changed."),
    "workflow_id": _uuid("The workflow's id.", _WORKFLOW),
}
_RETENTION_BODY: Mapping[str, Meaning] = {
    "success_retention": {"named": "Duration", "description": f"After it completed. 0 says nothing. {_DURATION}"},
    "error_retention": {
        "named": "Duration",
        "description": f"After it errored or was terminated. 0 says nothing. {_DURATION}",
    },
}
_RETENTION: Mapping[str, Meaning] = {
    "success_retention": _number("Milliseconds after it completed.", 604_800_000),
    "error_retention": _number("Milliseconds after it errored or was terminated.", 604_800_000),
}

_TRIGGER: Mapping[str, Meaning] = {
    "type": _text("The type of the event.", "cf.artifacts.repo.pushed"),
    "targets": {"description": "What the event starts."},
    "filter": {"description": "Which of the events of this type are meant; all if it is left out."},
}
_FILTER: Mapping[str, Meaning] = {
    "namespace": _text("Only those of this namespace.", "default"),
    "repo_name": _text("Only those of this repository.", "shop"),
}
_TARGET: Mapping[str, Meaning] = {
    "type": _text("Always `workflow`.", "workflow"),
    "workflow_name": _text("The workflow that is started.", "order"),
    "script_name": _text("The script that has it.", "shop"),
}

_STEP: Mapping[str, Meaning] = {
    "name": _text("The step's name with its count.", "charge-1"),
    "start": _moment("When its first attempt began.", "2026-11-23T10:00:00.130Z"),
    "end": _moment("When it succeeded or failed for good; null until then.", "2026-11-23T10:00:00.410Z"),
    "success": {"description": "Null until it has ended, also between attempts."},
    "output": _text(
        f"The JSON text of what it returned, cut after {limits.LOG_OUTPUT_CHARACTERS:,} characters; the route of "
        "the step has the whole. `[REDACTED]` for a sensitive step, null where there is none.",
        '{"chargeId":"c_1"}',
    ),
    "config": {"description": "Its config, merged with the defaults."},
    "attempts": {"description": "Its attempts, in order."},
}

MEANINGS: Mapping[str, Mapping[str, Meaning]] = {
    # ---- the envelope
    "Problem": {
        "code": _number("A number for programs.", 10400),
        "message": _text(
            "A sentence for people: a dotted key, then the thing, the value and the remedy.",
            'workflows.api.error.instance.not_found: no instance "order-1" in workflow "order"',
        ),
    },
    "ResultInfo": {
        "count": _number("How many entries this answer has.", 1),
        "per_page": _number("How many a page has at most.", 50),
        "total_count": _number("How many there are in all.", 1),
        "cursor": _text("Leads to the next page; empty on the last one.", ""),
        "page": _number("The number of this page.", 1),
        "total_pages": _number("How many pages there are.", 1),
    },
    # ---- workflows
    "Schedule": {
        "cron": _text("A cron expression.", "*/30 * * * *"),
        "next_instance": _text("When it fires next; empty: it is paused, or never does.", "2026-11-23T10:30:00.000Z"),
    },
    "Workflow": {
        **_OF_A_WORKFLOW,
        "instances": {"named": "Counts"},
        "schedules": {"description": "The cron expressions that create instances.", "examples": [[]]},
    },
    "ChangedWorkflow": {
        **_OF_A_WORKFLOW,
        "version_id": _uuid("The version that this request made.", _VERSION),
        "is_deleted": _number("Always 0.", 0),
        "terminator_running": _number("1 while all of its instances are being terminated, else 0.", 0),
    },
    "DeletedWorkflow": {
        "status": _text("Always `ok`.", "ok"),
        "success": {"description": "Always true.", "examples": [True]},
    },
    "WorkflowBody": {
        "script_name": _text("The script that has the class; it has to be loaded.", "shop"),
        "class_name": _text("The class that the workflow is made of.", "Order"),
        "limits": {"description": "What an instance may have at most."},
        "schedules": {
            "description": "When instances are created, in UTC; at most {schedules_per_account} of the whole account.",
            "maxItems": "{schedules_per_account}",
        },
        "concurrency": {"description": "How many instances may run at a time."},
        "default_retention": {
            "description": "How long instances are kept after their end, where they do not say so themselves."
        },
    },
    "StepLimitBody": {
        "steps": {
            "description": "How many steps an instance may have.",
            "maximum": "{most_steps_per_instance}",
            "examples": ["{most_steps_per_instance}"],
        }
    },
    "ConcurrencyLimitBody": {"limit": {"description": "How many instances may run at a time.", "examples": [10]}},
    "ScheduleBody": {"cron": _text("A cron expression: five fields, weekdays from 1 (Sunday) to 7.", "*/30 * * * *")},
    # ---- versions
    "StepLimit": {"steps": _number("How many steps an instance may have.", 1000)},
    "ConcurrencyLimit": {"limit": _number("How many instances may run at a time.", 10)},
    "Retention": _RETENTION,
    "RetentionBody": _RETENTION_BODY,
    "InstanceRetention": {
        **_RETENTION,
        "kept_until": {
            "description": "Until when; null: it has not ended.",
            "format": "date-time",
            "examples": ["2026-11-30T10:00:12.400Z"],
        },
    },
    "Version": {
        **_OF_A_VERSION,
        "has_dag": {
            "description": "Whether there is a graph of its code. Of Python there is none.",
            "examples": [False],
        },
        "language": _text("The language of its code.", "python"),
        "concurrency": {"description": "How many instances may run at a time, if that was set."},
        "default_retention": {"description": "How long instances are kept, if that was set."},
        "limits": {"description": "How many steps an instance may have, if that was set."},
    },
    "VersionGraph": {**_OF_A_VERSION, "graph": {"description": "The graph; null: the code could not be read."}},
    "VersionDag": {**_OF_A_VERSION, "dag": {"description": "The graph; null: the code could not be read."}},
    # ---- accounts
    "AccountSettings": {"default_retention": {"description": "How long instances are kept after their end."}},
    "SettingsBody": {"default_retention": {"description": "How long to keep instances after their end."}},
    "ScriptTriggers": {
        "script_name": _text("The script's name.", "shop"),
        "triggers": {"description": "Its event triggers."},
    },
    "DeletedTriggers": {"deleted": _number("How many there were.", 1)},
    "EventTrigger": _TRIGGER,
    "TriggerFilter": _FILTER,
    "TriggerTarget": _TARGET,
    "TriggerBody": _TRIGGER,
    "FilterBody": _FILTER,
    "TargetBody": _TARGET,
    # ---- instances
    "CreatedInstance": {**_OF_AN_INSTANCE, "status": {"named": "Status", "examples": ["queued"]}},
    "LabelledInstance": {"labels": LABELS},
    "SearchedInstance": OF_A_FOUND_ONE,
    "ListedInstance": _LISTED,
    "EventReceipt": {
        "instanceId": _text("The instance's id.", "order-1"),
        "timestamp": _moment("When the event was received."),
    },
    "ChangedStatus": {
        "status": {"named": "Status", "examples": ["paused"]},
        "timestamp": _moment("When it was changed."),
    },
    "DeletedInstance": {
        "instanceId": _text("The instance's id.", "order-1"),
        "timestamp": _moment("When it was deleted."),
    },
    "InstanceId": {"id": _text("The instance's id.", "order-1")},
    "InstanceProblem": {
        "id": _text("The instance's id.", "order-2"),
        "code": _number("A number for programs.", 10400),
        "message": _text("Why it could not be deleted.", "workflows.api.error.instance.not_found: no such instance"),
    },
    "BatchDeletion": {
        "deleted": {"description": "Those that were deleted, in the order in which they were named."},
        "errors": {"description": "Those that could not be.", "examples": [[]]},
    },
    "BatchTermination": {
        "status": _text("Always `ok`.", "ok"),
        "instancesTerminated": _number("How many were terminated.", 1),
    },
    "TerminationStart": {"status": _text("`already_running` if it had begun before.", "ok")},
    "TerminationState": {"status": _text("Whether it is going on.", "not_running")},
    "TerminateBody": {"rollback": {"description": "Run the rollbacks of its steps first.", "examples": [False]}},
    "RestartBody": {"from": {"description": "The step to begin at; the whole instance if it is left out."}},
    "FromStepBody": {
        "name": _text("The step's name, without the count that the log shows behind it.", "charge"),
        "count": {"description": "Which of the steps of this name and type, as they began.", "examples": [1]},
        "type": _text("What kind of step it is.", "do"),
    },
    "BatchDeletionBody": {"instances": {"description": "Their ids.", "examples": [["order-1", "order-2"]]}},
    "Termination": {"trigger": {"description": "Where it was asked for."}},
    "NewInstanceBody": {
        "instance_id": _text(
            "The new instance's id; a new UUID if it is left out. Reserved: `cf_` with 64 hexadecimal digits, `batch`, "
            "`terminate` and `terminateAll`.",
            "order-1",
            minLength=1,
            maxLength=limits.INSTANCE_ID_LENGTH,
            pattern=NAME_PATTERN,
        ),
        "params": {
            "description": "What the workflow gets as its event's payload: any JSON value of up to {payload_size} (a "
            "setting), or the same as JSON inside a string. `{}` if it is left out. All digits of an integer are kept.",
            "examples": [{"orderId": 7}],
        },
        "instance_retention": {"description": "How long to keep the instance after its end."},
        "location_hint": {"description": "Where to run the instance. Without effect.", "examples": ["weur"]},
    },
    "ErrorText": {
        "name": _text("The error's class.", "CardDeclined"),
        "message": _text("What it says; there is no stack.", "insufficient funds"),
    },
    "Trigger": {"source": _SOURCE},
    "CronFiring": {
        "cron": _text("The cron expression that created it.", "*/30 * * * *"),
        "scheduledTime": _number("When it was to fire, in milliseconds since 1970.", 1_795_428_000_000),
    },
    "Instance": {
        "status": {"named": "Status", "examples": ["complete"]},
        "params": {
            "description": "The params as they were sent; `{}` if there were none.",
            "examples": [{"orderId": 7}],
        },
        "trigger": {"description": "What created it."},
        "versionId": _uuid("The version of the workflow that it was created with.", _VERSION),
        "queued": _moment("When it was created."),
        "start": _moment("When its code first ran; null until then.", "2026-11-23T10:00:00.120Z"),
        "end": _moment("When it ended; null until then.", "2026-11-23T10:00:12.400Z"),
        "success": {"description": "True if complete, false if it ended in another way, null until then."},
        "error": {"description": "Why it has errored, else null.", "examples": [None]},
        "output": {
            "description": "What `run` returned: a number, the text itself, or the JSON text of anything else. Null "
            "until the instance is complete, and where nothing was returned.",
            "type": ["string", "number", "null"],
            "examples": ['{"paid":true}'],
        },
        "rollback": {"description": "How the rollback went; null where none ran, or as long as it runs."},
        "step_count": _number("How many entries the whole log has.", 3),
        "steps": {"description": "The log, in the order in which the steps were called. Empty with `simple=true`."},
        "schedule": {"description": "The firing that created it; only where a cron expression did."},
    },
    "RollbackOutcome": {
        "outcome": _text("Whether all rollbacks have run.", "complete"),
        "error": {"description": "Why the last of them failed, else null.", "examples": [None]},
    },
    # ---- entries of an instance's log
    "Step": _STEP,
    "RollbackStep": _STEP,
    "Attempt": {
        "start": _moment("When it began.", "2026-11-23T10:00:00.130Z"),
        "end": _moment("When it ended; null until then.", "2026-11-23T10:00:00.410Z"),
        "success": {"description": "Null until it has ended."},
        "error": {"description": "Why it failed, else null.", "examples": [None]},
    },
    "Config": {
        "retries": {"description": "How often and how fast it is tried again."},
        "timeout": {
            "description": "How long an attempt may take: milliseconds or a duration, as its author wrote it.",
            "examples": ["10 minutes"],
        },
        "sensitive": _text("`output` where the output is hidden; else it is left out.", "output"),
    },
    "Retries": {
        "limit": {"description": "How often it is tried again after its first attempt.", "examples": [5]},
        "delay": {
            "description": "How long to wait before it is tried again: milliseconds or a duration, as its author wrote "
            "it; `[dynamic]` for a function.",
            "examples": [10_000],
        },
        "backoff": {"named": "Backoff"},
    },
    "Sleep": {
        "name": _text("The sleep's name with its count.", "cool down-1"),
        "start": _moment("When it began."),
        "end": _moment("When it is to end, or has ended.", "2026-11-23T10:00:10.000Z"),
        "finished": {"description": "Whether it has ended."},
        "error": {"description": "Null as a rule.", "examples": [None]},
    },
    "Wait": {
        "name": _text("The wait's name with its count.", "approval-1"),
        "event_type": _text("The type of the event that it waits for.", "approved"),
        "start": _moment("When it began."),
        "end": _moment("When it times out or, once it is finished, when it ended.", "2026-11-24T10:00:00.000Z"),
        "finished": {"description": "Whether an event came, or it timed out."},
        "error": {"description": "`WorkflowTimeoutError` after a time-out, else null.", "examples": [None]},
        "output": _text("The JSON text of the event's payload; only where an event came.", '{"by":"ann"}'),
    },
    "StepState": {
        "status": {"named": "Status", "examples": ["complete"]},
        "error": {
            "description": "The error of the step, or of its last attempt; null if there is none.",
            "examples": [None],
        },
        "output": {
            "description": "The whole JSON value; only once it is complete. `[REDACTED]` for a sensitive step.",
            "examples": [{"chargeId": "c_1"}],
        },
        "event_type": _text("The type of the event that a wait waits for; only of a wait.", "approved"),
    },
    "InstanceEvent": {
        "instanceId": _text("The instance's id.", "order-1"),
        "eventId": _number("Ascends from event to event, and stays the same.", 97),
        "timestamp": _number("When it happened, in milliseconds since 1970.", 1_795_428_000_410),
        "type": {"named": "InstanceEventType"},
        "stepName": _text("The step, sleep or wait, with its count.", "charge-1"),
        "attempt": _number("Which attempt it was.", 1),
        "config": {"description": "What holds for the step; only of `step_started`."},
        "params": {"description": "The instance's params; only of `workflow_started`.", "examples": [{"orderId": 7}]},
        "output": {
            "description": "The whole JSON value that was returned; only of `step_completed` and `workflow_completed`. "
            "`[REDACTED]` for a sensitive step.",
            "examples": [{"chargeId": "c_1"}],
        },
        "error": {"description": "What went wrong. A sleep or wait that the workflow cancelled is completed, with it."},
        "retryDelayMs": _number("How long the next attempt waits, if there is one.", 10_000),
        "durationMs": _number("How long it sleeps; only of `sleep_started`.", 60_000),
        "eventType": _text("The type of the event that it waits for; only of `wait_started`.", "approved"),
    },
    "StreamToken": {
        "token": _text("What goes into the query of the WebSocket's address.", "EXAMPLE-TOKEN"),
        "expires_at": _moment("When it is good no more; a stream that is open then goes on."),
    },
    # ---- Stepwell's own
    "InstanceStatus": {
        **_LISTED,
        "step_count": _number("How many entries the log has.", 3),
        "error": {"description": "Why it has errored, else null.", "examples": [None]},
        "output": {
            "description": "What `run` returned, as the JSON value itself; null until the instance is complete.",
            "examples": [{"paid": True}],
        },
        "labels": LABELS,
        "progress": {"description": "How far the instance last said it is; null until it said something."},
        "parents": {"description": "The instances that await it, oldest first, up to 100.", "examples": [[]]},
        "children": {"description": "The instances that it awaits or has awaited, oldest first, up to 100."},
        "decisions": {
            "description": "What was decided by hand of its steps, latest first, up to 100.",
            "examples": [[]],
        },
    },
    **OF_CHILDREN,
    **OF_GRAPHS,
    **OF_SCHEDULES,
    **OF_SEARCH,
    **OF_HISTORY,
    **OF_WHY,
    **OF_FORCING,
    **OF_LIMITS,
    **OF_CALLERS,
    **OF_HOSTS,
    **OF_FACTS,
    **OF_DEPLOYMENTS,
    **OF_SCRIPTS,
    "Progress": {
        "value": {"description": "Whatever JSON value the code gave.", "examples": [{"done": 3, "of": 10}]},
        "at": _moment("When it said so."),
    },
    **OF_LOGS,
    **OF_AUDIT,
    **OF_WEBHOOKS,
}
