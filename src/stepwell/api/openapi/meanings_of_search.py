"""What the members mean of instances that are searched for, and of labels; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

from stepwell import limits
from stepwell.api.openapi.meanings_of_jobs import OF_JOBS

Meaning = Mapping[str, Any]

LABELS: Meaning = {
    "description": f"Its labels. A name has {limits.LABEL_NAME_RULE}; a value is {limits.LABEL_VALUE_RULE}.",
    "examples": [{"customer": "ann"}],
}

# Beside what any list says of an instance.
OF_A_FOUND_ONE: Mapping[str, Meaning] = {
    "workflow_name": {"description": "The workflow's name.", "examples": ["order"]},
    "duration_ms": {
        "description": "Milliseconds from its start to its end, or until now; null until it has started.",
        "minimum": 0,
        "examples": [12_280],
    },
    "step_count": {"description": "How many entries the log has.", "minimum": 0, "examples": [3]},
    "labels": LABELS,
    "error": {
        "description": "Why it has errored, the first line of the message; else null.",
        "examples": [None],
    },
    "current": {
        "description": "What it does now, as far as its last 50 records tell: what runs, else what will be over first; "
        "null before it has begun, and when it has ended.",
        "examples": [None],
    },
}

OF_SEARCH: Mapping[str, Mapping[str, Meaning]] = {
    # They take what a search takes.
    **OF_JOBS,
    "LabelledInstanceBody": {
        "labels": {
            "description": "Labels by which the instance is found. A name has "
            f"{limits.LABEL_NAME_RULE}; a value is {limits.LABEL_VALUE_RULE}.",
            "maxProperties": limits.LABELS,
            "examples": [{"customer": "ann"}],
        },
    },
    "SearchInfo": {
        "has_more": {"description": "Whether `cursor` leads to another page.", "examples": [False]},
        "is_partial": {
            "description": "Whether the page is short, or empty, because no more was found in the time that a search "
            "has: there may be more, and `cursor` goes on from where it has looked to.",
            "examples": [False],
        },
        "looked_to": {
            "description": "Of a partial page: the creation up to which it has looked.",
            "examples": ["2026-11-23T10:00:00.000Z"],
        },
    },
    "CurrentStep": {
        "step": {"description": "The step's name with its count.", "examples": ["charge-1"]},
        "type": {
            "description": "Of which type it is.",
            "enum": ["step", "rollback", "sleep", "waitForEvent"],
            "examples": ["step"],
        },
        "state": {
            "description": "`running`: an attempt is in flight; `retrying`: the next one is waited for; `waiting`: it "
            "sleeps, or waits for an event.",
            "enum": ["running", "retrying", "waiting"],
            "examples": ["running"],
        },
        "since": {
            "description": "Since when the attempt runs, or the wait goes on.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.130Z"],
        },
        "until": {
            "description": "When the sleep, the wait or the delay of a retry is over at the latest; null while an "
            "attempt runs.",
            "format": "date-time",
            "examples": [None],
        },
        "attempt": {
            "description": "Which attempt runs, or was the last; 0 of a sleep or a wait.",
            "minimum": 0,
            "examples": [1],
        },
        "event_type": {"description": "The type of the event that is waited for, else null.", "examples": [None]},
        "others": {"description": "How many other calls are open.", "minimum": 0, "examples": [0]},
    },
}
