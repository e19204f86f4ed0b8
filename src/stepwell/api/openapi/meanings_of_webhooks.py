"""What the members mean of webhooks; as in `meanings.py`."""

from collections.abc import Mapping
from typing import Any

Meaning = Mapping[str, Any]

_MOMENT = "2026-11-23T10:00:00.000Z"
_URL = {"description": "Where messages are sent, by POST.", "examples": ["https://receiver.example/hook"]}
_WORKFLOWS = {"description": "The workflows whose instances it is told of; empty: all.", "examples": [["order"]]}
_EVENTS = {"description": "The events that it is told of; empty: all.", "examples": [["errored"]]}


def _moment(description: str, example: str | None = _MOMENT) -> Meaning:
    return {"description": description, "format": "date-time", "examples": [example]}


OF_WEBHOOKS: Mapping[str, Mapping[str, Meaning]] = {
    "WebhookBody": {"url": _URL, "workflows": _WORKFLOWS, "events": _EVENTS},
    "WebhookChangesBody": {
        "url": _URL,
        "workflows": _WORKFLOWS,
        "events": _EVENTS,
        "enabled": {"description": "Whether it is told anything.", "examples": [True]},
    },
    "WebhookShown": {
        "id": {"description": "Its id.", "examples": ["0123456789abcdef0123456789abcdef"]},
        "url": _URL,
        "workflows": _WORKFLOWS,
        "events": _EVENTS,
        "enabled": {"description": "Whether it is told anything.", "examples": [True]},
        "disabled_on": _moment("Since when it is not; null: it is.", None),
        "disabled_as": {
            "description": "Why: `by_hand`, or `gone`, as its receiver has answered 410; null: it is enabled.",
            "examples": [None],
        },
        "created_on": _moment("When it was made."),
        "created_by": {"description": "Who made it: the token's name, or `local`.", "examples": ["local"]},
        "earlier_secret_until": _moment("Until when the secret before signs, too; null: there was none.", None),
        "pending": {
            "description": "How many messages wait for it; 10,000 stands for as many or more. Not in lists.",
            "minimum": 0,
            "examples": [3],
        },
        "secret": {
            "description": "What signs its messages; only in the answer that has made it.",
            "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
        },
    },
    "WebhookDeleted": {
        "id": {"description": "The id that it had.", "examples": ["0123456789abcdef0123456789abcdef"]},
    },
    "DeliveryShown": {
        "id": {
            "description": "The message's id, which its header `webhook-id` has.",
            "examples": ["msg_0123456789abcdef0123456789abcdef_17"],
        },
        "type": {
            "description": "The message's type.",
            "examples": ["cf.workflows.workflow.instance.errored"],
        },
        "workflow_name": {"description": "The workflow; empty: it is a test.", "examples": ["order"]},
        "instance_id": {"description": "The instance; empty: it is a test.", "examples": ["order-1"]},
        "version_id": {
            "description": "The version of the instance then.",
            "examples": ["b5b5c2a1-0000-4000-8000-000000000002"],
        },
        "occurred_on": _moment("When the event was."),
        "outcome": {
            "description": "`pending` until it was `delivered`, or `given_up`.",
            "examples": ["delivered"],
        },
        "ended_on": _moment("When it was delivered or given up; null: it waits."),
        "next_attempt_on": _moment("When it is tried next; null: it is over.", None),
        "attempts": {"description": "How often it was tried, and what came of that; the last 50."},
    },
    "AttemptShown": {
        "started_on": _moment("When it began."),
        "duration_ms": {
            "description": "How long it took; null: it goes on, or its host was lost.",
            "examples": [41],
        },
        "status": {"description": "The status of the receiver's answer; null: there was none.", "examples": [204]},
        "problem": {"description": "Why there was none; null: there was one.", "examples": [None]},
    },
}
