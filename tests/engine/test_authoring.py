"""What authors write, and what they get: the step object, the event, results and errors."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowEntrypoint, scripts
from stepwell.core.failures import Failure
from stepwell.core.steplog import StepEntry
from stepwell.errors import (
    InvalidEventType,
    InvalidStepConfig,
    InvalidStepName,
    StepFailed,
    StepLimitReached,
    WorkflowFatalError,
)
from stepwell.project import Project
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine
from tests.engine.flows import ONCE, error_of, opened, output_of, outputs_of, restart, step_of, workflow


class CardDeclined(Exception):
    pass


# ---- the class and its imports


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test load author's files, and forget them."""
    for name in ("workers", "workers.workflows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


async def _load(file: Path, source: str) -> type[WorkflowEntrypoint]:
    file.write_text(dedent(source))
    (script,) = await asyncio.to_thread(lambda: scripts.load(Project.at(file)))
    (loaded,) = script.workflows.values()
    return loaded


async def test_workflow_written_for_cloudflare_runs_as_it_is(imports: None, tmp_path: Path) -> None:
    """`from workers import WorkflowEntrypoint` and `from workers.workflows import NonRetryableError` work."""
    flow = await _load(
        tmp_path / "flows.py",
        """
        from workers import WorkflowEntrypoint
        from workers.workflows import NonRetryableError

        class Greeting(WorkflowEntrypoint):
            async def run(self, event, step):
                @step.do("greet")
                async def greet():
                    raise NonRetryableError("not today")

                try:
                    await greet()
                except NonRetryableError as error:
                    return str(error)
        """,
    )

    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow)
        await engine.run_until_idle()

        assert (instance.workflow, await instance.output()) == ("greeting", "not today")


async def test_package_of_the_authors_own_is_not_hidden(imports: None, tmp_path: Path) -> None:
    """A folder that has a package `workers` gets that one."""
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text("CREW = ['ann', 'bob']")
    flow = await _load(
        tmp_path / "flows.py",
        """
        from stepwell import WorkflowEntrypoint
        from workers import CREW

        class Roster(WorkflowEntrypoint):
            async def run(self, event, step):
                return CREW
        """,
    )

    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow)
        await engine.run_until_idle()

        assert await instance.output() == ["ann", "bob"]


async def test_run_may_be_a_plain_function() -> None:
    """`run` need not be async if it awaits nothing."""

    def run(event, step):
        return "done"

    assert await output_of(run) == "done"


async def test_run_has_to_be_written() -> None:
    """A class without `run` ends its instances with an error that names what is missing."""

    class Forgotten(WorkflowEntrypoint):
        pass

    async with TestEngine.open([Forgotten]) as engine:
        instance = await engine.create(Forgotten)
        await engine.run_until_idle()

        assert await instance.error() == Failure("TypeError", "Forgotten has no method `run(self, event, step)`")


async def test_each_turn_has_an_object_of_its_own() -> None:
    """What `run` keeps in `self` does not outlive a turn."""

    class Counting(WorkflowEntrypoint):
        turns = 0

        async def run(self, event, step):
            self.turns += 1
            await step.sleep("nap", "1 hour")
            return self.turns

    async with TestEngine.open([Counting]) as engine:
        instance = await engine.create(Counting)
        await engine.advance("1 hour")

        assert await instance.output() == 1


async def test_binding_that_there_is_none_of_is_refused_by_name() -> None:
    """`self.env` says which name it does not have."""

    class Binding(WorkflowEntrypoint):
        async def run(self, event, step):
            return self.env.DATABASE

    async with TestEngine.open([Binding]) as engine:
        instance = await engine.create(Binding)
        await engine.run_until_idle()

        error = await instance.error()
        assert error is not None
        assert error.message.startswith(
            "self.env.DATABASE: there is no binding or variable of this name (there is: BINDING)"
        )


# ---- the event


async def test_event_has_the_params_and_names_the_instance() -> None:
    """The event is a dict with payload, instanceId and workflowName."""

    async def run(event, step):
        return {key: event[key] for key in ("payload", "instanceId", "workflowName")}

    assert await output_of(run, params={"item": "book", "count": 2**70}) == {
        "payload": {"item": "book", "count": 2**70},
        "instanceId": "a",
        "workflowName": "flow",
    }


