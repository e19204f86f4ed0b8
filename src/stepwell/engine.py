"""Engine: the one door. API, dashboard, command line and test kit ask it; it asks the store.

Values come and go as JSON text, so that what was sent is what is stored and shown.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from stepwell import labels, limits, values
from stepwell.clock import Clock, SystemClock
from stepwell.control import Control
from stepwell.core.records import Created, EventReceived, Payload, PayloadRef, StreamRef
from stepwell.core.steplog import InstanceLog, fold_log, fold_summary
from stepwell.core.stepview import StepQuery, StepView, view_step
from stepwell.creation_rate import CreationRate
from stepwell.errors import (
    InstanceAlreadyExists,
    InvalidInput,
    InvalidInstanceId,
    StepNotFound,
    StoreDamaged,
    VersionChanged,
)
from stepwell.flow import SharedLimit, shared_text
from stepwell.forcing import Forcing
from stepwell.jobs import Jobs
from stepwell.newest_versions import Checked, NewestVersions
from stepwell.samples import Samples
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store import Store, codec, operations
from stepwell.store.account_operations import (
    AccountSettings,
    ChangeAccountSettings,
    DeleteTriggers,
    GetAccountSettings,
    GetTriggers,
    MergeTriggers,
    ReplaceTriggers,
    Trigger,
)
from stepwell.store.flow_operations import Gates, LimitAccount, ListGates, ShareLimit
from stepwell.store.host_operations import Hosts, ListHosts
from stepwell.store.note_operations import LogPage, ReadLog
from stepwell.store.once import FindOnce, IdempotencyKey, Once
from stepwell.store.stream_operations import ReadPiece
from stepwell.store.workflow_operations import (
    DeleteWorkflow,
    GetVersion,
    ListVersions,
    PutWorkflow,
    VersionRow,
    Versions,
)
from stepwell.subscriptions import Subscriptions
from stepwell.terminations import Terminations
from stepwell.traces import Headers
from stepwell.webhooks.book import Webhooks

_FOLDED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a caller says of an instance to create. `id` None: a new UUID. `params` is JSON text."""

    id: str | None = None
    params: str = "{}"
    trigger: str = "api"
    retention: operations.Retention | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    # Within which span it is created.
    caller: Headers | None = None

    def created(self, now: int) -> Created:
        """Return the record with which its history begins."""
        record = Created(now, self.trigger, self.params)
        caller = self.caller
        return (
            record if caller is None else replace(record, traceparent=caller.traceparent, tracestate=caller.tracestate)
        )


@dataclass(frozen=True, slots=True)
class WorkflowPut:
    """What a caller says of a workflow to create or change: the class that it is made of, and all its settings."""

    script: str
    class_name: str
    settings: operations.VersionSettings = operations.NO_SETTINGS


