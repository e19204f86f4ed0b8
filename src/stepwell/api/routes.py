"""The routes as data, and how a path finds its own.

Patterns are matched on the percent-encoded path, so that an escaped slash stays inside its part. Some clients
escape nothing, though, and cron expressions, and ids that are made of them, contain slashes; so these take all up to
the rest of its pattern. They are tried in order: fixed words first, then those with a tail behind the id,
then the id alone.

The handler of a WebSocket's route answers who asks for none.

Source: developers.cloudflare.com/api/resources/workflows/
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from stepwell.api import absent
from stepwell.api.refusals import MethodNotAllowed, RouteNotFound
from stepwell.api.request import ApiRequest
from stepwell.api.sessions import PAGE_HEADER
from stepwell.engine import Engine

Handler = Callable[[Engine, ApiRequest], Awaitable[Response]]

_WORKFLOWS = "/client/v4/accounts/{account_id}/workflows"
_ONE = _WORKFLOWS + "/{workflow_name}"
_INSTANCES = _ONE + "/instances"
_INSTANCE = _INSTANCES + "/{instance_id}"
# Stepwell's own.
_OWN = "/client/v4/accounts/{account_id}/stepwell"
_OWN_WORKFLOW = _OWN + "/workflows/{workflow_name}"
_OWN_INSTANCE = _OWN_WORKFLOW + "/instances/{instance_id}"
_SHARED_LIMIT = _OWN + "/limits/steps/{limit_name}"
_JOBS = _OWN + "/jobs"
_DEPLOYMENTS = _OWN + "/deployments"
_CHECK = _OWN + "/checks/{script_name}"
_JOB = _JOBS + "/{job_id}"
_SCHEDULES = _OWN + "/schedules"
_WEBHOOKS = _OWN + "/webhooks"
_WEBHOOK = _WEBHOOKS + "/{webhook_id}"
_SCHEDULE = _SCHEDULES + "/{workflow_name}/{cron}"
METRICS = "/metrics"
# The number of the route that is a WebSocket.
SUBSCRIBE = 17
_PAGE = ("page", "per_page")
# Where in a path of Cloudflare's, split at its slashes, stands what an account's route is about.
_BEHIND_ACCOUNT = 5
# Parts of a pattern that take slashes too.
_TAILS = re.compile(r"\(\?P<(instance_id|cron|page_path|file_path)>\[\^/\]\+\)")
_DELIVERIES = ("outcome", "per_page", "cursor")
_LOGS = ("after", "limit", "follow", "step")
_HISTORY = ("after", "limit", "kind")
_DRAWN = ("format", "theme")
_AUDIT = (*("action", "token", "workflow", "instance", "date_start", "date_end", "per_page", "cursor", "format"),)
_FACTS = ("event", "workflow", "instance", "process", "per_page", "cursor")
_SEARCHED = (
    *("status", "label", "prefix", "version", "trigger", "error", "error_text", "duration_min", "duration_max"),
    *("date_start", "date_end", "ended_start", "ended_end", "direction", "per_page", "cursor"),
)
# Of Cloudflare's Workers, not of its Workflows.
_WORKERS = "/client/v4/accounts/{account_id}/workers"
_SERVICE = _WORKERS + "/services/{script_name}"
_WORKER = _WORKERS + "/workers/{script_name}"
_SCRIPT = _WORKERS + "/scripts/{script_name}"
_SCRIPT_VERSIONS = _SCRIPT + "/versions"
_SCRIPT_VERSION = _SCRIPT_VERSIONS + "/{script_version_id}"
_SCRIPT_DEPLOYMENTS = _SCRIPT + "/deployments"
_TRIGGERS = "/client/v4/accounts/{account_id}/triggers/{script_name}"


class Route(Struct, frozen=True):
    """A method and a path. `number` is its line in docs/compatibility.md; None: the route is ours.

    `{batch_instances}` in a summary stands for the value of that setting.
    """

    method: str
    pattern: str
    number: int | None
    summary: str
    # What answers, as `module:function` below `stepwell.api`.
    answers: str
    query: tuple[str, ...] = ()

    @property
    def handler(self) -> Handler:
        """What answers. Its module is loaded when the first request comes to it: most servers need few of them."""
        module, _, function = self.answers.partition(":")
        found: Handler = getattr(import_module(f"{__package__}.{module}"), function)
        return found


ROUTES = (
    Route("GET", "/healthz", None, "Whether the server answers", "site:tell_health"),
    Route("GET", METRICS, None, "What the server tells Prometheus", "metrics:show_metrics"),
    Route("GET", "/openapi.json", None, "This document", "reference:show_document"),
    Route("GET", "/docs", None, "List the operations", "reference:list_operations"),
    Route("GET", "/docs/{operation_id}", None, "Show an operation", "reference:show_operation"),
    Route("GET", _OWN + "/limits", None, "Get the limits of an account", "limits:get_limits"),
    Route("PATCH", _OWN + "/limits", None, "Limit an account", "limits:change_limits"),
    Route("PUT", _SHARED_LIMIT, None, "Set a limit that steps share", "limits:share_limit"),
    Route("DELETE", _SHARED_LIMIT, None, "Take back a limit that steps share", "limits:unshare_limit"),
    Route("POST", _OWN_INSTANCE + "/fork", None, "Make a new instance from a step of another", "forking:fork_instance"),
    Route("POST", _OWN_WORKFLOW + "/move", None, "Move instances to another version", "moving:move_instances"),
    Route("GET", _OWN_WORKFLOW + "/limits", None, "Get the limits of a workflow", "limits:get_limits_of_workflow"),
    Route("GET", _OWN + "/whoami", None, "Who calls, and who answers", "caller:whoami"),
    Route("GET", _OWN + "/facts", None, "List what the servers' logs say", "facts:list_facts", _FACTS),
    Route("GET", _OWN + "/audit", None, "List who has done what", "audit:list_audit", _AUDIT),
    Route("GET", _OWN + "/hosts", None, "List who has the store open", "hosts:list_hosts"),
    Route("PUT", _SCRIPT, None, "Upload a script, and serve it", "scripts:upload_script"),
    Route("GET", _DEPLOYMENTS, None, "List the code that was served", "scripts:list_served", ("script",)),
    Route("POST", _DEPLOYMENTS, None, "Serve code again that was served before", "scripts:serve_earlier"),
    Route("POST", _CHECK, None, "Check instances against other code", "checks:check_script", ("workflow",)),
    Route("GET", _JOBS, None, "List jobs", "jobs:list_jobs", _PAGE),
    Route("POST", _JOBS, None, "Change all instances that match", "jobs:start_job"),
    Route("GET", _JOB, None, "Get a job", "jobs:get_job"),
    Route("POST", _JOB + "/cancel", None, "Cancel a job", "jobs:cancel_job"),
    Route("GET", _OWN_INSTANCE + "/logs", None, "What an instance says", "logs:get_logs", _LOGS),
    Route(
        "GET",
        _OWN_INSTANCE + "/graph",
        None,
        "What an instance has done of its graph",
        "graph:get_graph_of_instance",
        _DRAWN,
    ),
    Route("GET", _OWN_INSTANCE + "/history", None, "The records of an instance", "history:get_history", _HISTORY),
    Route("GET", _OWN_INSTANCE + "/attributes", None, "What attempts took", "attributes:get_attributes", ("step",)),
    Route("GET", _OWN_INSTANCE + "/tree", None, "Whom an instance awaits", "tree:get_tree"),
    Route("GET", _OWN_INSTANCE + "/retention", None, "How long an instance is kept", "retention:get_retention"),
    Route("GET", _OWN_INSTANCE + "/why", None, "Why an instance does not go on", "why:get_why"),
    Route("POST", _OWN_INSTANCE + "/step", None, "Decide by hand what becomes of a step", "forcing:force_step"),
    Route("POST", _OWN_INSTANCE + "/rollback", None, "Go on with a failed rollback", "control:resume_rollback"),
    Route(
        "GET",
        _OWN_INSTANCE + "/events",
        None,
        "Follow the events of an instance without a WebSocket",
        "events:stream_events",
        ("cursor", "filter"),
    ),
    Route(
        "GET",
        _OWN_WORKFLOW + "/versions/{version_id}/graph",
        None,
        "Get the graph of a version with its source lines",
        "graph:get_graph_of_version",
        _DRAWN,
    ),
    Route(
        "GET",
        _OWN_WORKFLOW + "/versions/{version_id}/source",
        None,
        "Get the source of a version",
        "versions:get_source",
        ("whole",),
    ),
    Route("GET", _OWN_WORKFLOW + "/versions/{version_id}", None, "What a version is made of", "versions:get_code"),
    Route(
        "GET",
        _OWN + "/instances",
        None,
        "Search the instances of all workflows",
        "instance_search:search_account",
        _SEARCHED,
    ),
    Route(
        "GET",
        _OWN_WORKFLOW + "/instances",
        None,
        "Search the instances of a workflow",
        "instance_search:search_workflow",
        _SEARCHED,
    ),
    Route(
        "POST",
        _OWN_WORKFLOW + "/instances",
        None,
        "Create an instance with labels",
        "instance_search:create_with_labels",
    ),
    Route("GET", _OWN_INSTANCE, None, "Status and progress of an instance", "instance_status:get_status"),
    Route(
        "GET",
        _SCHEDULES,
        None,
        "List what creates instances",
        "schedules:list_schedules",
        ("page", "per_page", "workflow"),
    ),
    Route("GET", _WEBHOOKS, None, "List webhooks", "webhooks:list_webhooks"),
    Route("POST", _WEBHOOKS, None, "Make a webhook", "webhooks:create_webhook"),
    Route("POST", _WEBHOOK + "/secret", None, "Give a webhook a new secret", "webhooks:rotate_secret"),
    Route("POST", _WEBHOOK + "/test", None, "Send a webhook a test", "webhooks:test_webhook"),
    Route("POST", _WEBHOOK + "/deliveries/{delivery_id}/redeliver", None, "Send a message again", "webhooks:redeliver"),
    Route(
        "GET", _WEBHOOK + "/deliveries", None, "List what a webhook was sent", "webhooks:list_deliveries", _DELIVERIES
    ),
    Route("GET", _WEBHOOK, None, "Get a webhook", "webhooks:get_webhook"),
    Route("PATCH", _WEBHOOK, None, "Change a webhook", "webhooks:change_webhook"),
    Route("DELETE", _WEBHOOK, None, "Delete a webhook", "webhooks:delete_webhook"),
    Route("POST", _SCHEDULE + "/run", None, "Create an instance of a schedule", "schedules:run_schedule"),
    Route("GET", _SCHEDULE, None, "Get a schedule", "schedules:get_schedule"),
    Route("PATCH", _SCHEDULE, None, "Pause, resume or change a schedule", "schedules:change_schedule"),
    # who calls
    Route("GET", "/client/v4/user/tokens/verify", None, "Whether a token is good", "identity:verify_token"),
    Route("GET", "/client/v4/user", None, "Get the user", "identity:get_user"),
    Route("GET", "/client/v4/memberships", None, "List the user's memberships", "identity:list_memberships", _PAGE),
    Route("GET", "/client/v4/accounts", None, "List the user's accounts", "identity:list_accounts", _PAGE),
    Route("GET", "/client/v4/accounts/{account_id}", None, "Get an account", "identity:get_account"),
    # what Cloudflare's tools ask beside an upload
    Route("GET", _SERVICE, None, "Whether a script was uploaded", "workers:get_service"),
    Route("GET", _WORKER, None, "Get a script", "workers:get_worker"),
    Route("GET", _SCRIPT + "/secrets", None, "List the variables that scripts are given", "workers:list_secrets"),
    Route("PATCH", _SCRIPT + "/script-settings", None, "Get the settings of a script", "workers:change_settings"),
    Route("POST", _SCRIPT + "/subdomain", None, "Whether a script is below workers.dev", "workers:set_subdomain"),
    Route(
        "PUT", _SCRIPT + "/schedules", None, "Replace the cron triggers of a script", "workers:replace_cron_triggers"
    ),
    Route("GET", _WORKERS + "/subdomain", None, "Get an account's name below workers.dev", "workers:get_subdomain"),
    Route("GET", _SCRIPT_VERSIONS, None, "List versions of a script", "script_versions:list_versions", _PAGE),
    Route("POST", _SCRIPT_VERSIONS, None, "Upload a version of a script", "script_versions:upload_version"),
    Route("GET", _SCRIPT_VERSION, None, "Get a version of a script", "script_versions:get_version"),
    Route("GET", _SCRIPT_DEPLOYMENTS, None, "List deployments of a script", "script_versions:list_deployments"),
    Route("POST", _SCRIPT_DEPLOYMENTS, None, "Deploy a version of a script", "script_versions:deploy_version"),
    # fixed words
    Route("GET", _WORKFLOWS + "/settings", 23, "Get the account's retention", "account_settings:get_settings"),
    Route("PATCH", _WORKFLOWS + "/settings", 24, "Change the account's retention", "account_settings:change_settings"),
    Route("POST", _INSTANCES + "/batch", 7, "Create up to {batch_instances} instances", "instances:create_batch"),
    Route("POST", _INSTANCES + "/batch/delete", 8, "Delete up to {batch_instances} instances", "control:delete_batch"),
    Route(
        "POST",
        _INSTANCES + "/batch/terminate",
        9,
        "Terminate up to {batch_instances} instances",
        "control:terminate_batch",
    ),
    Route("PUT", _INSTANCES + "/terminate", 10, "Terminate all instances", "control:terminate_all", ("status",)),
    Route(
        "GET",
        _INSTANCES + "/terminate",
        11,
        "Whether all instances are being terminated",
        "control:get_termination",
    ),
    # tails behind an instance's id
    Route("POST", _INSTANCE + "/events/{event_type}", 16, "Send an event to an instance", "instances:send_event"),
    Route(
        "GET",
        _INSTANCE + "/step",
        14,
        "Get the whole output of a step",
        "instances:get_step",
        ("name", "type", "attempt"),
    ),
    Route(
        "PATCH", _INSTANCE + "/status", 15, "Pause, resume, terminate or restart an instance", "control:change_status"
    ),
    Route("GET", _INSTANCE + "/subscribe/token", 18, "Get a token for the events of an instance", "events:get_token"),
    Route(
        "GET",
        _INSTANCE + "/subscribe",
        SUBSCRIBE,
        "Follow the events of an instance",
        "events:refuse_plain",
        ("cursor", "filter", "token"),
    ),
    # the rest
    Route(
        "GET",
        _INSTANCE,
        12,
        "Get logs and status from instance",
        "instances:get_instance",
        ("order", "simple", "per_page", "cursor"),
    ),
    Route("DELETE", _INSTANCE, 13, "Delete an instance", "control:delete_instance"),
    Route(
        "GET",
        _INSTANCES,
        5,
        "List instances of a workflow",
        "instances:list_instances",
        ("cursor", "page", "per_page", "direction", "status", "date_start", "date_end"),
    ),
    Route("POST", _INSTANCES, 6, "Create an instance", "instances:create_instance"),
    Route("GET", _ONE + "/versions", 19, "List versions of a workflow", "versions:list_versions", _PAGE),
    Route("GET", _ONE + "/versions/{version_id}", 20, "Get a version", "versions:get_version"),
    Route("GET", _ONE + "/versions/{version_id}/graph", 21, "Get the graph of a version", "versions:get_graph"),
    Route("GET", _ONE + "/versions/{version_id}/dag", 22, "Get that graph in its older form", "versions:get_dag"),
    Route("GET", _ONE, 2, "Get a workflow", "workflows:get_workflow"),
    Route("PUT", _ONE, 3, "Create or change a workflow", "workflows:put_workflow"),
    Route("DELETE", _ONE, 4, "Delete a workflow", "workflows:delete_workflow"),
    Route("GET", _WORKFLOWS, 1, "List workflows", "workflows:list_workflows", ("page", "per_page", "search")),
    Route("GET", _TRIGGERS, 25, "Get the event triggers of a script", "triggers:get_triggers"),
    Route("PUT", _TRIGGERS, 26, "Replace the event triggers of a script", "triggers:replace_triggers"),
    Route("PATCH", _TRIGGERS, 27, "Change the event triggers of a script", "triggers:merge_triggers"),
    Route("DELETE", _TRIGGERS, 28, "Delete the event triggers of a script", "triggers:delete_triggers"),
)

# The dashboard's: private, so neither the document of the API nor its reference has them.
DASHBOARD = (
    *(
        Route("GET", pattern, None, "A page of the dashboard", "ui.pages:show_document")
        for pattern in (
            "/",
            "/login",
            "/instances",
            "/schedules",
            "/hosts",
            "/jobs",
            "/audit",
            "/facts",
            "/webhooks",
            "/webhooks/{webhook_id}",
            "/about",
            "/workflows",
            "/workflows/{page_path}",
        )
    ),
    Route("GET", "/ui/static/{digest}/{file_path}", None, "A file of the dashboard", "ui.pages:show_file"),
    Route("GET", "/ui/session", None, "Who looks at the dashboard", "ui.session:get_session"),
    Route("POST", "/ui/session", None, "Sign in", "ui.session:sign_in"),
    Route("DELETE", "/ui/session", None, "Sign out", "ui.session:sign_out"),
    Route("GET", "/ui/overview", None, "What goes on", "ui.overview:get_overview"),
    Route(
        "GET", "/ui/outcomes", None, "How the latest instances have ended", "ui.outcomes:get_outcomes", ("workflow",)
    ),
    Route("GET", "/ui/ends", None, "How many instances ended in each of the last hours", "ui.outcomes:get_ends"),
    Route("GET", "/ui/peaks", None, "How many instances ran and waited in the last day", "ui.outcomes:get_peaks"),
    Route("GET", "/ui/webhooks", None, "Who is told, and what of", "ui.webhooks:get_webhooks"),
    Route("GET", "/ui/live", None, "What changes", "ui.live:stream_changes", ("topics", "after")),
)


# What pages read again when they hear of a change, and what is the same for all who may read it.
_SHARED = frozenset(
    {
        *(_ONE, _WORKFLOWS, _INSTANCE, _OWN_INSTANCE, _OWN_INSTANCE + "/why", _OWN_INSTANCE + "/history"),
        _OWN_INSTANCE + "/attributes",
        *(_OWN_WORKFLOW + "/instances", _OWN + "/instances", _OWN_WORKFLOW + "/limits", _OWN + "/limits"),
        *(_OWN + "/hosts", _JOBS, _SCHEDULES, _ONE + "/versions"),
        *("/ui/overview", "/ui/outcomes", "/ui/ends", "/ui/peaks"),
    }
)


def is_shared(route: Route, http: Request) -> bool:
    """Tell whether one reading may answer this request and others like it: it waits for no change.

    Who reads an instance may be one of many who do so again and again; of the rest only pages are that many.
    """
    if http.method != "GET" or route.pattern not in _SHARED or "prefer" in http.headers:
        return False
    return route.pattern == _INSTANCE or is_of_page(http)


def is_of_page(http: Request) -> bool:
    """Tell whether a page of the dashboard asks."""
    return PAGE_HEADER in http.headers


# A pattern, and the route of each of its methods.
Compiled = tuple[re.Pattern[str], Mapping[str, Route]]


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a percent-encoded path, and the still encoded parts of the path by name.

    Raises RouteNotFound or MethodNotAllowed.
    """
    asked = path.removesuffix("/") or "/"
    for pattern, by_method in _TABLE_OF_SUBJECT.get(subject_of(asked), ()):
        found = pattern.fullmatch(asked)
        if found is not None:
            route = by_method.get("GET" if method == "HEAD" else method)
            if route is None and (reason := absent.reason_for(path)) is not None:
                raise RouteNotFound(method, path, reason)
            if route is None:
                raise MethodNotAllowed(method, path, [*by_method, *(["HEAD"] if "GET" in by_method else [])])
            return route, found.groupdict()
    reason = absent.reason_for(path) or "no such route; docs/compatibility.md lists them all"
    raise RouteNotFound(method, path, reason)


