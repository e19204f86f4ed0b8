"""Schedules in virtual time: each firing has one instance, and what is said of a schedule holds."""

import asyncio
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from stepwell import WorkflowEntrypoint, schedules
from stepwell.clock import VirtualClock
from stepwell.engine import WorkflowPut
from stepwell.errors import InvalidInput, ScheduleNotFound, ScriptError, WorkflowNotFound
from stepwell.firings import Firings
from stepwell.flow import Flow
from stepwell.schedules import LastInstance, ScheduleChanges, ScheduleShown
from stepwell.store.operations import ListInstances, Operation, VersionSettings
from stepwell.store.schedule_operations import FireSchedules
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from tests.engine.stores import RefusingStore, refused
from tests.store.copies import inside

A = TypeVar("A")

# 2026-09-21T14:13:20Z, the beginning of tests; the whole minute behind it.
FIRST = 1_790_000_040_000
MINUTE = 60_000
EVERY_MINUTE = "* * * * *"
# Read before there is a loop, which that would block: a store in memory has no thread.
BERLIN = ZoneInfo("Europe/Berlin")

pytestmark = pytest.mark.usefixtures("no_defect")


class Report(WorkflowEntrypoint):
    """Returns what made it."""

    schedules = EVERY_MINUTE

    async def run(self, event, step):
        return [event["payload"], event["schedule"], event.schedule == event["schedule"], event["instanceId"]]


class Slow(WorkflowEntrypoint):
    """Takes two and a half minutes."""

    schedules = (EVERY_MINUTE,)

    async def run(self, event, step):
        await step.sleep("work", "150 seconds")


class Single(Slow):
    """Is one at a time: another that is created is the one that is there."""

    flow = Flow(singleton="skip")


class Plain(WorkflowEntrypoint):
    """Has no schedule by itself."""

    async def run(self, event, step):
        return event.schedule


async def ids(engine: TestEngine, workflow: str) -> list[str]:
    """Return the ids of a workflow's instances, oldest first."""
    found = await engine.store.run(ListInstances(ACCOUNT, workflow, 1_000, ascending=True))
    return [row.id for row in found.rows]


async def statuses(engine: TestEngine, workflow: str) -> list[str]:
    """Return the statuses of a workflow's instances, oldest first."""
    found = await engine.store.run(ListInstances(ACCOUNT, workflow, 1_000, ascending=True))
    return [row.status for row in found.rows]


async def shown(engine: TestEngine, workflow: str) -> ScheduleShown:
    """Return a workflow's only schedule."""
    (found,), _ = await schedules.page(engine.engine, ACCOUNT, limit=10, workflow=workflow)
    return found


async def change(engine: TestEngine, workflow: str, **said: object) -> ScheduleShown:
    """Change the schedule of every minute."""
    changes = ScheduleChanges(**said)  # type: ignore[arg-type]  # each test knows what it says
    return await schedules.change(engine.engine, ACCOUNT, workflow, EVERY_MINUTE, changes)


async def put(engine: TestEngine, *crons: str, workflow: str = "plain", class_name: str = "Plain") -> None:
    """Give a workflow these schedules."""
    settings = VersionSettings(schedules=crons)
    await engine.engine.put_workflow(ACCOUNT, workflow, WorkflowPut("tests", class_name, settings))


async def test_each_firing_has_one_instance() -> None:
    """Ids name expression and moment, and nothing is left out or made twice."""
    async with TestEngine.open([Report]) as engine:
        await engine.advance("10 minutes")

        assert await ids(engine, "report") == [f"* * * * *-{FIRST + n * MINUTE}" for n in range(10)]


async def test_instance_knows_its_firing() -> None:
    """Code gets an empty payload, the expression and the moment; the log has them, and `cron` as the trigger."""
    async with TestEngine.open([Report]) as engine:
        await engine.advance("1 minute")
        instance = engine.instance(Report, f"* * * * *-{FIRST}")

        firing = {"cron": "* * * * *", "scheduledTime": FIRST}
        assert await instance.output() == [{}, firing, True, f"* * * * *-{FIRST}"]
        log = await instance.log()
        assert (log.trigger, log.schedule and (log.schedule.cron, log.schedule.scheduled_at)) == (
            "cron",
            ("* * * * *", FIRST),
        )


