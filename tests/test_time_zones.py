"""No result depends on the machine's time zone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ZONES = ("America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")
# Where times are read, stored, waited for or shown.
ABOUT_TIME = (
    "tests/core/test_stored_values.py",
    "tests/core/test_steplog.py",
    "tests/engine/test_sleeps.py",
    "tests/engine/test_events.py",
    "tests/engine/test_authoring.py",
    "tests/api/test_list_instances.py",
)


def _run(zone: str, *arguments: str, seconds: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "TZ": zone}, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.timeout(180)
@pytest.mark.long
def test_times_are_the_same_in_another_zone() -> None:
    """Naive times are UTC and aware ones their own moment, wherever the machine stands."""
    _run(ZONES[0], *ABOUT_TIME, seconds=170)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("zone", ZONES)
def test_whole_suite_passes_in_every_zone(zone: str) -> None:
    """Every test passes under other time zones too."""
    side_by_side = ("-n", "auto", "--dist", "worksteal")
    _run(zone, "tests", *side_by_side, "--ignore", "tests/test_time_zones.py", seconds=1190)
