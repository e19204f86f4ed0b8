"""A fleet behind a pooler of transactions: slower to hear of each other, and as hard to stop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import pgbouncer, postgres
from tests.crash.fleet import FleetServer
from tests.crash.test_fleet import NAP, SHORT
from tests.crash.test_pinned import begin, of, write


@pytest.fixture
def database(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(pgbouncer.REASON, "several hosts behind it", pgbouncer.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


def test_fleet_behind_a_pooler_outlives_all_that_is_killed(tmp_path: Path, database: str) -> None:
    """A server, then the pooler itself: instances of both servers sleep, wait and end on the one that is left."""
    (tmp_path / "app").mkdir()
    write(tmp_path, "v1")
    (tmp_path / "app" / "nap.py").write_text(NAP)
    with ExitStack() as opened:
        pooler = pgbouncer.Pooler(database)
        opened.callback(pooler.remove)
        one, other = [
            opened.enter_context(FleetServer(tmp_path, pooler.url(database), "app", *SHORT)) for _ in range(2)
        ]
        begin(one, "a", "b")
        begin(other, "c")
        one.create("nap", "n")

        one.kill()
        pooler.kill()
        pooler.start()
        other.wake("a", "b", "c")

        assert [other.output(id) for id in "abc"] == [of("v1")] * 3
        assert other.wait_for_status("nap", "n", "complete")["output"] == "slept"
