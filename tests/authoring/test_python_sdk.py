"""Workflows as Cloudflare's Python SDK has them: imports, event, step object, errors and bindings."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowEntrypoint, scripts
from stepwell.errors import InvalidStepConfig, NotSerialisable, StepFailed
from stepwell.project import Project
from stepwell.testing import TestEngine
from tests.authoring.cases import names_of, refusal_of
from tests.engine.flows import NOW, ONCE, opened, output_of, outputs_of


class Child(WorkflowEntrypoint):
    async def run(self, event, step):
        return event["payload"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], type[WorkflowEntrypoint]]]:
    """Load the only workflow of an author's file, whose modules are forgotten after the test."""
    for name in ("workers", "workers.workflows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)

    def load_source(source: str) -> type[WorkflowEntrypoint]:
        file = tmp_path / "flows.py"
        file.write_text(dedent(source))
        (script,) = scripts.load(Project.at(file))
        (loaded,) = script.workflows.values()
        return loaded

    yield load_source
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


# ---- class and event


async def test_imports_of_cloudflare_work(load: Callable[[str], type[WorkflowEntrypoint]]) -> None:
    """`workers` has WorkflowEntrypoint, and `workers.workflows` has NonRetryableError.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    flow = await asyncio.to_thread(
        load,
        """
        from workers import WorkflowEntrypoint
        from workers.workflows import NonRetryableError

        class Greeting(WorkflowEntrypoint):
            async def run(self, event, step):
                @step.do("greet")
                async def greet(ctx):
                    raise NonRetryableError(f"not today, said attempt {ctx['attempt']}")

                try:
                    await greet()
                except NonRetryableError as error:
                    return str(error)
        """,
    )

    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow)
        await engine.run_until_idle()

        assert await instance.output() == "not today, said attempt 1"


@pytest.mark.parametrize("is_async", [pytest.param(True, id="async"), pytest.param(False, id="plain")])
async def test_run_may_be_async_or_not(*, is_async: bool) -> None:
    """A `run` that awaits nothing need not be async.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run_async(event, step):
        return "done"

    def run_plain(event, step):
        return "done"

    assert await output_of(run_async if is_async else run_plain) == "done"


async def test_run_may_return_nothing() -> None:
    """The output of a `run` without a return is None.

    Source: developers.cloudflare.com/workflows/build/workers-api/#run
    """

    async def run(event, step):
        await step.do("work")(lambda: 5)()

    assert await output_of(run) is None


async def test_event_is_a_dict_of_four_members() -> None:
    """The event has `payload`, `timestamp`, `instanceId` and `workflowName`.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    events = []

    async def run(event, step):
        events.append(event)

    await output_of(run, params={"item": "book"})

    created_at = datetime(2026, 9, 21, 14, 13, 20)  # noqa: DTZ001 - without a zone, as on Cloudflare
    (event,) = events
    assert isinstance(event, dict)
    assert event == {
        "payload": {"item": "book"},
        "timestamp": created_at,
        "instanceId": "a",
        "workflowName": "flow",
    }


async def test_env_has_bindings_and_variables() -> None:
    """`self.env.NAME` is a workflow's binding or a variable.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    class Shop(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do()
            async def start():
                return (await self.env.CHILD.create({"id": "a"})).id

            return [await start(), self.env.COLOUR]

    async with TestEngine.open([Shop, Child], env={"COLOUR": "red"}) as engine:
        instance = await engine.create(Shop)
        await engine.run_until_idle()

        assert await instance.output() == ["a", "red"]


# ---- the step object


async def test_sleep_takes_milliseconds_or_words() -> None:
    """`await step.sleep(name, duration)`.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        await step.sleep("short", 500)
        await step.sleep(name="long", duration="1 hour")
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.advance(3_600_499)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_sleep_until_takes_a_datetime() -> None:
    """`await step.sleep_until(name, timestamp)`.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        await step.sleep_until("nap", datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(seconds=10))
        return "awake"

    async with opened(run) as (engine, instance):
        await engine.advance(9_999)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, "awake")


async def test_wait_for_event_takes_name_and_type_by_position() -> None:
    """`await step.wait_for_event(name, event_type, timeout=...)`; only the timeout may be named.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    async def run(event, step):
        return (await step.wait_for_event("approval", "approved", timeout="1 hour"))["type"]

    refused, _ = await refusal_of(lambda step: step.wait_for_event(name="approval", event_type="approved"))
    async with opened(run) as (engine, instance):
        await instance.send_event("approved")
        await engine.run_until_idle()

        assert (type(refused), await instance.output()) == (TypeError, "approved")


@pytest.mark.parametrize(
    "retries", [pytest.param({"limit": 1}, id="limit alone"), pytest.param({"delay": 1}, id="delay alone")]
)
async def test_config_is_a_dict_whose_retries_need_limit_and_delay(retries: Any) -> None:
    """The config is Cloudflare's, as a dict; `retries` with one of the two is refused.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    error, _ = await refusal_of(lambda step: step.do("work", config={"retries": retries})(lambda: 5)())

    assert type(error) is InvalidStepConfig


