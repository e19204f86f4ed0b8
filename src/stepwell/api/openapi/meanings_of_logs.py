"""What the members mean of what an instance says, as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

OF_LOGS: Mapping[str, Mapping[str, Meaning]] = {
    "Log": {
        "status": {"named": "Status"},
        "progress": {"description": "How far the instance last said it is; null until it said something."},
        "lines": {"description": "The lines, oldest first."},
        "next": {"description": "What to give as `after` for the lines behind these.", "minimum": 0, "examples": [1]},
    },
    "Line": {
        "n": {"description": "The line's number within the instance.", "minimum": 0, "examples": [1]},
        "at": {
            "description": "When it was printed or logged.",
            "format": "date-time",
            "examples": ["2026-11-23T10:00:00.000Z"],
        },
        "step": {
            "description": "The step whose attempt said it; null for what `run` itself says.",
            "examples": ["charge-1"],
        },
        "attempt": {"description": "Which attempt of that step; null for `run`.", "examples": [1]},
        "level": {"description": "A log level, `stdout` or `stderr`.", "examples": ["info"]},
        "text": {"description": "What was said.", "examples": ["charging order 7"]},
    },
}
