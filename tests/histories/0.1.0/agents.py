"""Agents: one that serves customers with tools, and one that divides its question among others of its kind."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from stepwell import RetryAfter, StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep, WorkflowTimeoutError
from stepwell import step as durable
from stepwell.errors import InstanceFinished

MODEL = {"retries": {"limit": 10, "delay": "2 seconds", "backoff": "exponential"}, "timeout": "2 minutes"}


# ---- an agent with tools, which asks before it spends money


class ToolFailed(Exception):
    """A tool cannot do what it was asked for; the model is told why."""

    def __init__(self, tool: str, why: str) -> None:
        super().__init__(f"{tool}: {why}")
        self.tool = tool
        self.why = why


@dataclass(frozen=True)
class ToolCall:
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Message:
    role: Literal["customer", "agent", "tool"]
    text: str
    call: ToolCall | None = None


ORDERS = {"A-17": Decimal("120.00"), "A-18": Decimal("9.50")}


@durable
async def look_up_order(number: str) -> str:
    """Say what an order has cost."""
    return f"{number} cost {ORDERS[number]}"


@durable(name="refund", config={"dont_retry_on": ToolFailed})
async def refund_order(number: str, amount: str, ctx: StepContext) -> str:
    """Pay an amount back, once."""
    if Decimal(amount) > ORDERS[number]:
        raise ToolFailed("refund_order", f"{number} cost less than {amount}")
    return f"refunded {amount} with a key of {len(ctx.idempotency_key)}"


@durable(name="think", config=MODEL)
async def think(said: list[Message], ctx: StepContext) -> Message:
    """Ask the model what to do next; it knows one kind of complaint, and forgets what things cost at first."""
    if len(said) == 1 and ctx.attempt < 2:
        raise RetryAfter(3, "529 overloaded")
    number = said[0].text.split()[-1]
    told = [message.text for message in said if message.role == "tool"]
    match told:
        case []:
            return Message("agent", "let me see", ToolCall("look_up_order", {"number": number}))
        case [_]:
            return Message("agent", "paying back", ToolCall("refund_order", {"number": number, "amount": "150.00"}))
        case [_, last] if "cost less" in last:
            cost = told[0].split()[-1]
            return Message("agent", "paying back less", ToolCall("refund_order", {"number": number, "amount": cost}))
        case _:
            return Message("agent", f"done: {told[-1]}")


class SupportAgent(WorkflowEntrypoint):
    """Let a model use tools until it has an answer; a person has to approve what costs more than a little."""

    tools: ClassVar[dict[str, Callable[..., Coroutine[Any, Any, str]]]] = {
        "look_up_order": look_up_order,
        "refund_order": refund_order,
    }
    allowance = Decimal(50)
    most_turns = 8

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> dict[str, Any]:
        said = [Message("customer", event.payload["complaint"])]
        for turn in range(1, self.most_turns + 1):
            answer = await think(said)
            said.append(answer)
            if answer.call is None:
                return {"answer": answer.text, "turns": turn, "said": len(said)}
            await step.set_progress({"turn": turn, "tool": answer.call.tool})
            said.append(Message("tool", await self.use(answer.call, step)))
        return {"answer": None, "turns": self.most_turns, "said": len(said)}

    async def use(self, call: ToolCall, step: WorkflowStep) -> str:
        """Return what a tool says, or why it says nothing."""
        if Decimal(call.arguments.get("amount", 0)) > self.allowance and not await self.is_approved(call, step):
            return "a person has refused this"
        try:
            return await self.tools[call.tool](**call.arguments)
        except ToolFailed as error:
            step.log(f"{error.tool} failed")
            return error.why

    async def is_approved(self, call: ToolCall, step: WorkflowStep) -> bool:
        await step.do("ask a person", self.ask, call)
        try:
            answer = await step.wait_for_event("a person's answer", "approval", timeout="8 hours")
        except WorkflowTimeoutError:
            return False
        return bool(answer["payload"]["granted"])

    async def ask(self, call: ToolCall) -> str:
        return f"may I {call.tool} {call.arguments}?"


# ---- an agent that divides its question among others of its kind


class Question(BaseModel):
    topic: str
    breadth: int = Field(default=0, ge=0, le=10)
    # Who wants to know, and as which of his parts.
    asked_by: str | None = None
    part: int = 0

    @field_validator("topic")
    @classmethod
    def has_words(cls, topic: str) -> str:
        if not topic.strip():
            raise ValueError("a topic needs words")
        return topic


@dataclass
class Finding:
    topic: str
    claim: str
    sources: set[str] = field(default_factory=set)


class ResearchAgent(WorkflowEntrypoint[Question]):
    """Answer a narrow question from sources; divide a broad one, start an agent for each part, and sum up."""

    async def run(self, event: WorkflowEvent[Question], step: WorkflowStep) -> Finding:
        question = event.payload
        if question.breadth:
            finding = await self.divide(question, event.instance_id, step)
        else:
            finding = await self.answer(question.topic, step)
        if question.asked_by is not None:
            await step.do("reply", self.reply, question, finding)
        return finding

    async def divide(self, question: Question, own_id: str, step: WorkflowStep) -> Finding:
        parts = await step.do("divide", self.parts_of, question)
        await step.do("start agents", self.start_agents, own_id, parts)
        replies = await asyncio.gather(
            *(step.wait_for_event(f"finding {n}", f"finding-{n}", timeout="1 day") for n in range(len(parts)))
        )
        return await step.do("sum up", self.sum_up, question.topic, [reply["payload"] for reply in replies])

    async def answer(self, topic: str, step: WorkflowStep) -> Finding:
        async def search(index: str) -> set[str]:
            return {f"{index}/{topic.replace(' ', '-')}"}

        library, web = await asyncio.gather(
            step.do("search the library", search, "library"), step.do("search the web", search, "web")
        )
        return await step.do("conclude", self.conclude, topic, library | web)

    async def parts_of(self, question: Question) -> list[str]:
        return [f"{question.topic} part {n}" for n in range(question.breadth)]

    async def start_agents(self, own_id: str, parts: list[str]) -> list[str]:
        wanted = [
            {"id": f"{own_id}-{n}", "params": Question(topic=topic, asked_by=own_id, part=n)}
            for n, topic in enumerate(parts)
        ]
        # Those that an earlier attempt has started are passed over.
        await self.env.RESEARCH_AGENT.create_batch(wanted)
        return parts

    async def reply(self, question: Question, finding: Finding) -> bool:
        asker = await self.env.RESEARCH_AGENT.get(question.asked_by)
        told = {"claim": finding.claim, "sources": sorted(finding.sources)}
        try:
            await asker.send_event(type=f"finding-{question.part}", payload=told)
        except InstanceFinished:
            return False
        return True

    async def conclude(self, topic: str, sources: set[str]) -> Finding:
        return Finding(topic, f"{topic} is deep", sources)

    def sum_up(self, topic: str, findings: list[dict[str, Any]]) -> Finding:
        claims = "; ".join(finding["claim"] for finding in findings)
        return Finding(topic, claims, {source for finding in findings for source in finding["sources"]})
