"""Code that goes another way when it is replayed fails the test, and its cause and place are named."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.errors import Diverged
from stepwell.testing import REPLAYS_ALWAYS, TestEngine
from tests.testing.flows import BODIES, NUMBERS, STARTS, Three
from tests.testing.loading import flow, loaded
from tests.testing.planted import HARMLESS, HEAD, PLANTED, Planted


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.title)
async def test_planted_mistake_is_found_and_named(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replayed at each await, code that is not deterministic is an error that names cause and line."""
    monkeypatch.delenv("PLANTED", raising=False)
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.txt").touch()
    (line,) = [n for n, text in enumerate((HEAD + planted.source).split("\n"), 1) if text.endswith("# here")]

    with loaded(tmp_path, planted.source) as module:
        async with TestEngine.open([module.Flow], settings=REPLAYS_ALWAYS) as engine:
            instance = await engine.create(module.Flow, id="a", params={"folder": str(folder)})
            with pytest.raises(Diverged) as found:
                await engine.advance("1 hour")

            assert f"Likely because of {planted.kind}: `{planted.text}` at {tmp_path}/flow.py:{line}." in str(
                found.value
            )
            error = await instance.error()
            assert error is not None
            assert (await instance.status(), error.name) == ("errored", "Diverged")


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
async def test_harmless_code_raises_no_alarm(body: str, tmp_path: Path) -> None:
    """Replayed at each await, code that goes the same way comes to its end, and nothing is said."""
    with loaded(tmp_path, flow(body)) as module:
        async with TestEngine.open([module.Flow], settings=REPLAYS_ALWAYS) as engine:
            instance = await engine.create(module.Flow, id="a")
            await engine.advance("1 hour")

            assert await instance.status() == "complete", await instance.error()


async def test_each_result_is_met_in_a_new_turn() -> None:
    """With replays always the code runs once more for each result, and each body once."""
    STARTS.clear()
    BODIES.clear()
    async with TestEngine.open([Three], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(Three)
        await engine.advance("1 hour")

        assert await instance.output() == "done"
    # At first, to end the sleep, and after each of four results.
    assert len(STARTS) == 6
    assert BODIES == ["a", "b", "c"]


async def test_replay_begins_no_body_once_more() -> None:
    """Of steps side by side one that ends first waits with the replay for the others, whose bodies it would end."""

    class Beside(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> None:
            async def body(n: int) -> None:
                bodies.append(n)
                await asyncio.sleep(n / 100)

            await asyncio.gather(*[step.do(f"part {n}", body, n) for n in range(3)])
            await step.do("then", body, 0)

    bodies: list[int] = []
    async with TestEngine.open([Beside], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(Beside)
        await engine.run_until_idle()

        assert await instance.status() == "complete"
    assert bodies == [0, 1, 2, 0]


async def test_no_body_runs_once_more_before_a_divergence_is_found() -> None:
    """What a branch asks for in the place of another step is not begun, also where the other branches have gone on."""

    class Beside(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> None:
            async def left() -> None:
                await step.do("left 1", lambda: 1)
                await step.do("left 2", lambda: 1)

            async def body() -> None:
                bodies.append("right")
                await asyncio.sleep(0.02)

            await asyncio.gather(left(), step.do(f"right {next(NUMBERS)}", body))

    bodies: list[str] = []
    async with TestEngine.open([Beside], settings=REPLAYS_ALWAYS) as engine:
        await engine.create(Beside)
        with pytest.raises(Diverged):
            await engine.run_until_idle()

    assert bodies == ["right"]


async def test_divergence_is_shown_with_place_and_cause(tmp_path: Path) -> None:
    """What is told has the line, what it asks for, what is on record, and what to do."""
    source = flow(
        """
state["runs"] += 1
await step.do(f"pay {state['runs']}", lambda: 1)
await step.do("then", lambda: 1)
"""
    )

    with loaded(tmp_path, 'state = {"runs": 0}\n' + source + "        state.update()\n") as module:
        async with TestEngine.open([module.Flow], settings=REPLAYS_ALWAYS) as engine:
            await engine.create(module.Flow, id="a")
            with pytest.raises(Diverged) as found:
                await engine.run_until_idle()

    assert str(found.value).replace(str(tmp_path), "") == (
        'flow "a" is not deterministic: replayed, it goes another way than before.\n'
        "\n"
        "  /flow.py:18\n"
        "      await step.do(f\"pay {state['runs']}\", lambda: 1)\n"
        "\n"
        '  asks for         step.do("pay 2")\n'
        '  the history has  step.do("pay 1")\n'
        "\n"
        "Likely because of state that the process keeps from one turn to the next: `state` at /flow.py:18. "
        "Keep it in variables of `run`, or in the result of a step."
    )


async def test_divergence_without_a_cause_asks_whether_the_code_has_changed(tmp_path: Path) -> None:
    """What lies in another file is not looked into; then other code than before is what it may be."""
    source = "from tests.testing.flows import NUMBERS\n" + flow("await step.do(f'pay {next(NUMBERS)}', lambda: 1)")

    with loaded(tmp_path, source) as module:
        async with TestEngine.open([module.Flow], settings=REPLAYS_ALWAYS) as engine:
            await engine.create(module.Flow, id="a")
            with pytest.raises(Diverged) as found:
                await engine.run_until_idle()

    assert str(found.value).endswith(
        "\n\nNothing in its source tells why. Is it other code than before? "
        "Let what has begun go the old way: `if step.patched(name)`."
    )


async def test_divergence_is_raised_at_the_end_at_the_latest(tmp_path: Path) -> None:
    """A test that never lets the engine run to the end of it fails when it leaves the engine."""

    async def hasty(kind: type[WorkflowEntrypoint[Any]]) -> None:
        async with TestEngine.open([kind], settings=REPLAYS_ALWAYS) as engine:
            instance = await engine.create(kind, id="a")
            while await instance.status() != "errored":  # noqa: ASYNC110  # what waits for it would raise it
                await asyncio.sleep(0)

    with loaded(tmp_path, PLANTED[0].source) as module, pytest.raises(Diverged):
        await hasty(module.Flow)
