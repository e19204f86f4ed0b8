"""What is done to an instance from outside meets what its turn does: each order, at each point, by name."""

import asyncio

import pytest

from stepwell.errors import InstanceFinished, InstanceNotFound, StepNotInHistory
from stepwell.testing import TestEngine
from tests.engine.flows import NOW, workflow
from tests.engine.holds import HeldStore, Hold
from tests.engine.trips import ACTS, HOUR_MS, Scene, delete_and_create, tripping

BOTH = pytest.mark.parametrize("when", ["before", "after"])


@pytest.fixture(autouse=True)
def _no_defect(no_defect: None) -> None:
    """No test here may end a turn by a defect."""


# ---- an event and the time-out of its wait


async def _held_before_the_deadline(scene: Scene, point: str, when: str) -> Hold:
    """Bring the instance to the last millisecond of its wait, and hold what comes to a point from then on."""
    await scene.engine.advance(2 * HOUR_MS - 1)
    assert await scene.instance.status() == "waiting"
    return scene.store.hold(point, when)


@BOTH
async def test_event_of_the_deadline_comes_first(when: str) -> None:
    """An event that comes in the millisecond of the deadline, before the time-out is decided, is met."""
    async with tripping() as scene:
        hold = await _held_before_the_deadline(scene, "claim", when)
        await hold.reached(scene.engine)
        assert scene.engine.clock.now() == NOW + 2 * HOUR_MS

        await scene.instance.send_event("go", "yes")
        hold.let_go()

        assert await scene.end() == [1, 2, "yes", 3]


@BOTH
async def test_event_behind_the_deadline_comes_first(when: str) -> None:
    """An event that comes a millisecond too late is not met, though the time-out was not decided yet."""
    async with tripping() as scene:
        hold = await _held_before_the_deadline(scene, "claim", when)
        await hold.reached(scene.engine)

        scene.engine.clock.move_to(NOW + 2 * HOUR_MS + 1)
        await scene.instance.send_event("go", "too late")
        hold.let_go()

        assert await scene.end() == [1, 2, "late", 3]


@BOTH
async def test_time_out_was_decided_before_the_event(when: str) -> None:
    """A time-out that is decided stands, though an event of the same millisecond reaches the store before it."""
    async with tripping() as scene:
        hold = await _held_before_the_deadline(scene, "wait's end", when)
        await hold.reached(scene.engine)

        await scene.instance.send_event("go", "too late")
        hold.let_go()

        assert await scene.end() == [1, 2, "late", 3]


@BOTH
async def test_event_was_met_before_the_deadline(when: str) -> None:
    """A wait that has met its event stays so, though the record of it is stored behind the deadline."""
    async with tripping() as scene:
        hold = await _held_before_the_deadline(scene, "wait's end", when)
        await scene.instance.send_event("go", "yes")
        await hold.reached(scene.engine)

        scene.engine.clock.move_to(NOW + 3 * HOUR_MS)
        hold.let_go()

        assert await scene.end() == [1, 2, "yes", 3]


# ---- pause and resume


async def test_pause_before_the_end_is_stored() -> None:
    """What has completed before it could be paused is complete."""
    async with tripping() as scene:
        hold = scene.store.hold("end")
        await hold.reached(scene.engine)

        assert await scene.instance.pause() == "waitingForPause"
        hold.let_go()
        await scene.engine.run_until_idle()

        assert await scene.instance.status() == "complete"
        assert scene.kinds()[-2:] == ["PauseAsked", "Completed"]


async def test_pause_after_the_end_is_stored() -> None:
    """An instance that has ended is not paused, though its turn does not know yet that its end is stored."""
    async with tripping() as scene:
        hold = scene.store.hold("end", "after")
        await hold.reached(scene.engine)

        with pytest.raises(InstanceFinished, match="is complete"):
            await scene.instance.pause()
        hold.let_go()

        assert await scene.end() == [1, 2, "late", 3]
        assert "PauseAsked" not in scene.kinds()


