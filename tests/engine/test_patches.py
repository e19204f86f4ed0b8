"""`step.patched`: one source serves instances that began before a change and those that begin after it."""

import asyncio

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.records import Patched
from stepwell.errors import InvalidStepName, WorkflowFatalError
from stepwell.settings import TurnSettings
from stepwell.store import codec
from stepwell.store.operations import ReadHistory
from stepwell.testing import TestEngine, TestInstance

ran: list[str] = []
# Whether the code is the newer one.
asks = False


@pytest.fixture(autouse=True)
def _begin() -> None:
    global asks  # noqa: PLW0603 - as a deployment changes the code of all
    ran.clear()
    asks = False


class Order(WorkflowEntrypoint):
    """Takes tax since a change, in front of the payment."""

    async def run(self, event, step):
        await step.do("begin", ran.append, "begin")
        if asks and step.patched("tax"):
            await step.do("tax", ran.append, "tax")
        await step.do("pay", ran.append, "pay")
        await step.wait_for_event("go", "go")
        # Asked once more it says the same.
        if asks and step.patched("tax"):
            await step.do("receipt", ran.append, "receipt")
        return "done"


async def _patches(instance: TestInstance) -> list[str]:
    rows = await instance.engine.store.run(ReadHistory((await instance.view()).row.row))
    return [record.name for _, record in codec.from_rows(rows) if isinstance(record, Patched)]


async def test_instance_that_has_gone_further_stays_on_its_way() -> None:
    """Also for the places that it has not come to; one that begins after the change goes the new way."""
    global asks  # noqa: PLW0603 - see above
    async with TestEngine.open([Order]) as engine:
        old = await engine.create(Order, id="old")
        await engine.run_until_idle()
        asks = True
        new = await engine.create(Order, id="new")
        await engine.run_until_idle()
        for instance in (old, new):
            await instance.send_event("go")
        await engine.run_until_idle()

        assert [await old.output(), await new.output()] == ["done", "done"]
        assert ran == ["begin", "pay", "begin", "tax", "pay", "receipt"]
        assert (await _patches(old), await _patches(new)) == ([], ["tax"])


async def test_instance_that_had_not_come_so_far_goes_the_new_way() -> None:
    """It is at the place when the code asks there first."""
    global asks  # noqa: PLW0603 - see above
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order)
        asks = True
        await engine.run_until_idle()
        await instance.send_event("go")
        await engine.run_until_idle()

        assert ran == ["begin", "tax", "pay", "receipt"]
        assert await _patches(instance) == ["tax"]


async def test_answer_is_the_same_after_any_crash() -> None:
    """It is on record before anything that comes of it."""
    global asks  # noqa: PLW0603 - see above
    asks = True
    async with TestEngine.open([Order], settings=TurnSettings(parks_always=True, lost_turns=1_000)) as engine:
        instance = await engine.create(Order)
        for _ in range(20):
            await asyncio.sleep(0)
            await engine.crash()
            await engine.start_worker()
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        await instance.send_event("go")
        await engine.run_until_idle()

        assert await instance.output() == "done"
        assert await _patches(instance) == ["tax"]
        assert [entry.name for entry in (await instance.log()).called if entry.type == "step"] == [
            *("begin-1", "tax-1", "pay-1", "receipt-1")
        ]


@pytest.mark.parametrize(("step", "patches"), [("begin", ["tax", "tax"]), ("pay", ["tax"])])
async def test_restart_asks_anew_what_was_asked_behind_its_step(step: str, patches: list[str]) -> None:
    """What was asked before it stays."""
    global asks  # noqa: PLW0603 - see above
    asks = True
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order)
        await engine.run_until_idle()
        await instance.restart(step)
        await instance.send_event("go")
        await engine.run_until_idle()

        assert await instance.output() == "done"
        assert await _patches(instance) == patches
        assert ran.count("tax") == len(patches)


class Wrong(WorkflowEntrypoint):
    """Asks where, or for what, nobody may."""

    async def run(self, event, step):
        if event.payload == "body":

            @step.do()
            async def work():
                step.patched("tax")

            await work()
        else:
            step.patched(event.payload)


@pytest.mark.parametrize(
    ("params", "error", "told"),
    [
        ("body", WorkflowFatalError, "not in the body of a step"),
        ("\0", InvalidStepName, ""),
        ("a\nb", InvalidStepName, ""),
    ],
)
async def test_name_that_cannot_be_asked_for_is_refused(
    params: str, error: type[WorkflowFatalError], told: str
) -> None:
    """With the remedy, and the instance errors."""
    async with TestEngine.open([Wrong]) as engine:
        instance = await engine.create(Wrong, params=params)
        await engine.run_until_idle()
        await engine.advance("1 hour")

        failure = await instance.error()
        assert failure is not None
        assert failure.name == error.name
        assert told in failure.message
