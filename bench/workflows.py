"""The workflows that are measured: their steps do nothing, so what is left is the engine."""

import asyncio
import time

from stepwell import WorkflowEntrypoint


class Steps(WorkflowEntrypoint):
    """As many sequential steps as asked for."""

    async def run(self, event, step):
        """Return the sum of what the steps returned."""
        total = 0
        for number in range(event["payload"]["steps"]):

            @step.do("work")
            async def work():
                return number

            total += await work()
        return total


class Parallel(WorkflowEntrypoint):
    """As many steps at once as asked for."""

    async def run(self, event, step):
        """Return the sum of what the steps returned."""
        return sum(await asyncio.gather(*(step.do("work", _one) for _ in range(event["payload"]["steps"]))))


async def _one():
    return 1


class Waits(WorkflowEntrypoint):
    """One step, behind an event; before it as many as asked for."""

    async def run(self, event, step):
        """Return when the step behind the event began, in milliseconds."""
        for _ in range((event["payload"] or {}).get("steps", 0)):
            await step.do("work", lambda: 1)
        await step.wait_for_event("wait", "go")
        return await step.do("woken", lambda: time.time() * 1000)


class Changes(WorkflowEntrypoint):
    """Steps at once, and then a step every now and then."""

    async def run(self, event, step):
        """Return nothing."""
        for _ in range(event["payload"]["steps"]):
            await step.do("work", lambda: 1)
        for _ in range(event["payload"]["changes"]):
            await step.do("tick", lambda: asyncio.sleep(event["payload"]["every_s"]))


class Ticks(WorkflowEntrypoint):
    """Steps that each take a while, never the same."""

    async def run(self, event, step):
        """Return nothing."""
        for number in range(event["payload"]["steps"]):
            await step.do("tick", lambda: asyncio.sleep(0.1 + number * 37 % 400 / 1000))


class Sleeps(WorkflowEntrypoint):
    """Sleeps until a moment, and tells how late it was woken."""

    async def run(self, event, step):
        """Return the milliseconds."""
        until = event["payload"]["until"]
        await step.sleep_until("nap", until)
        return await step.do("woken", lambda: time.time() * 1000 - until)