async def test_event_has_the_time_of_creation() -> None:
    """`timestamp` is a datetime in UTC without a zone, and the same in each turn."""
    seen = []

    async def run(event, step):
        seen.append(event["timestamp"])
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [datetime(2026, 9, 21, 14, 13, 20)] * 2  # noqa: DTZ001 - without a zone, as on Cloudflare


async def test_event_without_params_has_an_empty_payload() -> None:
    """An instance created without params has `{}`."""

    async def run(event, step):
        return event["payload"]

    assert await output_of(run) == {}


async def test_change_of_the_event_is_not_kept() -> None:
    """What a turn does to its event is gone in the next one."""

    async def run(event, step):
        event["payload"].setdefault("turns", []).append("turn")
        await step.sleep("nap", "1 hour")
        return event["payload"]["turns"]

    assert await output_of(run) == ["turn"]


# ---- the decorator


async def test_step_is_named_by_its_function_or_by_the_author() -> None:
    """`@step.do`, `@step.do()` and `@step.do("name")` all make steps; the log has their names."""

    async def run(event, step):
        @step.do
        async def bare():
            return 1

        @step.do()
        async def empty():
            return 2

        @step.do("with a name")
        async def named():
            return 3

        return [await bare(), await empty(), await named()]

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == [1, 2, 3]
        assert [entry.name for entry in (await instance.log()).called] == ["bare-1", "empty-1", "with a name-1"]


async def test_nothing_runs_before_the_step_is_awaited() -> None:
    """Decorating a function, and calling the step, runs nothing of it."""
    ran = []

    async def run(event, step):
        @step.do
        async def unused():
            ran.append("unused")

        unused().close()

    await output_of(run)

    assert ran == []


async def test_plain_function_runs_in_a_thread() -> None:
    """A step that is not async blocks nobody: it has a thread, with the author's context variables."""
    import threading
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable")

    async def run(event, step):
        variable.set("mine")

        @step.do
        def work():
            return [threading.current_thread() is threading.main_thread(), variable.get()]

        return await work()

    assert await output_of(run) == [False, "mine"]


async def test_function_that_returns_an_awaitable_is_awaited() -> None:
    """A lambda round an async function is as good as the function."""

    async def fetch():
        return "fetched"

    async def run(event, step):
        return await step.do("fetch")(lambda: fetch())()  # noqa: PLW0108 - the lambda is not async itself

    assert await output_of(run) == "fetched"


# ---- dependencies


async def test_parameter_names_a_step_whose_result_it_receives() -> None:
    """Parameters are the names of earlier steps; each runs once, whoever needs it."""

    async def run(event, step):
        @step.do()
        async def base():
            return 10

        @step.do()
        def doubled(base):
            return base * 2

        @step.do()
        async def total(base, doubled):
            return base + doubled

        return await total()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.output() == 30
        assert [entry.name for entry in (await instance.log()).called] == ["base-1", "doubled-1", "total-1"]


@pytest.mark.parametrize(
    "place", [pytest.param(0, id="first"), pytest.param(1, id="between"), pytest.param(2, id="last")]
)
async def test_ctx_may_have_any_place_among_the_parameters(place: int) -> None:
    """`ctx` is recognised by its name, not by its place."""

    async def run(event, step):
        @step.do()
        async def a():
            return "a"

        @step.do()
        async def b():
            return "b"

        functions = [
            lambda ctx, a, b: [ctx["step"]["name"], a, b],
            lambda a, ctx, b: [ctx["step"]["name"], a, b],
            lambda a, b, ctx: [ctx["step"]["name"], a, b],
        ]
        return await step.do("c")(functions[place])()

    assert await output_of(run) == ["c", "a", "b"]


async def test_dependencies_are_resolved_one_after_another() -> None:
    """Without `concurrent` the next dependency begins when the one before has ended, in the order of parameters."""
    order = []

    async def run(event, step):
        @step.do()
        async def first():
            order.append("first begins")
            await asyncio.sleep(0)
            order.append("first ends")

        @step.do()
        async def second():
            order.append("second begins")

        @step.do()
        async def both(first, second):
            order.append("both")

        await both()

    await output_of(run)

    assert order == ["first begins", "first ends", "second begins", "both"]


