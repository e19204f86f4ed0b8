"""What every test gets: nothing blocks the event loop, and what is missing is named."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from stepwell import memory
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import TestEngine
from tests import postgres

# A shared machine stalls now and then; pytest-timeout catches what really hangs.
settings.register_profile("stepwell", deadline=None, print_blob=True)
settings.load_profile("stepwell")
HAS_POSTGRES = postgres.is_there()
# The address of a socket has about a hundred bytes; that of a store lies beside its file, far below a test's folder.
_LONGEST_TMPDIR = 12
if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TMPDIR and os.access("/tmp", os.W_OK):
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
# The files that take longest, in this order: each is run whole by one process of the tests.
LONGEST = (
    "crash/test_worker_faults.py",
    "docs/test_typed.py",
    "crash/test_fleet.py",
    "compat/test_wrangler.py",
    "compat/test_reference_examples.py",
    "store/test_postgres_hosts.py",
    "store/test_encryption.py",
    "crash/test_pinned.py",
    "dashboard/test_pages.py",
    "dashboard/test_lists.py",
    "dashboard/test_instance.py",
    "test_wheel.py",
    "cli/test_terminal.py",
    "store/test_postgres_cuts.py",
    "crash/test_fleet_chaos.py",
    "crash/test_sigkill.py",
    "sdk/test_against_servers.py",
    "crash/test_fetch_server.py",
    "store/test_controls.py",
    "flows/test_flows.py",
    "dashboard/test_settings.py",
    "store/test_searches.py",
    "crash/test_deploy.py",
    "engine/test_two_at_once.py",
    "store/test_difference.py",
    "crash/test_settings.py",
    "api/test_schemathesis.py",
    "store/test_many_slots.py",
    "crash/test_hostile.py",
    "store/test_copying.py",
    "dashboard/test_looking.py",
    "api/test_openapi.py",
    "embedded/test_isolated.py",
)


# Our tests are about replays: each wait of more than a second is one. Those of the kit itself have it as users do.
TestEngine.keeps_turns = False


def pytest_collection() -> None:
    """Do not look through what is collected for what nobody needs, again and again."""
    memory.collect_seldom()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left with it when the others have ended."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Do not look through ten thousand collected tests, which stay to the end, for what nobody needs."""
    memory.calm_garbage_collection()


@pytest.fixture(scope="session", autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which Stepwell's own code blocks the event loop.

    Only calls beneath src/stepwell count: a test may read a file on its own loop. Author code that a runner
    awaits is beneath it; tests of stuck authors use a worker process. Where the shell has to block, name the
    place here, with the reason: `calls.functions["os.stat"].can_block_in("stepwell/x.py", {"function"})`.
    """
    with blockbuster_ctx("stepwell") as calls:
        for function in calls.functions.values():
            # asyncpg reads its password and certificate files; it has a loop of its own. A store that does everything
            # at once, for tests, waits for that loop.
            function.can_block_in("stepwell/store/postgres/address.py", {"connect"})
            function.can_block_in("stepwell/store/postgres/connection.py", {"do", "close", "__init__"})
            function.can_block_in("tests/postgres.py", {"open", "close"})
            # A test names its project on its own loop, where nobody else is.
            function.can_block_in("stepwell/testing/code.py", {"of"})
            # Once for each place at which code has gone another way than its history.
            function.can_block_in("stepwell/checks/source.py", {"read"})
            # In an agent's step its library does as it likes, which loads what it needs when it needs it.
            function.can_block_in("stepwell/agents/shared.py", {"body"})
            # Where an SDK's traces are switched off it makes a client for them first, which has certificates read, once
            # in a process; authors do so where their file is loaded.
            function.can_block_in("stepwell/agents/openai_agents.py", {"durable"})
            # Exports are read when tests are collected.
            function.can_block_in("stepwell/testing/history.py", {"histories"})
            # A snapshot is read and written in the test that holds a step log against it, and by nobody else.
            function.can_block_in("stepwell/testing/steplogs.py", {"_read", "_write"})
            # What tests of the kit load reads folders outside of steps: that is the mistake in it.
            function.can_block_in("/flow.py", {"run", "<lambda>"})
            # Whoever makes a client has certificates read, and the first one the rest of the HTTP library.
            function.can_block_in("stepwell/sdk/api.py", {"__init__"})
        yield calls


# Nobody else is to wait for them: there are ten thousand tests.
if os.environ.get("STEPWELL_TEST_STORE") == "postgres":

    @pytest.fixture(autouse=True)
    def _only_on_sqlite(request: pytest.FixtureRequest) -> None:
        if request.node.get_closest_marker("sqlite"):
            pytest.skip("is about a store's file")

    @pytest.fixture(autouse=True)
    def store_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let tests that want a store in memory have one in PostgreSQL."""
        _require(postgres.REASON, "a store in it", HAS_POSTGRES)
        stores = postgres.Stores()
        monkeypatch.setattr(SqliteStore, "in_memory", stores.open)
        yield
        stores.close()


def _require(name: str, what: str, found: bool | None = None) -> None:
    if shutil.which(name) is not None if found is None else found:
        return
    reason = f"needs {name}: {what}"
    if os.environ.get("STEPWELL_TEST_REQUIRE") == "all":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """Skip a test by name: `require("node", "the dashboard's own tests")`.

    `name` is a program on PATH or a path to one; for anything else say in `found` whether it is there. With
    STEPWELL_TEST_REQUIRE=all the test fails instead.
    """
    return _require
