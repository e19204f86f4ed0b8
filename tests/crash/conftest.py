"""What tests of processes ask for."""

from collections.abc import Callable, Iterator

import pytest

from tests import postgres


@pytest.fixture
def own_database(require: Callable[..., None]) -> Iterator[postgres.Server]:
    """A PostgreSQL server of the test's own."""
    require(postgres.REASON, "a server that is stopped", postgres.is_there() and postgres.is_local())
    own = postgres.Server()
    own.start()
    yield own
    own.remove()


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "several hosts on it", postgres.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)
