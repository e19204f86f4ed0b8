"""Operations on workflows and their versions.

Source: developers.cloudflare.com/api/resources/workflows/
"""

from collections.abc import Mapping

from stepwell import models
from stepwell.api.openapi.operation import (
    BAD_BODY,
    LARGE_BODY,
    NO_SCRIPT,
    NO_VERSION,
    NO_WORKFLOW,
    OTHER_SCRIPT,
    TOO_SLOW,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.workflow_body import WorkflowBody

WORKFLOWS = "Workflows"
VERSIONS = "Versions"

_PAGE = ("count", "per_page", "total_count", "page", "total_pages")
_NO_VERSION = (NO_WORKFLOW, NO_VERSION)

OPERATIONS: Mapping[Key, Operation] = {
    1: Operation(
        id="workflows-list",
        tag=WORKFLOWS,
        description="Lists the account's workflows by name, a page at a time.",
        answer=Answer(list[models.Workflow], _PAGE),
        refused=(TOO_SLOW,),
        sdk="workflows.list",
        cli=("stepwell workflows list", "npx wrangler workflows list"),
    ),
    2: Operation(
        id="workflows-get",
        tag=WORKFLOWS,
        description="Gets a workflow, and how many of its instances have each status.",
        answer=Answer(models.Workflow),
        refused=(NO_WORKFLOW, TOO_SLOW),
        sdk="workflows.get",
        cli=("stepwell workflows describe order", "npx wrangler workflows describe order"),
    ),
    3: Operation(
        id="workflows-update",
        tag=WORKFLOWS,
        description="Creates a workflow of a class that a worker has loaded, or changes one, which has a new version "
        "then. What the body does not say is as if it had never been said; `messages` tell what has no effect yet, and "
        "what a weekday's number in a schedule means.",
        answer=Answer(models.ChangedWorkflow),
        body=Body(
            WorkflowBody,
            "Script and class of the workflow, and its settings.",
            {"script_name": "shop", "class_name": "Order", "limits": {"steps": "{most_steps_per_instance}"}},
        ),
        refused=(BAD_BODY, NO_SCRIPT, OTHER_SCRIPT, LARGE_BODY),
        sdk="workflows.update",
    ),
    4: Operation(
        id="workflows-delete",
        tag=WORKFLOWS,
        description="Deletes a workflow with its versions and all of its instances.",
        answer=Answer(models.DeletedWorkflow),
        refused=(NO_WORKFLOW,),
        sdk="workflows.delete",
        cli=("stepwell workflows delete order --yes", "npx wrangler workflows delete order"),
    ),
    19: Operation(
        id="workflows-versions-list",
        tag=VERSIONS,
        description="Lists the versions of a workflow, newest first, a page at a time.",
        answer=Answer(list[models.Version], _PAGE),
        refused=(NO_WORKFLOW, TOO_SLOW),
        sdk="workflows.versions.list",
        cli=("stepwell workflows versions order",),
    ),
    20: Operation(
        id="workflows-versions-get",
        tag=VERSIONS,
        description="Gets a version of a workflow with its settings.",
        answer=Answer(models.Version),
        refused=_NO_VERSION,
        sdk="workflows.versions.get",
    ),
    21: Operation(
        id="workflows-versions-graph",
        tag=VERSIONS,
        description="Gets the graph of a version's code, read from its source; `graph` is null if that could not be "
        "read.",
        answer=Answer(models.VersionGraph),
        refused=_NO_VERSION,
        sdk="workflows.versions.graph",
    ),
    22: Operation(
        id="workflows-versions-dag",
        tag=VERSIONS,
        description="Gets the graph of a version's code in its older form; `dag` is null if it could not be read.",
        answer=Answer(models.VersionDag),
        refused=_NO_VERSION,
    ),
}