async def test_concurrent_dependencies_run_together() -> None:
    """With `concurrent` two dependencies that wait for each other both end."""

    async def run(event, step):
        left_began, right_began = asyncio.Event(), asyncio.Event()

        @step.do()
        async def left():
            left_began.set()
            await right_began.wait()
            return "left"

        @step.do()
        async def right():
            right_began.set()
            await left_began.wait()
            return "right"

        @step.do(concurrent=True)
        async def both(left, right):
            return [left, right]

        return await both()

    assert await output_of(run) == ["left", "right"]


async def test_depends_lists_dependencies() -> None:
    """`depends` gives the parameters their steps by place, so that names with spaces can be depended upon."""

    async def run(event, step):
        @step.do("look it up")
        async def look_up():
            return 1

        @step.do("ask for it")
        async def ask():
            return 2

        @step.do("decide", depends=[look_up, ask])
        async def decide(found, ctx, told):
            return [found, told, ctx["attempt"]]

        return await decide()

    assert await output_of(run) == [1, 2, 1]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        pytest.param(0, "Step 'decide' declares 1 parameter(s) besides ctx, but `depends` has 0 item(s)", id="fewer"),
        pytest.param(2, "Step 'decide' declares 1 parameter(s) besides ctx, but `depends` has 2 item(s)", id="more"),
    ],
)
async def test_depends_has_to_fit_the_parameters(count: int, message: str) -> None:
    """A list of the wrong length is a TypeError where the step is defined."""

    async def run(event, step):
        @step.do()
        async def other():
            return 1

        @step.do("decide", depends=[other] * count)
        async def decide(found, ctx):
            return found

    assert await error_of(run) == Failure("TypeError", message)


async def test_unknown_parameter_is_refused_by_name_with_the_known_ones() -> None:
    """A parameter that names no step is a TypeError when the step is called; default values are no way out."""

    async def run(event, step):
        @step.do()
        async def price():
            return 1

        @step.do()
        async def pay(prize=5):
            return prize

        await pay()

    assert await error_of(run) == Failure(
        "TypeError",
        "Received unexpected parameter prize: step 'pay' can take `ctx` or the name of an earlier step (price, pay)",
    )


async def test_step_that_names_itself_is_refused() -> None:
    """A step that replaced the one it wants would wait for itself for ever."""

    async def run(event, step):
        @step.do()
        async def total():
            return 1

        @step.do("total")
        async def more(total):
            return total + 1

        await more()

    error = await error_of(run)

    assert error is not None
    assert error.message.startswith("Received unexpected parameter total: step 'total' can take `ctx` or ")


async def test_direct_call_runs_a_new_step_which_dependents_then_get() -> None:
    """A second call of a step is `name-2`; its result replaces the first one for those that depend on it."""

    async def run(event, step):
        @step.do()
        async def count(ctx):
            return ctx["step"]["count"]

        @step.do()
        async def shown(count):
            return count

        return [await count(), await shown(), await count(), await shown()]

    assert await outputs_of(run) == ([1, 1, 2, 2], [1, 1, 2, 2])


async def test_dependency_in_flight_is_awaited() -> None:
    """Two steps that need the same third one at the same time share one run of it."""

    async def run(event, step):
        @step.do()
        async def shared(ctx):
            await asyncio.sleep(0)
            return ctx["step"]["count"]

        @step.do()
        async def left(shared):
            return shared

        @step.do()
        async def right(shared):
            return shared

        return await asyncio.gather(left(), right())

    assert await outputs_of(run) == ([1, 1], [1, 1])


async def test_failed_dependency_is_tried_again_by_the_next_that_needs_it() -> None:
    """A failure is not kept: another dependent runs the dependency anew, under the next count."""

    async def run(event, step):
        @step.do(config=ONCE)
        async def flaky(ctx):
            if ctx["step"]["count"] == 1:
                raise ValueError("not yet")
            return "there"

        @step.do()
        async def first(flaky):
            return flaky

        @step.do()
        async def second(flaky):
            return flaky

        try:
            await first()
        except ValueError as error:
            return [str(error), await second(), await second()]

    assert await outputs_of(run) == (["not yet", "there", "there"], ["not yet", "there", "there"])


