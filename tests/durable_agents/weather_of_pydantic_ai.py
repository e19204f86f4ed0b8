"""Agents of Pydantic AI that tell the weather. Tests import it when they run: the library takes a second to load."""

from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from stepwell import WorkflowEntrypoint
from stepwell.agents.pydantic_ai import StepwellDurability


def model_of(client: AsyncOpenAI, name: str = "gpt-5") -> OpenAIChatModel:
    """Return a model that a client asks."""
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


def agent_of(
    client: AsyncOpenAI, *capabilities: Any, asks: str = "gpt-5", output_type: Any = str, **options: Any
) -> Agent[None, Any]:
    """Return an agent with a tool, which asks a model; `options` are those of its durability."""
    durability = StepwellDurability[None](**options)
    agent: Agent[None, Any] = Agent(
        model_of(client, asks), name="weather", capabilities=[durability, *capabilities], output_type=output_type
    )

    @agent.tool_plain
    async def weather(town: str) -> dict[str, str]:
        return {"town": town, "sky": "sun" if town == "Graz" else "rain"}

    return agent


def running(agent: Any) -> type[WorkflowEntrypoint[Any]]:
    """Return a workflow that asks an agent."""

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            return (await agent.run(event["payload"] or "How is the weather?")).output

    return Weather
