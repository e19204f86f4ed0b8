"""`self.env`: the workflows that a workflow can start and speak to, and its variables.

Method and member names are Cloudflare's, in camelCase as in JavaScript and in snake_case.

Source: developers.cloudflare.com/workflows/build/workers-api/#workflow
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import msgspec

from stepwell import answers, durations, values
from stepwell.binding_options import (
    TRIGGER,
    check_id,
    from_step,
    known_options,
    new_instance,
    wanted_events,
    wanted_instances,
)
from stepwell.children import Children
from stepwell.core.failures import describe
from stepwell.core.instance import Status
from stepwell.core.records import Action
from stepwell.core.steplog import InstanceLog, iso
from stepwell.engine import Engine, NewInstance
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceFailed,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    WorkflowNotFound,
)
from stepwell.forcing import Decision, StepType
from stepwell.store.child_operations import ChildLink
from stepwell.store.label_operations import ReadLabels
from stepwell.store.operations import GetInstance
from stepwell.subscriptions import Subscription
from stepwell.traces import current_headers
from stepwell.waits import wait_for_end

# The options of each method.
_TERMINATE = ("rollback",)
_RESTART = ("from", "from_")
# The types of step about which each can be decided.
_DECIDED = {
    Action.RETRY: ("step", "rollback"),
    Action.SKIP: ("sleep",),
    Action.COMPLETE: ("step", "waitForEvent", "rollback"),
    Action.FAIL: ("step", "waitForEvent", "rollback"),
}
_DUPLICATE = 10415
_LINES = 1_000
_ORDERS = ("asc", "desc")


class WorkflowBinding:
    """A workflow, seen from code of the same account."""

    def __init__(self, engine: Engine, account: str, workflow: str) -> None:
        self._engine = engine
        self._account = account
        self._workflow = workflow

    async def create(self, options: Mapping[str, Any] | None = None, **more: Any) -> "WorkflowInstance":
        """Create an instance: `create({"id": ..., "params": ...})` or `create(id=..., params=...)`.

        Params are plain JSON, or what has a natural form in it. `labels` is a dict of texts, Stepwell's own. Raises
        InstanceAlreadyExists, InvalidInput or WorkflowNotFound.
        """
        new = new_instance({**(options or {}), **more})
        row = await self._engine.create(self._account, self._workflow, new)
        return self._handle(row.id)

    async def get(self, id: str) -> "WorkflowInstance":
        """Return an instance. Raises InstanceNotFound or WorkflowNotFound."""
        await self._engine.get(self._account, self._workflow, id, with_steps=False)
        return self._handle(id)

    async def start_child(self, id: str, params: object, link: ChildLink) -> None:
        """Create the instance that a workflow awaits, or find it; for `step.child`."""
        text = "{}" if params is None else values.encode_json(params, "params")
        new = NewInstance(id, text, TRIGGER, caller=current_headers())
        await Children(self._engine).start(self._account, self._workflow, new, link)

    async def await_child(self, id: str, link: ChildLink) -> None:
        """Let a workflow hear of the end of an instance; for `step.child`."""
        await Children(self._engine).awaits(self._account, self._workflow, id, link)

    async def terminate_child(self, id: str) -> None:
        """End an instance that nobody awaits any more, if it has not ended; for `step.child`."""
        with suppress(InstanceFinished, InstanceNotFound, WorkflowNotFound):
            await self._engine.control.terminate(self._account, self._workflow, id, TRIGGER)

    @property
    def workflow_name(self) -> str:
        """The name of the workflow."""
        return self._workflow

    async def create_batch(self, batch: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Any:
        """Create 1 to 100 instances, or as many as the setting `batch_instances` allows.

        Of a list, return the instances that were created; ids that exist are passed over. Of `{"instances": [...]}` or
        `{"count": n, ...}`, return `{"created": [...], "errors": [{"index", "id", "code", "message"}]}`.
        """
        most = self._engine.settings.batch_instances
        wanted = [new_instance(options) for options in wanted_instances(batch, most)]
        if not 1 <= len(wanted) <= most:
            raise InvalidInput("batch", f"create_batch takes 1 to {most:,} instances, got {len(wanted):,}")
        # All of them before the first is made: one that breaks a rule loses the others nothing.
        checked = [await self._engine.check(self._account, self._workflow, new) for new in wanted]
        self._engine.count_creations(self._account, self._workflow, len(wanted))
        created: list[WorkflowInstance] = []
        errors: list[dict[str, Any]] = []
        seen: set[str | None] = set()
        for index, (new, version) in enumerate(zip(wanted, checked, strict=True)):
            try:
                row = await self._engine.create_checked(self._account, self._workflow, new, version)
                created.append(self._handle(row.id))
            except InstanceAlreadyExists as error:
                code = _DUPLICATE if new.id in seen else error.code
                errors.append({"index": index, "id": new.id, "code": code, "message": str(error)})
            seen.add(new.id)
        return {"created": created, "errors": errors} if isinstance(batch, Mapping) else created

    createBatch = create_batch  # noqa: N815 - Cloudflare's spelling

    async def delete_batch(self, ids: Sequence[str]) -> dict[str, Any]:
        """Delete 1 to 100 instances, or as many as the setting `batch_instances` allows.

        Return `{"deleted": [{"id"}], "errors": [{"id", "code", "message"}]}`: each id is answered in its place, also
        where it is named twice. Raises InvalidInput.
        """
        most = self._engine.settings.batch_instances
        if not isinstance(ids, list | tuple) or not 1 <= len(ids) <= most:
            raise InvalidInput("ids", f"delete_batch takes a list of 1 to {most:,} ids, got {ids!r:.100}")
        problems: dict[str, InstanceNotFound] = {}
        # All of them before the first is deleted.
        for id in ids:
            check_id(id)
        for id in dict.fromkeys(ids):
            try:
                await self._engine.control.delete(self._account, self._workflow, id)
            except InstanceNotFound as error:
                problems[id] = error
        return {
            "deleted": [{"id": id} for id in ids if id not in problems],
            "errors": [
                {"id": id, "code": problems[id].code, "message": str(problems[id])} for id in ids if id in problems
            ],
        }

    deleteBatch = delete_batch  # noqa: N815 - Cloudflare's spelling

    def __getattr__(self, name: str) -> Any:
        """Name what there is not."""
        raise _missing("a workflow's binding", name)

    def _handle(self, id: str) -> "WorkflowInstance":
        return WorkflowInstance(self._engine, self._account, self._workflow, id)


class WorkflowInstance:
    """An instance, seen from code of the same account.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowinstance
    """

    def __init__(self, engine: Engine, account: str, workflow: str, id: str) -> None:
        self.id = id
        self._engine = engine
        self._account = account
        self._workflow = workflow

    async def status(self) -> dict[str, Any]:
        """Return `status`, `error` (name and message, or None) and `output` (None until it is complete).

        Once it has been rolled back, `rollback` has `outcome` ("complete" or "failed") and `error`.
        """
        view = await self._engine.get(self._account, self._workflow, self.id, with_steps=False)
        output = None if view.output is None else values.decode_json(view.output)
        # As on Cloudflare: an instance that is rolled back goes on running here.
        status = "running" if view.row.status == "rollingBack" else view.row.status
        shown = {"status": status, "error": _error(view.log), "output": output}
        rollback = answers.rollback(view.log.rollback)
        return shown if rollback is None else {**shown, "rollback": msgspec.to_builtins(rollback)}

    async def result(self, timeout: str | float | timedelta | None = None) -> Any:
        """Wait until it has ended; return its output, None if it has none.

        `timeout` is a text such as "30 seconds", or milliseconds; None: it is waited for ever. Stepwell's own. Raises
        InstanceFailed if it ended otherwise than complete, TimeoutError, InvalidInput or InstanceNotFound.
        """
        limit_ms = None if timeout is None else _limit(timeout)
        asked = GetInstance(self._account, self._workflow, self.id, with_steps=False)
        row = (await self._engine.store.run(asked)).row
        try:
            found = await wait_for_end(self._engine.store, row, None if limit_ms is None else limit_ms / 1000)
        except TimeoutError:
            waited = durations.in_words(limit_ms or 0)
            raise TimeoutError(f'instance "{self.id}" of workflow "{self._workflow}" goes on after {waited}') from None
        view = await self._engine.view(found, with_steps=False)
        if view.row.status != Status.COMPLETE:
            error = view.log.error
            problem = "" if error is None else f": {error.name}: {error.message}"
            raise InstanceFailed(self._workflow, self.id, view.row.status, problem)
        return None if view.output is None else values.decode_json(view.output)

    async def get(self, *, order: str = "asc", simple: bool = False) -> dict[str, Any]:
        """Return logs and status, in the shape in which the HTTP API answers with them.

        `order` is "asc" or "desc", by the start of the steps; `simple` leaves the steps out. Raises InvalidInput.

        Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/get/
        """
        if order not in _ORDERS:
            raise InvalidInput("order", f"order must be one of {', '.join(_ORDERS)}, got {order!r:.100}")
        view = await self._engine.get(self._account, self._workflow, self.id, with_steps=not simple)
        entries = view.log.entries if order == "asc" else view.log.entries[::-1]
        shown: dict[str, Any] = json.loads(msgspec.json.encode(answers.instance(view, entries)))
        return shown

    async def why(self) -> dict[str, Any]:
        """Return why it does not go on: `status`, `reasons` and `end`, in the shape in which the HTTP API answers.

        Stepwell's own. Raises InstanceNotFound.
        """
        # Imported here: most workflows never ask.
        from stepwell import reasons  # noqa: PLC0415 - see above

        found = await reasons.explain(self._engine, self._account, self._workflow, self.id)
        shown: dict[str, Any] = msgspec.to_builtins(reasons.instance_why(found))
        return shown

    async def logs(self, after: int = 0) -> list[dict[str, Any]]:
        """Return what its code printed and logged: up to 1,000 lines, oldest first, behind the line of a number.

        Each is a dict with `n` (its number), `at`, `step`, `attempt`, `level` and `text`, as the HTTP API has them.
        Stepwell's own. Raises InvalidInput or InstanceNotFound.
        """
        if after < 0:
            raise InvalidInput("after", f"logs: `after` must be the number of a line, got {after!r:.100}")
        page = await self._engine.log(self._account, self._workflow, self.id, after, _LINES)
        return [
            {
                "n": line.n,
                "at": iso(line.at),
                "step": line.step,
                "attempt": line.attempt,
                "level": line.level,
                "text": line.text,
            }
            for line in page.lines
        ]

    async def labels(self) -> dict[str, str]:
        """Return its labels, by name. Stepwell's own. Raises InstanceNotFound."""
        view = await self._engine.get(self._account, self._workflow, self.id, with_steps=False)
        return (await self._engine.store.run(ReadLabels(view.row.row))).labels

    async def send_event(self, event: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Send an event: `send_event({"type": ..., "payload": ...})`, or the two as keywords.

        Raises InstanceFinished, InvalidInput or InstanceNotFound.
        """
        said = {**(event or {}), **more}
        event_type = said.get("type")
        if not isinstance(event_type, str):
            raise InvalidInput("type", f"send_event needs a `type`, a text, got {event_type!r:.100}")
        payload = values.encode_json(said.get("payload"), "payload")
        await self._engine.send_event(self._account, self._workflow, self.id, event_type, payload)

    sendEvent = send_event  # noqa: N815 - Cloudflare's spelling

    async def pause(self) -> None:
        """Pause it: attempts in flight end and are stored, nothing else begins, waits stand still.

        Raises InstanceFinished or InstanceNotFound.
        """
        await self._engine.control.pause(self._account, self._workflow, self.id)

    async def resume(self) -> None:
        """Let it go on after a pause. Raises InstanceNotFound."""
        await self._engine.control.resume(self._account, self._workflow, self.id)

    async def terminate(self, options: Mapping[str, Any] | None = None, *, rollback: bool = False) -> None:
        """End it at once; with `rollback`, or `{"rollback": True}`, its steps are rolled back first.

        Raises InstanceFinished, InvalidInput or InstanceNotFound.
        """
        undoes = known_options("terminate", options or {}, _TERMINATE).get("rollback", rollback)
        if not isinstance(undoes, bool):
            raise InvalidInput("rollback", f"terminate: `rollback` must be True or False, got {undoes!r:.100}")
        await self._engine.control.terminate(self._account, self._workflow, self.id, TRIGGER, rollback=undoes)

    async def restart(self, options: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Begin it again, on the newest version: as a whole, or at a step.

        `restart({"from": {"name": ..., "count": 1, "type": "do"}})`; the name is without the count that logs show, the
        type is do, sleep or waitForEvent. In keywords: `from_=`. Raises StepNotInHistory, InvalidInput or
        InstanceNotFound.
        """
        said = known_options("restart", {**(options or {}), **more}, _RESTART)
        step = from_step(said.get("from", said.get("from_")))
        await self._engine.control.restart(self._account, self._workflow, self.id, step, TRIGGER)

    async def resume_rollback(self) -> None:
        """Go on with its rollback, which has failed: what failed is tried again.

        Stepwell's own. Raises NoFailedRollback or InstanceNotFound.
        """
        await self._engine.control.resume_rollback(self._account, self._workflow, self.id)

    async def retry_step(self, step: str, type: str = "step") -> None:
        """Begin the next attempt of a step now; `step` is its name as the log has it, such as `charge-1`.

        `type` is step or rollback. Stepwell's own, as are the next three. Raises InstanceFinished, InstanceNotFound or,
        if it does not fit how the step stands, InvalidInput.
        """
        await self._decide(step, Action.RETRY, type)

    async def skip_sleep(self, step: str) -> None:
        """End a sleep now. Raises what `retry_step` raises."""
        await self._decide(step, Action.SKIP, "sleep")

    async def complete_step(self, step: str, value: Any = None, type: str = "step") -> None:
        """Let a step return a JSON value, or a wait get it as its payload; `type` is step, waitForEvent or rollback.

        Raises what `retry_step` raises.
        """
        await self._decide(step, Action.COMPLETE, type, value=values.encode_json(value, "value"))

    async def fail_step(self, step: str, error: Exception, type: str = "step") -> None:
        """Let a step or a wait fail with an error, for good; `type` is step, waitForEvent or rollback.

        Raises what `retry_step` raises.
        """
        await self._decide(step, Action.FAIL, type, error=describe(error))

    async def _decide(self, step: str, action: Action, type: str, **what: Any) -> None:
        if type not in (types := _DECIDED[action]):
            raise InvalidInput("type", f"{action}: `type` must be one of {', '.join(types)}, got {type!r:.100}")
        decision = Decision(step, action, cast(StepType, type), by=TRIGGER, **what)
        await self._engine.forcing.force(self._account, self._workflow, self.id, decision)

    async def delete(self) -> None:
        """Delete it, whatever it is doing; its id is free then. Raises InstanceNotFound."""
        await self._engine.control.delete(self._account, self._workflow, self.id)

    async def subscribe(self, options: Mapping[str, Any] | None = None, **more: Any) -> "InstanceSubscription":
        """Return what happens to it: from its creation on, or behind the event of the number `cursor`.

        `subscribe({"cursor": ..., "filter": [...]})`, or the two as keywords; `filter` has the types that are wanted.
        Raises InvalidInput or InstanceNotFound.

        Source: developers.cloudflare.com/workflows/build/subscribe-to-instance-events/
        """
        wanted = wanted_events({**(options or {}), **more})
        subscriptions = self._engine.subscriptions
        return InstanceSubscription(self.id, await subscriptions.open(self._account, self._workflow, self.id, wanted))

    def __getattr__(self, name: str) -> Any:
        """Name what there is not."""
        raise _missing("an instance", name)


class InstanceSubscription:
    """What happens to an instance, as `next()` gives it or `async for`; it ends when the instance has ended.

    `with await instance.subscribe() as subscription:` disposes of it, as `dispose()` does.
    """

    def __init__(self, instance_id: str, subscription: Subscription) -> None:
        self._instance_id = instance_id
        self._subscription = subscription

    async def next(self) -> dict[str, Any]:
        """Return `{"done": False, "value": event}` when there is an event; at the end `done` is True.

        Raises StoreError.
        """
        told = await self._subscription.next()
        if told is None:
            return {"done": True, "value": None}
        event = msgspec.json.encode(answers.instance_event(self._instance_id, told))
        return {"done": False, "value": json.loads(event)}

    def dispose(self) -> None:
        """Stop it: whoever waits in `next()` is told that it is done."""
        self._subscription.close()

    def __aiter__(self) -> "InstanceSubscription":
        return self

    async def __anext__(self) -> dict[str, Any]:
        result = await self.next()
        if result["done"]:
            raise StopAsyncIteration
        event: dict[str, Any] = result["value"]
        return event

    def __enter__(self) -> "InstanceSubscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()


def _error(log: InstanceLog) -> dict[str, str] | None:
    return None if log.error is None else {"name": log.error.name, "message": log.error.message}


def _missing(what: str, name: str) -> AttributeError:
    return AttributeError(f"{what} has no {name!r}")


def _limit(timeout: object) -> int:
    """Return a time-out in milliseconds. Raises InvalidInput."""
    ms = durations.to_ms(timeout)
    if ms is None:
        raise InvalidInput("timeout", f"result: `timeout` must be {durations.EXPECTED}, got {timeout!r:.100}")
    return ms
