"""What the members mean of why an instance does not go on, of decisions by hand, of histories and of children."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

_STEP: Meaning = {"description": "The step's name with its count.", "examples": ["charge-1"]}


def _moment(description: str, example: str = "2026-11-23T10:00:00.130Z") -> Meaning:
    return {"description": description, "format": "date-time", "examples": [example]}


_SINCE = _moment("Since when.")
_TIMED_OUT = _moment("When it times out.", "2026-11-24T10:00:00.000Z")

OF_WHY: Mapping[str, Mapping[str, Meaning]] = {
    "InstanceWhy": {
        "status": {"named": "Status", "examples": ["waiting"]},
        "reasons": {"description": "Why it does not go on; empty once it has ended."},
        "end": {"description": "How it ended; null until then.", "examples": [None]},
    },
    "InstanceEnd": {
        "at": _moment("When it ended.", "2026-11-23T10:00:12.400Z"),
        "error": {"description": "The error that ended it, else null.", "examples": [None]},
    },
    "EventReason": {
        "step": {"description": "The wait's name with its count.", "examples": ["approval-1"]},
        "event_type": {"description": "The type of the event.", "examples": ["approved"]},
        "until": _TIMED_OUT,
        "unmet": {"description": "Types of other events that have come, and that no wait has got.", "examples": [[]]},
    },
    "SleepReason": {
        "step": {"description": "The sleep's name with its count.", "examples": ["cool down-1"]},
        "until": _moment("When it ends.", "2026-11-23T10:00:10.000Z"),
    },
    "RetryReason": {
        "step": _STEP,
        "failed_attempts": {"description": "How many have failed.", "minimum": 1, "examples": [2]},
        "error": {"description": "The error of its last attempt."},
        "until": _moment("When the next one begins.", "2026-11-23T10:00:10.000Z"),
    },
    "AttemptReason": {
        "step": _STEP,
        "attempt": {"description": "Which attempt, as the log counts them.", "minimum": 1, "examples": [1]},
        "since": _SINCE,
        "until": _moment("When it times out.", "2026-11-23T10:10:00.130Z"),
        "worker": {"description": "The worker that runs it.", "examples": ["worker 1"]},
    },
    "BlockedReason": {
        "worker": {"description": "The worker.", "examples": ["worker 1"]},
        "since": _moment("When it last answered."),
        "stack": {
            "description": "Where it hangs, as of a few seconds ago: lines of the author's code as in a traceback, "
            "outermost first; empty where that is not known.",
            "examples": [['File "flows.py", line 16, in charge', "  time.sleep(60)"]],
        },
    },
    "CodeReason": {"since": _moment("When it last did anything that is on record.")},
    "QueuedReason": {
        "since": _moment("Since when it is due."),
        "before": {
            "description": "How many instances are due before it; 1,000 stands for as many or more.",
            "minimum": 0,
            "maximum": 1_000,
            "examples": [3],
        },
    },
    "SharedSlotReason": {
        "step": {"description": "The step.", "examples": ["ask the model-1"]},
        "limit": {"description": "The name of the limit.", "examples": ["openai"]},
        "since": {"description": "Since when it waits."},
        "until": {"description": "When a rate allows it to begin; null: that is not known yet, or not it."},
        "before": {"description": "How many wait before it; 1,000 stands for as many or more."},
        "held": {"description": "How many slots are taken."},
        "concurrency": {"description": "How many there are; null: any number, or nobody has said."},
        "is_set": {"description": "Whether anybody has said what the limit allows; else it waits for that."},
    },
    "SlotReason": {
        "since": _moment("Since when it waits."),
        "until": _moment("When its rate allows the next start; null: it is not the rate.", "2026-11-23T10:01:00.000Z"),
        "before": {
            "description": "How many of its key are before it; 1,000 stands for as many or more.",
            "minimum": 0,
            "maximum": 1_000,
            "examples": [3],
        },
        "held": {"description": "How many instances of the workflow run.", "minimum": 0, "examples": [10]},
        "limit": {"description": "How many may run; null: any number.", "examples": [10]},
        "account_limit": {"description": "How many of the account may run; null: any number.", "examples": [None]},
        "key": {"description": "Its key, as the workflow's flow names one; null: it has none.", "examples": ["ann"]},
    },
    "NoWorkerReason": {
        "version": {"description": "The version of the instance.", "examples": ["b5b5c2a1-0000-4000-8000-000000000002"]}
    },
    "NotLoadedReason": {
        "script_name": {"description": "The script.", "examples": ["shop"]},
        "class_name": {"description": "The class.", "examples": ["Order"]},
        "workers": {"description": "The workers that are alive.", "examples": [["worker 1"]]},
    },
    "TurnsLostReason": {
        "count": {"description": "How often in a row, without an outcome of any step.", "minimum": 1, "examples": [2]},
    },
    "RestingReason": {"until": _moment("When it is tried again.", "2026-11-23T10:01:00.130Z")},
    "PausedReason": {"since": _moment("When that was asked for.")},
    "PausingReason": {
        "since": _moment("When that was asked for."),
        "in_flight": {"description": "The steps with an attempt in flight.", "examples": [["charge-1"]]},
    },
    "RollbackReason": {
        "since": _SINCE,
        "error": {"description": "The error that it is rolled back for."},
        "step": {"description": "The step whose rollback runs or waits; null: none.", "examples": ["charge-1"]},
    },
}

_OF_ACTION: Mapping[str, Meaning] = {
    "step": _STEP,
    "type": {"description": "What kind of step it is, as logs have it.", "examples": ["step"]},
}
_OF_RESULT: Mapping[str, Meaning] = {
    "step": {"description": "The name of the step or wait with its count.", "examples": ["approval-1"]},
    "type": {"description": "What kind of step it is, as logs have it.", "examples": ["waitForEvent"]},
}

OF_FORCING: Mapping[str, Mapping[str, Meaning]] = {
    "RetryBody": _OF_ACTION,
    "SkipBody": {"step": {"description": "The sleep's name with its count.", "examples": ["cool down-1"]}},
    "CompleteBody": {
        **_OF_RESULT,
        "value": {"description": "Any JSON value: what the step returns, or the payload.", "examples": [{"by": "ann"}]},
    },
    "FailBody": {**_OF_RESULT, "error": {"description": "What it fails with."}},
    "ForcedErrorBody": {
        "name": {"description": "The error's class.", "examples": ["CardDeclined"]},
        "message": {"description": "What it says.", "examples": ["insufficient funds"]},
    },
    "ForcedStep": {
        "step": {"description": "The step's name with its count.", "examples": ["approval-1"]},
        "type": {"description": "What it is.", "examples": ["waitForEvent"]},
        "action": {"description": "What was decided.", "examples": ["complete"]},
        "by": {"description": "The name of the token, its id if it has none, or `local`.", "examples": ["local"]},
        "timestamp": _moment("When it was decided."),
    },
}

OF_HISTORY: Mapping[str, Mapping[str, Meaning]] = {
    "History": {
        "records": {"description": "The records, oldest first."},
        "next": {"description": "What to give as `after` for the records behind these.", "examples": [12]},
        "is_whole": {"description": "Whether there is nothing behind these yet.", "examples": [True]},
    },
    "RecordShown": {
        "seq": {"description": "The record's number within the instance.", "examples": [7]},
        "at": _moment("When it was written."),
        "kind": {"description": "What it is.", "examples": ["wait_ended"]},
        "step": {"description": "The step, sleep or wait that it is about, if any.", "examples": ["approval-1"]},
        "step_type": {"description": "What that is, as logs have it.", "examples": ["waitForEvent"]},
        "attempt": {"description": "Which attempt of the step.", "examples": [1]},
        "event_type": {"description": "The type of the event that came, or is waited for.", "examples": ["approved"]},
        "event_seq": {"description": "The number of the record whose event a wait got.", "examples": [5]},
        "until": _moment("When a sleep ends, a wait times out, or a step is tried again."),
        "lost": {
            "description": "Whether the worker of the turn before had died; null for what begins no turn.",
            "examples": [True],
        },
        "action": {"description": "What somebody decided by hand.", "examples": ["retry"]},
        "patch": {"description": "The name by which the code goes a newer way.", "examples": [None]},
        "version": {"description": "The version that the instance was moved to.", "examples": [None]},
        "by": {"description": "Who did so, or what began it.", "examples": ["api"]},
        "error": {"description": "The error that it tells of.", "examples": [None]},
    },
}

_RELATIVE: Mapping[str, Meaning] = {
    "workflow": {"description": "Its workflow.", "examples": ["shipping"]},
    "id": {"description": "Its id.", "examples": ["order-1-5e4d3c2b1a0f9e8d7c6b5a4938271605"]},
    "status": {"named": "Status", "examples": ["waiting"]},
}
OF_CHILDREN: Mapping[str, Mapping[str, Meaning]] = {
    "Relative": _RELATIVE,
    "TreeMember": {
        **_RELATIVE,
        "depth": {"description": "0 is the instance that was asked for, 1 those that it awaits.", "examples": [1]},
    },
    "InstanceTree": {
        "instances": {"description": "Each stands right behind the one that awaits it, or what is below its siblings."},
        "is_whole": {"description": "False where there are more than are told.", "examples": [True]},
    },
}
