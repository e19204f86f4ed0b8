"""Workflows that tests of the kit run."""

import asyncio
import itertools
from typing import Any

from stepwell import NonRetryableError, WorkflowEntrypoint

charges: list[str] = []
STARTS: list[str] = []
BODIES: list[str] = []
NUMBERS = itertools.count()


class Three(WorkflowEntrypoint[Any]):
    """Three steps and a sleep."""

    async def run(self, event: Any, step: Any) -> str:
        """Note each start, and each body."""
        STARTS.append(event.instance_id)
        for name in ("a", "b"):
            await step.do(name, BODIES.append, name)
        await step.sleep("rest", "1 minute")
        await step.do("c", BODIES.append, "c")
        return "done"


class Order(WorkflowEntrypoint[Any]):
    """What most tests run: steps that fail and do not, a sleep, an event, steps side by side."""

    async def run(self, event: Any, step: Any) -> dict[str, Any]:
        """Charge, wait for the approval, and send."""

        async def charge(ctx: Any) -> int:
            if ctx.attempt < 2:
                raise ConnectionError("refused")
            return 42

        receipt = await step.do("charge", charge, config={"retries": {"limit": 3, "delay": "1 second"}})
        await step.sleep("cool off", "1 hour")
        approval = await step.wait_for_event("approval", "approved", timeout="1 day")
        parts = await asyncio.gather(*[step.do(f"pack {n}", lambda n=n: {"part": n}) for n in range(3)])
        await step.do("send", lambda: "s" * event.payload.get("long", 3))
        return {"receipt": receipt, "by": approval["payload"]["by"], "parts": len(parts)}


class Telling(WorkflowEntrypoint[Any]):
    """Its step returns in which attempt it was, which is another one after a crash."""

    async def run(self, event: Any, step: Any) -> str:
        """Pay."""
        return str(await step.do("pay", lambda ctx: f"paid in attempt {ctx.attempt}"))


class Shifting(WorkflowEntrypoint[Any]):
    """Its step returns another thing each time."""

    async def run(self, event: Any, step: Any) -> int:
        """Draw."""
        return int(await step.do("draw", lambda: next(NUMBERS)))


class Shop(WorkflowEntrypoint):
    """Charges, waits for an approval, and ships."""

    async def run(self, event, step):
        @step.do("charge", config={"retries": {"limit": 3, "delay": "1 hour", "backoff": "constant"}})
        async def charge(ctx):
            charges.append(f"attempt {ctx['attempt']}")
            return {"paid": True, "attempt": ctx["attempt"]}

        paid = await charge()
        await step.sleep("settle", "30 days")
        approval = await step.wait_for_event("approval", "approved", timeout="7 days")

        @step.do("ship")
        def ship():
            charges.append("shipped")
            return "parcel"

        return [paid, approval["payload"], await ship()]


class Patient(WorkflowEntrypoint):
    """Sleeps for a day, and says what it was given."""

    async def run(self, event, step):
        await step.sleep("nap", "1 day")
        return event["payload"]


class Failing(WorkflowEntrypoint):
    """Fails for good at its second step."""

    async def run(self, event, step):
        @step.do("first")
        async def first():
            return 1

        @step.do("second")
        async def second():
            raise NonRetryableError("no such account")

        await first()
        await second()


class Foreign(WorkflowEntrypoint):
    """Waits, outside of its steps or in one, for what nobody brings about."""

    async def run(self, event, step):
        if event["payload"].get("in_step"):

            @step.do("hang")
            async def hang():
                await asyncio.get_running_loop().create_future()

            await hang()
        await asyncio.get_running_loop().create_future()
