"""Workflows that are changed and deleted while a worker runs them."""

import asyncio
import logging
from pathlib import Path
from typing import TypeVar

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.stepview import StepQuery
from stepwell.engine import NewInstance, WorkflowPut
from stepwell.errors import ScriptError, WorkflowNotFound
from stepwell.project import Project
from stepwell.scripts import Script, load
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store.note_operations import PROGRESS, ReadNote
from stepwell.store.operations import ClaimDue, Claims, Operation, ReadHistory, ReadPayload, VersionSettings
from stepwell.store.workflow_operations import DeleteWorkflow
from stepwell.testing import ACCOUNT, TestEngine
from tests.engine.stores import CheckedStore

A = TypeVar("A")

seen: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


class Greeting(WorkflowEntrypoint):
    """Greets in as many steps as it is told."""

    async def run(self, event, step):
        name = None
        for number in range(event.payload.get("steps", 1)):
            name = await step.do(f"greet {number}", lambda: event["workflowName"])
        return name


class Stuck(WorkflowEntrypoint):
    """Is in a step until it is cancelled."""

    async def run(self, event, step):
        @step.do()
        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        await work()


async def _put(engine: TestEngine, name: str, settings: VersionSettings | None = None) -> None:
    put = WorkflowPut("tests", "Greeting", settings or VersionSettings())
    await engine.engine.put_workflow(ACCOUNT, name, put)


async def test_workflow_that_a_put_has_made_is_run() -> None:
    """A worker runs what the store says a workflow is made of, though its files do not know the name."""
    async with TestEngine.open([Greeting, Stuck]) as engine:
        await _put(engine, "hello")
        await engine.engine.create(ACCOUNT, "hello", NewInstance("a"))

        await engine.run_until_idle()

        view = await engine.engine.get(ACCOUNT, "hello", "a")
        assert (view.row.status, view.output) == ("complete", '"hello"')


async def test_put_can_change_the_class_of_a_workflow() -> None:
    """The class that a PUT names is what new turns run, whatever the files call it."""
    async with TestEngine.open([Greeting, Stuck]) as engine:
        await _put(engine, "stuck")
        await engine.engine.create(ACCOUNT, "stuck", NewInstance("a"))

        await engine.run_until_idle()

        assert (await engine.engine.get(ACCOUNT, "stuck", "a")).row.status == "complete"


async def test_class_that_is_not_loaded_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """An instance whose class the worker does not have rests, and goes on with a worker that has it."""
    async with TestEngine.open([Greeting, Stuck]) as engine:
        await _put(engine, "hello")
        await engine.engine.create(ACCOUNT, "hello", NewInstance("a"))
        greeting = engine._workflows.pop("greeting")
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()
        resting = (await engine.engine.get(ACCOUNT, "hello", "a")).row.status

        engine._workflows["greeting"] = greeting
        await engine.crash()
        await engine.start_worker()
        await engine.advance("1 minute")

        assert resting == "waiting"
        assert 'belongs to workflow "hello", which is not in the files served now' in caplog.text
        assert (await engine.engine.get(ACCOUNT, "hello", "a")).row.status == "complete"


@pytest.mark.parametrize(("steps", "status"), [(3, "complete"), (4, "errored")])
async def test_limit_of_steps_takes_effect(steps: int, status: str) -> None:
    """An instance may have as many steps as its version says; the one beyond fails."""
    async with TestEngine.open([Greeting]) as engine:
        await _put(engine, "greeting", VersionSettings(steps=3))
        await engine.engine.create(ACCOUNT, "greeting", NewInstance("a", f'{{"steps":{steps}}}'))

        await engine.run_until_idle()

        view = await engine.engine.get(ACCOUNT, "greeting", "a")
        assert (view.row.status, view.row.step_count) == (status, 3)
        assert status == "complete" or (view.log.error is not None and "limit of 3 steps" in view.log.error.message)


async def test_limit_is_that_of_the_instances_own_version() -> None:
    """A later PUT changes nothing for instances that there are."""
    async with TestEngine.open([Greeting]) as engine:
        await engine.engine.create(ACCOUNT, "greeting", NewInstance("a", '{"steps":4}'))
        await _put(engine, "greeting", VersionSettings(steps=3))

        await engine.run_until_idle()

        assert (await engine.engine.get(ACCOUNT, "greeting", "a")).row.status == "complete"


