"""Operations on scripts that Cloudflare's tools ask beside an upload of code.

Source: developers.cloudflare.com/api/resources/workers/
"""

from collections.abc import Mapping

from stepwell.api import script_versions, workers
from stepwell.api.openapi.operation import (
    ACCOUNT,
    BAD_BODY,
    BAD_CODE,
    LARGE_BODY,
    NO_SCRIPT_VERSION,
    NO_SERVICE,
    NO_UPLOAD,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.scripts import ScriptMetadataBody

SCRIPTS = "Scripts"
EXAMPLE_VERSION = "11111111-1111-8111-a111-111111111111"

_SCRIPT = f"{ACCOUNT}/workers/scripts/{{script_name}}"
_BINDING = {"type": "workflow", "name": "ORDER", "workflow_name": "order", "class_name": "Order"}
_SHOP = (
    "from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n"
    '    async def run(self, event, step):\n        await step.do("charge", print)\n'
)
_PAGE = ("count", "per_page", "total_count", "page", "total_pages")
_BODY = (BAD_BODY, LARGE_BODY)
_NOTHING = "Stepwell has none of them, so the answer is always the same."

OPERATIONS: Mapping[Key, Operation] = {
    f"GET {ACCOUNT}/workers/services/{{script_name}}": Operation(
        id="workers-services-get",
        tag=SCRIPTS,
        description="Says whether code was uploaded as this script, with which tool, and when. `wrangler deploy` asks "
        "it first.",
        answer=Answer(workers.Service),
        refused=(NO_SERVICE,),
    ),
    f"GET {ACCOUNT}/workers/workers/{{script_name}}": Operation(
        id="workers-get",
        tag=SCRIPTS,
        description="Gets a script. It is not served below workers.dev; `url` is the host that was asked.",
        answer=Answer(workers.Worker),
        refused=(NO_UPLOAD,),
    ),
    f"GET {_SCRIPT}/versions": Operation(
        id="workers-scripts-versions-list",
        tag=SCRIPTS,
        description="Lists what was uploaded as a script, the last first, whether it was deployed or not.",
        answer=Answer(script_versions.ScriptVersions, _PAGE),
        refused=(NO_UPLOAD,),
        sdk="workers.scripts.versions.list",
    ),
    f"POST {_SCRIPT}/versions": Operation(
        id="workers-scripts-versions-create",
        tag=SCRIPTS,
        description="Keeps a version of a script that can be loaded, where the server was started with "
        "--allow-deploy, and serves nothing of it. One that is not deployed goes after 30 days. The token needs "
        "`deploy`.",
        answer=Answer(script_versions.UploadedVersion),
        body=Body(
            ScriptMetadataBody,
            "What is uploaded, and the files, each as a part with its path as its name.",
            {"metadata": {"main_module": "shop.py", "bindings": [_BINDING]}, "shop.py": _SHOP},
            is_form=True,
        ),
        refused=(BAD_BODY, BAD_CODE, LARGE_BODY),
    ),
    f"GET {_SCRIPT}/versions/{{script_version_id}}": Operation(
        id="workers-scripts-versions-get",
        tag=SCRIPTS,
        description="Gets a version of a script, with what it is bound to.",
        answer=Answer(script_versions.WholeScriptVersion),
        refused=(NO_UPLOAD, NO_SCRIPT_VERSION),
    ),
    f"GET {_SCRIPT}/deployments": Operation(
        id="workers-scripts-deployments-list",
        tag=SCRIPTS,
        description="Lists the versions of a script that were served, the last first: up to 100. Of each version the "
        "last deployment is known.",
        answer=Answer(script_versions.ScriptDeployments),
        refused=(NO_UPLOAD,),
        sdk="workers.scripts.deployments.list",
    ),
    f"POST {_SCRIPT}/deployments": Operation(
        id="workers-scripts-deployments-create",
        tag=SCRIPTS,
        description="Serves a version of a script, where the server was started with --allow-deploy: one, with 100 %. "
        "Instances that are running stay on the code that they began with. The token needs `deploy`.",
        answer=Answer(script_versions.ScriptDeployment),
        body=Body(
            script_versions.DeploymentBody,
            "Which version.",
            {"strategy": "percentage", "versions": [{"version_id": EXAMPLE_VERSION, "percentage": 100}]},
        ),
        refused=(*_BODY, BAD_CODE, NO_UPLOAD, NO_SCRIPT_VERSION),
        sdk="workers.scripts.deployments.create",
    ),
    f"GET {_SCRIPT}/secrets": Operation(
        id="workers-scripts-secrets-list",
        tag=SCRIPTS,
        description="Lists the names of the environment variables that the server gives to all code (`--env`).",
        answer=Answer(list[workers.SecretName]),
        refused=(NO_UPLOAD,),
        sdk="workers.scripts.secrets.list",
    ),
    f"PATCH {_SCRIPT}/script-settings": Operation(
        id="workers-scripts-settings-edit",
        tag=SCRIPTS,
        description=f"Answers with the settings of a script that hold, whatever is asked for. {_NOTHING}",
        answer=Answer(workers.ScriptSettings),
        body=Body(workers.ScriptSettingsBody, "What is to change; nothing does.", {"logpush": False}),
        refused=(*_BODY, NO_UPLOAD),
        sdk="workers.scripts.settings.edit",
    ),
    f"POST {_SCRIPT}/subdomain": Operation(
        id="workers-scripts-subdomain-create",
        tag=SCRIPTS,
        description="Answers that a script is not served below workers.dev, whatever is asked for.",
        answer=Answer(workers.ScriptSubdomain),
        body=Body(workers.SubdomainBody, "Whether it is to be.", {"enabled": True, "previews_enabled": False}),
        refused=(*_BODY, NO_UPLOAD),
        sdk="workers.scripts.subdomain.create",
    ),
    f"PUT {_SCRIPT}/schedules": Operation(
        id="workers-scripts-schedules-update",
        tag=SCRIPTS,
        description="Answers that a script has no cron triggers; one that is asked for is refused, as it would call "
        "`scheduled`, which Stepwell does not call. Workflows have schedules of their own.",
        answer=Answer(workers.CronTriggers),
        body=Body(workers.CronTriggersBody, "The cron triggers: none.", []),
        refused=(*_BODY, NO_UPLOAD),
        sdk="workers.scripts.schedules.update",
    ),
    f"GET {ACCOUNT}/workers/subdomain": Operation(
        id="workers-subdomain-get",
        tag=SCRIPTS,
        description="Gets the name that the account would have below workers.dev, which tools want to know before they "
        "make workflows known. Nothing is served there.",
        answer=Answer(workers.Subdomain),
        sdk="workers.subdomains.get",
    ),
}
