"""The test kit: whole engines inside a test's process, on a clock that the test moves."""

from stepwell.testing.engine import ACCOUNT, TestEngine, TestInstance

__all__ = ["ACCOUNT", "TestEngine", "TestInstance"]