@pytest.mark.parametrize(
    ("when", "answer", "tail"),
    [
        pytest.param("before", "waitingForPause", ["SleepStarted", "PauseAsked", "Paused"], id="before"),
        pytest.param("after", "paused", ["Waiting", "PauseAsked", "Paused"], id="after"),
    ],
)
async def test_pause_meets_a_park(when: str, answer: str, tail: list[str]) -> None:
    """A turn that is about to park hears of a pause and pauses; one that has parked has nothing to hear."""
    async with tripping() as scene:
        hold = scene.store.hold("park", when)
        await hold.reached(scene.engine)

        assert await scene.instance.pause() == answer
        hold.let_go()
        await scene.engine.run_until_idle()

        assert (await scene.instance.status(), scene.kinds()[-3:]) == ("paused", tail)
        await scene.engine.advance("1 day")
        assert await scene.instance.status() == "paused"
        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "three"]


@BOTH
async def test_pause_meets_a_result(when: str) -> None:
    """A result that is on its way when the pause is asked for is stored; nothing begins behind it."""
    async with tripping() as scene:
        hold = scene.store.hold("success", when)
        await hold.reached(scene.engine)

        assert await scene.instance.pause() == "waitingForPause"
        hold.let_go()
        await scene.engine.run_until_idle()

        assert (await scene.instance.status(), scene.succeeded(), scene.bodies) == ("paused", ["one"], ["one"])
        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("when", "answer", "tail"),
    [
        pytest.param("before", "running", ["StepSucceeded", "Resumed", "Running"], id="before"),
        pytest.param("after", "queued", ["Paused", "Resumed", "Running"], id="after"),
    ],
)
async def test_resume_meets_the_end_of_a_pausing_turn(when: str, answer: str, tail: list[str]) -> None:
    """A turn that is about to pause hears of the resume and lets the instance go on; one that has paused is over."""
    async with tripping(is_open=False) as scene:
        await scene.engine.run_until_idle()
        await scene.instance.pause()
        hold = scene.store.hold("paused", when)
        scene.gate.set()
        await hold.reached(scene.engine)
        claim = scene.store.hold("claim", "after")

        assert await scene.instance.resume() == answer
        hold.let_go()
        await claim.reached(scene.engine)
        assert (await scene.instance.status(), scene.kinds()[-3:]) == ("running", tail)
        claim.let_go()

        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "three"]


async def test_resume_meets_a_result_of_a_worker_that_stops() -> None:
    """A turn that stops in a pause hears of a resume that comes while its last result is on the way."""
    async with tripping(is_open=False) as scene:
        await scene.engine.run_until_idle()
        await scene.instance.pause()
        await scene.engine.run_until_idle()
        hold = scene.store.hold("success")
        scene.gate.set()
        await hold.reached(scene.engine)

        await scene.instance.resume()
        stop = asyncio.create_task(scene.engine.stop())
        await scene.engine.run_until_idle()
        hold.let_go()
        await stop

        assert scene.kinds()[-2:] == ["Resumed", "StepSucceeded"]
        assert await scene.instance.status() == "running"
        await scene.engine.start_worker()
        assert await scene.end() == [1, 2, "late", 3]


@BOTH
async def test_pause_meets_a_worker_that_stops(when: str) -> None:
    """A turn that stops while it is being told of a pause leaves the instance paused."""
    async with tripping(is_open=False) as scene:
        await scene.engine.run_until_idle()
        hold = scene.store.hold("look", when)
        await scene.instance.pause()
        await hold.reached(scene.engine)

        stop = asyncio.create_task(scene.engine.stop())
        await scene.engine.run_until_idle()
        hold.let_go()
        await stop

        assert scene.kinds()[-3:] == ["PauseAsked", "AttemptInterrupted", "Paused"]
        assert await scene.instance.status() == "paused"
        await scene.engine.start_worker()
        assert await scene.end() == [1, 2, "late", 3]


