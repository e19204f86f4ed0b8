"""What the members mean of scripts, their versions and deployments, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

_SHA256 = "1" * 64
_VERSION: Meaning = {
    "description": "The version's id: of the same files it is the same.",
    "format": "uuid",
    "examples": ["11111111-1111-8111-a111-111111111111"],
}
_OFF: Meaning = {"description": "False: there is no such thing here."}
_NONE: Meaning = {"description": "None: there are no such things here."}
_PASSED_OVER: Meaning = {"description": "Passed over: there is no such thing here."}
_TOOL: Meaning = {"description": "`wrangler`, or `api` for any other tool.", "examples": ["wrangler"]}
_AUTHOR: Meaning = {"description": "The owner of the account.", "examples": ["owner@stepwell.invalid"]}
_PERCENTAGE: Meaning = {"description": "Always 100: one version is deployed at a time.", "examples": [100]}

_SHARE: Mapping[str, Meaning] = {"version_id": _VERSION, "percentage": _PERCENTAGE}
_CRON: Mapping[str, Meaning] = {"cron": {"description": "A cron expression.", "examples": ["0 9 * * MON-FRI"]}}


def _moment(description: str) -> Meaning:
    return {"description": description, "format": "date-time", "examples": ["2026-11-23T10:00:00.130Z"]}


_UPLOADED, _DEPLOYED = _moment("When this code came first."), _moment("When it was deployed last, or uploaded.")
_MESSAGE: Meaning = {"description": "What its author says; cut off after 1,000 bytes.", "examples": ["cheaper"]}
_VERSIONS: Mapping[str, Meaning] = {
    "id": _VERSION,
    "number": {"description": "The number of its snapshot.", "minimum": 1, "examples": [3]},
    "metadata": {"description": "Who has uploaded it, and when."},
    "annotations": {"description": "What was said of it."},
}
_WHOLE: Mapping[str, Meaning] = {**_VERSIONS, "resources": {"description": "What it is made of."}}

OF_SCRIPTS: Mapping[str, Mapping[str, Meaning]] = {
    "Service": {
        "id": {"description": "The script's name.", "examples": ["shop"]},
        "default_environment": {"description": "The one environment that there is."},
        "created_on": _UPLOADED,
        "modified_on": _DEPLOYED,
    },
    "ServiceEnvironment": {
        "environment": {"description": "Its name."},
        "script": {"description": "The script in it."},
        "created_on": _UPLOADED,
        "modified_on": _DEPLOYED,
    },
    "ScriptFacts": {
        "id": {"description": "The script's name.", "examples": ["shop"]},
        "tag": {"description": "An id of the script's.", "examples": ["901bbd4c44e553e6ab6a02a1485092a5"]},
        "tags": _NONE,
        "etag": {"description": "The hash of its files.", "examples": [_SHA256]},
        "created_on": _UPLOADED,
        "modified_on": _DEPLOYED,
        "last_deployed_from": _TOOL,
    },
    "Worker": {
        "id": {"description": "The script's name.", "examples": ["shop"]},
        "name": {"description": "The script's name.", "examples": ["shop"]},
        "created_on": _UPLOADED,
        "updated_on": _DEPLOYED,
        "subdomain": {"description": "Where it would be served below workers.dev."},
        "logpush": _OFF,
        "observability": _OFF,
        "tags": _NONE,
        "tail_consumers": _NONE,
    },
    "WorkerAddress": {
        "url": {"description": "The host that was asked.", "examples": ["https://flows.example.com"]},
        "enabled": _OFF,
        "previews_enabled": _OFF,
    },
    "OnOff": {"enabled": _OFF},
    "SecretName": {
        "name": {"description": "The variable's name.", "examples": ["PAYMENT_KEY"]},
        "type": {"description": "That its value is told nobody."},
    },
    "ScriptSettings": {"logpush": _OFF, "observability": _OFF, "tags": _NONE, "tail_consumers": _NONE},
    "ScriptSettingsBody": dict.fromkeys(("logpush", "observability", "tags", "tail_consumers"), _PASSED_OVER),
    "Subdomain": {"subdomain": {"description": "The account's name, in small letters.", "examples": ["local"]}},
    "ScriptSubdomain": {"enabled": _OFF, "previews_enabled": _OFF},
    "SubdomainBody": {
        "enabled": {"description": "Whether it is to be there."},
        "previews_enabled": {"description": "Whether its versions are."},
    },
    "CronTrigger": _CRON,
    "CronTriggerBody": _CRON,
    "CronTriggers": {"schedules": _NONE},
    "ScriptAnnotations": {
        "workers/message": _MESSAGE,
        "workers/tag": {"description": "A name that its author gives it.", "examples": ["v3"]},
        "workers/triggered_by": {"description": "`upload`, or `rollback`.", "examples": ["upload"]},
    },
    "ScriptVersionFacts": {
        "author_email": _AUTHOR,
        "created_on": _UPLOADED,
        "modified_on": _UPLOADED,
        "source": _TOOL,
        "hasPreview": _OFF,
    },
    "ScriptVersion": _VERSIONS,
    "ScriptVersions": {"items": {"description": "The versions, the last first."}},
    "CodeOfScript": {
        "etag": {"description": "The hash of its files.", "examples": [_SHA256]},
        "last_deployed_from": _TOOL,
    },
    "ScriptRuntime": {
        "compatibility_date": {"description": "As it was uploaded; without effect.", "examples": ["2026-08-01"]},
        "compatibility_flags": {"description": "The same.", "examples": [["python_workers"]]},
    },
    "ScriptResources": {
        "script": {"description": "Its code."},
        "script_runtime": {"description": "What it was written for."},
        "bindings": {
            "description": "Its workflows and variables.",
            "examples": [[{"type": "workflow", "name": "ORDER", "workflow_name": "order", "class_name": "Order"}]],
        },
    },
    "WholeScriptVersion": _WHOLE,
    "UploadedVersion": {
        **_WHOLE,
        "startup_time_ms": {"description": "How long it took to load.", "minimum": 0, "examples": [350]},
    },
    "VersionShare": _SHARE,
    "VersionShareBody": _SHARE,
    "ScriptDeployment": {
        "id": {
            "description": "The deployment's id.",
            "format": "uuid",
            "examples": ["9484e2e9-2f48-5079-9f52-0bf71c04cc0c"],
        },
        "source": _TOOL,
        "strategy": {"description": "How versions share what is asked."},
        "author_email": _AUTHOR,
        "created_on": _moment("When it was deployed."),
        "annotations": {"description": "What was said of it."},
        "versions": {"description": "The version that was deployed."},
    },
    "ScriptDeployments": {"deployments": {"description": "The deployments, the last first."}},
    "DeploymentNotes": {"workers/message": _MESSAGE},
    "DeploymentNotesBody": {"workers/message": _MESSAGE},
    "DeploymentBody": {
        "versions": {"description": "The version that is to be deployed: one, with 100 %."},
        "strategy": {"description": "How versions share what is asked."},
        "annotations": {"description": "What is said of it."},
    },
}
