"""What the members mean of code that is served, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

_SHA256 = "401539be52237930288fc5e897a1d9b16899339ed4af4a8c0ca85219c0ba4770"


def _moment(description: str) -> Meaning:
    return {"description": description, "format": "date-time", "examples": ["2026-11-23T10:00:00.130Z"]}


OF_DEPLOYMENTS: Mapping[str, Mapping[str, Meaning]] = {
    "ScriptMetadataBody": {
        "main_module": {"description": "The file that is served.", "examples": ["order.py"]},
        "bindings": {
            "description": "Those of workflows and of variables (`plain_text`, `json`). Where a wrangler file is among "
            "the files, it says them instead."
        },
        "annotations": {
            "description": "What people say of it: `workers/message` and `workers/tag`.",
            "examples": [{"workers/message": "cheaper"}],
        },
        "compatibility_date": {"description": "Kept and shown, without effect.", "examples": ["2026-08-01"]},
        "compatibility_flags": {"description": "The same.", "examples": [["python_workers"]]},
        "stepwell_source": {
            "description": 'Ours: "." where all files of the folder are served, or the file that is, in the place of '
            "`main_module`."
        },
    },
    "UploadedScript": {
        "id": {"description": "The script's name.", "examples": ["shop"]},
        "etag": {"description": "The hash of its files.", "examples": [_SHA256]},
        "handlers": {"description": "What it answers beside workflows: `fetch`, or nothing."},
        "has_assets": {"description": "False: files are not served."},
        "has_modules": {"description": "True: it is made of modules."},
        "created_on": _moment("When this code came first."),
        "modified_on": _moment("When it became what is served."),
        "deployment_id": {
            "description": "The id of its version.",
            "format": "uuid",
            "examples": ["401539be-5223-8930-a88f-c5e897a1d9b1"],
        },
        "startup_time_ms": {"description": "How long it took to load.", "minimum": 0, "examples": [350]},
    },
    "ServedCode": {
        "snapshot": {"description": "Its number.", "minimum": 1, "examples": [3]},
        "sha256": {"description": "The hash of its files.", "examples": [_SHA256]},
        "source": {"description": 'The file or folder that is served; ".": the whole.', "examples": ["order.py"]},
        "python": {"description": "The Python that it was served with first.", "examples": ["3.13.1"]},
        "created_on": _moment("When it came first."),
        "served_on": _moment("When it became what is served, the last time."),
        "is_served": {"description": "Whether it is what is served now, of its script."},
        "script": {"description": "The script as which it was uploaded; empty: as none.", "examples": ["shop"]},
    },
    "ForkBody": {
        "from": {"description": "The step that it begins with; null: the beginning."},
        "instance_id": {"description": "Its id; null: a new one.", "examples": [None]},
        "params": {"description": "Other params than those of its source; null: the same."},
        "outputs": {
            "description": "Other outputs of steps before the one that it begins with, by the names that logs show.",
            "examples": [{"charge-1": {"paid": False}}],
        },
        "version_id": {
            "description": 'The version that it has: an id, or "newest"; null: that of its source.',
            "examples": ["newest"],
        },
    },
    "ForkedInstance": {
        "id": {"description": "Its id.", "examples": ["order-1b"]},
        "workflow_name": {"description": "Its workflow.", "examples": ["order"]},
        "version_id": {"description": "Its version."},
        "status": {"named": "Status", "examples": ["queued"]},
        "forked_from": {"description": "The id of its source.", "examples": ["order-1"]},
    },
    "MoveBody": {
        "instances": {"description": "Their ids.", "examples": [["order-1"]]},
        "version_id": {"description": "The version; null: the newest.", "examples": [None]},
        "force": {"description": "Whether also those are moved that would break on it; none is looked at then."},
    },
    "MovedInstance": {
        "id": {"description": "Its id.", "examples": ["order-1"]},
        "is_moved": {"description": "Whether it is on that version now."},
        "version_id": {"description": "The version that it has; null: there is no such instance."},
        "verdict": {"description": "What its rehearsal has found; null: there was none.", "examples": ["goes on"]},
        "problem": {"description": "Why it was not moved.", "examples": [None]},
        "where": {"description": "The line of the code that it hangs on.", "examples": [None]},
    },
    "ServeBody": {
        "snapshot": {"description": "Which one; null: the last but one of a script.", "examples": [3]},
        "script": {"description": "Of which script; null: of the one that was deployed last.", "examples": ["shop"]},
    },
}