async def test_deleted_workflow_stops_what_runs(caplog: pytest.LogCaptureFixture) -> None:
    """An attempt in flight is cancelled as soon as its workflow is deleted; nothing is left, and nothing is wrong."""
    async with TestEngine.open([Stuck]) as engine:
        instance = await engine.create(Stuck)
        await engine.run_until_idle()
        row = (await instance.view()).row.row

        await engine.engine.delete_workflow(ACCOUNT, "stuck")
        await engine.run_until_idle()

        assert seen == ["cancelled"]
        assert await engine.store.run(ReadHistory(row)) == []
        assert await engine.store.run(ReadNote(row, PROGRESS)) is None
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
        with pytest.raises(WorkflowNotFound):
            await instance.status()


class DeletingStore(CheckedStore):
    """A store in which a workflow is deleted right after an instance of it has been claimed."""

    has_deleted = False

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation."""
        answer = super().run(operation)
        if isinstance(operation, ClaimDue) and not self.has_deleted:
            claims = answer.result()
            assert isinstance(claims, Claims)
            if claims.turns:
                self.has_deleted = True
                self.inner.run(DeleteWorkflow(ACCOUNT, claims.turns[0].workflow, 0))
        return answer


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_workflow_deleted_as_its_turn_begins_is_no_defect(
    caplog: pytest.LogCaptureFixture, is_loaded: bool
) -> None:
    """A turn that finds no history ends quietly, and the worker goes on."""
    store = DeletingStore()
    async with TestEngine.open([Stuck, Greeting], store=store) as engine:
        if not is_loaded:
            del engine._workflows["stuck"]
            await engine.crash()
            await engine.start_worker()
        await engine.create(Stuck)
        await engine.run_until_idle()

        greeting = await engine.create(Greeting)
        await engine.run_until_idle()

        assert store.has_deleted
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
        assert await greeting.status() == "complete"
    await store.close()


class ForgettingStore(CheckedStore):
    """A store in which a workflow is deleted right before a value of it is read."""

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation."""
        if isinstance(operation, ReadPayload):
            self.inner.run(DeleteWorkflow(ACCOUNT, "large", 0))
        return super().run(operation)


@pytest.mark.parametrize("is_step", [False, True])
async def test_workflow_deleted_while_it_is_read_is_not_found(is_step: bool) -> None:
    """What is deleted between two reads of an answer is missing, not damaged."""

    class Large(WorkflowEntrypoint):
        async def run(self, event, step):
            return await step.do("make", lambda: "x" * 9_000)

    store = ForgettingStore()
    async with TestEngine.open([Large], store=store) as engine:
        instance = await engine.create(Large)
        await engine.run_until_idle()

        step = engine.engine.step(ACCOUNT, "large", instance.id, StepQuery("make-1", "step"))
        whole = engine.engine.get(ACCOUNT, "large", instance.id)
        asked, unasked = (step, whole) if is_step else (whole, step)
        unasked.close()
        with pytest.raises(WorkflowNotFound):
            await asked
    await store.close()


