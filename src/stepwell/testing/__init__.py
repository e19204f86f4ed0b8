"""The test kit: whole engines inside a test's process, on a clock that the test moves."""

from stepwell.testing.engine import ACCOUNT, TestEngine, TestInstance
from stepwell.testing.replays import REPLAYS_ALWAYS

__all__ = ["ACCOUNT", "REPLAYS_ALWAYS", "TestEngine", "TestInstance"]
