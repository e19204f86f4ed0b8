"""What tests of the engine ask for."""

import logging
from collections.abc import Iterator

import pytest

from stepwell.store.sql import turns
from tests import postgres


@pytest.fixture
def no_defect(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that has ended a turn by a defect, or that has logged any other error."""
    yield
    told = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert told == []


@pytest.fixture
def bare_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let claims bring no history, as if all were long: each turn reads it."""
    monkeypatch.setattr(turns, "SHORT_HISTORY", 0)
    if postgres.is_there():
        monkeypatch.setattr("stepwell.store.postgres.claims.SHORT_HISTORY", 0)
