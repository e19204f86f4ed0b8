"""Rehearsals: what would become of an instance on other code is seen without doing anything."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.bindings import WorkflowBinding
from stepwell.engine import Engine, NewInstance
from stepwell.env import Env
from stepwell.outlook import Outlook, Verdict
from stepwell.rehearsal import DryStore, rehearse
from stepwell.rehearsals import Rehearsals, RehearsalSettings
from stepwell.scripts import workflow_name
from stepwell.server_settings import Settings
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store.opening import open_store
from stepwell.store.operations import Claim, ListInstances, ReadHistory, RegisterWorkflow
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.threads import Threads
from stepwell.values import Classes
from stepwell.worker import class_of
from stepwell.worker_options import CodeOptions
from tests.engine.edits import BREAKING, HARMLESS, SOURCE, Edit, edited

MODULE = "shop"


def _module(source: str) -> ModuleType:
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module
    exec(compile(source, "/author/shop.py", "exec"), vars(module))
    return module


def _workflows(module: ModuleType) -> dict[str, type[WorkflowEntrypoint[Any]]]:
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == MODULE]
    return {workflow_name(kind): kind for kind in kinds if issubclass(kind, WorkflowEntrypoint)}


@asynccontextmanager
async def _running(source: str, params: object) -> AsyncIterator[tuple[TestEngine, TestInstance]]:
    """Run an instance until it waits."""
    try:
        (workflow,) = _workflows(_module(source)).values()
        async with TestEngine.open([workflow]) as engine:
            instance = await engine.create(workflow, id="a", params=params)
            await engine.advance("2 minutes")
            yield engine, instance
    finally:
        del sys.modules[MODULE]


async def _rehearsed(engine: TestEngine, instance: TestInstance, source: str) -> Outlook:
    module = _module(source)
    row = (await instance.view()).row
    claim = Claim(row.row, row.turn, 0, ACCOUNT, row.workflow, row.id, row.version, row.created_at, 0, script="tests")
    workflow = class_of(claim, _workflows(module), {})
    if workflow is None:
        return Outlook(Verdict.MISSING, problem=row.workflow)
    dry = DryStore(engine.store)
    settings = TurnSettings(foreign_wait_ms=50)
    env = Env({"SHOP": WorkflowBinding(Engine(dry, engine.clock), ACCOUNT, "shop")}, {})
    context = TurnContext(dry, engine.clock, Threads(), settings, env, Classes(lambda: [module]))
    return await rehearse(claim, workflow, context, dry)


async def _said(edit: Edit) -> Outlook:
    async with _running(SOURCE, {"item": "book", "amount": 40}) as (engine, instance):
        before = await engine.store.run(ReadHistory((await instance.view()).row.row))
        outlook = await _rehearsed(engine, instance, edited(edit))
        after = await engine.store.run(ReadHistory((await instance.view()).row.row))
        assert after == before
        return outlook


@pytest.mark.parametrize("edit", BREAKING, ids=lambda edit: edit.title)
async def test_edit_that_breaks_is_found(edit: Edit) -> None:
    """An instance that runs is found to break."""
    outlook = await _said(edit)
    assert outlook.verdict is edit.verdict
    assert outlook.breaks
    assert edit.names in str(outlook)


@pytest.mark.parametrize("edit", HARMLESS, ids=lambda edit: edit.title)
async def test_edit_that_is_harmless_raises_no_alarm(edit: Edit) -> None:
    """An instance that runs is found to go on."""
    outlook = await _said(edit)
    assert outlook.verdict is Verdict.GOES_ON, outlook
    assert not outlook.breaks
    assert edit.names in str(outlook.skipped)


_FLOW = """
import asyncio
import os

from stepwell import WorkflowEntrypoint


class Shop(WorkflowEntrypoint):
    async def run(self, event, step):
        BEFORE
        await step.do("a", lambda: 1)
        BETWEEN
        await step.wait_for_event("approval", "approved")
        await step.do("b", lambda: 1)
