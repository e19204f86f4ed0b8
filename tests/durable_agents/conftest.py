"""A model on loopback that wants the weather of two towns and then answers, and a client for it."""

import json
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

import pytest

from stepwell.core.steplog import StepEntry
from stepwell.testing import TestEngine, TestInstance
from tests.durable_agents.model_server import Call, Calls, ModelServer, Text, by_place, model_server

TOWNS = Calls((Call("weather", {"town": "Graz"}), Call("weather", {"town": "Linz"})))
ANSWER = "Sun in Graz, rain in Linz"


@pytest.fixture(autouse=True)
def as_users_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no clock move on while a model is asked, or requests would run out of time; and load the prices before."""
    import_module("genai_prices")
    monkeypatch.setattr(TestEngine, "keeps_turns", True)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """Serve the model."""
    with model_server(by_place(TOWNS, Text(ANSWER))) as served:
        yield served


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[Any]:
    """Open OpenAI's own client for it, which tries again by itself unless it is told not to."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=server.url, api_key="none") as opened:
        yield opened


async def steps_of(instance: TestInstance) -> list[str]:
    """Return the names of an instance's steps."""
    return [entry.name for entry in (await instance.log()).called]


async def attempts_of(instance: TestInstance, name: str) -> int:
    """Return how many attempts a step has had."""
    (entry,) = (entry for entry in (await instance.log()).called if entry.name == name)
    assert isinstance(entry, StepEntry)
    return len(entry.attempts)


async def output_of(instance: TestInstance, name: str) -> Any:
    """Return what a step has returned, as JSON."""
    (entry,) = (entry for entry in (await instance.log()).called if entry.name == name)
    assert isinstance(entry, StepEntry)
    assert isinstance(entry.output, str)
    return json.loads(entry.output)


async def notes_of(instance: TestInstance) -> list[dict[str, Any]]:
    """Return what the attempts of an instance have said that they took."""
    entries = (entry for entry in (await instance.log()).called if isinstance(entry, StepEntry))
    return [attempt.attributes for entry in entries for attempt in entry.attempts if attempt.attributes]
