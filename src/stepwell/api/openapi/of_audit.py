"""The operation on the audit log, which is Stepwell's own."""

from collections.abc import Mapping
from typing import Any

from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import MANY_STREAMS, OWN, TOO_SLOW, Answer, Key, Operation
from stepwell.audit_log import AuditEntryShown

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
}
