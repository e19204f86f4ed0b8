"""Waiting for an instance: the clock moves on by itself, and what can never come is said at once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stepwell import Flow, WorkflowEntrypoint
from stepwell.core.steplog import iso
from stepwell.errors import NonRetryableError, NoStepResult, NothingCanHappen, StatusUnreachable, WaitsForReal
from stepwell.testing import TestEngine, waiting
from tests.testing import flows
from tests.testing.flows import Failing, Foreign, Patient, Shop


async def test_output_is_waited_for_through_time() -> None:
    """A day passes at once, and the clock shows it."""
    async with TestEngine.open(Patient, now="2026-12-24T18:00") as engine:
        instance = await engine.create(Patient, params={"to": "Ann"})

        assert await instance.wait_for_output() == {"to": "Ann"}
        assert iso(engine.clock.now()) == "2026-12-25T18:00:00.000Z"


async def test_result_of_a_step_is_there_before_the_sleep() -> None:
    """The clock moves no further than it has to."""
    async with TestEngine.open(Shop) as engine:
        began_at = engine.clock.now()
        instance = await engine.create(Shop)

        assert await instance.wait_for_step_result("charge") == {"paid": True, "attempt": 1}
        assert (engine.clock.now(), await instance.status()) == (began_at, "waiting")


async def test_error_of_a_step_is_raised_as_the_author_sees_it() -> None:
    """Its class, name and message are those that `run` meets."""
    async with TestEngine.open(Failing) as engine:
        instance = await engine.create(Failing)

        with pytest.raises(NonRetryableError, match="no such account"):
            await instance.wait_for_step_result(("second", 1))
        await instance.wait_for_status("errored")
        error = await instance.get_error()

    assert (type(error), str(error)) == (NonRetryableError, "no such account")


async def test_every_status_on_the_way_can_be_waited_for() -> None:
    """Also one that is over by the time that the test goes on; queued returns at once."""
    async with TestEngine.open(Patient) as engine:
        instance = await engine.create(Patient)
        for status in ("queued", "running", "waiting"):
            await instance.wait_for_status(status)
        began_at = engine.clock.now()
        await instance.pause()
        await instance.wait_for_status("paused")
        await instance.resume()
        await instance.wait_for_status("complete")

        assert engine.clock.now() == began_at + 86_400_000


async def test_instance_that_is_not_there_yet_can_be_waited_for() -> None:
    """Whoever creates it, meanwhile."""

    class Parent(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep("first", "1 hour")
            await self.env.PATIENT.create(id="late", params=7)

    async with TestEngine.open([Parent, Patient]) as engine:
        await engine.create(Parent)

        assert await engine.instance(Patient, "late").wait_for_output() == 7


async def test_status_that_cannot_be_reached_names_both_and_the_error() -> None:
    """A test that waits for the wrong end learns of the right one."""
    async with TestEngine.open(Shop) as engine:
        instance = await engine.create(Shop, id="42")

        with pytest.raises(StatusUnreachable) as raised:
            await instance.wait_for_output()

    assert str(raised.value) == (
        'shop/42 cannot become "complete" any more: it has ended as "errored", with WorkflowTimeoutError: Execution '
        'timed out after 604800000ms. The event "approved" (approval-1) did not come: `send_event` sends it, and '
        "`mock_event` does so beforehand"
    )


async def test_unknown_status_is_refused() -> None:
    """It would never come."""
    async with TestEngine.open(Patient) as engine:
        instance = await engine.create(Patient)

        with pytest.raises(ValueError, match=r"a status is one of queued, running, waiting, .*; got 'completed'"):
            await instance.wait_for_status("completed")


async def test_step_that_never_ran_names_those_that_did() -> None:
    """Whoever mistypes a name sees the right ones."""
    async with TestEngine.open(Failing) as engine:
        instance = await engine.create(Failing, id="1")

        with pytest.raises(NoStepResult) as raised:
            await instance.wait_for_step_result("frist")

    assert str(raised.value) == (
        'step frist-1 of failing/1 will never have a result: it has ended as "errored", with NonRetryableError: no '
        "such account. Steps that have begun: first-1, second-1"
    )


@pytest.mark.parametrize(
    ("what", "message"),
    [
        pytest.param(
            "output",
            'cannot retrieve the output of shop/42: it is "waiting", and must be "complete". `await '
            'instance.wait_for_status("complete")` lets it get there, if it can',
            id="output",
        ),
        pytest.param(
            "error",
            'cannot retrieve the error of shop/42: it is "waiting", and must be "errored". `await '
            'instance.wait_for_status("errored")` lets it get there, if it can',
            id="error",
        ),
    ],
)
async def test_output_and_error_need_their_status(what: str, message: str) -> None:
    """Neither is made up for an instance that has not come to it."""
    async with TestEngine.open(Shop) as engine:
        instance = await engine.create(Shop, id="42")
        await engine.run_until_idle()

        with pytest.raises(StatusUnreachable) as raised:
            await (instance.get_output() if what == "output" else instance.get_error())

    assert str(raised.value) == message


async def test_clock_goes_to_a_moment_and_never_back() -> None:
    """A moment is a datetime, milliseconds or ISO text; without a zone it is UTC."""
    async with TestEngine.open(Patient, now=datetime(2026, 1, 1, tzinfo=UTC)) as engine:
        instance = await engine.create(Patient)
        await engine.advance_to("2026-01-01T23:59")
        before = await instance.status()
        await engine.advance_to(datetime(2026, 1, 2, tzinfo=UTC))
        await engine.advance(timedelta(seconds=1))
        await engine.advance_to(1_767_312_002_000)

        assert (before, await instance.status()) == ("waiting", "complete")
        with pytest.raises(
            ValueError, match=r"never moves back: it is 2026-01-02T00:00:02.000Z already, not 2026-01-01"
        ):
            await engine.advance_to("2026-01-01")
        with pytest.raises(ValueError, match="moment must be a datetime, milliseconds since 1970, or ISO text"):
            await engine.advance_to("tomorrow")


async def test_schedules_fire_while_the_clock_moves() -> None:
    """In their order, and each at its moment."""

    class Nightly(WorkflowEntrypoint):
        schedules = ("0 3 * * *",)

        async def run(self, event, step):
            return event["timestamp"].isoformat()

    async with TestEngine.open(Nightly, now="2026-03-01") as engine, engine.introspect_workflow(Nightly) as nights:
        await engine.advance("3 days")

        assert [await night.get_output() for night in nights.get()] == [
            "2026-03-01T03:00:00",
            "2026-03-02T03:00:00",
            "2026-03-03T03:00:00",
        ]


# ---- what can never come


async def test_paused_instance_is_to_be_resumed() -> None:
    """Nothing can happen to it, so the test ends at once, and says what helps."""
    async with TestEngine.open(Patient) as engine:
        instance = await engine.create(Patient, id="1")
        await engine.run_until_idle()
        await instance.pause()

        with pytest.raises(NothingCanHappen) as raised:
            await instance.wait_for_output()

    assert str(raised.value) == (
        'nothing can happen any more, and patient/1 is "paused", not "complete":\n'
        "- patient/1 is paused: `await instance.resume()` lets it go on"
    )


async def test_instance_that_nobody_creates_is_not_there() -> None:
    """The others say what they wait for, though it helps nobody."""
    async with TestEngine.open(Patient) as engine:
        with pytest.raises(NothingCanHappen) as raised:
            await engine.instance(Patient, "2").wait_for_step_result("nap")

    assert str(raised.value) == (
        "nothing can happen any more, and patient/2, whose step nap-1 is waited for, is not there:\n"
        "- no instance is unfinished"
    )


async def test_parent_waits_for_a_child_that_is_paused() -> None:
    """The chain is seen: the parent names its child, and the child what helps."""

    class Parent(WorkflowEntrypoint):
        async def run(self, event, step):
            return await step.child("nap", self.env.PATIENT)

    async with TestEngine.open([Parent, Patient]) as engine, engine.introspect_workflow(Patient) as children:
        parent = await engine.create(Parent, id="1")
        await engine.run_until_idle()
        (child,) = children.get()
        await child.pause()

        with pytest.raises(NothingCanHappen) as raised:
            await parent.wait_for_output()

    assert raised.value.unfinished[:1] == (f"parent/1 waits for its child patient/{child.id} (nap-1)",)


async def test_schedules_that_fire_for_ever_hide_no_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many firings later nothing has come of them, neither for who is paused nor for who waits for that one."""
    monkeypatch.setattr(waiting, "_MOST_IDLE_MOVES", 5)

    class Minutely(WorkflowEntrypoint):
        schedules = ("* * * * *",)

        async def run(self, event, step):
            return None

    class Parent(WorkflowEntrypoint):
        async def run(self, event, step):
            return await step.child("nap", self.env.PATIENT)

    kinds = [Minutely, Parent, Patient]
    async with TestEngine.open(kinds) as engine, engine.introspect_workflow(Patient) as children:
        parent = await engine.create(Parent, id="1")
        await engine.run_until_idle()
        (child,) = children.get()
        await child.pause()

        for instance in (child, parent):
            with pytest.raises(NothingCanHappen, match=f"patient/{child.id} is paused"):
                await instance.wait_for_output()