async def test_resume_meets_a_defect_in_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    """A turn that ends by a defect while it is pausing leaves the instance running if it is resumed meanwhile."""
    async with tripping(is_open=False) as scene:
        await scene.engine.run_until_idle()
        await scene.instance.pause()
        await scene.engine.run_until_idle()
        hold = scene.store.hold("paused")
        worker = scene.engine._worker
        assert worker is not None
        (turn,) = worker.turns.values()
        turn.broke(RuntimeError("a defect"))
        await hold.reached(scene.engine)
        caplog.clear()

        await scene.instance.resume()
        hold.let_go()
        await scene.engine.run_until_idle()

        assert await scene.instance.status() == "running"
        assert await scene.end() == [1, 2, "late", 3]


# ---- terminate


@pytest.mark.parametrize(
    ("when", "recorded"),
    [
        pytest.param("before", ["AttemptStarted", "Terminated"], id="before"),
        pytest.param("after", ["AttemptStarted", "StepSucceeded", "Terminated"], id="after"),
    ],
)
async def test_terminate_meets_a_result(when: str, recorded: list[str]) -> None:
    """A result that reaches the store behind a termination is not recorded; one that was there before it stays."""
    async with tripping() as scene:
        hold = scene.store.hold("success", when)
        await hold.reached(scene.engine)

        await scene.instance.terminate()
        hold.let_go()
        await scene.end()

        assert (scene.kinds(), scene.bodies) == (["Created", "Running", *recorded], ["one"])


# ---- restart


@BOTH
async def test_restart_meets_a_result(when: str) -> None:
    """A restart as a whole forgets a result, whether it was stored already or was on its way; the body runs again."""
    async with tripping() as scene:
        hold = scene.store.hold("success", when)
        await hold.reached(scene.engine)

        assert await scene.instance.restart() == "queued"
        assert scene.succeeded() == []
        hold.let_go()

        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "one", "two", "three"]


@BOTH
async def test_restart_meets_a_park(when: str) -> None:
    """A turn that parks behind a restart does not put the instance to sleep."""
    async with tripping() as scene:
        hold = scene.store.hold("park", when)
        await hold.reached(scene.engine)

        await scene.instance.restart()
        claim = scene.store.hold("claim", "after")
        hold.let_go()
        await claim.reached(scene.engine)
        assert scene.kinds()[-2:] == ["Restarted", "Running"]
        claim.let_go()

        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "one", "two", "three"]


@pytest.mark.parametrize(
    ("when", "bodies"),
    [
        pytest.param("before", ["one", "two", "two", "three"], id="before"),
        pytest.param("after", ["one", "two", "two", "three"], id="after"),
    ],
)
async def test_restart_from_a_step_meets_a_later_one(when: str, bodies: list[str]) -> None:
    """A step that begins between the look at the history and the restart from an earlier one is forgotten too."""
    async with tripping() as scene:
        await scene.engine.advance(HOUR_MS - 1)
        restart = scene.store.hold("restart")
        asked = asyncio.create_task(scene.instance.restart("two"))
        await restart.comes_by_itself()
        # Meanwhile the sleep ends, and the wait begins and ends.
        await scene.engine.crash()
        await scene.engine.start_worker()
        hold = scene.store.hold("wait's end", when)
        await hold.reached(scene.engine)

        restart.let_go()
        assert await asked == "queued"
        hold.let_go()
        await scene.engine.run_until_idle()

        log = await scene.instance.log()
        assert [getattr(entry, "name", "") for entry in log.entries] == ["one-1", "two-1", "nap-1"]
        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == bodies


async def test_restart_from_a_step_meets_another_restart() -> None:
    """A restart from a step looks again at an instance that was restarted since it looked."""
    async with tripping() as scene:
        await scene.engine.run_until_idle()
        await scene.engine.crash()
        hold = scene.store.hold("restart")
        asked = asyncio.create_task(scene.instance.restart("two"))
        await hold.comes_by_itself()

        await scene.instance.restart()
        hold.let_go()

        with pytest.raises(StepNotInHistory):
            await asked
        await scene.engine.start_worker()
        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "one", "two", "three"]


