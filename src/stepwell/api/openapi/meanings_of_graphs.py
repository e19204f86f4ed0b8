"""What the members of graphs mean: of Cloudflare's, and of ours; as in `meanings.py`.

Source: developers.cloudflare.com/api/resources/workflows/subresources/versions/methods/graph/
"""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

_DURATION = 'Milliseconds, or a duration such as `"5 minutes"`; where only the running code knows it, its source.'
_STATUSES = ["notReached", "running", "waiting", "complete", "errored"]


def _text(description: str, example: str) -> Meaning:
    return {"description": description, "examples": [example]}


_NAME = _text("Its name; what only the running code knows stands in braces.", "charge {order}")
_BEGUN: Mapping[str, Meaning] = {
    "starts": {"description": "The number of the point at which it is begun; not there: where it is awaited."},
    "resolves": {"description": "The number of the point at which it is awaited."},
}
_NODES: Meaning = {"description": "The nodes in it, of the types that a graph has.", "examples": [[]]}
_TIMEOUT = {"description": f"How long at most: {_DURATION}", "examples": ["10 minutes"]}
_PAYLOAD: Meaning = {"description": "What is known of the payload's form."}
_SHAPE: Meaning = {"description": "What is known of the params' form; null: nothing.", "examples": [None]}

_OF_CLOUDFLARE: Mapping[str, Mapping[str, Meaning]] = {
    "WorkflowGraph": {
        "workflow": {"description": "The graph."},
        "version": {"description": "The version of this form.", "examples": [1]},
    },
    "GraphWorkflow": {
        "class_name": _text("The workflow's class.", "Order"),
        "functions": {"description": "The functions that make steps, by name.", "examples": [{}]},
        "nodes": {"description": "What `run` does, one after the other."},
        "payload": {"description": "What is known of the params' form."},
    },
    "JsonShape": {
        "type": {"description": "Whether it is an object, or nothing is known."},
        "fields": {"description": "The forms of an object's members, by name."},
    },
    "NodeRetries": {
        "limit": {"description": "How often it is tried again.", "examples": [5]},
        "delay": {"description": f"How long until then: {_DURATION}", "examples": [10_000]},
        "backoff": {"description": "How the delay grows."},
    },
    "NodeConfig": {"retries": {"description": "How often it is tried again."}, "timeout": _TIMEOUT},
    "NodeEventOptions": {"event_type": _text("The type of the event.", "approved"), "timeout": _TIMEOUT},
    "NodeBranch": {
        "condition": {"description": "When it is taken, as in the source; null: else.", "examples": ["paid"]},
        "nodes": _NODES,
    },
    "StepDoNode": {
        "name": _NAME,
        "config": {"description": "Retries and timeout, merged with the defaults."},
        "nodes": {**_NODES, "description": "The calls in its body."},
        **_BEGUN,
    },
    "StepSleepNode": {
        "name": _NAME,
        "duration": {"description": f"How long: {_DURATION}", "examples": ["1 hour"]},
        **_BEGUN,
    },
    "StepSleepUntilNode": {
        "name": _NAME,
        "timestamp": _text("Until when, as in the source.", "next_morning(event.timestamp)"),
        **_BEGUN,
    },
    "StepWaitNode": {
        "name": _NAME,
        "options": {"description": "What it waits for."},
        "payload": _PAYLOAD,
        **_BEGUN,
    },
    "LoopNode": {"nodes": _NODES},
    "ParallelNode": {"kind": {"description": "What ends it."}, "nodes": {**_NODES, "description": "The branches."}},
    "BlockNode": {"nodes": _NODES},
    "TryNode": {
        "try_block": {"description": "What is tried."},
        "catch_block": {"description": "What is done about errors."},
        "finally_block": {"description": "What is done in any case."},
    },
    "IfNode": {"branches": {"description": "The branches."}},
    "SwitchNode": {
        "discriminant": _text("What decides, as in the source.", "order.kind"),
        "branches": {"description": "The branches."},
    },
    "FunctionCallNode": {"name": _text("Its name in `functions`.", "pay"), **_BEGUN},
    "FunctionDefNode": {"name": _text("Its name.", "pay"), "nodes": _NODES},
    "BreakNode": {"kind": {"description": "Whether a loop is left, or the run or function."}},
}

