"""The parameters of paths and queries: type, bounds, default and meaning of each.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepwell import limits
from stepwell.api import (
    audit,
    facts,
    graph,
    history,
    identity,
    instance_list,
    instance_search,
    jobs,
    logs,
    schedules,
    stream_tokens,
    versions,
    webhooks,
    workflows,
)
from stepwell.api.control import TERMINABLE
from stepwell.api.openapi.meanings import NAME_PATTERN
from stepwell.api.openapi.operation import ACCOUNT, OWN_INSTANCE, OWN_SCHEDULES, OWN_WORKFLOW, Key, key_of, names_in
from stepwell.api.openapi.schemas import Schema, ref
from stepwell.api.paging import STEPS_PER_PAGE
from stepwell.api.query import LARGEST_NUMBER
from stepwell.store.audit_operations import AUDIT_ACTIONS

if TYPE_CHECKING:
    from stepwell.api.routes import Route


PATH: Mapping[str, Schema] = {
    "account_id": {
        "description": "The account. A server without tokens takes any for its own.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"},
        "example": "local",
    },
    "workflow_name": {
        "description": f"The workflow's name: {limits.NAME_RULE}.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.WORKFLOW_NAME_LENGTH,
            "pattern": NAME_PATTERN,
        },
        "example": "order",
    },
    "instance_id": {
        "description": "The instance's id. Ids of cron instances have spaces and slashes; they may be escaped or not.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.ADDRESSED_INSTANCE_ID_LENGTH,
            "pattern": "^[a-zA-Z0-9, */#_-]+$",
        },
        "example": "order-1",
    },
    "limit_name": {
        "description": f"The name of a limit that steps share: {limits.LIMIT_NAME_RULE}.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.LIMIT_NAME_LENGTH,
            "pattern": "^[a-zA-Z0-9_][a-zA-Z0-9_.:-]*$",
        },
        "example": "openai",
    },
    "cron": {
        "description": "The schedule's cron expression, as lists show it. It may be escaped or not, but for `#`.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.CRON_LENGTH,
            "pattern": "^[a-zA-Z0-9, */#-]+$",
        },
        "example": "0 9 * * MON-FRI",
    },
    "event_type": {
        "description": f"What a wait of the instance names: {limits.NAME_RULE}. A dot is not allowed.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.EVENT_TYPE_LENGTH,
            "pattern": NAME_PATTERN,
        },
        "example": "approved",
    },
    "version_id": {
        "description": "The version's id.",
        "schema": {"type": "string", "format": "uuid"},
        "example": "b5b5c2a1-0000-4000-8000-000000000002",
        # Nobody can choose it: the server makes it.
        "x-placeholder": True,
    },
    "job_id": {
        "description": "The job's id.",
        "schema": {"type": "string", "format": "uuid"},
        "example": "0b9a4d1c-0000-4000-8000-000000000003",
        # As above.
        "x-placeholder": True,
    },
    "webhook_id": {
        "description": "The webhook's id.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[0-9a-f]+$"},
        "example": "0123456789abcdef0123456789abcdef",
        # As above.
        "x-placeholder": True,
    },
    "delivery_id": {
        "description": "The id of a message that a webhook was sent, or is to be.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": webhooks.DELIVERY_ID_LENGTH,
            "pattern": "^msg_[0-9a-f]+_[0-9]+$",
        },
        "example": "msg_0123456789abcdef0123456789abcdef_17",
        # As above.
        "x-placeholder": True,
    },
    "script_name": {
        "description": "The script's name: printable characters.",
        "schema": {"type": "string", "minLength": 1, "maxLength": limits.SCRIPT_NAME_LENGTH},
        "example": "shop",
    },
    "script_version_id": {
        "description": "The version's id: of the script, not of a workflow.",
        "schema": {"type": "string", "format": "uuid"},
        "example": "11111111-1111-8111-a111-111111111111",
    },
    "operation_id": {
        "description": "The `operationId` of an operation in this document.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z-]+$"},
        "example": "workflows-instances-get",
    },
}


def _number(description: str, default: int | None = None, most: int = LARGEST_NUMBER) -> Schema:
    schema: Schema = {"type": "integer", "minimum": 1, "maximum": most}
    return _parameter(description, schema if default is None else {**schema, "default": default})


def _choice(description: str, choices: tuple[str, ...], default: str | None = None) -> Schema:
    schema: Schema = {"type": "string", "enum": list(choices)}
    return _parameter(description, schema if default is None else {**schema, "default": default})


def _text(description: str, longest: int) -> Schema:
    return _parameter(description, {"type": "string", "minLength": 1, "maxLength": longest})


def _parameter(description: str, schema: Schema) -> Schema:
    return {"description": description, "schema": schema}


def _needed(parameter: Schema, example: str) -> Schema:
    return {**parameter, "required": True, "example": example}


def _own(parameter: Schema) -> Schema:
    return {**parameter, "x-stepwell-extension": True}


_CURSOR = _parameter(
    "Where the page begins: the `cursor` of the answer before. Empty: at the first.", {"type": "string"}
)
_MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_LABEL = f"^[a-zA-Z0-9_][a-zA-Z0-9_./-]{{0,{limits.LABEL_NAME_LENGTH - 1}}}=[ -~]{{1,{limits.LABEL_VALUE_LENGTH}}}$"
_WHERE = "A date and time; without an offset it is UTC."

_FOLLOWING = {
    "cursor": _parameter(
        "The `eventId` of the last event that was seen; only later ones come.",
        {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER},
    ),
    "filter": _parameter(
        "Only events of this type; may be given several times.", {"type": "array", "items": ref("InstanceEventType")}
    ),
}

_DRAWN = {
    "format": _choice("As JSON, or drawn as SVG, without an envelope.", graph.FORMATS, "json"),
    "theme": _choice("The colours of the drawing; `auto` are those of the system.", graph.THEMES, "auto"),
}

_DURATION = ref("Duration")
_SEARCH = {
    "status": _parameter(
        "Only instances with this status; may be given several times: with any of them.",
        {"type": "array", "items": ref("Status")},
    ),
    "label": _parameter(
        "Only instances with this label, `name=value`; may be given several times: with all of them.",
        {"type": "array", "items": {"type": "string", "pattern": _LABEL}, "maxItems": limits.LABELS},
    ),
    "prefix": _text("Only instances whose id begins so.", limits.ADDRESSED_INSTANCE_ID_LENGTH),
    "version": _text("Only instances of the version of this id.", limits.INSTANCE_ID_LENGTH),
    "trigger": _choice("Only instances that this created, or restarted as a whole.", instance_search.TRIGGERS),
    "error": _text("Only instances that errored with an error of this name.", limits.SEARCHED_TEXT_LENGTH),
    "error_text": _text(
        "Only instances that errored with this in the error's message; capitals do not matter.",
        limits.SEARCHED_TEXT_LENGTH,
    ),
    "duration_min": _parameter(
        "Only instances that took so long, or longer; of one that has not ended: so far.", _DURATION
    ),
    "duration_max": _parameter("Only instances that took no longer; of one that has not ended: so far.", _DURATION),
    "date_start": _parameter(f"Only instances created then or later. {_WHERE}", dict(_MOMENT)),
    "date_end": _parameter(f"Only instances created then or earlier. {_WHERE}", dict(_MOMENT)),
    "ended_start": _parameter(f"Only instances that ended then or later. {_WHERE}", dict(_MOMENT)),
    "ended_end": _parameter(f"Only instances that ended then or earlier. {_WHERE}", dict(_MOMENT)),
    "direction": _choice("By creation: oldest first, or newest first.", ("asc", "desc"), "desc"),
    "per_page": _number(
        "How many instances a page has at most.", instance_search.PER_PAGE, instance_search.MOST_PER_PAGE
    ),
    "cursor": _CURSOR,
}

_ACCOUNTS = {
    "page": _number("Which page. One past the last is empty.", 1),
    "per_page": _number("How many a page has.", identity.PER_PAGE, identity.MOST_PER_PAGE),
}

# By the key of the route.
QUERY: Mapping[Key, Mapping[str, Schema]] = {
    1: {
        "page": _number("Which page. One past the last is empty.", 1),
        "per_page": _number("How many workflows a page has.", workflows.PER_PAGE, workflows.MOST_PER_PAGE),
        "search": _text("A part of the name; capitals do not matter.", limits.WORKFLOW_NAME_LENGTH),
    },
    5: {
        "cursor": _CURSOR,
        "page": {
            **_number("Which page. Together with a cursor, page 2 and later are empty.", 1),
            "deprecated": True,
        },
        "per_page": _number("How many instances a page has.", instance_list.PER_PAGE, instance_list.MOST_PER_PAGE),
        "direction": _choice("By creation: oldest first, or newest first.", ("asc", "desc"), "desc"),
        "status": _parameter("Only instances with this status.", ref("Status")),
        "date_start": _parameter(f"Only instances created then or later. {_WHERE}", dict(_MOMENT)),
        "date_end": _parameter(f"Only instances created then or earlier. {_WHERE}", dict(_MOMENT)),
    },
    10: {
        "status": _choice("Only instances with this status; all that have not ended if it is left out.", TERMINABLE),
    },
    12: {
        "order": _choice('The order of `steps`: "asc" is oldest first, "desc" newest first.', ("asc", "desc"), "asc"),
        "simple": _choice("`true` leaves the steps out; `step_count` still counts them.", ("true", "false"), "false"),
        "per_page": _own(_number("How many steps a page has; all of them if it is left out.", None, STEPS_PER_PAGE)),
        "cursor": _own(_CURSOR),
    },
    14: {
        "name": _needed(
            _text("The step's name as the log shows it, with its count.", limits.LOGGED_NAME_LENGTH), "charge-1"
        ),
        "type": _needed(_choice("A step and a wait may have the same name.", ("step", "waitForEvent")), "step"),
        "attempt": _number("Which attempt; the step as a whole if it is left out."),
    },
    17: {
        **_FOLLOWING,
        "token": _text("In place of credentials: what /subscribe/token has answered.", stream_tokens.LONGEST),
    },
    19: {
        "page": _number("Which page. One past the last is empty.", 1),
        "per_page": _number("How many versions a page has.", versions.PER_PAGE, versions.MOST_PER_PAGE),
    },
    f"GET {OWN_SCHEDULES}": {
        "page": _number("Which page. One past the last is empty.", 1),
        "per_page": _number("How many schedules a page has.", schedules.PER_PAGE, schedules.MOST_PER_PAGE),
        "workflow": _text("Only those of this workflow.", limits.WORKFLOW_NAME_LENGTH),
    },
    f"GET {ACCOUNT}/stepwell/audit": {
        "action": _choice("Only what was done in this way.", AUDIT_ACTIONS),
        "token": _text("Only what was done with the token of this id.", audit.TOKEN_ID_LENGTH),
        "workflow": _text("Only what was done to this workflow, or to instances of it.", limits.WORKFLOW_NAME_LENGTH),
        "instance": _text("Only what was done to instances of this id.", limits.ADDRESSED_INSTANCE_ID_LENGTH),
        "date_start": _parameter(f"Only what was done then or later. {_WHERE}", dict(_MOMENT)),
        "date_end": _parameter(f"Only what was done then or earlier. {_WHERE}", dict(_MOMENT)),
        "per_page": _number("How many entries a page has.", audit.PER_PAGE, audit.MOST_PER_PAGE),
        "cursor": _CURSOR,
        "format": _choice("A page as JSON, or all entries as a file.", audit.FORMATS, "json"),
    },
    f"GET {ACCOUNT}/stepwell/facts": {
        "event": _text("Only what is called so.", facts.NAME_LENGTH),
        "workflow": _text("Only what is of this workflow, or of instances of it.", limits.WORKFLOW_NAME_LENGTH),
        "instance": _text("Only what is of instances of this id.", limits.ADDRESSED_INSTANCE_ID_LENGTH),
        "process": _text("Only what `server`, or the worker of this name, has told.", facts.NAME_LENGTH),
        "per_page": _number("How many facts a page has.", facts.PER_PAGE, facts.MOST_PER_PAGE),
        "cursor": _CURSOR,
    },
    f"POST {ACCOUNT}/stepwell/checks/{{script_name}}": {
        "workflow": _text("Only instances of this workflow.", limits.WORKFLOW_NAME_LENGTH),
    },
    f"GET {ACCOUNT}/stepwell/jobs": {
        "page": _number("Which page. One past the last is empty.", 1),
        "per_page": _number("How many jobs a page has.", jobs.PER_PAGE, jobs.MOST_PER_PAGE),
    },
    f"GET {ACCOUNT}/stepwell/webhooks/{{webhook_id}}/deliveries": {
        "outcome": _choice("Only what has come to this.", webhooks.OUTCOMES),
        "per_page": _number("How many messages a page has.", webhooks.PER_PAGE, webhooks.MOST_PER_PAGE),
        "cursor": _CURSOR,
    },
    f"GET {ACCOUNT}/stepwell/deployments": {
        "script": _text("Only what was uploaded as this script.", limits.SCRIPT_NAME_LENGTH),
    },
    f"GET {ACCOUNT}/workers/scripts/{{script_name}}/versions": {
        "page": _number("Which page. One past the last is empty.", 1),
        "per_page": _number("How many versions a page has.", versions.PER_PAGE, versions.MOST_PER_PAGE),
    },
    "GET /client/v4/accounts": _ACCOUNTS,
    "GET /client/v4/memberships": _ACCOUNTS,
    f"GET {ACCOUNT}/stepwell/instances": _SEARCH,
    f"GET {OWN_WORKFLOW}/instances": _SEARCH,
    f"GET {OWN_INSTANCE}/events": _FOLLOWING,
    f"GET {OWN_INSTANCE}/history": {
        "after": _parameter(
            "Only records behind the one of this number. 0: all.",
            {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER},
        ),
        "limit": _number("How many records at most.", 100, history.RECORDS_AT_ONCE),
        "kind": _parameter(
            "Only records of these kinds; may be given several times.",
            {"type": "array", "items": {"type": "string", "enum": list(history.KINDS)}},
        ),
    },
    f"GET {OWN_INSTANCE}/graph": _DRAWN,
    f"GET {OWN_WORKFLOW}/versions/{{version_id}}/graph": _DRAWN,
    f"GET {OWN_WORKFLOW}/versions/{{version_id}}/source": {
        "whole": _choice(
            "`true`: all Python files of the version's snapshot, not only those that its graph lies in.",
            ("true", "false"),
            "false",
        ),
    },
    f"GET {OWN_INSTANCE}/attributes": {
        "step": _text("Only attempts of this step, by its name as the log shows it.", limits.LOGGED_NAME_LENGTH),
    },
    f"GET {OWN_INSTANCE}/logs": {
        "after": _parameter(
            "Only lines behind the one of this number. 0: all.",
            {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER},
        ),
        "limit": _number("How many lines at most.", 100, logs.LINES_AT_ONCE),
        "follow": _choice(
            "`true`: each line at once, and each new one until the instance ends.", ("true", "false"), "false"
        ),
        "step": _text("Only lines of this step, by its name as the log shows it.", limits.LOGGED_NAME_LENGTH),
    },
}


_ONCE = {
    "Idempotency-Key": _parameter(
        "Stepwell's own: the same request sent again under this key within {idempotency_key_retention} does nothing, "
        "and is answered as the first one was. With another request the key is refused.",
        {"type": "string", "minLength": 1, "maxLength": limits.IDEMPOTENCY_KEY_LENGTH, "pattern": "^[!-~]+$"},
    ),
}

_TRACED = {
    "traceparent": _parameter(
        "Stepwell's own: the span within which the request is sent (W3C Trace Context), and the instance is created.",
        {"type": "string", "examples": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]},
    ),
    "tracestate": _parameter("Stepwell's own, with `traceparent`: what is handed on.", {"type": "string"}),
}

# By the key of the route: what its headers may wish for.
HEADERS: Mapping[Key, Mapping[str, Schema]] = {
    6: {**_ONCE, **_TRACED},
    7: _TRACED,
    12: {
        "Prefer": _parameter(
            "Stepwell's own: `wait=SECONDS` asks for the answer when the instance has changed or has ended, after that "
            "time at the latest, and after {longest_poll} at most. With `simple=true`, which shows no steps, they "
            "do not count: the answer comes when it rests or has ended, or something came from outside.",
            {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "examples": ["wait=30"]},
        ),
        "If-None-Match": _parameter(
            "Stepwell's own, with `Prefer: wait`: the `ETag` of an earlier answer; if the instance has changed since, "
            "the answer comes at once.",
            {"type": "string", "pattern": '^"[0-9]{1,18}(-[a-zA-Z]{1,30})?"$', "examples": ['"17"', '"17-running"']},
        ),
    },
    16: _ONCE,
    f"POST {OWN_WORKFLOW}/instances": {**_ONCE, **_TRACED},
    f"POST {ACCOUNT}/stepwell/jobs": _ONCE,
    f"POST {ACCOUNT}/stepwell/webhooks": _ONCE,
    f"GET {OWN_INSTANCE}/events": {
        "Last-Event-ID": _parameter(
            "In place of `cursor`; browsers send it when they come back.",
            {"type": "string", "pattern": "^[0-9]{1,15}$", "examples": ["97"]},
        ),
    },
}


def parameters_of(route: "Route") -> list[Schema]:
    """Return the parameters of a route. Raises KeyError for one that has no line above."""
    in_path = [{"name": name, "in": "path", "required": True, **PATH[name]} for name in names_in(route.pattern)]
    in_query = [{"name": name, "in": "query", **QUERY[key_of(route)][name]} for name in route.query]
    in_headers = [{"name": name, "in": "header", **said} for name, said in HEADERS.get(key_of(route), {}).items()]
    return [*in_path, *in_query, *in_headers]
