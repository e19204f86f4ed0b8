"""What the members of entries of the audit log mean; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

OF_AUDIT: Mapping[str, Mapping[str, Meaning]] = {
    "AuditEntryShown": {
        "id": {"description": "The number of the entry; they ascend.", "examples": ["17"]},
        "at": {
            "description": "When it was asked for.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.000Z"],
        },
        "action": {"description": "What was done.", "examples": ["instance.terminate"]},
        "who": {
            "description": "The token's name, or its id; else the user of the machine, or `local`.",
            "examples": ["ann"],
        },
        "way": {
            "description": "How that is known: by a `token`, by a browser's `session`, not at all, as the server is "
            "`open`, or as a `command` that opened the store.",
            "examples": ["token"],
        },
        "token_id": {"description": "The token's id; null: there was none.", "examples": ["9f86d081884c7d65"]},
        "address": {
            "description": "The other end of the connection, which may be a proxy, or the machine of a command.",
            "examples": ["192.0.2.7"],
        },
        "agent": {"description": "What the caller says of its program.", "examples": ["curl/8.5.0"]},
        "workflow_name": {"description": "The workflow, if it was done to one.", "examples": ["order"]},
        "instance_id": {"description": "The instance, if it was done to one.", "examples": ["order-1"]},
        "thing": {
            "description": "What else it was done to: a token's or a job's id, a script, a cron expression, a limit.",
            "examples": [None],
        },
        "detail": {
            "description": "More of it, by names; never params, payloads, outputs or secrets.",
            "examples": [{"rollback": True}],
        },
    },
}
