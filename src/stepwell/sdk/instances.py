"""Instances, as Cloudflare's SDKs have them: first the workflow's name, then the instance's id.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypedDict

from stepwell.sdk.answers import result_of
from stepwell.sdk.creation import body_of, create
from stepwell.sdk.effects import Connect, Flow, Program
from stepwell.sdk.messages import BYTES, Request, get, post, send_json, texts_of
from stepwell.sdk.models import (
    BatchDeletion,
    BatchTermination,
    ChangedStatus,
    CreatedInstance,
    DeletedInstance,
    EventReceipt,
    Instance,
    InstanceEvent,
    ListedInstance,
    NewInstance,
    RetentionPeriods,
    StepState,
    TerminationState,
)
from stepwell.sdk.paging import pages
from stepwell.sdk.retries import ask
from stepwell.sdk.streams import follow, step_bytes
from stepwell.sdk.waiting import wait_for_end
from stepwell.sdk.ways import Call, Resource, Series, Way

Order = Literal["asc", "desc"]
StepType = Literal["step", "waitForEvent"]
# Below, `list` is a method.
CreatedInstances = list[CreatedInstance]
# A server shows that a stream lives every 15 seconds.
_SILENCE_S = 45.0


class StepPlace(TypedDict, total=False):
    """A step to restart from: its name without the count, which one of that name (from 1), and its kind."""

    name: str
    count: int
    type: Literal["do", "sleep", "waitForEvent"]


class Instances(Resource[Way]):
    """The instances of workflows."""

    @Series
    def list(  # noqa: PLR0913 - the parameters of Cloudflare's route
        self,
        workflow_name: str,
        *,
        status: str | None = None,
        date_start: datetime | str | None = None,
        date_end: datetime | str | None = None,
        direction: Order | None = None,
        per_page: int | None = None,
        cursor: str | None = None,
    ) -> Flow[ListedInstance]:
        """Yield the instances of a workflow, newest first unless `direction` is "asc".

        `date_start` and `date_end` bound the moment of creation, both included; `per_page` is how many are asked for at
        once, 1 to 100.
        """
        query = {
            "status": status,
            "date_start": date_start,
            "date_end": date_end,
            "direction": direction,
            "per_page": per_page,
            "cursor": cursor,
        }
        return pages(self._path("workflows", workflow_name, "instances"), query, ListedInstance, self._site.retries)

    @Call
    def get(
        self, workflow_name: str, instance_id: str, *, order: Order | None = None, simple: bool | None = None
    ) -> Program[Instance]:
        """Return logs and status of an instance. Raises NotFound.

        `order` "desc" gives the newest step first; `simple` leaves the steps out, and `step_count` counts them.
        """
        query = {"order": order, "simple": simple}
        return self._ask(get(self._instance(workflow_name, instance_id), query), Instance)

    @Call
    def create(
        self,
        workflow_name: str,
        *,
        params: Any = None,
        instance_id: str | None = None,
        instance_retention: RetentionPeriods | None = None,
        location_hint: str | None = None,
    ) -> Program[CreatedInstance]:
        """Create an instance, once, also where an answer is lost on the way.

        `params` are any JSON value, `{}` if None; a text is sent as it is: JSON, or plain text. Without `instance_id`
        the client makes one, a UUID. Raises AlreadyExists if the id is taken, NotFound without such a workflow.
        """
        new: NewInstance = {"params": params}
        if instance_id is not None:
            new["instance_id"] = instance_id
        if instance_retention is not None:
            new["instance_retention"] = instance_retention
        if location_hint is not None:
            new["location_hint"] = location_hint
        return create(self._path("workflows", workflow_name, "instances"), new, self._site)

    @Call
    def create_batch(self, workflow_name: str, instances: Iterable[NewInstance]) -> Program[CreatedInstances]:
        """Create up to 100 instances; those whose ids are taken are left out of what is returned.

        All are checked before the first is created. Never sent again on its own.
        """
        path = self._path("workflows", workflow_name, "instances", "batch")
        bodies = [body_of(new, self._site.new_id) for new in instances]
        return self._ask(post(path, bodies), CreatedInstances)

    @Call
    def send_event(
        self, workflow_name: str, instance_id: str, event_type: str, payload: Any = None
    ) -> Program[EventReceipt]:
        """Send an event, with any JSON value as its payload; it waits until the workflow asks for its type.

        A Stepwell server takes it once, also where an answer is lost on the way; to Cloudflare it is sent once only.
        Raises NotFound, or Conflict if the instance has ended.
        """
        path = self._path("workflows", workflow_name, "instances", instance_id, "events", event_type)
        return self._ask(post(path, payload, key=self._site.key()), EventReceipt)

    @Call
    def pause(self, workflow_name: str, instance_id: str) -> Program[ChangedStatus]:
        """Pause an instance: what is in flight comes to its end, nothing more begins. Raises NotFound or Conflict."""
        return self._change(workflow_name, instance_id, {"status": "pause"})

    @Call
    def resume(self, workflow_name: str, instance_id: str) -> Program[ChangedStatus]:
        """Go on with an instance that is paused. Raises NotFound or Conflict."""
        return self._change(workflow_name, instance_id, {"status": "resume"})

    @Call
    def terminate(
        self, workflow_name: str, instance_id: str, *, rollback: bool | None = None
    ) -> Program[ChangedStatus]:
        """End an instance; with `rollback` what its steps did is undone first. Raises NotFound or Conflict."""
        asked = {"status": "terminate"} if rollback is None else {"status": "terminate", "rollback": rollback}
        return self._change(workflow_name, instance_id, asked)

    @Call
    def restart(
        self, workflow_name: str, instance_id: str, *, from_step: StepPlace | str | None = None
    ) -> Program[ChangedStatus]:
        """Begin an instance again, or from a step on, which a name tells, or `{"name": "charge", "count": 2}`.

        Raises NotFound, or Conflict if that step has not begun.
        """
        place = {"name": from_step} if isinstance(from_step, str) else from_step
        asked = {"status": "restart"} if place is None else {"status": "restart", "from": place}
        return self._change(workflow_name, instance_id, asked)

    @Call
    def delete(self, workflow_name: str, instance_id: str) -> Program[DeletedInstance]:
        """Delete an instance, whatever its status.

        Raises NotFound; where an answer was lost on the way, it may have been there until then.
        """
        request = Request("DELETE", self._instance(workflow_name, instance_id), is_repeatable=True)
        return self._ask(request, DeletedInstance)

    @Call
    def delete_batch(self, workflow_name: str, instance_ids: Iterable[str]) -> Program[BatchDeletion]:
        """Delete up to 100 instances; what becomes of each is told."""
        path = self._path("workflows", workflow_name, "instances", "batch", "delete")
        return self._ask(post(path, {"instances": texts_of("instance_ids", instance_ids)}), BatchDeletion)

    @Call
    def terminate_batch(self, workflow_name: str, instance_ids: Iterable[str]) -> Program[BatchTermination]:
        """End up to 100 instances; those that are not there or have ended are not counted."""
        path = self._path("workflows", workflow_name, "instances", "batch", "terminate")
        return self._ask(post(path, texts_of("instance_ids", instance_ids)), BatchTermination)

    @Call
    def terminate_all(self, workflow_name: str, *, status: str | None = None) -> Program[TerminationState]:
        """Begin to end all instances of a workflow, or those of a status; the server goes on with it."""
        query = () if status is None else (("status", status),)
        path = self._path("workflows", workflow_name, "instances", "terminate")
        return self._ask(Request("PUT", path, query, is_repeatable=True), TerminationState)

    @Call
    def termination(self, workflow_name: str) -> Program[TerminationState]:
        """Return whether all instances of a workflow are being ended."""
        return self._ask(get(self._path("workflows", workflow_name, "instances", "terminate")), TerminationState)

    @Call
    def step(
        self, workflow_name: str, instance_id: str, name: str, type: StepType = "step", *, attempt: int | None = None
    ) -> Program[StepState]:
        """Return how a step stands, with its whole output; `name` has its count, such as `charge-1`. Raises NotFound.

        The bytes of a stream are read into memory; `step_output` gives them bit by bit.
        """
        return self._step(get(*self._step_of(workflow_name, instance_id, name, type, attempt)))

    @Series
    def step_output(
        self, workflow_name: str, instance_id: str, name: str, type: StepType = "step", *, attempt: int | None = None
    ) -> Flow[bytes]:
        """Yield the output of a step in parts: the bytes of a stream as they come, of anything else its JSON.

        Raises NotFound, Conflict while there is no output, and Unreachable where the connection is lost on the way.
        """
        request = get(*self._step_of(workflow_name, instance_id, name, type, attempt))
        return step_bytes(request, self._site.retries)

    @Series
    def subscribe(
        self, workflow_name: str, instance_id: str, *, cursor: int | None = None, types: Iterable[str] = ()
    ) -> Flow[InstanceEvent]:
        """Yield what has happened to an instance since its creation, and then what happens, until it has ended.

        `cursor` is the `event_id` behind which to begin, `types` are those that are wanted, all if none is named. A
        lost connection is made again, and each event comes once. Against Cloudflare it goes by a WebSocket.
        """
        query = {"filter": texts_of("types", types)}
        behind = None if cursor is None else str(cursor)
        if self._site.is_cloudflare:
            path = f"{self._instance(workflow_name, instance_id)}/subscribe"
            return follow(partial(_socket_behind, path, query, behind), self._site.retries, Connect)
        path = self._path("stepwell", "workflows", workflow_name, "instances", instance_id, "events")
        return follow(partial(_events_behind, path, query, behind), self._site.retries)

    @Call
    def wait(
        self, workflow_name: str, instance_id: str, *, timeout: float | None = None, simple: bool | None = None
    ) -> Program[Instance]:
        """Return logs and status of an instance once it has ended; `simple` leaves the steps out.

        Raises NotEnded when `timeout` seconds are over, NotFound if it is deleted meanwhile. What is paused has not
        ended.
        """
        return self._wait(self._instance(workflow_name, instance_id), timeout, simple)

    def _instance(self, workflow_name: str, instance_id: str) -> str:
        return self._path("workflows", workflow_name, "instances", instance_id)

    def _change(self, workflow_name: str, instance_id: str, asked: Mapping[str, Any]) -> Program[ChangedStatus]:
        path = self._path("workflows", workflow_name, "instances", instance_id, "status")
        return self._ask(send_json("PATCH", path, asked), ChangedStatus)

    def _step_of(
        self, workflow_name: str, instance_id: str, name: str, type: StepType, attempt: int | None
    ) -> tuple[str, Mapping[str, Any]]:
        path = self._path("workflows", workflow_name, "instances", instance_id, "step")
        return path, {"name": name, "type": type, "attempt": attempt}

    def _step(self, request: Request) -> Program[StepState]:
        answer = yield from ask(request, self._site.retries)
        if answer.is_good and answer.media_type == BYTES:
            return StepState(status="complete", output=answer.body)
        return result_of(answer, StepState)

    def _wait(self, path: str, timeout_s: float | None, simple: bool | None) -> Program[Instance]:
        ended = yield from wait_for_end(path, timeout_s, self._site.retries)
        if simple or not ended.step_count:
            return ended
        return (yield from self._ask(get(path), Instance))


def _events_behind(path: str, query: Mapping[str, Any], first: str | None, cursor: str | None) -> Request:
    asked = {"cursor": cursor or first, **query}
    return get(path, asked, headers={"accept": "text/event-stream"}, wait_s=_SILENCE_S)


def _socket_behind(path: str, query: Mapping[str, Any], first: str | None, cursor: str | None) -> Request:
    return get(path, {"cursor": cursor or first, **query})
