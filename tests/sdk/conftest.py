"""Servers to speak to."""

from collections.abc import Callable, Iterator

import pytest

from tests.sdk.places import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, require: Callable[..., None]) -> Iterator[Servers]:
    """Servers for all tests of a process of the tests."""
    servers = Servers(tmp_path_factory.mktemp, require)
    with servers.stack:
        yield servers