"""


def _flow(before: str = "pass", between: str = "pass") -> str:
    return _FLOW.replace("BEFORE", before).replace("BETWEEN", between)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "await asyncio.get_running_loop().run_in_executor(None, __import__('time').sleep, 1)",
            "outside of its steps it waits for Shop.run",
        ),
        ("await self.env.SHOP.create(id='b')", "what is not done in a rehearsal (CreateInstance)"),
    ],
)
async def test_what_is_done_outside_of_steps_is_not_done(line: str, told: str) -> None:
    """So nobody knows what would come of it."""
    async with _running(_flow(), None) as (engine, instance):
        outlook = await _rehearsed(engine, instance, _flow(before=line))

        assert outlook.verdict is Verdict.UNKNOWN
        assert not outlook.breaks
        assert told in str(outlook.problem)
        assert (await engine.engine.store.run(ListInstances(ACCOUNT, "shop", 10))).total == 1


async def test_instance_that_is_paused_or_rolled_back_is_rehearsed() -> None:
    """As it would go on if it were resumed; what is undone is undone by the code that there is then."""
    async with _running(_flow(), None) as (engine, instance):
        await instance.pause()
        await engine.run_until_idle()
        assert await instance.status() == "paused"

        assert (await _rehearsed(engine, instance, _flow())).verdict is Verdict.GOES_ON
        renamed = await _rehearsed(engine, instance, _flow().replace('"a"', '"c"'))
        assert (renamed.verdict, [call.step for call in renamed.anew]) == (Verdict.DIVERGES, ["c-1"])
        assert renamed.where == "/author/shop.py:11"

    undoing = _flow().replace('"a", lambda: 1', '"a", lambda: 1, rollback=lambda: asyncio.Event().wait()')
    async with _running(undoing, None) as (engine, instance):
        await instance.terminate(rollback=True)
        await engine.run_until_idle()
        assert await instance.status() == "rollingBack"

        assert (await _rehearsed(engine, instance, undoing)).verdict is Verdict.GOES_ON
        gone = await _rehearsed(engine, instance, _flow())
        assert gone.verdict is Verdict.FAILS
        assert "rollback" in str(gone.problem).lower()


async def test_time_decides_nothing_in_a_rehearsal() -> None:
    """A wait whose time is over has not timed out where its history does not say so."""
    async with _running(_flow(), None) as (engine, instance):
        await engine.crash()
        await engine.advance("2 days")

        outlook = await _rehearsed(engine, instance, _flow())

        assert outlook == Outlook(Verdict.GOES_ON)


async def test_instance_that_has_ended_goes_on() -> None:
    """There is nothing left that could break."""
    async with _running(_flow(), None) as (engine, instance):
        await instance.terminate()

        assert await _rehearsed(engine, instance, _flow().replace('"a"', '"c"')) == Outlook(Verdict.GOES_ON)


async def test_code_that_hangs_or_kills_its_process_is_told_and_the_next_is_looked_at(tmp_path: Path) -> None:
    """Each instance has its time, and its process; what was lost is started again."""
    store = await asyncio.to_thread(open_store, f"sqlite:///{tmp_path}/kept.db")
    try:
        engine = Engine(store)
        await store.run(RegisterWorkflow(ACCOUNT, "shop", "shop", "Shop", "0" * 64, "w", "v", 1))
        for id in ("hangs", "dies", "fits"):
            await engine.create(ACCOUNT, "shop", NewInstance(id))
        line = "{'hangs': lambda: [0 for _ in iter(int, 1)], 'dies': lambda: os._exit(3)}.get(event.instance_id, int)()"
        (tmp_path / "shop.py").write_text(
            _flow(before=line).replace(
                'step.do("a", lambda: 1)', 'asyncio.gather(step.do("a", lambda: 1), step.do("a", lambda: 1))'
            )
        )
        # How many steps there may be is said where they run, and may be said for a workflow alone.
        settings = RehearsalSettings(str(tmp_path), ACCOUNT, told=Settings(steps_per_instance=1), instance_s=1.0)
        async with Rehearsals(store, CodeOptions(str(tmp_path / "shop.py")), settings) as rehearsals:
            found = {row.id: outlook async for row, outlook in rehearsals.all(ACCOUNT)}

        assert found["fits"].verdict is Verdict.GOES_ON
        assert found["hangs"].problem == "it has not come to rest within 1 s: its code runs on, or blocks"
        assert found["dies"].problem == "the process that replayed it ended with exit code 3"
    finally:
        await store.close()


def test_documented_edits_are_those_that_are_tried() -> None:
    """The table on the page about deploying has each, with its verdict, in this order."""
    page = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")
    table = page.partition("| edit | verdict |\n|---|---|\n")[2].partition("\n\n")[0]

    assert table.splitlines() == [f"| {edit.title} | {edit.verdict} |" for edit in (*BREAKING, *HARMLESS)]
    assert len(BREAKING) >= 15
    assert len(HARMLESS) >= 15
