"""Workflows whose instances the dashboard's tests look at."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from stepwell import Flow, WorkflowEntrypoint
from stepwell.errors import NonRetryableError

EVIL = "<img src=x onerror=alert(1)>\u202egnp"


class PaymentDeclined(Exception):
    """The bank said no."""


class Order(WorkflowEntrypoint):
    """Charges a card that declines as often as its params say, sleeps a day, and waits for approval."""

    async def run(self, event: Any, step: Any) -> Any:
        """Return what was shipped, and the approval."""

        @step.do("reserve")
        async def reserve() -> int:
            return 12345678901234567890

        @step.do("charge", config={"retries": {"limit": 2, "delay": "10 seconds", "backoff": "constant"}})
        async def charge(ctx: Any) -> str:
            step.log(f"charging, attempt {ctx['attempt']}")
            if ctx["attempt"] <= event["payload"].get("declines", 0):
                raise PaymentDeclined("insufficient funds")
            return "ch_1"

        @step.do("ship")
        async def ship() -> str:
            return "pa_1"

        await reserve()
        await charge()
        await step.sleep("cool down", "1 day")
        approval = await step.wait_for_event("approval", "approved", timeout="7 days")
        return {"parcel": await ship(), "approval": approval["payload"]}


class Hostile(WorkflowEntrypoint):
    """Has names, errors, lines and values that want to be more than text."""

    async def run(self, event: Any, step: Any) -> Any:
        """Return what its params are."""

        async def fail() -> None:
            step.log(f"\x1b[31mred\x1b[0m {EVIL} \x00")
            raise NonRetryableError(f"{EVIL}</script>{'x' * 3_000}")

        with suppress(NonRetryableError):
            await step.do(EVIL, fail)
        await step.do("W" * 250, lambda: {"text": "y" * 900_000, EVIL: [EVIL]})
        await step.wait_for_event(EVIL, "evil", timeout="1 day")
        return event["payload"]


class Trip(WorkflowEntrypoint):
    """Awaits an order."""

    async def run(self, event: Any, step: Any) -> Any:
        """Return what the order has returned."""
        return await step.child("buy", self.env.ORDER, {})


async def pages(size: int) -> AsyncIterator[bytes]:
    """Give some bytes."""
    yield bytes(at % 256 for at in range(size))


class Many(WorkflowEntrypoint):
    """Has as many steps as its params say, and returns as many bytes from one more if they ask for some."""

    async def run(self, event: Any, step: Any) -> Any:
        """Return how many there were."""
        for n in range(event["payload"]["steps"]):
            await step.do(f"page {n}", lambda: None)
        if size := event["payload"].get("bytes"):
            await step.do("scan", lambda: pages(size))
        return event["payload"]["steps"]


class Report(WorkflowEntrypoint):
    """Is written on working days, for each customer one after another."""

    schedules = "0 9 * * MON-FRI", "30 2 LW * *"
    flow = Flow(limit=2, key="customer", singleton="queue")

    async def run(self, event: Any, step: Any) -> None:
        """Sleep a month, unless a schedule has created it."""
        if "schedule" not in event:
            await step.sleep("gather", "30 days")


WORKFLOWS = (Order, Hostile, Trip, Many, Report)
