"""A workflow to be disturbed at every point of its way, and what has to be true of it whatever was done to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stepwell import WorkflowEntrypoint, WorkflowTimeoutError
from stepwell.core.instance import FINAL
from stepwell.core.records import StepSucceeded
from stepwell.core.standing import standing
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine, TestInstance
from tests.engine.holds import HeldStore

HOUR_MS = 3_600_000


class Trip(WorkflowEntrypoint):
    """Two steps, an hour's sleep, a wait of an hour for `go`, and a third step. The first step waits for the gate."""

    scene: "Scene"

    async def run(self, event, step):
        @step.do()
        async def one():
            Trip.scene.ran("one")
            await Trip.scene.gate.wait()
            return 1

        @step.do()
        async def two():
            Trip.scene.ran("two")
            return 2

        @step.do()
        async def three():
            Trip.scene.ran("three")
            return 3

        told = [await one(), await two()]
        step.log("between")
        await step.sleep("nap", HOUR_MS)
        try:
            told.append((await step.wait_for_event("answer", "go", timeout=HOUR_MS))["payload"])
        except WorkflowTimeoutError:
            told.append("late")
        return [*told, await three()]


@dataclass
class Scene:
    """An instance `a` of Trip which has not begun. `bodies` has the bodies that ran."""

    store: HeldStore
    engine: TestEngine
    instance: TestInstance
    gate: asyncio.Event
    bodies: list[str]
    wrong: list[str]

    def ran(self, name: str) -> None:
        """Take note of a body; none may run for a step whose success stands."""
        self.bodies.append(name)
        if name in self.succeeded():
            self.wrong.append(name)

    def kinds(self) -> list[str]:
        """Return the names of the instance's records, in order."""
        return [type(record).__name__ for _, record in self.store.history("local", "trip", "a")]

    def succeeded(self) -> list[str]:
        """Return the steps whose success stands, in order."""
        history = self.store.history("local", "trip", "a")
        return [record.key.name for _, record in standing(history) if isinstance(record, StepSucceeded)]

    async def create(self) -> TestInstance:
        """Create the instance, again if it has been deleted."""
        self.instance = await self.engine.create(Trip, id="a")
        return self.instance

    async def begin_again(self) -> None:
        """Let the worker die, and start another one."""
        await self.engine.crash()
        await self.engine.start_worker()

    async def end(self) -> Any:
        """Bring the instance to its end, and return the output; see that nothing on the way was wrong."""
        self.gate.set()
        await self.engine.run_until_idle()
        if await self.instance.status() == "paused":
            await self.instance.resume()
        await self.engine.advance("1 day")
        assert await self.instance.status() in FINAL, self.kinds()
        self.store.check("local", "trip", "a")
        assert self.wrong == []
        return await self.instance.output()


@asynccontextmanager
async def tripping(*, is_open: bool = True, settings: TurnSettings | None = None) -> AsyncIterator[Scene]:
    """Open a scene; `is_open` tells whether the first step may end."""
    store, gate = HeldStore(), asyncio.Event()
    if is_open:
        gate.set()
    async with TestEngine.open([Trip], store=store, settings=settings) as engine:
        instance = await engine.create(Trip, id="a")
        Trip.scene = Scene(store, engine, instance, gate, [], [])
        yield Trip.scene
    await store.close()


async def pause_and_resume(scene: Scene) -> None:
    """Pause the instance and let it go on at once."""
    await scene.instance.pause()
    await scene.instance.resume()


async def delete_and_create(scene: Scene) -> None:
    """Delete the instance, and create another with its id."""
    await scene.instance.delete()
    await scene.create()


ACTS: dict[str, Callable[[Scene], Awaitable[object]]] = {
    "event": lambda scene: scene.instance.send_event("go", "yes"),
    "pause": lambda scene: scene.instance.pause(),
    "resume": lambda scene: scene.instance.resume(),
    "pause and resume": pause_and_resume,
    "terminate": lambda scene: scene.instance.terminate(),
    "restart": lambda scene: scene.instance.restart(),
    "restart from a step": lambda scene: scene.instance.restart("two"),
    "delete": lambda scene: scene.instance.delete(),
    "delete and create": delete_and_create,
    "lose the worker": Scene.begin_again,
}
