"""A shop: orders, returns, forgotten carts, and buying in where it is quickest."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from stepwell import (
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)
from stepwell import step as durable

PATIENT = {"retries": {"limit": 20, "delay": "10 seconds", "backoff": "constant"}, "timeout": "5 minutes"}
STOCK = {"book": 12, "lamp": 3, "desk": 1}
PRICES = {"book": Decimal("19.90"), "lamp": Decimal("49.50"), "desk": Decimal("310.00")}


class GatewayDown(Exception):
    """The payment gateway does not answer."""


class OutOfStock(Exception):
    """There is less of an item than was ordered."""

    def __init__(self, item: str, wanted: int, there: int) -> None:
        super().__init__(f"{wanted} of {item} wanted, {there} there")
        self.item = item
        self.there = there


# ---- an order, from the till to the door


@dataclass
class Line:
    item: str
    count: int


@dataclass
class Order:
    number: str
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Quote:
    total: Decimal
    shipping: Decimal

    @property
    def due(self) -> Decimal:
        return self.total + self.shipping


def quote(lines: list[Line]) -> Quote:
    """Add up what the lines cost."""
    total = sum((PRICES[line.item] * line.count for line in lines), Decimal())
    return Quote(total, Decimal("0.00") if total >= 100 else Decimal("4.95"))


def reserve(line: Line) -> dict[str, Any]:
    """Take a line's items off the shelf."""
    there = STOCK[line.item]
    if there < line.count:
        raise OutOfStock(line.item, line.count, there)
    return {"item": line.item, "shelf": f"{line.item[0].upper()}-{there}"}


class OrderFulfilment(WorkflowEntrypoint[Order]):
    """Reserve, charge, have dear orders approved, pack and ship."""

    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> dict[str, Any]:
        order = event.payload
        price = await step.do("quote", quote, order.lines)
        try:
            shelves = await asyncio.gather(
                *(
                    step.do(f"reserve {line.item}", reserve, line, config={"dont_retry_on": [OutOfStock]})
                    for line in order.lines
                )
            )
        except OutOfStock as error:
            await step.do("apologise", self.apologise, order.number, error.item)
            return {"order": order.number, "refused": str(error), "left": error.there}

        @step.do(config=PATIENT)
        async def charge(ctx: StepContext) -> str:
            if ctx.attempt < 3:
                raise GatewayDown("504 from the gateway")
            return f"ch_{order.number}_{price.due}"

        @step.do(config={"timeout": "1 minute"})
        async def pack(charge: str) -> dict[str, Any]:
            return {"parcel": f"pa_{order.number}", "paid_by": charge, "from": [shelf["shelf"] for shelf in shelves]}

        @step.do("hand to carrier", depends=[pack])
        async def ship(parcel: dict[str, Any]) -> str:
            return f"track-{parcel['parcel']}"

        approved_by = None
        if price.due > 300:
            approval = await step.wait_for_event("wait for approval", "approved", timeout="3 days")
            approved_by = approval["payload"]["by"]
        tracking = await ship()
        parcel = await pack()
        return {"tracking": tracking, "approved_by": approved_by, "due": str(price.due), **parcel}

    async def apologise(self, number: str, item: str) -> str:
        return f"order {number}: sorry, no {item}"


# ---- a parcel that comes back


class Condition(StrEnum):
    AS_NEW = "as new"
    USED = "used"
    BROKEN = "broken"


@dataclass(frozen=True)
class Verdict:
    condition: Condition
    share: Decimal


@durable(name="print a return label")
async def print_label(order: str, ctx: StepContext) -> str:
    """Print the label that a parcel comes back with."""
    return f"label-{order}-{'keyed' if ctx.idempotency_key else 'open'}"