async def test_redefined_step_replaces_the_earlier_one() -> None:
    """Who depends on a name gets the step that has it at the time of the call."""

    async def run(event, step):
        @step.do("rate")
        async def old():
            return "old"

        @step.do("price")
        async def price(rate):
            return rate

        @step.do("rate")
        async def new():
            return "new"

        return await price()

    assert await output_of(run) == "new"


# ---- ctx


async def test_ctx_tells_step_attempt_and_config() -> None:
    """`ctx` has the step's name and count, the attempt from 1, and the merged config."""
    seen = []

    async def run(event, step):
        @step.do(
            "charge", config={"retries": {"limit": 1, "delay": "1 second"}, "timeout": 5000, "sensitive": "output"}
        )
        async def charge(ctx):
            seen.append({key: ctx[key] for key in ("step", "attempt", "config")})
            raise ValueError

        with suppress(ValueError):
            await charge()

    await output_of(run)

    config = {
        "retries": {"limit": 1, "delay": "1 second", "backoff": "exponential"},
        "timeout": 5000,
        "sensitive": "output",
    }
    assert seen == [
        {"step": {"name": "charge", "count": 1}, "attempt": 1, "config": config},
        {"step": {"name": "charge", "count": 1}, "attempt": 2, "config": config},
    ]


async def test_ctx_has_the_defaults_and_no_delay_where_it_is_a_function() -> None:
    """A config that was left out is there with Cloudflare's defaults; a delay function has no value to show."""

    async def run(event, step):
        @step.do()
        async def plain(ctx):
            return ctx["config"]

        @step.do(config={"retries": {"limit": 1, "delay": lambda about: 1}})
        async def dynamic(ctx):
            return ctx["config"]

        return [await plain(), await dynamic()]

    assert await output_of(run) == [
        {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes"},
        {"retries": {"limit": 1, "backoff": "exponential"}, "timeout": "10 minutes"},
    ]


async def test_idempotency_key_is_that_of_all_attempts_and_of_no_other_step() -> None:
    """A step has one key over attempts, crashes and replays; other names, counts and instances have others."""
    keys: dict[str, set[str]] = {}

    async def run(event, step):
        async def keep(ctx):
            place = f"{event['instanceId']} {ctx['step']['name']}-{ctx['step']['count']}"
            keys.setdefault(place, set()).add(ctx["idempotency_key"])
            if ctx["attempt"] < 3:
                raise ValueError("again")

        await asyncio.gather(step.do("a")(keep)(), step.do("a")(keep)(), step.do("b")(keep)())

    flow = workflow(run)
    async with TestEngine.open([flow]) as engine:
        for name in ("one", "two"):
            await engine.create(flow, id=name)
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("1 hour")

    assert sorted(keys) == ["one a-1", "one a-2", "one b-1", "two a-1", "two a-2", "two b-1"]
    assert [len(found) for found in keys.values()] == [1] * 6
    assert len(set.union(*keys.values())) == 6
    assert all(len(key) == 32 for found in keys.values() for key in found)


# ---- results


@pytest.mark.parametrize(
    ("result", "received"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(3, 3, id="number"),
        pytest.param("text", "text", id="text"),
        pytest.param({"a": [1.5, None, True]}, {"a": [1.5, None, True]}, id="json"),
        pytest.param((1, 2), (1, 2), id="tuple"),
        pytest.param({"at": datetime(2026, 1, 1)}, {"at": datetime(2026, 1, 1)}, id="datetime"),  # noqa: DTZ001 - any will do
        pytest.param({b"a", 5}, {b"a", 5}, id="set"),
        pytest.param(2**70, 2**70, id="large-integer"),
        pytest.param("ü" * 5000, "ü" * 5000, id="more-than-4-kib"),
    ],
)
async def test_result_is_the_same_at_once_and_on_replay(result: Any, received: Any) -> None:
    """What a step returns is decoded from what was stored, so the first run and a replay see the same."""
    seen = []

    async def run(event, step):
        @step.do
        async def work():
            return result

        seen.append(await work())
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [received, received]
    assert [type(value) for value in seen] == [type(received)] * 2


async def test_result_is_a_value_of_its_own() -> None:
    """Changing what a step has returned changes neither what was stored nor what another call gets."""

    async def run(event, step):
        @step.do()
        async def basket():
            return ["book"]

        @step.do()
        async def order(basket):
            basket.append("pen")
            return basket

        return [await order(), await order(), await basket()]

    output = await output_of(run)

    assert output[2] == ["book"]


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(None, id="none"),
        pytest.param(0, id="zero"),
        pytest.param("", id="empty-text"),
        pytest.param({"a": [1]}, id="dict"),
        pytest.param([], id="list"),
        pytest.param(False, id="false"),
    ],
)
async def test_run_returns_the_output(output: Any) -> None:
    """What `run` returns is the instance's output."""

    async def run(event, step):
        return output

    assert await output_of(run) == output


