"""`make soak`: servers under load are killed, paused, cut off and lied to, and then everything is held against ledgers.

    python -m tests.soak [--seconds 60] [--store sqlite|postgres|both] [--seed N] [--output FILE]

Prints what was injected, what was lost (nothing), how soon all went on, and how long the API took meanwhile. The exit
code is 1 if a promise was broken. `--seconds` is that of all stores together. What it has written is removed, unless
something was broken or `--keep` says where to.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests import postgres
from tests.soak import disk
from tests.soak.figures import P99_MS, Soaked, render
from tests.soak.soaking import Options, soak


def main() -> None:
    """Soak, print the tables, and tell by the exit code whether all is well."""
    options = _options()
    # Whoever ends this, as `timeout` does, is to have no servers left by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if "STEPWELL_TEST_STORE" in os.environ:
        sys.exit("STEPWELL_TEST_STORE is for tests: unset it, and say --store")
    stores = ["sqlite", "postgres"] if options.store == "both" else [options.store]
    if "postgres" in stores:
        _require_postgres()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    each = Options(options.seconds / len(stores), seed, options.rate, options.waiting, options.only)
    folder = Path(tempfile.mkdtemp(prefix="sw-soak-")) if options.keep is None else options.keep
    folder.mkdir(exist_ok=True)
    # PostgreSQL runs as somebody else if this is root.
    folder.chmod(0o755)
    found = []
    for store in stores:
        print(f"{store}: {each.seconds:.0f} s, seed {seed}, in {folder / store}", flush=True)
        found.append(soak(folder / store, each, on_postgres=store == "postgres"))
        print(render(found[-1]), flush=True)
        if found[-1].broken:
            break
    if options.output is not None:
        options.output.write_text("# The soak\n\n" + "\n".join(map(render, found)), encoding="utf-8")
    if found[-1].broken:
        sys.exit(f"promises were broken; what was written is in {folder}")
    if options.keep is None:
        shutil.rmtree(folder)
    if options.strict:
        _check_latency(found)


def _require_postgres() -> None:
    if not (postgres.is_there() and postgres.is_local()):
        sys.exit(f"needs {postgres.REASON}")
    if not disk.can_be_filled():
        if os.environ.get("STEPWELL_TEST_REQUIRE") == "all":
            sys.exit(f"needs {disk.REASON}")
        print(f"left out: {disk.REASON}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long faults are injected, in all (60)")
    parser.add_argument("--store", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--seed", type=int, help="of all that is chosen by lot; else one that is printed")
    parser.add_argument("--rate", type=float, default=8.0, help="scenes that clients begin a second (8)")
    parser.add_argument("--waiting", type=int, default=300, help="instances that wait until the end (300)")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="inject this kind; repeatable")
    parser.add_argument("--output", type=Path, help="write the tables to this file")
    parser.add_argument("--keep", type=Path, help="leave stores, ledgers and logs in this folder")
    parser.add_argument(
        "--strict", action="store_true", help=f"fail if the API's p99 during faults is not under {P99_MS:.0f} ms"
    )
    return parser.parse_args()


def _check_latency(found: list[Soaked]) -> None:
    slow = [f"{one.store}: {one.p99_ms:.0f} ms" for one in found if one.p99_ms >= P99_MS]
    if slow:
        sys.exit(f"the API's p99 while the parent lives is not under {P99_MS:.0f} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
