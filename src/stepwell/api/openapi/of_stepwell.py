"""Operations that are Stepwell's own: Cloudflare does not have them."""

from collections.abc import Mapping
from typing import Any

from stepwell import models
from stepwell.api.attributes import InstanceAttributes
from stepwell.api.caller import Whoami
from stepwell.api.forcing import AnyActionBody, ForcedStep
from stepwell.api.history import History
from stepwell.api.hosts import StoreHosts
from stepwell.api.instance_search import LabelledInstance, SearchInfo
from stepwell.api.instance_status import InstanceStatus
from stepwell.api.limits import AccountLimits, LimitsBody, SharedLimitBody, SharedLimitShown, WorkflowLimits
from stepwell.api.logs import Log
from stepwell.api.new_instance import LabelledInstanceBody
from stepwell.api.openapi.operation import (
    ACCOUNT,
    BAD_BODY,
    BAD_ID,
    FINISHED,
    ID_TAKEN,
    LARGE_BODY,
    MANY_STREAMS,
    NO_DRAWING,
    NO_INSTANCE,
    NO_LIMIT,
    NO_OPERATION,
    NO_ROLLBACK,
    NO_VERSION,
    NO_WORKFLOW,
    NOT_FITTING,
    OWN,
    OWN_INSTANCE,
    OWN_WORKFLOW,
    TOO_SLOW,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.retention import InstanceRetention
from stepwell.api.tree import InstanceTree
from stepwell.graphs import InstanceGraphShown, VersionGraphShown
from stepwell.reasons import InstanceWhy
from stepwell.searches import SearchedInstance
from stepwell.version_code import VersionCodeShown, VersionSourceShown

STEPWELL = "Stepwell's own"

_TEXT: Mapping[str, Any] = {"type": "string"}
_SVG = (("image/svg+xml", dict(_TEXT)),)
_HTML = (("text/html", dict(_TEXT)),)
_NO_INSTANCE = (NO_WORKFLOW, NO_INSTANCE)
_SEARCH_INFO = ("count", "per_page", "cursor", "has_more", "is_partial", "looked_to")
_OK = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}

