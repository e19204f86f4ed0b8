"""Engine: the one door. API, dashboard, command line and test kit ask it; it asks the store.

Values come and go as JSON text, so that what was sent is what is stored and shown.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from stepwell import limits, values
from stepwell.clock import Clock, SystemClock
from stepwell.control import Control
from stepwell.core.records import Created, EventReceived, Payload, PayloadRef, StreamRef
from stepwell.core.steplog import InstanceLog, fold_log, fold_summary
from stepwell.core.stepview import StepQuery, StepView, view_step
from stepwell.errors import (
    InstanceAlreadyExists,
    InvalidInput,
    InvalidInstanceId,
    StepNotFound,
    StoreDamaged,
    VersionChanged,
)
from stepwell.forcing import Forcing
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
from stepwell.store.note_operations import LogPage, ReadLog
from stepwell.store.once import FindOnce, Once
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

if TYPE_CHECKING:
    from stepwell.params import ParamsCheck

_FOLDED_AT_ONCE = 1_000
_CHECKED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a caller says of an instance to create. `id` None: a new UUID. `params` is JSON text."""

    id: str | None = None
    params: str = "{}"
    trigger: str = "api"


@dataclass(frozen=True, slots=True)
class WorkflowPut:
    """What a caller says of a workflow to create or change: the class that it is made of, and all its settings."""

    script: str
    class_name: str
    settings: operations.VersionSettings = operations.NO_SETTINGS


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a caller calls a request, so that it is done once however often it is sent; `request` is its hash."""

    key: str
    request: str


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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store has said of a workflow's newest version, and the check that is made of it."""

    found: operations.ParamsSchema
    check: "ParamsCheck | None"

    async def hold(self, params: str) -> None:
        """Hold params against it. Raises InvalidInput."""
        if self.check is None:
            return
        if len(params) > _CHECKED_AT_ONCE:
            # It may take a while, and others are to be answered meanwhile.
            await asyncio.to_thread(self.check.check, params)
        else:
            self.check.check(params)


