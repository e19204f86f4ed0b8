"""The operations on the audit log, and on the logs of the servers, which are Stepwell's own."""

from collections.abc import Mapping
from typing import Any

from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import MANY_STREAMS, OWN, TOO_SLOW, Answer, Key, Operation
from stepwell.audit_log import AuditEntryShown
from stepwell.fact_log import FactShown

_TEXT: Mapping[str, Any] = {"type": "string"}

OPERATIONS: Mapping[Key, Operation] = {
    f"GET {OWN}/audit": Operation(
        id="stepwell-audit",
        tag=STEPWELL,
        description="Lists who has done what, when, and from where: control of instances, decisions by hand, jobs, "
        "changes of workflows, schedules, limits, settings and webhooks, deployments, and tokens; newest first, a page "
        "at a time. What is not in it: what was refused (the server's log has that), creations and events. With "
        "`format` `ndjson` or `csv` the answer is a file with all of them. The token needs the permission `audit`.",
        answer=Answer(
            list[AuditEntryShown],
            ("count", "per_page", "cursor"),
            media=(("application/x-ndjson", dict(_TEXT)), ("text/csv", dict(_TEXT))),
        ),
        refused=(TOO_SLOW, MANY_STREAMS),
        cli=("stepwell audit list --action instance.terminate", "stepwell audit export audit.csv"),
    ),
    f"GET {OWN}/facts": Operation(
        id="stepwell-facts",
        tag=STEPWELL,
        description="Lists what the logs of the servers and their workers have said last, the latest first, a page at "
        "a time: those of the account, or with the permission `metrics` all. The store keeps 10,000, of all hosts, "
        "also of those that are gone. What code logs is in the logs of its instances; refused requests "
        "are in the server's own log alone.",
        answer=Answer(list[FactShown], ("count", "per_page", "cursor")),
        cli=("stepwell facts list --process server -o json",),
    ),
}
