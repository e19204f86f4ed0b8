"""What the members of schedules mean; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]


def _moment(description: str, example: str | None = "2026-11-23T10:30:00.000Z") -> Meaning:
    return {"description": description, "format": "date-time", "examples": [example]}


_TIME_ZONE = {"description": "Whose clock it goes by.", "examples": ["Europe/Berlin"]}
_OVERLAP = {
    "description": "What becomes of a firing while an instance of an earlier one has not ended: `allow` creates "
    "another, `skip` leaves it out, `cancel` terminates the earlier one first.",
    "examples": ["skip"],
}

OF_SCHEDULES: Mapping[str, Mapping[str, Meaning]] = {
    "ScheduleShown": {
        "workflow_name": {"description": "The workflow that instances are created of.", "examples": ["order"]},
        "cron": {"description": "The cron expression.", "examples": ["0 9 * * MON-FRI"]},
        "description": {"description": "The same in words.", "examples": ["At 09:00 on Monday through Friday"]},
        "time_zone": _TIME_ZONE,
        "overlap": _OVERLAP,
        "paused_on": _moment("Since when it is paused; null: it is not.", None),
        "next": {
            "description": "When it fires the next five times; empty: it is paused, or never does.",
            "items": {"type": "string", "format": "date-time"},
            "examples": [["2026-11-23T10:30:00.000Z"]],
        },
        "last": {"description": "Its newest instance; null: there is none, or it was deleted."},
        "skipped": {"description": "How many firings were skipped.", "minimum": 0, "examples": [0]},
        "skipped_on": _moment("The moment that the last of these was for; null: none was skipped.", None),
    },
    "LastInstance": {
        "id": {"description": "The instance's id.", "examples": ["0 9 * * MON-FRI-1795424400000"]},
        "status": {"named": "Status", "examples": ["complete"]},
        "scheduled_on": _moment("The moment that it was for.", "2026-11-23T10:00:00.000Z"),
    },
    "ScheduleChangesBody": {
        "paused": {"description": "true: it does not fire until it is resumed; false: it does.", "examples": [False]},
        "overlap": _OVERLAP,
        "time_zone": _TIME_ZONE,
    },
}
