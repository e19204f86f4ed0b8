"""Modifiers: what stands in for parts of an instance, and what its log shows of that."""

import pytest

from stepwell import Flow, RetryAfter, SharedLimit, WorkflowEntrypoint, WorkflowTimeoutError
from stepwell.core.failures import Failure
from stepwell.core.steplog import SleepEntry, StepEntry, WaitEntry
from stepwell.engine import InstanceFilter
from stepwell.errors import CannotStandIn, StatusUnreachable
from stepwell.testing import InstanceIntrospector, Step, TestEngine
from tests.testing import flows
from tests.testing.flows import Failing, Patient, Shop


@pytest.fixture(autouse=True)
def _no_charges() -> None:
    flows.charges.clear()


class Tried(WorkflowEntrypoint):
    """Tries one step at most three times, and sums two naps."""

    async def run(self, event, step):
        @step.do("try", config={"retries": {"limit": 2, "delay": "1 hour", "backoff": "constant"}})
        async def attempt(ctx):
            return ctx["attempt"]

        number = await attempt()
        await step.sleep("nap", "1 hour")
        await step.sleep("nap", "1 hour")
        return number


async def _errors(introspector: InstanceIntrospector) -> list[Failure | None]:
    """Return the errors of the first step's attempts."""
    first = (await introspector.instance.log()).entries[0]
    assert isinstance(first, StepEntry)
    return [attempt.error for attempt in first.attempts]


async def test_shop_is_tested_without_bank_or_time() -> None:
    """What the kit is for: no body runs, no time passes, and the log is as if they had."""
    async with TestEngine.open(Shop, now=0) as engine, engine.introspect_instance(Shop, "42") as shop:
        shop.disable_sleeps()
        shop.mock_step_result("charge", {"paid": True})
        shop.mock_step_result("ship", "parcel 7")
        shop.mock_event("approved", {"by": "ann"})
        await engine.create(Shop, id="42")
        await shop.wait_for_status("complete")

        assert await shop.get_output() == [{"paid": True}, {"by": "ann"}, "parcel 7"]
        assert await shop.wait_for_step_result("charge") == {"paid": True}
        assert (engine.clock.now(), flows.charges) == (0, [])
        _, settle, approval, _ = (await shop.instance.log()).entries
        assert await _errors(shop) == [None]
        assert isinstance(settle, SleepEntry)
        assert isinstance(approval, WaitEntry)
        assert [(entry.name, entry.end) for entry in (settle, approval)] == [("settle-1", 0), ("approval-1", 0)]


async def test_all_instances_of_a_workflow_are_introspected() -> None:
    """Those that are created from then on, in their order, whoever creates them; on leaving they are gone."""
    async with TestEngine.open(Shop) as engine:
        before = await engine.create(Shop, id="before")
        async with engine.introspect_workflow(Shop) as shops:
            shops.mock_step_result("charge", {})
            shops.mock_event("approved", 1)
            shops.disable_sleeps()
            first = await engine.create(Shop, id="first")
            await engine.env.SHOP.create(id="second")
            for shop in (first, engine.instance(Shop, "second")):
                await shop.wait_for_status("complete")

            assert [shop.id for shop in shops.get()] == ["first", "second"]
            assert (await first.get_output(), flows.charges) == ([{}, 1, "parcel"], ["attempt 1", "shipped", "shipped"])
        left = await engine.engine.list("local", "shop", InstanceFilter())
        assert ([row.id for row in left.rows], await before.status()) == (["before"], "waiting")


async def test_workflow_has_one_session_at_a_time() -> None:
    """A second one would not know whose modifiers hold."""
    async with TestEngine.open(Shop) as engine:
        async with engine.introspect_workflow(Shop):
            with pytest.raises(CannotStandIn) as raised:
                async with engine.introspect_workflow(Shop):
                    pass
        async with engine.introspect_workflow(Shop) as again:
            assert again.get() == []

    assert str(raised.value) == (
        'Workflow "shop" already has an active introspection session: leave the first `async with '
        "engine.introspect_workflow(...)` before another begins"
    )


async def test_instance_is_introspected_before_it_is_there() -> None:
    """What has begun cannot be as if it had not."""
    async with TestEngine.open(Shop) as engine:
        await engine.create(Shop, id="42")
        with pytest.raises(CannotStandIn) as there:
            async with engine.introspect_instance(Shop, "42"):
                pass
        async with engine.introspect_instance(Shop, "43") as shop:
            with pytest.raises(CannotStandIn, match="shop/43 is introspected already"):
                async with engine.introspect_instance(Shop, "43"):
                    pass
            await engine.create(Shop, id="43")
            with pytest.raises(CannotStandIn) as late:
                shop.mock_event("approved")

    assert str(there.value) == "shop/42 is there already: an instance is introspected before it is created"
    assert str(late.value) == (
        'shop/43 is there already, and events are mocked before: send it, `await instance.send_event("approved", ...)`'
    )


