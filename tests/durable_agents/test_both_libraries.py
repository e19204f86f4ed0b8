"""What holds of agents of either library: no answer that was recorded is asked for again, and rate limits are kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from stepwell import attributes, capture
from stepwell.testing import ACCOUNT, TestEngine
from tests.durable_agents.conftest import ANSWER, notes_of
from tests.durable_agents.model_server import ModelServer, Refusal, Text, in_order
from tests.engine.stores import CheckedStore, DyingStore
from tests.engine.ways import Job, outcome


@pytest.fixture(params=["openai_agents", "pydantic_ai"])
def weather(request: pytest.FixtureRequest) -> ModuleType:
    """Return the module of a library's agents, which loads it."""
    return import_module(f"tests.durable_agents.weather_of_{request.param}")


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


@dataclass(frozen=True)
class _Told:
    """What the one attempt of an agent's step has said of itself, and the lines of the instance's log."""

    note: dict[str, Any]
    lines: list[str]


async def _asked_once(server: ModelServer, weather: ModuleType, agent: Any) -> _Told:
    """Have an agent asked for an answer of three tokens to four; return what is told of that."""
    server.model = in_order(Text("Sun in Graz"))
    workflow = weather.running(agent)
    capture.install()
    try:
        async with TestEngine.open([workflow]) as engine:
            instance = await engine.create(workflow)
            assert await instance.wait_for_output() == "Sun in Graz"
            page = await engine.engine.log(ACCOUNT, instance.workflow, instance.id, 0, 100)
            (note,) = await notes_of(instance)
    finally:
        capture.uninstall()
    assert len(server.asked) == 1
    assert (note["gen_ai.usage.input_tokens"], note["gen_ai.usage.output_tokens"]) == (4, 3)
    return _Told(note, [line.text for line in page.lines])


@pytest.mark.parametrize("live", [False, True], ids=["whole", "streamed"])
async def test_answers_cost_what_their_model_costs_everybody(
    server: ModelServer, client: Any, weather: ModuleType, *, live: bool
) -> None:
    """USD 1.25 for a million tokens in, 10 for a million out; summed over the instance, without a float's dust."""
    workflow = weather.running(weather.agent_of(client, live=live))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)
        await instance.wait_for_output()
        notes = await notes_of(instance)

    tokens = [(note["gen_ai.usage.input_tokens"], note["gen_ai.usage.output_tokens"]) for note in notes]
    assert [note["cost_usd"] for note in notes] == [(given * 125 + said * 1_000) / 10**8 for given, said in tokens]
    assert attributes.totals(notes)["cost_usd"] == {10: 0.0001325, 20: 0.000145}[sum(given for given, _ in tokens)]


@pytest.mark.parametrize("live", [False, True], ids=["whole", "streamed"])
async def test_tokens_that_were_cached_cost_less(
    server: ModelServer, client: Any, weather: ModuleType, *, live: bool
) -> None:
    """The provider says how many: of gpt-5 a million costs USD 0.125."""
    server.cached = 4

    told = await _asked_once(server, weather, weather.agent_of(client, live=live))

    assert told.note["cost_usd"] == (4 * 12.5 + 3 * 1_000) / 10**8


async def test_model_without_a_price_has_no_cost(server: ModelServer, client: Any, weather: ModuleType) -> None:
    """Such as one's own: its tokens are there all the same, and nothing is wrong with that."""
    told = await _asked_once(server, weather, weather.agent_of(client, asks="our-own-7b"))

    assert told == _Told(
        {"gen_ai.response.model": "our-own-7b", "gen_ai.usage.input_tokens": 4, "gen_ai.usage.output_tokens": 3}, []
    )


@pytest.mark.parametrize(
    ("cost", "usd"),
    [
        pytest.param(lambda model, usage: usage.input_tokens * 0.5 + usage.cache_read_tokens, 6.0, id="of-tokens"),
        pytest.param(lambda model, usage: Decimal("0.1") if model == "gpt-5" else None, 0.1, id="of-a-model"),
        pytest.param(lambda model, usage: 0, 0.0, id="for-nothing"),
        pytest.param(lambda model, usage: None, (4 * 12.5 + 3 * 1_000) / 10**8, id="not-known-so-the-public-one"),
    ],
)
async def test_author_says_what_an_answer_costs(
    server: ModelServer, client: Any, weather: ModuleType, cost: Callable[..., Any], usd: float
) -> None:
    """For models and prices of one's own; the public price is that of models of which he says nothing."""
    server.cached = 4

    told = await _asked_once(server, weather, weather.agent_of(client, cost=cost))

    assert told.note["cost_usd"] == usd


@pytest.mark.parametrize(
    ("cost", "problem"),
    [
        pytest.param(
            lambda model, usage: 1 / (usage.input_tokens - 4), "ZeroDivisionError: division by zero", id="fails"
        ),
        pytest.param(lambda model, usage: math.nan, "ValueError: a number of USD is needed, got nan", id="nan"),
        pytest.param(lambda model, usage: -0.5, "ValueError: a number of USD is needed, got -0.5", id="negative"),
        pytest.param(lambda model, usage: "1", "TypeError: must be real number, not str", id="text"),
        pytest.param(
            lambda model, usage: 1e300, "WorkflowFatalError: set_attributes: cost_usd must be", id="too-large"
        ),
    ],
)
async def test_cost_that_cannot_be_told_fails_no_step(
    server: ModelServer, client: Any, weather: ModuleType, cost: Callable[..., Any], problem: str
) -> None:
    """The answer is there and paid for; what is wrong stands in the instance's log."""
    told = await _asked_once(server, weather, weather.agent_of(client, cost=cost))

    assert "cost_usd" not in told.note
    (line,) = told.lines
    assert line.startswith(f"what the answer of gpt-5 cost is not known: {problem}")
