"""What holds of agents of either library: no answer that was recorded is asked for again, and rate limits are kept."""

from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from stepwell.testing import TestEngine
from tests.agents.conftest import ANSWER
from tests.agents.model_server import ModelServer, Refusal, Text, in_order
from tests.engine.stores import CheckedStore, DyingStore
from tests.engine.ways import Job, outcome


@pytest.fixture(params=["openai_agents", "pydantic_ai"])
def weather(request: pytest.FixtureRequest) -> ModuleType:
    """Return the module of a library's agents, which loads it."""
    return import_module(f"tests.agents.weather_of_{request.param}")


async def test_no_crash_has_a_recorded_answer_asked_for_again(
    server: ModelServer, client: Any, weather: ModuleType
) -> None:
    """Wherever a worker dies, the end is the same, and of all requests at most that in flight is made again."""
    job = Job(weather.running(weather.agent_of(client)))
    straight = CheckedStore()
    expected = await outcome(job, straight)
    asked = set()
    for n in range(1, straight.writes, 2):
        # A question of its own: what was in flight when a worker died may reach the server late.
        ended = await outcome(replace(job, params=f"Question {n}"), DyingStore(n, answers_last=n % 4 == 1))
        asked.add(sum(one.messages[0]["content"] == f"Question {n}" for one in server.asked))
        assert ended == expected, f"crash after write {n}"

    assert expected.output == ANSWER
    assert asked <= {2, 3}


async def test_rate_limit_says_when_the_next_attempt_begins(
    server: ModelServer, client: Any, weather: ModuleType
) -> None:
    """The client leaves a 429 to the step, whose next attempt begins when the provider wants it."""
    server.model = in_order(Refusal(429, {"retry-after": "7"}), Text("sun"))
    workflow = weather.running(weather.agent_of(client))

    async with TestEngine.open([workflow]) as engine:
        before = engine.clock.now()
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "sun"
        assert engine.clock.now() - before == 7_000
        assert len(server.asked) == 2
