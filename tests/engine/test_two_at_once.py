"""Whatever is done to an instance, whenever, and two things at once: it comes to a right end."""

import asyncio
import itertools

import pytest

from stepwell.errors import InstanceFinished, InstanceNotFound, StepNotInHistory
from tests.engine.trips import ACTS, HOUR_MS, Scene, tripping

REFUSALS = (InstanceFinished, InstanceNotFound, StepNotInHistory)


@pytest.fixture(autouse=True)
def _no_defect(no_defect: None) -> None:
    """No test here may end a turn by a defect."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", [act for act in ACTS if act not in ("resume", "delete")])
@pytest.mark.parametrize(
    "point", ["claim", "read", "start", "success", "notes", "park", "wait's end", "paused", "put back", "end"]
)
async def test_act_at_a_point(request: pytest.FixtureRequest, point: str, when: str, act: str) -> None:
    """Whatever meets an operation of a turn, before or after it is done: the instance comes to a right end."""
    if point == "read":
        request.getfixturevalue("bare_claims")
    async with tripping(is_open=point not in ("paused", "put back")) as scene:
        hold = scene.store.hold(point, when)
        await _lead_to(scene, point)
        await hold.reached(scene.engine)

        try:
            await ACTS[act](scene)
            is_refused = False
        except REFUSALS:
            is_refused = True
        hold.let_go()
        await scene.engine.run_until_idle()
        if point == "put back":
            await scene.engine.start_worker()

        output = await scene.end()
        if act == "terminate" and not is_refused:
            assert (scene.kinds()[-1], output) == ("Terminated", None)
        else:
            assert output in ([1, 2, "late", 3], [1, 2, "yes", 3])


async def _lead_to(scene: Scene, point: str) -> None:
    """Do what makes a turn come to a point that it does not come to by itself."""
    if point == "paused":
        await scene.engine.run_until_idle()
        await scene.instance.pause()
        scene.gate.set()
    elif point == "put back":
        await scene.engine.run_until_idle()
        worker = scene.engine._worker
        assert worker is not None
        worker.drain()
        worker.interrupt()


# ---- two at once

PAIRED = ("event", "pause", "resume", "terminate", "restart", "restart from a step", "delete")
STATES = ("running", "waiting", "paused", "complete")
# Those that are much like one of the former.
MORE_STATES = ("waitingForPause", "terminated")
ACTS_AT_ONCE = list(itertools.combinations_with_replacement(PAIRED, 2))


async def _bring(scene: Scene, state: str) -> None:
    """Bring the instance into a state; the first step is done in those in which it does not run."""
    await scene.engine.run_until_idle()
    if state == "complete":
        await scene.engine.advance(3 * HOUR_MS)
    if state in ("waitingForPause", "paused"):
        await scene.instance.pause()
    if state == "terminated":
        await scene.instance.terminate()
    assert await scene.instance.status() == state


async def _asked(scene: Scene, act: str) -> object:
    try:
        return await ACTS[act](scene)
    except REFUSALS as error:
        return type(error).__name__


async def _outcome(scene: Scene, answers: list[object]) -> tuple[object, ...]:
    """Return the answers, and what has become of the instance; see that it comes to its end."""
    await scene.engine.run_until_idle()
    try:
        told = await scene.instance.status(), *scene.succeeded()
    except InstanceNotFound:
        return *answers, "gone"
    await scene.end()
    return *answers, *told


async def _one_after_the_other(state: str, acts: tuple[str, str], order: tuple[int, int], *, lets_run: bool) -> object:
    async with tripping(is_open=state not in ("running", "waitingForPause")) as scene:
        await _bring(scene, state)
        answers: dict[int, object] = {}
        for position in order:
            answers[position] = await _asked(scene, acts[position])
            if lets_run:
                await scene.engine.run_until_idle()
        return await _outcome(scene, [answers[0], answers[1]])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("acts", ACTS_AT_ONCE, ids=", ".join)
async def test_two_at_once_are_one_after_the_other(acts: tuple[str, str], state: str) -> None:
    """Two operations at once come to what one of them and then the other comes to, and the instance to its end."""
    await _at_once(acts, state)


@pytest.mark.long
@pytest.mark.parametrize("state", MORE_STATES)
@pytest.mark.parametrize("acts", ACTS_AT_ONCE, ids=", ".join)
async def test_two_at_once_in_other_states(acts: tuple[str, str], state: str) -> None:
    """The same, while it is about to pause and when it was terminated."""
    await _at_once(acts, state)


@pytest.mark.long
@pytest.mark.parametrize("state", [*STATES, *MORE_STATES])
@pytest.mark.parametrize("acts", [pair[::-1] for pair in itertools.combinations(PAIRED, 2)], ids=", ".join)
async def test_two_at_once_in_the_other_order(acts: tuple[str, str], state: str) -> None:
    """The same, with the other of the two asked first."""
    await _at_once(acts, state)


async def _at_once(acts: tuple[str, str], state: str) -> None:
    async with tripping(is_open=state not in ("running", "waitingForPause")) as scene:
        await _bring(scene, state)
        scene.bodies.clear()

        answers = await asyncio.gather(*(_asked(scene, act) for act in acts))
        outcome = await _outcome(scene, list(answers))

    possible = []
    for lets_run, order in itertools.product([False, True], [(0, 1), (1, 0)]):
        possible.append(await _one_after_the_other(state, acts, order, lets_run=lets_run))
        if outcome == possible[-1]:
            return
    pytest.fail(f"{outcome} is none of {possible}")


@pytest.mark.parametrize("acts", list(itertools.permutations(PAIRED, 2)), ids=", ".join)
async def test_two_behind_a_lost_worker(acts: tuple[str, str]) -> None:
    """Two operations on an instance whose worker has died in an attempt: the next worker brings it to its end."""
    async with tripping(is_open=False) as scene:
        await scene.engine.run_until_idle()
        hold = scene.store.hold("success")
        scene.gate.set()
        await hold.reached(scene.engine)
        await scene.engine.crash()

        answers = [await _asked(scene, act) for act in acts]
        # What the dead one had sent arrives last.
        hold.let_go()
        await scene.engine.start_worker()

        status = (await _outcome(scene, answers))[2]
        assert status in ("running", "waiting", "paused", "terminated", "complete", "gone")