async def test_steps_may_be_made_in_a_loop() -> None:
    """Names and counts may come from params and results, as long as they are the same on replay.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """

    async def run(event, step):
        total = 0
        for item in event["payload"]:

            @step.do(f"price of {item}")
            async def price():
                return len(item)  # noqa: B023 - it runs before the loop goes on

            total += await price()
            await step.sleep("nap", "1 hour")
        return total

    async with opened(run, params=["pen", "book"]) as (engine, instance):
        await engine.advance("1 day")

        assert await instance.output() == 7
        assert await names_of(instance) == ["price of pen-1", "nap-1", "price of book-1", "nap-2"]


# ---- errors and values that cross a step


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(TypeError("bad"), id="TypeError"),
        pytest.param(ValueError("bad"), id="ValueError"),
        pytest.param(NonRetryableError("bad"), id="NonRetryableError"),
        pytest.param(KeyError("bad"), id="KeyError"),
        pytest.param(ZeroDivisionError("bad"), id="ZeroDivisionError"),
    ],
)
async def test_error_of_python_is_caught_by_its_class(error: Exception) -> None:
    """Cloudflare builds the first three again; here each of Python's own is, with its message alone.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """
    seen = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def work():
            raise error

        try:
            await work()
        except type(error) as caught:
            seen.append((type(caught), caught.args))
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [(type(error), ("bad",))] * 2


async def test_error_of_any_other_class_is_caught_as_exception() -> None:
    """A class that cannot be built again arrives as an Exception.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    class Local(Exception):
        pass

    async def run(event, step):
        @step.do(config=ONCE)
        async def work():
            raise Local("bad")

        try:
            await work()
        except Exception as error:  # as an author may catch it
            return [type(error) is StepFailed, str(error)]

    assert await output_of(run) == [True, "bad"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": [1]}, id="dict"),
        pytest.param([1, 2], id="list"),
        pytest.param({1, 2}, id="set"),
        pytest.param(b"ab", id="bytes"),
        pytest.param(None, id="None"),
        pytest.param((1, 2), id="tuple stays one"),
        pytest.param(datetime(2026, 1, 1, tzinfo=UTC), id="datetime is taken"),
    ],
)
async def test_result_arrives_as_pythons_own(value: Any) -> None:
    """Results are Python's values; a tuple is no list here, and a datetime, which fails on Cloudflare, is kept.

    Source: developers.cloudflare.com/workflows/python/python-workers-api/
    """

    async def run(event, step):
        return await step.do("work")(lambda: value)()

    outputs = await outputs_of(run)

    assert outputs == (value, value)
    assert [type(output) for output in outputs] == [type(value)] * 2


# ---- bindings


@pytest.mark.parametrize(
    ("params", "received"),
    [
        pytest.param({"a": [1, None]}, {"a": [1, None]}, id="dict, list and None"),
        pytest.param({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": "2026-01-02T00:00:00Z"}, id="datetime"),
        pytest.param([{5}], [[5]], id="set"),
        pytest.param([b"ab"], ["YWI="], id="bytes"),
        pytest.param([(1, 2)], [[1, 2]], id="tuple"),
        pytest.param([bytearray(b"ab")], ["YWI="], id="bytearray"),
    ],
)
async def test_params_of_a_binding_become_plain_json(params: Any, received: Any) -> None:
    """What has a natural form in JSON is taken, and arrives in it; a tuple and a bytearray, too.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create({"params": params})
        await engine.run_until_idle()

        assert (await handle.status())["output"] == received


async def test_params_of_a_binding_that_are_no_json_are_refused() -> None:
    """Anything else is refused by its place.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """
    async with TestEngine.open([Child]) as engine:
        with pytest.raises(NotSerialisable, match=r'^params\["a"\] is not serialisable'):
            await engine.env.CHILD.create({"params": {"a": object()}})


async def test_methods_have_their_names_in_javascript_too() -> None:
    """`create_batch` and `send_event` are there as `createBatch` and `sendEvent`.

    Source: github.com/cloudflare/workers-py (packages/runtime-sdk, src/workers/_workers.py)
    """

    class Waiting(WorkflowEntrypoint):
        async def run(self, event, step):
            return (await step.wait_for_event("wait", "go"))["payload"]

    async with TestEngine.open([Waiting]) as engine:
        (handle,) = await engine.env.WAITING.createBatch([{"id": "a"}])
        await handle.sendEvent({"type": "go", "payload": 5})
        await engine.run_until_idle()

        assert await handle.status() == {"status": "complete", "error": None, "output": 5}


async def test_delay_may_be_a_python_function() -> None:
    """Cloudflare's Python SDK does not promise it; here a delay function is a Python function, async or not.

    Source: developers.cloudflare.com/workflows/build/sleeping-and-retrying/
    """

    async def delay(about):
        return "2 minutes"

    async def run(event, step):
        @step.do(config={"retries": {"limit": 1, "delay": delay}})
        async def work(ctx):
            if ctx["attempt"] == 1:
                raise ValueError
            return ctx["attempt"]

        return await work()

    async with opened(run) as (engine, instance):
        await engine.advance(119_999)
        early = await instance.output()
        await engine.advance(1)

        assert (early, await instance.output()) == (None, 2)