@dataclass(slots=True)
class Engine:
    """Create, read and control instances, whatever store lies behind."""

    store: Store
    clock: Clock = field(default_factory=SystemClock)
    # What the server has been told.
    settings: Settings = DEFAULT_SETTINGS
    # By workflow: its newest version that is known, and what its params have to be. The store says when it changes.
    _checks: dict[tuple[str, str], "_Known"] = field(default_factory=dict)
    _learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    terminations: Terminations = field(init=False)

    def __post_init__(self) -> None:
        self.terminations = Terminations(self.store, self.clock)

    @property
    def control(self) -> Control:
        """What can be done to instances."""
        return Control(self.store, self.clock)

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

        Raises InvalidInstanceId, InvalidInput (params too large, or not of their type), WorkflowNotFound,
        InstanceAlreadyExists or IdempotencyKeyReused.
        """
        if key is not None:
            # Before anything is checked: what was right when it was done is not refused when it is asked for again.
            kept_ms = self.settings.idempotency_key_retention
            done = await self.store.run(FindOnce(account, key.key, key.request, self.clock.now(), kept_ms))
            if done is not None:
                return msgspec.msgpack.decode(done.body, type=operations.InstanceRow)
        return await self.create_checked(account, workflow, new, await self.check(account, workflow, new), key)

    async def create_checked(
        self, account: str, workflow: str, new: NewInstance, checked: str, key: IdempotencyKey | None = None
    ) -> operations.InstanceRow:
        """Create an instance that fits the version `checked`, as `check` has said; else as `create` does.

        Raises what `create` raises.
        """
        instance = str(uuid.uuid4()) if new.id is None else new.id
        now = self.clock.now()
        record = codec.to_row(Created(now, new.trigger, new.params))
        while True:
            creation = operations.CreateInstance(account, workflow, instance, new.trigger, record, now, checked)
            try:
                row: operations.InstanceRow
                row, _ = await self._once(account, key, creation)
                return row
            except VersionChanged:
                self.forget(account, workflow)
                checked = await self.check(account, workflow, new)

    def forget(self, account: str, workflow: str) -> None:
        """Ask the store again what a workflow's newest version wants: it is not the one that is known."""
        self._checks.pop((account, workflow), None)

    async def create_batch(
        self, account: str, workflow: str, wanted: Sequence[NewInstance]
    ) -> Sequence[operations.InstanceRow]:
        """Create instances, all of them checked before the first; return those that were created, in their order.

        Ids that are taken, also by an earlier one of the batch, are passed over. Raises what `create` raises.
        """
        checked = [(new, await self.check(account, workflow, new)) for new in wanted]
        creating = (self.create_checked(account, workflow, *one) for one in _first_of_each_id(checked))
        outcomes = await asyncio.gather(*creating, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, InstanceAlreadyExists):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def check(self, account: str, workflow: str, new: NewInstance) -> str:
        """Hold what is said of an instance against the rules; return the version of the workflow that its params fit.

        Raises InvalidInstanceId, InvalidInput or WorkflowNotFound.
        """
        if new.id is not None and not limits.is_new_instance_id(new.id):
            raise InvalidInstanceId(
                "instance_id",
                f'instance.invalid_id: instance_id "{new.id:.300}" must be 1 to {limits.INSTANCE_ID_LENGTH} of: '
                f"{limits.NAME_RULE}; `cf_` with 64 hex digits, batch, terminate and terminateAll are reserved",
            )
        _check_size("params", new.params, self.settings.payload_size)
        return await self._check_params(account, workflow, new.params)

    async def get(self, account: str, workflow: str, instance: str, *, with_steps: bool = True) -> InstanceView:
        """Return an instance and its log. Raises WorkflowNotFound or InstanceNotFound."""
        found = await self.store.run(operations.GetInstance(account, workflow, instance, with_steps))
        return await self._view(found, with_steps=with_steps)

    async def get_if_changed(
        self, account: str, workflow: str, instance: str, *, with_steps: bool, known: operations.InstanceRow | None
    ) -> InstanceView | None:
        """Return an instance and its log, or None while its row is the one that is known: nothing has changed then.

        Raises WorkflowNotFound or InstanceNotFound.
        """
        found = await self.store.run(operations.GetInstance(account, workflow, instance, with_steps, known))
        return None if found.row == known else await self._view(found, with_steps=with_steps)

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

    async def wait_for_change(
        self, account: str, workflow: str, instance: str, *, seen: int | None, timeout_s: float
    ) -> None:
        """Return when an instance has other records than those up to the seq `seen`, has ended, or the time is over.

        `seen` None: than it has now. Returns also when its workflow is deleted meanwhile. Raises WorkflowNotFound or
        InstanceNotFound.
        """
        asked = operations.GetInstance(account, workflow, instance, with_steps=False)
        row = (await self.store.run(asked)).row
        if row.ended_at is not None or seen not in (None, row.seq):
            return
        changed = asyncio.Event()
        stop = self.store.watch(row, changed.set)
        try:
            # Looked at once more: what came before the watch began is told to nobody.
            now = (await self.store.run(asked)).row
            if (now.row, now.seq) == (row.row, row.seq):
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), timeout_s)
        finally:
            stop()

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
        self._checks.pop((account, name), None)

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

    async def _view(self, found: operations.InstanceHistory, *, with_steps: bool) -> InstanceView:
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

    async def _check_params(self, account: str, workflow: str, params: str) -> str:
        """Hold params against the schema of the workflow's version that is known, and return that version."""
        known = self._checks.get((account, workflow)) or await self._learn(account, workflow, None)
        try:
            await known.hold(params)
        except InvalidInput:
            newest = await self._learn(account, workflow, known)
            if newest is known:
                raise
            # It was refused by what is no longer asked for.
            known = newest
            await known.hold(params)
        return known.found.version

    async def _learn(self, account: str, workflow: str, outdated: "_Known | None") -> "_Known":
        """Return what a workflow's newest version is and asks for, from the store if that is all that is known."""
        # A thousand creates at once ask once.
        async with self._learning:
            known = self._checks.get((account, workflow))
            if known is None or known is outdated:
                found = await self.store.run(operations.GetParamsSchema(account, workflow))
                if known is None or found != known.found:
                    check = None if found.schema is None else await asyncio.to_thread(_params_check, found.schema)
                    known = self._checks[account, workflow] = _Known(found, check)
            return known

    async def _refuse_if_gone(self, account: str, workflow: str, instance: str) -> None:
        """Raise WorkflowNotFound or InstanceNotFound where a value is missing because its instance was deleted."""
        await self.store.run(operations.GetInstance(account, workflow, instance, with_steps=False))

    async def payload(self, value: Payload) -> str:
        """Return the JSON text of a value, wherever it lies."""
        if isinstance(value, PayloadRef):
            return await self.store.run(operations.ReadPayload(value.id))
        return value


def _params_check(schema: str) -> "ParamsCheck":
    # Imported here: it takes 8 MB and 60 ms, and most workflows have no typed params.
    from stepwell.params import ParamsCheck  # noqa: PLC0415 - see above

    return ParamsCheck(schema)


def _first_of_each_id(wanted: Sequence[tuple[NewInstance, str]]) -> Sequence[tuple[NewInstance, str]]:
    """Leave out instances whose id an earlier one has; those without an id all stay."""
    first: dict[object, tuple[NewInstance, str]] = {}
    for position, one in enumerate(wanted):
        first.setdefault(position if one[0].id is None else one[0].id, one)
    return list(first.values())


def _fold(records: list[operations.RecordRow]) -> InstanceLog:
    return fold_log(codec.from_rows(records))


def _view(records: list[operations.RecordRow], query: StepQuery) -> StepView | None:
    return view_step(codec.from_rows(records), query)


def _check_size(what: str, text: str, most: int) -> None:
    size = len(text.encode())
    if size > most:
        allowed = f"at most {most:,} are allowed"
        raise InvalidInput(what, f"body: {what} is {size:,} bytes as JSON; {allowed}")
