"""Agents of OpenAI's Agents SDK that tell the weather. Tests import it when they run, as the SDK loads slowly."""

import sys
from typing import Any

from agents import Agent, OpenAIProvider, Runner, Tool, function_tool
from agents.mcp import MCPServerStdio
from openai import AsyncOpenAI

from stepwell import WorkflowEntrypoint
from stepwell.agents.openai_agents import durable, mcp_server

# A server of the Model Context Protocol on standard input and output.
STATION = """
from mcp.server.mcpserver import MCPServer

station = MCPServer("station")

@station.tool()
def sky(town: str) -> str:
    return f"sun over {town}"

station.run()
"""


@function_tool
async def weather(town: str) -> dict[str, str]:
    """Tell the weather of a town."""
    return {"town": town, "sky": "sun" if town == "Graz" else "rain"}


def agent_of(
    client: AsyncOpenAI, *tools: Tool, asks: Any = "gpt-5", handoffs: Any = (), servers: Any = (), **options: Any
) -> Agent[Any]:
    """Return a durable agent, which asks a model; `options` are those of its durability."""
    agent: Agent[Any] = Agent(
        name="weather",
        model=asks,
        tools=list(tools or (weather,)),
        handoffs=list(handoffs),
        mcp_servers=list(servers),
    )
    return durable(agent, provider=OpenAIProvider(openai_client=client), **options)


def station() -> Any:
    """Return a server that has the weather."""
    return mcp_server(lambda: MCPServerStdio({"command": sys.executable, "args": ["-c", STATION]}, name="station"))


def running(agent: Agent[Any]) -> type[WorkflowEntrypoint[Any]]:
    """Return a workflow that asks an agent."""

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            return (await Runner.run(agent, event["payload"] or "How is the weather?")).final_output

    return Weather
