"""Steps that run side by side end in an order that is drawn from a seed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.testing import REPLAYS_ALWAYS, TestEngine, every_seed
from tests.testing.loading import flow, loaded
from tests.testing.planted import HARMLESS

SIX = list(range(6))


class SideBySide(WorkflowEntrypoint[Any]):
    """Six steps at once; it returns the order in which they have ended."""

    async def run(self, event: Any, step: Any) -> list[int]:
        """Note each end."""
        ended: list[int] = []

        async def part(n: int) -> None:
            # Not in a thread: which of several begins first is chance there.
            async def body() -> int:
                return n

            ended.append(await step.do(f"part {n}", body))

        await asyncio.gather(*map(part, SIX))
        return ended


async def _order(seed: int | None, **options: Any) -> Any:
    async with TestEngine.open([SideBySide], **options) as engine:
        if seed is not None:
            engine.shuffle(seed)
        instance = await engine.create(SideBySide)
        await engine.run_until_idle()
        return await instance.output()


async def test_seed_decides_the_order() -> None:
    """The same seed gives the same order, others give others, and none gives that of the calls."""
    orders = [await _order(seed) for seed in range(5)]

    assert orders == [await _order(seed) for seed in range(5)]
    assert len({tuple(order) for order in orders}) > 3
    assert all(sorted(order) == SIX for order in orders)
    assert await _order(None) == SIX


async def test_order_is_the_same_when_it_is_replayed() -> None:
    """What was drawn is on record, so a replay meets it again."""
    assert await _order(3, settings=REPLAYS_ALWAYS) == await _order(3)


async def test_attempts_that_fail_are_drawn_too() -> None:
    """The end of an attempt that fails waits for its turn as any other."""

    class Failing(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> list[str]:
            ended: list[str] = []

            async def fails(n: int) -> None:
                def body() -> None:
                    raise ValueError(f"no {n}")

                try:
                    await step.do(f"part {n}", body, config={"retries": {"limit": 0, "delay": 0}})
                except ValueError as error:
                    ended.append(str(error))

            await asyncio.gather(*map(fails, SIX))
            return ended

    async with TestEngine.open([Failing]) as engine:
        engine.shuffle(1)
        instance = await engine.create(Failing)
        await engine.run_until_idle()

        ended = await instance.output()

    assert sorted(ended) == [f"no {n}" for n in SIX] != ended


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
async def test_nothing_hangs_in_another_order(body: str, tmp_path: Path) -> None:
    """Timers, events, retries and steps within steps come to their end whatever is drawn."""
    with loaded(tmp_path, flow(body)) as module:
        async with TestEngine.open([module.Flow]) as engine:
            engine.shuffle(5)
            instance = await engine.create(module.Flow, id="a")
            await engine.advance("1 hour")

            assert await instance.status() == "complete", await instance.error()


async def _in_order(engine: TestEngine) -> None:
    instance = await engine.create(SideBySide)
    await engine.run_until_idle()
    order = await instance.output()
    assert order[0] < 3


async def test_failure_names_the_seed_and_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that does not hold in every order fails with the seed, and again with that seed alone."""
    monkeypatch.delenv("STEPWELL_SEED", raising=False)
    with pytest.raises(AssertionError) as found:
        await every_seed(_in_order, [SideBySide])
    (note,) = found.value.__notes__
    seed = [(await _order(seed))[0] >= 3 for seed in range(20)].index(True)
    monkeypatch.setenv("STEPWELL_SEED", str(seed))
    with pytest.raises(AssertionError) as again:
        await every_seed(_in_order, [SideBySide])

    assert note == (
        f"This came with seed {seed}. STEPWELL_SEED={seed} replays it alone, and so does engine.shuffle({seed})."
    )
    assert again.value.__notes__ == [note]
