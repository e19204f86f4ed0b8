"""What the members mean of limits, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]


def _count(description: str, example: int) -> Meaning:
    return {"description": description, "minimum": 0, "examples": [example]}


OF_LIMITS: Mapping[str, Mapping[str, Meaning]] = {
    "LimitsBody": {
        "concurrency": {
            "description": "How many instances of the account may run at a time; null: any number.",
            "examples": [100],
        },
    },
    "AccountLimits": {
        "concurrency": {"description": "How many of its instances may run at a time; null: any number."},
        "running": _count("How many of those workflows' instances have a slot.", 12),
        "workflows": {"description": "The workflows that have limits, by name."},
        "shared": {"description": "The limits that steps of the account share, by name."},
    },
    "SharedLimitBody": {
        "concurrency": {"description": "How many steps may run at a time; null: any number.", "examples": [8]},
        "rate": {"description": "How many attempts may begin in any period; null: any number."},
    },
    "RateBody": {
        "limit": {"description": "How many.", "examples": [500]},
        "period_ms": {"description": "In how many milliseconds.", "examples": [60_000]},
    },
    "SharedLimitShown": {
        "name": {"description": "What steps name it: `limit=`.", "examples": ["openai"]},
        "concurrency": {"description": "How many of them may run at a time; null: any number."},
        "rate": {"description": "How many of their attempts may begin in any period; null: any number."},
        "source": {
            "description": "Who says so: `code`, which declares it, or `api`, which has set it; null: nobody does yet, "
            "and steps that name it wait.",
            "examples": ["code"],
        },
        "running": _count("How many steps have a slot.", 8),
        "queued": _count("How many wait for one; 10,000 stands for as many or more.", 3),
        "next_queued_on": {
            "description": "Since when the next of them waits; null: none waits.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.130Z"],
        },
    },
    "WorkflowLimits": {
        "workflow_name": {"description": "The workflow.", "examples": ["order"]},
        "concurrency": {"description": "How many of its instances may run at a time; null: any number."},
        "key": {
            "description": "Which member of the params is the key; null: there is none.",
            "examples": ["customer.id"],
        },
        "concurrency_per_key": {"description": "How many with the same key may run at a time; null: any number."},
        "rate": {"description": "How many may start in any period; null: any number."},
        "rate_per_key": {"description": "How many with the same key may start in any period; null: any number."},
        "priority": {
            "description": "Which member of the params is the priority; null: there is none.",
            "examples": ["urgency"],
        },
        "singleton": {
            "description": "`queue` or `skip`: of a key one is unfinished at a time, and others wait, or are not "
            "created; null: any number.",
            "examples": ["queue"],
        },
        "running": _count("How many have a slot.", 10),
        "queued": _count("How many wait for one.", 3),
        "queues": {"description": "By key, those first whose turn is next; up to 50."},
    },
    "RateShown": {
        "limit": {"description": "How many.", "minimum": 1, "examples": [100]},
        "period_ms": {"description": "In how many milliseconds.", "minimum": 1, "examples": [60_000]},
    },
    "QueueShown": {
        "key": {"description": "The key; empty where there is none.", "examples": ["ann"]},
        "running": _count("How many with it have a slot.", 1),
        "queued": _count("How many wait for one; 10,000 stands for as many or more.", 3),
        "next_queued_on": {
            "description": "Since when the next of them waits; null: none waits, or it is the one that holds its key.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.130Z"],
        },
    },
}
