"""Operations on instances.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/
"""

from collections.abc import Mapping
from typing import Annotated

from stepwell import models
from stepwell.api.body import MANY
from stepwell.api.control import AnyStatusBody, BatchDeletionBody
from stepwell.api.new_instance import NewInstanceBody
from stepwell.api.openapi.operation import (
    BAD_BODY,
    BAD_EVENT,
    BAD_ID,
    CANNOT_PAUSE,
    CANNOT_TERMINATE,
    FINISHED,
    ID_TAKEN,
    LARGE_BODY,
    MANY_QUEUED,
    MANY_STREAMS,
    NO_INSTANCE,
    NO_STEP,
    NO_UPGRADE,
    NO_WORKFLOW,
    NOT_BEGUN,
    TOO_FAST,
    TOO_SLOW,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.api.step_bytes import MEDIA_TYPE

INSTANCES = "Instances"

_NO_INSTANCE = (NO_WORKFLOW, NO_INSTANCE)
_NEW = {"instance_id": "order-1", "params": {"orderId": 7}}
_MORE = [{"instance_id": f"order-{number}", "params": {"orderId": number}} for number in (8, 9)]

OPERATIONS: Mapping[Key, Operation] = {
    5: Operation(
        id="workflows-instances-list",
        tag=INSTANCES,
        description="Lists the instances of a workflow, newest first unless asked otherwise, a page at a time. "
        "`result_info.cursor` leads to the next page, and instances that are created meanwhile move nothing.",
        answer=Answer(list[models.ListedInstance], ("count", "per_page", "total_count", "cursor", "total_pages")),
        refused=(NO_WORKFLOW, TOO_SLOW),
        sdk="workflows.instances.list",
        cli=("stepwell instances list order", "npx wrangler workflows instances list order"),
    ),
    6: Operation(
        id="workflows-instances-create",
        tag=INSTANCES,
        description="Creates an instance of a workflow, which is due at once. It is stored when the answer comes.",
        answer=Answer(models.CreatedInstance),
        body=Body(NewInstanceBody, "The new instance. No body asks for one with a new id and no params.", _NEW, False),
        refused=(BAD_BODY, BAD_ID, ID_TAKEN, NO_WORKFLOW, LARGE_BODY, MANY_QUEUED, TOO_FAST),
        sdk="workflows.instances.create",
        cli=(
            "stepwell trigger order '{\"orderId\":7}' --id order-1",
            "npx wrangler workflows trigger order '{\"orderId\":7}' --id order-1",
        ),
    ),
    7: Operation(
        id="workflows-instances-bulk",
        tag=INSTANCES,
        description="Creates 1 to {batch_instances} instances of a workflow, all of them or none. Those whose "
        "ids are taken are left as they are, and left out of the answer.",
        answer=Answer(list[models.CreatedInstance], ("count", "per_page", "total_count", "page", "total_pages")),
        body=Body(Annotated[list[NewInstanceBody], MANY], "The new instances.", _MORE),
        refused=(BAD_BODY, BAD_ID, NO_WORKFLOW, LARGE_BODY),
        sdk="workflows.instances.bulk",
        cli=tuple(f"stepwell trigger order '{{\"orderId\":{number}}}' --id order-{number}" for number in (8, 9)),
    ),
    12: Operation(
        id="workflows-instances-get",
        tag=INSTANCES,
        description="Retrieves status and log of an instance: every step with its attempts, every sleep and every wait "
        "for an event.",
        answer=Answer(models.Instance, ("count", "per_page", "total_count", "cursor", "page")),
        refused=_NO_INSTANCE,
        sdk="workflows.instances.get",
        cli=(
            "stepwell instances describe order order-1",
            "npx wrangler workflows instances describe order order-1",
        ),
    ),
    14: Operation(
        id="workflows-instances-step",
        tag=INSTANCES,
        description="Gets how a step or a wait for an event stands, or one attempt of it, with its whole output as a "
        "JSON value. The log has it as text, cut where it is long. What a step returned as a stream comes as bytes, "
        "without an envelope.",
        answer=Answer(models.StepState, media=((MEDIA_TYPE, {}),)),
        refused=(*_NO_INSTANCE, NO_STEP),
        sdk="workflows.instances.step",
        cli=("stepwell instances step order order-1 charge-1",),
    ),
    16: Operation(
        id="workflows-instances-events-create",
        tag=INSTANCES,
        description="Sends an event to an instance. It is stored when the answer comes, and given to the first wait "
        "for its type, now or later.",
        answer=Answer(models.EventReceipt),
        body=Body(None, "The event's payload: any JSON value of up to {payload_size} (a setting).", {"by": "ann"}),
        refused=(BAD_BODY, BAD_EVENT, FINISHED, *_NO_INSTANCE, LARGE_BODY),
        sdk="workflows.instances.events.create",
        cli=(
            'stepwell instances send-event order order-1 --type approved \'{"by":"ann"}\'',
            'npx wrangler workflows instances send-event order order-1 --type approved --payload \'{"by":"ann"}\'',
        ),
    ),
    8: Operation(
        id="workflows-instances-batch-delete",
        tag=INSTANCES,
        description="Deletes 1 to {batch_instances} instances, whatever they are doing. Those that are not "
        "there are named in `errors`, each in its place.",
        answer=Answer(models.BatchDeletion),
        body=Body(BatchDeletionBody, "The ids of the instances.", {"instances": ["order-8", "order-9"]}),
        refused=(BAD_BODY, NO_WORKFLOW, LARGE_BODY),
        cli=("stepwell instances delete order order-8 order-9 --yes",),
    ),
    9: Operation(
        id="workflows-instances-batch-terminate",
        tag=INSTANCES,
        description="Terminates 1 to {batch_instances} instances at once. Those that are not there, or have "
        "ended, are passed over.",
        answer=Answer(models.BatchTermination),
        body=Body(Annotated[list[str], MANY], "The ids of the instances.", ["order-8", "order-9"]),
        refused=(BAD_BODY, NO_WORKFLOW, LARGE_BODY),
        cli=("stepwell instances terminate order order-8 order-9 --yes",),
    ),
    10: Operation(
        id="workflows-instances-terminate-all",
        tag=INSTANCES,
        description="Begins to terminate all instances that a workflow has now, or those that have a status. That goes "
        "on in the background, also after a restart of the server.",
        answer=Answer(models.TerminationStart),
        refused=(NO_WORKFLOW,),
        cli=(
            "stepwell instances terminate-all order --yes",
            "npx wrangler workflows instances terminate-all order",
        ),
    ),
    11: Operation(
        id="workflows-instances-terminate-all-status",
        tag=INSTANCES,
        description="Tells whether the termination of all instances of a workflow is going on.",
        answer=Answer(models.TerminationState),
        refused=(NO_WORKFLOW,),
        cli=("stepwell instances terminate-all order --wait --yes",),
    ),
    13: Operation(
        id="workflows-instances-delete",
        tag=INSTANCES,
        description="Deletes an instance, whatever it is doing: it stops at once, nothing of it is found any more, and "
        "its id is free.",
        answer=Answer(models.DeletedInstance),
        refused=_NO_INSTANCE,
        cli=(
            "stepwell instances delete order order-1 --yes",
            "npx wrangler workflows instances delete order order-1",
        ),
    ),
    17: Operation(
        id="workflows-instances-subscribe",
        tag=INSTANCES,
        description="A WebSocket that tells what happens to an instance: first all that has happened, then each new "
        "event, one JSON object in each text frame, as below. It is closed with 1000 behind the end of the instance, "
        "also if the filter hides that, and when the instance is deleted; with 1012 when the server stops, "
        "and with 1008 within seconds when the token ends. To go on "
        "later, give the last `eventId` as `cursor`. A browser, which cannot send headers, gives a token in the query.",
        answer=Answer(media=(("application/json", models.InstanceEvent),), status=101),
        refused=(*_NO_INSTANCE, NO_UPGRADE, MANY_STREAMS),
    ),
    18: Operation(
        id="workflows-instances-subscribe-token",
        tag=INSTANCES,
        description="Makes a token that opens the WebSocket of this instance, and nothing else, within a minute.",
        answer=Answer(models.StreamToken),
        refused=_NO_INSTANCE,
    ),
    15: Operation(
        id="workflows-instances-status-edit",
        tag=INSTANCES,
        description="Pauses, resumes, terminates or restarts an instance. A pause lets attempts in flight end, stores "
        "their results, and stops the clock of everything that waits. A termination is immediate. A restart forgets "
        "the results of the step that it begins at, and of all that began after it; it runs on the newest version.",
        answer=Answer(models.ChangedStatus),
        body=Body(AnyStatusBody, "What is to become of it.", {"status": "restart"}),
        refused=(BAD_BODY, CANNOT_PAUSE, CANNOT_TERMINATE, NOT_BEGUN, *_NO_INSTANCE, LARGE_BODY),
        sdk="workflows.instances.status.edit",
        cli=(
            "stepwell instances restart order order-1 --yes",
            "npx wrangler workflows instances restart order order-1",
        ),
    ),
}