async def test_output_that_cannot_be_stored_fails_the_instance() -> None:
    """An output that cannot be stored ends the instance with an error that names the place."""

    async def run(event, step):
        return {"tags": object()}

    assert await error_of(run) == Failure(
        "WorkflowFatalError", 'output["tags"] is not serialisable: object is not storable.'
    )


async def test_result_that_cannot_be_stored_ends_the_instance_and_cannot_be_caught() -> None:
    """Trying again cannot help, so there is one attempt, and the workflow gets no chance to go on."""

    async def run(event, step):
        @step.do
        async def when():
            return {"at": [object()]}

        try:
            await when()
        except Exception:  # as an author may catch it
            return "caught"

    async with opened(run) as (engine, instance):
        await engine.advance("1 day")
        error = 'result["at"][0] is not serialisable: object is not storable.'

        assert await instance.status() == "errored"
        assert await instance.error() == Failure("WorkflowFatalError", error)
        assert [attempt.error for attempt in (await step_of(instance)).attempts] == [
            Failure("WorkflowFatalError", error)
        ]


async def test_result_too_large_is_refused_and_tried_again() -> None:
    """More than 1 MiB of JSON fails the attempt; the retries are used up before the step fails."""

    async def run(event, step):
        @step.do("big", config={"retries": {"limit": 1, "delay": 10}})
        async def big(ctx):
            return "x" * (2**20 - 1)

        await big()

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert await instance.error() == Failure(
            "WorkflowInternalError",
            "Step big-1 output is too large: 1,048,577 bytes as JSON. At most 1,048,576 are allowed; "
            "store the data elsewhere and return a reference.",
        )
        assert len((await step_of(instance)).attempts) == 2


async def test_result_of_1_mib_is_kept() -> None:
    """The limit itself is allowed, and counts bytes of JSON."""

    async def run(event, step):
        @step.do
        async def big():
            return "ü" * (2**19 - 1)

        return len(await big())

    assert await outputs_of(run) == (2**19 - 1, 2**19 - 1)


async def test_sensitive_output_is_redacted() -> None:
    """A step with `sensitive` hides its output in the log, and the workflow still gets it, on replay too."""

    async def run(event, step):
        @step.do(config={"sensitive": "output"})
        async def password():
            return "secret"

        got = await password()
        await step.sleep("nap", "1 hour")
        return len(got)

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")

        assert ((await step_of(instance)).output, await instance.output()) == ("[REDACTED]", 6)


# ---- errors


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("bad"), id="value"),
        pytest.param(TypeError("bad"), id="type"),
        pytest.param(KeyError("bad"), id="key"),
        pytest.param(ZeroDivisionError("bad"), id="arithmetic"),
        pytest.param(TimeoutError("bad"), id="timeout"),
        pytest.param(NonRetryableError("bad"), id="non-retryable"),
    ],
)
async def test_error_of_python_is_caught_by_its_class_also_after_a_crash(error: Exception) -> None:
    """Python's own exceptions keep class and message, on the first run as on a replay in another worker."""
    seen = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def fails():
            raise error

        try:
            await fails()
        except type(error) as caught:
            seen.append((type(caught), caught.args))
        await step.sleep("nap", 500)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("1 hour")

        assert await instance.status() == "complete"
    assert seen == [(type(error), ("bad",))] * 2


async def test_error_of_the_authors_own_class_arrives_under_its_name() -> None:
    """A class that is not Python's comes as StepFailed with its name, the first time as on replay."""
    seen = []

    async def run(event, step):
        @step.do(config=ONCE)
        async def charge():
            raise CardDeclined("no funds")

        try:
            await charge()
        except StepFailed as error:
            seen.append((error.name, str(error)))
        await step.sleep("nap", "1 hour")

    await output_of(run)

    assert seen == [("CardDeclined", "no funds")] * 2


