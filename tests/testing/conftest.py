"""The kit's own tests have it as users do."""

import pytest

from stepwell.testing import TestEngine


@pytest.fixture(autouse=True)
def as_users_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let turns stay open while the clock is moved on."""
    monkeypatch.setattr(TestEngine, "keeps_turns", True)
