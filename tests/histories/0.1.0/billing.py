"""Billing: the invoices of a month, a subscription of a year, and a customer who does not pay."""

import asyncio
import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from stepwell import (
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)
from stepwell import step as durable

CENT = Decimal("0.01")
TAX = Decimal("0.19")


# ---- the invoices of a month


class UsageMissing(NonRetryableError):
    """Nobody has metered what a customer used."""

    def __init__(self, customer: str, month: str) -> None:
        super().__init__(f"no usage of {customer} in {month}")
        self.customer = customer


class MailboxBusy(Exception):
    """The mail server wants to be asked again."""


@dataclass
class Billing:
    month: str
    customers: list[str]
    at_once: int = 2


@dataclass(frozen=True)
class Invoice:
    number: str
    customer: str
    net: Decimal
    due_on: date

    @property
    def gross(self) -> Decimal:
        return (self.net * (1 + TAX)).quantize(CENT)


@dataclass(frozen=True)
class Statement:
    sent: list[str]
    gross: Decimal
    missing: list[str]


USAGE = {"acme": [120, 80, 3], "birch": [15], "cobalt": [999, 1], "dune": []}


def meter(customer: str, month: str) -> Decimal:
    """Add up the hours of a customer in a month."""
    if not USAGE[customer]:
        raise UsageMissing(customer, month)
    return Decimal(sum(USAGE[customer])) * Decimal("0.07")


def write_invoice(number: str, customer: str, net: Decimal, issued_on: date) -> Invoice:
    return Invoice(number, customer, net.quantize(CENT), issued_on + timedelta(days=30))


async def send_invoice(invoice: Invoice, ctx: StepContext) -> None:
    if ctx.attempt < 2:
        raise MailboxBusy("421 try again later")


def last_day(month: str) -> date:
    year, number = map(int, month.split("-"))
    return date(year, number, calendar.monthrange(year, number)[1])


class InvoiceRun(WorkflowEntrypoint[Billing]):
    """Bill all customers for a month, a few at a time; who has no usage on record is left for a person to look at."""

    async def run(self, event: WorkflowEvent[Billing], step: WorkflowStep) -> Statement:
        order = event.payload
        issued_on = await step.do("close the month", last_day, order.month)
        limit = asyncio.Semaphore(order.at_once)
        sent: list[Invoice] = []

        async def bill(place: int, customer: str) -> None:
            async with limit:
                net = await step.do(f"meter {customer}", meter, customer, order.month)
                number = f"{order.month}/{place:03}"
                invoice = await step.do(f"invoice {customer}", write_invoice, number, customer, net, issued_on)
                mailing = {"retries": {"limit": 10, "delay": "1 minute"}, "retry_on": MailboxBusy}
                await step.do(f"send {customer}", send_invoice, invoice, config=mailing)
            sent.append(invoice)
            await step.set_progress({"sent": len(sent), "of": len(order.customers)})

        billed = await asyncio.gather(
            *(bill(place, customer) for place, customer in enumerate(order.customers, 1)), return_exceptions=True
        )
        failures = [failure for failure in billed if failure is not None]
        missing = [failure.customer for failure in failures if isinstance(failure, UsageMissing)]
        if len(missing) < len(failures):
            raise ExceptionGroup("invoices that could not be sent", [f for f in failures if isinstance(f, Exception)])
        gross = sum((invoice.gross for invoice in sent), Decimal())
        await step.do("book the receivables", self.book, sorted(sent, key=lambda invoice: invoice.number))
        return Statement(sorted(invoice.number for invoice in sent), gross, missing)

    async def book(self, invoices: list[Invoice]) -> dict[str, Decimal]:
        return {invoice.customer: invoice.gross for invoice in invoices}


# ---- a subscription of a year


class Plan(msgspec.Struct, frozen=True):
    customer: str
    monthly: Decimal
    trial_days: int = 14
    every_months: int = 1


class Period(msgspec.Struct, frozen=True):
    paid: Decimal
    ends_at: datetime


def months_later(start: datetime, months: int) -> datetime:
    """Return the same day of a later month, or the last one of a month that is too short."""
    years, month = divmod(start.month - 1 + months, 12)
    last = calendar.monthrange(start.year + years, month + 1)[1]
    return start.replace(year=start.year + years, month=month + 1, day=min(start.day, last))