async def test_error_that_nobody_catches_ends_the_instance_with_its_name_and_message() -> None:
    """An error of a step that escapes `run` is the instance's."""

    async def run(event, step):
        @step.do(config=ONCE)
        async def charge():
            raise CardDeclined("no funds")

        await charge()

    assert await error_of(run) == Failure("CardDeclined", "no funds")


async def test_error_outside_of_steps_ends_the_instance_at_once() -> None:
    """What `run` itself raises is not tried again."""
    turns = []

    async def run(event, step):
        turns.append("turn")
        raise CardDeclined("no funds")

    assert (await error_of(run), turns) == (Failure("CardDeclined", "no funds"), ["turn"])


async def test_caught_error_lets_the_workflow_go_on() -> None:
    """A step that has failed stays failed; the workflow may do something else, or call it again as a new step."""

    async def run(event, step):
        @step.do("charge", config=ONCE)
        async def charge(ctx):
            if ctx["step"]["count"] == 1:
                raise ValueError("no funds")
            return "paid"

        try:
            return await charge()
        except ValueError:
            return await charge()

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]

        assert await instance.output() == "paid"
        assert [(entry.name, entry.success) for entry in entries] == [("charge-1", False), ("charge-2", True)]


async def test_exit_of_a_step_is_an_error_like_any_other() -> None:
    """`sys.exit` in a step fails its attempt, not the worker."""

    async def run(event, step):
        @step.do(config=ONCE)
        async def leave():
            sys.exit("gone")

        await leave()

    assert await error_of(run) == Failure("SystemExit", "gone")


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        pytest.param(lambda step: step.do("x" * 257)(lambda: 1)(), InvalidStepName, id="long-name"),
        pytest.param(lambda step: step.do("a\nb")(lambda: 1)(), InvalidStepName, id="control-character"),
        pytest.param(lambda step: step.do(5)(lambda: 1)(), InvalidStepName, id="name-is-no-text"),
        pytest.param(lambda step: step.do("a", config={"timeout": 0})(lambda: 1)(), InvalidStepConfig, id="timeout"),
        pytest.param(lambda step: step.do("a", config={"retry": 1})(lambda: 1)(), InvalidStepConfig, id="unknown-key"),
        pytest.param(lambda step: step.sleep("a", "soon"), InvalidStepConfig, id="sleep"),
        pytest.param(lambda step: step.sleep_until("a", "soon"), InvalidStepConfig, id="sleep-until"),
        pytest.param(lambda step: step.sleep("a\n", 1), InvalidStepName, id="name-of-a-sleep"),
        pytest.param(lambda step: step.wait_for_event("a", "no.dots"), InvalidEventType, id="event-type"),
        pytest.param(lambda step: step.wait_for_event("a", "x", timeout=999), InvalidStepConfig, id="short-timeout"),
    ],
)
async def test_refusal_can_be_caught_and_leaves_no_entry(refused: Any, error: type[Exception]) -> None:
    """A call that breaks a rule raises a WorkflowFatalError into the workflow and uses no attempt."""
    caught = []

    async def run(event, step):
        try:
            await refused(step)
        except WorkflowFatalError as refusal:
            caught.append(type(refusal))

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.status() == "complete"
        assert (caught, (await instance.log()).entries) == ([error], [])


async def test_refusal_that_nobody_catches_ends_the_instance() -> None:
    """Its name is WorkflowFatalError, its message says what to change."""

    async def run(event, step):
        await step.sleep("nap", "soon")

    assert await error_of(run) == Failure(
        "WorkflowFatalError",
        'Step "nap": the duration must be a number of milliseconds or a duration such as "5 minutes", '
        'at most 365 days, got "soon".',
    )


async def test_step_limit_is_kept() -> None:
    """The step beyond the limit is refused, in the same place on replay; sleeps do not count."""

    async def run(event, step):
        try:
            for _ in range(5):
                await step.do("work")(lambda: None)()
                await step.sleep("nap", "1 hour")
        except StepLimitReached as error:
            return str(error)

    output = await outputs_of(run)
    limited = await output_of(run, settings=TurnSettings(step_limit=2, parks_always=True))

    assert output == (None, None)
    assert limited.startswith("The limit of 2 steps has been reached. ")