@dataclass(frozen=True, slots=True)
class InstanceView:
    """An instance with its log; `params` and `output` are whole, as JSON text; output None: there is none."""

    row: operations.InstanceRow
    log: InstanceLog
    params: str
    output: str | None


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances to list, and in which order. Times bound the creation, both included."""

    limit: int = 50
    offset: int = 0
    after: tuple[int, int] | None = None
    ascending: bool = False
    status: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(slots=True)
class Engine:
    """Create, read and control instances, whatever store lies behind."""

    store: Store
    clock: Clock = field(default_factory=SystemClock)
    # What the server has been told.
    settings: Settings = DEFAULT_SETTINGS
    _newest: NewestVersions = field(init=False)
    terminations: Terminations = field(init=False)
    jobs: Jobs = field(init=False)
    samples: Samples = field(init=False)
    webhooks: Webhooks = field(init=False)
    _rate: CreationRate = field(init=False)

    def __post_init__(self) -> None:
        self._newest = NewestVersions(self.store)
        told = self.settings
        self._rate = CreationRate(told.creations_per_second, told.creations_per_second_of_workflow)
        self.terminations = Terminations(self.store, self.clock)
        self.jobs = Jobs(self.store, self.clock, self.count_creations, told.idempotency_key_retention)
        self.samples = Samples(self.store, self.clock)
        self.webhooks = Webhooks(self.store, self.clock, told.webhook_networks, told.idempotency_key_retention)

    @property
    def control(self) -> Control:
        """What can be done to instances."""
        return Control(self.store, self.clock, self.count_creations)

    @property
    def subscriptions(self) -> Subscriptions:
        """Where what happens to an instance is told."""
        return Subscriptions(self.store)

    @property
    def forcing(self) -> Forcing:
        """What can be decided of steps by hand."""
        told = self.settings
        sizes = told.step_result_size, told.payload_size, told.instance_size
        return Forcing(self.store, self.clock, *sizes)

    async def create(
        self, account: str, workflow: str, new: NewInstance, key: IdempotencyKey | None = None
    ) -> operations.InstanceRow:
        """Create an instance that is due at once; durable when this returns. With a key that came before: once.

        Raises InvalidInstanceId, InvalidInput (params too large or not of their type, labels), WorkflowNotFound,
        InstanceAlreadyExists or IdempotencyKeyReused.
        """
        if key is not None:
            # Before anything is checked: what was right when it was done is not refused when it is asked for again.
            kept_ms = self.settings.idempotency_key_retention
            done = await self.store.run(FindOnce(account, key.key, key.request, self.clock.now(), kept_ms))
            if done is not None:
                return msgspec.msgpack.decode(done.body, type=operations.InstanceRow)
        checked = await self.check(account, workflow, new)
        self.count_creations(account, workflow, 1)
        return await self.create_checked(account, workflow, new, checked, key)

    async def create_checked(
        self, account: str, workflow: str, new: NewInstance, checked: Checked, key: IdempotencyKey | None = None
    ) -> operations.InstanceRow:
        """Create an instance that fits a version, as `check` has said; else as `create` does.

        Raises what `create` raises.
        """
        instance = str(uuid.uuid4()) if new.id is None else new.id
        now = self.clock.now()
        record = codec.to_row(new.created(now))
        while True:
            fits = (checked.version, checked.place.key, checked.place.bias_ms, self.settings.queued_instances)
            said = (new.trigger, record, now, *fits, new.retention, {**new.labels})
            creation = operations.CreateInstance(account, workflow, instance, *said)
            try:
                row: operations.InstanceRow
                row, _ = await self._once(account, key, creation)
                return row
            except VersionChanged:
                self.forget(account, workflow)
                checked = await self.check(account, workflow, new)

    def count_creations(self, account: str, workflow: str, count: int) -> None:
        """Count instances that are about to be created, or restarted. Raises what CreationRate raises."""
        self._rate.take(account, workflow, count, self.clock.now())

    def forget(self, account: str, workflow: str) -> None:
        """Ask the store again what a workflow's newest version wants: it is not the one that is known."""
        self._newest.forget(account, workflow)

    async def create_batch(
        self, account: str, workflow: str, wanted: Sequence[NewInstance]
    ) -> Sequence[operations.InstanceRow]:
        """Create instances, all of them checked before the first; return those that were created, in their order.

        Ids that are taken, also by an earlier one of the batch, are passed over. Raises what `create` raises.
        """
        checked = [(new, await self.check(account, workflow, new)) for new in wanted]
        self.count_creations(account, workflow, len(wanted))
        creating = (self.create_checked(account, workflow, *one) for one in _first_of_each_id(checked))
        outcomes = await asyncio.gather(*creating, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, InstanceAlreadyExists):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def check(self, account: str, workflow: str, new: NewInstance) -> Checked:
        """Hold what is said of an instance against the rules; return the version of the workflow that its params fit.

        Raises InvalidInstanceId, InvalidInput or WorkflowNotFound.
        """
        check_id(new.id)
        labels.check(new.labels)
        _check_size("params", new.params, self.settings.payload_size)
        return await self._newest.check(account, workflow, new.params)

    async def get(self, account: str, workflow: str, instance: str, *, with_steps: bool = True) -> InstanceView:
        """Return an instance and its log. Raises WorkflowNotFound or InstanceNotFound."""
        found = await self.store.run(operations.GetInstance(account, workflow, instance, with_steps))
        return await self.view(found, with_steps=with_steps)

    async def get_if_changed(
        self, account: str, workflow: str, instance: str, *, with_steps: bool, known: operations.InstanceRow | None
    ) -> InstanceView | None:
        """Return an instance and its log, or None while its row is the one that is known: nothing has changed then.

        Raises WorkflowNotFound or InstanceNotFound.
        """
        found = await self.store.run(operations.GetInstance(account, workflow, instance, with_steps, known))
        return None if found.row == known else await self.view(found, with_steps=with_steps)

    async def step(self, account: str, workflow: str, instance: str, query: StepQuery) -> StepView:
        """Return how a step stands; its value is whole, as JSON text for people. A sensitive one has none.

        Raises WorkflowNotFound, InstanceNotFound or StepNotFound.
        """
        found = await self.store.run(operations.GetInstance(account, workflow, instance))
        if len(found.records) <= _FOLDED_AT_ONCE:
            view = _view(found.records, query)
        else:
            view = await asyncio.to_thread(_view, found.records, query)
        if view is None:
            raise StepNotFound(instance, query.name, query.type, query.attempt)
        if view.value is None or view.is_sensitive:
            return replace(view, value=None, stream=None)
        try:
            text = await self.payload(view.value)
        except StoreDamaged:
            await self._refuse_if_gone(account, workflow, instance)
            raise
        return replace(view, value=text if view.is_plain else values.readable(text))

    async def pieces(self, stream: StreamRef) -> AsyncIterator[bytes]:
        """Give the bytes of a step's stream, piece by piece. Raises StoreError, also if it is deleted meanwhile."""
        left, n = stream.size, 1
        while left > 0:
            piece = await self.store.run(ReadPiece(stream.id, n))
            left, n = left - len(piece), n + 1
            yield piece

    async def list(self, account: str, workflow: str, wanted: InstanceFilter) -> operations.Instances:
        """Return a page of a workflow's instances. Raises WorkflowNotFound."""
        return await self.store.run(
            operations.ListInstances(
                account,
                workflow,
                limit=wanted.limit,
                offset=wanted.offset,
                after=wanted.after,
                ascending=wanted.ascending,
                status=wanted.status,
                from_ms=wanted.from_ms,
                to_ms=wanted.to_ms,
            )
        )

    async def limits(self, account: str, workflow: str | None = None) -> Gates:
        """Return the limits of an account and its workflows, or of one, and how they stand. Raises WorkflowNotFound."""
        return await self.store.run(ListGates(account, workflow))

    async def hosts(self, now: int, account: str | None) -> Hosts:
        """Return who has the store open, what waits for them at this moment, and what the store is kept in.

        `account`: whose workers and instances are counted; None: all.
        """
        return await self.store.run(ListHosts(now, account))

    async def limit_account(self, account: str, concurrency: int | None) -> None:
        """Let at most so many instances of an account run at a time; None: any number."""
        await self.store.run(LimitAccount(account, concurrency, self.clock.now()))

    async def share_limit(self, account: str, name: str, limit: SharedLimit | None) -> None:
        """Set a limit that steps of an account share, whatever code declares; None: as code declares it again.

        Raises LimitNotFound for one that is to be taken back, and that nobody knows.
        """
        await self.store.run(ShareLimit(account, name, shared_text(limit), self.clock.now()))

    async def send_event(  # noqa: PLR0913, PLR0917 - the address, and what is sent
        self,
        account: str,
        workflow: str,
        instance: str,
        event_type: str,
        payload: str,
        key: IdempotencyKey | None = None,
    ) -> int:
        """Store an event for an instance and answer when it was received; durable when this returns.

        With a key that came before: once. Raises InvalidInput, WorkflowNotFound, InstanceNotFound, InstanceFinished or
        IdempotencyKeyReused.
        """
        if not limits.is_event_type(event_type):
            raise InvalidInput(
                "event_type",
                f'workflow.invalid_event_type: event type "{event_type:.300}" must be 1 to '
                f"{limits.EVENT_TYPE_LENGTH} of: {limits.NAME_RULE}; a dot is not allowed",
            )
        _check_size("event payload", payload, self.settings.payload_size)
        now = self.clock.now()
        record = codec.to_row(EventReceived(now, event_type, payload))
        _, at = await self._once(account, key, operations.AppendEvent(account, workflow, instance, record))
        return at

    async def workflow(self, account: str, name: str) -> operations.WorkflowRow:
        """Return a workflow with its counts. Raises WorkflowNotFound."""
        return await self.store.run(operations.GetWorkflow(account, name))

    async def workflows(
        self, account: str, *, limit: int, offset: int = 0, search: str | None = None
    ) -> operations.Workflows:
        """Return a page of workflows, by name."""
        return await self.store.run(operations.ListWorkflows(account, limit, offset, search))

    async def put_workflow(self, account: str, name: str, put: WorkflowPut) -> operations.WorkflowRow:
        """Make a new version of a workflow, with these settings and no others; make the workflow if there is none.

        Raises UnknownScript, WorkflowBelongs or InvalidInput.
        """
        ids = (str(uuid.uuid4()), str(uuid.uuid4()))
        made_of, most = (put.script, put.class_name), self.settings.schedules_per_account
        return await self.store.run(PutWorkflow(account, name, *made_of, *ids, put.settings, self.clock.now(), most))

    async def delete_workflow(self, account: str, name: str) -> None:
        """Delete a workflow with its instances; those that run are stopped. Raises WorkflowNotFound."""
        await self.store.run(DeleteWorkflow(account, name, self.clock.now()))
        self._newest.forget(account, name)

    async def versions(self, account: str, workflow: str, *, limit: int, offset: int = 0) -> Versions:
        """Return a page of a workflow's versions, newest first. Raises WorkflowNotFound."""
        return await self.store.run(ListVersions(account, workflow, limit, offset))

    async def version(self, account: str, workflow: str, id: str) -> VersionRow:
        """Return a version. Raises WorkflowNotFound or VersionNotFound."""
        return await self.store.run(GetVersion(account, workflow, id))

    async def account_settings(self, account: str) -> AccountSettings:
        """Return the settings of an account."""
        return await self.store.run(GetAccountSettings(account))

    async def change_account_settings(self, account: str, changes: AccountSettings) -> AccountSettings:
        """Change the settings that are not None; return all of them as they are then."""
        return await self.store.run(ChangeAccountSettings(account, changes))

    async def triggers(self, account: str, script: str) -> Sequence[Trigger]:
        """Return the event triggers of a script."""
        return await self.store.run(GetTriggers(account, script))

    async def replace_triggers(self, account: str, script: str, triggers: Sequence[Trigger]) -> Sequence[Trigger]:
        """Let a script have these event triggers and no others; return them. Raises InvalidInput."""
        return await self.store.run(ReplaceTriggers(account, script, [*triggers], self.clock.now()))

    async def merge_triggers(self, account: str, script: str, triggers: Sequence[Trigger]) -> Sequence[Trigger]:
        """Add event triggers, which replace those of the same type and filter; return all. Raises InvalidInput."""
        return await self.store.run(MergeTriggers(account, script, [*triggers], self.clock.now()))

    async def delete_triggers(self, account: str, script: str) -> int:
        """Delete the event triggers of a script; return how many there were."""
        return await self.store.run(DeleteTriggers(account, script))

    async def log(self, account: str, workflow: str, instance: str, after: int, limit: int) -> LogPage:
        """Return what an instance has said after a line, and its progress.

        Raises WorkflowNotFound or InstanceNotFound.
        """
        return await self.store.run(ReadLog(account, workflow, instance, after, limit))

    async def view(self, found: operations.InstanceHistory, *, with_steps: bool) -> InstanceView:
        """Return an instance and its log, of what the store has found.

        Raises WorkflowNotFound or InstanceNotFound.
        """
        row = found.row
        if not with_steps:
            log = fold_summary(codec.from_rows(found.records))
        elif len(found.records) <= _FOLDED_AT_ONCE:
            log = _fold(found.records)
        else:
            # A long history takes a tenth of a second; others are to be answered meanwhile.
            log = await asyncio.to_thread(_fold, found.records)
        try:
            output = None if log.output is None else values.readable(await self.payload(log.output))
            return InstanceView(row, log, await self.payload(log.params), output)
        except StoreDamaged:
            await self._refuse_if_gone(row.account, row.workflow, row.id)
            raise

    async def _once(
        self, account: str, key: IdempotencyKey | None, operation: operations.CreateInstance | operations.AppendEvent
    ) -> tuple[Any, int]:
        """Do an operation, once under a key; return its answer, and when it was done."""
        if key is None:
            return await self.store.run(operation), operation.record.at
        kept_ms = self.settings.idempotency_key_retention
        done = await self.store.run(Once(account, key.key, key.request, self.clock.now(), operation, kept_ms))
        kind = operations.InstanceRow if isinstance(operation, operations.CreateInstance) else int
        return msgspec.msgpack.decode(done.body, type=kind), done.at

    async def _refuse_if_gone(self, account: str, workflow: str, instance: str) -> None:
        """Raise WorkflowNotFound or InstanceNotFound where a value is missing because its instance was deleted."""
        await self.store.run(operations.GetInstance(account, workflow, instance, with_steps=False))

    async def payload(self, value: Payload) -> str:
        """Return the JSON text of a value, wherever it lies."""
        if isinstance(value, PayloadRef):
            return await self.store.run(operations.ReadPayload(value.id))
        return value