@durable
def inspect_parcel(condition: str) -> Verdict:
    """Say what a parcel that came back is worth."""
    try:
        found = Condition(condition)
    except ValueError:
        raise NonRetryableError(f"nobody knows the condition {condition!r}", "UnknownCondition") from None
    shares = {Condition.AS_NEW: Decimal(1), Condition.USED: Decimal("0.6"), Condition.BROKEN: Decimal(0)}
    return Verdict(found, shares[found])


@durable(config=PATIENT)
async def refund(order: str, amount: Decimal, ctx: StepContext) -> dict[str, str]:
    """Pay an amount back."""
    if ctx.attempt < 2:
        raise GatewayDown("connection reset")
    return {"refund": f"re_{order}", "amount": str(amount.quantize(Decimal("0.01")))}


class Return(WorkflowEntrypoint):
    """Send a label, wait two weeks for the parcel, look into it, pay back what it is worth."""

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        order, paid = event.payload["order"], Decimal(event.payload["paid"])
        label = await print_label(order)
        try:
            arrived = await step.wait_for_event("wait for the parcel", "parcel-arrived", timeout="14 days")
        except WorkflowTimeoutError:
            await step.do("void the label", self.void, label)
            return {"label": label, "state": "given up"}
        verdict = await inspect_parcel(arrived["payload"]["condition"])
        if verdict.condition is Condition.BROKEN:
            return {"label": label, "state": "refused"}
        await step.sleep("let the bank settle", "2 days")
        paid_back = await refund(order, paid * verdict.share)
        return {"label": label, "state": "refunded", "condition": verdict.condition.value, **paid_back}

    async def void(self, label: str) -> None:
        assert label.startswith("label-")


# ---- a cart that was left


class CartReminder(WorkflowEntrypoint):
    """Remind of a cart after an hour, a day and three days, unless it is bought."""

    reminders = (("gently", "50 minutes"), ("again", "1 day"), ("with a voucher", "3 days"))

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        cart = event.payload
        sent: list[str] = []
        for tone, patience in self.reminders:
            try:
                bought = await step.wait_for_event("bought?", "checked-out", timeout=patience)
            except WorkflowTimeoutError:
                subject = await step.do(f"remind {tone}", self.remind, cart["owner"], cart["items"], tone)
                sent.append(subject)
            else:
                thanks = await step.do("thank", self.thank, cart["owner"], bought["payload"]["order"])
                return {"sent": sent, "thanks": thanks}
        dropped = await step.do("drop the cart", self.drop, cart["items"])
        return {"sent": sent, "dropped": dropped}

    async def remind(self, owner: str, items: list[str], tone: str) -> str:
        return f"{owner}, {len(items)} things wait for you ({tone})"

    async def thank(self, owner: str, order: str) -> str:
        return f"thank you, {owner}, for {order}"

    async def drop(self, items: list[str]) -> list[str]:
        return sorted(set(items))


# ---- whoever delivers first


class BuyIn(WorkflowEntrypoint):
    """Ask all suppliers, take the first who answers, and call off the rest."""

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        item, count = event.payload["item"], event.payload["count"]

        async def ask(supplier: str) -> dict[str, Any]:
            if supplier != "Brandt":
                # The others never call back.
                await asyncio.Event().wait()
            return {"supplier": supplier, "item": item, "count": count, "cents": 1250 * count}

        asked = [asyncio.create_task(step.do(f"ask {name}", ask, name)) for name in ("Aalto", "Brandt", "Costa")]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        called_off = await asyncio.gather(*waiting, return_exceptions=True)
        offers = [task.result() for task in asked if task in done]
        best = min(offers, key=lambda offer: int(offer["cents"]))

        @step.do
        async def place() -> str:
            return f"po-{best['supplier'].lower()}-{best['count']}"

        @step.do
        async def book(place: str, ctx: StepContext) -> list[Any]:
            return [place, best["cents"], ctx["step"]["name"]]

        # Placed at this point, though `book` would see to it.
        await place()
        return {"booked": await book(), "called_off": sum(isinstance(e, BaseException) for e in called_off)}
