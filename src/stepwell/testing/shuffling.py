"""Steps that run side by side, ended in an order that is drawn from a seed."""

import os
from collections.abc import Iterable

from stepwell.testing.code import Workflow
from stepwell.testing.crashes import Scenario
from stepwell.testing.engine import TestEngine

# Set to a number, `every_seed` plays the scenario with that seed alone.
VARIABLE = "STEPWELL_SEED"


async def every_seed(scenario: Scenario, workflows: Iterable[Workflow], seeds: Iterable[int] = range(20)) -> None:
    """Run a scenario once for each seed, each time on a new engine that ends steps in another order.

    What it raises has a note with the seed. STEPWELL_SEED=7 in the environment runs it with that one alone.
    """
    workflows = list(workflows)
    alone = os.environ.get(VARIABLE)
    for seed in seeds if alone is None else [int(alone)]:
        try:
            async with TestEngine.open(workflows) as engine:
                engine.shuffle(seed)
                await scenario(engine)
                await engine.run_until_idle()
        except Exception as error:  # whatever the scenario raises
            error.add_note(
                f"This came with seed {seed}. {VARIABLE}={seed} replays it alone, and so does engine.shuffle({seed})."
            )
            raise
