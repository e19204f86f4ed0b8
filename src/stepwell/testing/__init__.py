"""The test kit: whole engines inside a test's process, on a clock that the test moves."""

from stepwell.testing.crashes import Scenario, crash_everywhere
from stepwell.testing.engine import ACCOUNT, TestEngine, TestInstance
from stepwell.testing.histories import History, assert_replays, histories, replay_history
from stepwell.testing.replays import REPLAYS_ALWAYS
from stepwell.testing.shuffling import every_seed
from stepwell.testing.steplogs import assert_snapshot, assert_steps, step_log

__all__ = [
    "ACCOUNT",
    "REPLAYS_ALWAYS",
    "History",
    "Scenario",
    "TestEngine",
    "TestInstance",
    "assert_replays",
    "assert_snapshot",
    "assert_steps",
    "crash_everywhere",
    "every_seed",
    "histories",
    "replay_history",
    "step_log",
]