async def test_workflow_without_an_end_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many moves of the clock the test ends."""
    monkeypatch.setattr(waiting, "_MOST_MOVES", 5)

    class Endless(WorkflowEntrypoint):
        async def run(self, event, step):
            while True:
                await step.sleep("nap", "1 day")

    async with TestEngine.open(Endless, now=0) as engine:
        instance = await engine.create(Endless, id="1")

        with pytest.raises(NothingCanHappen) as raised:
            await instance.wait_for_output()

    assert str(raised.value) == (
        'the clock was moved 5 times, and endless/1 is "waiting", not "complete":\n'
        "- endless/1 sleeps (nap-6) until 1970-01-07T00:00:00.000Z: `await engine.advance(...)` moves the clock on"
    )


async def test_threads_of_steps_are_waited_for() -> None:
    """Those of plain functions and those that the code begins itself; the clock stands still meanwhile."""

    class Threaded(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("own", config={"timeout": "1 second"})
            async def own():
                return await asyncio.to_thread(_slow)

            @step.do("plain", config={"timeout": "1 second"})
            def plain():
                return _slow()

            return [await own(), await plain()]

    def _slow() -> int:
        time.sleep(0.01)
        return 7

    async with TestEngine.open(Threaded) as engine:
        instance = await engine.create(Threaded)
        await engine.advance("1 hour")

        assert await instance.get_output() == [7, 7]


async def test_timer_of_the_authors_own_is_named() -> None:
    """It takes real time, and more than the test has."""

    class Timed(WorkflowEntrypoint):
        async def run(self, event, step):
            async with asyncio.timeout(3600):
                await step.wait_for_event("go", "go")

    async with TestEngine.open(Timed, patience=1) as engine:
        instance = await engine.create(Timed, id="1")

        with pytest.raises(WaitsForReal) as raised:
            await instance.wait_for_output()

    assert raised.value.waits == (
        "`run` of timed/1, outside of its steps, waits for a timer of its own, such as asyncio.sleep",
    )


async def test_slot_that_is_never_free_is_named() -> None:
    """Whoever holds it is to end."""

    class One(WorkflowEntrypoint):
        flow = Flow(limit=1)

        async def run(self, event, step):
            @step.do("hold")
            async def hold():
                await asyncio.Event().wait()

            await hold()

    async with TestEngine.open(One) as engine:
        await engine.create(One, id="1")
        second = await engine.create(One, id="2")
        await engine.run_until_idle()

        found = await engine.unfinished()
        assert await second.status() == "queued"

    assert found == [
        "one/1 is in step hold-1, whose body does not return: `mock_step_result` puts a value in its place",
        "one/2 waits for a slot, as 1 of 1 run: let one of those end",
    ]


async def test_event_that_is_waited_for_is_named_with_what_sends_it() -> None:
    """Whoever looks sees what to do."""
    async with TestEngine.open(Shop, now="2026-01-01") as engine:
        await engine.create(Shop, id="42")
        await engine.advance("30 days")

        assert await engine.unfinished() == [
            'shop/42 waits for the event "approved" (approval-1) until 2026-02-07T00:00:00.000Z: `await '
            'instance.send_event("approved", ...)` sends it, and `mock_event` does so beforehand'
        ]


@pytest.mark.parametrize(
    ("params", "what"),
    [
        pytest.param(
            {}, "`run` of foreign/1, outside of its steps, waits for Foreign.run ({file}, line {run})", id="run"
        ),
        pytest.param({"in_step": 1}, "step hang-1 of foreign/1 waits for {hang} ({file}, line {step})", id="step"),
    ],
)
async def test_await_that_the_clock_does_not_move_is_named(params: dict[str, Any], what: str) -> None:
    """After a bounded while of real time the test ends, and names the line."""
    lines = Path(flows.__file__).read_text().splitlines()
    step, run = [n for n, line in enumerate(lines, 1) if "create_future" in line]
    place = {"file": flows.__file__, "run": run, "step": step, "hang": "Foreign.run.<locals>.hang"}
    async with TestEngine.open(Foreign, patience=1) as engine:
        instance = await engine.create(Foreign, id="1", params=params)

        with pytest.raises(WaitsForReal) as raised:
            await instance.wait_for_output()

    assert str(raised.value) == (
        "after 0.001 seconds of real time something is still waited for that the clock of the test does not move; mock "
        'the step that does it (mock_step_result), or give it longer (TestEngine.open(..., patience="1 minute")):\n'
        f"- {what.format(**place)}"
    )


async def test_sockets_in_a_step_are_waited_for() -> None:
    """A step that talks to somebody has its time, as the clock stands still meanwhile."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(b"hello\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    class Asking(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("ask", config={"timeout": "1 second"})
            async def ask():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                line = await reader.readline()
                writer.close()
                return line.decode().strip()

            return await ask()

    async with server, TestEngine.open(Asking) as engine:
        advanced, waited = await engine.create(Asking), await engine.create(Asking)
        await engine.advance("1 minute")

        assert (await advanced.get_output(), await waited.wait_for_output()) == ("hello", "hello")


async def test_limit_that_nobody_has_set_is_named() -> None:
    """Such a step never begins, and who looks sees how to let it."""

    class Limited(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("ask", limit="desk")
            async def ask():
                return 1

            await ask()

    async with TestEngine.open(Limited) as engine:
        instance = await engine.create(Limited, id="1")

        with pytest.raises(NothingCanHappen) as raised:
            await instance.wait_for_output()

    assert raised.value.unfinished == (
        'limited/1 waits in ask-1 for a slot of the limit "desk", which nobody has set: `await '
        'engine.engine.share_limit(ACCOUNT, "desk", SharedLimit(...))`',
    )


async def test_result_from_before_a_restart_is_none() -> None:
    """What a restart has taken away is waited for anew."""
    numbers = iter(range(1, 10))

    class Counting(WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("count")
            async def count():
                return next(numbers)

            return await count()

    async with TestEngine.open(Counting) as engine:
        instance = await engine.create(Counting)
        first = await instance.wait_for_step_result("count")
        await instance.restart()

        assert (first, await instance.wait_for_step_result("count")) == (1, 2)


async def test_slot_of_one_that_sleeps_is_free_for_the_next() -> None:
    """Where workflows have slots no turn is kept open: the next begins while the first sleeps, as in production."""

    class Slotted(WorkflowEntrypoint):
        flow = Flow(limit=1)

        async def run(self, event, step):
            @step.do("begin")
            async def begin():
                return 1

            await begin()
            await step.sleep("nap", "1 day")

    async with TestEngine.open(Slotted, now=0) as engine:
        first, second = await engine.create(Slotted), await engine.create(Slotted)
        await second.wait_for_step_result("begin")
        assert engine.clock.now() == 0

        await first.wait_for_status("complete")
        await second.wait_for_status("complete")
        assert engine.clock.now() == 86_400_000


@pytest.mark.long
async def test_more_than_a_worker_has_room_for_wait_at_once() -> None:
    """Those beyond are put back, and all of them sleep the same night."""
    async with TestEngine.open(Patient, now=0) as engine:
        patients = [await engine.create(Patient, params=n) for n in range(600)]
        await patients[-1].wait_for_output()
        outputs = [await patient.wait_for_output() for patient in patients]

        assert (outputs, engine.clock.now()) == (list(range(600)), 86_400_000)


async def test_what_a_step_leaves_behind_may_take_its_time_to_end() -> None:
    """An instance whose last step has left a task behind is waited for: what that talks to may be slow."""

    class Leaving(WorkflowEntrypoint):
        async def run(self, event, step):
            async def talk():
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.to_thread(time.sleep, 0.3)

            @step.do
            async def greet():
                self.left = asyncio.create_task(talk())
                await asyncio.sleep(0)
                return "hello"

            return await greet()

    async with TestEngine.open(Leaving) as engine:
        instance = await engine.create(Leaving)

        assert await instance.wait_for_output() == "hello"
