"""Author code as type checkers see it: each line marked `# error` has to be refused, all others accepted."""

from dataclasses import dataclass
from typing import Any, assert_type

from stepwell import StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep, step


@dataclass
class Order:
    item: str
    cents: int


@dataclass
class Receipt:
    number: int


async def charge(order: Order, *, currency: str = "EUR") -> Receipt:
    return Receipt(order.cents)


def measure(text: str, scale: float = 1.0) -> int:
    return len(text)


@step(config={"timeout": "1 minute"})
async def refund(receipt: Receipt, cents: int) -> bool:
    return cents < receipt.number


@step
def count(text: str) -> int:
    return len(text)


class Shop(WorkflowEntrypoint[Order]):
    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> Receipt:
        assert_type(event.payload, Order)
        event.payload.colour  # error
        assert_type(event.instance_id, str)

        assert_type(await step.do("charge", charge, event.payload), Receipt)
        assert_type(await step.do("charge", charge, event.payload, currency="USD"), Receipt)
        assert_type(await step.do("measure", measure, "a"), int)
        assert_type(await step.do("measure", measure, "a", 2.0, config={"timeout": 5}), int)
        assert_type(await step.do("charge", charge, event.payload, config={"timeout": 5}), Receipt)
        assert_type(await step.do("measure", measure, "a", isolated=True), int)
        assert_type(await step.do("charge", charge, event.payload, isolated={"memory": "1 GiB", "cpu": 5}), Receipt)
        await step.do("measure", measure, "a", isolated={"disk": 5})  # error
        await step.do("measure", measure, "a", rollback_config={"timeout": 5})  # error
        await step.do("charge", charge, "book")  # error
        await step.do("charge", charge, event.payload, currency=5)  # error
        await step.do("charge", charge, event.payload, colour="red")  # error
        await step.do("charge", charge)  # error
        await step.do("measure", measure, 5, config={"timeout": 5})  # error
        await step.do(5, measure, "a")  # error

        receipt = await step.do("charge", charge, event.payload)
        assert_type(await refund(receipt, 5), bool)
        assert_type(await count("abc"), int)
        await refund(receipt)  # error
        await refund(receipt, "5")  # error
        await count(5)  # error

        @step.do("decorated", config={"retries": {"limit": 1, "delay": 5}})
        async def decorated(ctx: StepContext) -> list[int]:
            return [ctx.attempt]

        @step.do
        def bare() -> str:
            return "bare"

        assert_type(await decorated(), list[int])
        assert_type(await bare(), str)
        await bare(5)  # error

        await step.sleep("nap", "1 hour")
        await step.sleep_until("later", event.timestamp)
        await step.sleep_until("later", "tomorrow")  # error
        assert_type(await step.wait_for_event("approval", "approved"), dict[str, Any])
        await step.set_progress({"percent": 50})
        step.log("half way")
        step.log(5)  # error
        return receipt


class Untyped(WorkflowEntrypoint):
    async def run(self, event: dict[str, Any], step: WorkflowStep) -> dict[str, Any]:
        return {"params": event["payload"]}


class Plain(WorkflowEntrypoint):
    def run(self, event: dict[str, Any], step: WorkflowStep) -> int:
        return 5