_OF_A_VERSION: Mapping[str, Meaning] = {
    "version_id": {
        "description": "The id of the version.",
        "format": "uuid",
        "examples": ["5c1a3a3e-9a52-4b0c-9c43-0a3a0b6c2f11"],
    },
    "class_name": _text("The workflow's class.", "Order"),
    "nodes": {
        "description": "What `run` does, as in Cloudflare's form, each node with its `key`, its `place` (file, line, "
        "last_line) and more, as docs/graphs.md lists; null: there is no graph.",
        "examples": [[]],
    },
    "functions": {"description": "The functions that make steps, by name.", "examples": [{}]},
    "payload": _SHAPE,
    "remarks": {"description": "What could not be followed, each with its file and line.", "examples": [[]]},
    "note": _text("Why there is no graph; else empty.", ""),
}

OF_GRAPHS: Mapping[str, Mapping[str, Meaning]] = {
    **_OF_CLOUDFLARE,
    "VersionGraphShown": _OF_A_VERSION,
    "VersionCodeShown": {
        "version_id": _OF_A_VERSION["version_id"],
        "class_name": _OF_A_VERSION["class_name"],
        "script_name": _text("The script that has the class.", "shop"),
        "created_on": {
            "description": "When it became the workflow's newest version.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.130Z"],
        },
        "sha256": _text(
            "The hash of its code: of all files of its snapshot; where there is none, of the sources of its script.",
            "401539be52237930288fc5e897a1d9b16899339ed4af4a8c0ca85219c0ba4770",
        ),
        "snapshot": {
            "description": "The number of its snapshot; null: the store has none, as under `stepwell dev`.",
            "examples": [3],
        },
        "source": {"description": 'The file or folder of it that is served; ".": the whole.', "examples": ["order.py"]},
        "python": {"description": "The Python that it was served with first.", "examples": ["3.13.1"]},
        "params_schema": {
            "description": "The JSON Schema that params of new instances have to fit; null: any JSON does.",
            "examples": [{"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}],
        },
    },
    "SourceFile": {
        "path": _text("Its path in the script's folder, as `place` has it.", "shop.py"),
        "text": _text("What is in it.", "class Order(WorkflowEntrypoint): ..."),
    },
    "VersionSourceShown": {
        "version_id": _OF_A_VERSION["version_id"],
        "class_name": _OF_A_VERSION["class_name"],
        "files": {"description": "The files, the script itself first."},
        "left_out": {"description": "Files that are too large to be kept or shown.", "examples": [[]]},
        "note": _text("Why there are no files, and what helps; else empty.", ""),
    },
    "InstanceGraphShown": {
        **_OF_A_VERSION,
        "status": {"named": "Status", "examples": ["waiting"]},
        "states": {"description": "How each node stands, by its key. A helper's key is its name with `()`."},
        "others": {"description": "The entries of the log that no node stands for.", "examples": [[]]},
    },
    "NodeStateShown": {
        "status": {"description": "How it stands: of many entries, what tells the most.", "enum": _STATUSES},
        "runs": {"description": "How often it was called; of what holds steps, the most called one.", "examples": [1]},
        "failed": {"description": "How many of its entries ended with an error.", "examples": [0]},
        "entries": {"description": "Its entries in the log, in their order."},
        "rollback": {
            "description": "How the rollbacks of a step stand; null: none has begun.",
            "enum": [*_STATUSES[1:], None],
            "examples": [None],
        },
    },
    "EntryShown": {
        "name": _text("Its name with its count.", "charge-1"),
        "type": {"description": "Its type in the log."},
        "status": {"description": "How it stands."},
    },
}
