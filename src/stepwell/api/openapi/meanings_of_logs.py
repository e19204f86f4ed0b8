"""What the members mean of what an instance and its attempts say, as in `meanings.py`."""

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
    "InstanceAttributes": {
        "totals": {
            "description": "The sums of what are numbers, by name; none of what a model was asked for.",
            "examples": [{"gen_ai.usage.input_tokens": 812}],
        },
        "attempts": {"description": "The attempts that have said something, in the order of the log."},
        "is_whole": {"description": "False where there are more attempts than are told.", "examples": [True]},
    },
    "DescribedAttempt": {
        "step": {"description": "The step whose attempt it is.", "examples": ["think-1"]},
        "type": {"description": "`step`, or `rollback` of one.", "examples": ["step"]},
        "attempt": {"description": "Which attempt of that step.", "minimum": 1, "examples": [1]},
        "attributes": {
            "description": "What it has said.",
            "examples": [{"gen_ai.response.model": "m", "gen_ai.usage.input_tokens": 812}],
        },
    },
}