async def test_restart_from_a_step_meets_another_instance_of_the_id() -> None:
    """A restart from a step that was found in a deleted instance is not done to the new one of the same id."""
    async with tripping() as scene:
        await scene.engine.run_until_idle()
        await scene.engine.crash()
        hold = scene.store.hold("restart")
        asked = asyncio.create_task(scene.instance.restart("two"))
        await hold.comes_by_itself()

        await delete_and_create(scene)
        hold.let_go()

        with pytest.raises(StepNotInHistory):
            await asked
        assert scene.kinds() == ["Created"]


# ---- delete


async def test_delete_before_the_claim() -> None:
    """An instance that is deleted before a claim reaches the store is not claimed."""
    async with tripping() as scene:
        hold = scene.store.hold("claim")
        await hold.reached(scene.engine)

        await scene.instance.delete()
        hold.let_go()
        await scene.engine.run_until_idle()

        with pytest.raises(InstanceNotFound):
            await scene.instance.view()
        assert scene.bodies == []


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "dies"])
@pytest.mark.parametrize("point", ["success", "notes", "park", "wait's end", "end"])
async def test_nothing_of_a_deleted_instance_reaches_its_successor(point: str, dies: bool) -> None:
    """What an old turn still sends does not touch a new instance of the same id, whether its worker lives or died."""
    async with tripping() as scene:
        hold = scene.store.hold(point)
        await hold.reached(scene.engine)
        if dies:
            await scene.begin_again()

        await delete_and_create(scene)
        before = (await scene.instance.view()).row
        hold.let_go()
        assert (await scene.instance.view()).row == before
        scene.bodies.clear()

        assert await scene.end() == [1, 2, "late", 3]
        assert scene.bodies == ["one", "two", "three"]
        page = await scene.engine.engine.log("local", "trip", "a", 0, 100)
        assert [line.text for line in page.lines] == ["between"]


# ---- a worker that does not have the workflow


@pytest.mark.parametrize(("act", "status"), [("event", "waiting"), ("pause", "paused")])
async def test_act_meets_the_rest_of_an_unknown_workflow(act: str, status: str) -> None:
    """An instance that a worker puts back, as its files lack the workflow, is put back whatever meets it."""
    async with tripping() as scene:
        worker = scene.engine._worker
        assert worker is not None
        worker._workflows, worker._classes = {}, {}
        hold = scene.store.hold("park")
        await hold.reached(scene.engine)

        await ACTS[act](scene)
        hold.let_go()
        await scene.engine.run_until_idle()

        assert await scene.instance.status() == status
        await scene.begin_again()
        assert await scene.end() == [1, 2, "yes" if act == "event" else "late", 3]


# ---- a turn that is over before it has begun


@pytest.mark.parametrize(("point", "when"), [("read", "before"), ("claim", "after")])
@pytest.mark.parametrize("act", ["terminate", "restart", "delete and create"])
async def test_turn_that_is_lost_before_it_begins(
    request: pytest.FixtureRequest, point: str, when: str, act: str
) -> None:
    """A turn that was lost before it has its history does not call the author's code, and is no defect."""
    if point == "read":
        request.getfixturevalue("bare_claims")
    async with tripping() as scene:
        hold = scene.store.hold(point, when)
        await hold.reached(scene.engine)
        await ACTS[act](scene)
        behind = scene.store.hold("claim")
        hold.let_go()
        await behind.reached(scene.engine)
        assert scene.bodies == []
        behind.let_go()
        await scene.end()

        assert scene.bodies == ([] if act == "terminate" else ["one", "two", "three"])


# ---- a value that lies apart


