"""Operations on webhooks, which are Stepwell's own."""

from collections.abc import Mapping

from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import (
    ACCOUNT,
    BAD_BODY,
    LARGE_BODY,
    NO_DELIVERY,
    NO_WEBHOOK,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.webhooks import DeliveryShown, WebhookBody, WebhookChanges, WebhookDeleted, WebhookShown

WEBHOOKS = f"{ACCOUNT}/stepwell/webhooks"
_WEBHOOK = f"{WEBHOOKS}/{{webhook_id}}"
_PERMISSION = "The token needs the permission `webhooks`."
_EXAMPLE = "0123456789abcdef0123456789abcdef"

OPERATIONS: Mapping[Key, Operation] = {
    f"GET {WEBHOOKS}": Operation(
        id="stepwell-webhooks-list",
        tag=STEPWELL,
        description=f"Lists the webhooks of the account, oldest first. {_PERMISSION}",
        answer=Answer(list[WebhookShown]),
        cli=("stepwell webhooks list",),
    ),
    f"POST {WEBHOOKS}": Operation(
        id="stepwell-webhooks-create",
        tag=STEPWELL,
        description="Makes a webhook: from now on its receiver is sent a message for each event that it wants, at "
        "least once, signed as Standard Webhooks has it. The secret for that is in this answer alone, and not in that "
        "to the same request sent again under its key: whom the first one has not reached asks for a new secret. Where "
        f"receivers may be is said by the setting `webhook_networks`. {_PERMISSION}",
        answer=Answer(WebhookShown),
        body=Body(
            WebhookBody,
            "Where to, and of what.",
            {"url": "https://receiver.example/hook", "workflows": ["order"], "events": ["errored"]},
        ),
        refused=(BAD_BODY, LARGE_BODY),
        cli=("stepwell webhooks create https://receiver.example/hook --workflow order --event errored",),
    ),
    f"GET {_WEBHOOK}": Operation(
        id="stepwell-webhooks-get",
        tag=STEPWELL,
        description=f"Gets a webhook, and how many messages wait for it. {_PERMISSION}",
        answer=Answer(WebhookShown),
        refused=(NO_WEBHOOK,),
        cli=(f"stepwell webhooks describe {_EXAMPLE}",),
    ),
    f"PATCH {_WEBHOOK}": Operation(
        id="stepwell-webhooks-change",
        tag=STEPWELL,
        description="Changes where a webhook leads, what it wants, or whether it is told anything. While it is "
        f"disabled, events are not kept for it; what waited before waits on. {_PERMISSION}",
        answer=Answer(WebhookShown),
        body=Body(WebhookChanges, "What is to change; what is left out stays.", {"events": ["errored", "completed"]}),
        refused=(BAD_BODY, NO_WEBHOOK, LARGE_BODY),
        cli=(f"stepwell webhooks change {_EXAMPLE} --event errored --event completed",),
    ),
    f"DELETE {_WEBHOOK}": Operation(
        id="stepwell-webhooks-delete",
        tag=STEPWELL,
        description=f"Deletes a webhook, what waits for it, and its log. {_PERMISSION}",
        answer=Answer(WebhookDeleted),
        refused=(NO_WEBHOOK,),
        cli=(f"stepwell webhooks delete {_EXAMPLE} --yes",),
    ),
    f"POST {_WEBHOOK}/secret": Operation(
        id="stepwell-webhooks-rotate",
        tag=STEPWELL,
        description="Gives a webhook a new secret, which is in this answer alone. For a day messages are signed with "
        f"the one before, too. {_PERMISSION}",
        answer=Answer(WebhookShown),
        refused=(NO_WEBHOOK,),
        cli=(f"stepwell webhooks rotate {_EXAMPLE}",),
    ),
    f"POST {_WEBHOOK}/test": Operation(
        id="stepwell-webhooks-test",
        tag=STEPWELL,
        description="Sends a webhook a message of the type `stepwell.webhook.test`, which is of no instance, whatever "
        f"events it wants. {_PERMISSION}",
        answer=Answer(DeliveryShown),
        refused=(NO_WEBHOOK, BAD_BODY),
        cli=(f"stepwell webhooks test {_EXAMPLE}",),
    ),
    f"GET {_WEBHOOK}/deliveries": Operation(
        id="stepwell-webhooks-deliveries",
        tag=STEPWELL,
        description="Lists what a webhook was sent, or is to be, newest first, a page at a time, each with its "
        f"attempts. How long that is kept is said by the setting `delivery_retention`. {_PERMISSION}",
        answer=Answer(list[DeliveryShown], ("count", "per_page", "cursor")),
        refused=(NO_WEBHOOK,),
        cli=(f"stepwell webhooks deliveries {_EXAMPLE}",),
    ),
    f"POST {_WEBHOOK}/deliveries/{{delivery_id}}/redeliver": Operation(
        id="stepwell-webhooks-redeliver",
        tag=STEPWELL,
        description=f"Sends a message once more, under its id, at once and then again until it is taken. {_PERMISSION}",
        answer=Answer(DeliveryShown),
        refused=(NO_WEBHOOK, NO_DELIVERY),
        cli=(f"stepwell webhooks redeliver {_EXAMPLE} msg_{_EXAMPLE}_17",),
    ),
}