async def test_instance_of_no_schedule_has_none() -> None:
    """Who creates an instance finds no schedule in its event, nor in its log."""
    async with TestEngine.open([Plain]) as engine:
        instance = await engine.create(Plain)
        await engine.run_until_idle()

        assert await instance.output() is None
        assert (await instance.log()).schedule is None


async def test_missed_firings_are_made_up_for_once() -> None:
    """However many a server that was off has missed, the last of them is made up for; then it goes on as before."""
    async with TestEngine.open([Report]) as engine:
        await engine.stop_firing()
        await engine.advance("3 hours")
        engine.start_firing()
        await engine.run_until_idle()

        assert await ids(engine, "report") == [f"* * * * *-{FIRST + 179 * MINUTE}"]
        await engine.advance("1 minute")
        assert (await ids(engine, "report"))[1:] == [f"* * * * *-{FIRST + 180 * MINUTE}"]


async def test_firing_that_is_too_old_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A last firing that is older than the setting is not made up for, and the log says so."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, "0 0 1 * *")
        await engine.stop_firing()
        # 2026-10-08T14:13:20Z: a week, and more, after the first of the month.
        await engine.advance("17 days")
        engine.start_firing()
        await engine.run_until_idle()

        assert await ids(engine, "plain") == []
        assert (await shown(engine, "plain")).next[0] == "2026-11-01T00:00:00.000Z"
        assert "1 schedules have missed their last firing" in caplog.text


async def test_put_replaces_schedules() -> None:
    """What a PUT does not name fires no more, what is new fires, and what was there goes on as it was."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, EVERY_MINUTE, "*/2 * * * *")
        await change(engine, "plain", overlap="skip", time_zone="Europe/Berlin")
        await engine.advance("1 minute")
        await put(engine, EVERY_MINUTE, "*/5 * * * *")

        await engine.advance("1 minute")

        assert await ids(engine, "plain") == [
            f"* * * * *-{FIRST}",
            f"*/2 * * * *-{FIRST}",
            f"* * * * *-{FIRST + MINUTE}",
            f"*/5 * * * *-{FIRST + MINUTE}",
        ]
        kept, new = (await schedules.page(engine.engine, ACCOUNT, limit=10))[0]
        assert (kept.overlap, kept.time_zone, new.overlap, new.time_zone) == ("skip", "Europe/Berlin", "allow", "UTC")


async def test_put_without_schedules_has_none() -> None:
    """A PUT is all that is said of a workflow: it takes the schedules of its class away, too."""
    async with TestEngine.open([Report]) as engine:
        await put(engine, workflow="report", class_name="Report")
        await engine.advance("5 minutes")

        assert await ids(engine, "report") == []
        assert (await engine.engine.workflow(ACCOUNT, "report")).schedules == ()


async def test_deleted_workflow_fires_no_more() -> None:
    """With the workflow its schedules are gone, and one of the same name has its own."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, EVERY_MINUTE)
        await engine.engine.delete_workflow(ACCOUNT, "plain")
        await engine.advance("2 minutes")
        await put(engine)
        await engine.advance("2 minutes")

        assert await ids(engine, "plain") == []
        assert await schedules.page(engine.engine, ACCOUNT, limit=10) == ([], 0)


async def test_paused_schedule_does_not_fire() -> None:
    """While it is paused nothing is created; when it is resumed it goes on, and makes up for nothing."""
    async with TestEngine.open([Report]) as engine:
        paused = await change(engine, "report", paused=True)
        assert (paused.paused_on, paused.next) == ("2026-09-21T14:13:20.000Z", [])
        assert (await engine.engine.workflow(ACCOUNT, "report")).schedules[0].next_at is None
        await engine.advance("5 minutes")
        assert await ids(engine, "report") == []

        resumed = await change(engine, "report", paused=False)
        await engine.advance("1 minute")

        assert (resumed.paused_on, resumed.next[0]) == (None, "2026-09-21T14:19:00.000Z")
        assert await ids(engine, "report") == [f"* * * * *-{FIRST + 5 * MINUTE}"]


