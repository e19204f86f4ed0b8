"""Runs one simulated world, from its seed."""

import asyncio
import random
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.simulation.faults import Fault
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plans import PLANS
from tests.simulation.world import World


@dataclass(frozen=True)
class Seen:
    """What happened in a world; `failure` is what went wrong that must not, in words."""

    seed: int
    trace: Sequence[str]
    faults: Mapping[Fault, int]
    bodies: int
    operations: int
    failure: str | None

    def __str__(self) -> str:
        outcome = "all is well" if self.failure is None else self.failure
        return f"{outcome}\nreplay: python -m tests.simulation --seed {self.seed}"


def simulate(seed: int) -> Seen:
    """Run the world of a seed."""
    rng = random.Random(seed)
    loop = SimulatedLoop(rng)
    asyncio.set_event_loop(None)
    failure = None
    world = None
    try:
        world = loop.run_until_complete(_begin(loop, seed, rng))
        loop.run_until_complete(world.run())
    except Exception as error:  # whatever it is, it is what was looked for
        failure = "".join(traceback.format_exception(error, limit=-4)).rstrip()
    finally:
        loop.end()
    assert world is not None, failure
    return Seen(seed, world.trace, world.faults.told, world.bodies, world.store.asked.total(), failure)


async def _begin(loop: SimulatedLoop, seed: int, rng: random.Random) -> World:
    return World(loop, rng, PLANS[seed % len(PLANS)])
