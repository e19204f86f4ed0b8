"""Several workers, one store, and everything that can go wrong between them: in virtual time, from seeds."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwell.store.operations import RenewLease
from tests.simulation.faults import Fault
from tests.simulation.loop import SimulatedLoop
from tests.simulation.pipe import Pipe
from tests.simulation.run import Seen, simulate
from tests.simulation.watched import WatchedStore

SEEDS = Path(__file__).with_name("seeds.txt")
# The same each time. Others are run by `make test-long`, which goes on from here.
FRESH = range(1, 13)
_LONG_S = 240

# The world's store is SQLite's in memory, which answers in the caller's thread.
pytestmark = pytest.mark.sqlite


def kept() -> list[int]:
    """Return the seeds that have found something."""
    lines = SEEDS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("seed", sorted({*FRESH, *kept()}))
def test_nothing_is_lost_whatever_goes_wrong(seed: int) -> None:
    """Every instance comes to what its program comes to undisturbed, and what clients were told stays true."""
    seen = simulate(seed)

    assert seen.failure is None, str(seen)


def test_seed_says_all_that_happens() -> None:
    """The same seed gives the same trace, in another process with other hashes too."""
    seed = FRESH[3]
    replay = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
    elsewhere = subprocess.run(
        replay,
        env={**os.environ, "PYTHONHASHSEED": "4"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    seen = simulate(seed)

    assert elsewhere.stdout.splitlines()[: len(seen.trace)] == "\n".join(seen.trace).splitlines()


def test_failure_names_the_command_that_replays_it() -> None:
    """Whoever reads what has failed can have it fail again."""
    seen = Seen(7, [], {}, 0, 0, "AssertionError: i0 has come to nothing")

    assert str(seen).splitlines()[-1] == "replay: python -m tests.simulation --seed 7"


def test_what_was_held_up_overtakes_nothing_that_is_slow() -> None:
    """A line keeps its order, also where it is cut and mended while something sent before is still on its way."""
    rng = random.Random(1)
    loop = SimulatedLoop(rng)
    trace: list[str] = []
    faults = iter([Fault.SLOW, None])
    pipe = Pipe("line", WatchedStore(loop, trace), rng, lambda _: next(faults))

    async def cut_and_mend() -> None:
        first = pipe.run(RenewLease(1, 1))
        pipe.cut()
        second = pipe.run(RenewLease(2, 1))
        pipe.mend()
        await first
        await second

    loop.run_until_complete(cut_and_mend())
    loop.end()

    assert [line.split("worker ")[1][0] for line in trace] == ["1", "2"]


@pytest.mark.long
@pytest.mark.timeout(_LONG_S + 120)
def test_nothing_is_lost_at_length() -> None:
    """The same, with as many seeds as there is time for."""
    end, seed = time.monotonic() + _LONG_S, FRESH[-1]

    while time.monotonic() < end:
        seed += 1
        seen = simulate(seed)
        assert seen.failure is None, str(seen)
    print(f"{seed - FRESH[-1]} worlds")
