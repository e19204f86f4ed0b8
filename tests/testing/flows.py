"""Workflows that the tests of the kit put to the test."""

import asyncio

from stepwell import NonRetryableError, WorkflowEntrypoint

charges: list[str] = []


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
