"""Operations on the code that a server serves."""

from collections.abc import Mapping

from stepwell.api.forking import ForkBody, ForkedInstance
from stepwell.api.moving import MoveBody
from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import (
    ACCOUNT,
    BAD_BODY,
    BAD_CODE,
    BAD_ID,
    ID_TAKEN,
    LARGE_BODY,
    MANY_STREAMS,
    NO_INSTANCE,
    NO_SNAPSHOT,
    NO_VERSION,
    NO_WORKFLOW,
    NOT_BEGUN,
    OWN_INSTANCE,
    OWN_WORKFLOW,
    TOO_FAST,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.scripts import ScriptMetadataBody, ServeBody, ServedCode, UploadedScript
from stepwell.moves import MovedInstance

_BINDING = {"type": "workflow", "name": "ORDER", "workflow_name": "order", "class_name": "Order"}
_SHOP = (
    "from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n"
    '    async def run(self, event, step):\n        await step.do("charge", print)\n'
)
_FORKED = {"instance_id": "order-11", "params": {"orderId": 11}, "version_id": None}

OPERATIONS: Mapping[Key, Operation] = {
    f"PUT {ACCOUNT}/workers/scripts/{{script_name}}": Operation(
        id="stepwell-deployments-upload",
        tag=STEPWELL,
        description="Serves code that is uploaded, where the server was started with --allow-deploy: all of it, or, "
        "if it cannot be loaded or has a workflow of another script's, nothing. Instances that are running stay on "
        "the code that they began with. The route is that of Cloudflare's Workers; the token needs `deploy`.",
        answer=Answer(UploadedScript),
        body=Body(
            ScriptMetadataBody,
            "What is uploaded, and the files, each as a part with its path as its name.",
            {"metadata": {"main_module": "shop.py", "bindings": [_BINDING]}, "shop.py": _SHOP},
            is_form=True,
        ),
        refused=(BAD_BODY, BAD_CODE, LARGE_BODY),
        cli=("stepwell deploy shop.py",),
    ),
    f"POST {ACCOUNT}/stepwell/checks/{{script_name}}": Operation(
        id="stepwell-checks",
        tag=STEPWELL,
        description="Replays each instance that has not ended on code that is uploaded, in a process of its own, "
        "without running a step, and without keeping or changing anything; where the server was started with "
        "--allow-deploy. The answer is a line of JSON for each instance that would not simply go on, and lines that "
        "say how far that is: `looked_at`, `verdicts`, `is_done`. A last line with `error` says why it has ended "
        "before its end. The token needs `deploy`.",
        answer=Answer(media=(("application/x-ndjson", {"type": "string"}),)),
        body=Body(
            ScriptMetadataBody,
            "What is uploaded, and the files, each as a part with its path as its name.",
            {"metadata": {"main_module": "shop.py", "bindings": [_BINDING]}, "shop.py": _SHOP},
            is_form=True,
        ),
        refused=(BAD_BODY, BAD_CODE, LARGE_BODY, NO_WORKFLOW, MANY_STREAMS),
    ),
    f"POST {OWN_INSTANCE}/fork": Operation(
        id="stepwell-instances-fork",
        tag=STEPWELL,
        description="Makes a new instance from any step of another one, which stays as it is: what that one has done "
        "before the step is copied, with other params and other outputs where they are given, and the new instance "
        "goes on with the step. Without `from` it begins at the beginning. Its label `forked_from` names its source.",
        answer=Answer(ForkedInstance),
        body=Body(ForkBody, "Where it begins, and what is other.", _FORKED, False),
        refused=(BAD_BODY, NO_WORKFLOW, NO_INSTANCE, NO_VERSION, NOT_BEGUN, BAD_ID, ID_TAKEN, TOO_FAST, LARGE_BODY),
        cli=("stepwell instances fork order order-1 --id order-11 --params '{\"orderId\": 11}'",),
    ),
    f"POST {OWN_WORKFLOW}/move": Operation(
        id="stepwell-instances-move",
        tag=STEPWELL,
        description="Moves instances to another version of their workflow, and says of each what became of it. Each is "
        "replayed on that version first: one that would break on it, or of which that cannot be foretold, stays where "
        "it is, unless `force` is true. Attempts in flight are interrupted, and tried again on the new code. The code "
        "of the version has to be in the store, as that of `stepwell serve` is.",
        answer=Answer(list[MovedInstance]),
        body=Body(MoveBody, "Which ones, and where to.", {"instances": ["order-1"], "version_id": None}),
        refused=(BAD_BODY, NO_WORKFLOW, NO_VERSION, LARGE_BODY),
        cli=("stepwell instances move order order-1 --yes",),
    ),
    f"GET {ACCOUNT}/stepwell/deployments": Operation(
        id="stepwell-deployments-list",
        tag=STEPWELL,
        description="Lists the code that was served, the last first: up to 100.",
        answer=Answer(list[ServedCode]),
        cli=("stepwell deployments list",),
    ),
    f"POST {ACCOUNT}/stepwell/deployments": Operation(
        id="stepwell-deployments-serve",
        tag=STEPWELL,
        description="Serves code again that was served before, where the server was started with --allow-deploy. "
        "Instances that are running stay on the code that they began with. The token needs `deploy`.",
        answer=Answer(ServedCode),
        body=Body(ServeBody, "Which snapshot; no body asks for the last but one of a script.", {"snapshot": 1}, False),
        refused=(BAD_BODY, NO_SNAPSHOT, BAD_CODE, LARGE_BODY),
        cli=("stepwell rollback 1",),
    ),
}
