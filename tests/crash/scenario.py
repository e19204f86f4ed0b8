"""A scenario in which instances use every feature there is, and a client that does not lose its thread.

It is a list of acts, one after the other. An act that was not answered is done again, as a client is told to: what is
created has an id or a key of the client's, what cannot be done twice is looked after before it is done again.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from stepwell.control import FromStep
from stepwell.core.failures import Failure
from stepwell.core.instance import fold
from stepwell.core.open_calls import fold_calls
from stepwell.core.records import (
    Action,
    AttemptInterrupted,
    AttemptLost,
    AttemptStarted,
    Moved,
    Paused,
    Queued,
    Record,
    Recorded,
    Restarted,
    RollbackResumed,
    Running,
    SlotGiven,
    StepForced,
    WaitEnded,
    Waiting,
)
from stepwell.engine import NewInstance, WorkflowPut
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    WebhookNotFound,
    WorkflowNotFound,
)
from stepwell.flow import SharedLimit
from stepwell.forcing import Decision
from stepwell.forks import Fork, Forks
from stepwell.schedules import ScheduleChanges, change
from stepwell.settings import TurnSettings
from stepwell.stalls import state_of
from stepwell.store import codec
from stepwell.store.account_operations import AccountSettings, Trigger, TriggerTarget
from stepwell.store.control_operations import MoveInstance
from stepwell.store.label_operations import ReadLabels
from stepwell.store.once import IdempotencyKey
from stepwell.store.operations import (
    GetInstance,
    InstanceRow,
    ListInstances,
    RegisterWorkflow,
    Retention,
    VersionSettings,
)
from stepwell.store.schedule_operations import ListSchedules, RunSchedule
from stepwell.store.search_operations import Wanted
from stepwell.store.session_operations import BeginSession, EndSessions, ForgetSessions, SeeSession, SessionRow
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot, SnapshotFile
from stepwell.store.webhook_operations import (
    TEST,
    AddWebhook,
    ChangeWebhook,
    DeleteWebhook,
    EndAttempt,
    ForgetDeliveries,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateWebhookSecret,
    TakeDeliveries,
    TryWebhook,
)
from stepwell.store.workflow_operations import DeleteWorkflow
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.tokens import Permission, Tokens
from stepwell.transfers import export, import_next
from tests.crash import flows
from tests.crash.flows import EVERY_HOUR, MINUTE_MS, START_MS, WORKFLOWS, World

# An engine that begins makes it known again, without instances.
DELETED = "keyed"
SETTINGS = TurnSettings(lost_turns=1_000_000, close_grace_ms=50)


@dataclass
class Scene:
    """An engine that lives, and what the client knows from before, whatever has become of the engine since."""

    engine: TestEngine
    world: World
    act: int
    known: dict[object, Any]

    async def create(self, workflow: str, id: str, params: Any = "{}", **said: Any) -> None:
        """Create an instance, unless that was done before."""
        with suppress(InstanceAlreadyExists):
            await self.engine.engine.create(ACCOUNT, workflow, NewInstance(id, params, **said))

    async def send(self, workflow: str, id: str, event_type: str, payload: str) -> None:
        """Send an event under a key."""
        key = IdempotencyKey(f"{id} {event_type}", "request")
        await self.engine.engine.send_event(ACCOUNT, workflow, id, event_type, payload, key)

    async def terminate(self, workflow: str, id: str, *, rollback: bool = False) -> None:
        """End an instance, unless that was done before."""
        with suppress(InstanceFinished):
            await self.engine.engine.control.terminate(ACCOUNT, workflow, id, rollback=rollback)

    async def restart(self, workflow: str, id: str, step: FromStep | None = None) -> None:
        """Begin an instance again, unless that was done before."""
        if await self._lacks(Restarted, workflow, id):
            await self.engine.engine.control.restart(ACCOUNT, workflow, id, step)

    async def resume_rollback(self, workflow: str, id: str) -> None:
        """Go on with a rollback, unless that was done before."""
        if await self._lacks(RollbackResumed, workflow, id):
            await self.engine.engine.control.resume_rollback(ACCOUNT, workflow, id)

    async def force(self, workflow: str, id: str, decision: Decision) -> None:
        """Decide of a step, unless that was done before."""
        if await self._lacks(StepForced, workflow, id, decision):
            await self.engine.engine.forcing.force(ACCOUNT, workflow, id, decision)

    async def put(self, workflow: str) -> None:
        """Make a new version of a workflow, unless that was done before."""
        version = (await self.engine.engine.workflow(ACCOUNT, workflow)).version
        if self.known.setdefault((self.act, workflow), version) == version:
            class_name = next(each.__name__ for each in WORKFLOWS if each.__name__.lower() == workflow)
            put = WorkflowPut("tests", class_name, VersionSettings(steps=500))
            await self.engine.engine.put_workflow(ACCOUNT, workflow, put)

    async def move(self, workflow: str, id: str) -> None:
        """Move an instance to the newest version, as one does that somebody insists on."""
        newest = (await self.engine.engine.workflow(ACCOUNT, workflow)).version
        found = await self.engine.store.run(GetInstance(ACCOUNT, workflow, id))
        row, now = found.row, self.engine.clock.now()
        if row.version == newest:
            return
        calls = [call for call in fold_calls(codec.from_rows(found.records)).live() if call.is_in_flight]
        records: list[Record] = [AttemptInterrupted(now, call.key, call.attempt) for call in calls]
        records.append(Moved(now, newest, row.version))
        written = [codec.to_row(record) for record in records]
        await self.engine.store.run(MoveInstance(ACCOUNT, workflow, id, newest, written, row.row, row.seq))

    async def until(self, minutes: float) -> None:
        """Let time pass until a moment, in minutes since the start."""
        await self.engine.advance(max(0, START_MS + int(minutes * MINUTE_MS) - self.engine.clock.now()))

    async def _lacks(self, kind: type[Record], workflow: str, id: str, what: object = None) -> bool:
        """Tell whether an instance has no more records of a kind than when this was tried first."""
        found = await self.engine.store.run(GetInstance(ACCOUNT, workflow, id))
        count = sum(isinstance(record, kind) for _, record in codec.from_rows(found.records))
        return bool(self.known.setdefault((self.act, kind, id, what), count) == count)


Act = Callable[[Scene], Awaitable[None]]


async def _settles(scene: Scene) -> None:
    engine, now = scene.engine.engine, scene.engine.clock.now()
    tokens = Tokens(engine.store, engine.clock)
    await tokens.create(ACCOUNT, [Permission.SCRIPTS_READ], name="reader")
    for token in await tokens.list():
        # Another id each time, as browsers have: one that is asked for again, after a drop, is a session more.
        signed_in = SessionRow(token_hex(8), ACCOUNT, token.id, "hash", now, now)
        await engine.store.run(BeginSession(ACCOUNT, signed_in))
        await engine.store.run(SeeSession(signed_in.id, now + 1))
        await engine.store.run(EndSessions(ACCOUNT, token.id))
        await tokens.revoke(token.id)
    await engine.store.run(ForgetSessions(0, 0))
    await engine.change_account_settings(ACCOUNT, AccountSettings(error_retention_ms=10**12))
    target = TriggerTarget(type="workflow", workflow_name="order", script_name="tests")
    await engine.replace_triggers(ACCOUNT, "tests", [Trigger(type="push", targets=[target])])
    await engine.merge_triggers(ACCOUNT, "tests", [Trigger(type="pull", targets=[target])])
    await engine.delete_triggers(ACCOUNT, "tests")
    await engine.limit_account(ACCOUNT, 100)
    files = [SnapshotFile("flows.py", b"# code"), SnapshotFile("data.bin", b"1" * 5_000)]
    for kept, place in enumerate(("served", "dropped")):
        sha = hashlib.sha256(place.encode()).hexdigest()
        said = (sha, "flows.py", "3.11", "{}", files, now, START_MS + MINUTE_MS * kept)
        row = await engine.store.run(SaveSnapshot("others", *said))
        if place == "served":
            known = RegisterWorkflow("others", "flow", "flows", "Flow", sha, "other-workflow", "other-version", now)
            await engine.store.run(ServeSnapshot("others", row, now, (known,)))


async def _has_webhooks(scene: Scene) -> None:
    store, now = scene.engine.store, scene.engine.clock.now()
    there = {webhook.id for webhook in await store.run(ListWebhooks(ACCOUNT))}
    # An id is never used again; one that a drop has kept from being deleted is, too.
    other = f"other-{token_hex(4)}"
    for id in sorted({"hook", other} - there):
        await store.run(AddWebhook(ACCOUNT, id, f"https://{id}.example/", "whsec_YQ==", [], [], now, "ann", 50))
    await store.run(ChangeWebhook(ACCOUNT, other, now, enabled=False))
    await store.run(RotateWebhookSecret(ACCOUNT, "hook", "whsec_Yg==", now))
    for id in sorted({other} | there - {"hook"}):
        with suppress(WebhookNotFound):
            await store.run(DeleteWebhook(ACCOUNT, id, now))
    await store.run(TryWebhook(ACCOUNT, "hook", now))


async def _delivers(scene: Scene) -> None:
    store, now = scene.engine.store, scene.engine.clock.now()
    taken = await store.run(TakeDeliveries(now, now + MINUTE_MS, 2, 2))
    for due in taken:
        await store.run(EndAttempt(due.row, due.attempt, now, 200, outcome="delivered"))
        await store.run(Redeliver(ACCOUNT, "hook", due.row, now))
    await store.run(ForgetDeliveries(now, 0, 0))


async def _creates(scene: Scene) -> None:
    key = IdempotencyKey("order o", "request")
    wanted = NewInstance("o", '{"n": 1}', labels={"customer": "ann", "stage": "new"})
    await scene.engine.engine.create(ACCOUNT, "order", wanted, key)
    await scene.send("order", "o", "early", '{"is": "early"}')
    await scene.create("parcel", "p")
    await scene.create("family", "f")


async def _creates_trips(scene: Scene) -> None:
    batch = [NewInstance("t1"), NewInstance("t2", '{"closed": 60}'), NewInstance("t3", '{"naps": true}')]
    await scene.engine.engine.create_batch(ACCOUNT, "trip", batch)


async def _creates_queues(scene: Scene) -> None:
    for n in range(2):
        await scene.create("desk", f"d{n}")
        await scene.create("single", f"s{n}")
        await scene.create("keyed", f"k{n}", '{"customer": "ann"}')
        await scene.engine.run_until_idle()


async def _opens_gates(scene: Scene) -> None:
    await scene.engine.engine.share_limit(ACCOUNT, "desk", SharedLimit(2))
    await scene.engine.run_until_idle()
    await scene.engine.engine.share_limit(ACCOUNT, "desk", None)
    scene.world.gate("desk").set()
    scene.world.gate("single").set()


async def _creates_sleepers(scene: Scene) -> None:
    for id in ("paused", "terminated", "restarted", "again", "moved", "job1", "job2"):
        await scene.create("sleeper", id, labels={"job": id[:3]})
    await scene.create("sleeper", "forever", '{"nap": 100000}')
    await scene.create("stuck", "h")
    for id in ("gone", "next"):
        await scene.create("desk", id, '{"gate": "later"}')
        await scene.engine.run_until_idle()
    await scene.create("brief", "kept", retention=Retention(10 * MINUTE_MS))
    await scene.create("brief", "deleted")


async def _pauses(scene: Scene) -> None:
    scene.world.gate("later").set()
    await scene.engine.engine.control.pause(ACCOUNT, "sleeper", "paused")
    await scene.engine.engine.control.pause(ACCOUNT, "stuck", "h")


async def _resumes(scene: Scene) -> None:
    await scene.engine.engine.control.resume(ACCOUNT, "sleeper", "paused")
    await scene.engine.engine.control.resume(ACCOUNT, "stuck", "h")


async def _terminates(scene: Scene) -> None:
    await scene.terminate("sleeper", "terminated")
    await scene.terminate("trip", "t3", rollback=True)


async def _restarts(scene: Scene) -> None:
    await scene.restart("sleeper", "restarted")
    # The next one looks for its step in a thread: what happens meanwhile would be a matter of chance.
    await scene.engine.run_until_idle()
    await scene.restart("sleeper", "again", FromStep("nap", 1, "sleep"))


async def _moves(scene: Scene) -> None:
    await scene.put("sleeper")
    await scene.move("sleeper", "moved")


async def _stops_the_worker(scene: Scene) -> None:
    worker = scene.engine._worker
    assert worker is not None
    try:
        await scene.engine.stop()
    except asyncio.CancelledError:
        # The engine has let go of it already.
        await worker.abandon()
        raise
    await scene.engine.start_worker()


async def _loses_the_worker(scene: Scene) -> None:
    await scene.engine.crash()
    # It has a slot, which nobody is there to give back.
    await scene.terminate("desk", "gone")
    await scene.engine.start_worker()


async def _decides(scene: Scene) -> None:
    made = Decision("ask-1", Action.COMPLETE, value='"by hand"', by="ann")
    failed = Decision("judge-1", Action.FAIL, error=Failure("ValueError", "by hand"), by="ann")
    skipped = Decision("nap-1", Action.SKIP, "sleep", by="ann")
    given = Decision("wait-1", Action.COMPLETE, "waitForEvent", value='"word"', by="ann")
    for decision in (made, failed, skipped, given):
        await scene.force("stuck", "h", decision)
        await scene.engine.run_until_idle()


async def _decides_again(scene: Scene) -> None:
    await scene.force("stuck", "h", Decision("again-1", Action.RETRY, by="ann"))


async def _begins_jobs(scene: Scene) -> None:
    jobs, wanted = scene.engine.engine.jobs, Wanted(labels={"job": "job"})
    job = await jobs.start(ACCOUNT, "pause", "sleeper", wanted, "ann", IdempotencyKey("pause", "request"))
    await scene.engine.run_until_idle()
    await jobs.cancel(ACCOUNT, job.id)
    await jobs.start(ACCOUNT, "resume", "sleeper", wanted, "ann", IdempotencyKey("resume", "request"))


async def _changes_schedules(scene: Scene) -> None:
    engine = scene.engine.engine
    await change(engine, ACCOUNT, "report", EVERY_HOUR, ScheduleChanges(overlap="skip"))
    with suppress(InstanceAlreadyExists):
        await engine.store.run(RunSchedule(ACCOUNT, "report", EVERY_HOUR, "manual-1", engine.clock.now()))


async def _sends(scene: Scene) -> None:
    await scene.send("order", "o", "late", f'"{flows.LARGE}"')


async def _forks(scene: Scene) -> None:
    fork = Fork(FromStep("letters"), "fork", outputs={"charge-1": '{"paid": 4}'})
    with suppress(InstanceAlreadyExists):
        await Forks(scene.engine.store, scene.engine.clock).fork(ACCOUNT, "order", "o", fork)


async def _brings_in(scene: Scene) -> None:
    lines = [line async for line in export(scene.engine.store, ACCOUNT, "order", "o")]
    # The first time the end is missing: what has come in is given up.
    for end in (-1, len(lines)):
        with suppress(InstanceAlreadyExists, InvalidInput):
            await import_next(scene.engine.store, ACCOUNT, iter(enumerate(lines[:end], 1)), "brought")


async def _deletes(scene: Scene) -> None:
    with suppress(InstanceNotFound, WorkflowNotFound):
        await scene.engine.engine.control.delete(ACCOUNT, "brief", "deleted")
    with suppress(WorkflowNotFound):
        await scene.engine.store.run(DeleteWorkflow(ACCOUNT, DELETED, scene.engine.clock.now()))


async def _ends_the_rest(scene: Scene) -> None:
    await scene.resume_rollback("trip", "t2")
    await scene.terminate("family", "f")
    await scene.engine.engine.terminations.start(ACCOUNT, "sleeper", ["waiting", "paused"])


def _until(minutes: float) -> Act:
    async def pass_time(scene: Scene) -> None:
        await scene.until(minutes)

    return pass_time


ACTS: Sequence[Act] = (
    _settles,
    _has_webhooks,
    _creates,
    _creates_trips,
    _creates_queues,
    _until(1),
    _opens_gates,
    _creates_sleepers,
    _stops_the_worker,
    _loses_the_worker,
    _until(5),
    _pauses,
    _begins_jobs,
    _terminates,
    _moves,
    _until(20),
    _resumes,
    _restarts,
    _decides,
    _decides_again,
    _changes_schedules,
    _until(47),
    _sends,
    _until(70),
    _decides_again,
    _forks,
    _brings_in,
    _deletes,
    _until(90),
    _decides_again,
    _until(120),
    _ends_the_rest,
    _until(130),
    _delivers,
)


@dataclass(frozen=True)
class Outcome:
    """What has become of an instance: as it is shown, and the facts of its history that no crash may change."""

    status: str
    output: str | None
    error: Failure | None
    rollback: object
    labels: dict[str, str]
    said: list[str]
    facts: list[str]


# When there was a turn, an attempt and a slot is a matter of crashes; so is whether a pause found anything in flight.
_OF_TURNS = (Running, Waiting, Queued, SlotGiven, Paused, AttemptStarted, AttemptLost, AttemptInterrupted)
# Moments, and what names another record, a version or an attempt.
_UNTOLD = {"at", "until", "deadline", "retry_at", "attempt", "event_seq", "from_seq", "version", "before", "stream"}


@dataclass(frozen=True)
class Ending:
    """What has become of each instance, by workflow and id; what there is beside them; and the kinds of all records."""

    outcomes: dict[str, Outcome]
    rest: dict[str, Any]
    kinds: frozenset[type[Record]]


async def ending(engine: TestEngine) -> Ending:
    """Return what a scenario has come to."""
    rows = await _rows(engine)
    outcomes = {f"{row.workflow}/{row.id}": await _outcome(engine, row.workflow, row.id) for row in rows}
    found = [await engine.store.run(GetInstance(ACCOUNT, row.workflow, row.id)) for row in rows]
    kinds = frozenset(type(record) for each in found for _, record in codec.from_rows(each.records))
    return Ending(outcomes, await _rest(engine), kinds)


async def _rest(engine: TestEngine) -> dict[str, Any]:
    limits = await engine.engine.limits(ACCOUNT)
    jobs = (await engine.engine.jobs.list(ACCOUNT, limit=100)).jobs
    schedules = (await engine.store.run(ListSchedules(ACCOUNT, 100))).rows
    workflows = (await engine.engine.workflows(ACCOUNT, limit=100)).rows
    return {
        "slots": [(gate.workflow, gate.held, gate.queued) for gate in limits.gates if gate.workflow != DELETED],
        "shared slots": [(limit.name, limit.held, limit.waiting, limit.is_set) for limit in limits.shared],
        "jobs": sorted((job.verb, job.done, job.ended_at is not None) for job in jobs),
        "schedules": [(each.workflow, each.cron, each.overlap, each.next_at, each.last_id) for each in schedules],
        "settings": await engine.engine.account_settings(ACCOUNT),
        "triggers": await engine.engine.triggers(ACCOUNT, "tests"),
        "told": await _told(engine),
        "counts": [(row.name, row.counts) for row in workflows if row.name != DELETED],
    }


async def _told(engine: TestEngine) -> dict[str, int]:
    """Return how often a webhook is told of each event; what waits for a slot is told as it comes.

    A pause that waits for an attempt in flight comes about at once where whoever held the instance is gone.
    """
    found = await engine.store.run(ListDeliveries(ACCOUNT, "hook", 1_000))
    told = Counter(f"{one.event} {one.workflow}/{one.instance}" for one in found if one.event != TEST)
    return {what: count for what, count in told.items() if what not in {"paused stuck/h", "started stuck/h"}}


async def _rows(engine: TestEngine) -> list[InstanceRow]:
    rows: list[InstanceRow] = []
    for workflow in (each.__name__.lower() for each in WORKFLOWS):
        with suppress(WorkflowNotFound):
            rows += (await engine.store.run(ListInstances(ACCOUNT, workflow, limit=100))).rows
    return rows


async def _outcome(engine: TestEngine, workflow: str, id: str) -> Outcome:
    view = await engine.engine.get(ACCOUNT, workflow, id)
    page = await engine.engine.log(ACCOUNT, workflow, id, 0, 100)
    labels = (await engine.store.run(ReadLabels(view.row.row))).labels
    rows = (await engine.store.run(GetInstance(ACCOUNT, workflow, id))).records
    history = codec.from_rows(rows)
    assert state_of(view.row) == fold(record for _, record in history)
    # Tracebacks are for people, and may be lost with the worker.
    said = [line.text for line in page.lines if line.level != "ERROR"]
    facts = [await _fact(engine, record, history) for _, record in history if not isinstance(record, _OF_TURNS)]
    told = (view.row.status, view.output, view.log.error, view.log.rollback)
    return Outcome(*told, labels, said, sorted(facts))


async def _fact(engine: TestEngine, record: Record, history: Sequence[Recorded]) -> str:
    told = {name: getattr(record, name) for name in record.__struct_fields__ if name not in _UNTOLD}
    if told.get("value") is not None:
        told["value"] = await engine.engine.payload(told["value"])
    if isinstance(record, WaitEnded) and record.event_seq is not None:
        told["event"] = await _fact(engine, history[record.event_seq - 1].record, history)
    return f"{type(record).__name__} {told}"