async def test_sleeper_of_a_deleted_workflow_never_wakes() -> None:
    """What was due later is due no more."""

    class Napping(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep("nap", "1 hour")
            seen.append("awake")

    async with TestEngine.open([Napping]) as engine:
        await engine.create(Napping)
        await engine.run_until_idle()

        await engine.engine.delete_workflow(ACCOUNT, "napping")
        await engine.advance("2 hours")

        assert seen == []


FLOW = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        return 1
"""


def _scripts(folder: Path, limits: str, told: Settings = DEFAULT_SETTINGS, code: str = FLOW) -> list[Script]:
    (folder / "order.py").write_text(code)
    entry = f'{{"name": "order", "binding": "ORDER", "class_name": "Order"{limits}}}'
    (folder / "wrangler.json").write_text(f'{{"workflows": [{entry}]}}')
    return load(Project.at(folder), told)


@pytest.mark.parametrize(
    ("limits", "steps"),
    [
        pytest.param("", {}, id="not given"),
        pytest.param(', "limits": {}', {}, id="empty"),
        pytest.param(', "limits": {"steps": 25000}', {"order": 25_000}, id="given"),
    ],
)
def test_wrangler_file_gives_limits_of_steps(tmp_path: Path, limits: str, steps: dict[str, int]) -> None:
    """`limits.steps` of a workflow in the wrangler file goes with its script."""
    (script,) = _scripts(tmp_path, limits)

    assert script.step_limits == steps


def test_wrangler_file_limits_concurrency(tmp_path: Path) -> None:
    """`concurrency.limit` of a workflow in the wrangler file goes with its script; what cannot be one is told."""
    (script,) = _scripts(tmp_path, ', "concurrency": {"limit": 3}')
    with pytest.raises(ScriptError, match=r'concurrency.limit of the workflow "order" must be an integer from 1 to'):
        _scripts(tmp_path, ', "concurrency": 3')

    assert script.concurrency == {"order": 3}


@pytest.mark.parametrize("steps", ["0", "25001", '"5"', "true", "null"])
def test_limit_that_cannot_be_is_told_with_its_workflow(tmp_path: Path, steps: str) -> None:
    """The report names file, workflow and what is allowed."""
    with pytest.raises(ScriptError, match=r'of the workflow "order" must be an integer from 1 to 25,000, got'):
        _scripts(tmp_path, f', "limits": {{"steps": {steps}}}')


def test_limit_of_steps_may_be_raised_as_far_as_the_setting(tmp_path: Path) -> None:
    """What a wrangler file may ask for is a setting; one more is refused with it."""
    told = Settings(most_steps_per_instance=30_000)

    (script,) = _scripts(tmp_path, ', "limits": {"steps": 30000}', told)
    with pytest.raises(ScriptError, match="must be an integer from 1 to 30,000, got 30001"):
        _scripts(tmp_path, ', "limits": {"steps": 30001}', told)

    assert script.step_limits == {"order": 30_000}


@pytest.mark.parametrize(
    ("said", "crons"),
    [
        pytest.param("", ("0 9 * * *",), id="not given, so those of the class"),
        pytest.param(', "schedules": "*/5  * * * *"', ("*/5 * * * *",), id="one"),
        pytest.param(', "schedules": ["5 * * * *", "6 * * * *"]', ("5 * * * *", "6 * * * *"), id="several"),
        pytest.param(', "schedules": []', (), id="none, whatever the class has"),
    ],
)
def test_wrangler_file_gives_schedules(tmp_path: Path, said: str, crons: tuple[str, ...]) -> None:
    """`schedules` of a workflow in the wrangler file goes with its script, and wins over those of the class."""
    (script,) = _scripts(tmp_path, said, code=FLOW.replace("    async", '    schedules = "0 9 * * *"\n\n    async'))

    assert script.schedules == {"order": crons}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param('"0 25 * * *"', '.* field 2, the hour, must be of 0-23 and . , - /; got "25"', id="hour"),
        pytest.param('["* * * * *", "x"]', 'the cron expression "x" is wrong: it must have 5 fields', id="in a list"),
        pytest.param("5", 'expected a cron expression such as "0 9 . . MON", or a list, got 5', id="number"),
        pytest.param('"* * * * *", "script_name": "shop"', "the workflow is that of another script", id="elsewhere"),
    ],
)
def test_schedule_that_cannot_be_is_told_with_its_place(tmp_path: Path, said: str, problem: str) -> None:
    """The report names file, key, workflow and the field that is wrong."""
    with pytest.raises(ScriptError, match=rf'the wrangler file of .*: `schedules` of the workflow "order": {problem}'):
        _scripts(tmp_path, f', "schedules": {said}')


def test_schedule_of_a_class_that_cannot_be_is_told_with_its_place(tmp_path: Path) -> None:
    """The report names file and class."""
    with pytest.raises(ScriptError, match=r"order\.py: `schedules` of the class Order: .* field 5, the day of week"):
        _scripts(tmp_path, "", code=FLOW.replace("    async", '    schedules = "0 9 * * 0"\n\n    async'))


def test_files_have_as_many_schedules_as_an_account_may_have(tmp_path: Path) -> None:
    """One more than the setting is refused with it."""
    told = Settings(schedules_per_account=1)

    _scripts(tmp_path, ', "schedules": ["* * * * *"]', told)
    with pytest.raises(ScriptError, match="the files have 2 cron expressions, and an account may have 1"):
        _scripts(tmp_path, ', "schedules": ["* * * * *", "1 * * * *"]', told)


def test_number_of_a_weekday_is_warned_of(tmp_path: Path) -> None:
    """Who writes one reads at the start what it means."""
    (script,) = _scripts(tmp_path, ', "schedules": ["0 9 * * 2", "0 9 * * MON"]')

    (warning,) = script.warnings
    assert warning.startswith('workflow "order": "0 9 * * 2" means "At 09:00 on Monday": 1 is Sunday, as on Cloudflare')


def test_warnings_go_by_the_settings(tmp_path: Path) -> None:
    """A config that the server's settings allow is nothing to warn of when its file is loaded."""
    config = '{"retries": {"limit": 20000, "delay": 0}}'
    (tmp_path / "order.py").write_text(FLOW.replace("return 1", f'await step.do("a", print, config={config})'))

    (script,) = load(Project.at(tmp_path))
    (raised,) = load(Project.at(tmp_path), Settings(retries_per_step=20_000))

    assert (len(script.warnings), raised.warnings) == (1, ())
