"""Agents on a real server whose worker is killed while tools run: no answer that is on record is paid for twice."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DevServer, wait_until
from tests.durable_agents.conftest import ANSWER
from tests.durable_agents.model_server import ModelServer

TOOL = """
import os, time
from pathlib import Path

from stepwell import WorkflowEntrypoint

def ask_station(town):
    with Path("calls").open("a") as calls:
        calls.write(f"{town}\\n")
    while not Path("answers").exists():
        time.sleep(0.02)
    return f"sky over {town}"
"""
PYDANTIC_AI = f"""{TOOL}
from pydantic_ai import Agent
from stepwell.agents.pydantic_ai import StepwellDurability

agent = Agent("openai:gpt-5", name="weather", capabilities=[StepwellDurability()])

@agent.tool_plain
def weather(town: str) -> str:
    return ask_station(town)

class Weather(WorkflowEntrypoint):
    async def run(self, event, step):
        return (await agent.run("How is the weather?")).output
"""
OPENAI_AGENTS = f"""{TOOL}
from agents import Agent, Runner, function_tool
from stepwell.agents.openai_agents import durable

@function_tool
def weather(town: str) -> str:
    return ask_station(town)

agent = durable(Agent(name="weather", model="gpt-5", tools=[weather]))

class Weather(WorkflowEntrypoint):
    async def run(self, event, step):
        return (await Runner.run(agent, "How is the weather?")).final_output
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "source", [pytest.param(PYDANTIC_AI, id="pydantic-ai"), pytest.param(OPENAI_AGENTS, id="openai-agents")]
)
def test_killed_worker_costs_no_recorded_answer(
    source: str, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tools are in flight when the worker dies: they are called again, and the model is asked only what is new."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (tmp_path / "flows.py").write_text(source)

    def calls() -> list[str]:
        file = tmp_path / "calls"
        return file.read_text().split() if file.exists() else []

    with DevServer(tmp_path) as dev:
        dev.create("weather", "1")
        wait_until(lambda: len(calls()) == 2, lambda: dev.log)
        for pid in dev.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(calls()) == 4, lambda: dev.log)
        (tmp_path / "answers").touch()
        found: Any = dev.wait_for_status("weather", "1", "complete")

    assert found["output"] == ANSWER
    assert sorted(calls()) == ["Graz", "Graz", "Linz", "Linz"]
    assert len(server.asked) == 2