def subject_of(path: str) -> str:
    """Return what stands behind the account: it is the same in a path and in the pattern of its route."""
    parts = path.split("/", _BEHIND_ACCOUNT + 1)
    return parts[_BEHIND_ACCOUNT] if len(parts) > _BEHIND_ACCOUNT and parts[1] == "client" else ""


def all_routes() -> Sequence[Compiled]:
    """Return what `find` looks through: each pattern, and the route of each of its methods."""
    return _TABLE


def _compile(pattern: str) -> re.Pattern[str]:
    regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}"))
    return re.compile(_TAILS.sub(r"(?P<\1>.+)", regex))


def _table() -> list[Compiled]:
    """Gather the routes by pattern, in their order."""
    by_pattern: dict[str, dict[str, Route]] = {}
    for route in (*ROUTES, *DASHBOARD):
        by_pattern.setdefault(route.pattern, {})[route.method] = route
    return [(_compile(pattern), by_method) for pattern, by_method in by_pattern.items()]


def _by_subject(table: Sequence[Compiled]) -> dict[str, list[Compiled]]:
    """Gather the routes once more, as a request that is held against all patterns takes 25 us longer."""
    by_subject: dict[str, list[Compiled]] = {}
    for compiled in table:
        route = next(iter(compiled[1].values()))
        by_subject.setdefault(subject_of(route.pattern), []).append(compiled)
    return by_subject


_TABLE = _table()
_TABLE_OF_SUBJECT = _by_subject(_TABLE)