async def test_instance_is_deleted_before_its_large_params_are_read() -> None:
    """A value that is gone with its instance is no damage: the turn has been lost."""

    async def run(event, step):
        return 1

    store = HeldStore()
    async with TestEngine.open([flow := workflow(run)], store=store) as engine:
        instance = await engine.create(flow, id="a", params="x" * 50_000)
        hold = store.hold("payload", "before")
        await hold.reached(engine)

        await instance.delete()
        hold.let_go()
        await engine.run_until_idle()

        with pytest.raises(InstanceNotFound):
            await instance.view()
    await store.close()


async def test_instance_is_deleted_before_a_large_result_is_read() -> None:
    """The same while a replay waits for it."""

    async def run(event, step):
        large = await step.do("large", lambda: "x" * 50_000)
        await step.sleep("nap", "1 hour")
        return len(large)

    store = HeldStore()
    async with TestEngine.open([flow := workflow(run)], store=store) as engine:
        instance = await engine.create(flow, id="a")
        await engine.run_until_idle()
        hold = store.hold("payload", "before")
        await hold.reached(engine)

        await instance.delete()
        hold.let_go()
        await engine.run_until_idle()

        with pytest.raises(InstanceNotFound):
            await instance.view()
    await store.close()


# ---- the beginning of a rollback


async def test_no_rollback_runs_before_it_is_on_record_that_run_failed() -> None:
    """What `run` failed with is durable before the first rollback begins."""
    undone: list[str] = []

    async def run(event, step):
        await step.do("book", lambda: 1, rollback=lambda: undone.append("book"))
        raise ValueError("no")

    store = HeldStore()
    async with TestEngine.open([flow := workflow(run)], store=store) as engine:
        hold = store.hold("rollback", "before")
        instance = await engine.create(flow, id="a")
        await hold.reached(engine)
        assert (undone, await instance.status()) == ([], "running")

        hold.let_go()
        await engine.run_until_idle()

        assert (undone, await instance.status()) == (["book"], "errored")
    await store.close()


@pytest.mark.parametrize("acts", [("pause",), ("pause", "resume"), ("pause", "resume", "pause")], ids=", ".join)
async def test_pause_before_a_rollback_is_on_record_is_undone_by_it(acts: tuple[str, ...]) -> None:
    """A pause that reaches the store before the rollback that has begun is accepted, and the rollback runs."""

    async def run(event, step):
        await step.do("book", lambda: 1, rollback=lambda: None)
        raise ValueError("no")

    store = HeldStore()
    async with TestEngine.open([flow := workflow(run)], store=store) as engine:
        hold = store.hold("rollback", "before")
        instance = await engine.create(flow, id="a")
        await hold.reached(engine)
        for act in acts:
            await getattr(instance, act)()
        assert await instance.status() == ("running" if acts[-1] == "resume" else "waitingForPause")

        hold.let_go()
        await engine.run_until_idle()

        assert await instance.status() == "errored"
    await store.close()


@pytest.mark.parametrize("act", ["terminate", "restart", "delete"])
async def test_rollback_that_came_too_late_runs_nothing(act: str) -> None:
    """Who ends or restarts the instance before its rollback is on record has no rollback."""
    undone: list[str] = []

    async def run(event, step):
        await step.do("book", lambda: 1, rollback=lambda: undone.append("book"))
        await step.do("check", fails, config={"retries": {"limit": 0, "delay": 0}})

    def fails() -> None:
        if not acted:
            raise ValueError("no")

    acted: list[str] = []
    store = HeldStore()
    async with TestEngine.open([flow := workflow(run)], store=store) as engine:
        hold = store.hold("rollback", "before")
        instance = await engine.create(flow, id="a")
        await hold.reached(engine)
        acted.append(act)
        await getattr(instance, act)()

        hold.let_go()
        await engine.run_until_idle()

        assert undone == []
        if act != "delete":
            assert await instance.status() == {"terminate": "terminated", "restart": "complete"}[act]
    await store.close()
