"""`python -m tests.mutations [NAME ...]`: break Stepwell in each way that is kept, and see that its test fails."""

import sys

from tests.mutations.mutants import MUTANTS
from tests.mutations.running import outcome_of


def main(names: list[str]) -> int:
    """Print a line for each; return 1 if any was not caught."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"there is no {', '.join(sorted(unknown))}; there is: {', '.join(mutant.name for mutant in MUTANTS)}")
        return 2
    survivors = 0
    for mutant in MUTANTS:
        if names and mutant.name not in names:
            continue
        outcome = outcome_of(mutant)
        survivors += not outcome.is_caught
        found = ", ".join(outcome.failed) or outcome.output
        print(f"{mutant.name:32} {outcome.said:12} {outcome.seconds:5.1f} s  {found}", flush=True)
    return 1 if survivors else 0


sys.exit(main(sys.argv[1:]))