async def test_instance_that_was_introspected_is_deleted() -> None:
    """Its id is free for the next test, which it does not stand in for."""
    async with TestEngine.open(Shop) as engine:
        for _ in range(2):
            async with engine.introspect_instance(Shop, "42") as shop:
                shop.mock_step_result("charge", "mocked")
                await engine.create(Shop, id="42")
                assert await shop.wait_for_step_result("charge") == "mocked"
        real = await engine.create(Shop, id="42")

        assert await real.wait_for_step_result("charge") == {"paid": True, "attempt": 1}


async def test_errors_and_time_outs_add_up_over_attempts() -> None:
    """Each call is for the attempts after those of the one before; then the result that is mocked, or the body."""
    async with TestEngine.open(Tried) as engine:
        for has_result in (False, True):
            async with engine.introspect_instance(Tried, "1") as tried:
                tried.mock_step_error("try", ValueError("declined"), times=1)
                tried.force_step_timeout("try", times=1)
                if has_result:
                    tried.mock_step_result("try", "mocked")
                await engine.create(Tried, id="1")

                assert await tried.wait_for_step_result("try") == ("mocked" if has_result else 3)
                assert await _errors(tried) == [
                    Failure("ValueError", "declined"),
                    Failure("WorkflowTimeoutError", "Execution timed out after 0ms"),
                    None,
                ]


async def test_error_of_every_attempt_comes_before_everything() -> None:
    """An error that is mocked wins over a time-out, whichever is said first; the step gives up as it would."""
    async with TestEngine.open(Tried) as engine, engine.introspect_instance(Tried, "1") as tried:
        tried.force_step_timeout("try")
        tried.mock_step_error("try", ValueError("declined"))
        await engine.create(Tried, id="1")

        with pytest.raises(ValueError, match="declined"):
            await tried.wait_for_step_result("try")
        assert await _errors(tried) == [Failure("ValueError", "declined")] * 3


async def test_time_out_of_every_attempt_is_that_of_no_time() -> None:
    """The step fails as one that took too long."""
    async with TestEngine.open(Tried) as engine, engine.introspect_instance(Tried, "1") as tried:
        tried.force_step_timeout("try")
        await engine.create(Tried, id="1")

        await tried.wait_for_status("errored")
        error = await tried.get_error()

    assert (type(error), str(error)) == (WorkflowTimeoutError, "Execution timed out after 0ms")


@pytest.mark.parametrize("steps", [pytest.param(None, id="all"), pytest.param(["try"], id="named")])
async def test_retries_without_delay_take_no_time(steps: list[str] | None) -> None:
    """Neither the backoff nor what an error asks for is waited for."""
    async with TestEngine.open(Tried, now=0) as engine, engine.introspect_instance(Tried, "1") as tried:
        tried.mock_step_error("try", ValueError("declined"), times=1)
        tried.mock_step_error("try", RetryAfter(30), times=1)
        tried.disable_retry_delays(steps)
        await engine.create(Tried, id="1")

        assert await tried.wait_for_step_result("try") == 3
        assert engine.clock.now() == 0


async def test_sleeps_that_are_named_take_no_time() -> None:
    """A name and an index; the others last as long as ever."""
    async with TestEngine.open(Tried, now=0) as engine, engine.introspect_instance(Tried, "1") as tried:
        tried.disable_sleeps([("nap", 2)])
        await engine.create(Tried, id="1")

        await tried.wait_for_status("complete")
        assert engine.clock.now() == 3_600_000


