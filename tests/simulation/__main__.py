"""Run simulated worlds: `python -m tests.simulation --seed 7` shows what happens in one, `--seeds 1..500` runs many."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.run import simulate


def main() -> int:
    """Run what is asked for; return 1 if a world has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="replay one world, and print what happens in it")
    what.add_argument("--seeds", help="run the worlds of seeds A..B, and name those that fail")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _replay(asked.seed)
    first, last = map(int, asked.seeds.split(".."))
    return _run_all(range(first, last + 1))


def _replay(seed: int) -> int:
    seen = simulate(seed)
    print(*seen.trace, sep="\n")
    print(seen)
    return int(seen.failure is not None)


def _run_all(seeds: range) -> int:
    began = time.monotonic()
    failed, told = 0, Counter[str]()
    for seed in seeds:
        seen = simulate(seed)
        told.update(seen.faults)
        told["bodies"] += seen.bodies
        told["operations"] += seen.operations
        if seen.failure is not None:
            failed += 1
            print(seen, flush=True)
    took = time.monotonic() - began
    print(f"{len(seeds)} worlds in {took:.0f} s, {len(seeds) / took:.1f} a second; {failed} failed")
    print(", ".join(f"{name} {count}" for name, count in sorted(told.items())))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