async def test_overlapping_firing_is_skipped() -> None:
    """While an instance of the schedule has not ended no other is made; how many were left out is told."""
    async with TestEngine.open([Slow]) as engine:
        await change(engine, "slow", overlap="skip")

        await engine.advance("4 minutes")

        assert await ids(engine, "slow") == [f"* * * * *-{FIRST}", f"* * * * *-{FIRST + 3 * MINUTE}"]
        schedule = await shown(engine, "slow")
        assert (schedule.skipped, schedule.skipped_on) == (2, "2026-09-21T14:16:00.000Z")
        assert schedule.last == LastInstance(f"* * * * *-{FIRST + 3 * MINUTE}", "waiting", "2026-09-21T14:17:00.000Z")


async def test_overlapping_instance_is_terminated() -> None:
    """With `cancel` the firing is made, and all earlier instances of the schedule that have not ended are ended."""
    async with TestEngine.open([Slow]) as engine:
        await engine.advance("2 minutes")
        other = await engine.create(Slow)
        assert await statuses(engine, "slow") == ["waiting", "waiting", "queued"]
        await change(engine, "slow", overlap="cancel")

        await engine.advance("1 minute")

        assert await statuses(engine, "slow") == ["terminated", "terminated", "waiting", "waiting"]
        assert await other.status() == "waiting"
        assert (await engine.instance(Slow, f"* * * * *-{FIRST}").log()).entries[-1].trigger == "cron"  # type: ignore[union-attr]  # the termination


async def test_overlapping_firings_are_allowed() -> None:
    """Where nothing is said, instances go on side by side."""
    async with TestEngine.open([Slow]) as engine:
        await engine.advance("3 minutes")

        assert await statuses(engine, "slow") == ["waiting"] * 3


@pytest.mark.parametrize("overlap", ["allow", "skip", "cancel"])
async def test_firing_that_the_flow_skips_is_skipped(overlap: str) -> None:
    """The instance that is there was made by someone else: it is not the schedule's, and is not terminated as such."""
    async with TestEngine.open([Single]) as engine:
        other = await engine.create(Single)
        await change(engine, "single", overlap=overlap)

        await engine.advance("2 minutes")

        assert await ids(engine, "single") == [other.id]
        assert await other.status() == "waiting"
        schedule = await shown(engine, "single")
        assert (schedule.skipped, schedule.last) == (2, None)


async def test_firing_replaces_the_only_one_that_there_may_be() -> None:
    """What a firing ends by `cancel` is in the way of no other, also if the flow allows one instance only."""
    async with TestEngine.open([Single]) as engine:
        await change(engine, "single", overlap="cancel")

        await engine.advance("2 minutes")

        assert await ids(engine, "single") == [f"* * * * *-{FIRST}", f"* * * * *-{FIRST + MINUTE}"]
        assert await statuses(engine, "single") == ["terminated", "waiting"]


async def test_schedule_goes_by_its_time_zone() -> None:
    """Noon is noon there, also when the clocks have been set; the id has the moment."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, "0 12 * * *")
        named = (engine.engine, ACCOUNT, "plain", "0 12 * * *")
        found = await schedules.change(*named, ScheduleChanges(time_zone="Europe/Berlin"))
        assert found.next[0] == "2026-09-22T10:00:00.000Z"

        await engine.advance("40 days")

        made = await ids(engine, "plain")
        assert (made[0], made[-1]) == ("0 12 * * *-1790071200000", "0 12 * * *-1793444400000")


async def test_schedule_is_run_by_hand() -> None:
    """At once and even if it is paused, under an id that no firing has, with this moment; it counts as the last one."""
    async with TestEngine.open([Report]) as engine:
        await change(engine, "report", paused=True)

        row = await schedules.run_now(engine.engine, ACCOUNT, "report", EVERY_MINUTE)
        await engine.run_until_idle()

        assert (row.id.startswith("manual-"), row.trigger) == (True, "api")
        firing = {"cron": EVERY_MINUTE, "scheduledTime": 1_790_000_000_000}
        instance: TestInstance = engine.instance(Report, row.id)
        assert await instance.output() == [{}, firing, True, row.id]
        assert (await shown(engine, "report")).last == LastInstance(row.id, "complete", "2026-09-21T14:13:20.000Z")


async def test_instance_that_was_run_by_hand_is_not_overlapped() -> None:
    """It is one of the schedule's, so a firing that overlaps with it is skipped."""
    async with TestEngine.open([Slow]) as engine:
        await change(engine, "slow", overlap="skip")
        row = await schedules.run_now(engine.engine, ACCOUNT, "slow", EVERY_MINUTE)

        await engine.advance("1 minute")

        assert await ids(engine, "slow") == [row.id]


