"""`stepwell` for tests, which kills its process group with SIGKILL behind its n-th commit to a file; 0: never.

It is run as a script, with `-P` and n as its first argument. At its end, if it has one, it says how many commits there
were.
"""

import atexit
import itertools
import os
import signal
import sys

COMMITS = "commits: "


def main() -> None:
    """Run a command."""
    from stepwell import cli
    from stepwell.store.sqlite.connections import _Writing

    kills_behind = int(sys.argv.pop(1))
    commit, numbers, count = _Writing.commit, itertools.count(1), 0

    def commit_and_count(self: _Writing) -> None:
        nonlocal count
        commit(self)
        count = next(numbers)
        if count == kills_behind:
            os.killpg(0, signal.SIGKILL)

    _Writing.commit = commit_and_count  # type: ignore[method-assign]  # nothing of it is in the product
    atexit.register(lambda: print(f"{COMMITS}{count}", flush=True))
    cli.main(prog_name="stepwell")


if __name__ == "__main__":
    main()
