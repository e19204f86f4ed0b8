"""Travel: a trip that is booked whole or not at all, and a visa that needs three papers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from stepwell import (
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)

BOOKING = {"retries": {"limit": 20, "delay": "30 seconds", "backoff": "linear"}, "timeout": "2 minutes"}


class NothingFree(Exception):
    """A booking that cannot be had, however often it is asked for."""


class LineBusy(Exception):
    """A booking system that is down for a moment."""


@dataclass(frozen=True)
class Stay:
    """Where, from when, how long."""

    city: str
    first: date
    nights: int

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.nights)


@dataclass
class Trip:
    traveller: str
    city: str
    first: str
    nights: int


class BookTrip(WorkflowEntrypoint[Trip]):
    """Book flight, hotel and car; what was booked is cancelled, the last one first, if the next cannot be had."""

    async def run(self, event: WorkflowEvent[Trip], step: WorkflowStep) -> dict[str, Any]:
        trip = event.payload
        stay = await step.do("plan", self.plan, trip)
        undo: list[Callable[[], Awaitable[Any]]] = []
        booked: list[str] = []
        try:
            for what in ("flight", "hotel", "car"):
                config = {**BOOKING, "dont_retry_on": [NothingFree]}
                number = await step.do(f"book {what}", self.book, what, stay, config=config)
                booked.append(number)
                undo.append(lambda what=what, number=number: step.do(f"cancel {what}", self.cancel, number))  # type: ignore[arg-type]  # ctx: see pyproject
        except NothingFree as error:
            cancelled = [await compensate() for compensate in reversed(undo)]
            await step.sleep("before we write", "1 hour")
            await step.do("write", self.write, trip.traveller, str(error))
            return {"booked": False, "why": str(error), "cancelled": cancelled}
        return {"booked": True, "numbers": booked, "home": stay.last.isoformat()}

    async def plan(self, trip: Trip) -> Stay:
        return Stay(trip.city, date.fromisoformat(trip.first), trip.nights)

    async def book(self, what: str, stay: Stay, ctx: StepContext) -> str:
        if what == "hotel" and ctx.attempt < 3:
            raise LineBusy("try again later")
        if what == "car" and stay.city == "Venice":
            raise NothingFree(f"no car in {stay.city} on {stay.first:%d %B}")
        return f"{what}-{stay.city[:3].upper()}-{stay.nights}"

    async def cancel(self, number: str, ctx: StepContext) -> str:
        return f"{number} cancelled"

    async def write(self, traveller: str, why: str) -> str:
        return f"Dear {traveller}: {why}"


class VisaApplication(WorkflowEntrypoint):
    """Wait for passport, photograph and fee at the same time; decide when all are there, or refuse after a month."""

    papers = ("passport", "photograph", "fee")

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        applicant = event.payload["applicant"]
        number = await step.do("open a file", self.open_file, applicant)
        received: dict[str, Any] = {}

        async def collect(paper: str) -> None:
            found = await step.wait_for_event(f"wait for {paper}", paper, timeout="30 days")
            received[paper] = await step.do(f"check {paper}", self.check, paper, found["payload"])

        try:
            async with asyncio.TaskGroup() as group:
                for paper in self.papers:
                    group.create_task(collect(paper))
        except* WorkflowTimeoutError:
            missing = sorted(set(self.papers) - set(received))
            raise NonRetryableError(f"file {number}: missing {', '.join(missing)}", "Incomplete") from None
        await step.sleep("the ministry", "10 days")
        return {"file": number, "granted": all(received.values()), "papers": sorted(received)}

    async def open_file(self, applicant: str) -> str:
        return f"V-{len(applicant):03}"

    async def check(self, paper: str, content: Any) -> bool:
        return bool(content)