async def test_last_instance_that_was_deleted_is_none() -> None:
    """A schedule shows no instance that is not there, and goes on."""
    async with TestEngine.open([Report]) as engine:
        await engine.advance("1 minute")
        await engine.instance(Report, f"* * * * *-{FIRST}").delete()

        assert (await shown(engine, "report")).last is None
        await engine.advance("1 minute")
        assert await ids(engine, "report") == [f"* * * * *-{FIRST + MINUTE}"]


async def test_clock_that_was_far_ahead_is_seen_and_made_up_for() -> None:
    """A schedule that fired for a time that has not come shows when it fires next, and is reckoned anew by a resume."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, EVERY_MINUTE)
        await engine.store.run(FireSchedules(FIRST + 525_600 * MINUTE, 0))

        assert (await shown(engine, "plain")).next[:2] == ["2027-09-21T14:15:00.000Z", "2027-09-21T14:16:00.000Z"]

        await change(engine, "plain", paused=True)
        assert (await change(engine, "plain", paused=False)).next[0] == "2026-09-21T14:14:00.000Z"


async def test_what_is_not_there_is_told() -> None:
    """Workflow and expression are named where they are missing, and a time zone that is none."""
    async with TestEngine.open([Plain]) as engine:
        with pytest.raises(WorkflowNotFound):
            await schedules.get(engine.engine, ACCOUNT, "none", EVERY_MINUTE)
        with pytest.raises(ScheduleNotFound, match=r'workflow "plain" has no schedule ". . . . ."'):
            await schedules.get(engine.engine, ACCOUNT, "plain", EVERY_MINUTE)
        with pytest.raises(ScheduleNotFound):
            await schedules.run_now(engine.engine, ACCOUNT, "plain", EVERY_MINUTE)
        with pytest.raises(InvalidInput, match='such as "Europe/Berlin", got "Berlin"'):
            await change(engine, "plain", time_zone="Berlin")


async def test_wrong_expression_of_a_class_is_refused() -> None:
    """A class whose expression is wrong is not taken, and which one is said."""

    class Wrong(WorkflowEntrypoint):
        schedules = ("0 0 * * *", "0 0 32 * *")

    with pytest.raises(ScriptError, match=r"`schedules` of the class Wrong: .* field 3, the day of month"):
        async with TestEngine.open([Wrong]):
            pass


async def test_idle_schedules_cost_no_time() -> None:
    """A test of a year with a yearly schedule takes a few steps: the clock rings for what is due alone."""
    async with TestEngine.open([Plain]) as engine:
        await put(engine, "0 0 1 1 *")
        await engine.advance("365 days")

        assert await ids(engine, "plain") == ["0 0 1 1 *-1798761600000"]


# ---- a host


@pytest.mark.sqlite
async def test_host_looks_at_each_whole_minute() -> None:
    """What another host has changed, and nobody has told, fires at its minute all the same."""
    store, clock = SqliteStore.in_memory(), VirtualClock()
    async with TestEngine.open([Plain], store=store, clock=clock) as engine:
        await put(engine, "0 0 1 1 *")
        await engine.stop_firing()
        host = asyncio.create_task(Firings(store, clock, MINUTE).run())
        await engine.run_until_idle()
        inside(store).execute("update schedules set cron = '* * * * *', next_at = ?", (FIRST + MINUTE,))

        await engine.advance("1 minute")
        assert await ids(engine, "plain") == []
        await engine.advance("1 minute")

        assert await ids(engine, "plain") == [f"* * * * *-{FIRST + MINUTE}"]
        host.cancel()
        await asyncio.wait([host])
    await store.close()


class FullStore(RefusingStore):
    """Refuses firings, too."""

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        if self.refuses and isinstance(operation, FireSchedules):
            return refused("the disk is full")
        return super().run(operation)


async def test_firing_waits_for_a_store_that_refuses() -> None:
    """A firing is asked for again each second, and is the one that was due."""
    store = FullStore()
    async with TestEngine.open([Report], store=store) as engine:
        await engine.advance("39 seconds")
        store.refuses = True
        await engine.advance("5 seconds")
        assert await ids(engine, "report") == []
        store.refuses = False

        await engine.advance("1 second")

        assert await ids(engine, "report") == [f"* * * * *-{FIRST}"]
