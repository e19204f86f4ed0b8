"""Drivers that do as their variant says: `python -m tests.bench.scripted FOLDER --variant ...`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.driver import drive
from tests.bench.instant import Instant

_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def main() -> None:
    """Do it."""
    match sys.argv[sys.argv.index("--variant") + 1]:
        case "dies":
            print(json.dumps({"work": "W1", "size": "2", "figures": {"per_s": 7.0}}), flush=True)
            sys.exit(3)
        case "is stuck":
            Path(sys.argv[1]).with_name("stuck").write_text(str(os.getpid()))
            time.sleep(60)
        case "leaves one":
            # Which hears no request to end, and whose id is where the test looks for it.
            left = subprocess.Popen([sys.executable, "-c", _DEAF], stdout=subprocess.PIPE)
            assert left.stdout is not None
            left.stdout.readline()
            Path(sys.argv[1]).with_name("left").write_text(str(left.pid))
            print(json.dumps({"work": "W1", "failed": "it is left"}), flush=True)
            # Nobody waits for it.
            os._exit(1)
        case _:
            drive(Instant)


if __name__ == "__main__":
    main()
