"""What the members mean of jobs; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

from stepwell import limits

Meaning = Mapping[str, Any]

_LABEL = f"^[a-zA-Z0-9_][a-zA-Z0-9_./-]{{0,{limits.LABEL_NAME_LENGTH - 1}}}=[ -~]{{1,{limits.LABEL_VALUE_LENGTH}}}$"
_DURATION = {"pattern": "^[0-9]{1,12}( ?(second|minute|hour|day|week|month|year)s?)?$"}
_MOMENT = {"format": "date-time"}
_WHERE = "Without an offset it is UTC."


def _count(description: str, example: int) -> Meaning:
    return {"description": description, "minimum": 0, "examples": [example]}


def _moment(description: str, example: str | None = "2026-11-23T10:00:00.000Z") -> Meaning:
    return {"description": description, **_MOMENT, "examples": [example]}


OF_JOBS: Mapping[str, Mapping[str, Meaning]] = {
    "JobBody": {
        "action": {"description": "What is done to each instance.", "examples": ["restart"]},
        "workflow_name": {"description": "The workflow; null: all workflows.", "examples": ["order"]},
        "filter": {
            "description": "Which of its instances: those of which all of this is true, as a search takes it. Left "
            "out: all of them."
        },
    },
    "JobFilterBody": {
        "status": {"description": "With any of these statuses.", "examples": [["errored"]]},
        "label": {
            "description": "With all of these labels, each `name=value`.",
            "items": {"type": "string", "pattern": _LABEL},
            "examples": [["customer=ann"]],
        },
        "prefix": {"description": "Whose id begins so."},
        "version": {"description": "Of the version of this id."},
        "trigger": {"description": "That this created, or restarted as a whole."},
        "error": {"description": "That errored with an error of this name."},
        "error_text": {"description": "That errored with this in the error's message; capitals do not matter."},
        "duration_min": {"description": "That took so long, or longer.", **_DURATION},
        "duration_max": {"description": "That took no longer.", **_DURATION},
        "date_start": {"description": f"Created then or later. {_WHERE}", **_MOMENT},
        "date_end": {"description": f"Created then or earlier. {_WHERE}", **_MOMENT},
        "ended_start": {"description": f"That ended then or later. {_WHERE}", **_MOMENT},
        "ended_end": {"description": f"That ended then or earlier. {_WHERE}", **_MOMENT},
    },
    "JobShown": {
        "id": {
            "description": "Its id.",
            "format": "uuid",
            "examples": ["0b9a4d1c-0000-4000-8000-000000000003"],
        },
        "action": {"description": "What is done to each instance.", "examples": ["restart"]},
        "workflow_name": {"description": "The workflow; null: all workflows.", "examples": ["order"]},
        "filter": {
            "description": "Which instances, with the names of a search's parameters.",
            "examples": [{"status": ["errored"]}],
        },
        "status": {
            "description": "`running` until all that match have been looked at, or it was cancelled.",
            "examples": ["running"],
        },
        "created_on": _moment("When it began. What is created later is not touched."),
        "created_by": {"description": "Who began it: the token's name, or `local`.", "examples": ["local"]},
        "ended_on": _moment("When it was done or cancelled; null: it goes on.", None),
        "looked_to": _moment("The creation up to which it has looked, from the newest instance to the oldest."),
        "done": _count("How many instances it has changed.", 25),
        "passed_over": _count("For how many there was nothing to do, as they are so already or have ended.", 1),
        "failed": _count("How many could not be changed.", 0),
        "left": _count(
            "How many it has not looked at yet, whether they match or not; 10,000 stands for as many or more.", 1_200
        ),
        "failures": {
            "description": "Why, of the first 100 of these; empty in lists.",
            "examples": [[]],
        },
    },
    "JobProblem": {
        "workflow_name": {"description": "The workflow.", "examples": ["order"]},
        "instance_id": {"description": "The instance.", "examples": ["order-1"]},
        "message": {"description": "What is wrong."},
    },
}