class Subscription(WorkflowEntrypoint[Plan]):
    """Let a customer try for two weeks, then charge him each month or quarter of a year, until he gives notice."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> dict[str, Any]:
        plan, paid, notice = event.payload, Decimal(), None
        ends_at = begins_at = event.timestamp + timedelta(days=plan.trial_days)
        if plan.trial_days:
            await step.sleep("trial", f"{plan.trial_days} days")
        for months in range(plan.every_months, 13, plan.every_months):
            period = await step.do(f"charge until month {months}", self.charge, plan, begins_at, months)
            paid, ends_at = paid + period.paid, period.ends_at
            print(f"{plan.customer} has paid {period.paid} until {ends_at:%d %B}")
            notice = await self.notice_before(ends_at, step)
            if notice is not None:
                await step.sleep_until("last day", ends_at)
                break
        return {"paid": str(paid), "until": ends_at.date().isoformat(), "notice": notice}

    def charge(self, plan: Plan, begins_at: datetime, months: int) -> Period:
        # The last quarter is cheaper.
        price = plan.monthly * plan.every_months * (Decimal("0.5") if months > 9 else 1)
        return Period(price.quantize(CENT), months_later(begins_at, months))

    async def notice_before(self, end: datetime, step: WorkflowStep) -> str | None:
        """Return the reason of a notice that comes before a moment, or None if none does."""
        over = asyncio.create_task(step.sleep_until("next period", end))
        notice = asyncio.create_task(step.wait_for_event("notice", "notice", timeout="100 days"))
        done, waiting = await asyncio.wait([over, notice], return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return str(notice.result()["payload"]["reason"]) if notice in done else None


# ---- a customer who does not pay


class GatewayError(Exception):
    """What the payment gateway answers when it does not take a card."""

    def __init__(self, code: str) -> None:
        super().__init__(f"gateway says {code}")
        self.code = code


class CardRefused(Exception):
    """The card will not be taken, however often it is tried."""


class FundsMissing(Exception):
    """There is not enough on the card today."""


@dataclass
class Overdue:
    invoice: str
    amount: Decimal
    card: str


def ask_gateway(token: str, attempt: int) -> str:
    if token.endswith("0002"):
        raise GatewayError("stolen_card")
    if attempt < 3:
        raise GatewayError("insufficient_funds")
    return f"auth-{token[-4:]}"


def until_payday(about: dict[str, Any]) -> timedelta:
    """Give an empty card a few days, and any other trouble an hour."""
    return timedelta(days=3) if about["error"]["name"] == "FundsMissing" else timedelta(hours=1)


@durable(
    name="charge the card again",
    config={
        "retries": {"limit": 15, "delay": until_payday, "backoff": "constant"},
        "dont_retry_on": CardRefused,
    },
)
def charge_again(token: str, ctx: StepContext) -> str:
    """Try a card until there is money on it."""
    try:
        return ask_gateway(token, ctx.attempt)
    except GatewayError as error:
        if error.code == "insufficient_funds":
            raise FundsMissing("the account is empty") from error
        raise CardRefused("this card is of no use") from error


@durable
async def remind(invoice: str, level: int, due: Decimal) -> str:
    """Write to a customer who has not paid."""
    return f"reminder {level} of {invoice}: {due} due"


class Dunning(WorkflowEntrypoint[Overdue]):
    """Try the card again, then remind three times with a growing fee, then hand over to an agency."""

    fees = (Decimal(0), Decimal(5), Decimal("12.50"))

    async def run(self, event: WorkflowEvent[Overdue], step: WorkflowStep) -> dict[str, Any]:
        overdue, due = event.payload, event.payload.amount
        token = await step.do("read the card", self.read_card, overdue.card, config={"sensitive": "output"})
        try:
            return {"paid_by": "card", "with": await charge_again(token), "amount": str(due)}
        except CardRefused as error:
            why = error.__cause__.code if isinstance(error.__cause__, GatewayError) else str(error)
            step.log(f"{overdue.invoice}: {error}: {why}")
        letters: list[str] = []
        for level, fee in enumerate(self.fees, 1):
            due += fee
            letters.append(await remind(overdue.invoice, level, due))
            try:
                paid = await step.wait_for_event(f"payment after reminder {level}", "paid", timeout="14 days")
            except WorkflowTimeoutError:
                continue
            return {"paid_by": paid["payload"]["by"], "why": why, "letters": letters}
        case = await step.do("hand over", self.hand_over, overdue.invoice, due)
        return {"paid_by": None, "why": why, "letters": letters, "case": case}

    async def read_card(self, card: str) -> str:
        return f"tok_{card}"

    async def hand_over(self, invoice: str, due: Decimal) -> str:
        return f"case-{invoice}-{due}"