OPERATIONS: Mapping[Key, Operation] = {
    "GET /healthz": Operation(
        id="stepwell-health",
        tag=STEPWELL,
        description="Says that the server answers. Asks for no token.",
        answer=Answer(media=(("application/json", {**_OK, "examples": [{"status": "ok"}]}),)),
    ),
    "GET /metrics": Operation(
        id="stepwell-metrics",
        tag=STEPWELL,
        description="What the server tells Prometheus, in its text format: instances, steps, queue, store, requests, "
        "workers, of all accounts. The token needs the permission `metrics`, unless the setting `metrics_access` is "
        "`open`.",
        answer=Answer(media=(("text/plain", dict(_TEXT)),)),
    ),
    "GET /openapi.json": Operation(
        id="stepwell-openapi",
        tag=STEPWELL,
        description="This document: all that the server can be asked, as OpenAPI 3.1.",
        answer=Answer(media=(("application/json", {"type": "object"}),)),
    ),
    "GET /docs": Operation(
        id="stepwell-docs",
        tag=STEPWELL,
        description="A page that lists the operations of this document.",
        answer=Answer(media=_HTML),
    ),
    "GET /docs/{operation_id}": Operation(
        id="stepwell-docs-operation",
        tag=STEPWELL,
        description="A page about one operation of this document.",
        answer=Answer(media=_HTML),
        refused=(NO_OPERATION,),
    ),
    f"GET {OWN}/limits": Operation(
        id="stepwell-limits-get",
        tag=STEPWELL,
        description="Gets how many instances of the account may run at a time, and the limits of its workflows that "
        "have any: how many run, how many wait for a slot, and by key, for up to 50 keys of each, those first whose "
        "turn is next; and the limits that steps share.",
        answer=Answer(AccountLimits),
        cli=("stepwell limits list",),
    ),
    f"PATCH {OWN}/limits": Operation(
        id="stepwell-limits-edit",
        tag=STEPWELL,
        description="Lets at most so many instances of the account run at a time; null: any number. What runs, runs "
        "on.",
        answer=Answer(AccountLimits),
        body=Body(LimitsBody, "What is to change.", {"concurrency": 100}),
        refused=(BAD_BODY, LARGE_BODY),
        cli=("stepwell limits set --concurrency 100",),
    ),
    f"PUT {OWN}/limits/steps/{{limit_name}}": Operation(
        id="stepwell-limits-share",
        tag=STEPWELL,
        description="Sets a limit that steps of the account share by its name, whatever code declares of it: how many "
        "of them may run at a time, and how many may begin in any period. What runs, runs on.",
        answer=Answer(SharedLimitShown),
        body=Body(SharedLimitBody, "What it allows.", {"concurrency": 8, "rate": {"limit": 500, "period_ms": 60_000}}),
        refused=(BAD_BODY, LARGE_BODY),
        cli=("stepwell limits share openai --concurrency 8 --rate '500 in 1 minute'",),
    ),
    f"DELETE {OWN}/limits/steps/{{limit_name}}": Operation(
        id="stepwell-limits-unshare",
        tag=STEPWELL,
        description="Takes back what was set of a limit that steps share: what code declares of it holds again; where "
        "none does, steps that name it wait until it is set.",
        answer=Answer(AccountLimits),
        refused=(NO_LIMIT,),
        cli=("stepwell limits unshare openai",),
    ),
    f"GET {OWN_WORKFLOW}/limits": Operation(
        id="stepwell-limits-workflow",
        tag=STEPWELL,
        description="Gets the limits of a workflow, as its code declares them and a PUT has set them, and how they "
        "stand.",
        answer=Answer(WorkflowLimits),
        refused=(NO_WORKFLOW,),
        cli=("stepwell limits list order",),
    ),
    f"GET {OWN}/whoami": Operation(
        id="stepwell-whoami",
        tag=STEPWELL,
        description="Says whose token was sent and what it is good for, whatever that is; and which release answers, "
        "by which clock.",
        answer=Answer(Whoami),
        cli=("stepwell whoami",),
    ),
    f"GET {OWN}/hosts": Operation(
        id="stepwell-hosts",
        tag=STEPWELL,
        description="Lists who has the store open, with what each holds and how long instances wait to be claimed; "
        "what waits, and what the store is kept in. Numbers are of the account; with the permission `metrics` of all "
        "accounts of the store, and then hosts have their names and the store its size.",
        answer=Answer(StoreHosts),
        cli=("stepwell hosts list",),
    ),
    f"GET {OWN_WORKFLOW}/instances": Operation(
        id="stepwell-instances-search",
        tag=STEPWELL,
        description="Searches the instances of a workflow: those of which everything is true that is asked for, newest "
        "first unless asked otherwise, a page at a time. `result_info.cursor` leads to the next page; what is created "
        "meanwhile moves nothing. A search looks for a moment only, and says then how far it got: `is_partial`.",
        answer=Answer(list[SearchedInstance], _SEARCH_INFO, info_kind=SearchInfo),
        refused=(NO_WORKFLOW, TOO_SLOW),
        cli=("stepwell instances list order --status waiting --status running --label customer=ann",),
    ),
    f"GET {ACCOUNT}/stepwell/instances": Operation(
        id="stepwell-search",
        tag=STEPWELL,
        description="Searches the instances of all workflows of an account, as those of one.",
        answer=Answer(list[SearchedInstance], _SEARCH_INFO, info_kind=SearchInfo),
        refused=(TOO_SLOW,),
        cli=("stepwell instances list --label customer=ann",),
    ),
    f"POST {OWN_WORKFLOW}/instances": Operation(
        id="stepwell-instances-create",
        tag=STEPWELL,
        description="Creates an instance as Cloudflare's route does, with labels by which it is found.",
        answer=Answer(LabelledInstance),
        body=Body(
            LabelledInstanceBody,
            "The new instance. No body asks for one with a new id, no params and no labels.",
            {"instance_id": "order-10", "params": {"orderId": 10}, "labels": {"customer": "ann"}},
            False,
        ),
        refused=(BAD_BODY, BAD_ID, ID_TAKEN, NO_WORKFLOW, LARGE_BODY),
        cli=("stepwell trigger order '{\"orderId\":10}' --id order-10 --label customer=ann",),
    ),
    f"GET {OWN_INSTANCE}": Operation(
        id="stepwell-instances-status",
        tag=STEPWELL,
        description="Gets status, outcome and progress of an instance without its log; `output` is the JSON "
        "value itself.",
        answer=Answer(InstanceStatus),
        refused=_NO_INSTANCE,
        cli=("stepwell instances describe order order-1",),
    ),
    f"GET {OWN_INSTANCE}/events": Operation(
        id="stepwell-instances-events",
        tag=STEPWELL,
        description="Tells what happens to an instance as Server-Sent Events, for `EventSource` and curl: the events "
        'of "Follow the events of an instance", each as `data` with its `eventId` as `id`, until the instance has '
        "ended. A comment comes now and then.",
        answer=Answer(
            media=(("text/event-stream", dict(_TEXT)),),
            others=((204, "A client that comes back with `Last-Event-ID` has been told everything."),),
        ),
        refused=(*_NO_INSTANCE, MANY_STREAMS),
    ),
    f"GET {OWN_INSTANCE}/logs": Operation(
        id="stepwell-instances-logs",
        tag=STEPWELL,
        description="Gets what an instance's code printed and logged, oldest first. With `follow=true` the answer is a "
        "stream with a line of JSON for each line, and an empty one now and then, until the instance ends.",
        answer=Answer(Log, media=(("application/x-ndjson", dict(_TEXT)),)),
        refused=(*_NO_INSTANCE, MANY_STREAMS),
        cli=("stepwell instances logs order order-1",),
    ),
    f"GET {OWN_WORKFLOW}/versions/{{version_id}}/graph": Operation(
        id="stepwell-versions-graph",
        tag=STEPWELL,
        description="Gets the graph of a version's code with what Cloudflare's form has no members for: keys, places "
        "in the source, patterns of names, dependencies, the heads of loops and blocks. Where there is none, `note` "
        "says why; as SVG it is refused then.",
        answer=Answer(VersionGraphShown, media=_SVG),
        refused=(NO_WORKFLOW, NO_VERSION, NO_DRAWING),
    ),
    f"GET {OWN_WORKFLOW}/versions/{{version_id}}/source": Operation(
        id="stepwell-versions-source",
        tag=STEPWELL,
        description="Gets the source files that the graph of a version lies in, at most 256 KiB together; of a version "
        "that has none, the Python files of its script's folder, as they were served, and so with `whole=true` of any "
        "version that the store has a snapshot of. Files that are too large are "
        "named in `left_out`. Where there are none, `note` says why, and what helps. A token with `Workers Tail Read` "
        "alone may not read code.",
        answer=Answer(VersionSourceShown),
        refused=(NO_WORKFLOW, NO_VERSION),
    ),
    f"GET {OWN_WORKFLOW}/versions/{{version_id}}": Operation(
        id="stepwell-versions-get",
        tag=STEPWELL,
        description="Gets what a version is made of: the hash of its code, the snapshot that the store has of it, and "
        "the JSON Schema of its params.",
        answer=Answer(VersionCodeShown),
        refused=(NO_WORKFLOW, NO_VERSION),
    ),
    f"GET {OWN_INSTANCE}/graph": Operation(
        id="stepwell-instances-graph",
        tag=STEPWELL,
        description="Gets the graph of an instance's version and, by the keys of its nodes, what the instance has done "
        "of it: how each stands, how often it ran, and which entries of the log are its own. With `format=svg` it is "
        "drawn, each node with its key in `data-key`.",
        answer=Answer(InstanceGraphShown, media=_SVG),
        refused=(*_NO_INSTANCE, NO_DRAWING),
    ),
    f"GET {OWN_INSTANCE}/history": Operation(
        id="stepwell-instances-history",
        tag=STEPWELL,
        description="Gets the records of an instance, oldest first: all that has happened to it, numbered, also before "
        "a restart, without params, results and payloads. An answer that looks for few kinds in a long history may "
        "have none of them; `next` says where to go on until `is_whole`.",
        answer=Answer(History),
        refused=_NO_INSTANCE,
    ),
    f"GET {OWN_INSTANCE}/attributes": Operation(
        id="stepwell-instances-attributes",
        tag=STEPWELL,
        description="Gets what the attempts of an instance have said of themselves (`ctx.set_attributes`), such as a "
        "model's name and tokens, once they have ended, and the sums of what are numbers.",
        answer=Answer(InstanceAttributes),
        refused=_NO_INSTANCE,
        cli=("stepwell instances describe order order-1",),
    ),
    f"GET {OWN_INSTANCE}/tree": Operation(
        id="stepwell-instances-tree",
        tag=STEPWELL,
        description="Gets an instance with the instances that it awaits or has awaited (`step.child`), those that they "
        "await, and so on: the nearest first, up to a thousand.",
        answer=Answer(InstanceTree),
        refused=_NO_INSTANCE,
        cli=("stepwell instances tree order order-1",),
    ),
    f"GET {OWN_INSTANCE}/retention": Operation(
        id="stepwell-instances-retention",
        tag=STEPWELL,
        description="Says how long an instance is kept after its end, and until when, as the settings of its workflow, "
        "account and server stand now. After that it is gone, within about ten seconds, and its id is free.",
        answer=Answer(InstanceRetention),
        refused=_NO_INSTANCE,
        cli=("stepwell instances describe order order-1",),
    ),
    f"GET {OWN_INSTANCE}/why": Operation(
        id="stepwell-instances-why",
        tag=STEPWELL,
        description="Says why an instance does not go on, as far as the server knows: each thing that it waits for, "
        "what is in flight, and what it lacks. One that has ended has no reasons; `end` says how it ended.",
        answer=Answer(InstanceWhy),
        refused=_NO_INSTANCE,
        cli=("stepwell instances why order order-1",),
    ),
    f"POST {OWN_INSTANCE}/step": Operation(
        id="stepwell-instances-step-force",
        tag=STEPWELL,
        description="Decides by hand what becomes of a step: `retry` begins its next attempt now, `skip` ends a sleep, "
        "`complete` lets a step return a value or a wait get a payload, `fail` lets either fail for good; an attempt "
        "in flight is interrupted. Who decided is in the history: the token's name, or `local`. What happens to the "
        "step before its turn meets the decision counts; in a pause a turn meets it after the pause, unless an attempt "
        "is in flight.",
        answer=Answer(ForcedStep),
        body=Body(
            AnyActionBody,
            "What is decided.",
            {"action": "complete", "step": "approval-1", "type": "waitForEvent", "value": {"by": "ann"}},
        ),
        refused=(BAD_BODY, NOT_FITTING, FINISHED, *_NO_INSTANCE, LARGE_BODY),
        cli=('stepwell instances step-complete order order-1 approval-1 \'{"by":"ann"}\' --type waitForEvent',),
    ),
    f"POST {OWN_INSTANCE}/rollback": Operation(
        id="stepwell-instances-rollback",
        tag=STEPWELL,
        description="Goes on with the rollback of an instance, which has failed: the rollback that failed is tried "
        "again, then those that have not run are. The instance ends then as it had ended before.",
        answer=Answer(models.ChangedStatus),
        refused=(NO_ROLLBACK, *_NO_INSTANCE),
        cli=("stepwell instances resume-rollback order order-1",),
    ),
}
