"""People: a document that several have to read, and somebody's first months."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import Enum, auto
from typing import Any

from stepwell import (
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)

# ---- a document that several have to read


class Opinion(Enum):
    APPROVES = auto()
    OBJECTS = auto()
    ABSENT = auto()


@dataclass
class Draft:
    title: str
    reviewers: list[str]
    quorum: int = 2


@dataclass(frozen=True)
class Vote:
    reviewer: str
    opinion: Opinion
    remark: str = ""


@dataclass(frozen=True)
class Decision:
    accepted: bool
    votes: dict[str, Opinion]
    remarks: list[str]
    missing: set[str]


class DocumentReview(WorkflowEntrypoint[Draft]):
    """Ask all reviewers at once, remind those who are slow, and decide by the quorum or by the first objection."""

    async def run(self, event: WorkflowEvent[Draft], step: WorkflowStep) -> Decision:
        draft, votes = event.payload, list[Vote]()
        waiting = {asyncio.create_task(self.vote_of(reviewer, draft.title, step)) for reviewer in draft.reviewers}
        while waiting and not self.is_decided(votes, draft.quorum):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            votes += [task.result() for task in done]
            await step.set_progress({"voted": len(votes), "of": len(draft.reviewers)})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return await step.do("decide", self.decide, draft, votes)

    async def vote_of(self, reviewer: str, title: str, step: WorkflowStep) -> Vote:
        """Return a reviewer's vote, after a reminder if need be."""
        for letter, patience in (("request", "2 days"), ("reminder", "3 days")):
            await step.do(f"{letter} to {reviewer}", self.write, reviewer, title)
            try:
                voted = await step.wait_for_event(f"vote of {reviewer}", f"vote-{reviewer}", timeout=patience)
            except WorkflowTimeoutError:
                continue
            return await step.do(f"read the vote of {reviewer}", self.read_vote, reviewer, voted["payload"])
        return Vote(reviewer, Opinion.ABSENT)

    def is_decided(self, votes: list[Vote], quorum: int) -> bool:
        opinions = [vote.opinion for vote in votes]
        return Opinion.OBJECTS in opinions or opinions.count(Opinion.APPROVES) >= quorum

    async def write(self, reviewer: str, title: str) -> str:
        return f"{reviewer}, please read {title}"

    async def read_vote(self, reviewer: str, form: dict[str, Any]) -> Vote:
        return Vote(reviewer, Opinion.APPROVES if form["ok"] else Opinion.OBJECTS, form.get("remark", ""))

    def decide(self, draft: Draft, votes: list[Vote]) -> Decision:
        in_order = sorted(votes, key=lambda vote: vote.reviewer)
        opinions = {vote.reviewer: vote.opinion for vote in in_order}
        approvals = list(opinions.values()).count(Opinion.APPROVES)
        return Decision(
            approvals >= draft.quorum and Opinion.OBJECTS not in opinions.values(),
            opinions,
            [vote.remark for vote in in_order if vote.remark],
            {name for name in draft.reviewers if opinions.get(name, Opinion.ABSENT) is Opinion.ABSENT},
        )


# ---- somebody's first months


class NameTaken(Exception):
    """Somebody else has this name in a system."""

    def __init__(self, system: str, free: str) -> None:
        super().__init__(f"taken in {system}, {free} is free")
        self.system = system
        self.free = free


class DirectoryAway(ConnectionError):
    """The directory that accounts are made in does not answer."""


@dataclass
class Colleague:
    name: str
    first_day: date
    systems: list[str] = field(default_factory=lambda: ["mail", "chat", "payroll"])


DESK = timezone(timedelta(hours=2), "office")
TAKEN = {("ada", "mail"): "ada2", ("ada", "payroll"): "ada.b"}


def check_names(name: str, systems: list[str]) -> None:
    """Ask each system for a name, and tell of all that refuse it."""
    taken = [NameTaken(system, TAKEN[name, system]) for system in systems if (name, system) in TAKEN]
    if taken:
        raise ExceptionGroup(f"{name} is taken", taken)


async def open_account(system: str, name: str, ctx: StepContext) -> str:
    if system == "chat" and ctx.attempt < 3:
        raise DirectoryAway("no route to the directory")
    return f"{name}@{system}"


def opening_time(day: date) -> datetime:
    return datetime.combine(day, time(9, 30), DESK)


class Onboarding(WorkflowEntrypoint[Colleague]):
    """Have a contract signed, prepare everything before the first day, greet, and ask how it goes after a while."""

    async def run(self, event: WorkflowEvent[Colleague], step: WorkflowStep) -> dict[str, Any]:
        colleague = event.payload
        try:
            signed = await step.wait_for_event("signature", "contract-signed", timeout="14 days")
        except WorkflowTimeoutError as error:
            raise NonRetryableError(f"{colleague.name} has not signed", "NotHired") from error
        names = await self.names_of(colleague, step)
        patient = {"retries": {"limit": 20, "delay": "5 minutes", "backoff": "linear"}, "retry_on": [DirectoryAway]}
        async with asyncio.TaskGroup() as group:
            accounts = [
                group.create_task(step.do(f"open {system}", open_account, system, names[system], config=patient))
                for system in colleague.systems
            ]
            laptop = group.create_task(self.order_laptop(colleague, step))
        password = await step.do("choose a password", self.choose_password, config={"sensitive": "output"})
        opens_at = await step.do("when the office opens", opening_time, colleague.first_day)
        await step.sleep_until("first day", opens_at)
        greeting = await step.do("greet", self.greet, colleague.name, len(password))
        await step.sleep("settle in", "90 days")
        return {
            "accounts": [account.result() for account in accounts],
            "laptop": laptop.result(),
            "greeting": greeting,
            "signed_at": signed["payload"]["place"],
            "began": opens_at.astimezone(UTC).isoformat(),
        }

    async def names_of(self, colleague: Colleague, step: WorkflowStep) -> dict[str, str]:
        """Return the account name for each system: the same in all of them where it is free."""
        name = colleague.name.lower()
        names = dict.fromkeys(colleague.systems, name)
        try:
            await step.do("check names", check_names, name, colleague.systems, config={"dont_retry_on": NameTaken})
        except* NameTaken as taken:
            names |= {error.system: error.free for error in taken.exceptions if isinstance(error, NameTaken)}
        return names

    async def order_laptop(self, colleague: Colleague, step: WorkflowStep) -> str:
        order = await step.do("order a laptop", self.order, colleague.name)
        await step.sleep("delivery", "3 days")
        return await step.do("label the laptop", self.label, order)

    async def order(self, name: str) -> int:
        return 1000 + len(name)

    async def label(self, order: int) -> str:
        return f"laptop {order}"

    async def choose_password(self) -> str:
        return secrets.token_hex(8)

    async def greet(self, name: str, letters: int) -> str:
        return f"welcome {name}, your password has {letters} letters"
