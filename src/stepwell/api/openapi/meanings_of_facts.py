"""What the members of facts of the log mean; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

OF_FACTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "FactShown": {
        "id": {"description": "The number of the fact; they ascend.", "examples": ["17"]},
        "at": {"description": "When it was told.", "format": "date-time", "examples": ["2026-11-23T10:00:00.000Z"]},
        "level": {"description": "How grave it is: `info`, `warning` or `error`.", "examples": ["warning"]},
        "event": {
            "description": "What happened, by the name that the reference of the log has for it.",
            "examples": ["worker.died"],
        },
        "message": {
            "description": "What the log says of it, without a traceback; up to 1,000 characters.",
            "examples": ["worker 1 (pid 4242) was killed by SIGKILL; it held nothing"],
        },
        "host": {
            "description": "Whose log it is: a machine, and the number of a process there; null without the permission "
            "`metrics`.",
            "examples": ["web-1:4242"],
        },
        "process": {"description": "Who told it: `server`, or a worker by its name.", "examples": ["worker 1"]},
        "account": {"description": "Of which account it is; null: of none, so of the operator.", "examples": ["local"]},
        "workflow_name": {"description": "Of which workflow; null: of none.", "examples": ["order"]},
        "instance_id": {"description": "Of which instance; null: of none.", "examples": ["order-1"]},
    },
}