async def test_sleep_until_takes_no_time_either() -> None:
    """What would be refused is refused all the same."""

    class Until(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep_until("long", 86_400_000)
            await step.sleep("too long", event["payload"])

    async with TestEngine.open(Until, now=0) as engine, engine.introspect_workflow(Until) as until:
        until.disable_sleeps()
        good, bad = await engine.create(Until, params="1 day"), await engine.create(Until, params="soon")
        await good.wait_for_status("complete")
        await bad.wait_for_status("errored")

        assert (engine.clock.now(), str(await bad.get_error())[:20]) == (0, 'Step "too long": the')


async def test_wait_times_out_though_its_event_is_there() -> None:
    """And says how long it was meant to last."""
    async with TestEngine.open(Shop) as engine, engine.introspect_instance(Shop, "1") as shop:
        shop.disable_sleeps()
        shop.mock_event("approved")
        shop.force_event_timeout("approval")
        began_at = engine.clock.now()
        await engine.create(Shop, id="1")
        await shop.wait_for_status("errored")

        assert str(await shop.get_error()) == "Execution timed out after 604800000ms"
        assert engine.clock.now() == began_at


@pytest.mark.parametrize("parks", [pytest.param(False, id="open"), pytest.param(True, id="replayed")])
async def test_modifiers_survive_restarts(parks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole and from a step: results, sleeps, and the events that no step that stays has met."""
    monkeypatch.setattr(TestEngine, "keeps_turns", not parks)
    async with TestEngine.open(Shop) as engine, engine.introspect_instance(Shop, "1") as shop:
        shop.mock_step_error("charge", ValueError("declined"), times=1)
        shop.mock_step_result("charge", "mocked")
        shop.mock_event("approved", 1)
        shop.disable_sleeps()
        await engine.create(Shop, id="1")
        await shop.wait_for_status("complete")
        for place in ((), ("ship",), ("settle", 1, "sleep"), ("approval", 1, "waitForEvent")):
            await shop.instance.restart(*place)
            await shop.wait_for_status("complete")

            assert await shop.get_output() == ["mocked", 1, "parcel"]
            assert await _errors(shop) == [Failure("ValueError", "declined"), None]


async def test_event_that_is_mocked_is_met_once() -> None:
    """A restart from behind the wait sends no second one."""

    class Twice(WorkflowEntrypoint):
        async def run(self, event, step):
            first = await step.wait_for_event("first", "go")
            await step.sleep("nap", "1 hour")
            second = await step.wait_for_event("second", "go")
            return [first["payload"], second["payload"]]

    async with TestEngine.open(Twice) as engine, engine.introspect_instance(Twice, "1") as twice:
        twice.mock_event("go", 1)
        await engine.create(Twice, id="1")
        await twice.wait_for_status("waiting")
        await engine.advance("1 hour")
        await twice.instance.restart("nap", 1, "sleep")
        await engine.advance("1 hour")
        before = await twice.instance.status()
        await twice.instance.send_event("go", 2)

        assert (before, await twice.instance.wait_for_output()) == ("waiting", [1, 2])


async def test_step_with_a_limit_has_its_slot_first() -> None:
    """A step that is mocked waits for its slot as it would."""

    class Limited(WorkflowEntrypoint):
        flow = Flow(shared={"desk": SharedLimit(concurrency=1)})

        async def run(self, event, step):
            @step.do("ask", limit="desk")
            async def ask():
                raise AssertionError

            return await ask()

    async with TestEngine.open(Limited) as engine, engine.introspect_instance(Limited, "1") as limited:
        limited.mock_step_result("ask", 7)
        await engine.create(Limited, id="1")

        await limited.wait_for_status("complete")
        assert await limited.get_output() == 7


async def test_rollback_can_be_let_fail() -> None:
    """What undoes a step is named by the step and its type."""
    undone: list[str] = []

    class Undoing(WorkflowEntrypoint):
        async def run(self, event, step):
            async def undo():
                undone.append("book")

            await step.do("book", _booked, rollback=undo)
            raise ValueError("no room")

    async def _booked():
        return "room 7"

    async with TestEngine.open(Undoing) as engine:
        async with engine.introspect_instance(Undoing, "1") as undoing:
            undoing.mock_step_error(Step("book", 1, "rollback"), OSError("gone"))
            undoing.disable_retry_delays([Step("book", 1, "rollback")])
            await engine.create(Undoing, id="1")
            await undoing.wait_for_status("errored")
            failed = (await undoing.instance.log()).rollback
        async with engine.introspect_instance(Undoing, "2") as undoing:
            with pytest.raises(CannotStandIn) as raised:
                undoing.mock_step_result(Step("book", 1, "rollback"), None)
            undoing.mock_step_result("book", "mocked")
            await engine.create(Undoing, id="2")
            await undoing.wait_for_status("errored")
            done = (await undoing.instance.log()).rollback

    assert (failed and failed.outcome, done and done.outcome, undone) == ("failed", "complete", ["book"])
    assert str(raised.value) == (
        'nothing comes of what the rollback of "book" returns, so no result of it is mocked; '
        "`mock_step_error` lets it fail"
    )


async def test_child_is_mocked_by_the_steps_of_its_own_workflow() -> None:
    """Its parent awaits an instance: that may fail to start, but has no result to be mocked there."""

    class Parent(WorkflowEntrypoint):
        async def run(self, event, step):
            return await step.child("nap", self.env.SHOP)

    async with TestEngine.open([Parent, Shop]) as engine, engine.introspect_workflow(Shop) as shops:
        shops.disable_sleeps()
        shops.mock_event("approved", 1)
        shops.mock_step_result("charge", 2)
        shops.mock_step_result("ship", 3)
        parent = await engine.create(Parent)
        assert await parent.wait_for_output() == [2, 1, 3]

        async with engine.introspect_workflow(Parent) as parents:
            parents.mock_step_result("nap", 7)
            await (refused := await engine.create(Parent)).wait_for_status("errored")
            message = str(await refused.get_error())
        async with engine.introspect_workflow(Parent) as parents:
            parents.mock_step_error("nap", OSError("no room"))
            parents.disable_retry_delays()
            await (failed := await engine.create(Parent)).wait_for_status("errored")
            error = await failed.get_error()

    assert message == (
        'Child "nap": the result of a child is not mocked in its parent, as the parent awaits an instance; mock the '
        "steps of the child's own workflow (`engine.introspect_workflow`)"
    )
    assert (type(error), str(error)) == (OSError, "no room")


async def test_stream_is_mocked_by_its_bytes() -> None:
    """Who reads it meets a stream; a step that returns bytes returns bytes."""

    class Streaming(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("export")
            async def export():
                yield b"real"

            @step.do("read")
            async def read():
                return b"real"

            return [(await (await export()).read()).decode(), (await read()).decode()]

    async with TestEngine.open(Streaming) as engine, engine.introspect_instance(Streaming, "1") as streaming:
        streaming.mock_step_result("export", b"mocked")
        streaming.mock_step_result("read", b"too")
        await engine.create(Streaming, id="1")
        await streaming.wait_for_status("complete")

        assert await streaming.get_output() == ["mocked", "too"]
        assert await streaming.wait_for_step_result("export") == b"mocked"
        with pytest.raises(CannotStandIn) as raised:
            streaming.mock_step_result("other", _bytes())

    assert str(raised.value) == (
        'the stream of step "other" is mocked by its bytes, as an iterator could be read only once; got async_generator'
    )


async def _bytes():
    yield b""


async def test_isolated_step_needs_no_process() -> None:
    """It runs where all do in a test, or is mocked as any."""

    class Isolated(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("render", isolated={"memory": "64 MiB"})
            def render():
                return "real"

            return await render()

    async with TestEngine.open(Isolated) as engine, engine.introspect_instance(Isolated, "1") as isolated:
        isolated.mock_step_result("render", "mocked")
        await engine.create(Isolated, id="1")
        await isolated.wait_for_status("complete")

        assert await isolated.get_output() == "mocked"
        assert await (await engine.create(Isolated)).wait_for_output() == "real"


async def test_result_that_cannot_be_stored_ends_the_instance_as_a_real_one_would() -> None:
    """A mock is no way round what a step may return."""
    async with TestEngine.open(Failing) as engine, engine.introspect_instance(Failing, "1") as failing:
        failing.mock_step_result("first", object())
        await engine.create(Failing, id="1")

        with pytest.raises(StatusUnreachable, match="WorkflowFatalError: result is not serialisable: object is not"):
            await failing.wait_for_status("complete")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param(
            lambda m: (m.mock_step_result("x", 1), m.mock_step_result("x", 2)),
            'Trying to mock step "x" multiple times: its result is mocked already (index 1), and nothing comes after a '
            "result; say errors and time-outs before it",
            id="twice",
        ),
        pytest.param(
            lambda m: (m.mock_step_result(("x", 2), 1), m.mock_step_error(("x", 2), ValueError())),
            'Trying to mock step "x" multiple times: its result is mocked already (index 2), and nothing comes after a '
            "result; say errors and time-outs before it",
            id="error-after-result",
        ),
        pytest.param(
            lambda m: m.mock_step_error("x", "declined"),
            "the error of step \"x\" must be an exception, got 'declined'",
            id="error",
        ),
        pytest.param(
            lambda m: m.force_step_timeout("x", times=0),
            'times, for step "x", must be a number of attempts from 1, got 0',
            id="times",
        ),
        pytest.param(
            lambda m: m.mock_step_result(("x", 0), 1),
            "a step is a name, or (name, index) with an index from 1, got ('x', 0)",
            id="index",
        ),
        pytest.param(
            lambda m: m.mock_step_error(("x", 1, "sleep"), ValueError()),
            "a step's type is \"do\" or, for what undoes it, \"rollback\", got ('x', 1, 'sleep')",
            id="type",
        ),
        pytest.param(lambda m: m.disable_sleeps("nap"), "steps are given as a list, got 'nap'", id="steps"),
        pytest.param(
            lambda m: m.mock_event("order.paid"),
            "an event's type is 1 to 100 of: letters, digits, - and _, not starting with - (no dot)",
            id="event",
        ),
    ],
)
async def test_modifier_that_makes_no_sense_is_refused(said, message: str) -> None:
    """At once, and with what would be right."""
    async with TestEngine.open(Patient) as engine, engine.introspect_instance(Patient, "1") as patient:
        with pytest.raises(CannotStandIn) as raised:
            said(patient)

    assert str(raised.value) == message