def _first_of_each_id(wanted: Sequence[tuple[NewInstance, Checked]]) -> Sequence[tuple[NewInstance, Checked]]:
    """Leave out instances whose id an earlier one has; those without an id all stay."""
    first: dict[object, tuple[NewInstance, Checked]] = {}
    for position, one in enumerate(wanted):
        first.setdefault(position if one[0].id is None else one[0].id, one)
    return list(first.values())


def _fold(records: list[operations.RecordRow]) -> InstanceLog:
    return fold_log(codec.from_rows(records))


def _view(records: list[operations.RecordRow], query: StepQuery) -> StepView | None:
    return view_step(codec.from_rows(records), query)


def check_id(id: str | None) -> None:
    """Hold the id of a new instance against the rule; None: it has none yet. Raises InvalidInstanceId."""
    if id is not None and not limits.is_new_instance_id(id):
        raise InvalidInstanceId(
            "instance_id",
            f'instance.invalid_id: instance_id "{id:.300}" must be 1 to {limits.INSTANCE_ID_LENGTH} of: '
            f"{limits.NAME_RULE}; `cf_` with 64 hex digits, batch, terminate and terminateAll are reserved",
        )


def _check_size(what: str, text: str, most: int) -> None:
    size = len(text.encode())
    if size > most:
        allowed = f"at most {most:,} are allowed"
        raise InvalidInput(what, f"body: {what} is {size:,} bytes as JSON; {allowed}")
