"""What servers answer to each command that shows something, with what a terminal would obey in the values of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.store.session_operations import SessionRow
from stepwell.store.token_operations import TokenRow
from tests.cli.scripted import Answer

# A colour, a bell, a mark that turns the direction of writing, a new line, and two characters of two cells each.
HOSTILE = "a\x1b[31mb\x07c\u202ed\ne\u65e5\u672c"
LONG = "a-name-that-is-as-long-as-names-may-be-" + 25 * "x"

# What commands print that is not here, and where it is looked at: of this machine, or of a whole store.
ELSEWHERE = {
    "backup": "test_backups.py",
    "copy": "test_copying.py",
    "deploy": "test_deploying.py",
    "doctor": "test_doctor.py",
    "migrate": "test_schemas.py",
    "reencrypt": "../crash/test_encryption.py",
    "restore": "test_backups.py",
}

PROFILES = {
    "home": ("http://127.0.0.1:8787", "local", None),
    HOSTILE: (f"https://{HOSTILE}.example", HOSTILE, "secret"),
    "long": (f"https://{LONG}.example", LONG, "secret"),
}
TOKENS = (
    TokenRow("t1", "local", "", "", None, ["Workers Scripts Read"], 1_764_000_000_000),
    TokenRow("t2", "local", HOSTILE, "", HOSTILE, ["Workers Scripts Write", "deploy"], 1_764_000_000_001, 1, 2),
    TokenRow("t3", LONG, LONG, "", None, [], 1_764_000_000_002, 32_503_680_000_000),
)
SESSIONS = (
    SessionRow("s1", "local", "t1", "", 1_764_000_000_000, 1_764_003_600_000),
    SessionRow("s2", LONG, "t3", "", 1_764_000_000_001, 1_764_000_000_001),
    SessionRow("s3", "local", "t2", "", 1_764_000_000_002, 1_764_000_000_003),
)


@dataclass(frozen=True)
class Case:
    """What stands behind a command, and what it is answered."""

    more: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()


def _asked(more: str, *results: Any) -> Case:
    return Case(tuple(more.split()), tuple(map(Answer.result, results)))


def _at(clock: str) -> str:
    return f"2026-11-27T{clock}.000Z"


_ERROR = {"name": f"Card{HOSTILE}", "message": f"no {HOSTILE}"}
_COMPARED = {"status": "complete", "versionId": "v1", "start": _at("10:00:00"), "end": _at("10:00:02")}
_COMPARED_STEP = {"type": "step", "start": _at("10:00:00"), "end": _at("10:00:01"), "success": True, "attempts": [{}]}
_HOOK = {
    "id": "w1",
    "url": f"https://example.com/{LONG}",
    "workflows": ["order", LONG],
    "events": [],
    "enabled": True,
    "disabled_on": None,
    "disabled_as": None,
    "created_on": _at("10:00:00"),
    "created_by": HOSTILE,
}
_DISABLED = {**_HOOK, "id": HOSTILE, "url": HOSTILE, "workflows": [], "enabled": False, "disabled_as": "gone"}
_DELIVERED = {
    "id": "msg_w1_7",
    "type": "cf.workflows.workflow.instance.errored",
    "workflow_name": "order",
    "instance_id": "i1",
    "occurred_on": _at("10:00:00"),
    "outcome": "delivered",
    "attempts": [{"problem": None, "status": 500}, {"problem": None, "status": 204}],
}
_UNDELIVERED = {
    **_DELIVERED,
    "id": HOSTILE,
    "workflow_name": LONG,
    "instance_id": HOSTILE,
    "outcome": "given_up",
    "attempts": [{"problem": f"no {HOSTILE}", "status": None}],
}
_RETRIES = {"limit": 2, "delay": 1000, "backoff": "constant"}


def _attempt(start: str, end: str, *, success: bool) -> dict[str, Any]:
    return {"start": _at(start), "end": _at(end), "success": success, "error": None if success else _ERROR}


def _do(name: str, start: str, end: str | None, **more: Any) -> dict[str, Any]:
    config = {"retries": _RETRIES, "timeout": 600_000}
    done = {"success": True, "output": "1", "attempts": [_attempt(start, end, success=True)] if end else []}
    return {
        "name": name,
        "type": "step",
        "start": _at(start),
        "end": end and _at(end),
        "config": config,
        **done,
        **more,
    }


_FAILED = [
    _attempt("11:58:10", "11:58:11", success=False),
    _attempt("11:58:12", "11:58:13", success=False),
    _attempt("11:58:14", "11:58:15", success=False),
]
_STEPS = [
    _do("validate-1", "11:58:00", "11:58:01"),
    {
        "name": f"cool {HOSTILE}-1",
        "type": "sleep",
        "start": _at("11:58:01"),
        "end": _at("11:58:10"),
        "finished": True,
        "error": None,
    },
    _do("charge-1", "11:58:10", "11:58:15", success=False, output=None, attempts=_FAILED),
]
_INSTANCE = {
    "status": "errored",
    "queued": _at("11:57:59"),
    "start": _at("11:58:00"),
    "end": _at("11:58:15"),
    "params": {},
    "versionId": "v1",
    "trigger": {"source": "api"},
    "steps": _STEPS,
    "error": _ERROR,
    "output": None,
    "success": False,
    "step_count": 3,
}
_LISTED: dict[str, Any] = {
    "workflow_name": "order",
    "workflow_id": "w1",
    "version_id": "v1",
    "status": "complete",
    "created_on": _at("11:00:00"),
    "modified_on": _at("11:10:00"),
    "started_on": _at("11:00:00"),
    "ended_on": _at("11:00:30"),
    "trigger_source": "api",
    "error": None,
    "current": None,
    "labels": {},
}
_SLEEP = {
    "step": f"nap {HOSTILE}-1",
    "type": "sleep",
    "state": "waiting",
    "since": _at("11:30:00"),
    "until": _at("12:30:00"),
    "event_type": None,
}
_WORKFLOW = {
    "id": "w1",
    "name": "order",
    "class_name": "Order",
    "script_name": "shop",
    "created_on": _at("10:00:00"),
    "modified_on": _at("11:00:00"),
    "triggered_on": _at("11:59:00"),
    "instances": {"queued": 0, "running": 12, "complete": 3400, "errored": 2},
    "schedules": [{"cron": f"0 0 {HOSTILE}", "next_instance": _at("13:00:00")}],
}
_VERSION = {
    "id": "v1",
    "class_name": "Order",
    "created_on": _at("11:00:00"),
    "modified_on": _at("11:00:00"),
    "workflow_id": "w1",
    "has_dag": True,
    "limits": {"steps": 10_000},
    "concurrency": {"limit": 5},
    "default_retention": {"success_retention": 604_800_000, "error_retention": HOSTILE},
}
_VERSIONS = [_VERSION, {**_VERSION, "id": LONG, "class_name": HOSTILE, "limits": None, "concurrency": None}]
_JOB = {
    "id": "job-1",
    "action": "terminate",
    "workflow_name": "order",
    "status": "complete",
    "done": 1200,
    "passed_over": 3,
    "failed": 0,
    "left": 0,
    "filter": {"status": ["waiting", "paused"], "error_text": HOSTILE},
    "created_on": _at("11:00:00"),
    "created_by": f"token {HOSTILE}",
    "looked_to": None,
    "failures": [],
}
_BAD_JOB = {
    **_JOB,
    "workflow_name": None,
    "failed": 2,
    "failures": [
        {"workflow_name": "order", "instance_id": LONG, "message": "it has ended"},
        {"workflow_name": HOSTILE, "instance_id": HOSTILE, "message": HOSTILE},
    ],
}
_SCHEDULE = {
    "workflow_name": "order",
    "cron": "0 9 * * 1-5",
    "description": f"at 09:00, from Monday to Friday, {HOSTILE}, and so on, so that it is broken into lines",
    "time_zone": "Europe/Berlin",
    "overlap": "skip",
    "paused_on": None,
    "next": [_at("13:00:00")],
    "last": {"status": "complete"},
    "skipped": 0,
}
_SCHEDULES = [
    _SCHEDULE,
    {**_SCHEDULE, "workflow_name": LONG, "paused_on": _at("10:00:00"), "last": None},
    {**_SCHEDULE, "workflow_name": HOSTILE, "cron": HOSTILE, "time_zone": HOSTILE, "next": []},
]
_LIMITED = {
    "workflow_name": "order",
    "running": 3,
    "queued": 4,
    "concurrency": 3,
    "concurrency_per_key": 1,
    "key": f"customer {HOSTILE}",
    "rate": {"limit": 10, "period_ms": 1500},
    "rate_per_key": None,
    "singleton": None,
    "priority": None,
    "queues": [{"key": f'"{HOSTILE}"', "running": 1, "queued": 2, "next_queued_on": _at("11:59:00")}],
}
_SHARED = {
    "name": "desk",
    "running": 1,
    "queued": 0,
    "concurrency": None,
    "rate": {"limit": 500, "period_ms": 60_000},
    "source": "code",
    "next_queued_on": None,
}
_LIMITS = {
    "concurrency": 10,
    "running": 7,
    "workflows": [_LIMITED, {**_LIMITED, "workflow_name": LONG, "key": None, "concurrency": None, "rate": None}],
    "shared": [_SHARED, {**_SHARED, "name": HOSTILE, "source": None, "next_queued_on": _at("11:00:00")}],
}
_HOST = {
    "id": 1,
    "name": "one",
    "state": "alive",
    "workers": 2,
    "blocked_workers": 0,
    "held": 5,
    "lag_ms": 0,
    "renewed_on": _at("11:59:58"),
    "opened_on": _at("09:00:00"),
    "version": "1.2.3",
}
_FACT = {
    "id": "7",
    "at": _at("11:00:00"),
    "level": "warning",
    "event": "turn.lost",
    "message": "turn of order/order-1 was lost",
    "host": "web-1:42",
    "process": "worker 1",
    "account": "local",
    "workflow_name": "order",
    "instance_id": "order-1",
}
_HOSTS = {
    "hosts": [
        _HOST,
        {**_HOST, "id": 2, "name": HOSTILE, "blocked_workers": 1, "lag_ms": 1500, "version": None},
        {**_HOST, "id": 3, "name": LONG, "state": "lost"},
    ],
    "database": {"kind": "postgresql", "version": f"17.2 {HOSTILE}", "size": 3 * 2**20},
    "waiting": {"due": 12, "lag_ms": 2000, "queued": 7},
}
_LINES = {
    "next": 3,
    "lines": [
        {"n": 1, "at": _at("11:00:00"), "step": None, "attempt": None, "level": "info", "text": "begun"},
        {"n": 2, "at": _at("11:00:01"), "step": "charge-1", "attempt": 2, "level": "error", "text": HOSTILE},
        {"n": 3, "at": _at("11:00:02"), "step": f"{HOSTILE}-1", "attempt": 1, "level": "info", "text": LONG},
    ],
}
_FAMILY = {
    "instances": [
        {"workflow": "order", "id": "order-1", "status": "waiting", "depth": 0},
        {"workflow": HOSTILE, "id": HOSTILE, "status": "complete", "depth": 1},
        {"workflow": "shipping", "id": LONG, "status": HOSTILE, "depth": 2},
    ],
    "is_whole": False,
}
_WHY = {
    "status": "running",
    "end": None,
    "reasons": [
        {"type": "sleep", "step": f"{HOSTILE}-1", "until": _at("12:30:00")},
        {
            "type": "workerBlocked",
            "worker": f"worker {HOSTILE}",
            "since": _at("11:59:00"),
            "stack": [f'File "{HOSTILE}.py", line 3', LONG],
        },
        {"type": HOSTILE},
    ],
}
_CALLER = {
    "version": "1.2.3",
    "token": {"id": "t2", "name": HOSTILE, "expires_on": None},
    "permissions": ["Workers Scripts Read", HOSTILE],
}
_FORCED = {"step": "charge-1", "action": "retry", "by": f"token {HOSTILE}"}
_CREATED = {"id": "i1", "status": "queued", "version_id": "v1", "workflow_id": "w1"}

_SERVED = {
    "snapshot": 12,
    "sha256": "a" * 64,
    "source": "src/order.py",
    "python": "3.13.1",
    "created_on": _at("10:00:00"),
    "served_on": _at("11:00:00"),
    "is_served": True,
    "script": "shop",
}

_NODE = {
    "type": "step_do",
    "key": "1",
    "place": {"file": f"{HOSTILE}.py", "line": 3, "last_line": 3},
    "name": f"charge {HOSTILE}",
    "config": {"retries": _RETRIES, "timeout": 600_000},
}
_CODE = {"version_id": "v1", "class_name": "Order", "created_on": _at("11:00:00"), "sha256": "a" * 64}
_GRAPH: dict[str, Any] = {**_CODE, "nodes": [_NODE], "functions": {}, "payload": None, "remarks": [], "note": ""}
_SOURCE = {"files": [{"path": "flow.py", "text": f"{HOSTILE}\n"}], "left_out": [LONG], "note": ""}

_SAID = {
    "totals": {"tokens": 812, "cost": 0.25},
    "attempts": [{"step": "charge-1", "type": "step", "attempt": 1, "attributes": {"model": HOSTILE, "tokens": 812}}],
    "is_whole": True,
}
_ENTRY: dict[str, Any] = {
    "id": "7",
    "at": _at("11:00:00"),
    "action": "instance.terminate",
    "who": "ann",
    "way": "token",
    "token_id": "t1",
    "address": "192.0.2.7",
    "agent": "curl/8.5.0",
    "workflow_name": "order",
    "instance_id": "order-1",
    "thing": None,
    "detail": {"rollback": True},
}
_TARGETS: dict[str, Any] = {"workflow_name": None, "instance_id": None, "thing": LONG, "detail": {}}

CASES: Mapping[str, Case] = {
    "audit list": _asked(
        "",
        [
            _ENTRY,
            {**_ENTRY, "who": HOSTILE, "address": HOSTILE, "agent": HOSTILE, "detail": {"name": HOSTILE}},
            {**_ENTRY, **_TARGETS, "action": "token.create", "way": "command", "token_id": None, "agent": ""},
        ],
    ),
    "deployments list": _asked(
        "",
        [_SERVED, {**_SERVED, "snapshot": 11, "source": f"{HOSTILE}/{LONG}.py", "python": HOSTILE, "is_served": False}],
    ),
    "facts list": _asked(
        "",
        [
            _FACT,
            {**_FACT, "event": HOSTILE, "message": f"{HOSTILE} {LONG}", "host": HOSTILE, "process": HOSTILE},
            {**_FACT, "level": HOSTILE, "workflow_name": HOSTILE, "instance_id": HOSTILE, "account": HOSTILE},
            {**_FACT, "level": "info", "host": None, "account": None, "workflow_name": None, "instance_id": None},
        ],
    ),
    "hosts list": _asked("", _HOSTS),
    "instances delete": _asked("order i1 -y", {}),
    "instances describe": _asked(
        "order i1", _INSTANCE, {"labels": {"for": HOSTILE}}, _SAID, {"kept_until": _at("13:00:00")}
    ),
    "instances list": _asked(
        "",
        [
            {**_LISTED, "id": "order-1"},
            {**_LISTED, "id": LONG, "status": "waiting", "ended_on": None, "current": _SLEEP},
            {**_LISTED, "id": HOSTILE, "workflow_name": HOSTILE, "status": "errored", "error": _ERROR},
        ],
    ),
    "instances logs": _asked("order i1", _LINES),
    "instances compare": _asked(
        "order i1 i2",
        {**_COMPARED, "output": HOSTILE, "steps": [{**_COMPARED_STEP, "name": f"charge {HOSTILE}-1"}]},
        {**_COMPARED, "output": LONG, "steps": [{**_COMPARED_STEP, "name": LONG}]},
    ),
    "instances fork": _asked(
        "order i1", {"id": HOSTILE, "status": "queued", "forked_from": LONG, "version_id": HOSTILE}
    ),
    "instances move": _asked(
        "order i1 i2 -y",
        [{"id": "i1", "is_moved": True, "version_id": HOSTILE}, {"id": LONG, "is_moved": True, "version_id": "v2"}],
    ),
    "instances pause": _asked("order i1", {"status": "waitingForPause"}),
    "instances restart": _asked("order i1 i2 -y", {"status": "queued"}, {"status": HOSTILE}),
    "instances resume": _asked("order i1", {"status": "queued"}),
    "instances resume-rollback": _asked("order i1", {"status": "rollingBack"}),
    "instances send-event": _asked("order i1 --type x", {}),
    "instances step": _asked(
        "order i1 charge-1", {"status": "errored", "error": _ERROR, "output": {"of": HOSTILE, "long": LONG}}, _SAID
    ),
    "instances step-complete": _asked("order i1 charge-1 1", {**_FORCED, "action": "complete"}),
    "instances step-fail": _asked("order i1 charge-1", {**_FORCED, "action": "fail"}),
    "instances step-retry": _asked("order i1 charge-1", _FORCED),
    "instances step-skip": _asked("order i1 nap-1", {**_FORCED, "step": f"nap {HOSTILE}-1", "action": "skip"}),
    "instances terminate": _asked("order i1 -y", {"status": "terminated"}),
    "instances terminate-all": _asked("order -y", {"status": "running"}),
    "instances tree": _asked("order i1", _FAMILY),
    "instances why": _asked("order i1", _WHY),
    "jobs cancel": _asked("job-1", {**_JOB, "status": "terminated"}),
    "jobs describe": _asked("job-1", _BAD_JOB),
    "jobs list": _asked("", [_JOB, {**_JOB, "id": "job-2", "workflow_name": LONG, "left": 10_000}]),
    "jobs start": _asked("pause order -y", {**_JOB, "action": "pause", "status": "running", "filter": {}}),
    "limits list": _asked("", _LIMITS),
    "limits set": _asked("--concurrency 10", {**_LIMITS, "workflows": []}),
    "limits share": _asked("desk --concurrency 1", _SHARED),
    "limits unshare": _asked("desk", {**_LIMITS, "concurrency": None, "shared": []}),
    "profile list": Case(),
    "profile show": Case(("--profile", "long")),
    "rollback": _asked("12", _SERVED),
    "schedules list": _asked("", _SCHEDULES),
    "schedules pause": _asked("order 0", _SCHEDULES[1]),
    "schedules resume": _asked("order 0", _SCHEDULE),
    "schedules run": _asked("order 0", _CREATED),
    "schedules set": _asked("order 0 --overlap skip", _SCHEDULES[2]),
    "settings": Case(("--set", "grace=90 seconds")),
    "token list": Case(("--store", "sqlite:///store.db")),
    "token sessions": Case(("--store", "sqlite:///store.db")),
    "trigger": _asked("order", {**_CREATED, "id": LONG}),
    "version": _asked("", {**_CALLER, "version": HOSTILE}),
    "webhooks change": _asked("w1 --event errored", {**_HOOK, "events": ["errored"]}),
    "webhooks create": _asked("https://example.com/hook", {**_HOOK, "secret": "whsec_c2VjcmV0"}),
    "webhooks deliveries": _asked("w1", [_DELIVERED, _UNDELIVERED]),
    "webhooks describe": _asked("w1", {**_HOOK, "pending": 10_000}),
    "webhooks list": _asked("", [_HOOK, _DISABLED]),
    "webhooks redeliver": _asked("w1 msg_w1_7", {**_UNDELIVERED, "attempts": []}),
    "webhooks rotate": _asked("w1", {**_HOOK, "secret": "whsec_c2VjcmV0"}),
    "webhooks test": _asked("w1", {**_DELIVERED, "type": "stepwell.webhook.test", "attempts": []}),
    "whoami": _asked("", _CALLER),
    "workflows compare": _asked(
        "order v1 v2",
        _VERSION,
        {**_CODE, "params_schema": None},
        _GRAPH,
        {**_VERSION, "class_name": HOSTILE},
        {**_CODE, "params_schema": {}},
        {**_GRAPH, "nodes": [{**_NODE, "name": LONG, "config": {"retries": _RETRIES, "timeout": HOSTILE}}]},
        _SOURCE,
        {**_SOURCE, "files": [{"path": "flow.py", "text": f"{LONG}\n"}]},
    ),
    "workflows delete": _asked("order -y", _WORKFLOW, {"status": "ok"}),
    "workflows describe": _asked("order", {**_WORKFLOW, "class_name": HOSTILE}, _VERSIONS),
    "workflows list": _asked(
        "",
        [
            _WORKFLOW,
            {**_WORKFLOW, "name": HOSTILE, "class_name": HOSTILE, "script_name": LONG},
            {**_WORKFLOW, "name": LONG, "instances": {}, "triggered_on": None},
        ],
    ),
    "workflows versions": _asked("order", _VERSIONS),
}
