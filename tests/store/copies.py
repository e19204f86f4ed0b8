"""A store with something in each of its tables, and what is in any store, to be compared."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from stepwell import WorkflowEntrypoint
from stepwell.clock import VirtualClock
from stepwell.core.records import Terminated
from stepwell.durations import DAY_MS
from stepwell.flow import Flow, Rate, SharedLimit
from stepwell.store import codec, migrations
from stepwell.store.account_operations import (
    AccountSettings,
    ChangeAccountSettings,
    DeleteTriggers,
    ReplaceTriggers,
    Trigger,
)
from stepwell.store.account_operations import TriggerTarget as To
from stepwell.store.audit_operations import Asked, Audited
from stepwell.store.code_graph import CodeGraph
from stepwell.store.control_operations import StartTermination, TerminateInstance
from stepwell.store.copying import copy, counts_of
from stepwell.store.job_operations import StartJob
from stepwell.store.once import Once
from stepwell.store.opening import open_source, open_target
from stepwell.store.operations import RegisterWorkflow, VersionSettings
from stepwell.store.schedule_operations import FireSchedules
from stepwell.store.search_operations import Wanted
from stepwell.store.snapshot_operations import SaveSnapshot, SnapshotFile
from stepwell.store.sql.tables import TABLES
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite import store as module
from stepwell.store.sqlite.file import FileConnection, migrate
from stepwell.store.trace_operations import TakeTraces
from stepwell.store.webhook_operations import AddWebhook
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.tokens import Permission, Tokens
from tests.store.scenes import creation, register

LARGE = "ä\0" * 3_000
PIECE = b"\0\xff" * 200_000
# Numbers that rows had which are gone: nothing may have them again.
GONE = 1_000
# Read before there is a loop, which that would block.
MIGRATIONS = migrations.known("sqlite")
# Deleted, and not gone yet: an instance of no workflow with a record, a workflow that is no more, a stream of nobody.
_RUBBISH = """
    update instances set workflow = 0, id = 'gone' where id = 'a';
    insert into deleted_workflows values (0), (77);
    insert into streams (row, instance, step, turn, attempt) values (50, 0, '["do","gone",1]', 1, 1);
    insert into pieces (stream, n, body, crc) values (50, 1, x'00', 3523407757);
    """


class Sleeper(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.sleep("nap", "1 hour")
        return "slept"


class Waiter(WorkflowEntrypoint):
    async def run(self, event, step):
        step.log("a NUL \0 and a mark \x1a1")
        await step.set_labels({"mood": "ä", "given": None})
        await step.set_progress(0.5)
        large = await step.do("large", lambda: LARGE)
        got = await step.wait_for_event("approval", "approved")
        return [got["payload"], len(large)]


class Streamer(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def pour():
            async def pieces():
                yield PIECE
                yield PIECE

            return pieces()

        stream = await pour()
        await step.sleep("nap", "1 hour")
        return sum([len(part) async for part in stream])


class Child(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.sleep("nap", "30 minutes")
        return "grown"


class Parent(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.child("child", self.env.CHILD)


class Held(WorkflowEntrypoint):
    """Its step hangs until it is tried again."""

    async def run(self, event, step):
        @step.do
        async def charge(ctx):
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()
            return ctx["attempt"]

        return await charge()


class Sharing(WorkflowEntrypoint):
    """Its second step waits until its first has ended."""

    flow = Flow(shared={"desk": SharedLimit(1, Rate(5, "1 minute"))})

    async def run(self, event, step):
        async def hang(ctx):
            if ctx["attempt"] == 1:
                await asyncio.Event().wait()
            return ctx["attempt"]

        return await asyncio.gather(*(step.do(f"work {n}", hang, limit="desk") for n in range(2)))


class Failing(WorkflowEntrypoint):
    async def run(self, event, step):
        raise ValueError("no \0 \x1a1")


WORKFLOWS = (Sleeper, Waiter, Streamer, Child, Parent, Held, Sharing, Failing)


async def fill(path: Path, clock: VirtualClock) -> None:
    """Make a store of which a worker has died in the middle of everything."""
    store = SqliteStore.in_memory()
    async with TestEngine.open(WORKFLOWS, store=store, clock=clock) as engine:
        for workflow in WORKFLOWS:
            await engine.create(workflow, id="one", params={"NUL": "\0"}, labels={"given": "at once"})
        await engine.run_until_idle()
        await _add_what_workflows_do_not(store)
        inside(store).execute("vacuum into ?", (str(path),))
    await store.close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(_RUBBISH)
        connection.execute("update sqlite_sequence set seq = seq + ?", (GONE,))


async def _add_what_workflows_do_not(store: SqliteStore) -> None:
    graph = CodeGraph('{"nodes": []}')
    daily = VersionSettings(schedules=("0 0 * * *",))
    await store.run(RegisterWorkflow("acme", "mail", "post", "Mail", "bb", "w", "v", 1, None, daily, graph=graph))
    await store.run(FireSchedules(DAY_MS, 0))
    await register(store)
    await store.run(creation("a"))
    await store.run(creation("ended"))
    # Ends are noted from now on.
    await store.run(TakeTraces(1, 1, DAY_MS, 0))
    await store.run(TerminateInstance("acme", "orders", "ended", codec.to_row(Terminated(1, "api"))))
    limits = '{"limit":1,"rate":{"limit":2,"period":60000},"ageing":60000}'
    await store.run(RegisterWorkflow("acme", "limited", "post", "Limited", "bb", "l", "lv", 1, flow=limits))
    await store.run(creation("running", workflow="limited"))
    await store.run(creation("queued", workflow="limited"))
    await store.run(Once("acme", "key \0", "hash", 1, creation("b")))
    await store.run(StartTermination("acme", "orders", ["queued"]))
    await store.run(AddWebhook("acme", "hook", "https://a.example/", "whsec_YQ==", [], ["queued"], 1, "no \0", 50))
    await store.run(creation("told"))
    await store.run(StartJob("acme", "job", "pause", "orders", Wanted(error_text="no \0"), 1, "ann"))
    await store.run(ChangeAccountSettings("acme", AccountSettings(1_000, None)))
    to = To(type="workflow", workflow_name="orders", script_name="shop")
    await store.run(ReplaceTriggers("acme", "shop", [Trigger(type="push", targets=[to])], 1))
    await store.run(Audited(DeleteTriggers("acme", "none"), Asked("token", "no \0 \x1a1", 1, "aa", "::1", "curl")))
    await store.run(SaveSnapshot("acme", "aa", "app", "3.11", "{}", [SnapshotFile("app/a.py", b"\0a = 1")], 1))
    await Tokens(store, VirtualClock()).create(ACCOUNT, [Permission.SCRIPTS_READ])


def inside(store: Any) -> apsw.Connection:
    """Return the connection of a store in memory."""
    connection: apsw.Connection = store._shell._ledger._database.connection
    return connection


def copied(source: str, target: str, heard: Callable[[str], None] = lambda table: None) -> dict[str, int]:
    """Copy a store; return how many rows of each table have come. `heard` is called behind each part of a table."""
    come = {table.name: 0 for table in TABLES}

    def told(table: str, rows: int) -> None:
        come[table] += rows
        heard(table)

    with open_source(source) as opened:
        counts = counts_of(opened)
        with open_target(target) as begun:
            copy(opened, begun, counts, told)
    return come


def tables_of(url: str, *, but: str = "") -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a store, without a column."""
    with open_source(url) as opened:
        return {
            table.name: [
                tuple(value for name, value in zip(table.columns, row, strict=True) if name != but)
                for row in opened.rows(table)
            ]
            for table in TABLES
        }


@contextmanager
def in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """Return a store in memory with what a file has, as opening the file would make it."""
    connection = FileConnection(":memory:")
    with closing(apsw.Connection(str(path))) as file, connection.backup("main", file, "main") as backup:
        backup.step()
    migrate(connection, MIGRATIONS, "here")
    with monkeypatch.context() as patched:
        patched.setattr(module, "open_in_memory", lambda: connection)
        yield SqliteStore.in_memory()
