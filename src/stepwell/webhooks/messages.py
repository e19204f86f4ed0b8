"""What a receiver is sent: the message that Cloudflare puts into a queue. It has no params, outputs or errors.

It is made of the delivery alone, so each attempt sends the same bytes under the same id.

Source: developers.cloudflare.com/workflows/reference/event-subscriptions
"""

import re
from collections.abc import Mapping

import msgspec

from stepwell.core.steplog import iso
from stepwell.store.webhook_operations import TEST, Due

_TYPE = "cf.workflows.workflow.instance."
_TEST_TYPE = "stepwell.webhook.test"
# As many digits as the number of any row has, and fewer than are too many for a database.
_ID = re.compile(r"msg_[0-9a-f]+_([1-9][0-9]{0,17})", re.ASCII)


def message_id(webhook: str, row: int) -> str:
    """Return the id of a delivery: by it a receiver knows one that it has had before."""
    return f"msg_{webhook}_{row}"


def row_of(id: str, webhook: str) -> int | None:
    """Return which delivery of a webhook has an id; None: none can have it."""
    found = _ID.fullmatch(id)
    return int(found[1]) if found is not None and id == message_id(webhook, int(found[1])) else None


def type_of(event: str) -> str:
    """Return the type of an event's message."""
    return _TEST_TYPE if event == TEST else f"{_TYPE}{event}"


def body_of(due: Due) -> bytes:
    """Return the message of a delivery, as it is sent."""
    source: Mapping[str, str] = {"type": "workflows.workflow", "workflowName": due.workflow}
    payload: Mapping[str, str] = {"versionId": due.version, "instanceId": due.instance}
    if due.event == TEST:
        source, payload = {"type": "stepwell.webhook"}, {}
    return msgspec.json.encode(
        {
            "type": type_of(due.event),
            "source": source,
            "payload": payload,
            "metadata": {
                "accountId": due.to.account,
                "eventSubscriptionId": due.to.id,
                "eventSchemaVersion": 1,
                "eventTimestamp": iso(due.at),
            },
        }
    )
